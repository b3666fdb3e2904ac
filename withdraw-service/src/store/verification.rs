//! Everything `verify` looks at, read at one moment.

use cashout_common::db::Database;
use cashout_common::on_engine;
use sqlx::Error;

use super::attempts::Attempt;
use super::history::Line;
use super::payout_rules::{Broken, Looked, broken};
use super::withdrawals::{Row, all, columns, select};
use crate::domain::withdrawal::Withdrawal;

/// The database at one moment.
#[derive(Debug)]
#[allow(missing_docs)] // Each field is a table, or what was found in tables too big to be read.
pub struct Facts {
    pub withdrawals: Vec<Withdrawal>,
    pub lines: Vec<Line>,
    pub attempts: Vec<Attempt>,
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

/// Reads all of it.
///
/// # Errors
/// The database's.
pub async fn read(database: &Database) -> Result<Facts, Error> {
    const WITHDRAWALS: &str = select!("ORDER BY w.id");
    let mut snapshot = database.snapshot().await?;
    let (broken, looked) = broken(&mut snapshot).await?;
    on_engine!(snapshot, tx => {
        let mut tx = tx;
        let rows: Vec<Row> = sqlx::query_as(WITHDRAWALS).fetch_all(&mut *tx).await?;
        let lines = sqlx::query_as("SELECT * FROM history ORDER BY id").fetch_all(&mut *tx).await?;
        let attempts = sqlx::query_as("SELECT * FROM attempt ORDER BY withdrawal_id, number")
            .fetch_all(&mut *tx).await?;
        let reviews = sqlx::query_as("SELECT withdrawal_id, reviewer FROM review")
            .fetch_all(&mut *tx).await?;
        let keys = sqlx::query_as("SELECT scope, key FROM answer").fetch_all(&mut *tx).await?;
        let last_sequence =
            sqlx::query_scalar("SELECT last_sequence FROM stream_head WHERE id = 1")
                .fetch_one(&mut *tx).await?;
        tx.rollback().await?;
        let withdrawals = all(rows)?;
        Ok(Facts { withdrawals, lines, attempts, reviews, keys, last_sequence, broken, looked })
    })
}
