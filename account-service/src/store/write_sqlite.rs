//! A batch on SQLite: one JSON array per table.

use cashout_common::number::hex;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::rows::{facts_text, state_number};
use super::write::{Written, receipt_text};
use crate::domain::{Account, Book, Owner};

const HEAD: &str = "UPDATE ledger_head SET version = version + 1, last_entry_id = $2, \
    last_account_id = $3, last_hold_id = $4, last_time_us = $5 WHERE id = 1 AND version = $1";

const NEW_ACCOUNT: &str = "INSERT INTO account SELECT value->>0, value->>1, value->>2, value->>3, \
    value->>4, value->>5, value->>6, value->>7, value->>8, value->>9, value->>10, value->>11, \
    value->>12, value->>13, unhex(value->>14), value->>15, value->>16 FROM json_each($1)";

const ACCOUNT: &str = "UPDATE account SET available = d.value->>4, frozen = d.value->>5, \
    overdraft_limit = d.value->>6, overdraft_peak = d.value->>7, locked_at = d.value->>8, \
    income_total = d.value->>9, spend_total = d.value->>10, withdrawn_total = d.value->>11, \
    last_income_at = d.value->>12, last_seq = d.value->>13, last_hash = unhex(d.value->>14), \
    updated_at = d.value->>16 FROM json_each($1) AS d WHERE account.id = d.value->>0";

const HOLD: &str = "INSERT INTO hold SELECT value->>0, value->>1, value->>2, value->>3, value->>4, \
    value->>5, value->>6, value->>7, value->>8, value->>9, value->>10 FROM json_each($1) WHERE true \
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, settled = excluded.settled, \
    released = excluded.released, ended_at = excluded.ended_at";

const ENTRY: &str = "INSERT INTO entry SELECT value->>0, value->>1, value->>2, value->>3, \
    value->>4, unhex(value->>5), value->>6, value->>7, value->>8, value->>9, value->>10, \
    value->>11, value->>12, value->>13, value->>14, unhex(value->>15) FROM json_each($1)";

const RECEIPT: &str = "INSERT INTO receipt SELECT value->>0, unhex(value->>1), value->>2, value->>3 \
    FROM json_each($1)";

/// Runs the statements of a batch inside the caller's transaction.
pub(super) async fn changes(c: &mut SqliteConnection, book: &Book) -> Result<Written, sqlx::Error> {
    let head = &book.head;
    let guarded = sqlx::query(HEAD)
        .bind(head.version)
        .bind(head.last_entry_id)
        .bind(head.last_account_id)
        .bind(head.last_hold_id)
        .bind(head.last_time_us)
        .execute(&mut *c)
        .await?;
    if guarded.rows_affected() == 0 {
        return Ok(Written::Stale);
    }
    let changes = &book.changes;
    let accounts = |ids: &std::collections::BTreeSet<i64>| -> Vec<Value> {
        ids.iter().filter_map(|id| book.account(*id)).map(account_row).collect()
    };
    let holds = changes.holds.iter().filter_map(|key| book.hold(key));
    let holds = holds.map(|h| {
        json!([
            h.id,
            &*h.key,
            h.account_id,
            h.amount,
            h.kind.row().number,
            state_number(h.state),
            h.settled,
            h.released,
            h.release_at,
            h.created_at,
            h.ended_at
        ])
    });
    let entries = changes.entries.iter().map(|e| {
        let (key, digest) = e.key.as_ref().map(|(key, digest)| (&**key, hex(digest))).unzip();
        json!([
            e.id,
            e.account_id,
            e.seq,
            e.transfer_id,
            key,
            digest,
            e.kind.row().number,
            e.available_delta,
            e.frozen_delta,
            e.available_after,
            e.frozen_after,
            e.side.account_id(),
            e.hold.as_ref().map(|(id, _)| id),
            facts_text(&e.facts),
            e.created_at,
            hex(&e.hash)
        ])
    });
    let receipts = changes.receipts.iter().map(|r| {
        json!([&*r.key.text, hex(&r.key.digest), receipt_text(&r.account), head.last_time_us])
    });
    for (sql, rows) in [
        (NEW_ACCOUNT, accounts(&changes.new_accounts)),
        (ACCOUNT, accounts(&changes.accounts)),
        (HOLD, holds.collect()),
        (ENTRY, entries.collect()),
        (RECEIPT, receipts.collect()),
    ] {
        if !rows.is_empty() {
            sqlx::query(sql).bind(Value::Array(rows).to_string()).execute(&mut *c).await?;
        }
    }
    Ok(Written::Done)
}

fn account_row(a: &Account) -> Value {
    let (person, counter) = match &a.owner {
        Owner::Person(id) => (Some(*id), None),
        Owner::Counter(name) => (None, Some(&**name)),
    };
    json!([
        a.id,
        person,
        counter,
        a.currency.code(),
        a.available,
        a.frozen,
        a.overdraft_limit,
        a.overdraft_peak,
        a.locked_at,
        a.income_total,
        a.spend_total,
        a.withdrawn_total,
        a.last_income_at,
        a.last_seq,
        hex(&a.last_hash),
        a.created_at,
        a.updated_at
    ])
}
