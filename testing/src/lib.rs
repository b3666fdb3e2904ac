//! A fresh database per test, on every engine that this machine has.
//!
//! SQLite is always there: a file in a directory that goes with the value. PostgreSQL is the server
//! that `TEST_POSTGRES_URL` names, else a throw-away one started from binaries found on the machine,
//! once per test process. With neither, tests run on SQLite alone and [`not_run`] says so; with `CI`
//! set that is an error. Must not know: any table, any service.

mod binaries;
mod postgres;
mod server;

use anyhow::Context;

pub use postgres::{connections, lose_connections};

/// A database of one test. It goes away with the value.
#[derive(Debug)]
pub struct TestDatabase {
    /// What a service's `…_DATABASE_URL` takes.
    pub url: String,
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
    /// Removes what is behind `url`; kept only to be dropped.
    _rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Directory(#[allow(dead_code, reason = "kept to be dropped")] tempfile::TempDir),
    Database(#[allow(dead_code, reason = "kept to be dropped")] postgres::Created),
}

/// One fresh database for each engine of this machine. `name` only helps a reader of logs.
///
/// # Errors
/// When a database cannot be made, and with `CI` set when there is no PostgreSQL.
pub async fn databases(name: &str) -> anyhow::Result<Vec<TestDatabase>> {
    let mut all = vec![sqlite(name).await?];
    all.extend(postgres(name).await?);
    Ok(all)
}

/// A fresh SQLite file (not yet made: opening makes it) in a directory of its own.
///
/// # Errors
/// When the directory cannot be made.
#[allow(clippy::unused_async, reason = "called like its sibling")]
pub async fn sqlite(name: &str) -> anyhow::Result<TestDatabase> {
    let directory = tempfile::Builder::new().prefix("cashout-test-").tempdir()?;
    let file = directory.path().join(format!("{}.db", plain(name)));
    let url = format!("sqlite://{}", file.display());
    Ok(TestDatabase { url, engine: "sqlite", _rest: Rest::Directory(directory) })
}

/// A fresh, empty PostgreSQL database; `None` when this machine has no PostgreSQL.
///
/// # Errors
/// When there is one and it does not work, and with `CI` set when there is none.
pub async fn postgres(name: &str) -> anyhow::Result<Option<TestDatabase>> {
    let name = plain(name);
    let server = tokio::task::spawn_blocking(server::address).await.context("starting a server")?;
    let Some(server) =
        server.map_err(|reason| anyhow::anyhow!("PostgreSQL for tests: {reason}"))?
    else {
        if under_ci() {
            anyhow::bail!("CI is set, and there is no PostgreSQL: {NO_POSTGRES}");
        }
        return Ok(None);
    };
    let created = postgres::Created::new(server, &name).await?;
    let url = created.url.clone();
    Ok(Some(TestDatabase { url, engine: "postgres", _rest: Rest::Database(created) }))
}

const NO_POSTGRES: &str = "set TEST_POSTGRES_URL, or install server binaries (initdb, postgres)";

/// What the tests of this machine leave out, in words for a person; `None` when nothing is left out.
#[must_use]
pub fn not_run() -> Option<String> {
    let there = std::env::var_os("TEST_POSTGRES_URL").is_some_and(|v| !v.is_empty())
        || binaries::newest().is_some();
    (!there).then(|| format!("NOT RUN: every test on PostgreSQL. To run them, {NO_POSTGRES}."))
}

/// Whether leaving something out is a failure.
#[must_use]
pub fn under_ci() -> bool {
    std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false" && v != "0")
}

/// Lower-case letters, digits and `_`, at most 24: fit for a file and for a database.
fn plain(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().take(24).map(fit).collect()
}
