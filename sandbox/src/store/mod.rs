//! The books on disk: one SQLite file, one writer. Whatever a call changed and that it was heard is on
//! disk before it is answered.
//!
//! Must not know: HTTP, signatures, what a call means.

pub mod listing;
mod rows;
mod write;

use std::path::Path;

use anyhow::Context;
use cashout_common::db::{Conn, Database, Migrations, Readers};
use cashout_common::writer::{WriteError, Writer};
use sqlx::migrate::Migrator;
use sqlx::{Row, SqliteConnection, SqlitePool};

use crate::books::{Flow, Funds, Heard, Notification, Page};
use crate::payout::{Payout, Provider};

use rows::{flow_of, notification_of, provider_of};
use write::{funds, hear, payout, put_flow, put_funds, put_notification, save};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The open books.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    writer: Writer,
}

/// What a call does with its page; says what it answers, and in a word what that was.
type Act<T> = Box<dyn FnOnce(&mut Page) -> (T, String) + Send>;

impl Store {
    /// Opens the books in a directory, and makes them when they are not there.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open(directory: &Path) -> anyhow::Result<Self> {
        let url = format!("sqlite://{}", directory.join("books.db").display());
        let migrations = Migrations { sqlite: &MIGRATIONS, postgres: &MIGRATIONS };
        let database = Database::open(&url, migrations).await.context("the sandbox's books")?;
        let writer = Writer::start(database.clone(), "");
        Ok(Self { database, writer })
    }

    /// Connections for reading.
    ///
    /// # Errors
    /// Never, as the books are opened here.
    pub fn readers(&self) -> anyhow::Result<&SqlitePool> {
        match self.database.readers() {
            Readers::Sqlite(pool) => Ok(pool),
            Readers::Postgres(_) => anyhow::bail!("the sandbox's books are one SQLite file"),
        }
    }

    /// Lets a call act on the payout of that number, and writes down what became of it and that it was
    /// heard; on disk when this returns.
    ///
    /// # Errors
    /// When the books cannot be written: then nothing has happened.
    pub async fn act<T: Send + 'static>(
        &self,
        now_us: i64,
        heard: Heard,
        act: Act<T>,
    ) -> anyhow::Result<T> {
        self.write(move |conn| Box::pin(acted(conn, now_us, heard, act))).await
    }

    async fn write<T, F>(&self, job: F) -> anyhow::Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Job<'c, T> + Send + 'static,
    {
        let done = self.writer.write(move |conn| match conn {
            Conn::Sqlite(conn) => job(conn),
            Conn::Postgres(_) => {
                Box::pin(std::future::ready(Err(WriteError::Database(sqlx::Error::PoolClosed))))
            }
        });
        done.await.context("the sandbox's books cannot be written")
    }

    /// What is due until `now_us`: payouts that change by themselves.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn due_payouts(&self, now_us: i64) -> anyhow::Result<Vec<(Provider, String)>> {
        let sql = "SELECT provider, number FROM payouts WHERE due_at_us <= $1 \
                   ORDER BY due_at_us LIMIT 500";
        let rows = sqlx::query(sql).bind(now_us).fetch_all(self.readers()?).await?;
        rows.iter().map(|row| Ok((provider_of(row)?, row.try_get("number")?))).collect()
    }

    /// The notifications that are due until `now_us`.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn due_notifications(&self, now_us: i64) -> anyhow::Result<Vec<Notification>> {
        let sql = "SELECT * FROM notifications WHERE due_at_us <= $1 \
                   ORDER BY due_at_us, rowid LIMIT 100";
        let rows = sqlx::query(sql).bind(now_us).fetch_all(self.readers()?).await?;
        rows.iter().map(notification_of).collect()
    }

    /// When something happens next by itself.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn next_due_us(&self) -> anyhow::Result<Option<i64>> {
        let sql = "SELECT min(due) FROM (SELECT min(due_at_us) AS due FROM payouts \
                   WHERE due_at_us IS NOT NULL UNION ALL SELECT min(due_at_us) FROM notifications \
                   WHERE due_at_us IS NOT NULL)";
        Ok(sqlx::query_scalar(sql).fetch_one(self.readers()?).await?)
    }

    /// Writes down what became of a notification.
    ///
    /// # Errors
    /// When the books cannot be written.
    pub async fn put_notification(&self, one: Notification) -> anyhow::Result<()> {
        self.write(move |conn| Box::pin(async move { put_notification(conn, &one).await })).await
    }

    /// The last notification about a number.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn last_notification(
        &self,
        provider: Provider,
        number: &str,
    ) -> anyhow::Result<Option<Notification>> {
        let sql = "SELECT * FROM notifications WHERE provider = $1 AND number = $2 \
                   ORDER BY rowid DESC LIMIT 1";
        let found = sqlx::query(sql).bind(provider.word()).bind(number);
        found.fetch_optional(self.readers()?).await?.as_ref().map(notification_of).transpose()
    }

    /// How often a request of that kind was heard about a number.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn times_heard(
        &self,
        provider: Provider,
        operation: &'static str,
        number: &str,
    ) -> anyhow::Result<i64> {
        let sql = "SELECT count(*) FROM requests WHERE provider = $1 AND number = $2 \
                   AND operation = $3";
        let count = sqlx::query_scalar(sql).bind(provider.word()).bind(number).bind(operation);
        Ok(count.fetch_one(self.readers()?).await?)
    }

    /// The number of the merchant behind one of the provider's; empty when there is none.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn number_of(&self, provider: Provider, third_no: &str) -> anyhow::Result<String> {
        let sql = "SELECT number FROM payouts WHERE provider = $1 AND third_no = $2";
        let found = sqlx::query_scalar(sql).bind(provider.word()).bind(third_no);
        Ok(found.fetch_optional(self.readers()?).await?.unwrap_or_default())
    }

    /// The payout of a number, as it was last written.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn find(&self, provider: Provider, number: &str) -> anyhow::Result<Option<Payout>> {
        let mut conn = self.readers()?.acquire().await?;
        Ok(payout(&mut conn, provider, number).await?)
    }

    /// What a merchant has.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn funds(&self, provider: Provider) -> anyhow::Result<Funds> {
        let mut conn = self.readers()?.acquire().await?;
        Ok(funds(&mut conn, provider).await?)
    }

    /// Moves money in or out that is no payout: a top-up, or a row that the merchant does not know.
    ///
    /// # Errors
    /// When the books cannot be written.
    pub async fn move_money(&self, mut flow: Flow) -> anyhow::Result<Funds> {
        self.write(move |conn| {
            Box::pin(async move {
                let mut now = funds(conn, flow.provider).await?;
                now.available_minor = now.available_minor.saturating_add(flow.amount_minor);
                flow.balance_minor = now.balance_minor();
                put_funds(conn, flow.provider, now).await?;
                put_flow(conn, &flow).await?;
                Ok(now)
            })
        })
        .await
    }

    /// The flows from one moment until before another.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn flows(
        &self,
        provider: Provider,
        from_us: i64,
        until_us: i64,
    ) -> anyhow::Result<Vec<Flow>> {
        let sql = "SELECT * FROM flows WHERE provider = $1 AND at_us >= $2 AND at_us < $3 \
                   ORDER BY at_us, id";
        let rows = sqlx::query(sql).bind(provider.word()).bind(from_us).bind(until_us);
        rows.fetch_all(self.readers()?).await?.iter().map(flow_of).collect()
    }

    /// A setting that outlives a restart.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn setting(&self, name: &str) -> anyhow::Result<Option<String>> {
        let sql = "SELECT value FROM settings WHERE name = $1";
        Ok(sqlx::query_scalar(sql).bind(name).fetch_optional(self.readers()?).await?)
    }

    /// Sets it.
    ///
    /// # Errors
    /// When the books cannot be written.
    pub async fn set(&self, name: &'static str, value: String) -> anyhow::Result<()> {
        let sql = "INSERT INTO settings (name, value) VALUES ($1, $2) \
                   ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.write(move |conn| {
            Box::pin(async move {
                sqlx::query(sql).bind(name).bind(value).execute(conn).await?;
                Ok(())
            })
        })
        .await
    }
}

type Job<'c, T> = futures::future::BoxFuture<'c, Result<T, WriteError>>;

async fn acted<T>(
    conn: &mut SqliteConnection,
    now_us: i64,
    heard: Heard,
    act: Act<T>,
) -> Result<T, WriteError> {
    let (provider, number) = (heard.provider, heard.number.clone());
    let mut page = Page {
        now_us,
        payout: payout(conn, provider, &number).await?,
        funds: funds(conn, provider).await?,
        flows: Vec::new(),
        changes: Vec::new(),
    };
    if let Some(payout) = page.payout.as_mut() {
        payout.advance(now_us);
    }
    let before = page.payout.clone();
    let (told, outcome) = act(&mut page);
    let moved = page.payout.as_ref().is_some_and(|payout| !payout.changes.is_empty());
    if moved || page.payout != before {
        page.settle();
        save(conn, &page, provider).await?;
    }
    if !heard.operation.is_empty() {
        hear(conn, now_us, &heard, &outcome).await?;
    }
    Ok(told)
}
