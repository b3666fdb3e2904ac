//! A batch on PostgreSQL: one statement with an array of rows for each table or, of one command, single rows; guarded
//! by the version of the head.

use sqlx::postgres::{PgArguments, PgBindIterExt, PgHasArrayType};
use sqlx::{Arguments, Encode, PgConnection, Postgres, Type};

use super::tuples::{AccountTuple, EntryTuple, HoldTuple};
use super::write::{Written, entries, receipt_text};
use crate::domain::{Account, Book, Hold};

/// Rows as an array: a parameter by number and table.
macro_rules! many {
    ($n:literal $table:literal) => {
        concat!("unnest($", $n, "::", $table, "[])")
    };
}

/// A single row, of NULLs if there is none.
macro_rules! one {
    ($n:literal $table:literal) => {
        concat!("(SELECT ($", $n, "::", $table, ").*)")
    };
}

/// Updates the head, and everything else only if the head was as expected: it all comes from that row.
/// Data-modifying parts of one statement all run to completion, and all or nothing of it is committed.
/// Locks: the head row first.
///
/// Most batches touch no hold, and hardly one an account's row, and a part of a statement costs time also when it has
/// nothing to do.
macro_rules! changes {
    ($rows:ident $(, $more:expr)*) => {
        concat!(
            "WITH head AS (UPDATE ledger_head SET version = version + 1, last_entry_id = $2, \
             last_account_id = $3, last_hold_id = $4, last_time_us = $5, hash = $6 \
             WHERE id = 1 AND version = $1 RETURNING 1), \
             entries AS (INSERT INTO entry SELECT d.* FROM head, ",
            $rows!(7 "entry"),
            " AS d)",
            $($more,)*
            " SELECT 1 FROM head"
        )
    };
}
macro_rules! holds {
    ($rows:ident) => {
        concat!(
            ", holds AS (INSERT INTO hold SELECT d.* FROM head, ",
            $rows!(8 "hold"),
            " AS d ON CONFLICT (id) DO UPDATE SET state = excluded.state, \
             settled = excluded.settled, released = excluded.released, ended_at = excluded.ended_at, \
             due_at = excluded.due_at)"
        )
    };
}
macro_rules! accounts {
    ($rows:ident) => {
        concat!(
            ", accounts AS (UPDATE account SET overdraft_limit = d.overdraft_limit, \
             locked_at = d.locked_at, updated_at = d.updated_at FROM head, ",
            $rows!(9 "account"),
            " AS d WHERE account.id = d.id)"
        )
    };
}
const CHANGES: &str = changes!(many);
const CHANGES_WITH_HOLDS: &str = changes!(many, holds!(many));
const ONE_CHANGE: &str = changes!(one);
const ONE_CHANGE_WITH_HOLD: &str = changes!(one, holds!(one));
const ALL_CHANGES: &str = changes!(many, holds!(many), accounts!(many));

/// Parameters of the longest of these statements.
const PARAMETERS: usize = 9;
/// What a row takes on its way, about: so much room is made at once.
const ROW_BYTES: usize = 512;

const NEW_ACCOUNTS: &str = "INSERT INTO account SELECT d.* FROM unnest($1::account[]) AS d";

const RECEIPT: &str = "INSERT INTO receipt VALUES ($1, $2, $3, $4)";

/// Runs the statements of a batch. With new accounts or receipts it is more than one, and the caller
/// holds a transaction open; receipts are rare and come one by one.
pub(super) async fn changes(c: &mut PgConnection, book: &Book) -> Result<Written, sqlx::Error> {
    let new: Vec<&Account> =
        book.changes.new_accounts.iter().filter_map(|id| book.account(*id)).collect();
    if !new.is_empty() {
        let mut values = Values::of(false);
        values.rows(new.into_iter().map(AccountTuple::from));
        sqlx::query_with(NEW_ACCOUNTS, values.end()?).execute(&mut *c).await?;
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
        let changes = &book.changes;
        let accounts: Vec<&Account> =
            changes.accounts.iter().filter_map(|id| book.account(*id)).collect();
        let holds: Vec<&Hold> = changes.holds.iter().filter_map(|key| book.hold(key)).collect();
        // Exactly one entry: a row of NULLs would be refused. Without a hold the part about holds is not there.
        let one = changes.entries.len() == 1 && accounts.is_empty() && holds.len() <= 1;
        let mut values = Values::of(one);
        values.arguments.reserve(PARAMETERS, (changes.entries.len() + holds.len()) * ROW_BYTES);
        values.head(book);
        let told = entries(book)?.into_iter();
        values.rows(told.map(|(entry, counter_after)| EntryTuple::of(entry, counter_after)));
        let all = !accounts.is_empty();
        let sql = match (one, holds.is_empty()) {
            _ if all => ALL_CHANGES,
            (true, true) => ONE_CHANGE,
            (true, false) => ONE_CHANGE_WITH_HOLD,
            (false, true) => CHANGES,
            (false, false) => CHANGES_WITH_HOLDS,
        };
        if all || !holds.is_empty() {
            values.rows(holds.into_iter().map(HoldTuple::from));
        }
        if all {
            values.rows(accounts.into_iter().map(AccountTuple::from));
        }
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
/// Rows are arrays, of which PostgreSQL makes a list each. That takes a part of the time of a batch that is one command,
/// as all are while it is quiet: where no table has more than one row of it, they are single rows.
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

    fn rows<'v, R>(&mut self, mut rows: impl Iterator<Item = R>)
    where
        R: Encode<'v, Postgres> + Type<Postgres> + PgHasArrayType + 'v,
    {
        if self.one {
            self.add(rows.next());
        } else {
            self.add(rows.bind_iter());
        }
    }

    fn head(&mut self, book: &Book) {
        let head = &book.head;
        for number in [
            head.version,
            head.last_entry_id,
            head.last_account_id,
            head.last_hold_id,
            head.last_time_us,
        ] {
            self.add(number);
        }
        self.add(&head.hash[..]);
    }

    fn end(self) -> Result<PgArguments, sqlx::Error> {
        self.failed.map_or(Ok(self.arguments), |error| Err(sqlx::Error::Encode(error)))
    }
}
