//! The textbook ledger's database: 16 connections on PostgreSQL, one that writes on SQLite, and the
//! statements of one transaction.
//!
//! Durability is that of the service it is compared with: WAL with `synchronous=FULL` on SQLite, the
//! server's own on PostgreSQL. Must not know: any rule.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use cashout_common::db::{Conn, Engine, command};
use cashout_common::on_engine;
use cashout_proto::Failure;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections on PostgreSQL; SQLite has one writer anyway.
const CONNECTIONS: usize = 16;
/// Connections that only read, on SQLite and on PostgreSQL, as many as the real service has.
const READERS: (usize, usize) = (4, 8);

const POSTGRES: &str = include_str!("../../migrations/postgres/0001_textbook.sql");
const SQLITE: &str = include_str!("../../migrations/sqlite/0001_textbook.sql");

const OPEN: &str = "INSERT INTO account (user_id, currency, available, frozen, last_seq, created_at, \
    updated_at) VALUES ($1, 'CNY', 0, 0, 0, $2, $2) ON CONFLICT (user_id, currency) DO NOTHING";
const CLAIM: &str = "INSERT INTO request (key, digest, created_at) VALUES ($1, $2, $3) \
    ON CONFLICT (key) DO NOTHING RETURNING id";
const CLAIMED: &str = "SELECT id, digest FROM request WHERE key = $1";
const SAVE: &str = "UPDATE account SET available = $2, frozen = $3, last_seq = $4, updated_at = $5 \
    WHERE id = $1";
const APPEND: &str = "INSERT INTO entry (id, account_id, seq, kind, available_delta, frozen_delta, \
    available_after, frozen_after, counter, counter_user_id, hold_key, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const ENTRIES: &str = "SELECT e.*, a.user_id FROM entry e JOIN account a ON a.id = e.account_id \
    WHERE e.id >= $1 AND e.id < $2 ORDER BY e.id";
const NEW_HOLD: &str = "INSERT INTO hold (key, id, account_id, amount, kind, state, settled, \
    released, created_at, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const END_HOLD: &str = "UPDATE hold SET state = $2, settled = $3, released = $4, ended_at = $5 \
    WHERE key = $1";
macro_rules! account {
    ($then:literal) => {
        concat!(
            "SELECT id, user_id, available, frozen, last_seq, created_at, updated_at FROM account \
             WHERE ",
            $then
        )
    };
}
const ACCOUNT: &str = account!("user_id = $1 AND currency = 'CNY'");
/// SQLite's one writer needs no row locks; PostgreSQL locks in the order of ids.
const LOCK_SQLITE: &str = account!("user_id IN ($1, $2) AND currency = 'CNY' ORDER BY id");
const LOCK_POSTGRES: &str =
    account!("user_id IN ($1, $2) AND currency = 'CNY' ORDER BY id FOR UPDATE");
macro_rules! hold {
    ($then:literal) => {
        concat!(
            "SELECT h.*, a.user_id, a.available, a.frozen, a.last_seq, a.created_at AS opened_at \
             FROM hold h JOIN account a ON a.id = h.account_id WHERE h.key = $1",
            $then
        )
    };
}
const HOLD_SQLITE: &str = hold!("");
const HOLD_POSTGRES: &str = hold!(" FOR UPDATE");

/// A balance.
#[derive(Debug, Clone, sqlx::FromRow)]
#[allow(missing_docs)] // The columns of the schema beside this crate's source.
pub struct AccountRow {
    pub id: i64,
    pub user_id: i64,
    pub available: i64,
    pub frozen: i64,
    pub last_seq: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

/// A line of the history; `user_id` is its account's.
#[derive(Debug, Clone, sqlx::FromRow)]
#[allow(missing_docs)] // The columns of the schema beside this crate's source.
pub struct EntryRow {
    pub id: i64,
    pub account_id: i64,
    pub user_id: i64,
    pub seq: i64,
    pub kind: i64,
    pub available_delta: i64,
    pub frozen_delta: i64,
    pub available_after: i64,
    pub frozen_after: i64,
    pub counter: String,
    pub counter_user_id: i64,
    pub hold_key: String,
    pub created_at: i64,
}

/// Money set aside; `user_id` is its account's.
#[derive(Debug, Clone, sqlx::FromRow)]
#[allow(missing_docs)] // The columns of the schema beside this crate's source.
pub struct HoldRow {
    pub key: String,
    pub id: i64,
    pub account_id: i64,
    pub user_id: i64,
    pub amount: i64,
    pub kind: i64,
    pub state: i64,
    pub settled: i64,
    pub released: i64,
    pub created_at: i64,
    pub ended_at: i64,
}

/// A hold and its account, locked by one statement.
#[derive(Debug, sqlx::FromRow)]
struct HeldRow {
    #[sqlx(flatten)]
    hold: HoldRow,
    available: i64,
    frozen: i64,
    last_seq: i64,
    opened_at: i64,
}

/// The connections.
#[derive(Debug, Clone)]
pub struct Store(Arc<Connections>);

#[derive(Debug)]
struct Connections {
    options: Engine<SqliteConnectOptions, PgConnectOptions>,
    slots: Arc<Semaphore>,
    /// Connections are handed on as they are: a pool's ping would cost the baseline a round trip.
    idle: Mutex<Vec<Conn>>,
}

/// One transaction. Whoever begins it ends it: handlers run in tasks that nothing cancels.
pub struct Work {
    conn: Conn,
    store: Store,
    slot: OwnedSemaphorePermit,
}

impl Store {
    /// Opens an empty database and makes the ledger's tables.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        Self::with_tables(url, SQLITE, POSTGRES).await
    }

    /// Opens an empty database and makes tables in it: each engine has its own text.
    pub async fn with_tables(
        url: &str,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> anyhow::Result<Self> {
        let (options, connections) = if url.starts_with("sqlite:") {
            (Engine::Sqlite(sqlite_options(url)?), 1)
        } else if url.starts_with("postgres:") {
            (Engine::Postgres(postgres_options(url)?), CONNECTIONS)
        } else {
            bail!("a database address starts with sqlite:// or postgres://")
        };
        let slots = Arc::new(Semaphore::new(connections));
        let idle = Mutex::new(Vec::with_capacity(connections));
        let store = Self(Arc::new(Connections { options, slots, idle }));
        match store.connect().await? {
            Engine::Sqlite(mut c) => sqlx::raw_sql(sqlite).execute(&mut c).await.map(drop)?,
            Engine::Postgres(mut c) => sqlx::raw_sql(postgres).execute(&mut c).await.map(drop)?,
        }
        Ok(store)
    }

    /// Connections for reading a database that is open already.
    pub fn readers(url: &str) -> anyhow::Result<Self> {
        let (options, connections) = if url.starts_with("sqlite:") {
            (Engine::Sqlite(sqlite_options(url)?.read_only(true)), READERS.0)
        } else {
            (Engine::Postgres(postgres_options(url)?), READERS.1)
        };
        let slots = Arc::new(Semaphore::new(connections));
        let idle = Mutex::new(Vec::with_capacity(connections));
        Ok(Self(Arc::new(Connections { options, slots, idle })))
    }

    async fn connect(&self) -> Result<Conn, sqlx::Error> {
        Ok(match &self.0.options {
            Engine::Sqlite(options) => Engine::Sqlite(options.connect().await?),
            Engine::Postgres(options) => Engine::Postgres(options.connect().await?),
        })
    }

    /// Waits for a connection, in the order of asking, and begins.
    pub async fn begin(&self) -> Result<Work, sqlx::Error> {
        let mut work = self.read().await?;
        let begin = on(&work.conn, "BEGIN IMMEDIATE", "BEGIN");
        command(&mut work.conn, begin).await?;
        Ok(work)
    }

    /// Waits for a connection, in the order of asking; each statement is a transaction of its own.
    pub async fn read(&self) -> Result<Work, sqlx::Error> {
        let slot = self.0.slots.clone().acquire_owned().await;
        let slot = slot.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle().pop();
        let conn = match idle {
            Some(conn) => conn,
            None => self.connect().await?,
        };
        Ok(Work { conn, store: self.clone(), slot })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Conn>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// The connection, for statements on other tables than the ledger's.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Commits a success and takes a refusal back. Only a connection that is in order is kept.
    pub async fn end<T>(mut self, done: Result<T, Failure>) -> Result<T, Failure> {
        let how = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        command(&mut self.conn, how).await.map_err(super::failed)?;
        self.store.idle().push(self.conn);
        drop(self.slot);
        done
    }

    /// Hands the connection of a read back, if it is in order.
    pub fn done<T>(self, read: Result<T, sqlx::Error>) -> Result<T, Failure> {
        if read.is_ok() {
            self.store.idle().push(self.conn);
        }
        drop(self.slot);
        read.map_err(super::failed)
    }

    /// Opens an account, or finds it; the flag tells which.
    pub async fn open_account(
        &mut self,
        user: i64,
        now_us: i64,
    ) -> Result<(AccountRow, bool), sqlx::Error> {
        let made = on_engine!(&mut self.conn, c => sqlx::query(OPEN).bind(user).bind(now_us)
            .execute(&mut *c).await.map(|r| r.rows_affected())?);
        let account = self.account(user).await?.ok_or(sqlx::Error::RowNotFound)?;
        Ok((account, made == 1))
    }

    /// An account as it is.
    pub async fn account(&mut self, user: i64) -> Result<Option<AccountRow>, sqlx::Error> {
        on_engine!(&mut self.conn, c => sqlx::query_as(ACCOUNT).bind(user)
            .fetch_optional(&mut *c).await)
    }

    /// Uses a key up; no id when somebody has before.
    pub async fn claim(
        &mut self,
        key: &str,
        digest: &[u8],
        now_us: i64,
    ) -> Result<Option<i64>, sqlx::Error> {
        on_engine!(&mut self.conn, c => sqlx::query_scalar(CLAIM).bind(key).bind(digest).bind(now_us)
            .fetch_optional(&mut *c).await)
    }

    /// The id and digest behind a key that is used up.
    pub async fn claimed(&mut self, key: &str) -> Result<(i64, Vec<u8>), sqlx::Error> {
        on_engine!(&mut self.conn, c => sqlx::query_as(CLAIMED).bind(key).fetch_one(&mut *c).await)
    }

    /// Locks the accounts of one or two persons.
    pub async fn lock(&mut self, users: &[i64]) -> Result<Vec<AccountRow>, sqlx::Error> {
        let (first, last) = (users.first().copied(), users.last().copied());
        let sql = on(&self.conn, LOCK_SQLITE, LOCK_POSTGRES);
        on_engine!(&mut self.conn, c => sqlx::query_as(sql).bind(first).bind(last)
            .fetch_all(&mut *c).await)
    }

    /// Locks a hold and its account.
    pub async fn lock_hold(
        &mut self,
        key: &str,
    ) -> Result<Option<(HoldRow, AccountRow)>, sqlx::Error> {
        let sql = on(&self.conn, HOLD_SQLITE, HOLD_POSTGRES);
        let held: Option<HeldRow> = on_engine!(&mut self.conn, c => sqlx::query_as(sql).bind(key)
            .fetch_optional(&mut *c).await?);
        Ok(held.map(|held| {
            let HeldRow { hold, available, frozen, last_seq, opened_at: created_at } = held;
            let (id, user_id, updated_at) = (hold.account_id, hold.user_id, created_at);
            let account =
                AccountRow { id, user_id, available, frozen, last_seq, created_at, updated_at };
            (hold, account)
        }))
    }

    /// Writes a locked account's balance.
    pub async fn save(&mut self, a: &AccountRow) -> Result<(), sqlx::Error> {
        on_engine!(&mut self.conn, c => sqlx::query(SAVE).bind(a.id).bind(a.available).bind(a.frozen)
            .bind(a.last_seq).bind(a.updated_at).execute(&mut *c).await.map(drop))
    }

    /// Appends an entry.
    pub async fn append(&mut self, e: &EntryRow) -> Result<(), sqlx::Error> {
        on_engine!(&mut self.conn, c => sqlx::query(APPEND).bind(e.id).bind(e.account_id)
            .bind(e.seq).bind(e.kind).bind(e.available_delta).bind(e.frozen_delta)
            .bind(e.available_after).bind(e.frozen_after).bind(&e.counter)
            .bind(e.counter_user_id).bind(&e.hold_key).bind(e.created_at)
            .execute(&mut *c).await.map(drop))
    }

    /// The entries with ids from `first`, so many at most.
    pub async fn entries(&mut self, first: i64, count: i64) -> Result<Vec<EntryRow>, sqlx::Error> {
        on_engine!(&mut self.conn, c => sqlx::query_as(ENTRIES).bind(first).bind(first + count)
            .fetch_all(&mut *c).await)
    }

    /// Writes a hold that is new.
    pub async fn new_hold(&mut self, h: &HoldRow) -> Result<(), sqlx::Error> {
        on_engine!(&mut self.conn, c => sqlx::query(NEW_HOLD).bind(&h.key).bind(h.id)
            .bind(h.account_id).bind(h.amount).bind(h.kind).bind(h.state).bind(h.settled)
            .bind(h.released).bind(h.created_at).bind(h.ended_at)
            .execute(&mut *c).await.map(drop))
    }

    /// Writes how a locked hold ended.
    pub async fn end_hold(&mut self, h: &HoldRow) -> Result<(), sqlx::Error> {
        on_engine!(&mut self.conn, c => sqlx::query(END_HOLD).bind(&h.key).bind(h.state)
            .bind(h.settled).bind(h.released).bind(h.ended_at).execute(&mut *c).await.map(drop))
    }
}

/// What this connection's engine needs where the two differ.
fn on(conn: &Conn, sqlite: &'static str, postgres: &'static str) -> &'static str {
    match conn {
        Engine::Sqlite(_) => sqlite,
        Engine::Postgres(_) => postgres,
    }
}

fn sqlite_options(url: &str) -> anyhow::Result<SqliteConnectOptions> {
    Ok(SqliteConnectOptions::from_str(url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // As large as that of the service it is compared with.
        .pragma("cache_size", "-65536")
        .statement_cache_capacity(256)
        .disable_statement_logging())
}

fn postgres_options(url: &str) -> anyhow::Result<PgConnectOptions> {
    Ok(PgConnectOptions::from_str(url)?
        .application_name("bench-baseline")
        .statement_cache_capacity(256)
        .disable_statement_logging())
}
