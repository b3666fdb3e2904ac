//! The table `sandbox_payout`: the sandbox provider's own books. Only the sandbox and `verify` read it.

use cashout_common::db::Readers;
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

/// The payout with that number.
///
/// # Errors
/// The database's.
pub async fn find(readers: &Readers, number: &str) -> Result<Option<Payout>, Error> {
    on_engine!(readers, p => sqlx::query_as(FIND).bind(number).fetch_optional(p).await)
}
