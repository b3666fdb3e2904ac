//! Writing a computed batch: everything or nothing, and only if nobody else has written since it was
//! computed.

use cashout_common::db::{Conn, Engine, begin_write, command};
use serde_json::{Value, json};

use super::{LOCK, write_postgres, write_sqlite};
use crate::domain::{Account, Book, Currency, Entry, Owner};

/// How a write went, when the database answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Committed.
    Done,
    /// Nothing was written: another writer was there, or a key is known already.
    Stale,
}

/// A batch made ready for PostgreSQL: one statement, which is a transaction of its own. It no longer
/// needs the book it was made of.
pub struct Ready(write_postgres::Statement);

impl Ready {
    /// What the book wants written; `None` when that takes more than one statement.
    ///
    /// # Errors
    /// When a value cannot be put into a statement.
    pub fn of(book: &Book) -> Result<Option<Self>, sqlx::Error> {
        let one = in_one_statement(book);
        one.then(|| write_postgres::Statement::of(book).map(Self)).transpose()
    }

    /// Writes it, if nobody else has written since it was computed.
    ///
    /// # Errors
    /// When the database refuses or does not answer; after a lost connection the outcome is unknown.
    pub async fn write(self, conn: &mut Conn) -> Result<Written, sqlx::Error> {
        match conn {
            Engine::Postgres(c) => self.0.run(c).await.or_else(stale_or),
            Engine::Sqlite(_) => Err(sqlx::Error::Protocol("not a statement for this".to_owned())),
        }
    }
}

/// One statement is a transaction of its own on PostgreSQL and saves two round trips.
fn in_one_statement(book: &Book) -> bool {
    book.changes.new_accounts.is_empty() && book.changes.receipts.is_empty()
}

/// Writes the book's changes and commits them. `locked` says that the write lock is held already, in a
/// transaction which this ends.
///
/// # Errors
/// When the database refuses or does not answer; after a lost connection the outcome is unknown.
pub async fn changes(conn: &mut Conn, book: &Book, locked: bool) -> Result<Written, sqlx::Error> {
    let one_statement = matches!(conn, Engine::Postgres(_)) && in_one_statement(book);
    if locked || !one_statement {
        if !locked {
            // The head first, as everybody does: two instances never wait for each other.
            begin_write(conn, LOCK).await?;
        }
        let written = statements(conn, book).await;
        return match written {
            Ok(Written::Done) => command(conn, "COMMIT").await.map(|()| Written::Done),
            Ok(Written::Stale) => command(conn, "ROLLBACK").await.map(|()| Written::Stale),
            Err(error) => {
                // The error that matters is the first one.
                let _ = command(conn, "ROLLBACK").await;
                stale_or(error)
            }
        };
    }
    match statements(conn, book).await {
        Ok(written) => Ok(written),
        Err(error) => stale_or(error),
    }
}

async fn statements(conn: &mut Conn, book: &Book) -> Result<Written, sqlx::Error> {
    match conn {
        Engine::Sqlite(c) => write_sqlite::changes(c, book).await,
        Engine::Postgres(c) => write_postgres::changes(c, book).await,
    }
}

/// A unique key that is there already means that this batch was computed without knowing of it.
fn stale_or(error: sqlx::Error) -> Result<Written, sqlx::Error> {
    match error.as_database_error() {
        Some(e) if e.is_unique_violation() => Ok(Written::Stale),
        _ => Err(error),
    }
}

/// Whose an account is, as its row says it: a person's id or the name of a counter-account.
pub(super) fn owner(account: &Account) -> (Option<i64>, Option<&str>) {
    match &account.owner {
        Owner::Person(id) => (Some(*id), None),
        Owner::Counter(name) => (None, Some(name)),
    }
}

/// New entries, each with what it tells of its counter-account.
pub(super) fn entries(book: &Book) -> Result<Vec<(&Entry, Option<i64>)>, sqlx::Error> {
    let told = book
        .counters_after()
        .ok_or_else(|| sqlx::Error::Protocol("a counter-account is not in the book".to_owned()))?;
    Ok(book.changes.entries.iter().map(AsRef::as_ref).zip(told).collect())
}

/// The account of a receipt, as stored: what an answer shows and nothing else.
pub(super) fn receipt_text(account: &Account) -> String {
    json!([
        account.id,
        account.user_id(),
        account.currency.code(),
        account.available,
        account.frozen,
        account.overdraft_limit,
        account.locked_at,
        account.income_total,
        account.spend_total,
        account.withdrawn_total,
        account.last_income_at,
        account.last_seq,
        account.created_at,
        account.updated_at,
    ])
    .to_string()
}

/// Reads what [`receipt_text`] wrote.
pub(super) fn receipt_account(text: &str) -> Result<Account, serde_json::Error> {
    let values: Vec<Value> = serde_json::from_str(text)?;
    let number = |i: usize| values.get(i).and_then(Value::as_i64).unwrap_or_default();
    let currency = values.get(2).and_then(Value::as_str).and_then(Currency::parse);
    let currency = currency.unwrap_or(Currency::CNY);
    let mut account = Account::new(number(0), Owner::Person(number(1)), currency, number(12));
    account.available = number(3);
    account.frozen = number(4);
    account.overdraft_limit = number(5);
    account.locked_at = number(6);
    account.income_total = number(7);
    account.spend_total = number(8);
    account.withdrawn_total = number(9);
    account.last_income_at = number(10);
    account.last_seq = number(11);
    account.updated_at = number(13);
    Ok(account)
}
