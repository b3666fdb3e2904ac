//! A batch on SQLite: rows of one table go into statements of many rows each. One JSON array per table
//! would be less code and costs several times as much: every column of every row parses its row again.

use std::sync::LazyLock;

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection};

use super::rows::{facts_text, state_number};
use super::write::{Written, entries, owner, receipt_text};
use crate::domain::{Account, Book, Entry, Hold};

const HEAD: &str = "UPDATE ledger_head SET version = version + 1, last_entry_id = $2, \
    last_account_id = $3, last_hold_id = $4, last_time_us = $5, hash = $6 WHERE id = 1 AND version = $1";

/// Rows of one statement, so that a batch of any size takes few statements and their texts stay few:
/// SQLite compiles each once.
const SIZES: [usize; 4] = [256, 32, 4, 1];

/// The statements that insert into one table, one for each size.
struct Insert([String; SIZES.len()]);

impl Insert {
    fn new(table: &str, columns: usize, then: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let text = |size| {
            format!("INSERT INTO {table} VALUES {}{then}", vec![row.as_str(); size].join(", "))
        };
        Self(SIZES.map(text))
    }
}

static NEW_ACCOUNT: LazyLock<Insert> = LazyLock::new(|| Insert::new("account", 8, ""));
static ACCOUNT: LazyLock<Insert> = LazyLock::new(|| {
    let then = " ON CONFLICT (id) DO UPDATE SET overdraft_limit = excluded.overdraft_limit, locked_at = excluded.locked_at, \
        updated_at = excluded.updated_at";
    Insert::new("account", 8, then)
});
static HOLD: LazyLock<Insert> = LazyLock::new(|| {
    let then = " ON CONFLICT (id) DO UPDATE SET state = excluded.state, \
        settled = excluded.settled, released = excluded.released, ended_at = excluded.ended_at, \
        due_at = excluded.due_at";
    Insert::new("hold", 12, then)
});
static ENTRY: LazyLock<Insert> = LazyLock::new(|| Insert::new("entry", 21, ""));
static RECEIPT: LazyLock<Insert> = LazyLock::new(|| Insert::new("receipt", 4, ""));

type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Runs the statements of a batch inside the caller's transaction.
pub(super) async fn changes(c: &mut SqliteConnection, book: &Book) -> Result<Written, sqlx::Error> {
    let head = &book.head;
    let guarded = sqlx::query(HEAD)
        .bind(head.version)
        .bind(head.last_entry_id)
        .bind(head.last_account_id)
        .bind(head.last_hold_id)
        .bind(head.last_time_us)
        .bind(&head.hash[..])
        .execute(&mut *c)
        .await?;
    if guarded.rows_affected() == 0 {
        return Ok(Written::Stale);
    }
    let changes = &book.changes;
    let new: Vec<&Account> =
        changes.new_accounts.iter().filter_map(|id| book.account(*id)).collect();
    insert(c, &NEW_ACCOUNT, &new, bind_account).await?;
    let changed: Vec<&Account> =
        changes.accounts.iter().filter_map(|id| book.account(*id)).collect();
    insert(c, &ACCOUNT, &changed, bind_account).await?;
    let holds: Vec<&Hold> = changes.holds.iter().filter_map(|key| book.hold(key)).collect();
    insert(c, &HOLD, &holds, bind_hold).await?;
    let told = entries(book)?;
    insert(c, &ENTRY, &told.iter().collect::<Vec<_>>(), bind_entry).await?;
    let receipts: Vec<_> = changes.receipts.iter().collect();
    insert(c, &RECEIPT, &receipts, |query, receipt| {
        query
            .bind(&*receipt.key.text)
            .bind(&receipt.key.digest[..])
            .bind(receipt_text(&receipt.account))
            .bind(head.last_time_us)
    })
    .await?;
    Ok(Written::Done)
}

/// Inserts rows in as few statements as their number allows.
async fn insert<'q, T>(
    c: &mut SqliteConnection,
    into: &'static Insert,
    rows: &[&'q T],
    bind: impl Fn(Bound<'q>, &'q T) -> Bound<'q>,
) -> Result<(), sqlx::Error> {
    let mut left = rows;
    for (size, sql) in SIZES.into_iter().zip(&into.0) {
        while let Some((now, later)) = left.split_at_checked(size) {
            let query = sqlx::query(AssertSqlSafe(sql.as_str()));
            let query = now.iter().fold(query, |query, row| bind(query, row));
            query.execute(&mut *c).await?;
            left = later;
        }
    }
    Ok(())
}

fn bind_account<'q>(query: Bound<'q>, a: &'q Account) -> Bound<'q> {
    let (user_id, counter) = owner(a);
    query
        .bind(a.id)
        .bind(user_id)
        .bind(counter)
        .bind(a.currency.code())
        .bind(a.overdraft_limit)
        .bind(a.locked_at)
        .bind(a.created_at)
        .bind(a.updated_at)
}

fn bind_hold<'q>(query: Bound<'q>, h: &'q Hold) -> Bound<'q> {
    query
        .bind(h.id)
        .bind(&*h.key)
        .bind(h.account_id)
        .bind(h.amount)
        .bind(i64::from(h.kind.row().number))
        .bind(state_number(h.state))
        .bind(h.settled)
        .bind(h.released)
        .bind(h.release_at)
        .bind(h.created_at)
        .bind(h.ended_at)
        .bind(h.due_at())
}

fn bind_entry<'q>(query: Bound<'q>, (e, counter_after): &'q (&Entry, Option<i64>)) -> Bound<'q> {
    let (key, digest) = e.key.as_ref().map(|(key, digest)| (&**key, &digest[..])).unzip();
    query
        .bind(e.id)
        .bind(e.account_id)
        .bind(e.seq)
        .bind(e.transfer_id)
        .bind(key)
        .bind(digest)
        .bind(i64::from(e.kind.row().number))
        .bind(e.available_delta)
        .bind(e.frozen_delta)
        .bind(e.available_after)
        .bind(e.frozen_after)
        .bind(e.income_total)
        .bind(e.withdrawn_total)
        .bind(e.last_income_at)
        .bind((e.overdraft_limit != 0).then_some(e.overdraft_limit))
        .bind(e.side.account_id())
        .bind(counter_after)
        .bind(e.hold.as_ref().map(|(id, _)| *id))
        .bind(facts_text(&e.facts))
        .bind(e.created_at)
        .bind(&e.hash[..])
}
