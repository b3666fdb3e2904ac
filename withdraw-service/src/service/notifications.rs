//! What providers tell by themselves (guarantee G15): verified by the adapter, kept once, compared with
//! the attempt. A notification is a hint: it has the provider asked at once and changes no status itself,
//! so duplicates, late ones and ones that came in another order change nothing (decision 0015).
//!
//! Must not know: how a provider signs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use cashout_common::clock::SECOND_US;
use cashout_common::db::Conn;
use cashout_common::text;
use cashout_common::writer::WriteError;
use cashout_proto::Failure;
use futures::FutureExt;

use super::Core;
use super::cancel_payout::hasten;
use super::payout::body_digest;
use crate::domain::notice::{Claim, Verdict, alarm, verdict};
use crate::domain::withdrawal::Withdrawal;
use crate::ports::{Acknowledgement, Incoming, Notice, Unheard};
use crate::store::attempts::{self, Attempt};
use crate::store::book::{Book, Needs, alone};
use crate::store::notifications::{self, Notification};

/// Most bytes of a notification.
const BODY_LIMIT: usize = 64 * 1024;
/// Most headers of a notification.
const HEADERS_LIMIT: usize = 100;
/// How often forgeries are told of at most.
const FORGERIES_EVERY_US: i64 = 10 * SECOND_US;

/// Counts what nobody signed. Anybody can send such things, so they fill neither table nor log.
#[derive(Debug, Default)]
pub struct Forgeries {
    count: AtomicU64,
    told_at_us: AtomicI64,
}

impl Forgeries {
    /// Counts one; gives how many there were if it is time to tell.
    fn count(&self, now_us: i64) -> Option<u64> {
        let count = self.count.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let told_us = self.told_at_us.load(Ordering::Relaxed);
        let rests = (told_us..told_us.saturating_add(FORGERIES_EVERY_US)).contains(&now_us);
        (!rests).then(|| {
            self.told_at_us.store(now_us, Ordering::Relaxed);
            count
        })
    }
}

/// A notification as it was kept, and its verdict.
type Kept = (Notification, Verdict);

impl Core {
    /// Takes a notification in. What is wrong with it is told to the log, not to who sent it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an unknown provider or one that is too long.
    pub async fn receive(
        self: &Arc<Self>,
        name: String,
        incoming: Incoming,
    ) -> Result<Acknowledgement, Failure> {
        let Some(provider) = self.providers.named(&name) else {
            return Err(Failure::field("provider", "is not a configured provider"));
        };
        if incoming.body.len() > BODY_LIMIT {
            return Err(Failure::field("body", "must be at most 64 KiB"));
        }
        if incoming.headers.len() > HEADERS_LIMIT {
            return Err(Failure::field("headers", "must be at most 100"));
        }
        let digest = body_digest(&incoming.body);
        // In a task of its own: whatever somebody sends, an adapter that fails over it fails alone.
        let reader = provider.clone();
        let read = tokio::spawn(async move { reader.notice(&incoming) }).await;
        let unreadable = Err(Unheard::Forged { why: "the adapter failed over it" });
        let heard = match read.unwrap_or(unreadable) {
            Ok(notice) => self.heard(&name, notice, digest).await,
            Err(Unheard::Forged { why }) => {
                if let Some(count) = self.forgeries.count(self.now_us()) {
                    tracing::warn!(provider = name, why, count, "forged notifications so far");
                }
                false
            }
            Err(Unheard::Foreign { why }) => {
                let alarm = "foreign_notification";
                tracing::error!(alarm, provider = name, why, "a notification for somebody else");
                false
            }
            Err(Unheard::Irrelevant) => true,
            Err(Unheard::Probe) => false,
        };
        Ok(provider.acknowledge(heard))
    }

    /// Keeps and follows a verified notification; false when it is to come again.
    async fn heard(self: &Arc<Self>, name: &str, notice: Notice, digest: String) -> bool {
        let fits = |text: &str| !text.is_empty() && text::free(text, 128).is_ok();
        if ![&notice.id, &notice.number, &notice.state].into_iter().all(|text| fits(text)) {
            let alarm = "strange_notification";
            tracing::error!(alarm, provider = name, "a notification has no usable id or number");
            return false;
        }
        let (core, provider) = (self.clone(), name.to_owned());
        let kept = self.store.write(move |conn| keep(conn, core, provider, notice, digest).boxed());
        match kept.await {
            Ok(Some(kept)) => {
                tell(&kept);
                self.wake.notify_one();
                true
            }
            // Known already: acknowledged the same, and nothing happens twice.
            Ok(None) => true,
            Err(failure) => {
                tracing::warn!(provider = name, %failure, "a notification could not be kept");
                false
            }
        }
    }
}

/// Keeps a notification that is new, with its verdict, and has the provider asked if it may say something
/// new. Gives what was kept and its verdict; `None` for one that is known.
async fn keep(
    conn: &mut Conn,
    core: Arc<Core>,
    provider: String,
    notice: Notice,
    digest: String,
) -> Result<Option<Kept>, WriteError> {
    let claim = Claim::new(&notice.number, notice.amount_minor, notice.payee_id.as_deref());
    if let Some(known) = notifications::get(conn, &provider, &notice.id).await? {
        let same = known.number == notice.number && known.state == notice.state;
        if !same || known.claim() != claim {
            let alarm = "changed_notification";
            let number = &known.number;
            tracing::error!(alarm, provider, number, "a notification came again as another one");
        }
        return Ok(None);
    }
    let now_us = core.now_us();
    let attempt = attempts::of_number(conn, &notice.number).await?;
    let attempt = attempt.filter(|attempt| attempt.provider == provider);
    let found = match &attempt {
        None => Verdict::UnknownNumber,
        Some(attempt) => {
            let id = attempt.withdrawal_id;
            let mut w = alone(conn, Needs::id(id), |book| book.get(id)).await?;
            let Attempt { number, amount_minor, payee_id, .. } = attempt;
            let differs = claim.differs(number, *amount_minor, payee_id);
            let found = verdict(w.status, &notice.state, differs);
            if found == Verdict::Asked {
                ask_at_once(conn, &core, &mut w, now_us).await?;
            }
            found
        }
    };
    let kept = Notification {
        provider,
        id: notice.id,
        number: notice.number,
        state: notice.state,
        amount_minor: claim.amount_minor,
        payee_digest: claim.payee_digest,
        digest,
        verdict: found.name().to_owned(),
        received_at_us: now_us,
    };
    notifications::add(conn, &kept).await?;
    Ok(Some((kept, found)))
}

/// Brings the question to the provider forward, unless somebody is asking now.
async fn ask_at_once(
    conn: &mut Conn,
    core: &Core,
    w: &mut Withdrawal,
    now_us: i64,
) -> Result<(), WriteError> {
    let leased = core.leased(&w.due);
    if hasten(w, now_us, leased) {
        let schedule = |book: &mut Book| {
            book.schedule(w);
            Ok(())
        };
        alone(conn, Needs::id(w.id), schedule).await?;
    }
    Ok(())
}

/// Says what was found where somebody has to look at it.
fn tell((kept, found): &Kept) {
    if let Some(alarm) = alarm(*found, &kept.state) {
        let (provider, number) = (&kept.provider, &kept.number);
        tracing::error!(alarm, provider, number, "a notification that somebody has to look at");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgeries_are_counted_and_told_of_now_and_then() {
        let forgeries = Forgeries::default();
        let start_us = 1_583_208_000_000_000;
        let told: Vec<_> = [0, 1, 9_999_999, 10_000_000, 10_000_001, -5]
            .map(|after_us| forgeries.count(start_us + after_us))
            .to_vec();
        // A clock that was set back does not silence it.
        assert_eq!(told, [Some(1), None, None, Some(4), None, Some(6)]);
    }
}
