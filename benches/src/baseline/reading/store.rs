//! The statements that read, and those that open many accounts at once before a load begins.
//!
//! Must not know: any rule.

use cashout_common::db::Engine;
use cashout_common::on_engine;

use crate::baseline::store::{AccountRow, EntryRow, Work};

/// The unique key finds each.
const ACCOUNTS_POSTGRES: &str = "SELECT id, user_id, available, frozen, last_seq, created_at, \
    updated_at FROM account WHERE user_id = ANY($1) AND currency = 'CNY'";
const ACCOUNTS_SQLITE: &str = "SELECT id, user_id, available, frozen, last_seq, created_at, \
    updated_at FROM account WHERE user_id IN (SELECT value FROM json_each($1)) \
    AND currency = 'CNY'";

/// Counts over the account's entries, by their unique (account_id, seq).
const COUNTED: &str = "SELECT a.id, a.user_id, a.available, a.frozen, a.last_seq, a.created_at, \
    a.updated_at, count(e.id) AS total, \
    CAST(COALESCE(sum(e.available_delta), 0) AS BIGINT) AS sum_available \
    FROM account a LEFT JOIN entry e ON e.account_id = a.id \
    WHERE a.user_id = $1 AND a.currency = 'CNY' GROUP BY a.id";

/// Newest first, by the same key read backwards.
const LINES: &str = "SELECT e.*, CAST($2 AS BIGINT) AS user_id FROM entry e WHERE account_id = $1 \
    ORDER BY seq DESC LIMIT $3 OFFSET $4";

const OPEN_POSTGRES: &str = "INSERT INTO account (user_id, currency, available, frozen, last_seq, \
    created_at, updated_at) SELECT n, 'CNY', 0, 0, 0, $2, $2 FROM generate_series(1, $1) n";
const OPEN_SQLITE: &str = "WITH RECURSIVE people (n) AS (SELECT 1 WHERE $1 > 0 UNION ALL \
    SELECT n + 1 FROM people WHERE n < $1) INSERT INTO account (user_id, currency, available, frozen, last_seq, created_at, \
    updated_at) SELECT n, 'CNY', 0, 0, 0, $2, $2 FROM people";

/// An account, and what its whole statement comes to.
#[derive(Debug, sqlx::FromRow)]
pub struct Counted {
    /// As it is.
    #[sqlx(flatten)]
    pub account: AccountRow,
    /// Lines.
    pub total: i64,
    /// Sum of the movements of available.
    pub sum_available: i64,
}

impl Work {
    /// The accounts of these persons, those that exist.
    pub async fn accounts(&mut self, users: &[i64]) -> Result<Vec<AccountRow>, sqlx::Error> {
        match self.conn() {
            Engine::Sqlite(c) => {
                let users = serde_json::Value::from(users).to_string();
                sqlx::query_as(ACCOUNTS_SQLITE).bind(users).fetch_all(c).await
            }
            Engine::Postgres(c) => sqlx::query_as(ACCOUNTS_POSTGRES).bind(users).fetch_all(c).await,
        }
    }

    /// An account with the counts of its statement.
    pub async fn counted(&mut self, user: i64) -> Result<Option<Counted>, sqlx::Error> {
        on_engine!(self.conn(), c => sqlx::query_as(COUNTED).bind(user)
            .fetch_optional(&mut *c).await)
    }

    /// Lines of a statement, newest first.
    pub async fn lines(
        &mut self,
        account: &AccountRow,
        skip: i64,
        count: i64,
    ) -> Result<Vec<EntryRow>, sqlx::Error> {
        on_engine!(self.conn(), c => sqlx::query_as(LINES).bind(account.id).bind(account.user_id)
            .bind(count).bind(skip).fetch_all(&mut *c).await)
    }

    /// Opens the accounts of people 1 to `people`, who have none.
    pub async fn open_everybody(&mut self, people: i64, now_us: i64) -> Result<(), sqlx::Error> {
        match self.conn() {
            Engine::Sqlite(c) => {
                sqlx::query(OPEN_SQLITE).bind(people).bind(now_us).execute(c).await.map(drop)
            }
            Engine::Postgres(c) => {
                sqlx::query(OPEN_POSTGRES).bind(people).bind(now_us).execute(c).await.map(drop)
            }
        }
    }
}
