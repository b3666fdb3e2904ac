//! The books as JSON, for the control API and the page. Must not know: what is done with them.

use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Column, Row, ValueRef};

use super::Store;

/// Which rows are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `wechat` or `alipay`; both when empty.
    pub provider: String,
    /// Part of a number; all when empty.
    pub number: String,
    /// Rows after this one, in the order of the books.
    pub after: i64,
    /// At most so many.
    pub limit: i64,
}

const PAYOUTS: &str = "SELECT rowid AS id, provider, number, third_no, digest, amount_minor, payee, \
    state, fail_reason, times_paid, created_at_us, updated_at_us, paid_at_us, due_at_us FROM payouts";
const REQUESTS: &str = "SELECT * FROM requests";
const CHANGES: &str = "SELECT * FROM changes";
const NOTIFICATIONS: &str = "SELECT rowid AS row, * FROM notifications";
const FLOWS: &str = "SELECT * FROM flows";

impl Store {
    /// Payouts, in the order in which they were booked.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn list_payouts(&self, wanted: &Wanted) -> anyhow::Result<Vec<Value>> {
        self.list(PAYOUTS, wanted).await
    }

    /// Requests, in the order in which they were heard.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn list_requests(&self, wanted: &Wanted) -> anyhow::Result<Vec<Value>> {
        self.list(REQUESTS, wanted).await
    }

    /// Changes of state.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn list_changes(&self, wanted: &Wanted) -> anyhow::Result<Vec<Value>> {
        self.list(CHANGES, wanted).await
    }

    /// Notifications.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn list_notifications(&self, wanted: &Wanted) -> anyhow::Result<Vec<Value>> {
        self.list(NOTIFICATIONS, wanted).await
    }

    /// Movements of money.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn list_flows(&self, wanted: &Wanted) -> anyhow::Result<Vec<Value>> {
        self.list(FLOWS, wanted).await
    }

    async fn list(&self, select: &str, wanted: &Wanted) -> anyhow::Result<Vec<Value>> {
        let sql = format!(
            "{select} WHERE ($1 = '' OR provider = $1) AND ($2 = '' OR instr(number, $2) > 0) \
             AND rowid > $3 ORDER BY rowid LIMIT $4"
        );
        // The text is put together of constants of this file.
        let query = sqlx::query(sqlx::AssertSqlSafe(sql));
        let rows = query
            .bind(&wanted.provider)
            .bind(&wanted.number)
            .bind(wanted.after)
            .bind(wanted.limit)
            .fetch_all(self.readers()?)
            .await?;
        rows.iter().map(object).collect()
    }

    /// How many payouts are in each state, and what they sum up to.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn totals(&self) -> anyhow::Result<Vec<Value>> {
        let sql = "SELECT provider, state, count(*) AS payouts, sum(amount_minor) AS amount_minor, \
                   sum(times_paid) AS times_paid, max(times_paid) AS most_times_paid \
                   FROM payouts GROUP BY provider, state ORDER BY provider, state";
        sqlx::query(sql).fetch_all(self.readers()?).await?.iter().map(object).collect()
    }

    /// The newest payouts, newest first.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn newest(&self, limit: i64) -> anyhow::Result<Vec<Value>> {
        let sql = "SELECT * FROM payouts ORDER BY rowid DESC LIMIT $1";
        let rows = sqlx::query(sql).bind(limit).fetch_all(self.readers()?).await?;
        rows.iter().map(object).collect()
    }

    /// The newest notifications, newest first.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn newest_notifications(&self, limit: i64) -> anyhow::Result<Vec<Value>> {
        let sql = "SELECT * FROM notifications ORDER BY rowid DESC LIMIT $1";
        let rows = sqlx::query(sql).bind(limit).fetch_all(self.readers()?).await?;
        rows.iter().map(object).collect()
    }
}

/// A row as an object: integers, texts and null are all there is in the books.
fn object(row: &SqliteRow) -> anyhow::Result<Value> {
    let mut made = serde_json::Map::new();
    for column in row.columns() {
        let at = column.ordinal();
        let value = if row.try_get_raw(at)?.is_null() {
            Value::Null
        } else if let Ok(number) = row.try_get::<i64, _>(at) {
            json!(number)
        } else {
            json!(row.try_get::<String, _>(at)?)
        };
        made.insert(column.name().to_owned(), value);
    }
    Ok(Value::Object(made))
}
