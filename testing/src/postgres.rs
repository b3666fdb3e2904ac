//! A database of one test on a PostgreSQL server: made with the value, dropped with it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;

/// Databases are named `cashout_test_<made at, unix seconds>_<process>_<number>_<test>`.
const PREFIX: &str = "cashout_test_";

/// What an ended process left behind goes after a day.
const LEFTOVER_S: u64 = 86_400;

/// A database that exists as long as this value.
#[derive(Debug)]
pub struct Created {
    /// Its address.
    pub url: String,
    name: String,
    server: &'static str,
}

/// How many others are connected to a database.
///
/// # Errors
/// When the database does not answer.
pub async fn connections(url: &str) -> anyhow::Result<i64> {
    const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    let mut admin = PgConnection::connect(url).await?;
    let others = sqlx::query_scalar(OTHERS).fetch_one(&mut admin).await?;
    admin.close().await?;
    Ok(others)
}

/// Ends every other connection to a database, as a server that fails does.
///
/// # Errors
/// When the database does not answer.
pub async fn lose_connections(url: &str) -> anyhow::Result<()> {
    const LOSE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut admin = PgConnection::connect(url).await?;
    admin.execute(LOSE).await?;
    Ok(admin.close().await?)
}

impl Created {
    /// Makes an empty database on `server`, the address of a database where making one is allowed.
    pub async fn new(server: &'static str, test: &str) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        static SWEPT: OnceCell<()> = OnceCell::const_new();
        let mut admin = PgConnection::connect(server).await.context("the server for tests")?;
        SWEPT.get_or_try_init(|| sweep(&mut admin)).await?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}_{}_{number}_{test}", now_s(), std::process::id());
        // The name is made of our own prefix, numbers and plain letters.
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0"))).await?;
        admin.close().await?;
        Ok(Self { url: on_server(server, &name), name, server })
    }
}

impl Drop for Created {
    /// Best effort: what fails here is swept a day later.
    fn drop(&mut self) {
        let (server, name) = (self.server, std::mem::take(&mut self.name));
        // A test's runtime cannot be blocked on from inside, so this is a runtime of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|r| r.block_on(drop_database(server, &name))).is_ok()
        });
        let _ = dropping.join();
    }
}

async fn drop_database(server: &str, name: &str) -> Result<(), sqlx::Error> {
    let mut admin = PgConnection::connect(server).await?;
    let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    admin.execute(AssertSqlSafe(sql)).await?;
    admin.close().await
}

/// Drops the databases of processes that could not do it themselves.
async fn sweep(admin: &mut PgConnection) -> Result<(), sqlx::Error> {
    let names: Vec<String> =
        sqlx::query_scalar("SELECT datname::TEXT FROM pg_database").fetch_all(&mut *admin).await?;
    for name in names.iter().filter(|name| left_over(name, now_s())) {
        let sql = format!("DROP DATABASE IF EXISTS {name}");
        // Another process may be sweeping too.
        let _ = admin.execute(AssertSqlSafe(sql)).await;
    }
    Ok(())
}

fn left_over(name: &str, now_s: u64) -> bool {
    let made = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()?.parse().ok());
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    plain && made.is_some_and(|made: u64| made.saturating_add(LEFTOVER_S) < now_s)
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The address of another database on the same server.
fn on_server(server: &str, name: &str) -> String {
    let (front, query) = server.split_once('?').unwrap_or((server, ""));
    let (scheme, rest) = front.split_once("://").unwrap_or(("postgres", front));
    let host = rest.split('/').next().unwrap_or_default();
    let query = if query.is_empty() { String::new() } else { format!("?{query}") };
    format!("{scheme}://{host}/{name}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_the_same_server_keeps_the_rest_of_the_address() {
        for (server, other) in [
            ("postgres://u:p@h:1/postgres", "postgres://u:p@h:1/x"),
            ("postgres://h", "postgres://h/x"),
            (
                "postgres://u@h/a?host=/tmp/b&sslmode=disable",
                "postgres://u@h/x?host=/tmp/b&sslmode=disable",
            ),
        ] {
            assert_eq!(on_server(server, "x"), other);
        }
    }

    #[test]
    fn only_our_own_databases_older_than_a_day_are_swept() {
        let now = 1_000_000;
        for (name, swept) in [
            ("cashout_test_913599_77_0_ledger", true),
            ("cashout_test_913600_77_0_ledger", false),
            ("cashout_test_1_77_0_x; DROP", false),
            ("cashout_test_", false),
            ("cashout", false),
            ("somebody_cashout_test_1_77_0", false),
        ] {
            assert_eq!(left_over(name, now), swept, "{name}");
        }
    }
}
