//! Statements: by page with counts, by cursor, and a balance at a past time.
//!
//! Times and cursors are turned into positions first (see `positions`). An account's history that is
//! not filtered by kind is then only a range of positions: its length and what it moves are
//! subtractions, so that a page deep in history costs what the first page costs.

use std::fmt::Write;

use cashout_common::db::Readers;
use cashout_common::kind::Kind;
use cashout_common::on_engine;
use futures::future::try_join;
use sqlx::AssertSqlSafe;

use super::reads::AccountView;
use super::rows::{EntryRow, entries_of, entry_select};
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
    /// Its parts are read one after the other and still are of one moment: entries are only ever
    /// appended, so everything up to the newest that was there at first stays as it was.
    ///
    /// # Errors
    /// When the database does not answer; so for every read here.
    pub async fn statement_page(&self, filter: &Filter, offset: i64, limit: i64) -> Read<Page> {
        let readers = self.database().readers();
        match filter.account_id {
            Some(account) => {
                let view = self.account_view(&Which::Id(account), false).await?;
                let last = view.as_ref().map_or(0, |view| view.account.last_seq);
                let page = if filter.is_a_range() {
                    let available = view.as_ref().map_or(0, |view| view.account.available);
                    let now = (account, last, available);
                    range_page(readers, filter, now, offset, limit).await?
                } else {
                    counted_page(readers, filter, last, offset, limit).await?
                };
                Ok(Page { view, ..page })
            }
            None => counted_page(readers, filter, self.last_entry_id().await?, offset, limit).await,
        }
    }

    /// The next entries below (newest first) or above an id.
    pub async fn statement_scan(
        &self,
        filter: &Filter,
        after_id: i64,
        oldest_first: bool,
        limit: i64,
    ) -> Read<Vec<Entry>> {
        let readers = self.database().readers();
        if let Some(account) = filter.account_id.filter(|_| filter.is_a_range()) {
            return range_scan(readers, filter, (account, after_id), oldest_first, limit).await;
        }
        let start = match filter.account_id {
            Some(account) => cursor(readers, (account, after_id), oldest_first).await?,
            None if after_id == 0 && !oldest_first => i64::MAX,
            None => after_id,
        };
        let (compare, direction) = if oldest_first { (">", "ASC") } else { ("<", "DESC") };
        let condition = condition(readers, filter).await?;
        let condition = format!("{condition} AND {} {compare} $1", order(filter));
        entries(readers, &condition, filter, (direction, ""), (start, limit)).await
    }

    /// Available, frozen and sequence of an account after everything up to and including a time.
    pub async fn balance_at(&self, account_id: i64, at_us: i64) -> Read<(i64, i64, i64)> {
        let readers = self.database().readers();
        let seq = positions::seq_before(readers, account_id, at_us.saturating_add(1)).await?;
        positions::left_at(readers, account_id, seq).await
    }
}

impl Filter {
    /// Whether it shows everything between two times.
    fn is_a_range(&self) -> bool {
        self.kinds.is_empty() && self.any_of.is_empty() && self.sign.is_none()
    }
}

/// Where a page after an entry's id begins, itself not on it; 0 is the newest, or the oldest.
async fn cursor(
    readers: &Readers,
    (account, after_id): (i64, i64),
    oldest_first: bool,
) -> Read<i64> {
    match after_id {
        0 if oldest_first => Ok(0),
        0 => Ok(positions::last_seq(readers, account).await?.saturating_add(1)),
        id => positions::of_cursor(readers, account, id, oldest_first).await,
    }
}

/// The next entries of one account between two times: a page has two ends, wherever it is. They are looked
/// for at the same time.
async fn range_scan(
    readers: &Readers,
    filter: &Filter,
    (account, after_id): (i64, i64),
    oldest_first: bool,
    limit: i64,
) -> Read<Vec<Entry>> {
    let position = async |us: Option<i64>, open| match us {
        Some(us) => positions::seq_before(readers, account, us).await,
        None => Ok(open),
    };
    let start = async {
        // A page of the newest that ends at a time begins there.
        let ends = after_id == 0 && !oldest_first && filter.until_us.is_some();
        if ends { Ok(i64::MAX) } else { cursor(readers, (account, after_id), oldest_first).await }
    };
    let ends = try_join(position(filter.from_us, 0), position(filter.until_us, i64::MAX));
    let (start, (after, up_to)) = try_join(start, ends).await?;
    if oldest_first {
        let after = after.max(start);
        let up_to = up_to.min(after.saturating_add(limit));
        let mut page = range(readers, account, after, up_to).await?;
        page.reverse();
        return Ok(page);
    }
    let up_to = up_to.min(start.saturating_sub(1));
    range(readers, account, after.max(up_to.saturating_sub(limit)), up_to).await
}

/// A page of everything between two positions of one account: nothing is counted or added up.
async fn range_page(
    readers: &Readers,
    filter: &Filter,
    (account, last, available): (i64, i64, i64),
    offset: i64,
    limit: i64,
) -> Read<Page> {
    let (mut after, mut before) = (0, 0);
    if let Some(us) = filter.from_us {
        after = positions::seq_before(readers, account, us).await?.min(last);
        (before, ..) = positions::left_at(readers, account, after).await?;
    }
    let (mut up_to, mut then) = (last, available);
    if let Some(us) = filter.until_us {
        up_to = positions::seq_before(readers, account, us).await?.clamp(after, last);
        (then, ..) = positions::left_at(readers, account, up_to).await?;
    }
    let newest = up_to.saturating_sub(offset);
    let oldest = newest.saturating_sub(limit).max(after);
    let entries = range(readers, account, oldest, newest).await?;
    Ok(Page { entries, total: up_to - after, sum_available: then - before, view: None })
}

/// The entries of an account after one position up to another, newest first. Sequences are dense, so a
/// page has two ends and no plan can read more than it; one text for all, so it is planned once.
async fn range(readers: &Readers, account: i64, after: i64, up_to: i64) -> Read<Vec<Entry>> {
    const RANGE: &str = concat!(
        entry_select!(),
        "WHERE e.account_id = $1 AND e.seq > $2 AND e.seq <= $3 ORDER BY e.seq DESC"
    );
    let rows: Vec<EntryRow> = on_engine!(readers, p => sqlx::query_as(RANGE)
        .bind(account).bind(after).bind(up_to).fetch_all(p).await?);
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// A page of what a filter lets through up to a position, which has to be counted.
async fn counted_page(
    readers: &Readers,
    filter: &Filter,
    newest: i64,
    offset: i64,
    limit: i64,
) -> Read<Page> {
    let condition =
        format!("{} AND {} <= {newest}", condition(readers, filter).await?, order(filter));
    let count = format!(
        "SELECT count(*), CAST(COALESCE(SUM(e.available_delta), 0) AS BIGINT) FROM entry e WHERE {condition}"
    );
    let (total, sum_available): (i64, i64) = on_engine!(readers, p =>
        sqlx::query_as(AssertSqlSafe(count)).persistent(false).fetch_one(p).await?);
    let page = ("DESC", " OFFSET $1");
    let entries = entries(readers, &condition, filter, page, (offset, limit)).await?;
    Ok(Page { entries, total, sum_available, view: None })
}

/// The first entries that meet a condition, in this direction; `$1` is the first number, `$2` how many.
/// They are found before anything is joined to them: a plan that joins first may read a whole history.
async fn entries(
    readers: &Readers,
    condition: &str,
    filter: &Filter,
    (direction, offset): (&str, &str),
    (first, limit): (i64, i64),
) -> Read<Vec<Entry>> {
    let text = format!(
        concat!(
            entries_of!(
                "(SELECT * FROM entry e WHERE {condition} ORDER BY {order} {direction} LIMIT $2{offset})"
            ),
            "ORDER BY {order} {direction}"
        ),
        condition = condition,
        order = order(filter),
        direction = direction,
        offset = offset,
    );
    // The numbers of a filter are in its text, which will not come again.
    let rows: Vec<EntryRow> = on_engine!(readers, p => sqlx::query_as(AssertSqlSafe(text))
        .persistent(false).bind(first).bind(limit).fetch_all(p).await?);
    Ok(rows.into_iter().map(Entry::from).collect())
}

/// The filter as SQL over `entry e`, made of numbers and our own words only.
async fn condition(readers: &Readers, filter: &Filter) -> Read<String> {
    let mut sql = String::from("1 = 1");
    // Writing to a String cannot fail.
    if let Some(account) = filter.account_id {
        let _ = write!(sql, " AND e.account_id = {account}");
    }
    for (bound, compare) in [(filter.from_us, ">"), (filter.until_us, "<=")] {
        let Some(us) = bound else { continue };
        let position = match filter.account_id {
            Some(account) => positions::seq_before(readers, account, us).await?,
            None => positions::id_before(readers, us).await?,
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
