//! Rows as they are stored, and what they mean. The only place that knows both.

use std::sync::Arc;

use cashout_common::kind::Kind;
use sqlx::FromRow;

use crate::domain::{Account, Currency, Entry, Facts, Hold, HoldState, Owner, Side};

/// Columns of an account, from the view `account_now`.
macro_rules! account_columns {
    () => {
        "a.id, a.user_id, a.counter, a.currency, a.available, a.frozen, a.overdraft_limit, \
         a.locked_at, a.income_total, a.spend_total, a.withdrawn_total, \
         a.last_income_at, a.last_seq, a.last_hash, a.created_at, a.updated_at"
    };
}
pub(crate) use account_columns;

/// Entries from a source of rows like `entry`'s, with the names that their ids stand for.
macro_rules! entries_of {
    ($source:literal) => {
        concat!(
            "SELECT e.id, e.transfer_id, e.account_id, e.seq, e.key, e.digest, e.kind, \
             e.available_delta, e.frozen_delta, e.available_after, e.frozen_after, e.income_total, \
             e.withdrawn_total, e.last_income_at, e.overdraft_limit, e.counter_id, \
             e.hold_id, e.facts, e.created_at, e.hash, a.user_id, a.currency, \
             c.counter AS counter_name, c.user_id AS counter_user_id, h.key AS hold_key \
             FROM ",
            $source,
            " e JOIN account a ON a.id = e.account_id \
             LEFT JOIN account c ON c.id = e.counter_id LEFT JOIN hold h ON h.id = e.hold_id "
        )
    };
}
pub(crate) use entries_of;

/// The same from the whole table; conditions follow.
macro_rules! entry_select {
    () => {
        $crate::store::rows::entries_of!("entry")
    };
}
pub(crate) use entry_select;

/// Columns of a hold.
macro_rules! hold_columns {
    () => {
        "h.id, h.key, h.account_id, h.amount, h.kind, h.state, h.settled, h.released, \
         h.release_at, h.created_at, h.ended_at"
    };
}
pub(crate) use hold_columns;

#[derive(Debug, FromRow)]
pub(super) struct AccountRow {
    pub(super) id: i64,
    user_id: Option<i64>,
    counter: Option<String>,
    currency: String,
    available: i64,
    frozen: i64,
    overdraft_limit: i64,
    locked_at: i64,
    income_total: i64,
    spend_total: i64,
    withdrawn_total: i64,
    last_income_at: i64,
    last_seq: i64,
    last_hash: Vec<u8>,
    created_at: i64,
    updated_at: i64,
}

impl From<AccountRow> for Account {
    fn from(row: AccountRow) -> Self {
        let owner = match (row.user_id, row.counter) {
            (Some(id), _) => Owner::Person(id),
            (None, name) => Owner::Counter(Arc::from(name.unwrap_or_default())),
        };
        Account {
            id: row.id,
            owner,
            currency: Currency::parse(&row.currency).unwrap_or(Currency::CNY),
            available: row.available,
            frozen: row.frozen,
            overdraft_limit: row.overdraft_limit,
            locked_at: row.locked_at,
            income_total: row.income_total,
            spend_total: row.spend_total,
            withdrawn_total: row.withdrawn_total,
            last_income_at: row.last_income_at,
            last_seq: row.last_seq,
            last_hash: row.last_hash.try_into().unwrap_or_default(),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

#[derive(Debug, FromRow)]
pub(super) struct EntryRow {
    pub(super) id: i64,
    transfer_id: i64,
    account_id: i64,
    seq: i64,
    key: Option<String>,
    digest: Option<Vec<u8>>,
    kind: i64,
    available_delta: i64,
    frozen_delta: i64,
    available_after: i64,
    frozen_after: i64,
    income_total: i64,
    withdrawn_total: i64,
    last_income_at: i64,
    overdraft_limit: Option<i64>,
    counter_id: Option<i64>,
    hold_id: Option<i64>,
    facts: Option<String>,
    created_at: i64,
    hash: Vec<u8>,
    user_id: Option<i64>,
    currency: String,
    counter_name: Option<String>,
    counter_user_id: Option<i64>,
    hold_key: Option<String>,
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        let side = match (row.counter_id, row.counter_name, row.counter_user_id) {
            (Some(id), Some(name), _) => Side::Counter(id, Arc::from(name)),
            (Some(id), None, user) => Side::Person(id, user.unwrap_or_default()),
            (None, ..) => Side::Within,
        };
        let key = row.key.zip(row.digest);
        Entry {
            id: row.id,
            transfer_id: row.transfer_id,
            account_id: row.account_id,
            user_id: row.user_id.unwrap_or_default(),
            currency: Currency::parse(&row.currency).unwrap_or(Currency::CNY),
            seq: row.seq,
            key: key.map(|(key, digest)| (Arc::from(key), digest.try_into().unwrap_or_default())),
            kind: kind_of(row.kind),
            available_delta: row.available_delta,
            frozen_delta: row.frozen_delta,
            available_after: row.available_after,
            frozen_after: row.frozen_after,
            income_total: row.income_total,
            withdrawn_total: row.withdrawn_total,
            last_income_at: row.last_income_at,
            overdraft_limit: row.overdraft_limit.unwrap_or_default(),
            side,
            hold: row.hold_id.zip(row.hold_key).map(|(id, key)| (id, Arc::from(key))),
            facts: row.facts.as_deref().map(facts_of).unwrap_or_default(),
            created_at: row.created_at,
            hash: row.hash.try_into().unwrap_or_default(),
        }
    }
}

#[derive(Debug, FromRow)]
pub(super) struct HoldRow {
    id: i64,
    key: String,
    account_id: i64,
    amount: i64,
    kind: i64,
    state: i64,
    settled: i64,
    released: i64,
    release_at: i64,
    created_at: i64,
    ended_at: i64,
}

impl From<HoldRow> for Hold {
    fn from(row: HoldRow) -> Self {
        Hold {
            id: row.id,
            key: Arc::from(row.key),
            account_id: row.account_id,
            amount: row.amount,
            kind: kind_of(row.kind),
            state: hold_state(row.state),
            settled: row.settled,
            released: row.released,
            release_at: row.release_at,
            created_at: row.created_at,
            ended_at: row.ended_at,
        }
    }
}

/// How a stored hold stands.
pub(super) fn hold_state(number: i64) -> HoldState {
    match number {
        2 => HoldState::Settled,
        3 => HoldState::Released,
        _ => HoldState::Open,
    }
}

/// How a hold's state is stored.
pub(super) fn state_number(state: HoldState) -> i64 {
    match state {
        HoldState::Open => 1,
        HoldState::Settled => 2,
        HoldState::Released => 3,
    }
}

/// How facts are stored: nothing, or a JSON list in proto order.
pub(super) fn facts_text(facts: &Facts) -> Option<String> {
    (!facts.is_empty()).then(|| super::json_list(&facts.fields().collect::<Vec<_>>()))
}

fn facts_of(text: &str) -> Facts {
    serde_json::from_str(text).map(Facts::new).unwrap_or_default()
}

/// Numbers that are not in the table cannot be stored; a tampered row shows as an adjustment, and
/// `verify` finds it by its hash, unless it was an adjustment before.
fn kind_of(number: i64) -> Kind {
    i32::try_from(number).ok().and_then(Kind::from_number).unwrap_or(Kind::Adjustment)
}
