//! The durable worker: claims due effects under a lease and carries each out in a task of its own.
//! Woken by local changes and by the clock; other instances' work is found by asking every second.
//!
//! Must not know: what an effect does, see `service::effects`.

use std::sync::Arc;
use std::time::Duration;

use cashout_common::writer::database_failure;
use cashout_proto::Failure;
use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::service::{Core, micros};
use crate::store::due;

/// Most effects carried out at a time.
const AT_ONCE: usize = 32;
/// How often the database is asked at least.
const POLL: Duration = Duration::from_secs(1);

/// Works until `stop`; effects in flight are tracked by the core and finish by themselves.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    while !stop.is_cancelled() {
        let next_us = match round(&core, &slots).await {
            Ok(next_us) => next_us,
            Err(failure) => {
                tracing::warn!(%failure, "the worker cannot read what is due");
                None
            }
        };
        let due = async {
            match next_us {
                Some(at_us) => core.world.clock.sleep_until(at_us).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = core.wake.notified() => {}
            () = due => {}
            () = tokio::time::sleep(POLL) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Claims what is due and starts it. Gives the time when something else will be due; `None` when
/// nothing will, or when all hands are busy (the first that is free wakes the worker).
async fn round(core: &Arc<Core>, slots: &Arc<Semaphore>) -> Result<Option<i64>, Failure> {
    loop {
        let next = due::next_due_us(core.store.readers()).await;
        let Some(next_us) = next.map_err(|e| database_failure(&e))? else { return Ok(None) };
        let (now_us, free) = (core.now_us(), slots.available_permits());
        if next_us > now_us {
            return Ok(Some(next_us));
        }
        if free == 0 {
            return Ok(None);
        }
        let (owner, limit) = (core.instance.clone(), i64::try_from(free).unwrap_or(1));
        let until_us = now_us.saturating_add(micros(core.timing.lease));
        let claimed = core.store.write(move |conn| {
            async move { Ok(due::claim(conn, &owner, now_us, until_us, limit).await?) }.boxed()
        });
        for w in claimed.await? {
            // Only this loop takes permits, so one is there for each.
            let Ok(slot) = slots.clone().acquire_owned().await else { return Ok(None) };
            let working = core.clone();
            core.tasks.spawn(async move {
                working.carry_out(w, None).await;
                drop(slot);
                working.wake.notify_one();
            });
        }
    }
}
