//! The table `review`: who approved which content.

use cashout_common::db::Conn;
use cashout_common::on_engine;
use sqlx::Error;

/// Adds an approval; false when this person had approved this content already.
///
/// # Errors
/// The database's.
pub async fn add(
    conn: &mut Conn,
    withdrawal_id: i64,
    content_digest: &str,
    reviewer: i64,
    at_us: i64,
) -> Result<bool, Error> {
    const SQL: &str = "INSERT INTO review (withdrawal_id, content_digest, reviewer, at_us) \
        VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    on_engine!(conn, c => sqlx::query(SQL)
        .bind(withdrawal_id).bind(content_digest).bind(reviewer).bind(at_us)
        .execute(&mut *c).await.map(|r| r.rows_affected() == 1))
}
