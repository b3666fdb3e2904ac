//! The path on which cash-outs move: everything that waits is decided in memory over rows read in a few
//! statements, written in a few more and committed once (docs/decisions/0001-one-writer.md).
//!
//! It works in a thread of its own, so a caller that goes away cancels nothing, and under the write lock,
//! so that what a job reads is what it changes. Must not know: what jobs decide.

use std::any::Any;

use cashout_common::db::{Conn, Database, bounded, close, command, connection_lost, transient};
use cashout_common::writer::database_failure;
use cashout_proto::{Failure, Reason};
use sqlx::Error;
use tokio::sync::{mpsc, oneshot, watch};

use super::book::{Book, Needs};
use super::load::begin;

/// Most jobs that share a commit.
const BATCH: usize = 256;
/// Most jobs that wait; more are refused as overload.
const QUEUE: usize = 4096;
/// How often a batch is begun again while nothing of it can have been committed.
const TRIES: u32 = 3;

type Decided = Result<Box<dyn Any + Send>, Failure>;
type Decide = Box<dyn FnMut(&mut Book) -> Decided + Send>;

struct Job {
    needs: Needs,
    decide: Decide,
    reply: oneshot::Sender<Decided>,
}

/// How far a batch came that failed.
enum Failed {
    /// Nothing of it is there.
    Before(Error),
    /// Nobody knows: the answer to the commit is missing.
    Unknown(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Before(error)
    }
}

/// Takes jobs and commits them in groups.
#[derive(Debug, Clone)]
pub struct Plans {
    jobs: mpsc::Sender<Job>,
}

impl Plans {
    /// Starts the thread; it ends when the last clone is dropped and all jobs are done. Every commit
    /// counts `changed` up.
    ///
    /// A thread of its own: everybody waits for the few trips of a batch, and among the tasks of all
    /// calls each answer of the database would wait its turn to be seen.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(database: Database, changed: watch::Sender<u64>) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let own = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Worker { database, changed, conn: None };
        let named = std::thread::Builder::new().name("cash-outs".to_owned());
        named.spawn(move || own.block_on(worker.run(waiting)))?;
        Ok(Self { jobs })
    }

    /// Runs a job and answers after its commit. A job that is refused changes nothing. It may be run
    /// more than once, of which one counts.
    ///
    /// # Errors
    /// The job's own, or the database's: after a lost connection the outcome may be unknown.
    pub async fn decide<T, F>(&self, needs: Needs, mut job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnMut(&mut Book) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let decide: Decide =
            Box::new(move |book| book.decide(&mut job).map(|t| Box::new(t) as Box<dyn Any + Send>));
        self.jobs.try_send(Job { needs, decide, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Failure::new(Reason::Overloaded, "too many requests are waiting")
            }
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        let decided = answer.await.unwrap_or_else(|_| Err(stopped()))?;
        let decided = decided.downcast().map(|decided| *decided);
        decided.map_err(|_| Failure::new(Reason::Internal, "internal error"))
    }
}

fn stopped() -> Failure {
    Failure::new(Reason::Unavailable, "the service is stopping")
}

struct Worker {
    database: Database,
    changed: watch::Sender<u64>,
    conn: Option<Conn>,
}

impl Worker {
    async fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            let turn = self.database.write_turn().await;
            let decided = self.carry_out(&mut batch).await;
            drop(turn);
            self.changed.send_modify(|n| *n = n.wrapping_add(1));
            for (job, decided) in batch.drain(..).zip(decided) {
                // A caller that went away is not told; what was decided stands.
                let _ = job.reply.send(decided);
            }
        }
        if let Some(conn) = self.conn {
            close(conn).await;
        }
    }

    /// Carries a batch out; if the database refuses it as a whole, each job alone, so that a bad one
    /// never fails its neighbours.
    async fn carry_out(&mut self, jobs: &mut [Job]) -> Vec<Decided> {
        let error = match self.persist(jobs).await {
            Ok(decided) => return decided,
            Err(error) => error,
        };
        let refused = match &error {
            Failed::Before(error) => !connection_lost(error) && !transient(error),
            Failed::Unknown(_) => false,
        };
        if jobs.len() == 1 || !refused {
            let (Failed::Before(error) | Failed::Unknown(error)) = error;
            let failure = database_failure(&error);
            return jobs.iter().map(|_| Err(failure.clone())).collect();
        }
        let mut all = Vec::with_capacity(jobs.len());
        for job in jobs {
            let alone = self.persist(std::slice::from_mut(job)).await;
            all.push(match alone {
                Ok(mut decided) => decided.pop().unwrap_or_else(|| Err(stopped())),
                Err(Failed::Before(error) | Failed::Unknown(error)) => {
                    Err(database_failure(&error))
                }
            });
        }
        all
    }

    /// Tries again what cannot have been committed: after a lost connection, and when a single job drew
    /// a number that is taken.
    async fn persist(&mut self, jobs: &mut [Job]) -> Result<Vec<Decided>, Failed> {
        let mut tries = 1;
        loop {
            let failed = match self.try_once(jobs).await {
                Ok(decided) => return Ok(decided),
                Err(failed) => failed,
            };
            self.conn = None;
            let again = match &failed {
                Failed::Before(Error::Database(e)) if e.is_unique_violation() => jobs.len() == 1,
                Failed::Before(error) => connection_lost(error) || transient(error),
                Failed::Unknown(_) => false,
            };
            if !again || tries == TRIES {
                return Err(failed);
            }
            tries += 1;
            tracing::warn!(tries, "a batch runs again after a database error");
        }
    }

    async fn try_once(&mut self, jobs: &mut [Job]) -> Result<Vec<Decided>, Failed> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => bounded(self.database.connect()).await?,
        };
        let decided = bounded(decided(&mut conn, jobs)).await?;
        // What was decided is told only when it is there, so the end is awaited in any case.
        match bounded(command(&mut conn, "COMMIT")).await {
            Ok(()) => {
                self.conn = Some(conn);
                Ok(decided)
            }
            Err(error) => Err(Failed::Unknown(error)),
        }
    }
}

/// Decides all jobs under the write lock and writes what they changed.
async fn decided(conn: &mut Conn, jobs: &mut [Job]) -> Result<Vec<Decided>, Error> {
    let begun = begin(conn).await?;
    let needs: Vec<&Needs> = jobs.iter().map(|job| &job.needs).collect();
    let mut book = Book::load(conn, begun, &needs).await?;
    let decided = jobs.iter_mut().map(|job| (job.decide)(&mut book)).collect();
    if book.changed() {
        book.write(conn).await?;
    }
    Ok(decided)
}
