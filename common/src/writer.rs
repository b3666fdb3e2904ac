//! One writer per process for a database: jobs that are waiting share one transaction and one commit,
//! each in a savepoint of its own.
//!
//! Because jobs run in the writer's task, a caller that goes away cannot cancel one half-way. Because
//! the writer holds the database's one write lock (see `db::begin_write`), jobs of several processes
//! run one after another and read what they are about to change without races.
//! Must not know: what jobs do.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use cashout_proto::{Failure, Reason};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::db::{
    Conn, Database, PATIENCE, begin_write, bounded, close, command, connection_lost, transient,
};

/// Most jobs that share a commit.
const BATCH: usize = 256;
/// Most jobs that wait; more are refused as overload.
const QUEUE: usize = 4096;

/// Why a job changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A rule said no. The job's changes are rolled back.
    #[error("{0}")]
    Refused(#[from] Failure),
    /// The database said no or went away. After a lost connection the outcome is unknown.
    #[error("database error")]
    Database(#[from] sqlx::Error),
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Refused(failure) => failure,
            WriteError::Database(error) => database_failure(&error),
        }
    }
}

/// What a caller may know of a database error; the operator's log has the rest.
#[must_use]
pub fn database_failure(error: &sqlx::Error) -> Failure {
    tracing::error!(error = %redacted(error), "database error");
    if connection_lost(error) || transient(error) {
        Failure::new(Reason::Unavailable, "the database does not answer; try again")
    } else {
        Failure::new(Reason::Internal, "internal error")
    }
}

/// A database error for the log: its code and constraint, never the values of a row.
#[must_use]
pub fn redacted(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(e) => format!(
            "code {} constraint {}",
            e.code().unwrap_or_default(),
            e.constraint().unwrap_or("-")
        ),
        other => other.to_string(),
    }
}

type Answer = Result<Box<dyn Any + Send>, WriteError>;
type Run = Box<dyn for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Answer> + Send>;

struct Job {
    run: Run,
    reply: oneshot::Sender<Answer>,
}

/// Takes jobs and commits them in groups.
#[derive(Debug, Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the writer's task; it ends when the last clone is dropped and all jobs are done.
    /// `lock` is the statement that takes PostgreSQL's write lock.
    #[must_use]
    pub fn start(database: Database, lock: &'static str) -> Self {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(work(database, lock, waiting));
        Self { jobs }
    }

    /// Runs `job` inside a transaction and answers after its commit. An error rolls back this job alone.
    ///
    /// # Errors
    /// The job's own, or the database's.
    pub async fn write<T, F>(&self, job: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, WriteError>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let run: Run = Box::new(move |conn| {
            let done = job(conn);
            Box::pin(async move { done.await.map(|value| Box::new(value) as Box<dyn Any + Send>) })
        });
        self.jobs.try_send(Job { run, reply }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => WriteError::Refused(Failure::new(
                Reason::Overloaded,
                "too many requests are waiting",
            )),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        let value = answer.await.map_err(|_| unanswered())??;
        value
            .downcast()
            .map(|value| *value)
            .map_err(|_| WriteError::Refused(Failure::new(Reason::Internal, "internal error")))
    }
}

/// The batch was given up: what became of it is not known.
fn unanswered() -> WriteError {
    let told = "the database does not answer; try again";
    WriteError::Refused(Failure::new(Reason::Unavailable, told))
}

fn stopped() -> WriteError {
    WriteError::Refused(Failure::new(Reason::Unavailable, "the service is stopping"))
}

async fn work(database: Database, lock: &'static str, mut waiting: mpsc::Receiver<Job>) {
    let mut conn = None;
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let turn = database.write_turn().await;
        if conn.is_none() {
            conn = match bounded(database.connect()).await {
                Ok(new) => Some(new),
                Err(error) => {
                    refuse_all(batch.drain(..).map(|job| job.reply), &error);
                    continue;
                }
            };
        }
        if let Some(open) = conn.as_mut() {
            let run = AssertUnwindSafe(run_batch(open, lock, std::mem::take(&mut batch)));
            let in_order = match tokio::time::timeout(PATIENCE, run.catch_unwind()).await {
                Ok(Ok(in_order)) => in_order,
                Ok(Err(_panic)) => {
                    tracing::error!("a job of the writer ended badly; its batch is rolled back");
                    false
                }
                Err(_elapsed) => false,
            };
            if !in_order {
                conn = None;
            }
        }
        drop(turn);
    }
    if let Some(conn) = conn {
        close(conn).await;
    }
}

/// Runs one batch; false when the connection must not be used again.
async fn run_batch(conn: &mut Conn, lock: &'static str, batch: Vec<Job>) -> bool {
    let alone = batch.len() == 1;
    if let Err(error) = begin_write(conn, lock).await {
        refuse_all(batch.into_iter().map(|job| job.reply), &error);
        return false;
    }
    let mut done = Vec::with_capacity(batch.len());
    let mut failed = None;
    for job in batch {
        if failed.is_some() {
            done.push((job.reply, Err(stopped())));
            continue;
        }
        match run_job(conn, job.run, alone).await {
            Ok(answer) => done.push((job.reply, answer)),
            Err(error) => {
                failed = Some(error);
                done.push((job.reply, Err(stopped())));
            }
        }
    }
    let ended = match failed {
        Some(error) => Err(error),
        None if alone && done.iter().all(|(_, answer)| answer.is_err()) => {
            command(conn, "ROLLBACK").await
        }
        None => command(conn, "COMMIT").await,
    };
    match ended {
        Ok(()) => {
            for (reply, answer) in done {
                // A caller that went away is not told.
                let _ = reply.send(answer);
            }
            true
        }
        Err(error) => {
            refuse_all(done.into_iter().map(|(reply, _)| reply), &error);
            false
        }
    }
}

/// Runs one job in a savepoint. The outer error means that the whole transaction is lost.
async fn run_job(conn: &mut Conn, run: Run, alone: bool) -> Result<Answer, sqlx::Error> {
    if !alone {
        command(conn, "SAVEPOINT job").await?;
    }
    let answer = run(conn).await;
    if let Err(WriteError::Database(error)) = &answer
        && connection_lost(error)
    {
        return match answer {
            Err(WriteError::Database(error)) => Err(error),
            _ => Err(sqlx::Error::WorkerCrashed),
        };
    }
    if !alone {
        if answer.is_err() {
            command(conn, "ROLLBACK TO SAVEPOINT job").await?;
        }
        command(conn, "RELEASE SAVEPOINT job").await?;
    }
    Ok(answer)
}

fn refuse_all(replies: impl Iterator<Item = oneshot::Sender<Answer>>, error: &sqlx::Error) {
    let failure = database_failure(error);
    for reply in replies {
        let _ = reply.send(Err(WriteError::Refused(Failure {
            reason: Reason::Unavailable,
            ..failure.clone()
        })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::on_engine;

    async fn fresh() -> anyhow::Result<(tempfile::TempDir, Database, Writer)> {
        let dir = tempfile::tempdir()?;
        let migrator = Box::leak(Box::new(sqlx::migrate::Migrator::with_migrations(vec![])));
        let migrations = crate::db::Migrations { sqlite: migrator, postgres: migrator };
        let database =
            Database::open(&format!("sqlite://{}/t.db", dir.path().display()), migrations).await?;
        let writer = Writer::start(database.clone(), "");
        execute(&writer, "CREATE TABLE t (x INTEGER PRIMARY KEY) STRICT").await?;
        Ok((dir, database, writer))
    }

    async fn execute(writer: &Writer, sql: &'static str) -> Result<(), WriteError> {
        writer.write(move |conn| Box::pin(async move { Ok(command(conn, sql).await?) })).await
    }

    async fn count(database: &Database) -> Result<i64, sqlx::Error> {
        on_engine!(database.readers(), p => sqlx::query_scalar("SELECT count(*) FROM t").fetch_one(p).await)
    }

    #[tokio::test]
    async fn a_job_that_panics_leaves_nothing_and_the_next_is_served() -> anyhow::Result<()> {
        let (_dir, database, writer) = fresh().await?;
        let defect: Result<(), WriteError> = writer
            .write(|conn| {
                Box::pin(async move {
                    command(conn, "INSERT INTO t VALUES (1)").await?;
                    std::panic::panic_any("a defect")
                })
            })
            .await;
        assert!(defect.is_err());
        assert_eq!(count(&database).await?, 0);
        assert!(execute(&writer, "INSERT INTO t VALUES (1)").await.is_ok());
        assert_eq!(count(&database).await?, 1);
        Ok(())
    }

    #[tokio::test]
    async fn sixty_four_writers_never_see_locked_and_one_failure_fails_nobody_else()
    -> anyhow::Result<()> {
        let (_dir, database, writer) = fresh().await?;
        let mut calls = Vec::new();
        for x in 0..64_i64 {
            let writer = writer.clone();
            calls.push(tokio::spawn(async move {
                writer
                    .write(move |conn| {
                        Box::pin(async move {
                            on_engine!(conn, c => sqlx::query("INSERT INTO t VALUES ($1)").bind(x / 2).execute(&mut *c).await.map(drop)?);
                            Ok(())
                        })
                    })
                    .await
                    .is_ok()
            }));
        }
        let mut succeeded = 0;
        for call in calls {
            succeeded += i64::from(call.await?);
        }
        assert_eq!(succeeded, 32, "every second one breaks the primary key");
        assert_eq!(count(&database).await?, 32);
        Ok(())
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_does_not_cancel_its_job() -> anyhow::Result<()> {
        let (_dir, database, writer) = fresh().await?;
        for x in 0..50_i64 {
            let call = writer.write(move |conn| {
                Box::pin(async move {
                    on_engine!(conn, c => sqlx::query("INSERT INTO t VALUES ($1)").bind(x).execute(&mut *c).await.map(drop)?);
                    Ok(())
                })
            });
            // Dropped right after it was enqueued.
            let _ = futures::future::poll_immediate(Box::pin(call)).await;
        }
        execute(&writer, "SELECT 1").await?;
        assert_eq!(count(&database).await?, 50);
        Ok(())
    }
}
