//! The table `notification`: what providers told by themselves, once each, and what it was found to be.
//! Rows are never changed. Must not know: what follows from one.

use cashout_common::db::Conn;
use cashout_common::on_engine;
use sqlx::Error;

use crate::domain::notice::Claim;

/// A verified notification.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Notification {
    /// Who told.
    pub provider: String,
    /// The provider's id of it.
    pub id: String,
    /// Our number it is about.
    pub number: String,
    /// The provider's word for the state.
    pub state: String,
    /// What the payee is said to get, when it said; see [`Claim`].
    pub amount_minor: Option<i64>,
    /// Digest of who is said to be paid; empty when it did not say.
    pub payee_digest: String,
    /// SHA-256 of its body, hex.
    pub digest: String,
    /// What it was found to be, see `domain::notice::Verdict`.
    pub verdict: String,
    /// When it first came.
    pub received_at_us: i64,
}

impl Notification {
    /// What it told of amount and payee.
    #[must_use]
    pub fn claim(&self) -> Claim {
        Claim { amount_minor: self.amount_minor, payee_digest: self.payee_digest.clone() }
    }
}

/// The one of that id, inside a job.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut Conn, provider: &str, id: &str) -> Result<Option<Notification>, Error> {
    const SQL: &str = "SELECT * FROM notification WHERE provider = $1 AND id = $2";
    on_engine!(conn, c =>
        sqlx::query_as(SQL).bind(provider).bind(id).fetch_optional(&mut *c).await)
}

/// Keeps a notification. A second one of the same id breaks a constraint.
///
/// # Errors
/// The database's.
pub async fn add(conn: &mut Conn, n: &Notification) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO notification (provider, id, number, state, amount_minor, \
        payee_digest, digest, verdict, received_at_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    on_engine!(conn, c => sqlx::query(SQL)
        .bind(&n.provider).bind(&n.id).bind(&n.number).bind(&n.state)
        .bind(n.amount_minor).bind(&n.payee_digest).bind(&n.digest).bind(&n.verdict)
        .bind(n.received_at_us).execute(&mut *c).await.map(drop))
}

/// Whether a notification that fits an attempt of that withdrawal told one of those states.
///
/// # Errors
/// The database's.
pub async fn say(conn: &mut Conn, withdrawal_id: i64, words: &[&str]) -> Result<bool, Error> {
    const SQL: &str = "SELECT DISTINCT n.state FROM notification n JOIN attempt a \
        ON a.number = n.number AND a.provider = n.provider \
        WHERE a.withdrawal_id = $1 AND n.verdict <> 'mismatch'";
    let states: Vec<String> = on_engine!(conn, c =>
        sqlx::query_scalar(SQL).bind(withdrawal_id).fetch_all(&mut *c).await?);
    Ok(states.iter().any(|state| words.contains(&state.as_str())))
}
