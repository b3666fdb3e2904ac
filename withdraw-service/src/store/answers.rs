//! The table `answer`: what was answered under callers' keys, kept for ever (G7).

use cashout_common::db::Readers;
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

/// The answer stored under a key.
///
/// # Errors
/// The database's.
pub async fn find(readers: &Readers, scope: &str, key: &str) -> Result<Option<Stored>, Error> {
    on_engine!(readers, p => sqlx::query_as(FIND).bind(scope).bind(key).fetch_optional(p).await)
}
