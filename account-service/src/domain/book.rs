//! The part of the ledger that is in memory while a batch is computed: accounts, holds, known keys,
//! the head, and what has changed since the batch began.
//!
//! A command that is refused half-way is undone here, so that it never spoils its neighbours.
//! Must not know: rules about money (`apply`), how it is loaded and written (`store`).

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap;

use super::account::{Account, Currency, Owner};
use super::command::{Key, Which};
use super::entry::{Digest, Entries, Entry, Hash, Side};
use super::hold::{Hold, HoldState};

/// The ledger's one counter row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// Grows with every batch that is written; guards against other writers.
    pub version: i64,
    /// Id of the newest entry.
    pub last_entry_id: i64,
    /// Id of the newest account.
    pub last_account_id: i64,
    /// Id of the newest hold.
    pub last_hold_id: i64,
    /// Time of the newest batch; the ledger's time never goes back.
    pub last_time_us: i64,
    /// Over the hashes of all entries, in the order of their ids.
    pub hash: Hash,
}

/// What is stored under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Of the request.
    pub digest: Digest,
    /// The entries the command appended.
    pub entries: Entries,
    /// The hold the command placed or ended, as it was right after.
    pub hold: Option<Arc<Hold>>,
    /// The account as it was answered, for an operator's adjustment.
    pub account: Option<Box<Account>>,
}

/// An answer to be stored that leaves no entry of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its key.
    pub key: Key,
    /// The account as answered.
    pub account: Account,
}

/// What a batch wants written.
#[derive(Debug, Default)]
pub struct Changes {
    /// New entries, by id.
    pub entries: Vec<Arc<Entry>>,
    /// Accounts to insert.
    pub new_accounts: BTreeSet<i64>,
    /// Accounts whose row is to be updated: operators set something.
    pub accounts: BTreeSet<i64>,
    /// Holds to insert or update, by key.
    pub holds: BTreeSet<Arc<str>>,
    /// Answers to store.
    pub receipts: Vec<Receipt>,
}

impl Changes {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.new_accounts.is_empty()
            && self.accounts.is_empty()
            && self.receipts.is_empty()
    }
}

/// See the module. `None` under a name or key means: looked up, and not there.
#[derive(Debug, Default)]
pub struct Book {
    /// The head as it was loaded, moved on by what this batch appends.
    pub head: Head,
    /// What this batch wants written.
    pub changes: Changes,
    accounts: HashMap<i64, Account>,
    people: HashMap<(i64, Currency), Option<i64>>,
    counters: HashMap<Currency, HashMap<Arc<str>, Option<i64>>>,
    holds: HashMap<Arc<str>, Option<Hold>>,
    known: HashMap<Arc<str>, Recorded>,
    passing: Passing,
    undo: Undo,
}

/// What was looked up for this batch alone. Kept by name, so that a batch costs what it touches and
/// not what is remembered.
#[derive(Debug, Default)]
struct Passing {
    owners: Vec<(Owner, Currency)>,
    holds: Vec<Arc<str>>,
}

#[derive(Debug, Default)]
struct Undo {
    head: Head,
    entries: usize,
    receipts: usize,
    accounts: Vec<(i64, Option<Account>)>,
    holds: Vec<(Arc<str>, Option<Hold>)>,
    known: Vec<Arc<str>>,
}

impl Book {
    /// Forgets everything but the head: another writer was there.
    pub fn forget(&mut self, head: Head) {
        *self = Self { head, ..Self::default() };
    }

    /// Begins a batch: nothing has changed yet, no key is known.
    pub fn begin_batch(&mut self) {
        self.changes = Changes::default();
        self.known.clear();
    }

    /// Ends a batch; `written` when it reached the database. What need not be remembered is dropped:
    /// at most `bound` accounts and as many open holds are kept.
    pub fn end_batch(&mut self, bound: usize, written: bool) {
        self.head.version += i64::from(written);
        for (owner, currency) in std::mem::take(&mut self.passing.owners) {
            if self.owned(&owner, currency).is_none() {
                self.disown(&owner, currency);
            }
        }
        let touched = self.passing.holds.drain(..).chain(std::mem::take(&mut self.changes.holds));
        for key in touched {
            let hold = self.holds.get(&key).and_then(Option::as_ref);
            if hold.is_none_or(|hold| hold.state != HoldState::Open) {
                self.holds.remove(&key);
            }
        }
        if self.holds.len() > bound {
            self.holds.clear();
        }
        if self.accounts.len() > bound {
            self.accounts.clear();
            self.people.clear();
            self.counters.clear();
        }
        self.begin_batch();
    }

    /// Takes a loaded account.
    pub fn load_account(&mut self, account: Account) {
        self.own(&account.owner, account.currency, Some(account.id));
        self.accounts.insert(account.id, account);
    }

    /// Notes that an owner has no account, if none was found.
    pub fn load_absent(&mut self, owner: &Owner, currency: Currency) {
        if self.has_owner(owner, currency) {
            return;
        }
        self.passing.owners.push((owner.clone(), currency));
        self.own(owner, currency, None);
    }

    fn disown(&mut self, owner: &Owner, currency: Currency) {
        match owner {
            Owner::Person(id) => drop(self.people.remove(&(*id, currency))),
            Owner::Counter(name) => {
                if let Some(names) = self.counters.get_mut(&currency) {
                    names.remove(name);
                }
            }
        }
    }

    fn own(&mut self, owner: &Owner, currency: Currency, account_id: Option<i64>) {
        match owner {
            Owner::Person(id) => drop(self.people.insert((*id, currency), account_id)),
            Owner::Counter(name) => {
                self.counters.entry(currency).or_default().insert(name.clone(), account_id);
            }
        }
    }

    /// Takes a loaded hold, or notes that there is none.
    pub fn load_hold(&mut self, key: Arc<str>, hold: Option<Hold>) {
        self.passing.holds.push(key.clone());
        self.holds.insert(key, hold);
    }

    /// Takes what is stored under a key.
    pub fn load_known(&mut self, key: Arc<str>, recorded: Recorded) {
        self.known.insert(key, recorded);
    }

    /// Whether the owner was looked up already.
    #[must_use]
    pub fn has_owner(&self, owner: &Owner, currency: Currency) -> bool {
        match owner {
            Owner::Person(id) => self.people.contains_key(&(*id, currency)),
            Owner::Counter(name) => self.has_counter(name, currency),
        }
    }

    /// Whether the counter-account was looked up already.
    #[must_use]
    pub fn has_counter(&self, name: &str, currency: Currency) -> bool {
        self.counters.get(&currency).is_some_and(|names| names.contains_key(name))
    }

    /// Whether the hold was looked up already.
    #[must_use]
    pub fn has_hold(&self, key: &str) -> bool {
        self.holds.contains_key(key)
    }

    /// An account by id.
    #[must_use]
    pub fn account(&self, id: i64) -> Option<&Account> {
        self.accounts.get(&id)
    }

    /// An account by owner.
    #[must_use]
    pub fn owned(&self, owner: &Owner, currency: Currency) -> Option<&Account> {
        match owner {
            Owner::Person(id) => self.accounts.get(&self.people.get(&(*id, currency)).copied()??),
            Owner::Counter(name) => self.counter(name, currency),
        }
    }

    /// What an account is counted in, if it is there.
    #[must_use]
    pub fn currency_of(&self, which: &Which) -> Option<Currency> {
        match which {
            Which::Id(id) => self.accounts.get(id).map(|account| account.currency),
            // Not only that there is one: before a batch is computed all its accounts are fetched into the processor's cache
            // so, while nothing waits for them one by one.
            Which::Person(person, currency) => {
                self.owned(&Owner::Person(*person), *currency).map(|account| account.currency)
            }
        }
    }

    /// A counter-account by name.
    #[must_use]
    pub fn counter(&self, name: &str, currency: Currency) -> Option<&Account> {
        self.accounts.get(&self.counters.get(&currency)?.get(name).copied()??)
    }

    /// A hold by key.
    #[must_use]
    pub fn hold(&self, key: &str) -> Option<&Hold> {
        self.holds.get(key)?.as_ref()
    }

    /// What is stored under a key.
    #[must_use]
    pub fn known(&self, key: &str) -> Option<&Recorded> {
        self.known.get(key)
    }

    /// For each new entry the balance it leaves of its counter-account, if it is the last of the batch against it.
    /// Nothing when such an account is not here, which would be a defect: a batch that kept silent about it would be wrong.
    #[must_use]
    pub fn counters_after(&self) -> Option<Vec<Option<i64>>> {
        let mut told = BTreeSet::new();
        let mut after = vec![None; self.changes.entries.len()];
        for (entry, after) in self.changes.entries.iter().zip(&mut after).rev() {
            if let Side::Counter(id, _) = entry.side
                && told.insert(id)
            {
                *after = Some(self.account(id)?.available);
            }
        }
        Some(after)
    }

    /// Begins a command, which may be undone.
    pub fn begin_command(&mut self) {
        let undo = &mut self.undo;
        undo.head = self.head;
        undo.entries = self.changes.entries.len();
        undo.receipts = self.changes.receipts.len();
        undo.accounts.clear();
        undo.holds.clear();
        undo.known.clear();
    }

    /// Undoes everything since [`Self::begin_command`].
    pub fn undo_command(&mut self) {
        let undo = std::mem::take(&mut self.undo);
        self.head = undo.head;
        self.changes.entries.truncate(undo.entries);
        self.changes.receipts.truncate(undo.receipts);
        // Backwards, so that the oldest state is the one that stays.
        for (id, before) in undo.accounts.into_iter().rev() {
            match before {
                Some(account) => {
                    self.accounts.insert(id, account);
                }
                None => {
                    if let Some(gone) = self.accounts.remove(&id) {
                        self.own(&gone.owner, gone.currency, None);
                        self.passing.owners.push((gone.owner, gone.currency));
                    }
                    self.changes.new_accounts.remove(&id);
                }
            }
        }
        for (key, before) in undo.holds.into_iter().rev() {
            if before.is_none() {
                self.changes.holds.remove(&key);
                self.passing.holds.push(key.clone());
            }
            self.holds.insert(key, before);
        }
        for key in undo.known {
            self.known.remove(&key);
        }
    }

    /// Stores what an entry left of an account, under undo. Its row stays as it is.
    pub fn put_moved(&mut self, account: Account) {
        let id = account.id;
        let before = self.accounts.insert(id, account);
        self.undo.accounts.push((id, before));
    }

    /// Stores a new account, or what its row says anew, under undo.
    pub fn put_account(&mut self, account: Account) {
        let id = account.id;
        if self.accounts.contains_key(&id) {
            if !self.changes.new_accounts.contains(&id) {
                self.changes.accounts.insert(id);
            }
        } else {
            self.own(&account.owner, account.currency, Some(id));
            self.changes.new_accounts.insert(id);
        }
        self.put_moved(account);
    }

    /// Stores a hold's new state, under undo.
    pub fn put_hold(&mut self, hold: Hold) {
        let before = self.holds.get(&hold.key).cloned().flatten();
        self.undo.holds.push((hold.key.clone(), before));
        self.changes.holds.insert(hold.key.clone());
        self.holds.insert(hold.key.clone(), Some(hold));
    }

    /// Remembers what a key did, so that the same key later in this batch finds it.
    pub fn put_known(&mut self, key: &Arc<str>, recorded: Recorded) {
        self.undo.known.push(key.clone());
        self.known.insert(key.clone(), recorded);
    }
}
