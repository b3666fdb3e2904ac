//! Releases holds whose time has come: exactly once, also after downtime, on any number of instances.
//!
//! Exactly once because the release goes through the poster under a key made of the hold's id. Must
//! not know: why a hold has a time.

use std::time::Duration;

use cashout_common::clock::Clock;
use cashout_common::db::bounded;
use tokio_util::sync::CancellationToken;

use crate::domain::command::{Key, OURS};
use crate::domain::{Command, Facts, Hold};
use crate::service::poster::{PostError, Poster};
use crate::store::Store;

/// Most holds released in one go.
const BATCH: i64 = 500;
/// How long until another instance's new holds are noticed, and a failed release is tried again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Releases until `stop`. A release that was handed to the poster goes on there.
pub async fn run(store: Store, poster: Poster, clock: Clock, stop: CancellationToken) {
    tokio::select! {
        () = release_for_ever(store, poster, clock) => {}
        () = stop.cancelled() => {}
    }
}

async fn release_for_ever(store: Store, poster: Poster, clock: Clock) {
    let mut scheduled = poster.scheduled();
    loop {
        scheduled.borrow_and_update();
        let next_us = match release_due(&store, &poster, &clock).await {
            Ok(next_us) => next_us,
            Err(error) => {
                tracing::warn!(%error, "scheduled releases wait for the database");
                None
            }
        };
        tokio::select! {
            // A new hold may be due sooner.
            changed = scheduled.changed() => if changed.is_err() { return },
            () = clock.sleep_until(next_us.unwrap_or(i64::MAX)), if next_us.is_some() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Releases everything that is due and tells when the next one is.
async fn release_due(
    store: &Store,
    poster: &Poster,
    clock: &Clock,
) -> Result<Option<i64>, sqlx::Error> {
    loop {
        let due = bounded(store.due_holds(clock.now_us(), BATCH)).await?;
        if due.is_empty() {
            return bounded(store.next_due_us()).await;
        }
        let commands = due.iter().map(release).collect();
        let mut refused = 0_usize;
        for (hold, answer) in due.iter().zip(poster.post_each(commands).await) {
            if let Err(error) = answer {
                refused += 1;
                // Another instance, or a person, was first: nothing is left to do.
                if !matches!(error, PostError::Refused(_)) {
                    tracing::warn!(hold = hold.id, ?error, "a scheduled release is tried again");
                }
            }
        }
        tracing::info!(released = due.len() - refused, refused, "scheduled releases");
        if refused > 0 {
            // Not at once: what is in the way may stay there.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

fn release(hold: &Hold) -> Command {
    let text = format!("{OURS}scheduled-release:{}", hold.id);
    let digest = [0; 16];
    let key = Key { text: text.into(), digest };
    Command::Release { key, hold: hold.key.clone(), kind: None, facts: Facts::default() }
}
