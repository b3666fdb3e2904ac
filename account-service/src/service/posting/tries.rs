//! A batch that this task carries out from its beginning to its end, again and again where that may help.
//!
//! Must not know: that others may be under way; they are settled before.

use cashout_common::db::{Conn, begin_write, bounded, command, connection_lost, transient};
use cashout_common::writer::database_failure;

use super::measured::LEDGER;
use super::{Batch, REMEMBERED, Results, Worker, answer};
use crate::domain::{Command, Outcome, Refusal};
use crate::service::poster::{PostError, stopping};
use crate::store::write::Written;
use crate::store::{LOCK, load, write};

/// How often a batch is tried again after the connection was lost.
const TRIES: u32 = 3;

/// How a try went when the database answered.
enum Tried {
    Written(Results),
    Stale,
}

impl Worker {
    /// Carries a batch out and answers it. If the database refuses it as a whole or it panics, each command alone,
    /// so that one bad command never fails its neighbours.
    pub(super) async fn carry_out(&mut self, batch: Batch) {
        let Batch { commands, replies, taken } = batch;
        let whole = self.persist(&commands).await;
        let answers = match whole {
            Ok(results) => results.into_iter().map(|r| r.map_err(PostError::Refused)).collect(),
            Err(error) if commands.len() > 1 && !connection_lost(&error) && !transient(&error) => {
                let mut answers = Vec::with_capacity(commands.len());
                for command in &commands {
                    let alone = self.persist(std::slice::from_ref(command)).await;
                    answers.push(match alone.map(|mut results| results.pop()) {
                        Ok(Some(result)) => result.map_err(PostError::Refused),
                        Ok(None) => Err(stopping()),
                        Err(error) => Err(PostError::Failed(database_failure(&error).into())),
                    });
                }
                answers
            }
            Err(error) => {
                let failure = database_failure(&error);
                commands.iter().map(|_| Err(PostError::Failed(failure.clone().into()))).collect()
            }
        };
        LEDGER.carried_out(&commands, taken.elapsed());
        answer(replies, answers);
    }

    /// Tries until it is written: first trusting, then careful. A lost connection is no reason to give
    /// up: under the lock, keys tell what was committed and what was not.
    pub(super) async fn persist(&mut self, commands: &[Command]) -> Result<Results, sqlx::Error> {
        let mut tries = 0;
        let mut careful = self.book.head.version == 0;
        loop {
            let error = match bounded(self.try_once(commands, careful)).await {
                Ok(Tried::Written(results)) => {
                    self.healthy.send_if_modified(|known| !std::mem::replace(known, true));
                    return Ok(results);
                }
                Ok(Tried::Stale) if !careful => {
                    careful = true;
                    continue;
                }
                // Under the lock nobody else writes: this is a key that our own batch repeats.
                Ok(Tried::Stale) => sqlx::Error::RowNotFound,
                Err(error) => error,
            };
            self.conn = None;
            self.book.forget(Default::default());
            tries += 1;
            careful = true;
            let passing = connection_lost(&error) || transient(&error);
            if tries >= TRIES || !passing {
                self.healthy.send_if_modified(|known| passing && std::mem::replace(known, false));
                return Err(error);
            }
            tracing::warn!(tries, "a batch runs again after a database error");
        }
    }

    async fn try_once(
        &mut self,
        commands: &[Command],
        careful: bool,
    ) -> Result<Tried, sqlx::Error> {
        let mut conn = self.connection().await?;
        self.book.begin_batch();
        if careful {
            begin_write(&mut conn, LOCK).await?;
            let head = load::head(&mut conn).await?;
            self.book.forget(head);
            load::known(&mut conn, &mut self.book, commands).await?;
        }
        load::touched(&mut conn, &mut self.book, commands).await?;
        // As an error that does not pass, so that each command is carried out alone.
        let defect =
            || sqlx::Error::InvalidArgument("a defect in carrying out a command".to_owned());
        let results = self.compute(commands).ok_or_else(defect)?;
        // As in `known_by_now`.
        if !careful && load::any_known(&mut conn, &keys_of_refused(commands, &results)).await? {
            self.conn = Some(conn);
            return Ok(Tried::Stale);
        }
        let changes = !self.book.changes.is_empty();
        let written = if changes {
            write::changes(&mut conn, &self.book, careful).await?
        } else {
            self.confirm(&mut conn, careful).await?
        };
        if written == Written::Done {
            let news = self.news();
            self.book.end_batch(REMEMBERED, changes);
            if changes {
                self.tell(&news);
            }
        }
        // Only a connection that is in order is kept.
        self.conn = Some(conn);
        Ok(match written {
            Written::Done => Tried::Written(results),
            Written::Stale => Tried::Stale,
        })
    }

    /// A batch that writes nothing still rests on what was remembered: is that what is stored?
    async fn confirm(&mut self, conn: &mut Conn, careful: bool) -> Result<Written, sqlx::Error> {
        if careful {
            command(conn, "ROLLBACK").await?;
            return Ok(Written::Done);
        }
        let stored = load::head(conn).await?;
        let same = stored.version == self.book.head.version;
        Ok(if same { Written::Done } else { Written::Stale })
    }
}

/// Keys of commands that were refused, wholly or as a batch.
pub(super) fn keys_of_refused<'a>(
    commands: &'a [Command],
    results: &[Result<Outcome, Refusal>],
) -> Vec<&'a str> {
    let refused = |result: &Result<Outcome, Refusal>| match result {
        Ok(Outcome::All(items)) => items.iter().any(Result::is_err),
        Ok(_) => false,
        Err(_) => true,
    };
    let all = commands.iter().zip(results).filter(|(_, result)| refused(result));
    all.flat_map(|(command, _)| command.keys()).map(|key| &*key.text).collect()
}
