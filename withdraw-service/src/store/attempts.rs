//! The tables `attempt` and `provider_call`: what was asked of providers, written before it was asked.

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use sqlx::Error;

/// One number under which a provider was asked to pay.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Attempt {
    /// Our number.
    pub number: String,
    /// What it pays.
    pub withdrawal_id: i64,
    /// Who pays.
    pub provider: String,
    /// Who is paid.
    pub payee_id: String,
    /// What the payee gets.
    pub amount_minor: i64,
    /// The exact request.
    pub body: Vec<u8>,
    /// SHA-256 of the request, hex.
    pub digest: String,
    /// `live`, `paid` or `failed`.
    pub state: String,
    /// When it was written.
    pub created_at_us: i64,
}

/// One call to a provider.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Call {
    /// Order of the calls.
    pub id: i64,
    /// Our number.
    pub number: String,
    /// `send` or `query`.
    pub operation: String,
    /// The answer; empty while there is none.
    pub outcome: String,
    /// The provider's words.
    pub detail: String,
    /// When it was begun.
    pub at_us: i64,
}

/// Writes an attempt. A second live one of the same withdrawal breaks a constraint.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut Conn, a: &Attempt) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO attempt (number, withdrawal_id, provider, payee_id, \
        amount_minor, body, digest, state, created_at_us) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    on_engine!(conn, c => sqlx::query(SQL)
        .bind(&a.number).bind(a.withdrawal_id).bind(&a.provider).bind(&a.payee_id)
        .bind(a.amount_minor).bind(&a.body).bind(&a.digest).bind(&a.state).bind(a.created_at_us)
        .execute(&mut *c).await.map(drop))
}

/// How many attempts a withdrawal has.
///
/// # Errors
/// The database's.
pub async fn count(conn: &mut Conn, withdrawal_id: i64) -> Result<i64, Error> {
    on_engine!(conn, c =>
        sqlx::query_scalar("SELECT count(*) FROM attempt WHERE withdrawal_id = $1")
            .bind(withdrawal_id).fetch_one(&mut *c).await)
}

/// Whether a number is taken.
///
/// # Errors
/// The database's.
pub async fn taken(conn: &mut Conn, number: &str) -> Result<bool, Error> {
    let count: i64 = on_engine!(conn, c =>
        sqlx::query_scalar("SELECT count(*) FROM attempt WHERE number = $1")
            .bind(number).fetch_one(&mut *c).await?);
    Ok(count > 0)
}

/// The live attempt of a withdrawal.
///
/// # Errors
/// The database's.
pub async fn live(conn: &mut Conn, withdrawal_id: i64) -> Result<Option<Attempt>, Error> {
    const SQL: &str = "SELECT * FROM attempt WHERE withdrawal_id = $1 AND state = 'live'";
    on_engine!(conn, c => sqlx::query_as(SQL).bind(withdrawal_id).fetch_optional(&mut *c).await)
}

/// Ends the live attempt of a withdrawal, if there is one.
///
/// # Errors
/// The database's.
pub async fn end(conn: &mut Conn, withdrawal_id: i64, state: &'static str) -> Result<(), Error> {
    const SQL: &str = "UPDATE attempt SET state = $2 WHERE withdrawal_id = $1 AND state = 'live'";
    on_engine!(conn, c =>
        sqlx::query(SQL).bind(withdrawal_id).bind(state).execute(&mut *c).await.map(drop))
}

/// The last call made under a number.
///
/// # Errors
/// The database's.
pub async fn last_call(conn: &mut Conn, number: &str) -> Result<Option<Call>, Error> {
    const SQL: &str = "SELECT * FROM provider_call WHERE number = $1 ORDER BY id DESC LIMIT 1";
    on_engine!(conn, c => sqlx::query_as(SQL).bind(number).fetch_optional(&mut *c).await)
}

/// Notes that a call is about to be made; gives its id.
///
/// # Errors
/// The database's.
pub async fn begin_call(
    conn: &mut Conn,
    number: &str,
    operation: &'static str,
    at_us: i64,
) -> Result<i64, Error> {
    const SQL: &str = "INSERT INTO provider_call (id, number, operation, outcome, detail, at_us) \
        SELECT coalesce(max(id), 0) + 1, $1, $2, '', '', $3 FROM provider_call RETURNING id";
    on_engine!(conn, c => sqlx::query_scalar(SQL)
        .bind(number).bind(operation).bind(at_us).fetch_one(&mut *c).await)
}

/// Notes the answer to a call.
///
/// # Errors
/// The database's.
pub async fn end_call(
    conn: &mut Conn,
    id: i64,
    outcome: &'static str,
    detail: &str,
) -> Result<(), Error> {
    const SQL: &str =
        "UPDATE provider_call SET outcome = $2, detail = $3 WHERE id = $1 AND outcome = ''";
    on_engine!(conn, c => sqlx::query(SQL)
        .bind(id).bind(outcome).bind(detail).execute(&mut *c).await.map(drop))
}

const CALLS: &str = "SELECT c.* FROM provider_call c JOIN attempt a ON a.number = c.number \
    WHERE a.withdrawal_id = $1 ORDER BY c.id";

/// All attempts of a withdrawal with all their calls, oldest first.
///
/// # Errors
/// The database's.
pub async fn of(readers: &Readers, withdrawal_id: i64) -> Result<(Vec<Attempt>, Vec<Call>), Error> {
    const SQL: &str =
        "SELECT * FROM attempt WHERE withdrawal_id = $1 ORDER BY created_at_us, number";
    on_engine!(readers, p => {
        let attempts = sqlx::query_as(SQL).bind(withdrawal_id).fetch_all(p).await?;
        let calls = sqlx::query_as(CALLS).bind(withdrawal_id).fetch_all(p).await?;
        Ok((attempts, calls))
    })
}

/// All calls for a withdrawal, inside a job.
///
/// # Errors
/// The database's.
pub async fn calls(conn: &mut Conn, withdrawal_id: i64) -> Result<Vec<Call>, Error> {
    on_engine!(conn, c => sqlx::query_as(CALLS).bind(withdrawal_id).fetch_all(&mut *c).await)
}
