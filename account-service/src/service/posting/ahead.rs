//! Batches that are written while the next one is computed.
//!
//! Must not know: what to do with a batch that could not be written, see `tries`.

use std::panic::AssertUnwindSafe;
use std::task::Poll;

use cashout_common::db::{Engine, bounded};
use cashout_common::writer::redacted;
use futures::FutureExt;
use tokio::sync::oneshot;

use super::measured::LEDGER;
use super::scribe::{Outcome, Scribe};
use super::tries::keys_of_refused;
use super::{
    APART, Batch, Ended, News, REMEMBERED, Results, Told, UnderWay, Worker, Writing, movements,
};
use crate::domain::Command;
use crate::store::load;
use crate::store::write::{Ready, Written};

impl Worker {
    /// Computes a batch and makes it ready to be written in one statement, after what is under way.
    /// `None` when that cannot be: something has to be read first or is not plain, nothing changes, a command
    /// is a defect, or what is remembered turned out to be wrong. What was computed is forgotten then.
    pub(super) async fn start(&mut self, commands: &[Command]) -> Option<(Results, Ready, News)> {
        let postgres = matches!(self.store.database().readers(), Engine::Postgres(_));
        if !postgres || self.book.head.version == 0 || !load::at_hand(&self.book, commands) {
            return None;
        }
        self.book.begin_batch();
        let results = self.compute(commands)?;
        if self.book.changes.is_empty() {
            return None;
        }
        let ready = Ready::of(&self.book);
        let news = self.news();
        self.book.end_batch(REMEMBERED, true);
        let refused = keys_of_refused(commands, &results);
        let follows = refused.is_empty() && self.follows(commands);
        if !follows && !self.settle().await {
            return None;
        }
        let known = self.known_by_now(&refused).await;
        match (ready, known) {
            (Ok(Some(ready)), Ok(false)) => Some((results, ready, news)),
            _ => {
                self.book.forget(Default::default());
                None
            }
        }
    }

    /// Whether a batch can be given away before what is under way is there: when the scribe has that in hand and
    /// takes this one too.
    fn follows(&self, commands: &[Command]) -> bool {
        movements(commands) >= APART
            && self.scribe.is_some()
            && self.under_way.iter().all(|before| before.apart)
    }

    /// Whether a key of what was refused is stored: then it is the repetition of a command that was
    /// carried out. A trusting run does not know old keys; one that is written twice breaks a unique key,
    /// but a refusal writes nothing.
    async fn known_by_now(&mut self, keys: &[&str]) -> Result<bool, sqlx::Error> {
        if keys.is_empty() {
            return Ok(false);
        }
        // A trip for these: nothing that others should wait for.
        self.answer();
        let mut conn = bounded(self.connection()).await?;
        let known = bounded(load::any_known(&mut conn, keys)).await?;
        self.conn = Some(conn);
        Ok(known)
    }

    /// Has a batch written while this task does something else. A large one is given to the scribe. Any other is sent
    /// now, as far as the socket takes it, for the database would have nothing to do meanwhile; and it is looked after
    /// when this task waits: a task would be one more between the database and whoever waits, and the runtime
    /// wakes another thread for the fourth of a row of tasks that wake each other.
    pub(super) async fn write_on(
        &mut self,
        batch: Batch,
        (results, ready, news): (Results, Ready, News),
    ) {
        let apart = movements(&batch.commands) >= APART && self.has_scribe();
        let writing = match &self.scribe {
            Some(scribe) if apart => written_apart(scribe.give(ready, self.chain)),
            _ => self.begin(ready).await,
        };
        self.under_way.push_back(UnderWay { batch, results, news, writing, apart });
    }

    /// Whether there is a scribe, who comes with the first large batch. Without one such a batch is written like any
    /// other: what is under way then is none of a scribe's, so it has been waited for.
    fn has_scribe(&mut self) -> bool {
        if self.scribe.is_none() {
            match Scribe::start(self.store.database().clone()) {
                Ok(scribe) => self.scribe = Some(scribe),
                Err(error) => tracing::warn!(%error, "the ledger's scribe cannot begin"),
            }
        }
        self.scribe.is_some()
    }

    async fn begin(&mut self, ready: Ready) -> Writing {
        let (conn, database) = (self.conn.take(), self.store.database().clone());
        let write = async move {
            let mut conn = match conn {
                Some(conn) => conn,
                None => bounded(database.connect()).await?,
            };
            let written = bounded(ready.write(&mut conn)).await?;
            Ok((Some(conn), written))
        };
        let mut writing: Writing = AssertUnwindSafe(write).catch_unwind().boxed();
        match futures::poll!(&mut writing) {
            Poll::Ready(written) => std::future::ready(written).boxed(),
            Poll::Pending => writing,
        }
    }

    /// Waits for all that is under way; false when some of it had to be carried out anew, and what was computed after it
    /// is worth nothing. Callers of the last are still to be told by [`Worker::answer`], others are told here: the
    /// database is busy with what comes after them.
    pub(super) async fn settle(&mut self) -> bool {
        let mut all = true;
        while let Some(oldest) = self.under_way.front_mut() {
            let written = (&mut oldest.writing).await;
            all &= self.written(written).await;
            if !self.under_way.is_empty() {
                self.answer();
            }
        }
        all
    }

    /// How writing the oldest that is under way has ended.
    pub(super) async fn written(&mut self, written: Ended) -> bool {
        let Some(UnderWay { batch, results, news, .. }) = self.under_way.pop_front() else {
            return true;
        };
        match written {
            Ok(Ok((conn, Written::Done))) => {
                self.conn = conn.or(self.conn.take());
                LEDGER.carried_out(&batch.commands, batch.taken.elapsed());
                self.healthy.send_if_modified(|known| !std::mem::replace(known, true));
                self.told.push(Told { replies: batch.replies, results, news });
                return true;
            }
            Ok(Ok((conn, Written::Stale))) => self.conn = conn.or(self.conn.take()),
            // Nobody knows whether it is there; its keys will tell.
            Ok(Err(error)) => {
                tracing::warn!(error = %redacted(&error), "a batch runs again after a database error");
            }
            Err(_panic) => tracing::error!("writing a batch ended badly; it runs again"),
        }
        self.anew(batch).await;
        false
    }

    /// Carries out what was not written, and what rests on it, which the scribe did not write then.
    async fn anew(&mut self, batch: Batch) {
        // Whose commands are there does not wait for this.
        self.answer();
        let after: Vec<UnderWay> = self.under_way.drain(..).collect();
        let mut batches = vec![batch];
        for UnderWay { batch, writing, .. } in after {
            drop(writing.await);
            batches.push(batch);
        }
        self.chain += 1;
        self.scribe = self.scribe.take().filter(Scribe::works);
        self.book.forget(Default::default());
        for batch in batches {
            self.carry_out(batch).await;
        }
    }
}

/// What the scribe says, as it is said of what the worker writes itself; no answer means that nobody knows.
fn written_apart(outcome: oneshot::Receiver<Outcome>) -> Writing {
    let told = outcome.map(|outcome| outcome.unwrap_or(Err(sqlx::Error::WorkerCrashed)));
    told.map(|outcome| Ok(outcome.map(|written| (None, written)))).boxed()
}
