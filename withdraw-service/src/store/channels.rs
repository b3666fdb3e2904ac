//! The tables `channel` and `channel_change`: which providers' payouts are stopped, what their accounts
//! were last said to hold, and every change of it. Changes are made under the write lock.
//!
//! Must not know: when a channel is to be paused.

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use sqlx::Error;

use crate::domain::channel::Cause;

/// A provider's channel. One without a row was never paused.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Channel {
    /// Whose.
    pub provider: String,
    /// 1 while paused, else 0.
    pub paused: i64,
    /// Name of the [`Cause`]; empty when not paused.
    pub cause: String,
    /// In words.
    pub reason: String,
    /// `user:9` or `system`.
    pub changed_by: String,
    /// When it was last paused or resumed; 0 for never.
    pub changed_at_us: i64,
    /// What was last said to be there, minor units.
    pub balance_minor: i64,
    /// When it was said; 0 for never.
    pub balance_at_us: i64,
}

impl Channel {
    /// Why it is paused; `None` when it is not.
    #[must_use]
    pub fn standing(&self) -> Option<Cause> {
        Cause::from_name(&self.cause).filter(|_| self.paused != 0)
    }
}

/// What waits for a provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Queue {
    /// Which.
    pub provider: String,
    /// Together, minor units.
    pub minor: i64,
    /// How many.
    pub count: i64,
}

/// The channel of a provider, inside a job.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut Conn, provider: &str) -> Result<Channel, Error> {
    const SQL: &str = "SELECT * FROM channel WHERE provider = $1";
    let found: Option<Channel> = on_engine!(conn, c =>
        sqlx::query_as(SQL).bind(provider).fetch_optional(&mut *c).await?);
    Ok(found.unwrap_or_else(|| Channel { provider: provider.to_owned(), ..Channel::default() }))
}

/// Every channel that has a row, by name.
///
/// # Errors
/// The database's.
pub async fn all(readers: &Readers) -> Result<Vec<Channel>, Error> {
    const SQL: &str = "SELECT * FROM channel ORDER BY provider";
    on_engine!(readers, p => sqlx::query_as(SQL).fetch_all(p).await)
}

/// What waits for a provider, found by what is due of it: looked at first, however the rest is planned.
macro_rules! of_waiting {
    ($columns:literal, $rest:literal) => {
        concat!(
            "WITH waiting AS MATERIALIZED (SELECT id FROM withdrawal_state \
             WHERE lane IS NOT NULL AND status IN (4, 16)) SELECT ",
            $columns,
            " FROM waiting JOIN withdrawal w ON w.id = waiting.id WHERE ",
            $rest
        )
    };
}

/// What is approved and not sent, or blocked, and could be paid at `by_us`; by provider. Uses
/// `withdrawal_due`.
///
/// # Errors
/// The database's.
pub async fn queues(readers: &Readers, by_us: i64) -> Result<Vec<Queue>, Error> {
    const SQL: &str = of_waiting!(
        "w.provider, CAST(sum(w.actual_minor) AS BIGINT) AS minor, count(*) AS count",
        "w.payable_from_us <= $1 GROUP BY w.provider"
    );
    on_engine!(readers, p => sqlx::query_as(SQL).bind(by_us).fetch_all(p).await)
}

/// The same of one provider, inside a job.
///
/// # Errors
/// The database's.
pub async fn queue(conn: &mut Conn, provider: &str, by_us: i64) -> Result<(i64, i64), Error> {
    const SQL: &str = of_waiting!(
        "CAST(coalesce(sum(w.actual_minor), 0) AS BIGINT), count(*)",
        "w.provider = $1 AND w.payable_from_us <= $2"
    );
    on_engine!(conn, c =>
        sqlx::query_as(SQL).bind(provider).bind(by_us).fetch_one(&mut *c).await)
}

/// Pauses (with a cause) or resumes (with none) a channel and keeps the change for ever.
///
/// # Errors
/// The database's.
pub async fn change(
    conn: &mut Conn,
    provider: &str,
    cause: Option<Cause>,
    reason: &str,
    by: &str,
    at_us: i64,
) -> Result<(), Error> {
    const CHANNEL: &str = "INSERT INTO channel (provider, paused, cause, reason, changed_by, \
        changed_at_us, balance_minor, balance_at_us) VALUES ($1, $2, $3, $4, $5, $6, 0, 0) \
        ON CONFLICT (provider) DO UPDATE SET paused = excluded.paused, cause = excluded.cause, \
        reason = excluded.reason, changed_by = excluded.changed_by, \
        changed_at_us = excluded.changed_at_us";
    const CHANGE: &str = "INSERT INTO channel_change (id, provider, paused, cause, reason, \
        changed_by, at_us) SELECT coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, $6 \
        FROM channel_change";
    let (paused, cause) = (i64::from(cause.is_some()), cause.map_or("", Cause::name));
    for sql in [CHANNEL, CHANGE] {
        on_engine!(&mut *conn, c => sqlx::query(sql)
            .bind(provider).bind(paused).bind(cause).bind(reason).bind(by).bind(at_us)
            .execute(&mut *c).await.map(drop)?);
    }
    Ok(())
}

/// Keeps what a provider says is there.
///
/// # Errors
/// The database's.
pub async fn set_balance(
    conn: &mut Conn,
    provider: &str,
    minor: i64,
    at_us: i64,
) -> Result<(), Error> {
    const SQL: &str = "INSERT INTO channel (provider, paused, cause, reason, changed_by, \
        changed_at_us, balance_minor, balance_at_us) VALUES ($1, 0, '', '', '', 0, $2, $3) \
        ON CONFLICT (provider) DO UPDATE SET balance_minor = excluded.balance_minor, \
        balance_at_us = excluded.balance_at_us";
    on_engine!(conn, c => sqlx::query(SQL)
        .bind(provider).bind(minor).bind(at_us).execute(&mut *c).await.map(drop))
}

#[cfg(test)]
mod tests {
    use crate::domain::status::Status;

    #[test]
    fn what_is_queued_is_approved_or_blocked() {
        assert_eq!((Status::Approved.number(), Status::Blocked.number()), (4, 16));
    }
}
