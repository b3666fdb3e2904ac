//! Appending to histories: the only code that changes a balance, and the checks it rests on.
//!
//! Must not know: which command asks.

use std::sync::Arc;

use cashout_common::kind::Kind;
use cashout_common::number::digest;

use super::account::{Account, Currency, Owner};
use super::book::Book;
use super::command::{Facts, Key, Which};
use super::entry::{Digest, Entries, Entry, Side};
use super::hold::Hold;
use super::refusal::Refusal;

/// What a keyed command did: the entries it appended, and the hold it placed or ended.
pub(super) type Effect = Result<(Entries, Option<Hold>), Refusal>;

pub(super) fn require(kind_fits: bool) -> Result<(), Refusal> {
    if kind_fits { Ok(()) } else { Err(Refusal::KindMismatch) }
}

/// A person's account.
pub(super) fn find(book: &Book, which: &Which) -> Result<Account, Refusal> {
    let found = match which {
        Which::Id(id) => book.account(*id).filter(|a| matches!(a.owner, Owner::Person(_))),
        Which::Person(id, currency) => book.owned(&Owner::Person(*id), *currency),
    };
    found.cloned().ok_or(Refusal::AccountNotFound)
}

pub(super) fn enough(account: &Account, needed: i64, below_zero: i64) -> Result<(), Refusal> {
    let left = account.available.checked_sub(needed);
    if left.is_some_and(|left| left >= -below_zero) {
        return Ok(());
    }
    Err(Refusal::InsufficientFunds { available: account.available, needed })
}

pub(super) fn create(book: &mut Book, owner: Owner, currency: Currency) -> Account {
    book.head.last_account_id += 1;
    let account = Account::new(book.head.last_account_id, owner, currency, book.head.last_time_us);
    book.put_account(account.clone());
    account
}

/// Moves the other side of a transfer, opening the counter-account at first use.
pub(super) fn move_counter(
    book: &mut Book,
    name: &Arc<str>,
    currency: Currency,
    amount: i64,
) -> Result<Side, Refusal> {
    let mut counter = match book.counter(name, currency) {
        Some(counter) => counter.clone(),
        None => create(book, Owner::Counter(name.clone()), currency),
    };
    counter.available = counter.available.checked_add(amount).ok_or(Refusal::BalanceOverflow)?;
    counter.updated_at = book.head.last_time_us;
    let side = Side::Counter(counter.id, name.clone());
    book.put_moved(counter);
    Ok(side)
}

/// An entry before it has a place in the history.
pub(super) struct Line {
    pub(super) transfer_id: i64,
    pub(super) key: Option<(Arc<str>, Digest)>,
    pub(super) kind: Kind,
    pub(super) facts: Facts,
    pub(super) side: Side,
    pub(super) available: i64,
    pub(super) frozen: i64,
    pub(super) hold: Option<(i64, Arc<str>)>,
}

impl Line {
    /// The first entry of a command: it carries the key and names the transfer.
    pub(super) fn first(book: &Book, key: &Key, kind: Kind, facts: &Facts) -> Self {
        let key = Some((key.text.clone(), key.digest));
        let (transfer_id, facts) = (book.head.last_entry_id + 1, facts.clone());
        Self {
            transfer_id,
            key,
            kind,
            facts,
            side: Side::Within,
            available: 0,
            frozen: 0,
            hold: None,
        }
    }

    /// A further entry of the same command.
    pub(super) fn next(first: &Entry, kind: Kind, facts: &Facts) -> Self {
        let (transfer_id, facts) = (first.transfer_id, facts.clone());
        Self {
            transfer_id,
            key: None,
            kind,
            facts,
            side: Side::Within,
            available: 0,
            frozen: 0,
            hold: None,
        }
    }
}

/// Appends a line to an account's history and moves its balances and totals.
pub(super) fn append(
    book: &mut Book,
    mut account: Account,
    line: Line,
) -> Result<Arc<Entry>, Refusal> {
    let now_us = book.head.last_time_us;
    account.carry(line.kind, line.available, line.frozen, now_us)?;
    account.last_seq += 1;
    account.updated_at = now_us;
    book.head.last_entry_id += 1;
    let mut entry = Entry {
        id: book.head.last_entry_id,
        transfer_id: line.transfer_id,
        account_id: account.id,
        user_id: account.user_id(),
        currency: account.currency,
        seq: account.last_seq,
        key: line.key,
        kind: line.kind,
        available_delta: line.available,
        frozen_delta: line.frozen,
        available_after: account.available,
        frozen_after: account.frozen,
        income_total: account.income_total,
        withdrawn_total: account.withdrawn_total,
        last_income_at: account.last_income_at,
        overdraft_limit: account.overdraft_limit,
        side: line.side,
        hold: line.hold,
        facts: line.facts,
        created_at: now_us,
        hash: [0; 32],
    };
    entry.hash = entry.hash_after(&account.last_hash);
    account.last_hash = entry.hash;
    book.head.hash = digest(&[&book.head.hash, &entry.hash]);
    let entry = Arc::new(entry);
    book.changes.entries.push(entry.clone());
    book.put_moved(account);
    Ok(entry)
}
