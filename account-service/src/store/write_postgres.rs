//! A batch on PostgreSQL: one statement with an array per column, guarded by the head's version.

use sqlx::postgres::PgArguments;
use sqlx::{PgConnection, Postgres};

use super::rows::{facts_text, state_number};
use super::write::{Row, Written, receipt_text};
use crate::domain::{Account, Book, Entry, Hold};

/// Updates the head, and everything else only if the head was as expected. Data-modifying parts of one
/// statement all run to completion, and all or nothing of it is committed. Locks: the head row first.
///
/// Most batches touch no hold, and parameters cost time also when they are empty: `$holds` is the part
/// about holds, last so that the numbers before it are the same with and without it.
macro_rules! changes {
    ($($holds:literal)?) => {
        concat!(
            "WITH head AS (UPDATE ledger_head SET version = version + 1, last_entry_id = $2, \
             last_account_id = $3, last_hold_id = $4, last_time_us = $5, hash = $6 \
             WHERE id = 1 AND version = $1 RETURNING 1), \
             accounts AS (UPDATE account SET balance = d.balance, \
             overdraft_limit = d.overdraft_limit, locked_at = d.locked_at, \
             updated_at = d.updated_at FROM unnest($7::bigint[], $8::bigint[], $9::bigint[], \
             $10::bigint[], $11::bigint[]) AS d (id, balance, overdraft_limit, locked_at, \
             updated_at) WHERE account.id = d.id AND EXISTS (SELECT 1 FROM head)), \
             entries AS (INSERT INTO entry SELECT d.* FROM unnest($12::bigint[], $13::bigint[], \
             $14::bigint[], $15::bigint[], $16::text[], $17::bytea[], $18::bigint[], \
             $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[], \
             $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::bigint[], \
             $29::text[], $30::bigint[], $31::bytea[]) AS d WHERE EXISTS (SELECT 1 FROM head))",
            $($holds,)?
            " SELECT count(*) FROM head"
        )
    };
}
const CHANGES: &str = changes!();
const CHANGES_WITH_HOLDS: &str = changes!(
    ", holds AS (INSERT INTO hold SELECT d.* FROM unnest($32::bigint[], $33::text[], $34::bigint[], \
     $35::bigint[], $36::bigint[], $37::bigint[], $38::bigint[], $39::bigint[], $40::bigint[], \
     $41::bigint[], $42::bigint[]) AS d WHERE EXISTS (SELECT 1 FROM head) \
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, settled = excluded.settled, \
     released = excluded.released, ended_at = excluded.ended_at)"
);

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
    let accounts: Vec<&Account> =
        book.changes.accounts.iter().filter_map(|id| book.account(*id)).collect();
    let holds: Vec<&Hold> = book.changes.holds.iter().filter_map(|key| book.hold(key)).collect();
    let entries: Vec<&Entry> = book.changes.entries.iter().map(AsRef::as_ref).collect();
    let head = &book.head;
    let sql = if holds.is_empty() { CHANGES } else { CHANGES_WITH_HOLDS };
    let mut query = sqlx::query_scalar::<_, i64>(sql)
        .bind(head.version)
        .bind(head.last_entry_id)
        .bind(head.last_account_id)
        .bind(head.last_hold_id)
        .bind(head.last_time_us)
        .bind(&head.hash[..])
        .bind(column(&accounts, |a| a.id))
        .bind(column(&accounts, |a| Row::of(a).balance))
        .bind(column(&accounts, |a| a.overdraft_limit))
        .bind(column(&accounts, |a| a.locked_at))
        .bind(column(&accounts, |a| a.updated_at))
        .bind(column(&entries, |e| e.id))
        .bind(column(&entries, |e| e.account_id))
        .bind(column(&entries, |e| e.seq))
        .bind(column(&entries, |e| e.transfer_id))
        .bind(column(&entries, |e| e.key.as_ref().map(|(key, _)| &**key)))
        .bind(column(&entries, |e| e.key.as_ref().map(|(_, digest)| &digest[..])))
        .bind(column(&entries, |e| i64::from(e.kind.row().number)))
        .bind(column(&entries, |e| e.available_delta))
        .bind(column(&entries, |e| e.frozen_delta))
        .bind(column(&entries, |e| e.available_after))
        .bind(column(&entries, |e| e.frozen_after))
        .bind(column(&entries, |e| e.income_total))
        .bind(column(&entries, |e| e.withdrawn_total))
        .bind(column(&entries, |e| e.last_income_at))
        .bind(column(&entries, |e| (e.overdraft_limit != 0).then_some(e.overdraft_limit)))
        .bind(column(&entries, |e| e.side.account_id()))
        .bind(column(&entries, |e| e.hold.as_ref().map(|(id, _)| *id)))
        .bind(column(&entries, |e| facts_text(&e.facts)))
        .bind(column(&entries, |e| e.created_at))
        .bind(column(&entries, |e| &e.hash[..]));
    if !holds.is_empty() {
        query = bind_holds(query, &holds);
    }
    let guarded = query.fetch_one(c).await?;
    Ok(if guarded == 1 { Written::Done } else { Written::Stale })
}

type Query<'q> = sqlx::query::QueryScalar<'q, Postgres, i64, PgArguments>;

fn bind_holds<'q>(query: Query<'q>, holds: &[&'q Hold]) -> Query<'q> {
    query
        .bind(column(holds, |h| h.id))
        .bind(column(holds, |h| &*h.key))
        .bind(column(holds, |h| h.account_id))
        .bind(column(holds, |h| h.amount))
        .bind(column(holds, |h| i64::from(h.kind.row().number)))
        .bind(column(holds, |h| state_number(h.state)))
        .bind(column(holds, |h| h.settled))
        .bind(column(holds, |h| h.released))
        .bind(column(holds, |h| h.release_at))
        .bind(column(holds, |h| h.created_at))
        .bind(column(holds, |h| h.ended_at))
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
