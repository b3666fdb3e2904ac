//! The checks of `verify` that go through all entries: along each account's chain, and in the order of their ids.
//!
//! Pages are read from where the last one ended. Must not know: the checks that are one query each.

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

/// A row of the whole ledger: id, hash, the other side, what it moved of available and of frozen, what it tells of the
/// other side, when.
type Sealed = (i64, Vec<u8>, Option<i64>, i64, i64, Option<i64>, i64);

/// G5: ids are dense up to the head, and the hashes of all entries make up the head's, so a deleted or
/// edited row shows even at the end of everything. G1: what is told of a counter-account is the sum of what its entries
/// moved so far, and it is told when it should be.
pub(super) async fn sealed(snapshot: &mut Snapshot) -> Result<[Check; 2], sqlx::Error> {
    const HEAD: &str = "SELECT last_entry_id, hash FROM ledger_head WHERE id = 1";
    const PAGE: &str = "SELECT id, hash, counter_id, available_delta, frozen_delta, counter_after, \
        created_at FROM entry WHERE id > $1 ORDER BY id LIMIT 10000";
    let started = Instant::now();
    let mut counters = Counters::of(snapshot).await?;
    let (head, seal): (i64, Vec<u8>) =
        on_engine!(&mut *snapshot, tx => sqlx::query_as(HEAD).fetch_one(&mut **tx).await?);
    let (mut newest, mut rows, mut hash, mut found) = (0, 0, Hash::default(), Vec::new());
    loop {
        let page: Vec<Sealed> = on_engine!(&mut *snapshot, tx =>
            sqlx::query_as(PAGE).bind(newest).fetch_all(&mut **tx).await?);
        if page.is_empty() {
            break;
        }
        for (id, own, other, available, frozen, told, at) in page {
            if id != newest + 1 {
                found.push(format!("entry {id} after entry {newest}"));
            }
            counters.moved((id, at), other, i128::from(available) + i128::from(frozen), told);
            let own: Hash = own.try_into().unwrap_or_default();
            (newest, rows, hash) = (id, rows + 1, digest(&[&hash, &own]));
        }
    }
    let seal: Hash = seal.try_into().unwrap_or_default();
    if head != newest || hash != seal {
        found.push(format!("the newest entry is {newest}, the head says {head} and another hash"));
    }
    let balances = "a counter-account's balance is the other side of its entries";
    Ok([
        check("G5", "entries are dense and sealed up to the head", rows, found, started),
        check("G1", balances, rows, counters.wrong(), started),
    ])
}

/// What counter-accounts have by their entries, and by what is told of them.
struct Counters {
    /// By account.
    all: HashMap<i64, Counter>,
    found: Vec<String>,
}

/// One, up to its last entry so far.
#[derive(Default)]
struct Counter {
    sum: i128,
    /// The last entry and when it was.
    last: (i64, i64),
    /// Whether that one told the sum; nothing has to be told of an account without entries.
    silent: bool,
}

impl Counters {
    async fn of(snapshot: &mut Snapshot) -> Result<Self, sqlx::Error> {
        const ALL: &str = "SELECT id FROM account WHERE counter IS NOT NULL";
        let ids: Vec<i64> = on_engine!(&mut *snapshot, tx =>
            sqlx::query_scalar(ALL).fetch_all(&mut **tx).await?);
        let all = ids.into_iter().map(|id| (id, Counter::default())).collect();
        Ok(Self { all, found: Vec::new() })
    }

    /// An entry (id, when) that moved so much into or out of a person's account, and what it tells of the other side.
    ///
    /// All entries of a batch are of one time, so the last one of a time is the last of its batch and has to tell; one
    /// before it may be the last of a batch of the same time.
    fn moved(&mut self, entry: (i64, i64), other: Option<i64>, moved: i128, told: Option<i64>) {
        let Some(counter) = other.and_then(|other| self.all.get_mut(&other)) else {
            if told.is_some() {
                self.found.push(format!("entry {}", entry.0));
            }
            return;
        };
        if counter.silent && counter.last.1 != entry.1 {
            self.found.push(format!("entry {}", counter.last.0));
        }
        counter.sum -= moved;
        counter.last = entry;
        counter.silent = told.is_none();
        if told.is_some_and(|told| i128::from(told) != counter.sum) {
            self.found.push(format!("entry {}", entry.0));
        }
    }

    fn wrong(mut self) -> Vec<String> {
        let silent = self.all.values().filter(|counter| counter.silent);
        self.found.extend(silent.map(|counter| format!("entry {}", counter.last.0)));
        self.found
    }
}
