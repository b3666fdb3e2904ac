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
    /// `send`, `query` or `cancel`.
    pub operation: String,
    /// The answer; empty while there is none.
    pub outcome: String,
    /// The provider's words.
    pub detail: String,
    /// When it was begun.
    pub at_us: i64,
}

/// The live attempt of a withdrawal.
///
/// # Errors
/// The database's.
pub async fn live(conn: &mut Conn, withdrawal_id: i64) -> Result<Option<Attempt>, Error> {
    const SQL: &str = "SELECT * FROM attempt WHERE withdrawal_id = $1 AND state = 'live'";
    on_engine!(conn, c => sqlx::query_as(SQL).bind(withdrawal_id).fetch_optional(&mut *c).await)
}

/// The attempt of that number.
///
/// # Errors
/// The database's.
pub async fn of_number(conn: &mut Conn, number: &str) -> Result<Option<Attempt>, Error> {
    const SQL: &str = "SELECT * FROM attempt WHERE number = $1";
    on_engine!(conn, c => sqlx::query_as(SQL).bind(number).fetch_optional(&mut *c).await)
}

/// All calls under a number, oldest first.
///
/// # Errors
/// The database's.
pub async fn calls_of_number(conn: &mut Conn, number: &str) -> Result<Vec<Call>, Error> {
    const SQL: &str = "SELECT * FROM provider_call WHERE number = $1 ORDER BY id";
    on_engine!(conn, c => sqlx::query_as(SQL).bind(number).fetch_all(&mut *c).await)
}

/// How many sendings of a number were turned down until somebody repairs something.
///
/// # Errors
/// The database's.
pub async fn times_blocked(conn: &mut Conn, number: &str) -> Result<i64, Error> {
    const SQL: &str = "SELECT count(*) FROM provider_call WHERE number = $1 \
        AND operation = 'send' AND outcome = 'blocked'";
    on_engine!(conn, c => sqlx::query_scalar(SQL).bind(number).fetch_one(&mut *c).await)
}

/// The last time a number was sent or asked about; asking to take it back is neither.
///
/// # Errors
/// The database's.
pub async fn last_asked(conn: &mut Conn, number: &str) -> Result<Option<Call>, Error> {
    const SQL: &str = "SELECT * FROM provider_call WHERE number = $1 AND operation <> 'cancel' \
        ORDER BY id DESC LIMIT 1";
    on_engine!(conn, c => sqlx::query_as(SQL).bind(number).fetch_optional(&mut *c).await)
}

/// Whether a person had a number taken back, whatever became of it.
///
/// # Errors
/// The database's.
pub async fn taken_back(conn: &mut Conn, number: &str) -> Result<bool, Error> {
    const SQL: &str =
        "SELECT count(*) FROM provider_call WHERE number = $1 AND operation = 'cancel'";
    let calls: i64 = on_engine!(conn, c =>
        sqlx::query_scalar(SQL).bind(number).fetch_one(&mut *c).await?);
    Ok(calls > 0)
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
