//! A batch on PostgreSQL: one statement with an array per column or, of one command, single values; guarded by the
//! version of the head.

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::{Arguments, Encode, PgConnection, Postgres, Type};

use super::rows::{facts_text, state_number};
use super::write::{Row, Written, receipt_text};
use crate::domain::{Account, Book, Entry, Hold};

/// Rows as one array per column: parameters by number and type.
macro_rules! many {
    ($n:literal $t:ident $(, $ns:literal $ts:ident)*) => {
        concat!(
            "unnest($", $n, "::", stringify!($t), "[]"
            $(, ", $", $ns, "::", stringify!($ts), "[]")*, ")"
        )
    };
}

/// One row of single values.
macro_rules! one {
    ($n:literal $t:ident $(, $ns:literal $ts:ident)*) => {
        concat!(
            "(VALUES ($", $n, "::", stringify!($t)
            $(, ", $", $ns, "::", stringify!($ts))*, "))"
        )
    };
}

/// Updates the head, and everything else only if the head was as expected: it all comes from that row.
/// Data-modifying parts of one statement all run to completion, and all or nothing of it is committed.
/// Locks: the head row first.
///
/// Most batches touch no hold, and parameters cost time also when they are empty: the part about holds is
/// last so that the numbers before it are the same with and without it.
macro_rules! changes {
    ($rows:ident, $holds:expr) => {
        concat!(
            "WITH head AS (UPDATE ledger_head SET version = version + 1, last_entry_id = $2, \
             last_account_id = $3, last_hold_id = $4, last_time_us = $5, hash = $6 \
             WHERE id = 1 AND version = $1 RETURNING 1), \
             accounts AS (UPDATE account SET balance = d.balance, \
             overdraft_limit = d.overdraft_limit, locked_at = d.locked_at, \
             updated_at = d.updated_at FROM head, ",
            $rows!(7 bigint, 8 bigint, 9 bigint, 10 bigint, 11 bigint),
            " AS d (id, balance, overdraft_limit, locked_at, updated_at) WHERE account.id = d.id), \
             entries AS (INSERT INTO entry SELECT d.* FROM head, ",
            $rows!(
                12 bigint, 13 bigint, 14 bigint, 15 bigint, 16 text, 17 bytea, 18 bigint, 19 bigint,
                20 bigint, 21 bigint, 22 bigint, 23 bigint, 24 bigint, 25 bigint, 26 bigint,
                27 bigint, 28 bigint, 29 text, 30 bigint, 31 bytea
            ),
            " AS d)",
            $holds,
            " SELECT 1 FROM head"
        )
    };
}
macro_rules! holds {
    ($rows:ident) => {
        concat!(
            ", holds AS (INSERT INTO hold SELECT d.* FROM head, ",
            $rows!(
                32 bigint, 33 text, 34 bigint, 35 bigint, 36 bigint, 37 bigint, 38 bigint,
                39 bigint, 40 bigint, 41 bigint, 42 bigint
            ),
            " AS d ON CONFLICT (id) DO UPDATE SET state = excluded.state, \
             settled = excluded.settled, released = excluded.released, ended_at = excluded.ended_at)"
        )
    };
}
const CHANGES: &str = changes!(many, "");
const CHANGES_WITH_HOLDS: &str = changes!(many, holds!(many));
const ONE_CHANGE: &str = changes!(one, "");
const ONE_CHANGE_WITH_HOLD: &str = changes!(one, holds!(one));

const NEW_ACCOUNTS: &str = "INSERT INTO account SELECT d.* FROM unnest($1::bigint[], $2::bigint[], \
    $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]) AS d";

const RECEIPT: &str = "INSERT INTO receipt VALUES ($1, $2, $3, $4)";

/// Runs the statements of a batch. With new accounts or receipts it is more than one, and the caller
/// holds a transaction open; receipts are rare and come one by one.
pub(super) async fn changes(c: &mut PgConnection, book: &Book) -> Result<Written, sqlx::Error> {
    let new: Vec<&Account> =
        book.changes.new_accounts.iter().filter_map(|id| book.account(*id)).collect();
    if !new.is_empty() {
        insert_accounts(c, &new).await?;
    }
    for receipt in &book.changes.receipts {
        sqlx::query(RECEIPT)
            .bind(&*receipt.key.text)
            .bind(&receipt.key.digest[..])
            .bind(receipt_text(&receipt.account))
            .bind(book.head.last_time_us)
            .execute(&mut *c)
            .await?;
    }
    Statement::of(book)?.run(c).await
}

/// The one statement of a batch with its values.
pub(super) struct Statement {
    sql: &'static str,
    values: PgArguments,
}

impl Statement {
    /// What the book wants written of entries, accounts that are there, and holds.
    ///
    /// # Errors
    /// When a value cannot be encoded.
    pub(super) fn of(book: &Book) -> Result<Self, sqlx::Error> {
        let accounts: Vec<&Account> =
            book.changes.accounts.iter().filter_map(|id| book.account(*id)).collect();
        let holds: Vec<&Hold> =
            book.changes.holds.iter().filter_map(|key| book.hold(key)).collect();
        // Exactly one entry: a row of NULLs would be refused. No account is found by NULL, and without a hold the part
        // about holds is not there.
        let one = book.changes.entries.len() == 1 && accounts.len() <= 1 && holds.len() <= 1;
        let mut values = Values::of(one);
        head(&mut values, book);
        account_columns(&mut values, &accounts);
        entry_columns(&mut values, &book.changes.entries);
        if !holds.is_empty() {
            hold_columns(&mut values, &holds);
        }
        let sql = match (one, holds.is_empty()) {
            (true, true) => ONE_CHANGE,
            (true, false) => ONE_CHANGE_WITH_HOLD,
            (false, true) => CHANGES,
            (false, false) => CHANGES_WITH_HOLDS,
        };
        Ok(Self { sql, values: values.end()? })
    }

    /// Runs it.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn run(self, c: &mut PgConnection) -> Result<Written, sqlx::Error> {
        let head = sqlx::query_with(self.sql, self.values).fetch_optional(c).await?;
        Ok(if head.is_some() { Written::Done } else { Written::Stale })
    }
}

/// Values in the order of their numbers; the first that cannot be encoded ends it.
///
/// Columns are arrays, of which PostgreSQL makes a list each. That is a fifth of the time of a batch that is one
/// command, as all are while it is quiet: where no table has more than one row of it, columns are single values,
/// NULL if there is none.
struct Values {
    arguments: PgArguments,
    failed: Option<sqlx::error::BoxDynError>,
    one: bool,
}

impl Values {
    fn of(one: bool) -> Self {
        Self { arguments: PgArguments::default(), failed: None, one }
    }

    fn add<'v, T: Encode<'v, Postgres> + Type<Postgres>>(&mut self, value: T) {
        if let Err(error) = self.arguments.add(value) {
            self.failed = self.failed.take().or(Some(error));
        }
    }

    fn column<'v, R, T>(&mut self, rows: &'v [R], value: impl Fn(&'v R) -> T)
    where
        Option<T>: Encode<'v, Postgres> + Type<Postgres>,
        Vec<T>: Encode<'v, Postgres> + Type<Postgres>,
    {
        if self.one {
            self.add(rows.first().map(value));
        } else {
            self.add(rows.iter().map(value).collect::<Vec<T>>());
        }
    }

    fn end(self) -> Result<PgArguments, sqlx::Error> {
        self.failed.map_or(Ok(self.arguments), |error| Err(sqlx::Error::Encode(error)))
    }
}

fn head(values: &mut Values, book: &Book) {
    let head = &book.head;
    values.add(head.version);
    values.add(head.last_entry_id);
    values.add(head.last_account_id);
    values.add(head.last_hold_id);
    values.add(head.last_time_us);
    values.add(&head.hash[..]);
}

fn account_columns(values: &mut Values, rows: &[&Account]) {
    values.column(rows, |a| a.id);
    values.column(rows, |a| Row::of(a).balance);
    values.column(rows, |a| a.overdraft_limit);
    values.column(rows, |a| a.locked_at);
    values.column(rows, |a| a.updated_at);
}

fn entry_columns(values: &mut Values, rows: &[Arc<Entry>]) {
    values.column(rows, |e| e.id);
    values.column(rows, |e| e.account_id);
    values.column(rows, |e| e.seq);
    values.column(rows, |e| e.transfer_id);
    values.column(rows, |e| e.key.as_ref().map(|(key, _)| &**key));
    values.column(rows, |e| e.key.as_ref().map(|(_, digest)| &digest[..]));
    values.column(rows, |e| i64::from(e.kind.row().number));
    values.column(rows, |e| e.available_delta);
    values.column(rows, |e| e.frozen_delta);
    values.column(rows, |e| e.available_after);
    values.column(rows, |e| e.frozen_after);
    values.column(rows, |e| e.income_total);
    values.column(rows, |e| e.withdrawn_total);
    values.column(rows, |e| e.last_income_at);
    values.column(rows, |e| (e.overdraft_limit != 0).then_some(e.overdraft_limit));
    values.column(rows, |e| e.side.account_id());
    values.column(rows, |e| e.hold.as_ref().map(|(id, _)| *id));
    values.column(rows, |e| facts_text(&e.facts));
    values.column(rows, |e| e.created_at);
    values.column(rows, |e| &e.hash[..]);
}

fn hold_columns(values: &mut Values, rows: &[&Hold]) {
    values.column(rows, |h| h.id);
    values.column(rows, |h| &*h.key);
    values.column(rows, |h| h.account_id);
    values.column(rows, |h| h.amount);
    values.column(rows, |h| i64::from(h.kind.row().number));
    values.column(rows, |h| state_number(h.state));
    values.column(rows, |h| h.settled);
    values.column(rows, |h| h.released);
    values.column(rows, |h| h.release_at);
    values.column(rows, |h| h.created_at);
    values.column(rows, |h| h.ended_at);
}

fn column<'r, T, V>(rows: &[&'r T], value: impl Fn(&'r T) -> V) -> Vec<V> {
    rows.iter().map(|row| value(row)).collect()
}

async fn insert_accounts(c: &mut PgConnection, new: &[&Account]) -> Result<(), sqlx::Error> {
    sqlx::query(NEW_ACCOUNTS)
        .bind(column(new, |a| a.id))
        .bind(column(new, |a| Row::of(a).user_id))
        .bind(column(new, |a| Row::of(a).counter))
        .bind(column(new, |a| a.currency.code()))
        .bind(column(new, |a| Row::of(a).balance))
        .bind(column(new, |a| a.overdraft_limit))
        .bind(column(new, |a| a.locked_at))
        .bind(column(new, |a| a.created_at))
        .bind(column(new, |a| a.updated_at))
        .execute(c)
        .await
        .map(drop)
}
