//! The only source of time. Tests set it; nothing else reads the system's clock for a decision.
//!
//! Times are UTC microseconds since 1970-01-01.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// Microseconds of a second.
pub const SECOND_US: i64 = 1_000_000;

/// Tells the time and waits for it.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Set(Arc<watch::Sender<i64>>),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `now_us` until it is set.
    #[must_use]
    pub fn set_at(now_us: i64) -> Self {
        Self(Source::Set(Arc::new(watch::Sender::new(now_us))))
    }

    /// UTC microseconds.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
            }
            Source::Set(now) => *now.borrow(),
        }
    }

    /// Moves a set clock forward; whoever waits for a time that has come is woken. Does nothing to
    /// the system's clock.
    pub fn advance(&self, by: Duration) {
        if let Source::Set(now) = &self.0 {
            let by_us = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            now.send_modify(|now| *now = now.saturating_add(by_us));
        }
    }

    /// Sets a set clock, also backwards. Does nothing to the system's clock.
    pub fn set(&self, now_us: i64) {
        if let Source::Set(now) = &self.0 {
            now.send_replace(now_us);
        }
    }

    /// Waits until the clock shows `at_us` or later.
    pub async fn sleep_until(&self, at_us: i64) {
        match &self.0 {
            Source::System => {
                let left = at_us.saturating_sub(self.now_us());
                tokio::time::sleep(Duration::from_micros(u64::try_from(left).unwrap_or(0))).await;
            }
            Source::Set(now) => {
                // The sender lives as long as this clock, so waiting cannot fail.
                let _ = now.subscribe().wait_for(|now| *now >= at_us).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_set_clock_wakes_who_waited_for_it() {
        let clock = Clock::set_at(10);
        let waiting = {
            let clock = clock.clone();
            tokio::spawn(async move {
                clock.sleep_until(20).await;
                clock.now_us()
            })
        };
        clock.advance(Duration::from_micros(9));
        clock.advance(Duration::from_micros(1));
        assert_eq!(waiting.await.ok(), Some(20));
    }
}
