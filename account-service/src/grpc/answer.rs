//! Domain values as wire types, and refusals as failures of the one table.

use cashout_proto::account::v1 as pb;
use cashout_proto::{Failure, Reason};

use crate::domain::{Account, Currency, Entry, Facts, Hold, HoldState, Posted, Refusal, Side};

/// A refusal, with the facts a caller may act on. Balances are the caller's own business: services
/// show them to their owner only.
pub(super) fn refusal(refusal: &Refusal) -> Failure {
    let reason = match refusal {
        Refusal::AccountNotFound => Reason::AccountNotFound,
        Refusal::HoldNotFound => Reason::HoldNotFound,
        Refusal::InsufficientFunds { .. } => Reason::InsufficientFunds,
        Refusal::AccountLocked => Reason::AccountLocked,
        Refusal::BalanceOverflow => Reason::BalanceOverflow,
        Refusal::KindMismatch => Reason::KindMismatch,
        Refusal::CurrencyMismatch => Reason::CurrencyMismatch,
        Refusal::SameAccount => {
            return Failure::field("between.to", "must be another account than between.from");
        }
        Refusal::IdempotencyConflict => Reason::IdempotencyConflict,
        Refusal::HoldAlreadySettled => Reason::HoldAlreadySettled,
        Refusal::HoldAlreadyReleased => Reason::HoldAlreadyReleased,
        Refusal::HoldAmountExceeded { .. } => Reason::HoldAmountExceeded,
        Refusal::OverdraftInUse => Reason::OverdraftInUse,
        Refusal::BatchAborted => Reason::BatchAborted,
    };
    let failure = Failure::new(reason, refusal.to_string());
    match refusal {
        Refusal::InsufficientFunds { available, needed } => {
            failure.with("available_minor", available).with("needed_minor", needed)
        }
        Refusal::HoldAmountExceeded { held } => failure.with("held_minor", held),
        _ => failure,
    }
}

/// A refusal inside a batch.
pub(super) fn batch_refusal(failure: Failure) -> pb::Refusal {
    pb::Refusal {
        reason: failure.reason.row().name.to_owned(),
        message: failure.message,
        metadata: failure.metadata,
    }
}

pub(super) fn account(a: &Account) -> pb::Account {
    pb::Account {
        id: a.id,
        user_id: a.user_id(),
        currency: a.currency.code().to_owned(),
        available_minor: a.available,
        frozen_minor: a.frozen,
        overdraft_limit_minor: a.overdraft_limit,
        locked: a.locked_at != 0,
        locked_at_us: a.locked_at,
        income_total_minor: a.income_total,
        spend_total_minor: a.spend_total,
        withdrawn_total_minor: a.withdrawn_total,
        last_income_at_us: a.last_income_at,
        last_seq: a.last_seq,
        created_at_us: a.created_at,
        updated_at_us: a.updated_at,
    }
}

pub(super) fn entry(e: &Entry) -> pb::Entry {
    let (counter_account, counter_user_id) = match &e.side {
        Side::Within => (String::new(), 0),
        Side::Counter(_, name) => (name.to_string(), 0),
        Side::Person(_, user) => (String::new(), *user),
    };
    pb::Entry {
        id: e.id,
        transfer_id: e.transfer_id,
        account_id: e.account_id,
        user_id: e.user_id,
        seq: e.seq,
        kind: i32::from(e.kind.row().number),
        available_delta_minor: e.available_delta,
        frozen_delta_minor: e.frozen_delta,
        available_after_minor: e.available_after,
        frozen_after_minor: e.frozen_after,
        counter_account,
        counter_user_id,
        hold_key: e.hold.as_ref().map(|(_, key)| key.to_string()).unwrap_or_default(),
        created_at_us: e.created_at,
        facts: (!e.facts.is_empty()).then(|| facts(&e.facts).into()),
        currency: e.currency.code().to_owned(),
    }
}

fn facts(f: &Facts) -> pb::Facts {
    let mut fields = f.fields().map(str::to_owned);
    let mut next = || fields.next().unwrap_or_default();
    pb::Facts {
        note: next(),
        order_no: next(),
        goods_amount: next(),
        order_time: next(),
        received_time: next(),
        original_amount: next(),
        operator: next(),
        reference: next(),
        payment_code: next(),
        payment_name: next(),
    }
}

/// A hold; person and currency are those of its account.
pub(super) fn hold(h: &Hold, user_id: i64, currency: Currency) -> pb::Hold {
    let state = match h.state {
        HoldState::Open => pb::HoldState::Open,
        HoldState::Settled => pb::HoldState::Settled,
        HoldState::Released => pb::HoldState::Released,
    };
    pb::Hold {
        id: h.id,
        key: h.key.to_string(),
        account_id: h.account_id,
        user_id,
        amount_minor: h.amount,
        kind: i32::from(h.kind.row().number),
        state: state.into(),
        settled_minor: h.settled,
        released_minor: h.released,
        release_at_us: h.release_at,
        created_at_us: h.created_at,
        ended_at_us: h.ended_at,
        currency: currency.code().to_owned(),
    }
}

pub(super) fn posted(p: &Posted) -> pb::PostTransferResponse {
    pb::PostTransferResponse {
        transfer_id: p.entries.first().map_or(0, |e| e.transfer_id),
        entries: p.entries.iter().map(|e| entry(e)).collect(),
        replayed: p.replayed,
    }
}

pub(super) fn held(p: &Posted) -> pb::HoldResponse {
    let first = p.entries.first();
    let (user, currency) = first.map_or((0, Currency::CNY), |e| (e.user_id, e.currency));
    pb::HoldResponse {
        hold: p.hold.as_ref().map(|h| hold(h, user, currency)),
        entries: p.entries.iter().map(|e| entry(e)).collect(),
        replayed: p.replayed,
    }
}
