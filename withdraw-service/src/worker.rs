//! The durable worker: claims due effects under a lease and carries each out in a task of its own. Who
//! makes an effect due keeps it when there is a place (see `service::places`), so what is left for the
//! worker is what had none, has to wait, or was left behind by an instance that went away. Woken for
//! these and by the clock; other instances' work is found by asking every second.
//!
//! Must not know: what an effect does, see `service::effects`.

use std::sync::Arc;
use std::time::Duration;

use cashout_common::writer::database_failure;
use cashout_proto::Failure;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::domain::lane::Lane;
use crate::service::effects::Going;
use crate::service::{Core, micros};
use crate::store::due::{self, Times};

/// How often the database is asked at least.
const POLL: Duration = Duration::from_secs(1);

/// Works until `stop`; effects in flight are tracked by the core and finish by themselves.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let next_us = match round(&core).await {
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
async fn round(core: &Arc<Core>) -> Result<Option<i64>, Failure> {
    loop {
        let times = core.times();
        let due = due::next(core.store.readers(), times).await;
        let (mut next_us, mut begun) = (None::<i64>, 0);
        for (lane, at_us) in due.map_err(|e| database_failure(&e))? {
            if at_us > times.now_us {
                next_us = Some(next_us.map_or(at_us, |us| us.min(at_us)));
            } else if lane == Lane::Held {
                begun += usize::from(let_go(core, times.now_us).await? > 0);
            } else {
                begun += begin(core, lane, times).await?;
            }
        }
        if begun == 0 {
            return Ok(next_us);
        }
    }
}

/// Has what was held until now wait for the worker like everything else; gives how many.
async fn let_go(core: &Arc<Core>, now_us: i64) -> Result<u64, Failure> {
    let job =
        core.store.write(move |conn| async move { Ok(due::let_go(conn, now_us).await?) }.boxed());
    job.await
}

/// Claims as many effects of a lane as have a place and starts them; gives their number.
async fn begin(core: &Arc<Core>, lane: Lane, times: Times) -> Result<usize, Failure> {
    let places = core.places.take_all(lane);
    if places.is_empty() {
        return Ok(0);
    }
    let (owner, limit) = (core.instance.clone(), i64::try_from(places.len()).unwrap_or(1));
    let until_us = times.now_us.saturating_add(micros(core.timing.lease));
    let claimed = core.store.write(move |conn| {
        async move { Ok(due::claim(conn, &owner, lane, times, until_us, limit).await?) }.boxed()
    });
    let claimed = claimed.await?;
    let begun = claimed.len();
    for (w, place) in claimed.into_iter().zip(places) {
        core.go_on(Going::claimed(w, place));
    }
    Ok(begun)
}
