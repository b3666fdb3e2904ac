//! The few statements that make, remove and describe databases. Must not know: their tables.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};

/// How long a service that has just been asked may keep its database from being looked at.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes an empty database; its name is our own plain letters and digits.
pub async fn create(admin: &str, name: &str) -> anyhow::Result<()> {
    let mut admin = connect(admin).await?;
    admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"))).await?;
    Ok(admin.close().await?)
}

/// Drops a database, and flushes what the server still has to write: no debt for who comes next.
pub async fn remove(admin: &str, name: &str) -> anyhow::Result<()> {
    let mut admin = connect(admin).await?;
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    admin.execute(AssertSqlSafe(drop)).await?;
    admin.execute("CHECKPOINT").await?;
    Ok(admin.close().await?)
}

/// Bytes of a database on disk, after a checkpoint.
pub async fn bytes(admin: &str, name: &str) -> anyhow::Result<u64> {
    let mut admin = connect(admin).await?;
    admin.execute("CHECKPOINT").await?;
    let sql = "SELECT pg_database_size($1)";
    let bytes: i64 = sqlx::query_scalar(sql).bind(name).fetch_one(&mut admin).await?;
    admin.close().await?;
    Ok(u64::try_from(bytes)?)
}

/// Brings what is in SQLite's write-ahead log into the file.
pub async fn fold(path: &Path) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE);
    let mut conn = options.disable_statement_logging().connect().await?;
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let (busy, ..): (i64, i64, i64) = sqlx::query_as(sql).fetch_one(&mut conn).await?;
    anyhow::ensure!(busy == 0, "the write-ahead log is in use");
    Ok(conn.close().await?)
}

/// Writes a gigabyte of log and checkpoints it. A server that was just made has to make each file of its log
/// before it can commit into it, which a server that has run for a while no longer does: it uses old ones again.
/// So does this one, until it has written a gigabyte since it last removed a database.
pub async fn run_in(admin: &str) -> anyhow::Result<()> {
    const FILES: u32 = 64;
    let mut admin = connect(admin).await?;
    for _ in 0..FILES {
        admin.execute("SELECT pg_logical_emit_message(false, 'bench', 'next file')").await?;
        admin.execute("SELECT pg_switch_wal()").await?;
    }
    admin.execute("CHECKPOINT").await?;
    Ok(admin.close().await?)
}

/// The server's version, and what makes its commits last, as it says itself.
pub async fn postgres(url: &str) -> anyhow::Result<(String, String)> {
    const SQL: &str = "SELECT current_setting('server_version'), string_agg(name || '=' || setting, \
        ', ' ORDER BY name) FROM pg_settings \
        WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')";
    let mut conn = connect(url).await?;
    let found = sqlx::query_as(SQL).fetch_one(&mut conn).await?;
    conn.close().await?;
    Ok(found)
}

/// The version of the SQLite that is built in.
pub async fn sqlite_version() -> anyhow::Result<String> {
    let mut conn = SqliteConnection::connect("sqlite::memory:").await?;
    let version = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut conn).await?;
    conn.close().await?;
    Ok(version)
}

/// Without a log of slow statements: dropping a database takes as long as it takes.
async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await
}
