//! How many effects are carried out at a time: each lane has places of its own, so that a provider that
//! does not answer keeps neither the ledger's effects nor the other provider's waiting.
//!
//! Must not know: what an effect does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::domain::lane::Lane;

/// Most calls to the ledger at a time.
const LEDGER_AT_ONCE: usize = 256;

/// The places of all lanes.
#[derive(Debug)]
pub struct Places {
    lanes: [(Lane, Arc<Semaphore>, Arc<AtomicBool>); Lane::ALL.len()],
    wake: Arc<Notify>,
}

/// A place that is taken, until it is dropped.
#[derive(Debug)]
pub struct Place {
    permit: Option<OwnedSemaphorePermit>,
    wanted: Arc<AtomicBool>,
    wake: Arc<Notify>,
}

impl Places {
    /// All free: `payouts` of each method, since providers let so many in and no flood. Whoever could not
    /// have a place is woken by `wake` when there is one.
    #[must_use]
    pub fn new(payouts: usize, wake: Arc<Notify>) -> Self {
        let lanes = Lane::ALL.map(|lane| {
            let at_once = if lane == Lane::Ledger { LEDGER_AT_ONCE } else { payouts };
            (lane, Arc::new(Semaphore::new(at_once)), Arc::default())
        });
        Self { lanes, wake }
    }

    /// A place of a lane, if one is free.
    #[must_use]
    pub fn take(&self, lane: Lane) -> Option<Place> {
        let (_, places, wanted) = self.lanes.iter().find(|(of, ..)| *of == lane)?;
        let permit = places.clone().try_acquire_owned().ok()?;
        let (wanted, wake) = (wanted.clone(), self.wake.clone());
        Some(Place { permit: Some(permit), wanted, wake })
    }

    /// All places of a lane that are free. When there are none, the first that is free wakes.
    #[must_use]
    pub fn take_all(&self, lane: Lane) -> Vec<Place> {
        let want = |wanted| {
            let found = self.lanes.iter().find(|(of, ..)| *of == lane);
            found.map(|(.., w)| w.store(wanted, Ordering::SeqCst))
        };
        // Before looking: a place that becomes free right after it wakes too.
        want(true);
        let taken: Vec<Place> = std::iter::from_fn(|| self.take(lane)).collect();
        if !taken.is_empty() {
            want(false);
        }
        taken
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.permit.take());
        if self.wanted.swap(false, Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::domain::method::Method;

    const AT_ONCE: usize = 64;

    #[test]
    fn a_lane_that_is_full_leaves_the_others_alone_and_its_first_free_place_wakes() {
        let wake = Arc::new(Notify::new());
        let places = Places::new(AT_ONCE, wake.clone());
        let (ledger, payout) = (Lane::Ledger, Lane::Payout(Method::Wechat));
        let mut taken = places.take_all(payout);
        assert_eq!(taken.len(), AT_ONCE);
        assert!(places.take(payout).is_none() && places.take(ledger).is_some());
        assert!(wake.notified().now_or_never().is_none(), "nobody was kept waiting yet");
        assert!(places.take_all(payout).is_empty());
        taken.pop();
        assert!(wake.notified().now_or_never().is_some());
        assert!(places.take(payout).is_some());
    }
}
