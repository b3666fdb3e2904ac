//! The float guard: asks each provider now and then what is there to pay with, and compares it with what
//! waits. Too little pauses the payouts of that provider and sounds an alarm; enough resumes them, if it
//! was the balance that paused them. No answer changes nothing, so a provider that turns payouts down for
//! its balance and does not tell it is resumed by a person. Providers do not wait for each other.
//!
//! Must not know: how a provider is asked.

use std::sync::Arc;
use std::time::Duration;

use cashout_common::db::Conn;
use cashout_common::writer::{WriteError, database_failure};
use cashout_proto::Failure;
use futures::FutureExt;
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use super::channels::{self, Alarm};
use super::{Core, micros};
use crate::domain::channel::Cause;
use crate::store::channels as stored;

/// How the guard watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloatGuard {
    /// How often, by the clock.
    pub check_every: Duration,
    /// What must be left at the provider, minor units.
    pub reserve_minor: i64,
}

impl Default for FloatGuard {
    fn default() -> Self {
        Self { check_every: Duration::from_secs(60), reserve_minor: 0 }
    }
}

/// What a provider said is there, and when it was asked.
struct Told {
    provider: String,
    minor: i64,
    asked_at_us: i64,
}

/// What a comparison changed.
enum Change {
    Paused(Alarm),
    Resumed,
}

/// Watches until `stop`.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let next_us = core.now_us().saturating_add(micros(core.float.check_every));
        let checks = core.providers.names().into_iter().map(|provider| {
            let core = core.clone();
            async move {
                if let Err(failure) = core.check_float(&provider).await {
                    tracing::warn!(provider, %failure, "the float cannot be compared");
                }
            }
        });
        join_all(checks).await;
        tokio::select! {
            () = core.world.clock.sleep_until(next_us) => {}
            () = stop.cancelled() => {}
        }
    }
}

impl Core {
    /// Asks one provider, if anything waits for it or for its balance.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn check_float(&self, name: &str) -> Result<(), Failure> {
        let Some(provider) = self.providers.named(name) else { return Ok(()) };
        if !self.needs_float(name).await.map_err(|e| database_failure(&e))? {
            return Ok(());
        }
        let asked_at_us = self.now_us();
        let asked = tokio::spawn(provider.balance());
        let minor = match tokio::time::timeout(self.timing.call_timeout, asked).await {
            Ok(Ok(Ok(Some(minor)))) => minor,
            // A provider without such a limit.
            Ok(Ok(Ok(None))) => return Ok(()),
            Ok(Ok(Err(why))) => {
                tracing::warn!(provider = name, why, "a provider does not tell its balance");
                return Ok(());
            }
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(provider = name, "no answer to what the balance is");
                return Ok(());
            }
        };
        let told = Told { provider: name.to_owned(), minor, asked_at_us };
        let (reserve_minor, now_us) = (self.float.reserve_minor, self.now_us());
        let job = self.store.write(move |conn| {
            async move { compare(conn, told, reserve_minor, now_us).await }.boxed()
        });
        match job.await? {
            Some(Change::Paused(alarm)) => alarm.sound(),
            Some(Change::Resumed) => {
                tracing::info!(provider = name, balance_minor = minor, "payouts resume");
                self.wake.notify_one();
            }
            None => {}
        }
        Ok(())
    }

    async fn needs_float(&self, name: &str) -> Result<bool, sqlx::Error> {
        let readers = self.store.readers();
        let queues = stored::queues(readers, self.now_us()).await?;
        if queues.iter().any(|queue| queue.provider == name) {
            return Ok(true);
        }
        let channels = stored::all(readers).await?;
        let short =
            |c: &stored::Channel| c.provider == name && c.standing() == Some(Cause::Balance);
        Ok(channels.iter().any(short))
    }
}

/// Compares, inside a job, with what waits now.
async fn compare(
    conn: &mut Conn,
    told: Told,
    reserve_minor: i64,
    now_us: i64,
) -> Result<Option<Change>, WriteError> {
    let Told { provider, minor, asked_at_us } = told;
    let provider = provider.as_str();
    let channel = stored::get(conn, provider).await?;
    // Another instance asked later and was faster. A time still to come is of a clock set back since.
    if (asked_at_us.saturating_add(1)..=now_us).contains(&channel.balance_at_us) {
        return Ok(None);
    }
    stored::set_balance(conn, provider, minor, asked_at_us).await?;
    let (queued_minor, count) = stored::queue(conn, provider, now_us).await?;
    let standing = channel.standing();
    let spendable_minor = minor.saturating_sub(reserve_minor);
    if spendable_minor < queued_minor {
        let reason = format!(
            "balance {minor}, kept {reserve_minor}, waiting {queued_minor} in {count} payouts \
             (minor units)"
        );
        let paused =
            channels::pause(conn, provider, (Cause::Balance, &reason), "system", now_us).await?;
        return Ok(paused.map(Change::Paused));
    }
    if standing != Some(Cause::Balance) {
        return Ok(None);
    }
    let reason = format!("balance {minor}, waiting {queued_minor} (minor units)");
    channels::resume(conn, provider, &reason, "system", now_us).await?;
    Ok(Some(Change::Resumed))
}
