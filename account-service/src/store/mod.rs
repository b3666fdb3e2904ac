//! All SQL of the account service. A function here is a whole verb; rows never leave this folder.
//!
//! SQL that is the same on both engines stands once (`on_engine!`); what differs stands side by side:
//! lists are arrays on PostgreSQL and one JSON array on SQLite. Must not know: rules about money, gRPC.

pub mod holders;
pub mod load;
pub mod lookups;
pub mod payees;
pub mod payouts;
mod positions;
pub mod reads;
pub mod rows;
pub mod standing;
pub mod statement;
mod tuples;
pub mod verify;
mod verify_rows;
pub mod write;
mod write_postgres;
mod write_sqlite;

use std::path::PathBuf;
use std::str::FromStr;

use cashout_common::db::{Database, Migrations};
use cashout_common::gather::Gather;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;

static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// The schema of both engines.
pub const MIGRATIONS: Migrations = Migrations { sqlite: &SQLITE, postgres: &POSTGRES };

/// Takes PostgreSQL's write lock: the one head row. Whoever has it is the only writer.
pub const LOCK: &str = "SELECT 1 FROM ledger_head WHERE id = 1 FOR UPDATE";

/// The directory that an SQLite database lies in; `None` for every other address.
#[must_use]
pub fn directory(url: &str) -> Option<PathBuf> {
    if !url.starts_with("sqlite:") {
        return None;
    }
    let options = SqliteConnectOptions::from_str(url).ok()?;
    let parent = options.get_filename().parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}

/// Reading from the ledger.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    /// Reads by key that share statements; see `lookups`.
    accounts: Option<Gather<lookups::Accounts>>,
    views: Option<Gather<lookups::Views>>,
    people: Option<Gather<lookups::People>>,
}

impl Store {
    /// Opens and migrates.
    ///
    /// # Errors
    /// When the database cannot be opened or migrated.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let database = Database::open(url, MIGRATIONS).await?;
        let (views, people) = (Gather::on(&database), Gather::on(&database));
        Ok(Self { accounts: Gather::on(&database), database, views, people })
    }

    /// Opens for reading only, without migrating.
    ///
    /// # Errors
    /// When there is no such database.
    pub async fn open_read_only(url: &str) -> anyhow::Result<Self> {
        let database = Database::open_read_only(url).await?;
        Ok(Self { database, accounts: None, views: None, people: None })
    }

    /// The database below.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }
}

/// Runs a query whose text ends before a list: `= ANY($1)` on PostgreSQL, `IN (json_each)` on SQLite.
macro_rules! fetch_list {
    ($on:expr, $inner:ident => $executor:expr, $row:ty, $sql:expr, $list:expr) => {
        match $on {
            cashout_common::db::Engine::Sqlite($inner) => {
                sqlx::query_as::<_, $row>(concat!($sql, " IN (SELECT value FROM json_each($1))"))
                    .bind(crate::store::json_list($list))
                    .fetch_all($executor)
                    .await
            }
            cashout_common::db::Engine::Postgres($inner) => {
                sqlx::query_as::<_, $row>(concat!($sql, " = ANY($1)"))
                    .bind($list)
                    .fetch_all($executor)
                    .await
            }
        }
    };
}
pub(crate) use fetch_list;

/// A list as one JSON array, SQLite's way to take it as one value.
pub(crate) fn json_list<T: serde::Serialize>(list: &[T]) -> String {
    json!(list).to_string()
}
