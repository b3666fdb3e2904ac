//! The checks of `verify` that go through all entries: along each account's chain, and in the order of their ids.
//!
//! Pages are read from where the last one ended. Must not know: how a check is told.

use std::collections::HashMap;
use std::time::Instant;

use cashout_common::db::Snapshot;
use cashout_common::number::digest;
use cashout_common::on_engine;
use cashout_common::report::Check;

use super::rows::{EntryRow, entries_of};
use super::verify::{ENTRIES, check};
use crate::domain::{Account, Entry, Hash, Owner};

const PAGE: &str = concat!(
    entries_of!(
        "(SELECT * FROM entry WHERE (account_id, seq) > ($1, $2) ORDER BY account_id, seq LIMIT 5000)"
    ),
    "ORDER BY e.account_id, e.seq"
);

/// G5: the hashes are recomputed from the rows, so an edited, inserted or reordered row shows.
pub(super) async fn chain(snapshot: &mut Snapshot) -> Result<Check, sqlx::Error> {
    let started = Instant::now();
    let (mut rows, mut found) = (0_i64, Vec::new());
    let mut last: Option<Entry> = None;
    loop {
        let (account, seq) = last.as_ref().map_or((0, 0), |e| (e.account_id, e.seq));
        let page: Vec<EntryRow> = on_engine!(&mut *snapshot, tx => sqlx::query_as(PAGE)
            .bind(account).bind(seq).fetch_all(&mut **tx).await?);
        if page.is_empty() {
            break;
        }
        for entry in page.into_iter().map(Entry::from) {
            rows += 1;
            let before = last.as_ref().filter(|e| e.account_id == entry.account_id);
            if !links(before, &entry) {
                found.push(format!("entry {}", entry.id));
            }
            last = Some(entry);
        }
    }
    // An entry of an account that does not exist would be in nobody's chain.
    let all: i64 =
        on_engine!(&mut *snapshot, tx => sqlx::query_scalar(ENTRIES).fetch_one(&mut **tx).await?);
    if all != rows {
        found.push(format!("{} entries of no account", all - rows));
    }
    Ok(check("G5", "the statement is an unbroken chain", rows, found, started))
}

/// Whether an entry follows from the one before it: position, hash, and the state it leaves, which is
/// computed anew by the rule that appended it.
fn links(before: Option<&Entry>, entry: &Entry) -> bool {
    let zero: Hash = [0; 32];
    let (seq, hash) = before.map_or((0, &zero), |e| (e.seq, &e.hash));
    let mut then = Account::new(0, Owner::Person(0), entry.currency, 0);
    if let Some(before) = before {
        then.available = before.available_after;
        then.frozen = before.frozen_after;
        then.income_total = before.income_total;
        then.withdrawn_total = before.withdrawn_total;
        then.last_income_at = before.last_income_at;
    }
    let (available, frozen) = (entry.available_delta, entry.frozen_delta);
    then.carry(entry.kind, available, frozen, entry.created_at).is_ok()
        && entry.available_after == then.available
        && entry.frozen_after == then.frozen
        && entry.income_total == then.income_total
        && entry.withdrawn_total == then.withdrawn_total
        && entry.last_income_at == then.last_income_at
        && entry.seq == seq + 1
        && entry.hash == entry.hash_after(hash)
}

/// A row of the whole ledger in the order of its ids.
type Sealed = (i64, Vec<u8>, Option<i64>, i64, i64, Option<i64>);

/// G5: ids are dense up to the head, and the hashes of all entries make up the head's, so a deleted or
/// edited row shows even at the end of everything. G1: what is told of a counter-account is the sum of what its entries
/// moved so far, to the last of them.
pub(super) async fn sealed(snapshot: &mut Snapshot) -> Result<[Check; 2], sqlx::Error> {
    const HEAD: &str = "SELECT last_entry_id, hash FROM ledger_head WHERE id = 1";
    const PAGE: &str = "SELECT e.id, e.hash, c.id, e.available_delta, e.frozen_delta, e.counter_after \
        FROM entry e LEFT JOIN account c ON c.id = e.counter_id AND c.counter IS NOT NULL \
        WHERE e.id > $1 ORDER BY e.id LIMIT 10000";
    let started = Instant::now();
    let (head, seal): (i64, Vec<u8>) =
        on_engine!(&mut *snapshot, tx => sqlx::query_as(HEAD).fetch_one(&mut **tx).await?);
    let (mut newest, mut rows, mut hash, mut found) = (0, 0, Hash::default(), Vec::new());
    let mut counters = Counters::default();
    loop {
        let page: Vec<Sealed> = on_engine!(&mut *snapshot, tx =>
            sqlx::query_as(PAGE).bind(newest).fetch_all(&mut **tx).await?);
        if page.is_empty() {
            break;
        }
        for (id, own, counter, available, frozen, told) in page {
            if id != newest + 1 {
                found.push(format!("entry {id} after entry {newest}"));
            }
            counters.moved(id, counter, i128::from(available) + i128::from(frozen), told);
            let own: Hash = own.try_into().unwrap_or_default();
            (newest, rows, hash) = (id, rows + 1, digest(&[&hash, &own]));
        }
    }
    let seal: Hash = seal.try_into().unwrap_or_default();
    if head != newest || hash != seal {
        found.push(format!("the newest entry is {newest}, the head says {head} and another hash"));
    }
    Ok([
        check("G5", "entries are dense and sealed up to the head", rows, found, started),
        check(
            "G1",
            "a counter-account's balance is the other side of its entries",
            rows,
            counters.wrong(),
            started,
        ),
    ])
}

/// What counter-accounts have by their entries, and by what is told of them.
#[derive(Default)]
struct Counters {
    /// By account: the sum, and whether the last entry told it.
    sums: HashMap<i64, (i128, bool)>,
    found: Vec<String>,
}

impl Counters {
    /// An entry that moved so much into or out of a person's account, and what it tells of the other side.
    fn moved(&mut self, id: i64, counter: Option<i64>, moved: i128, told: Option<i64>) {
        let right = match counter {
            Some(counter) => {
                let (sum, last_told) = self.sums.entry(counter).or_default();
                *sum -= moved;
                *last_told = told.is_some();
                told.is_none_or(|told| i128::from(told) == *sum)
            }
            None => told.is_none(),
        };
        if !right {
            self.found.push(format!("entry {id}"));
        }
    }

    fn wrong(mut self) -> Vec<String> {
        let silent = self.sums.iter().filter(|(_, (_, told))| !told);
        self.found.extend(silent.map(|(account, _)| format!("account {account}")));
        self.found
    }
}
