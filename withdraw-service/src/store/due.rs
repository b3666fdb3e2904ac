//! Which effects are due, and who works on them. Uses the partial index `withdrawal_due`.
//!
//! A lease is a promise between workers, not a guard: what a worker learned is applied by
//! compare-and-swap on version, so a lease that ran out costs a repetition and nothing else.

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use sqlx::Error;

use super::withdrawals::{Row, all, select};
use crate::domain::withdrawal::Withdrawal;

/// When the next effect may be begun; `None` when nothing is due at all.
///
/// # Errors
/// The database's.
pub async fn next_due_us(readers: &Readers) -> Result<Option<i64>, Error> {
    const SQL: &str = "SELECT min(CASE WHEN lease_until_us > next_run_at_us THEN lease_until_us \
        ELSE next_run_at_us END) FROM withdrawal WHERE effect IS NOT NULL";
    on_engine!(readers, p => sqlx::query_scalar(SQL).fetch_one(p).await)
}

/// Takes up to `limit` due effects for `owner` until `until_us`, the longest waiting first.
///
/// # Errors
/// The database's.
pub async fn claim(
    conn: &mut Conn,
    owner: &str,
    now_us: i64,
    until_us: i64,
    limit: i64,
) -> Result<Vec<Withdrawal>, Error> {
    const SQL: &str = select!(
        "WHERE w.effect IS NOT NULL AND w.next_run_at_us <= $1 AND w.lease_until_us <= $1 \
         ORDER BY w.next_run_at_us, w.id LIMIT $2"
    );
    const LEASE: &str = "UPDATE withdrawal SET lease_owner = $2, lease_until_us = $3 WHERE id = $1";
    let mut claimed = all(on_engine!(&mut *conn, c =>
        sqlx::query_as::<_, Row>(SQL).bind(now_us).bind(limit).fetch_all(&mut *c).await?))?;
    for w in &mut claimed {
        on_engine!(&mut *conn, c =>
            sqlx::query(LEASE).bind(w.id).bind(owner).bind(until_us).execute(&mut *c).await
                .map(drop)?);
        owner.clone_into(&mut w.due.lease_owner);
        w.due.lease_until_us = until_us;
    }
    Ok(claimed)
}
