//! The table `open_case`: questions only a person can answer.

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use sqlx::Error;

/// A question and, once decided, its answer.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Case {
    /// Its number.
    pub id: i64,
    /// What it is about.
    pub withdrawal_id: i64,
    /// What kind of question: `outcome_unknown`, `request_refused`.
    pub kind: String,
    /// What is known.
    pub evidence: String,
    /// When it was opened.
    pub opened_at_us: i64,
    /// Empty while open.
    pub resolution: String,
    /// Who decided.
    pub resolved_by: String,
    /// The proof, in words.
    pub reason: String,
    /// When it was decided.
    pub resolved_at_us: i64,
}

/// Opens a case. A second open one of the same withdrawal breaks a constraint.
///
/// # Errors
/// The database's.
pub async fn open(
    conn: &mut Conn,
    withdrawal_id: i64,
    kind: &'static str,
    evidence: &str,
    at_us: i64,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO open_case (id, withdrawal_id, kind, evidence, opened_at_us, \
        resolution, resolved_by, reason, resolved_at_us) \
        SELECT coalesce(max(id), 0) + 1, $1, $4, $2, $3, '', '', '', 0 \
        FROM open_case";
    on_engine!(conn, c => sqlx::query(SQL)
        .bind(withdrawal_id).bind(evidence).bind(at_us).bind(kind).execute(&mut *c).await.map(drop))
}

/// One case, inside a job.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut Conn, id: i64) -> Result<Option<Case>, Error> {
    on_engine!(conn, c =>
        sqlx::query_as("SELECT * FROM open_case WHERE id = $1").bind(id)
            .fetch_optional(&mut *c).await)
}

/// When a person last had the provider asked again; 0 for never.
///
/// # Errors
/// The database's.
pub async fn asked_again_us(conn: &mut Conn, withdrawal_id: i64) -> Result<i64, Error> {
    const SQL: &str = "SELECT coalesce(max(resolved_at_us), 0) FROM open_case \
        WHERE withdrawal_id = $1 AND resolution = 'ask_again'";
    on_engine!(conn, c =>
        sqlx::query_scalar(SQL).bind(withdrawal_id).fetch_one(&mut *c).await)
}

/// Decides the open case of a withdrawal, if there is one.
///
/// # Errors
/// The database's.
pub async fn resolve(
    conn: &mut Conn,
    withdrawal_id: i64,
    resolution: &'static str,
    by: &str,
    reason: &str,
    at_us: i64,
) -> Result<(), Error> {
    const SQL: &str = "UPDATE open_case SET resolution = $2, resolved_by = $3, reason = $4, \
        resolved_at_us = $5 WHERE withdrawal_id = $1 AND resolution = ''";
    on_engine!(conn, c => sqlx::query(SQL)
        .bind(withdrawal_id).bind(resolution).bind(by).bind(reason).bind(at_us)
        .execute(&mut *c).await.map(drop))
}

/// Cases below an id, newest first.
///
/// # Errors
/// The database's.
pub async fn list(
    readers: &Readers,
    open_only: bool,
    before_id: i64,
    limit: i64,
) -> Result<Vec<Case>, Error> {
    const ALL: &str = "SELECT * FROM open_case WHERE id < $1 ORDER BY id DESC LIMIT $2";
    const OPEN: &str =
        "SELECT * FROM open_case WHERE id < $1 AND resolution = '' ORDER BY id DESC LIMIT $2";
    let sql = if open_only { OPEN } else { ALL };
    on_engine!(readers, p => sqlx::query_as(sql).bind(before_id).bind(limit).fetch_all(p).await)
}
