//! Which effects are due, and who works on them. Uses the partial index `withdrawal_due`.
//!
//! A lease is a promise between workers, not a guard: what a worker learned is applied by
//! compare-and-swap on version, so a lease that ran out costs a repetition and nothing else. A time
//! further ahead than anybody would have set it comes from a clock that was set back since: it does
//! not count.

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use sqlx::{AssertSqlSafe, Error};

use super::withdrawals::{Row, all, select};
use crate::domain::lane::Lane;
use crate::domain::status::Effect;
use crate::domain::withdrawal::Withdrawal;

/// The present, and how far ahead of it times may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// UTC microseconds.
    pub now_us: i64,
    /// The latest that a lease taken now ends.
    pub lease_until_us: i64,
    /// The latest that a pause begun now ends.
    pub pause_until_us: i64,
}

/// The lane of a withdrawal `w` with an effect, as [`Lane::number`] has it.
fn lane_sql() -> String {
    let asks = Effect::ALL.iter().filter(|effect| effect.asks_provider());
    let names: Vec<String> = asks.map(|effect| format!("'{}'", effect.name())).collect();
    format!("CASE WHEN w.effect IN ({}) THEN w.method ELSE -1 END", names.join(", "))
}

/// When the next effect of each lane may be begun; lanes without any are left out.
///
/// # Errors
/// The database's.
pub async fn next(readers: &Readers, times: Times) -> Result<Vec<(Lane, i64)>, Error> {
    let sql = format!(
        "SELECT lane, min(CASE WHEN leased_us > run_us THEN leased_us ELSE run_us END) FROM \
         (SELECT {} AS lane, \
         CASE WHEN w.next_run_at_us > $1 THEN 0 ELSE w.next_run_at_us END AS run_us, \
         CASE WHEN w.lease_until_us > $2 THEN 0 ELSE w.lease_until_us END AS leased_us \
         FROM withdrawal w WHERE w.effect IS NOT NULL) AS due GROUP BY lane",
        lane_sql()
    );
    let rows: Vec<(i64, i64)> = on_engine!(readers, p =>
        sqlx::query_as(AssertSqlSafe(sql)).bind(times.pause_until_us).bind(times.lease_until_us)
            .fetch_all(p).await?);
    Ok(rows.into_iter().filter_map(|(n, at_us)| Some((Lane::from_number(n)?, at_us))).collect())
}

/// Takes up to `limit` due effects of a lane for `owner` until `until_us`, the longest waiting first.
///
/// # Errors
/// The database's.
pub async fn claim(
    conn: &mut Conn,
    owner: &str,
    lane: Lane,
    times: Times,
    until_us: i64,
    limit: i64,
) -> Result<Vec<Withdrawal>, Error> {
    const LEASE: &str = "UPDATE withdrawal SET lease_owner = $2, lease_until_us = $3 WHERE id = $1";
    let sql = format!(
        "{}WHERE w.effect IS NOT NULL AND (w.next_run_at_us <= $1 OR w.next_run_at_us > $2) \
         AND (w.lease_until_us <= $1 OR w.lease_until_us > $3) AND {} = $4 \
         ORDER BY w.next_run_at_us, w.id LIMIT $5",
        select!(""),
        lane_sql()
    );
    let mut claimed = all(on_engine!(&mut *conn, c =>
        sqlx::query_as::<_, Row>(AssertSqlSafe(sql)).bind(times.now_us).bind(times.pause_until_us)
            .bind(times.lease_until_us).bind(lane.number()).bind(limit)
            .fetch_all(&mut *c).await?))?;
    for w in &mut claimed {
        on_engine!(&mut *conn, c =>
            sqlx::query(LEASE).bind(w.id).bind(owner).bind(until_us).execute(&mut *c).await
                .map(drop)?);
        owner.clone_into(&mut w.due.lease_owner);
        w.due.lease_until_us = until_us;
    }
    Ok(claimed)
}
