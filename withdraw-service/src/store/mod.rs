//! All SQL of the service, one file per group of tables. What changes a status runs as a job of the
//! one writer; what only reads takes a reader.
//!
//! Must not know: which changes are right. SQL is the same on both engines and stands once.

pub mod answers;
mod arrays;
pub mod attempts;
pub mod billed;
pub mod book;
pub mod cases;
pub mod channels;
pub mod differences;
pub mod due;
pub mod history;
mod list;
pub mod listing;
mod load;
mod lookups;
mod memory;
pub mod notifications;
mod payout_rules;
mod plans;
mod recent;
mod record_rules;
pub mod rules;
pub mod sandbox;
mod save;
mod set;
mod tables;
pub mod verification;
pub mod withdrawals;

use std::sync::Arc;

use cashout_common::db::{Conn, Database, Migrations, Readers};
use cashout_common::gather::Gather;
use cashout_common::writer::{WriteError, Writer};
use cashout_proto::Failure;
use futures::future::BoxFuture;
use tokio::sync::watch;

use book::{Book, Needs};
use history::Line;
use plans::Plans;
use recent::Recent;

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// The schema of this service.
pub const MIGRATIONS: Migrations = Migrations { sqlite: &SQLITE, postgres: &POSTGRES };
/// What makes a writer the only one on PostgreSQL. It also lets a job read and then write without races, and
/// tells whoever remembers something that it may be so no longer.
const WRITE_LOCK: &str = "UPDATE stream_head SET version = version + 1 WHERE id = 1";

/// The open database with its writer.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    writer: Writer,
    plans: Plans,
    /// Reads of one row each that share statements; see `lookups`.
    withdrawals: Option<Gather<lookups::Withdrawals>>,
    changed: watch::Sender<u64>,
    recent: Arc<Recent>,
}

impl Store {
    /// Opens and migrates the database.
    ///
    /// # Errors
    /// When it cannot be opened or migrated.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let database = Database::open(url, MIGRATIONS).await?;
        let writer = Writer::start(database.clone(), WRITE_LOCK);
        let changed = watch::Sender::new(0);
        let recent = Arc::<Recent>::default();
        let plans = Plans::start(database.clone(), changed.clone(), recent.clone())?;
        let withdrawals = Gather::on(&database);
        Ok(Self { database, writer, plans, withdrawals, changed, recent })
    }

    /// Connections for reading.
    #[must_use]
    pub fn readers(&self) -> &Readers {
        self.database.readers()
    }

    /// Has a job decide over what it needs, in a batch with all others that wait, and answers after the
    /// commit. It may be run more than once, of which one counts.
    ///
    /// # Errors
    /// The job's own, or the database's; after either nothing of the job is left, unless the connection
    /// was lost in the commit.
    pub fn decide<T, F>(
        &self,
        needs: Needs,
        job: F,
    ) -> impl Future<Output = Result<T, Failure>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnMut(&mut Book) -> Result<T, Failure> + Send + 'static,
    {
        self.plans.decide(needs, job)
    }

    /// Runs a rare job, one that reads more than a book holds, in the writer and answers after its commit.
    ///
    /// # Errors
    /// The job's own, or the database's; after either nothing of the job is left.
    pub async fn write<T, F>(&self, job: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, WriteError>> + Send + 'static,
    {
        let done = self.writer.write(job).await?;
        self.plans.forget();
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
        Ok(done)
    }

    /// Tells of every commit of this process; other processes' are found by asking now and then.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Lines of history after a sequence that this instance has written lately, up to `limit`; none when the next
    /// line is not one of them, or is not there yet.
    #[must_use]
    pub fn recent(&self, sequence: i64, limit: usize) -> Vec<Line> {
        self.recent.after(sequence, limit)
    }

    /// Closes the readers.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
