//! The path on which cash-outs move: everything that waits is decided in memory over rows read in a few
//! statements, written in a few more and committed once (docs/decisions/0001-one-writer.md).
//!
//! Two ways to run a batch, as in the ledger: *careful*, under the write lock, so that what a job reads is
//! what it changes; and on PostgreSQL, where each statement is a trip, *trusting* what is remembered and
//! what jobs bring along, written in one statement over the version that all of it is of (decision 0020).
//!
//! It works in a thread of its own, so a caller that goes away cancels nothing. Must not know: what jobs
//! decide.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use cashout_common::batch::{self, First};
use cashout_common::db::{
    Conn, Database, Engine, bounded, close, command, connection_lost, transient,
};
use cashout_common::metrics::{self, Counts};
use cashout_common::run::apart;
use cashout_common::writer::{database_failure, redacted};
use cashout_proto::{Failure, Reason};
use sqlx::Error;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

use super::book::{Book, Needs};
use super::history::Line;
use super::load::{begin, version};
use super::memory::Memory;
use super::recent::Recent;
use crate::domain::status::Status;

/// Changes of cash-outs.
static CHANGES: LazyLock<Counts<2>> = LazyLock::new(|| {
    metrics::counts("withdrawal_changes", "Lines of history, by event and the status after it")
});

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

impl Failed {
    /// What callers hear; the log has the reason.
    fn told(&self) -> Failure {
        match self {
            Self::Before(error) => database_failure(error),
            Self::Unknown(error) => {
                let error = redacted(error);
                tracing::error!(error, "nobody knows whether a batch was written");
                Failure::new(Reason::Unavailable, "the database does not answer; try again")
            }
        }
    }
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
    others: Arc<AtomicU64>,
}

impl Plans {
    /// Starts the thread; it ends when the last clone is dropped and all jobs are done. Every commit
    /// counts `changed` up, after `recent` has its lines of history.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start(
        database: Database,
        changed: watch::Sender<u64>,
        recent: Arc<Recent>,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        let others = Arc::<AtomicU64>::default();
        let others_wrote = others.clone();
        apart("cash-outs", move || {
            let told = (changed.clone(), recent.clone());
            let worker = Worker::new(database.clone(), told, others_wrote.clone());
            let waiting = waiting.clone();
            async move { worker.run(&mut *waiting.lock().await).await }
        })?;
        Ok(Self { jobs, others })
    }

    /// Somebody else in this process has written: what is remembered is not so any longer.
    pub fn forget(&self) {
        self.others.fetch_add(1, Ordering::SeqCst);
    }

    /// Runs a job and answers after its commit. A job that is refused changes nothing. It may be run
    /// more than once, of which one counts. It is handed over at once, so whoever waits carries nothing of it.
    ///
    /// # Errors
    /// The job's own, or the database's: after a lost connection the outcome may be unknown.
    pub fn decide<T, F>(
        &self,
        needs: Needs,
        mut job: F,
    ) -> impl Future<Output = Result<T, Failure>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Book) -> Result<T, Failure> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let decide: Decide =
            Box::new(move |book| book.decide(&mut job).map(|t| Box::new(t) as Box<dyn Any + Send>));
        let sent = self.jobs.try_send(Job { needs, decide, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Failure::new(Reason::Overloaded, "too many requests are waiting")
            }
            mpsc::error::TrySendError::Closed(_) => {
                Failure::new(Reason::Unavailable, "the service is stopping")
            }
        });
        async move {
            sent?;
            let decided = answer.await.unwrap_or_else(|_| Err(unanswered()))?;
            let decided = decided.downcast().map(|decided| *decided);
            decided.map_err(|_| Failure::new(Reason::Internal, "internal error"))
        }
    }
}

/// A defect, or the end of the process, while it was decided.
fn unanswered() -> Failure {
    let told = "nobody knows whether it was done; look, or ask again";
    Failure::new(Reason::Unavailable, told)
}

struct Worker {
    database: Database,
    changed: watch::Sender<u64>,
    recent: Arc<Recent>,
    /// How often others of this process wrote, and how often when that was last looked at.
    others_wrote: Arc<AtomicU64>,
    seen: u64,
    conn: Option<Conn>,
    /// What is known without looking; nothing on SQLite.
    memory: Option<Memory>,
    /// The version over which a batch may have been written whose answer was lost. While it stands that
    /// batch is not there, but may still come.
    doubt: Option<i64>,
}

impl Worker {
    /// Knows nothing yet.
    fn new(
        database: Database,
        (changed, recent): (watch::Sender<u64>, Arc<Recent>),
        others_wrote: Arc<AtomicU64>,
    ) -> Self {
        let (seen, conn, memory, doubt) = (0, None, None, None);
        Self { database, changed, recent, others_wrote, seen, conn, memory, doubt }
    }

    async fn run(mut self, waiting: &mut mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        while batch::next(waiting, &mut batch, BATCH, First::Threads).await {
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
            let failure = error.told();
            return jobs.iter().map(|_| Err(failure.clone())).collect();
        }
        let mut all = Vec::with_capacity(jobs.len());
        for job in jobs {
            let alone = self.persist(std::slice::from_mut(job)).await;
            all.push(match alone {
                Ok(mut decided) => decided.pop().unwrap_or_else(|| Err(unanswered())),
                Err(failed) => Err(failed.told()),
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
                return Err(self.given_up(failed));
            }
            tries += 1;
            tracing::warn!(tries, "a batch runs again after a database error");
        }
    }

    /// A batch that may have been written must not be decided again, nor its jobs one by one; and it is
    /// no matter of the next batch, which remembers nothing.
    fn given_up(&mut self, failed: Failed) -> Failed {
        match (self.doubt.take(), failed) {
            (Some(_), Failed::Before(error)) => Failed::Unknown(error),
            (Some(_) | None, failed) => failed,
        }
    }

    async fn try_once(&mut self, jobs: &mut [Job]) -> Result<Vec<Decided>, Failed> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => bounded(self.database.connect()).await?,
        };
        let others = self.others_wrote.load(Ordering::SeqCst);
        let memory = self.memory.take().filter(|_| self.seen == others);
        self.seen = others;
        if let Some(memory) = memory
            && let Some(decided) = self.trusting(&mut conn, memory, jobs).await?
        {
            self.conn = Some(conn);
            return Ok(decided);
        }
        let (decided, memory) = self.careful(&mut conn, jobs).await?;
        self.memory = matches!(conn, Engine::Postgres(_)).then_some(memory);
        self.conn = Some(conn);
        Ok(decided)
    }

    /// Decides all jobs on what is known and writes what they changed in one statement; nothing when what
    /// was known is no longer so.
    async fn trusting(
        &mut self,
        conn: &mut Conn,
        memory: Memory,
        jobs: &mut [Job],
    ) -> Result<Option<Vec<Decided>>, Failed> {
        let needs: Vec<&Needs> = jobs.iter().map(|job| &job.needs).collect();
        let begun = memory.begun.clone();
        let mut book = bounded(Book::load(conn, begun, &needs, Some(&memory))).await?;
        let decided: Vec<Decided> = jobs.iter_mut().map(|job| (job.decide)(&mut book)).collect();
        // A key that is known breaks a unique index when it is written twice, but a refusal writes nothing.
        let mut asked = jobs.iter().zip(&decided);
        if asked.any(|(job, decided)| job.needs.request.is_some() && decided.is_err()) {
            return Ok(None);
        }
        let known = memory.begun.head.version;
        let there = if book.changed() {
            // A lost connection leaves this in doubt until somebody looked under the lock.
            self.doubt = Some(known);
            let written = bounded(book.write_at_once(conn)).await?;
            self.doubt = None;
            written
        } else {
            bounded(version(conn)).await? == known
        };
        let needs: Vec<&Needs> = jobs.iter().map(|job| &job.needs).collect();
        self.memory = there.then(|| Memory::after(Some(memory), &book, &needs));
        if there {
            self.tell(book.changes.lines);
        }
        Ok(there.then_some(decided))
    }

    /// Decides all jobs under the write lock over what is read there, and writes what they changed.
    async fn careful(
        &mut self,
        conn: &mut Conn,
        jobs: &mut [Job],
    ) -> Result<(Vec<Decided>, Memory), Failed> {
        let begun = bounded(begin(conn)).await?;
        let doubted = self.doubt.is_some();
        if self.doubt.is_some_and(|version| version != begun.head.version) {
            // The batch may be what moved it: then its jobs must not be decided again.
            let told = "somebody wrote after a batch whose answer was lost";
            return Err(Failed::Unknown(Error::Protocol(told.to_owned())));
        }
        let needs: Vec<&Needs> = jobs.iter().map(|job| &job.needs).collect();
        let mut book = bounded(Book::load(conn, begun, &needs, None)).await?;
        let decided = jobs.iter_mut().map(|job| (job.decide)(&mut book)).collect();
        // A batch in doubt can never come once the version has moved.
        if book.changed() || doubted {
            bounded(book.write(conn)).await?;
        }
        // What was decided is told only when it is there, so the end is awaited in any case.
        bounded(command(conn, "COMMIT")).await.map_err(Failed::Unknown)?;
        self.doubt = None;
        let needs: Vec<&Needs> = jobs.iter().map(|job| &job.needs).collect();
        let memory = Memory::after(None, &book, &needs);
        self.tell(book.changes.lines);
        Ok((decided, memory))
    }

    /// Tells what was committed just now: to who follows changes, and in numbers.
    fn tell(&self, lines: Vec<Line>) {
        for line in &lines {
            let event = line.event.clone();
            let to = Status::from_number(line.to_status).map_or("-", Status::name);
            CHANGES.get_or_create(&[("event", event), ("to", to.into())]).inc();
        }
        self.recent.add(lines);
    }
}
