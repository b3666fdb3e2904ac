//! Statements: by page with counts, by cursor, and a balance at a past time.
//!
//! Time is turned into positions first, by a binary search over dense sequences (their times never go
//! back), so that a day deep in history costs what today costs and no index on time is needed.

use std::fmt::Write;

use cashout_common::kind::Kind;
use cashout_common::on_engine;
use sqlx::AssertSqlSafe;

use super::Store;
use super::reads::{AccountView, view};
use super::rows::{EntryRow, entry_select};
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

/// How many entries of an account are older than a time. Uses entry's unique (account_id, seq).
const SEQ_BEFORE: &str = "WITH RECURSIVE s (lo, hi) AS ( \
    SELECT CAST(0 AS BIGINT), COALESCE((SELECT MAX(seq) FROM entry WHERE account_id = $1), 0) UNION ALL \
    SELECT CASE WHEN e.created_at < $2 THEN e.seq ELSE s.lo END, \
      CASE WHEN e.created_at < $2 THEN s.hi ELSE e.seq - 1 END \
    FROM s JOIN entry e ON e.account_id = $1 AND e.seq = (s.lo + s.hi + 1) / 2 WHERE s.lo < s.hi) \
    SELECT MAX(lo) FROM s WHERE lo >= hi";

/// How many entries of the ledger are older than a time. Uses entry's primary key.
const ID_BEFORE: &str = "WITH RECURSIVE s (lo, hi) AS ( \
    SELECT CAST(0 AS BIGINT), (SELECT last_entry_id FROM ledger_head WHERE id = 1) UNION ALL \
    SELECT CASE WHEN e.created_at < $1 THEN e.id ELSE s.lo END, \
      CASE WHEN e.created_at < $1 THEN s.hi ELSE e.id - 1 END \
    FROM s JOIN entry e ON e.id = (s.lo + s.hi + 1) / 2 WHERE s.lo < s.hi) \
    SELECT MAX(lo) FROM s WHERE lo >= hi";

const BALANCE: &str = "SELECT available_after, frozen_after, seq FROM entry \
    WHERE account_id = $1 AND seq = $2";

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
        let condition = self.condition(filter).await?;
        let count = format!(
            "SELECT count(*), CAST(COALESCE(SUM(e.available_delta), 0) AS BIGINT) FROM entry e WHERE {condition}"
        );
        let page = format!(
            "{} WHERE {condition} ORDER BY {} DESC LIMIT $1 OFFSET $2",
            entry_select!(),
            order(filter)
        );
        let mut snapshot = self.database().snapshot().await?;
        let (total, sum): (i64, i64) = on_engine!(&mut snapshot, tx => sqlx::query_as(AssertSqlSafe(count)).fetch_one(&mut **tx).await?);
        let rows: Vec<EntryRow> = on_engine!(&mut snapshot, tx => sqlx::query_as(AssertSqlSafe(page))
            .bind(limit).bind(offset).fetch_all(&mut **tx).await?);
        let view = match filter.account_id {
            Some(id) => view(&mut snapshot, &Which::Id(id), false).await?,
            None => None,
        };
        on_engine!(snapshot, tx => tx.rollback().await?);
        let entries = rows.into_iter().map(Entry::from).collect();
        Ok(Page { entries, total, sum_available: sum, view })
    }

    /// The next entries below (newest first) or above an id.
    pub async fn statement_scan(
        &self,
        filter: &Filter,
        after_id: i64,
        oldest_first: bool,
        limit: i64,
    ) -> Read<Vec<Entry>> {
        let condition = self.condition(filter).await?;
        let (compare, direction) = if oldest_first { (">", "ASC") } else { ("<", "DESC") };
        let text = format!(
            "{} WHERE {condition} AND e.id {compare} $1 ORDER BY {} {direction} LIMIT $2",
            entry_select!(),
            order(filter)
        );
        let start = if after_id == 0 && !oldest_first { i64::MAX } else { after_id };
        let rows: Vec<EntryRow> = on_engine!(self.database().readers(), p => sqlx::query_as(AssertSqlSafe(text))
            .bind(start).bind(limit).fetch_all(p).await?);
        Ok(rows.into_iter().map(Entry::from).collect())
    }

    /// Available, frozen and sequence of an account after everything up to and including a time.
    pub async fn balance_at(&self, account_id: i64, at_us: i64) -> Read<(i64, i64, i64)> {
        let seq = self.seq_before(account_id, at_us.saturating_add(1)).await?;
        let found: Option<(i64, i64, i64)> = on_engine!(self.database().readers(), p => sqlx::query_as(BALANCE)
            .bind(account_id).bind(seq).fetch_optional(p).await?);
        Ok(found.unwrap_or_default())
    }

    async fn seq_before(&self, account_id: i64, us: i64) -> Read<i64> {
        let seq: Option<i64> = on_engine!(self.database().readers(), p => sqlx::query_scalar(SEQ_BEFORE)
            .bind(account_id).bind(us).fetch_one(p).await?);
        Ok(seq.unwrap_or_default())
    }

    async fn id_before(&self, us: i64) -> Read<i64> {
        let id: Option<i64> = on_engine!(self.database().readers(), p => sqlx::query_scalar(ID_BEFORE).bind(us).fetch_one(p).await?);
        Ok(id.unwrap_or_default())
    }

    /// The filter as SQL over `entry e`, made of numbers and our own words only.
    async fn condition(&self, filter: &Filter) -> Read<String> {
        let mut sql = String::from("1 = 1");
        // Writing to a String cannot fail.
        if let Some(account) = filter.account_id {
            let _ = write!(sql, " AND e.account_id = {account}");
        }
        for (bound, compare) in [(filter.from_us, ">"), (filter.until_us, "<=")] {
            let Some(us) = bound else { continue };
            let _ = match filter.account_id {
                Some(account) => {
                    write!(sql, " AND e.seq {compare} {}", self.seq_before(account, us).await?)
                }
                None => write!(sql, " AND e.id {compare} {}", self.id_before(us).await?),
            };
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
}

/// Within an account the order of sequences is the order of ids, and it has an index.
fn order(filter: &Filter) -> &'static str {
    if filter.account_id.is_some() { "e.seq" } else { "e.id" }
}
