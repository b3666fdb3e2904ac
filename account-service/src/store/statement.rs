//! Statements: by page with counts, by cursor, and a balance at a past time.
//!
//! Times and cursors are turned into positions first (see `positions`). An account's history that is
//! not filtered by kind is then only a range of positions: its length and what it moves are
//! subtractions, so that a page deep in history costs what the first page costs.

use std::fmt::Write;

use cashout_common::db::Snapshot;
use cashout_common::kind::Kind;
use cashout_common::on_engine;
use sqlx::AssertSqlSafe;

use super::reads::{AccountView, view};
use super::rows::{EntryRow, entry_select};
use super::{Store, positions};
use crate::domain::{Entry, Which};

/// Which entries a statement shows. Values are numbers only, so that the text below can hold them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of one account, or of all.
    pub account_id: Option<i64>,
    /// Only these kinds; empty for all.
    pub kinds: Vec<Kind>,
    /// Only entries of one of these kinds with its sign; empty for all.
    pub any_of: Vec<(Kind, Sign)>,
    /// Only entries that move available so.
    pub sign: Option<Sign>,
    /// At or after, UTC microseconds.
    pub from_us: Option<i64>,
    /// Before, UTC microseconds.
    pub until_us: Option<i64>,
}

/// How an entry moves available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Raises it.
    Up,
    /// Lowers it.
    Down,
    /// Leaves it alone.
    Still,
    /// Moves it, either way.
    Moves,
}

impl Sign {
    fn condition(self) -> &'static str {
        match self {
            Self::Up => "e.available_delta > 0",
            Self::Down => "e.available_delta < 0",
            Self::Still => "e.available_delta = 0",
            Self::Moves => "e.available_delta <> 0",
        }
    }
}

type Read<T> = Result<T, sqlx::Error>;

/// One page of a statement.
#[derive(Debug, Clone)]
pub struct Page {
    /// Newest first.
    pub entries: Vec<Entry>,
    /// How many match in all.
    pub total: i64,
    /// What all that match move available by, minor units.
    pub sum_available: i64,
    /// The account as of the same moment, when the statement is of one.
    pub view: Option<AccountView>,
}

impl Store {
    /// One page, newest first, and how many there are and what they move in all.
    ///
    /// # Errors
    /// When the database does not answer; so for every read here.
    pub async fn statement_page(&self, filter: &Filter, offset: i64, limit: i64) -> Read<Page> {
        let mut snapshot = self.database().snapshot().await?;
        let page = match filter.account_id.filter(|_| filter.is_a_range()) {
            Some(account) => range_page(&mut snapshot, filter, account, offset, limit).await,
            None => counted_page(&mut snapshot, filter, offset, limit).await,
        };
        // Also after an error: a snapshot is not left to be found.
        on_engine!(snapshot, tx => tx.rollback().await?);
        page
    }

    /// The next entries below (newest first) or above an id.
    pub async fn statement_scan(
        &self,
        filter: &Filter,
        after_id: i64,
        oldest_first: bool,
        limit: i64,
    ) -> Read<Vec<Entry>> {
        let mut snapshot = self.database().snapshot().await?;
        let scanned = scan(&mut snapshot, filter, after_id, oldest_first, limit).await;
        on_engine!(snapshot, tx => tx.rollback().await?);
        scanned
    }

    /// Available, frozen and sequence of an account after everything up to and including a time.
    pub async fn balance_at(&self, account_id: i64, at_us: i64) -> Read<(i64, i64, i64)> {
        let mut snapshot = self.database().snapshot().await?;
        let seq = positions::seq_before(&mut snapshot, account_id, at_us.saturating_add(1)).await;
        let left = match seq {
            Ok(seq) => positions::left_at(&mut snapshot, account_id, seq).await,
            Err(error) => Err(error),
        };
        on_engine!(snapshot, tx => tx.rollback().await?);
        left
    }
}

impl Filter {
    /// Whether it shows everything between two times.
    fn is_a_range(&self) -> bool {
        self.kinds.is_empty() && self.any_of.is_empty() && self.sign.is_none()
    }
}

/// A page of everything between two positions of one account: nothing is counted or added up.
async fn range_page(
    snapshot: &mut Snapshot,
    filter: &Filter,
    account: i64,
    offset: i64,
    limit: i64,
) -> Read<Page> {
    const PAGE: &str = concat!(
        entry_select!(),
        "WHERE e.account_id = $1 AND e.seq > $2 AND e.seq <= $3 ORDER BY e.seq DESC LIMIT $4"
    );
    let view = view(snapshot, &Which::Id(account), false).await?;
    let last = view.as_ref().map_or(0, |view| view.account.last_seq);
    let (mut after, mut up_to) = (0, last);
    if let Some(us) = filter.from_us {
        after = positions::seq_before(snapshot, account, us).await?;
    }
    if let Some(us) = filter.until_us {
        up_to = positions::seq_before(snapshot, account, us).await?.max(after);
    }
    let (before, ..) = positions::left_at(snapshot, account, after).await?;
    let (then, ..) = positions::left_at(snapshot, account, up_to).await?;
    let newest = up_to.saturating_sub(offset);
    let rows: Vec<EntryRow> = on_engine!(&mut *snapshot, tx => sqlx::query_as(PAGE)
        .bind(account).bind(after).bind(newest).bind(limit).fetch_all(&mut **tx).await?);
    let entries = rows.into_iter().map(Entry::from).collect();
    Ok(Page { entries, total: up_to - after, sum_available: then - before, view })
}

/// A page of what a filter lets through, which has to be counted.
async fn counted_page(
    snapshot: &mut Snapshot,
    filter: &Filter,
    offset: i64,
    limit: i64,
) -> Read<Page> {
    let condition = condition(snapshot, filter).await?;
    let count = format!(
        "SELECT count(*), CAST(COALESCE(SUM(e.available_delta), 0) AS BIGINT) FROM entry e WHERE {condition}"
    );
    let page = format!(
        "{} WHERE {condition} ORDER BY {} DESC LIMIT $1 OFFSET $2",
        entry_select!(),
        order(filter)
    );
    let (total, sum): (i64, i64) = on_engine!(&mut *snapshot, tx => sqlx::query_as(AssertSqlSafe(count)).fetch_one(&mut **tx).await?);
    let rows: Vec<EntryRow> = on_engine!(&mut *snapshot, tx => sqlx::query_as(AssertSqlSafe(page))
        .bind(limit).bind(offset).fetch_all(&mut **tx).await?);
    let view = match filter.account_id {
        Some(id) => view(snapshot, &Which::Id(id), false).await?,
        None => None,
    };
    let entries = rows.into_iter().map(Entry::from).collect();
    Ok(Page { entries, total, sum_available: sum, view })
}

async fn scan(
    snapshot: &mut Snapshot,
    filter: &Filter,
    after_id: i64,
    oldest_first: bool,
    limit: i64,
) -> Read<Vec<Entry>> {
    let mut condition = condition(snapshot, filter).await?;
    let (compare, direction) = if oldest_first { (">", "ASC") } else { ("<", "DESC") };
    let start = match filter.account_id {
        _ if after_id == 0 && !oldest_first => i64::MAX,
        Some(account) => positions::of_cursor(snapshot, account, after_id, oldest_first).await?,
        None => after_id,
    };
    // Writing to a String cannot fail.
    let _ = write!(condition, " AND {} {compare} {start}", order(filter));
    let text = format!(
        "{} WHERE {condition} ORDER BY {} {direction} LIMIT $1",
        entry_select!(),
        order(filter)
    );
    let rows: Vec<EntryRow> = on_engine!(&mut *snapshot, tx => sqlx::query_as(AssertSqlSafe(text))
        .bind(limit).fetch_all(&mut **tx).await?);
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// The filter as SQL over `entry e`, made of numbers and our own words only.
async fn condition(snapshot: &mut Snapshot, filter: &Filter) -> Read<String> {
    let mut sql = String::from("1 = 1");
    // Writing to a String cannot fail.
    if let Some(account) = filter.account_id {
        let _ = write!(sql, " AND e.account_id = {account}");
    }
    for (bound, compare) in [(filter.from_us, ">"), (filter.until_us, "<=")] {
        let Some(us) = bound else { continue };
        let position = match filter.account_id {
            Some(account) => positions::seq_before(snapshot, account, us).await?,
            None => positions::id_before(snapshot, us).await?,
        };
        let _ = write!(sql, " AND {} {compare} {position}", order(filter));
    }
    if !filter.kinds.is_empty() {
        let numbers: Vec<String> =
            filter.kinds.iter().map(|k| k.row().number.to_string()).collect();
        let _ = write!(sql, " AND e.kind IN ({})", numbers.join(", "));
    }
    if !filter.any_of.is_empty() {
        let one = |(kind, sign): &(Kind, Sign)| {
            format!("(e.kind = {} AND {})", kind.row().number, sign.condition())
        };
        let any: Vec<String> = filter.any_of.iter().map(one).collect();
        let _ = write!(sql, " AND ({})", any.join(" OR "));
    }
    if let Some(sign) = filter.sign {
        let _ = write!(sql, " AND {}", sign.condition());
    }
    Ok(sql)
}

/// Within an account the order of sequences is the order of ids, and it has an index.
fn order(filter: &Filter) -> &'static str {
    if filter.account_id.is_some() { "e.seq" } else { "e.id" }
}
