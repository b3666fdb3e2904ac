//! A batch that is written while the next one is computed.
//!
//! Must not know: what to do with a batch that could not be written, see `tries`.

use std::panic::AssertUnwindSafe;
use std::task::Poll;

use cashout_common::db::{Engine, bounded};
use cashout_common::writer::redacted;
use futures::FutureExt;

use super::measured::LEDGER;
use super::tries::keys_of_refused;
use super::{
    AHEAD, Batch, Ended, News, REMEMBERED, Results, Told, UnderWay, Worker, Writing, movements,
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
        if !self.settle().await {
            return None;
        }
        let known = self.known_by_now(commands, &results).await;
        match (ready, known) {
            (Ok(Some(ready)), Ok(false)) => Some((results, ready, news)),
            _ => {
                self.book.forget(Default::default());
                None
            }
        }
    }

    /// Whether a key of what was refused is stored: then it is the repetition of a command that was
    /// carried out. A trusting run does not know old keys; one that is written twice breaks a unique key,
    /// but a refusal writes nothing.
    async fn known_by_now(
        &mut self,
        commands: &[Command],
        results: &Results,
    ) -> Result<bool, sqlx::Error> {
        let keys = keys_of_refused(commands, results);
        if keys.is_empty() {
            return Ok(false);
        }
        // A trip for these: nothing that others should wait for.
        self.answer();
        let mut conn = bounded(self.connection()).await?;
        let known = bounded(load::any_known(&mut conn, &keys)).await?;
        self.conn = Some(conn);
        Ok(known)
    }

    /// Has a batch written while this task does something else. It is sent before that, as far as the socket takes
    /// it: a task that was only spawned may wait until this one waits, and the database would have nothing to do
    /// meanwhile. What is left of a large batch, for which it pays to compute the next one, is a task of its own. A
    /// small one is looked after when this task waits: a task would be one more between the database and whoever
    /// waits, and the runtime wakes another thread for the fourth of a row of tasks that wake each other.
    pub(super) async fn write_on(
        &mut self,
        batch: Batch,
        (results, ready, news): (Results, Ready, News),
    ) {
        let (conn, database) = (self.conn.take(), self.store.database().clone());
        let write = async move {
            let mut conn = match conn {
                Some(conn) => conn,
                None => bounded(database.connect()).await?,
            };
            let written = bounded(ready.write(&mut conn)).await?;
            Ok((conn, written))
        };
        let mut writing: Writing = AssertUnwindSafe(write).catch_unwind().boxed();
        if let Poll::Ready(written) = futures::poll!(&mut writing) {
            writing = std::future::ready(written).boxed();
        } else if movements(&batch.commands) >= AHEAD {
            let apart = tokio::spawn(writing);
            writing = apart.map(|ended| ended.unwrap_or_else(|error| Err(Box::new(error)))).boxed();
        }
        self.under_way = Some(UnderWay { batch, results, news, writing });
    }

    /// Waits for what is under way, and keeps for [`Worker::answer`] what to tell its callers; false when it had
    /// to be carried out anew, and what was computed after it is worth nothing.
    pub(super) async fn settle(&mut self) -> bool {
        match &mut self.under_way {
            Some(under_way) => {
                let written = (&mut under_way.writing).await;
                self.written(written).await
            }
            None => true,
        }
    }

    pub(super) async fn written(&mut self, written: Ended) -> bool {
        let Some(UnderWay { batch, results, news, .. }) = self.under_way.take() else {
            return true;
        };
        match written {
            Ok(Ok((conn, Written::Done))) => {
                self.conn = Some(conn);
                LEDGER.carried_out(&batch.commands, batch.taken.elapsed());
                self.healthy.send_if_modified(|known| !std::mem::replace(known, true));
                self.told = Some(Told { replies: batch.replies, results, news });
                return true;
            }
            Ok(Ok((conn, Written::Stale))) => self.conn = Some(conn),
            // Nobody knows whether it is there; its keys will tell.
            Ok(Err(error)) => {
                tracing::warn!(error = %redacted(&error), "a batch runs again after a database error");
            }
            Err(_panic) => tracing::error!("writing a batch ended badly; it runs again"),
        }
        self.book.forget(Default::default());
        self.carry_out(batch).await;
        false
    }
}
