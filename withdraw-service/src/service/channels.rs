//! Pausing and resuming the payouts of a provider: by a person, by what the provider answers, by its
//! balance. While a channel is paused nothing is sent; what was sent is still asked about and can be taken
//! back, and all money stays frozen. A pause is committed under the write lock, so nothing is noted as
//! sent after it.

use cashout_common::db::Conn;
use cashout_common::text;
use cashout_common::writer::{WriteError, database_failure};
use cashout_proto::Failure;
use futures::FutureExt;

use super::Core;
use crate::domain::channel::Cause;
use crate::ports::Repair;
use crate::store::channels::{self, Channel, Queue};
use crate::store::due;

/// A channel as operators see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// How it stands.
    pub channel: Channel,
    /// What waits for it.
    pub queue: Queue,
}

/// A pause that nobody asked for: somebody has to be told, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Whose payouts are paused.
    pub provider: String,
    /// Why.
    pub cause: Cause,
    /// In the provider's words, or in amounts.
    pub reason: String,
}

impl Alarm {
    /// Tells the operator, after the commit.
    pub fn sound(&self) {
        let alarm = if self.cause == Cause::Balance { "float_short" } else { "channel_paused" };
        let (provider, reason) = (&self.provider, &self.reason);
        tracing::error!(alarm, provider, reason, "payouts of a provider are paused");
    }
}

/// Since when payouts of a provider may be begun; `None` while they may not. 0: it was never paused.
pub(super) async fn open_since_us(
    conn: &mut Conn,
    provider: &str,
) -> Result<Option<i64>, WriteError> {
    let channel = channels::get(conn, provider).await?;
    Ok((channel.paused == 0).then_some(channel.changed_at_us))
}

/// Pauses a channel for `cause`, unless what pauses it already does not give way.
pub(super) async fn pause(
    conn: &mut Conn,
    provider: &str,
    (cause, reason): (Cause, &str),
    by: &str,
    now_us: i64,
) -> Result<Option<Alarm>, WriteError> {
    if !cause.replaces(channels::get(conn, provider).await?.standing()) {
        return Ok(None);
    }
    channels::change(conn, provider, Some(cause), reason, by, now_us).await?;
    let (provider, reason) = (provider.to_owned(), reason.to_owned());
    Ok(Some(Alarm { provider, cause, reason }))
}

/// Pauses the channel of a provider that turned a payout down because of the platform, not the payee.
pub(super) async fn blocked(
    conn: &mut Conn,
    provider: &str,
    repair: Repair,
    answer: &str,
    now_us: i64,
) -> Result<Option<Alarm>, WriteError> {
    let cause = match repair {
        Repair::Balance => Cause::Balance,
        Repair::Channel => Cause::Provider,
        Repair::Request => return Ok(None),
    };
    let reason: String = answer.chars().take(255).collect();
    pause(conn, provider, (cause, &reason), "system", now_us).await
}

/// Lets payouts go on, and what waited for it be due at once.
pub(super) async fn resume(
    conn: &mut Conn,
    provider: &str,
    reason: &str,
    by: &str,
    now_us: i64,
) -> Result<(), WriteError> {
    if channels::get(conn, provider).await?.paused == 0 {
        return Ok(());
    }
    channels::change(conn, provider, None, reason, by, now_us).await?;
    due::resumed(conn, provider, now_us).await?;
    Ok(())
}

impl Core {
    /// Every provider, by name, with what waits for it.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn channels(&self) -> Result<Vec<Overview>, Failure> {
        let readers = self.store.readers();
        let read = async {
            Ok((channels::all(readers).await?, channels::queues(readers, i64::MAX).await?))
        };
        let (known, queues) = read.await.map_err(|e| database_failure(&e))?;
        let mut names: Vec<String> = self.providers.names();
        names.extend(known.iter().map(|channel| channel.provider.clone()));
        names.sort_unstable();
        names.dedup();
        let overview = |provider: String| {
            let channel = known.iter().find(|c| c.provider == provider).cloned();
            let queue = queues.iter().find(|q| q.provider == provider).cloned();
            Overview {
                channel: channel.unwrap_or_else(|| Channel { provider, ..Channel::default() }),
                queue: queue.unwrap_or_default(),
            }
        };
        Ok(names.into_iter().map(overview).collect())
    }

    /// Stops or resumes sending payouts of a provider. Doing it again changes nothing but the words.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a provider that is not configured, or without a reason.
    pub async fn switch_channel(
        &self,
        provider: String,
        pauses: bool,
        operator: i64,
        reason: String,
    ) -> Result<Overview, Failure> {
        given(&reason)?;
        let name = provider.clone();
        if self.providers.named(&name).is_none() {
            return Err(Failure::field("provider", "is not a configured provider"));
        }
        let (by, now_us) = (format!("user:{operator}"), self.now_us());
        let job = self.store.write(move |conn| {
            async move {
                if pauses {
                    pause(conn, &name, (Cause::Operator, &reason), &by, now_us).await?;
                } else {
                    resume(conn, &name, &reason, &by, now_us).await?;
                }
                Ok(())
            }
            .boxed()
        });
        job.await?;
        tracing::info!(provider, operator, paused = pauses, "an operator switched a channel");
        self.wake.notify_one();
        let all = self.channels().await?;
        Ok(all.into_iter().find(|c| c.channel.provider == provider).unwrap_or_default())
    }
}

/// Checks the reason a person gives for what they have done.
pub(super) fn given(reason: &str) -> Result<(), Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::field("reason", "say why"));
    }
    text::free(reason, 255).map_err(|rule| Failure::field("reason", rule)).map(drop)
}
