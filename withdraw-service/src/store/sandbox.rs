//! The table `sandbox_payout`: the sandbox provider's own books. Only the sandbox and `verify` read it.

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use sqlx::Error;

/// One payout in the sandbox's books.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Payout {
    /// The caller's number.
    pub number: String,
    /// Digest of the request it came with.
    pub digest: String,
    /// Who is paid.
    pub payee_id: String,
    /// How much.
    pub amount_minor: i64,
    /// `paid`, `refused`, `pending`, `lost` or `silent`.
    pub state: String,
    /// The sandbox's number.
    pub third_trade_no: String,
    /// When a pending one becomes paid.
    pub due_at_us: i64,
    /// When it was first sent.
    pub created_at_us: i64,
}

const FIND: &str = "SELECT * FROM sandbox_payout WHERE number = $1";

/// The payout with that number, inside a job.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut Conn, number: &str) -> Result<Option<Payout>, Error> {
    on_engine!(conn, c => sqlx::query_as(FIND).bind(number).fetch_optional(&mut *c).await)
}

/// The payout with that number.
///
/// # Errors
/// The database's.
pub async fn find(readers: &Readers, number: &str) -> Result<Option<Payout>, Error> {
    on_engine!(readers, p => sqlx::query_as(FIND).bind(number).fetch_optional(p).await)
}

/// Books a payout.
///
/// # Errors
/// The database's.
pub async fn insert(conn: &mut Conn, payout: &Payout) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO sandbox_payout (number, digest, payee_id, amount_minor, state, \
        third_trade_no, due_at_us, created_at_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    on_engine!(conn, c => sqlx::query(SQL)
        .bind(&payout.number).bind(&payout.digest).bind(&payout.payee_id).bind(payout.amount_minor)
        .bind(&payout.state).bind(&payout.third_trade_no).bind(payout.due_at_us)
        .bind(payout.created_at_us).execute(&mut *c).await.map(drop))
}

/// Books that a payout was made after all.
///
/// # Errors
/// The database's.
pub async fn set_paid(conn: &mut Conn, number: &str) -> Result<(), Error> {
    on_engine!(conn, c =>
        sqlx::query("UPDATE sandbox_payout SET state = 'paid' WHERE number = $1 AND state IN ('pending', 'lost')")
            .bind(number).execute(&mut *c).await.map(drop))
}
