//! Which effects are due, and who works on them. Uses the partial index `withdrawal_due`: a lease moves
//! the time of an effect to its end, so that the index says alone what is next.
//!
//! A lease is a promise between workers, not a guard: what a worker learned is applied by
//! compare-and-swap on version, so a lease that ran out costs a repetition and nothing else. A time
//! further ahead than anybody would have set it comes from a clock that was set back since: it does
//! not count.

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use sqlx::{AssertSqlSafe, Error};

use super::load::rows;
use crate::domain::lane::Lane;
use crate::domain::withdrawal::{WHEN_RESUMED, Withdrawal};

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

impl Times {
    /// Beyond this nobody would have set a time: it comes from a clock that was set back since.
    fn strange_us(self) -> i64 {
        self.lease_until_us.max(self.pause_until_us)
    }
}

/// When the next effect of each lane may be begun; lanes without any are left out. Looks at both ends
/// of each lane in the index and at nothing between, however many effects there are.
///
/// # Errors
/// The database's.
pub async fn next(readers: &Readers, times: Times) -> Result<Vec<(Lane, i64)>, Error> {
    let lanes = Lane::ALL.map(|lane| {
        let n = lane.number();
        format!(
            "SELECT CAST({n} AS BIGINT), (SELECT min(next_run_at_us) FROM withdrawal_state WHERE lane = {n}), \
             (SELECT max(next_run_at_us) FROM withdrawal_state WHERE lane = {n})"
        )
    });
    let sql = lanes.join(" UNION ALL ");
    let rows: Vec<(i64, Option<i64>, Option<i64>)> = on_engine!(readers, p =>
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(p).await?);
    let next = |(n, first, last): (i64, Option<i64>, Option<i64>)| {
        let lane = Lane::from_number(n)?;
        // What is held may wait for long, or for something else than a time.
        let set_back = lane != Lane::Held && last? > times.strange_us();
        let at_us = if set_back { 0 } else { first? };
        (at_us != WHEN_RESUMED).then_some((lane, at_us))
    };
    Ok(rows.into_iter().filter_map(next).collect())
}

/// Puts what was held until now into the lane of its method.
///
/// # Errors
/// The database's.
pub async fn let_go(conn: &mut Conn, now_us: i64) -> Result<u64, Error> {
    const SQL: &str = "UPDATE withdrawal_state SET lane = w.method FROM withdrawal w \
        WHERE w.id = withdrawal_state.id AND lane = $1 AND next_run_at_us <= $2";
    on_engine!(conn, c => Ok(sqlx::query(SQL).bind(Lane::Held.number()).bind(now_us)
        .execute(&mut *c).await?.rows_affected()))
}

/// Puts what waits for a channel into the lane of its method, due at once.
///
/// # Errors
/// The database's.
pub async fn resumed(conn: &mut Conn, provider: &str, now_us: i64) -> Result<u64, Error> {
    const SQL: &str = "UPDATE withdrawal_state SET lane = w.method, next_run_at_us = $3 \
        FROM withdrawal w WHERE w.id = withdrawal_state.id \
        AND lane = $1 AND next_run_at_us = $4 AND w.provider = $2";
    on_engine!(conn, c => Ok(sqlx::query(SQL).bind(Lane::Held.number()).bind(provider)
        .bind(now_us).bind(WHEN_RESUMED).execute(&mut *c).await?.rows_affected()))
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
    const SQL: &str = "UPDATE withdrawal_state SET lease_owner = $5, lease_until_us = $6, \
        next_run_at_us = $6 WHERE id IN (SELECT id FROM withdrawal_state WHERE lane = $1 \
        AND (next_run_at_us <= $2 OR next_run_at_us > $3) \
        ORDER BY next_run_at_us, id LIMIT $4) RETURNING id";
    let ids: Vec<i64> = on_engine!(&mut *conn, c =>
        sqlx::query_scalar(SQL).bind(lane.number()).bind(times.now_us)
            .bind(times.strange_us()).bind(limit).bind(owner).bind(until_us)
            .fetch_all(&mut *c).await?);
    rows(conn, &ids).await
}
