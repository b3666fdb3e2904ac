//! Opening a database of either engine, and the little that both share: readers, a turn to write,
//! consistent snapshots.
//!
//! SQL that is the same on both engines stands once and is run through [`on_engine!`]. Must not know:
//! any table of a service.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// One of the two engines, and what belongs to it.
#[derive(Debug, Clone)]
pub enum Engine<S, P> {
    /// SQLite, in a file of its own.
    Sqlite(S),
    /// PostgreSQL.
    Postgres(P),
}

/// A pool of read connections.
pub type Readers = Engine<SqlitePool, PgPool>;
/// A connection of its own, outside any pool.
pub type Conn = Engine<SqliteConnection, PgConnection>;
/// A read transaction that sees one moment.
pub type Snapshot =
    Engine<sqlx::Transaction<'static, sqlx::Sqlite>, sqlx::Transaction<'static, sqlx::Postgres>>;

/// How long a writer waits for one step; longer than the server lets a statement run.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How PostgreSQL plans a writer's statements: once each, and by index. They reach their rows by key;
/// planning anew for every batch costs more than a small batch does, and a plan made while the tables
/// were empty would scan them when they are not.
const WRITER_PLANS: [(&str, &str); 6] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_bitmapscan", "off"),
    // A forbidden plan that is taken all the same counts as dear enough to be compiled, every time.
    ("jit", "off"),
];

/// Pages that a writer keeps on SQLite, in KiB and negative as SQLite wants it: keys and accounts come in
/// no order, and a page that has to be read again for every row makes a long history slow.
const WRITER_CACHE: &str = "-65536";

/// Runs the same expression on whichever engine it is: `on_engine!(conn, c => query(SQL).execute(&mut *c).await)`.
#[macro_export]
macro_rules! on_engine {
    ($value:expr, $inner:ident => $body:expr) => {
        match $value {
            $crate::db::Engine::Sqlite($inner) => $body,
            $crate::db::Engine::Postgres($inner) => $body,
        }
    };
}

/// The migrations of a service, numbered the same for both engines.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// For SQLite.
    pub sqlite: &'static Migrator,
    /// For PostgreSQL.
    pub postgres: &'static Migrator,
}

/// An open database.
#[derive(Debug, Clone)]
pub struct Database {
    readers: Readers,
    options: Engine<SqliteConnectOptions, PgConnectOptions>,
    /// SQLite has one writer; waiting here is fair, waiting in SQLite's busy handler is not.
    turn: Arc<Mutex<()>>,
}

impl Database {
    /// Opens `sqlite://path` (created when missing) or `postgres://…` and brings it to the newest schema.
    ///
    /// # Errors
    /// When the address is none of these, cannot be opened or cannot be migrated.
    pub async fn open(url: &str, migrations: Migrations) -> anyhow::Result<Self> {
        let database = Self::connect_to(url, false).await?;
        match database.connect().await.context("cannot open the database")? {
            Engine::Sqlite(mut conn) => {
                migrations.sqlite.run_direct(None, &mut conn, false).await?;
                conn.close().await?;
            }
            Engine::Postgres(mut conn) => {
                migrations.postgres.run_direct(None, &mut conn, false).await?;
                conn.close().await?;
            }
        }
        Ok(database)
    }

    /// Opens an existing database for reading only: nothing is created or migrated.
    ///
    /// # Errors
    /// When the address is none of the two or nothing is there.
    pub async fn open_read_only(url: &str) -> anyhow::Result<Self> {
        let database = Self::connect_to(url, true).await?;
        match database.readers() {
            Engine::Sqlite(pool) => drop(pool.acquire().await.context("cannot open the database")?),
            // A connection of its own says why it cannot be made; a pool only says that it waited.
            Engine::Postgres(_) => {
                close(bounded(database.connect()).await.context("cannot open the database")?).await;
            }
        }
        Ok(database)
    }

    async fn connect_to(url: &str, read_only: bool) -> anyhow::Result<Self> {
        let turn = Arc::new(Mutex::new(()));
        if url.starts_with("sqlite:") {
            let options = sqlite_options(url)?.create_if_missing(!read_only);
            if !read_only {
                if let Some(dir) = options.get_filename().parent() {
                    // Its files hold personal data: only their owner may look in.
                    let mut private = tokio::fs::DirBuilder::new();
                    let made = private.recursive(true).mode(0o700).create(dir).await;
                    made.with_context(|| format!("cannot create {}", dir.display()))?;
                }
                // Readers open the file read-only, so it has to exist first.
                options.connect().await.context("cannot open the database file")?.close().await?;
            }
            let pool = SqlitePoolOptions::new()
                .max_connections(4)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_lazy_with(options.clone().read_only(true).create_if_missing(false));
            return Ok(Self {
                readers: Engine::Sqlite(pool),
                options: Engine::Sqlite(options),
                turn,
            });
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = postgres_options(url, read_only)?;
            let pool = PgPoolOptions::new()
                .max_connections(8)
                .acquire_timeout(Duration::from_secs(5))
                .max_lifetime(Duration::from_secs(1800))
                .connect_lazy_with(options.clone());
            return Ok(Self {
                readers: Engine::Postgres(pool),
                options: Engine::Postgres(options),
                turn,
            });
        }
        bail!("a database address starts with sqlite:// or postgres://")
    }

    /// Connections for reading. A read is one statement; what needs several of one moment takes a
    /// [`Self::snapshot`], or reads only what cannot change once it is there.
    #[must_use]
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// A new connection of its own, for a writer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connect(&self) -> Result<Conn, sqlx::Error> {
        Ok(match &self.options {
            Engine::Sqlite(options) => {
                let options = options.clone().pragma("cache_size", WRITER_CACHE);
                Engine::Sqlite(options.connect().await?)
            }
            Engine::Postgres(options) => {
                Engine::Postgres(options.clone().options(WRITER_PLANS).connect().await?)
            }
        })
    }

    /// A new connection of its own that only reads, by key: planned like a writer's statements.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connect_to_read(&self) -> Result<Conn, sqlx::Error> {
        Ok(match &self.options {
            Engine::Sqlite(options) => Engine::Sqlite(
                options.clone().read_only(true).create_if_missing(false).connect().await?,
            ),
            Engine::Postgres(options) => {
                let options = options.clone().options(WRITER_PLANS);
                let reading = [("default_transaction_read_only", "on")];
                Engine::Postgres(options.options(reading).connect().await?)
            }
        })
    }

    /// Waits for this process's turn to write. On PostgreSQL there is no queue: rows are locked.
    pub async fn write_turn(&self) -> Option<OwnedMutexGuard<()>> {
        match self.options {
            Engine::Sqlite(_) => Some(self.turn.clone().lock_owned().await),
            Engine::Postgres(_) => None,
        }
    }

    /// A read-only transaction in which every statement sees the same moment.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn snapshot(&self) -> Result<Snapshot, sqlx::Error> {
        Ok(match &self.readers {
            Engine::Sqlite(pool) => Engine::Sqlite(pool.begin().await?),
            Engine::Postgres(pool) => {
                // sqlx 0.9.0 hands a connection back inside an open transaction when a future is
                // dropped in BEGIN; this one is in a task that nobody drops.
                let pool = pool.clone();
                let begun = tokio::spawn(async move {
                    pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
                });
                Engine::Postgres(begun.await.map_err(|_| sqlx::Error::WorkerCrashed)??)
            }
        })
    }

    /// Closes the readers; a server that does not answer is not waited for.
    pub async fn close(&self) {
        let farewell = Duration::from_secs(2);
        on_engine!(&self.readers, pool => {
            let _ = tokio::time::timeout(farewell, pool.close()).await;
        });
    }
}

/// Checks an address without opening it, for settings.
///
/// # Errors
/// The rule, when it is broken.
pub fn address(url: &str) -> Result<String, String> {
    let parsed = if url.starts_with("sqlite:") {
        sqlite_options(url).map(drop)
    } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        postgres_options(url, false).map(drop)
    } else {
        return Err("must start with sqlite:// or postgres://".to_owned());
    };
    // The address may hold a password, so an error's own words stay inside.
    parsed
        .map(|()| url.to_owned())
        .map_err(|_| "is not an address of a database file or server".to_owned())
}

/// Starts a write transaction: `BEGIN IMMEDIATE` on SQLite; on PostgreSQL `BEGIN` and then `lock`, the
/// row lock that makes it the one writer of the database, so that both engines behave the same.
///
/// # Errors
/// When the database does not answer.
pub async fn begin_write(conn: &mut Conn, lock: &'static str) -> Result<(), sqlx::Error> {
    match conn {
        Engine::Sqlite(c) => sqlx::raw_sql("BEGIN IMMEDIATE").execute(c).await.map(drop),
        Engine::Postgres(c) => {
            sqlx::raw_sql("BEGIN").execute(&mut *c).await?;
            sqlx::raw_sql(lock).execute(c).await.map(drop)
        }
    }
}

/// Runs a plain command such as `COMMIT`.
///
/// # Errors
/// When the database refuses it or does not answer.
pub async fn command(conn: &mut Conn, sql: &'static str) -> Result<(), sqlx::Error> {
    on_engine!(conn, c => sqlx::raw_sql(sql).execute(&mut *c).await.map(drop))
}

/// Closes a writer's connection. On SQLite the last one folds the write-ahead log into the file.
pub async fn close(conn: Conn) {
    let closed = on_engine!(conn, c => bounded(c.close()).await);
    if let Err(error) = closed {
        tracing::debug!(%error, "a connection did not close");
    }
}

/// Waits for a step of a writer, but not for ever: a server that is gone without a word would keep the
/// one writer waiting. The step's connection must be dropped after an error.
///
/// # Errors
/// The step's own, or a time-out as an I/O error.
pub async fn bounded<T>(
    step: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(done) => done,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// Whether the same statement may work in a moment: contention, or a server out of room for us.
#[must_use]
pub fn transient(error: &sqlx::Error) -> bool {
    let Some(code) = error.as_database_error().and_then(|e| e.code()) else { return false };
    // Serialization failure, deadlock, lock not available; PostgreSQL's class 53, out of resources;
    // SQLite's BUSY and LOCKED with their extended forms.
    matches!(code.as_ref(), "40001" | "40P01" | "55P03" | "5" | "6" | "261" | "262" | "517" | "518")
        || (code.len() == 5 && code.starts_with("53"))
}

/// Whether the connection behind this error is of no more use.
#[must_use]
pub fn connection_lost(error: &sqlx::Error) -> bool {
    match error {
        // Class 57: the server is shutting down or cancelled us; 25P03: idle in transaction too long.
        sqlx::Error::Database(e) => e.code().is_some_and(|c| c.starts_with("57") || c == "25P03"),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::PoolClosed
        | sqlx::Error::PoolTimedOut => true,
        _ => false,
    }
}

fn sqlite_options(url: &str) -> anyhow::Result<SqliteConnectOptions> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        bail!("an in-memory database would be another one for every connection; name a file");
    }
    Ok(SqliteConnectOptions::from_str(url)
        .context("not a sqlite:// address")?
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL may lose answered commits in WAL mode.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .pragma("trusted_schema", "OFF")
        .statement_cache_capacity(256)
        .disable_statement_logging())
}

fn postgres_options(url: &str, read_only: bool) -> anyhow::Result<PgConnectOptions> {
    Ok(PgConnectOptions::from_str(url)
        .context("not a postgres:// address")?
        .application_name("cashout")
        .options([
            ("idle_in_transaction_session_timeout", "10s"),
            // Checks of a whole database take as long as they take.
            ("statement_timeout", if read_only { "0" } else { "12s" }),
            ("lock_timeout", "10s"),
            ("client_min_messages", "error"),
        ])
        .statement_cache_capacity(256)
        .disable_statement_logging())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Migrations {
        let migrator = Box::leak(Box::new(Migrator::with_migrations(vec![])));
        Migrations { sqlite: migrator, postgres: migrator }
    }

    #[tokio::test]
    async fn every_sqlite_connection_syncs_fully_and_readers_cannot_write() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let url = format!("sqlite://{}/deep/down/t.db", dir.path().display());
        let database = Database::open(&url, nothing()).await?;
        let Engine::Sqlite(mut writer) = database.connect().await? else { bail!("not SQLite") };
        let Engine::Sqlite(readers) = database.readers() else { bail!("not SQLite") };
        let level: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut writer).await?;
        assert_eq!(level, 2, "2 is FULL");
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut writer).await?;
        assert_eq!(mode, "wal");
        let write = sqlx::raw_sql("CREATE TABLE t (x INTEGER)").execute(readers).await;
        assert!(write.is_err(), "a reader wrote");
        Ok(())
    }

    #[tokio::test]
    async fn addresses_that_cannot_work_are_refused() {
        for url in ["", "mysql://x", "sqlite::memory:", "sqlite://x?mode=memory", "/tmp/x.db"] {
            assert!(address(url).is_err(), "{url}");
            assert!(Database::open(url, nothing()).await.is_err(), "{url}");
        }
        let absent = Database::open_read_only("sqlite:///nowhere/to/be/found.db").await;
        assert!(absent.is_err(), "reading must not create a database");
    }
}
