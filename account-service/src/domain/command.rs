//! What can be asked of the ledger, already parsed: nothing in here can be malformed.

use std::sync::Arc;

use cashout_common::kind::Kind;

use super::account::{Account, Currency};
use super::entry::{Digest, Entries};
use super::hold::Hold;
use super::refusal::Refusal;

/// Which account is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// By its own id.
    Id(i64),
    /// By person and currency.
    Person(i64, Currency),
}

/// What keys of our own begin with. Callers' keys are printable, so they cannot take one of these.
pub const OURS: char = '\u{1}';

/// A caller's key and the digest of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// 1 to 128 printable ASCII characters.
    pub text: Arc<str>,
    /// Of the whole request.
    pub digest: Digest,
}

/// What the caller knows of a movement; never interpreted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Each at most 255 characters, in proto order: note, order_no, goods_amount, order_time,
    /// received_time, original_amount, operator, reference, payment_code, payment_name.
    values: Option<Arc<[String; 10]>>,
}

impl Facts {
    /// Facts in proto order.
    #[must_use]
    pub fn new(values: [String; 10]) -> Self {
        let empty = values.iter().all(String::is_empty);
        Self { values: (!empty).then(|| Arc::new(values)) }
    }

    /// Only a note and who did it.
    #[must_use]
    pub fn by_operator(note: &str, operator: &str) -> Self {
        let mut values: [String; 10] = Default::default();
        note.clone_into(&mut values[0]);
        operator.clone_into(&mut values[6]);
        Self::new(values)
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_none()
    }

    /// All fields in proto order; none when empty.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.values.iter().flat_map(|v| v.iter().map(String::as_str))
    }
}

/// Where the money of a transfer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Movement {
    /// From a counter-account into an account; frozen until a time, when that is not 0.
    Credit {
        /// The payee.
        account: Which,
        /// The counter-account's name.
        counter: Arc<str>,
        /// UTC microseconds; 0 = available at once.
        frozen_until: i64,
    },
    /// Out of an account to a counter-account.
    Debit {
        /// The payer.
        account: Which,
        /// The counter-account's name.
        counter: Arc<str>,
    },
    /// Between two customers.
    Between {
        /// The payer.
        from: Which,
        /// The payee.
        to: Which,
    },
}

/// One movement of money under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The caller's key.
    pub key: Key,
    /// Minor units, 1 to 2^53-1.
    pub amount: i64,
    /// What happened.
    pub kind: Kind,
    /// Where the money goes.
    pub movement: Movement,
    /// What the caller knows of it.
    pub facts: Facts,
}

/// One amount that leaves a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Minor units, more than 0.
    pub amount: i64,
    /// Where it goes.
    pub counter: Arc<str>,
    /// What the entry says.
    pub kind: Kind,
    /// What its entry tells instead of the settlement's facts; empty takes those.
    pub facts: Facts,
}

/// Everything that can be asked of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The fields mean what the types and proto/account.proto say.
pub enum Command {
    /// Open a person's account, once.
    Open { person: i64, currency: Currency },
    /// Move money.
    Post(Transfer),
    /// Move money many times, all or nothing.
    PostAll(Vec<Transfer>),
    /// An operator adds or takes money and sets the lock.
    Adjust { key: Key, account: Which, amount: i64, locked: Option<bool>, facts: Facts },
    /// Set a part of available aside.
    Place { key: Key, account: Which, amount: i64, kind: Kind, release_at: i64, facts: Facts },
    /// End a hold: parts leave, the rest returns.
    Settle { key: Key, hold: Arc<str>, parts: Vec<Part>, facts: Facts },
    /// End a hold: all of it returns.
    Release { key: Key, hold: Arc<str>, kind: Option<Kind>, facts: Facts },
    /// A hold must not stand and never will: release it, or use its key up. `key` is for the release.
    Abandon { key: Key, hold: Key, account: Which, facts: Facts },
    /// Lock or unlock.
    SetLock { account: Which, locked: bool },
    /// Set the overdraft limit.
    SetOverdraft { account: Which, limit: i64 },
}

/// What a keyed movement did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The entries it appended, payer's first.
    pub entries: Entries,
    /// The hold it placed or ended, as it was right after.
    pub hold: Option<Arc<Hold>>,
    /// True when this is the stored answer of an earlier request.
    pub replayed: bool,
}

/// What a command did.
///
/// Answers of a whole batch are kept and moved about together, so what few of them have is boxed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The account after it; whether it is new, or an answer repeated.
    Account {
        /// As it is now, or as it was answered then.
        account: Box<Account>,
        /// Opened by this command.
        created: bool,
        /// The stored answer of an earlier request.
        replayed: bool,
    },
    /// Entries and a hold.
    Posted(Posted),
    /// One result per item of an all-or-nothing batch; either all are posted or none.
    All(Vec<Result<Posted, Refusal>>),
}

impl Command {
    /// The transfers in it.
    #[must_use]
    pub fn transfers(&self) -> &[Transfer] {
        match self {
            Self::Post(transfer) => std::slice::from_ref(transfer),
            Self::PostAll(transfers) => transfers,
            _ => &[],
        }
    }

    /// How many movements it is, at least one: what it takes to compute and to write grows with them.
    #[must_use]
    pub fn movements(&self) -> usize {
        self.transfers().len().max(1)
    }

    /// The accounts it names, customers' only.
    pub fn accounts(&self) -> impl Iterator<Item = Which> {
        let own = match self {
            Self::Open { person, currency } => Some(Which::Person(*person, *currency)),
            Self::Adjust { account, .. }
            | Self::Place { account, .. }
            | Self::Abandon { account, .. }
            | Self::SetLock { account, .. }
            | Self::SetOverdraft { account, .. } => Some(*account),
            Self::Post(_) | Self::PostAll(_) | Self::Settle { .. } | Self::Release { .. } => None,
        };
        let moved = self.transfers().iter().flat_map(|t| match &t.movement {
            Movement::Credit { account, .. } | Movement::Debit { account, .. } => {
                [Some(*account), None]
            }
            Movement::Between { from, to } => [Some(*from), Some(*to)],
        });
        own.into_iter().chain(moved.flatten())
    }

    /// The counter-accounts it names.
    pub fn counters(&self) -> impl Iterator<Item = &str> {
        let parts = match self {
            Self::Settle { parts, .. } => parts.as_slice(),
            _ => &[],
        };
        let adjust = matches!(self, Self::Adjust { .. }).then(|| Kind::Adjustment.row().counter);
        let moved = self.transfers().iter().filter_map(|t| match &t.movement {
            Movement::Credit { counter, .. } | Movement::Debit { counter, .. } => Some(&**counter),
            Movement::Between { .. } => None,
        });
        moved.chain(parts.iter().map(|p| &*p.counter)).chain(adjust)
    }

    /// The holds it ends.
    #[must_use]
    pub fn hold(&self) -> Option<&Arc<str>> {
        match self {
            Self::Settle { hold, .. } | Self::Release { hold, .. } => Some(hold),
            Self::Abandon { hold, .. } => Some(&hold.text),
            _ => None,
        }
    }

    /// The keys it carries.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        let own = match self {
            Self::Adjust { key, .. }
            | Self::Place { key, .. }
            | Self::Settle { key, .. }
            | Self::Release { key, .. }
            | Self::Abandon { key, .. } => Some(key),
            _ => None,
        };
        let unplaced = if let Self::Abandon { hold, .. } = self { Some(hold) } else { None };
        own.into_iter().chain(unplaced).chain(self.transfers().iter().map(|t| &t.key))
    }
}
