//! A batch on PostgreSQL: one statement with an array per column, guarded by the head's version.

use sqlx::postgres::PgArguments;
use sqlx::{PgConnection, Postgres};

use super::rows::{facts_text, state_number};
use super::write::{Written, receipt_text};
use crate::domain::{Account, Book, Entry, Hold, Owner};

/// Updates the head, and everything else only if the head was as expected. Data-modifying parts of one
/// statement all run to completion, and all or nothing of it is committed. Locks: the head row first.
///
/// Most batches touch no hold, and parameters cost time also when they are empty: `$holds` is the part
/// about holds, last so that the numbers before it are the same with and without it.
macro_rules! changes {
    ($($holds:literal)?) => {
        concat!(
            "WITH head AS (UPDATE ledger_head SET version = version + 1, last_entry_id = $2, \
             last_account_id = $3, last_hold_id = $4, last_time_us = $5 \
             WHERE id = 1 AND version = $1 RETURNING 1), \
             accounts AS (UPDATE account SET available = d.available, frozen = d.frozen, \
             overdraft_limit = d.overdraft_limit, overdraft_peak = d.overdraft_peak, \
             locked_at = d.locked_at, income_total = d.income_total, \
             spend_total = d.spend_total, withdrawn_total = d.withdrawn_total, \
             last_income_at = d.last_income_at, last_seq = d.last_seq, last_hash = d.last_hash, \
             updated_at = d.updated_at FROM unnest($6::bigint[], $7::bigint[], $8::bigint[], \
             $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], \
             $14::bigint[], $15::bigint[], $16::bigint[], $17::bytea[], $18::bigint[]) \
             AS d (id, available, frozen, overdraft_limit, overdraft_peak, locked_at, \
             income_total, spend_total, withdrawn_total, last_income_at, last_seq, last_hash, \
             updated_at) WHERE account.id = d.id AND EXISTS (SELECT 1 FROM head)), \
             entries AS (INSERT INTO entry SELECT d.* FROM unnest($19::bigint[], $20::bigint[], \
             $21::bigint[], $22::bigint[], $23::text[], $24::bytea[], $25::bigint[], \
             $26::bigint[], $27::bigint[], $28::bigint[], $29::bigint[], $30::bigint[], \
             $31::bigint[], $32::text[], $33::bigint[], $34::bytea[]) AS d \
             WHERE EXISTS (SELECT 1 FROM head))",
            $($holds,)?
            " SELECT count(*) FROM head"
        )
    };
}
const CHANGES: &str = changes!();
const CHANGES_WITH_HOLDS: &str = changes!(
    ", holds AS (INSERT INTO hold SELECT d.* FROM unnest($35::bigint[], $36::text[], $37::bigint[], \
     $38::bigint[], $39::bigint[], $40::bigint[], $41::bigint[], $42::bigint[], $43::bigint[], \
     $44::bigint[], $45::bigint[]) AS d WHERE EXISTS (SELECT 1 FROM head) \
     ON CONFLICT (id) DO UPDATE SET state = excluded.state, settled = excluded.settled, \
     released = excluded.released, ended_at = excluded.ended_at)"
);

const NEW_ACCOUNT: &str = "INSERT INTO account VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
    $11, $12, $13, $14, $15, $16, $17)";

const RECEIPT: &str = "INSERT INTO receipt VALUES ($1, $2, $3, $4)";

/// Runs the statements of a batch. New accounts and receipts are rare and come one by one; with them
/// the caller holds a transaction open.
pub(super) async fn changes(c: &mut PgConnection, book: &Book) -> Result<Written, sqlx::Error> {
    for account in book.changes.new_accounts.iter().filter_map(|id| book.account(*id)) {
        insert_account(c, account).await?;
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
    let entries: Vec<&Entry> = book.changes.entries.iter().collect();
    let head = &book.head;
    let sql = if holds.is_empty() { CHANGES } else { CHANGES_WITH_HOLDS };
    let mut query = sqlx::query_scalar::<_, i64>(sql)
        .bind(head.version)
        .bind(head.last_entry_id)
        .bind(head.last_account_id)
        .bind(head.last_hold_id)
        .bind(head.last_time_us)
        .bind(column(&accounts, |a| a.id))
        .bind(column(&accounts, |a| a.available))
        .bind(column(&accounts, |a| a.frozen))
        .bind(column(&accounts, |a| a.overdraft_limit))
        .bind(column(&accounts, |a| a.overdraft_peak))
        .bind(column(&accounts, |a| a.locked_at))
        .bind(column(&accounts, |a| a.income_total))
        .bind(column(&accounts, |a| a.spend_total))
        .bind(column(&accounts, |a| a.withdrawn_total))
        .bind(column(&accounts, |a| a.last_income_at))
        .bind(column(&accounts, |a| a.last_seq))
        .bind(column(&accounts, |a| &a.last_hash[..]))
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

async fn insert_account(c: &mut PgConnection, a: &Account) -> Result<(), sqlx::Error> {
    let (person, counter) = match &a.owner {
        Owner::Person(id) => (Some(*id), None),
        Owner::Counter(name) => (None, Some(&**name)),
    };
    sqlx::query(NEW_ACCOUNT)
        .bind(a.id)
        .bind(person)
        .bind(counter)
        .bind(a.currency.code())
        .bind(a.available)
        .bind(a.frozen)
        .bind(a.overdraft_limit)
        .bind(a.overdraft_peak)
        .bind(a.locked_at)
        .bind(a.income_total)
        .bind(a.spend_total)
        .bind(a.withdrawn_total)
        .bind(a.last_income_at)
        .bind(a.last_seq)
        .bind(&a.last_hash[..])
        .bind(a.created_at)
        .bind(a.updated_at)
        .execute(c)
        .await
        .map(drop)
}
