//! What `verify` looks at one by one, read at one moment: withdrawals with their histories page by page, attempts with
//! their bytes and notifications row by row. Nothing of it is kept, so it takes no memory however much there is.
//!
//! Must not know: what is right.

use cashout_common::db::{Readers, Snapshot};
use cashout_common::on_engine;
use futures::TryStreamExt;
use sqlx::Error;

use super::attempts::Attempt;
use super::history::Line;
use super::list::by_list;
use super::withdrawals::{Row, all, columns, select};
use crate::domain::withdrawal::Withdrawal;

/// Withdrawals of a page.
const PAGE: i64 = 1000;
/// Where a page ends, if it is full. Pages are ranges of ids: where it is told only how many are wanted, PostgreSQL may
/// read how withdrawals stand from the first on for every page, to merge it with what was asked for.
const UNTIL: &str = "SELECT id FROM withdrawal WHERE id > $1 ORDER BY id LIMIT 1 OFFSET $2";
const WITHDRAWALS: &str = select!("WHERE w.id > $1 AND w.id <= $2 ORDER BY w.id");
const LINES: &str = "SELECT * FROM history WHERE withdrawal_id > $1 AND withdrawal_id <= $2 \
    ORDER BY withdrawal_id, id";

/// Some withdrawals and their histories.
#[derive(Debug)]
pub struct Page {
    /// By id.
    pub withdrawals: Vec<Withdrawal>,
    /// By withdrawal, in the order in which it happened.
    pub lines: Vec<Line>,
    /// Where the next page begins after; nothing when there is none.
    pub until: Option<i64>,
}

/// An attempt beside its withdrawal.
#[derive(Clone, sqlx::FromRow)]
#[allow(missing_docs)] // `w_`: columns of its withdrawal, if there is one.
pub struct Asked {
    #[sqlx(flatten)]
    pub attempt: Attempt,
    pub w_provider: Option<String>,
    pub w_payee_id: Option<String>,
    pub w_actual_minor: Option<i64>,
}

/// A notification beside the attempt it is about.
#[derive(Clone, sqlx::FromRow)]
#[allow(missing_docs)] // Columns of the notification; `a_` those of the attempt.
pub struct Heard {
    pub provider: String,
    pub id: String,
    pub number: String,
    pub amount_minor: Option<i64>,
    pub payee_digest: String,
    pub verdict: String,
    pub a_payee_id: String,
    pub a_amount_minor: i64,
}

/// The withdrawals after that id, and their histories.
///
/// # Errors
/// The database's.
pub async fn page(snapshot: &mut Snapshot, after: i64) -> Result<Page, Error> {
    on_engine!(snapshot, tx => {
        let until: Option<i64> = sqlx::query_scalar(UNTIL)
            .bind(after).bind(PAGE - 1).fetch_optional(&mut **tx).await?;
        let rows: Vec<Row> = sqlx::query_as(WITHDRAWALS)
            .bind(after).bind(until.unwrap_or(i64::MAX)).fetch_all(&mut **tx).await?;
        let withdrawals = all(rows)?;
        // What comes after the last withdrawal is nobody's history, and there may be any amount of it.
        let last = until.or(withdrawals.last().map(|last| last.id)).unwrap_or(after);
        let lines = sqlx::query_as(LINES).bind(after).bind(last).fetch_all(&mut **tx).await?;
        Ok(Page { withdrawals, lines, until })
    })
}

/// Shows every attempt, in no order.
///
/// # Errors
/// The database's.
pub async fn attempts(snapshot: &mut Snapshot, mut show: impl FnMut(Asked)) -> Result<(), Error> {
    const SQL: &str = "SELECT a.*, w.provider AS w_provider, w.payee_id AS w_payee_id, \
        w.actual_minor AS w_actual_minor FROM attempt a LEFT JOIN withdrawal w ON w.id = a.withdrawal_id";
    on_engine!(snapshot, tx => {
        let mut rows = sqlx::query_as(SQL).fetch(&mut **tx);
        while let Some(row) = rows.try_next().await? {
            show(row);
        }
        Ok(())
    })
}

/// Shows every notification about a number of ours, in no order.
///
/// # Errors
/// The database's.
pub async fn notifications(
    snapshot: &mut Snapshot,
    mut show: impl FnMut(Heard),
) -> Result<(), Error> {
    const SQL: &str = "SELECT n.provider, n.id, n.number, n.amount_minor, n.payee_digest, n.verdict, \
        a.payee_id AS a_payee_id, a.amount_minor AS a_amount_minor \
        FROM notification n JOIN attempt a ON a.number = n.number AND a.provider = n.provider";
    on_engine!(snapshot, tx => {
        let mut rows = sqlx::query_as(SQL).fetch(&mut **tx);
        while let Some(row) = rows.try_next().await? {
            show(row);
        }
        Ok(())
    })
}

/// Gives the moment back.
///
/// # Errors
/// The database's.
pub async fn end(snapshot: Snapshot) -> Result<(), Error> {
    on_engine!(snapshot, tx => tx.rollback().await)
}

/// The withdrawals after that id as they are now, and where the next page begins after, if there is one.
///
/// # Errors
/// The database's.
pub async fn after(readers: &Readers, id: i64) -> Result<(Vec<Withdrawal>, Option<i64>), Error> {
    on_engine!(readers, p => {
        let until: Option<i64> = sqlx::query_scalar(UNTIL)
            .bind(id).bind(PAGE - 1).fetch_optional(p).await?;
        let rows: Vec<Row> = sqlx::query_as(WITHDRAWALS)
            .bind(id).bind(until.unwrap_or(i64::MAX)).fetch_all(p).await?;
        Ok((all(rows)?, until))
    })
}

/// The withdrawals with these numbers, as they are now.
///
/// # Errors
/// The database's.
pub async fn under(readers: &Readers, cash_sns: &[String]) -> Result<Vec<Withdrawal>, Error> {
    let rows: Result<Vec<Row>, Error> = by_list!(
        readers,
        cash_sns,
        select!("WHERE w.cash_sn IN (SELECT value FROM json_each($1))"),
        select!("WHERE w.cash_sn = ANY($1)")
    );
    all(rows?)
}
