//! The verbs of a cash-out, one per file, and what they share.
//!
//! Must not know: gRPC messages, SQL text, any provider's protocol.

pub mod answers;
pub mod cancel;
pub mod cancel_payout;
pub mod channels;
pub mod declined;
pub mod effects;
pub mod float;
pub mod notifications;
pub mod payout;
pub mod places;
pub mod questions;
pub mod quote;
pub mod reads;
pub mod request;
pub mod resolve;
pub mod review;
pub mod transition;

use std::sync::Arc;
use std::time::Duration;

use cashout_common::local::Zone;
use cashout_common::number::hex;
use cashout_common::world::World;
use cashout_proto::{Failure, Reason};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::domain::lane::Lane;
use crate::domain::policy::Policy;
use crate::domain::withdrawal::{Due, Withdrawal};
use crate::ports::{LEDGER_TIMEOUT, Ledger, Replies};
use crate::providers::Providers;
use crate::store::Store;
use crate::store::answers::Stored;
use crate::store::book::Book;
use crate::store::due::Times;

use effects::{Ended, Going};
use float::FloatGuard;
use notifications::Forgeries;
use places::{Place, Places};

/// How long a caller waits for an effect that is carried out at once; the worker goes on after that.
pub const INLINE_WAIT: Duration = Duration::from_secs(2);

/// How far the clocks of two instances may be apart.
const SKEW: Duration = Duration::from_secs(1);

/// How patient payouts are.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long one call to a provider may take.
    pub call_timeout: Duration,
    /// How long the ledger may take for one step, all its calls together.
    pub ledger_timeout: Duration,
    /// Pause before the first repetition; it doubles.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// The longest pause while a payee has yet to confirm and can; [`Timing::backoff_max`] when that is
    /// longer. They take hours, and a notification has the provider asked at once.
    pub confirm_backoff_max: Duration,
    /// How long an outcome may stay unknown before a person must decide.
    pub unknown_limit: Duration,
    /// How long a provider may work on a payout before a person must decide.
    pub pending_limit: Duration,
    /// How long an instance may work on an effect before another takes over, by the clock. Longer than
    /// the longest step with its bookkeeping; too short costs repetitions and nothing else.
    pub lease: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(5),
            ledger_timeout: LEDGER_TIMEOUT,
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(60),
            confirm_backoff_max: Duration::from_secs(600),
            unknown_limit: Duration::from_secs(24 * 3600),
            pending_limit: Duration::from_secs(72 * 3600),
            lease: Duration::from_secs(10),
        }
    }
}

impl Timing {
    /// The pause after `tries` vain tries, microseconds.
    #[must_use]
    pub fn backoff_us(&self, tries: i64) -> i64 {
        self.doubled_us(tries, self.backoff_max)
    }

    /// The same while a payee has yet to confirm and can.
    #[must_use]
    pub fn confirm_backoff_us(&self, tries: i64) -> i64 {
        self.doubled_us(tries, self.longest())
    }

    /// The longest of all pauses.
    fn longest(&self) -> Duration {
        self.backoff_max.max(self.confirm_backoff_max)
    }

    fn doubled_us(&self, tries: i64, longest: Duration) -> i64 {
        let doublings = u32::try_from(tries.clamp(0, 20)).unwrap_or(0);
        micros(self.backoff_min.saturating_mul(1 << doublings).min(longest))
    }
}

/// A duration in microseconds.
#[must_use]
pub fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// What every verb works with.
pub struct Core {
    /// The database.
    pub store: Store,
    /// The account service.
    pub ledger: Arc<dyn Ledger>,
    /// Who pays.
    pub providers: Providers,
    /// The form of stored answers.
    pub replies: Arc<dyn Replies>,
    /// The rules.
    pub policy: Policy,
    /// Where a day begins.
    pub zone: Zone,
    /// Time and chance.
    pub world: World,
    /// How patient payouts are.
    pub timing: Timing,
    /// How providers' balances are watched.
    pub float: FloatGuard,
    /// What came in that nobody signed.
    pub forgeries: Forgeries,
    /// The name of this instance on leases.
    pub instance: String,
    /// Wakes the worker.
    pub wake: Arc<Notify>,
    /// How many effects are carried out at a time.
    pub places: Places,
    /// Effects in flight: a stop waits for them.
    pub tasks: TaskTracker,
}

impl Core {
    /// UTC microseconds.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.world.clock.now_us()
    }

    /// The present, and which times could not have been set before it: beyond them a clock was set back.
    pub(crate) fn times(&self) -> Times {
        let now_us = self.now_us();
        let ahead = |longest| now_us.saturating_add(micros(longest)).saturating_add(micros(SKEW));
        Times {
            now_us,
            lease_until_us: ahead(self.timing.lease),
            pause_until_us: ahead(self.timing.longest()),
        }
    }

    /// Whether somebody may be at work on it.
    fn leased(&self, due: &Due) -> bool {
        let times = self.times();
        (times.now_us.saturating_add(1)..=times.lease_until_us).contains(&due.lease_until_us)
    }

    /// Gives an effect that is about to be carried out here to this instance.
    fn lease(&self, w: &mut Withdrawal) {
        w.due.lease_owner.clone_from(&self.instance);
        w.due.lease_until_us = self.now_us().saturating_add(micros(self.timing.lease));
        w.due.next_run_at_us = w.due.next_run_at_us.max(w.due.lease_until_us);
    }

    /// Keeps an effect that became due in a job for this instance, when there is a place for it; the
    /// worker need not look for it then.
    fn keep(&self, book: &mut Book, w: &mut Withdrawal) -> Option<Place> {
        let place = self.places.take(Lane::of(w)?)?;
        self.lease(w);
        book.schedule(w);
        Some(place)
    }

    /// Carries out an effect this instance has the lease for, in a task no caller can cancel.
    pub(crate) fn go_on(self: &Arc<Self>, going: Going) -> JoinHandle<Ended> {
        let core = self.clone();
        // Boxed: what a task is made of is moved several times until it runs, and this is large.
        self.tasks.spawn(Box::pin(async move { core.carry_out(going).await }))
    }

    /// Carries out an effect this instance has the lease for, in a task no caller can cancel, and waits
    /// a moment for it. `None`: it still goes on.
    async fn run_now(self: &Arc<Self>, going: Going) -> Option<Ended> {
        tokio::time::timeout(INLINE_WAIT, self.go_on(going)).await.ok()?.ok()
    }

    /// The withdrawal as it is now.
    async fn current(&self, id: i64) -> Result<Withdrawal, Failure> {
        self.store.withdrawal(id).await?.ok_or_else(crate::store::withdrawals::not_found)
    }
}

/// A name for an instance: random, so that two of them never take each other's leases for their own.
#[must_use]
pub fn instance_name(world: &World) -> String {
    hex(&world.random.bytes::<8>())
}

/// An answer in its stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// What is told to the caller.
    pub reply: Vec<u8>,
    /// Whether it was told before.
    pub replayed: bool,
}

/// The stored answer, if it answered the same request.
///
/// # Errors
/// `IDEMPOTENCY_CONFLICT` when it answered another one.
fn replay(stored: Stored, digest: &[u8]) -> Result<Answered, Failure> {
    same_request(&stored.digest, digest)?;
    Ok(Answered { reply: stored.reply, replayed: true })
}

fn same_request(known: &[u8], asked: &[u8]) -> Result<(), Failure> {
    if known == asked {
        return Ok(());
    }
    let told = "this key was used before with another request";
    Err(Failure::new(Reason::IdempotencyConflict, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let timing = Timing::default();
        let pauses = [0, 1, 2, 8, 9, 1_000_000, -1].map(|n| timing.backoff_us(n) / 1000);
        assert_eq!(pauses, [200, 400, 800, 51_200, 60_000, 60_000, 200]);
        let confirming = [0, 8, 9, 11, 12, 20].map(|n| timing.confirm_backoff_us(n) / 1000);
        assert_eq!(confirming, [200, 51_200, 102_400, 409_600, 600_000, 600_000]);
        let impatient = Timing { confirm_backoff_max: Duration::from_secs(1), ..timing };
        assert_eq!(impatient.confirm_backoff_us(20), impatient.backoff_us(20));
    }
}
