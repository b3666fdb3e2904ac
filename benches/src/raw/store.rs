//! The tables and statements of the raw writes. Must not know: how often they are run.
//!
//! PostgreSQL: one statement per batch, its own transaction, with arrays; every account is guarded by
//! its version, and the count tells whether all were as remembered. SQLite: a transaction of two
//! statements with one JSON text each, the shape that won there. Durability is the engine's and that of
//! the services' connections: WAL with `synchronous=FULL` on SQLite, fsync on PostgreSQL.

use std::str::FromStr;

use anyhow::bail;
use cashout_common::db::{Conn, Engine, command};
use cashout_common::on_engine;
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions};

/// Three indexes, one for each question that any ledger of this contract has to answer: which entry
/// has this id, what was done under this key, which are this account's lines.
const TABLES: &str = "CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL, \
    seq BIGINT NOT NULL, version BIGINT NOT NULL) {room}; \
    CREATE TABLE entry (id BIGINT PRIMARY KEY, account_id BIGINT NOT NULL, seq BIGINT NOT NULL, \
    key TEXT {bytes} NOT NULL UNIQUE, amount BIGINT NOT NULL, balance_after BIGINT NOT NULL, \
    created_at BIGINT NOT NULL, UNIQUE (account_id, seq));";

const OPEN: &str = "WITH RECURSIVE people (n) AS (SELECT CAST(1 AS BIGINT) UNION ALL \
    SELECT n + 1 FROM people WHERE n < $1) INSERT INTO account SELECT n, 0, 0, 0 FROM people";

const WRITE_POSTGRES: &str = "WITH u AS (UPDATE account a SET balance = d.balance, seq = d.seq, \
    version = d.version + 1 \
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) d (id, balance, seq, version) \
    WHERE a.id = d.id AND a.version = d.version RETURNING 1), \
    i AS (INSERT INTO entry (id, account_id, seq, key, amount, balance_after, created_at) \
    SELECT * FROM unnest($5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::bigint[], \
    $10::bigint[], $11::bigint[])) \
    SELECT count(*) FROM u";

const ACCOUNTS_SQLITE: &str = "UPDATE account SET balance = d.value->>1, seq = d.value->>2, \
    version = d.value->>3 + 1 FROM json_each($1) AS d \
    WHERE account.id = d.value->>0 AND account.version = d.value->>3";
const ENTRIES_SQLITE: &str = "INSERT INTO entry SELECT value->>0, value->>1, value->>2, value->>3, \
    value->>4, value->>5, value->>6 FROM json_each($1)";

/// Money in the accounts, entries, and the sum of their amounts.
const TOTALS: &str = "SELECT CAST(COALESCE((SELECT sum(balance) FROM account), 0) AS BIGINT), \
    (SELECT count(*) FROM entry), \
    CAST(COALESCE((SELECT sum(amount) FROM entry), 0) AS BIGINT)";

/// An account after a batch.
#[derive(Debug, Clone, Copy)]
pub struct AccountRow {
    /// Its id.
    pub id: i64,
    /// Minor units.
    pub balance: i64,
    /// Of its last entry.
    pub seq: i64,
    /// Before the batch.
    pub version: i64,
}

/// One movement.
#[derive(Debug, Clone)]
pub struct EntryRow {
    /// Its id.
    pub id: i64,
    /// Whose.
    pub account_id: i64,
    /// Position in the account's history.
    pub seq: i64,
    /// As callers send it.
    pub key: String,
    /// Minor units.
    pub amount: i64,
    /// Minor units.
    pub balance_after: i64,
    /// UTC microseconds.
    pub created_at: i64,
}

/// A new connection of its own.
pub async fn connect(url: &str) -> anyhow::Result<Conn> {
    if url.starts_with("sqlite:") {
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        return Ok(Engine::Sqlite(options.disable_statement_logging().connect().await?));
    }
    let options = PgConnectOptions::from_str(url)?.application_name("bench-raw");
    Ok(Engine::Postgres(options.disable_statement_logging().connect().await?))
}

/// Makes the tables, and the accounts 1 to `people`.
pub async fn prepare(conn: &mut Conn, people: i64) -> Result<(), sqlx::Error> {
    // Room for updates and plain comparison of keys, as the services have them.
    let (room, bytes) = match conn {
        Engine::Sqlite(_) => ("STRICT", ""),
        Engine::Postgres(_) => ("WITH (fillfactor = 60)", "COLLATE \"C\""),
    };
    let mut tables = TABLES.replace("{room}", room).replace("{bytes}", bytes);
    if matches!(conn, Engine::Sqlite(_)) {
        tables = tables.replace("BIGINT", "INTEGER");
    }
    on_engine!(&mut *conn, c => {
        sqlx::raw_sql(AssertSqlSafe(tables)).execute(&mut *c).await?;
        sqlx::query(OPEN).bind(people).execute(&mut *c).await?;
    });
    command(conn, "ANALYZE").await
}

/// Writes one batch and commits; every account appears once.
pub async fn write(
    conn: &mut Conn,
    accounts: &[AccountRow],
    entries: &[EntryRow],
) -> anyhow::Result<()> {
    let written = match conn {
        Engine::Postgres(c) => {
            let of = |field: fn(&AccountRow) -> i64| accounts.iter().map(field).collect::<Vec<_>>();
            let by = |field: fn(&EntryRow) -> i64| entries.iter().map(field).collect::<Vec<_>>();
            let keys: Vec<&str> = entries.iter().map(|e| e.key.as_str()).collect();
            let count: i64 = sqlx::query_scalar(WRITE_POSTGRES)
                .bind(of(|a| a.id))
                .bind(of(|a| a.balance))
                .bind(of(|a| a.seq))
                .bind(of(|a| a.version))
                .bind(by(|e| e.id))
                .bind(by(|e| e.account_id))
                .bind(by(|e| e.seq))
                .bind(keys)
                .bind(by(|e| e.amount))
                .bind(by(|e| e.balance_after))
                .bind(by(|e| e.created_at))
                .fetch_one(c)
                .await?;
            usize::try_from(count)?
        }
        Engine::Sqlite(_) => {
            command(conn, "BEGIN IMMEDIATE").await?;
            let count = rows(conn, accounts, entries).await?;
            command(conn, "COMMIT").await?;
            count
        }
    };
    if written != accounts.len() {
        bail!("{written} of {} accounts were as remembered", accounts.len());
    }
    Ok(())
}

async fn rows(
    conn: &mut Conn,
    accounts: &[AccountRow],
    entries: &[EntryRow],
) -> anyhow::Result<usize> {
    let Engine::Sqlite(c) = conn else { bail!("not SQLite") };
    let changed = accounts.iter().map(|a| json!([a.id, a.balance, a.seq, a.version]));
    let changed = serde_json::Value::Array(changed.collect()).to_string();
    let added = entries.iter().map(|e| {
        json!([e.id, e.account_id, e.seq, e.key, e.amount, e.balance_after, e.created_at])
    });
    let added = serde_json::Value::Array(added.collect()).to_string();
    let written = sqlx::query(ACCOUNTS_SQLITE).bind(changed).execute(&mut *c).await?;
    sqlx::query(ENTRIES_SQLITE).bind(added).execute(&mut *c).await?;
    Ok(usize::try_from(written.rows_affected())?)
}

/// The money in the accounts, the number of entries, and the sum of their amounts.
pub async fn totals(conn: &mut Conn) -> Result<(i64, i64, i64), sqlx::Error> {
    on_engine!(conn, c => sqlx::query_as(TOTALS).fetch_one(&mut *c).await)
}
