//! The few statements that make, remove and describe databases. Must not know: their tables.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};

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
