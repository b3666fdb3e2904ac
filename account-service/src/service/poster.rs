//! The posting pipeline: the one path on which balances change.
//!
//! Handlers enqueue commands. The poster takes what is waiting (nobody waits for a batch to fill),
//! computes it in memory, writes it in a few statements, commits once, then answers everybody.
//! It works in a task of its own, so a caller that goes away cancels nothing.
//!
//! Two ways to run a batch: *trusting* what it remembers, guarded by the head's version; and, when
//! that guard or a unique key says no, *careful*: under the write lock, with everything read again.

use cashout_common::clock::Clock;
use cashout_common::db::{Conn, begin_write, bounded, close, command, connection_lost, transient};
use cashout_common::writer::database_failure;
use cashout_proto::{Failure, Reason};
use tokio::sync::{mpsc, oneshot, watch};

use crate::domain::{Book, Command, Outcome, Refusal, apply};
use crate::store::write::Written;
use crate::store::{LOCK, Store, load, write};

/// Most commands that share a commit.
const BATCH: usize = 1024;
/// As many are taken at once whatever else waits; of more, one half is left for the next batch. Callers
/// who wait for each other's answers would otherwise move in step, all of them in one batch: the
/// processors would wait while the database works, and the database while callers are answered.
const AT_ONCE: usize = 128;
/// Most commands that wait; more are refused as overload.
const QUEUE: usize = 16 * 1024;
/// Most accounts that are remembered between batches (about 300 bytes each).
const REMEMBERED: usize = 100_000;
/// How soon a database that was away is asked again.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
/// How often a batch is tried again after the connection was lost.
const TRIES: u32 = 3;

/// Why a command was not carried out.
#[derive(Debug)]
pub enum PostError {
    /// A rule of the ledger said no; nothing was changed.
    Refused(Refusal),
    /// The database or the pipeline said no.
    Failed(Failure),
}

struct Request {
    command: Command,
    reply: oneshot::Sender<Result<Outcome, PostError>>,
}

/// A handle on the pipeline.
#[derive(Debug, Clone)]
pub struct Poster {
    queue: mpsc::Sender<Request>,
    newest: watch::Receiver<i64>,
    scheduled: watch::Receiver<()>,
    healthy: watch::Receiver<bool>,
}

impl Poster {
    /// Starts the pipeline. It ends when the last handle is dropped and everything waiting is done.
    #[must_use]
    pub fn start(store: Store, clock: Clock) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (announce, newest) = watch::channel(0);
        let (schedule, scheduled) = watch::channel(());
        let (health, healthy) = watch::channel(true);
        let book = Book::default();
        let worker = Worker { store, clock, book, conn: None, announce, schedule, healthy: health };
        let task = tokio::spawn(worker.run(waiting));
        (Self { queue, newest, scheduled, healthy }, task)
    }

    /// Carries a command out and answers after its commit.
    ///
    /// # Errors
    /// Why not; after `UNAVAILABLE` the command may have been carried out, ask again with its key.
    pub async fn post(&self, command: Command) -> Result<Outcome, PostError> {
        self.enqueue(command)?.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Carries independent commands out in this order, together, and answers each.
    pub async fn post_each(&self, commands: Vec<Command>) -> Vec<Result<Outcome, PostError>> {
        let waiting: Vec<_> = commands.into_iter().map(|command| self.enqueue(command)).collect();
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(match answer {
                Ok(answer) => answer.await.unwrap_or_else(|_| Err(stopping())),
                Err(refused) => Err(refused),
            });
        }
        answers
    }

    /// Tells when entries were appended by this instance, with the newest id.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<i64> {
        self.newest.clone()
    }

    /// Tells when this instance placed or ended holds that are to be released by themselves.
    #[must_use]
    pub fn scheduled(&self) -> watch::Receiver<()> {
        self.scheduled.clone()
    }

    /// Whether the database took what it was last given.
    #[must_use]
    pub fn healthy(&self) -> watch::Receiver<bool> {
        self.healthy.clone()
    }

    fn enqueue(
        &self,
        command: Command,
    ) -> Result<oneshot::Receiver<Result<Outcome, PostError>>, PostError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Request { command, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                PostError::Failed(Failure::new(Reason::Overloaded, "too many commands are waiting"))
            }
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })?;
        Ok(answer)
    }
}

fn stopping() -> PostError {
    PostError::Failed(Failure::new(Reason::Unavailable, "the service is stopping"))
}

type Results = Vec<Result<Outcome, Refusal>>;

/// How a try went when the database answered.
enum Tried {
    Written(Results),
    Stale,
}

struct Worker {
    store: Store,
    clock: Clock,
    book: Book,
    conn: Option<Conn>,
    announce: watch::Sender<i64>,
    schedule: watch::Sender<()>,
    healthy: watch::Sender<bool>,
}

impl Worker {
    async fn run(mut self, mut waiting: mpsc::Receiver<Request>) {
        let mut batch = Vec::new();
        while self.receive(&mut waiting, &mut batch).await > 0 {
            let (commands, replies): (Vec<_>, Vec<_>) =
                batch.drain(..).map(|r: Request| (r.command, r.reply)).unzip();
            let turn = self.store.database().write_turn().await;
            let results = self.carry_out(&commands).await;
            drop(turn);
            for (reply, result) in replies.into_iter().zip(results) {
                // A caller that went away is not told; its command stands.
                let _ = reply.send(result);
            }
        }
        if let Some(conn) = self.conn {
            close(conn).await;
        }
    }

    /// Takes everything that is waiting. While the database is away it is asked again and again, so
    /// that readiness returns by itself, also when nobody calls an instance that is not ready.
    async fn receive(
        &mut self,
        waiting: &mut mpsc::Receiver<Request>,
        batch: &mut Vec<Request>,
    ) -> usize {
        loop {
            let most = (waiting.len() / 2).clamp(AT_ONCE, BATCH);
            if *self.healthy.borrow() {
                return waiting.recv_many(batch, most).await;
            }
            tokio::select! {
                taken = waiting.recv_many(batch, most) => return taken,
                () = tokio::time::sleep(ASK_AGAIN) => {
                    // Nothing to carry out: only whether the database answers.
                    let _ = self.persist(&[]).await;
                }
            }
        }
    }

    /// Carries a batch out; if the database refuses it as a whole, each command alone, so that one bad
    /// command never fails its neighbours.
    async fn carry_out(&mut self, commands: &[Command]) -> Vec<Result<Outcome, PostError>> {
        let whole = self.persist(commands).await;
        match whole {
            Ok(results) => results.into_iter().map(|r| r.map_err(PostError::Refused)).collect(),
            Err(error) if commands.len() > 1 && !connection_lost(&error) && !transient(&error) => {
                let mut answers = Vec::with_capacity(commands.len());
                for command in commands {
                    let alone = self.persist(std::slice::from_ref(command)).await;
                    answers.push(match alone.map(|mut results| results.pop()) {
                        Ok(Some(result)) => result.map_err(PostError::Refused),
                        Ok(None) => Err(stopping()),
                        Err(error) => Err(PostError::Failed(database_failure(&error))),
                    });
                }
                answers
            }
            Err(error) => {
                let failure = database_failure(&error);
                commands.iter().map(|_| Err(PostError::Failed(failure.clone()))).collect()
            }
        }
    }

    /// Tries until it is written: first trusting, then careful. A lost connection is no reason to give
    /// up: under the lock, keys tell what was committed and what was not.
    async fn persist(&mut self, commands: &[Command]) -> Result<Results, sqlx::Error> {
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
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => self.store.database().connect().await?,
        };
        self.book.begin_batch();
        if careful {
            begin_write(&mut conn, LOCK).await?;
            let head = load::head(&mut conn).await?;
            self.book.forget(head);
            load::known(&mut conn, &mut self.book, commands).await?;
        }
        load::touched(&mut conn, &mut self.book, commands).await?;
        let now_us = self.clock.now_us();
        let results: Results =
            commands.iter().map(|command| apply(&mut self.book, command, now_us)).collect();
        // A trusting run does not know old keys. One that is written twice breaks a unique key, but a
        // refusal writes nothing: it may be the repetition of a command that was carried out.
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
            let mut holds = self.book.changes.holds.iter().filter_map(|key| self.book.hold(key));
            if holds.any(|hold| hold.release_at > 0) {
                self.schedule.send_replace(());
            }
            self.book.end_batch(REMEMBERED, changes);
            if changes {
                self.announce.send_replace(self.book.head.last_entry_id);
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
fn keys_of_refused<'a>(
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
