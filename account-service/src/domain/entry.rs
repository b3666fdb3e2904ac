//! One line of an account's history, and the hash that links it to the one before.

use std::sync::Arc;

use cashout_common::kind::Kind;
use cashout_common::number::digest_of;
use smallvec::SmallVec;

use super::account::Currency;
use super::command::Facts;

/// SHA-256.
pub type Hash = [u8; 32];

/// The other side of a movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// Only between available and frozen.
    Within,
    /// A counter-account: its account id and name.
    Counter(i64, Arc<str>),
    /// Another customer: account id and user id.
    Person(i64, i64),
}

impl Side {
    /// The other account's id.
    #[must_use]
    pub fn account_id(&self) -> Option<i64> {
        match self {
            Self::Within => None,
            Self::Counter(id, _) | Self::Person(id, _) => Some(*id),
        }
    }
}

/// One line of an account's history. Never changed, never deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Position in the ledger: dense, in commit order.
    pub id: i64,
    /// Id of the command's first entry.
    pub transfer_id: i64,
    /// Whose history.
    pub account_id: i64,
    /// The account's person.
    pub user_id: i64,
    /// The account's currency.
    pub currency: Currency,
    /// Position in the account's history, from 1 without gaps.
    pub seq: i64,
    /// The caller's key and the digest of the request; on the first entry of a command only.
    pub key: Option<(Arc<str>, Digest)>,
    /// What happened.
    pub kind: Kind,
    /// Signed movement of available, minor units.
    pub available_delta: i64,
    /// Signed movement of frozen, minor units.
    pub frozen_delta: i64,
    /// Available after it.
    pub available_after: i64,
    /// Frozen after it.
    pub frozen_after: i64,
    /// Lifetime income after it. With it and `withdrawn_total` goes what was spent: the rest.
    pub income_total: i64,
    /// Lifetime cash-outs with their fees after it.
    pub withdrawn_total: i64,
    /// When income last reached available; 0 for never.
    pub last_income_at: i64,
    /// How far below zero available might go then.
    pub overdraft_limit: i64,
    /// The other side.
    pub side: Side,
    /// The hold that was placed or ended: id and key.
    pub hold: Option<(i64, Arc<str>)>,
    /// What the caller knows of it.
    pub facts: Facts,
    /// When, never before the entry before it.
    pub created_at: i64,
    /// Links to the account's previous entry.
    pub hash: Hash,
}

/// The entries of one command. Most have one or two, which are kept where they are told of: no memory is taken for a list.
pub type Entries = SmallVec<[Arc<Entry>; 2]>;

/// The first half of the SHA-256 of a request.
pub type Digest = [u8; 16];

impl Entry {
    /// The hash of this entry after one with `previous`. Covers every column of the row but
    /// what it tells of its counter-account, which `verify` adds up anew.
    #[must_use]
    pub fn hash_after(&self, previous: &Hash) -> Hash {
        let numbers = [
            self.id,
            self.transfer_id,
            self.account_id,
            self.seq,
            i64::from(self.kind.row().number),
            self.available_delta,
            self.frozen_delta,
            self.available_after,
            self.frozen_after,
            self.income_total,
            self.withdrawn_total,
            self.last_income_at,
            self.overdraft_limit,
            self.side.account_id().unwrap_or(0),
            self.hold.as_ref().map_or(0, |(id, _)| *id),
            self.created_at,
        ];
        let mut fixed = [0_u8; 128];
        for (slot, number) in fixed.chunks_exact_mut(8).zip(numbers) {
            slot.copy_from_slice(&number.to_be_bytes());
        }
        let (key, request): (&[u8], &[u8]) = match &self.key {
            Some((key, request)) => (key.as_bytes(), request),
            None => (&[], &[]),
        };
        let row = [previous, &fixed[..], key, request];
        digest_of(row.into_iter().chain(self.facts.fields().map(str::as_bytes)))
    }
}

#[cfg(test)]
mod tests {
    use cashout_common::number::hex;

    use super::*;

    /// What is stored was hashed by other versions of this code.
    #[test]
    fn an_entry_has_the_hash_it_always_had() {
        let bare = Entry {
            id: 1,
            transfer_id: 2,
            account_id: 3,
            user_id: 4,
            currency: Currency::CNY,
            seq: 5,
            key: None,
            kind: Kind::Task,
            available_delta: 6,
            frozen_delta: -7,
            available_after: 8,
            frozen_after: 9,
            income_total: 10,
            withdrawn_total: 11,
            last_income_at: 12,
            overdraft_limit: 13,
            side: Side::Within,
            hold: None,
            facts: Facts::default(),
            created_at: 14,
            hash: [0; 32],
        };
        let full = Entry {
            key: Some(("key".into(), [15; 16])),
            side: Side::Counter(16, "counter".into()),
            hold: Some((17, "hold".into())),
            facts: Facts::by_operator("note", "operator"),
            ..bare.clone()
        };
        for (entry, hash) in [
            (bare, "821c6bfe7aa6ebc35dadd7940cbd381e3127a3995d1eb45153318ed0d0f0bae6"),
            (full, "8887c31580ef1c5fc2eb7f35b9270af91e60a2a3ac54c28ec163919c1f76f21b"),
        ] {
            assert_eq!(hex(&entry.hash_after(&[18; 32])), hash, "{entry:?}");
        }
    }
}
