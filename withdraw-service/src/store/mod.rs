//! All SQL of the service, one file per group of tables. What changes a status runs as a job of the
//! one writer; what only reads takes a reader.
//!
//! Must not know: which changes are right. SQL is the same on both engines and stands once.

pub mod answers;
pub mod attempts;
pub mod cases;
pub mod due;
pub mod history;
pub mod listing;
pub mod reviews;
pub mod sandbox;
pub mod verification;
pub mod withdrawals;

use cashout_common::db::{Conn, Database, Migrations, Readers};
use cashout_common::writer::{WriteError, Writer};
use cashout_proto::Failure;
use futures::future::BoxFuture;
use tokio::sync::watch;

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// The schema of this service.
pub const MIGRATIONS: Migrations = Migrations { sqlite: &SQLITE, postgres: &POSTGRES };
/// What makes a writer the only one on PostgreSQL. It also lets a job read and then write without races.
const WRITE_LOCK: &str = "SELECT last_sequence FROM stream_head WHERE id = 1 FOR UPDATE";

/// The open database with its writer.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    writer: Writer,
    changed: watch::Sender<u64>,
}

impl Store {
    /// Opens and migrates the database.
    ///
    /// # Errors
    /// When it cannot be opened or migrated.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let database = Database::open(url, MIGRATIONS).await?;
        let writer = Writer::start(database.clone(), WRITE_LOCK);
        Ok(Self { database, writer, changed: watch::Sender::new(0) })
    }

    /// Connections for reading.
    #[must_use]
    pub fn readers(&self) -> &Readers {
        self.database.readers()
    }

    /// Runs a job in the writer and answers after its commit.
    ///
    /// # Errors
    /// The job's own, or the database's; after either nothing of the job is left.
    pub async fn write<T, F>(&self, job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, WriteError>> + Send + 'static,
    {
        let done = self.writer.write(job).await?;
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        Ok(done)
    }

    /// Tells of every commit of this process; other processes' are found by asking now and then.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Closes the readers.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
