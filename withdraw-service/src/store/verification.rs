//! Everything `verify` looks at, read at one moment. What grows without end and is looked at one by one
//! (attempts with their bytes, notifications) is shown row by row and not kept.
//!
//! Must not know: what is right.

use cashout_common::db::{Database, Snapshot};
use cashout_common::on_engine;
use futures::TryStreamExt;
use sqlx::Error;

use super::attempts::Attempt;
use super::history::Line;
use super::payout_rules::{Broken, Looked, broken};
use super::withdrawals::{Row, all, columns, select};
use crate::domain::withdrawal::Withdrawal;

const WITHDRAWALS: &str = select!("ORDER BY w.id");

/// The database at one moment.
#[derive(Debug)]
#[allow(missing_docs)] // Each field is a table, or what was found in tables too big to be read.
pub struct Facts {
    pub withdrawals: Vec<Withdrawal>,
    pub lines: Vec<Line>,
    pub reviews: Vec<Review>,
    pub keys: Vec<Key>,
    pub last_sequence: i64,
    pub broken: Vec<Broken>,
    pub looked: Looked,
}

/// One approval.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Review {
    /// Of what.
    pub withdrawal_id: i64,
    /// By whom.
    pub reviewer: i64,
}

/// One use of a key.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Key {
    /// Whose key.
    pub scope: String,
    /// The key.
    pub key: String,
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

/// Reads what is kept in memory.
///
/// # Errors
/// The database's.
pub async fn read(snapshot: &mut Snapshot) -> Result<Facts, Error> {
    let (broken, looked) = broken(snapshot).await?;
    on_engine!(snapshot, tx => {
        let rows: Vec<Row> = sqlx::query_as(WITHDRAWALS).fetch_all(&mut **tx).await?;
        let lines = sqlx::query_as("SELECT * FROM history ORDER BY id").fetch_all(&mut **tx).await?;
        let reviews = sqlx::query_as("SELECT withdrawal_id, reviewer FROM review")
            .fetch_all(&mut **tx).await?;
        let keys = sqlx::query_as("SELECT scope, key FROM answer").fetch_all(&mut **tx).await?;
        let last_sequence =
            sqlx::query_scalar("SELECT last_sequence FROM stream_head WHERE id = 1")
                .fetch_one(&mut **tx).await?;
        let withdrawals = all(rows)?;
        Ok(Facts { withdrawals, lines, reviews, keys, last_sequence, broken, looked })
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

/// All withdrawals, at one moment.
///
/// # Errors
/// The database's.
pub async fn withdrawals(database: &Database) -> Result<Vec<Withdrawal>, Error> {
    let rows: Vec<Row> = on_engine!(database.readers(), p =>
        sqlx::query_as(WITHDRAWALS).fetch_all(p).await?);
    all(rows)
}
