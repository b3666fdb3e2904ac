//! The table `history`: every change of status, which is also the stream of changes.

use std::borrow::Cow;

use cashout_common::db::Readers;
use cashout_common::on_engine;
use sqlx::Error;

/// One line of history.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Line {
    /// Sequence in the stream.
    pub id: i64,
    /// The withdrawal.
    pub withdrawal_id: i64,
    /// Its owner.
    pub user_id: i64,
    /// Status before; 0 for nothing.
    pub from_status: i64,
    /// Status after.
    pub to_status: i64,
    /// Name of the event.
    #[sqlx(try_from = "String")]
    pub event: Cow<'static, str>,
    /// Who did it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at_us: i64,
}

/// Up to `limit` lines after a sequence, of one withdrawal or (0) of all.
///
/// # Errors
/// The database's.
pub async fn after(
    readers: &Readers,
    sequence: i64,
    withdrawal_id: i64,
    limit: i64,
) -> Result<Vec<Line>, Error> {
    const ALL: &str = "SELECT * FROM history WHERE id > $1 ORDER BY id LIMIT $2";
    const ONE: &str =
        "SELECT * FROM history WHERE id > $1 AND withdrawal_id = $3 ORDER BY id LIMIT $2";
    on_engine!(readers, p => if withdrawal_id == 0 {
        sqlx::query_as(ALL).bind(sequence).bind(limit).fetch_all(p).await
    } else {
        sqlx::query_as(ONE).bind(sequence).bind(limit).bind(withdrawal_id).fetch_all(p).await
    })
}

/// The last sequence given.
///
/// # Errors
/// The database's.
pub async fn last_sequence(readers: &Readers) -> Result<i64, Error> {
    on_engine!(readers, p =>
        sqlx::query_scalar("SELECT last_sequence FROM stream_head WHERE id = 1").fetch_one(p).await)
}
