//! The table `answer`: what was answered under callers' keys, kept for ever (G7).

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use sqlx::Error;

/// A stored answer.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Stored {
    /// Digest of the request it answered.
    pub digest: Vec<u8>,
    /// The answer.
    pub reply: Vec<u8>,
}

const FIND: &str = "SELECT digest, reply FROM answer WHERE scope = $1 AND key = $2";

/// The answer stored under a key, inside a job.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut Conn, scope: &str, key: &str) -> Result<Option<Stored>, Error> {
    on_engine!(conn, c =>
        sqlx::query_as(FIND).bind(scope).bind(key).fetch_optional(&mut *c).await)
}

/// The answer stored under a key.
///
/// # Errors
/// The database's.
pub async fn find(readers: &Readers, scope: &str, key: &str) -> Result<Option<Stored>, Error> {
    on_engine!(readers, p => sqlx::query_as(FIND).bind(scope).bind(key).fetch_optional(p).await)
}

/// Stores an answer in the transaction of its effect. A key that is taken breaks a constraint.
///
/// # Errors
/// The database's.
pub async fn put(
    conn: &mut Conn,
    scope: &str,
    key: &str,
    stored: &Stored,
    at_us: i64,
) -> Result<(), Error> {
    const SQL: &str =
        "INSERT INTO answer (scope, key, digest, reply, at_us) VALUES ($1, $2, $3, $4, $5)";
    on_engine!(conn, c => sqlx::query(SQL)
        .bind(scope).bind(key).bind(&stored.digest).bind(&stored.reply).bind(at_us)
        .execute(&mut *c).await.map(drop))
}
