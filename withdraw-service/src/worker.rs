//! The durable worker: claims due effects under a lease and carries each out in a task of its own.
//! Woken by local changes and by the clock; other instances' work is found by asking every second.
//! Each lane has places of its own, so that a provider that does not answer keeps neither the ledger's
//! effects nor the other provider's waiting.
//!
//! Must not know: what an effect does, see `service::effects`.

use std::sync::Arc;
use std::time::Duration;

use cashout_common::writer::database_failure;
use cashout_proto::Failure;
use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::domain::lane::Lane;
use crate::service::{Core, micros};
use crate::store::due::{self, Times};

/// Most effects of one lane carried out at a time.
const AT_ONCE: usize = 32;
/// How often the database is asked at least.
const POLL: Duration = Duration::from_secs(1);

/// The places of one lane.
struct Places {
    lane: Lane,
    free: Arc<Semaphore>,
}

/// Works until `stop`; effects in flight are tracked by the core and finish by themselves.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    let lanes = Lane::ALL.map(|lane| Places { lane, free: Arc::new(Semaphore::new(AT_ONCE)) });
    while !stop.is_cancelled() {
        let next_us = match round(&core, &lanes).await {
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
/// nothing will, or when all places that are needed are taken (the first that is free wakes the worker).
async fn round(core: &Arc<Core>, lanes: &[Places]) -> Result<Option<i64>, Failure> {
    loop {
        let times = core.times();
        let due = due::next(core.store.readers(), times).await;
        let (mut next_us, mut begun) = (None::<i64>, 0);
        for (lane, at_us) in due.map_err(|e| database_failure(&e))? {
            if at_us > times.now_us {
                next_us = Some(next_us.map_or(at_us, |us| us.min(at_us)));
            } else if let Some(places) = lanes.iter().find(|places| places.lane == lane) {
                begun += begin(core, places, times).await?;
            }
        }
        if begun == 0 {
            return Ok(next_us);
        }
    }
}

/// Claims as many effects of a lane as have a place and starts them; gives their number.
async fn begin(core: &Arc<Core>, places: &Places, times: Times) -> Result<usize, Failure> {
    let (lane, free) = (places.lane, places.free.available_permits());
    if free == 0 {
        return Ok(0);
    }
    let (owner, limit) = (core.instance.clone(), i64::try_from(free).unwrap_or(1));
    let until_us = times.now_us.saturating_add(micros(core.timing.lease));
    let claimed = core.store.write(move |conn| {
        async move { Ok(due::claim(conn, &owner, lane, times, until_us, limit).await?) }.boxed()
    });
    let claimed = claimed.await?;
    let begun = claimed.len();
    for w in claimed {
        // Only the worker's loop takes permits, so one is there for each.
        let Ok(place) = places.free.clone().acquire_owned().await else { return Ok(0) };
        let working = core.clone();
        core.tasks.spawn(async move {
            working.carry_out(w, None).await;
            drop(place);
            working.wake.notify_one();
        });
    }
    Ok(begun)
}
