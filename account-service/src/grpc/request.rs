//! Requests that move money, as commands. Their digest covers the whole request, so that a key cannot
//! come back with another one.

use cashout_common::kind::Kind;
use cashout_common::money::MAX_MINOR;
use cashout_common::number::digest;
use cashout_proto::Failure;
use cashout_proto::account::v1 as pb;
use prost::Message;

use super::parse::Fields;
use crate::domain::command::{Key, OURS, Part};
use crate::domain::{Command, Facts, Movement, Transfer};

/// The key of a request. The digest is of the method's name and the whole message. Facts of holds are
/// left out by the callers below: they are for show, and a repetition after an upgrade may word them
/// differently.
fn key(fields: &mut Fields, text: &str, method: &str, message: &impl Message) -> Key {
    let whole = digest(&[method.as_bytes(), &message.encode_to_vec()]);
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    Key { text: fields.key("key", text), digest: half }
}

/// A transfer; `prefix` names it inside a batch.
pub(super) fn transfer(
    request: &pb::PostTransferRequest,
    prefix: String,
) -> Result<Transfer, Failure> {
    use pb::post_transfer_request::Movement as Wire;
    let mut f = Fields::inside(prefix);
    let kind = f.kind("kind", request.kind);
    let movement = match &request.movement {
        Some(Wire::Credit(credit)) => Some(Movement::Credit {
            account: f.account("credit.account", credit.account.as_ref()),
            counter: f.counter("credit.counter_account", &credit.counter_account, kind),
            frozen_until: f.time("credit.frozen_until_us", credit.frozen_until_us),
        }),
        Some(Wire::Debit(debit)) => Some(Movement::Debit {
            account: f.account("debit.account", debit.account.as_ref()),
            counter: f.counter("debit.counter_account", &debit.counter_account, kind),
        }),
        Some(Wire::Between(between)) => Some(Movement::Between {
            from: f.account("between.from", between.from.as_ref()),
            to: f.account("between.to", between.to.as_ref()),
        }),
        None => {
            f.broken("movement", "must be credit, debit or between");
            None
        }
    };
    let key = key(&mut f, &request.key, "transfer", request);
    let amount = f.amount("amount_minor", request.amount_minor);
    let facts = f.facts(request.facts.as_deref());
    let made = movement.map(|movement| Transfer { key, amount, kind, movement, facts });
    // No movement is a broken rule already, so this cannot be reached without one.
    f.finish(made)?.ok_or_else(|| Failure::field("movement", "must be given"))
}

/// An operator's adjustment.
pub(super) fn adjust(
    request: &pb::AdjustAccountRequest,
    operator: &str,
) -> Result<Command, Failure> {
    let mut f = Fields::default();
    let key = key(&mut f, &request.key, "adjust", request);
    let account = f.account("account", request.account.as_ref());
    let amount = f.range("amount_minor", request.amount_minor, -MAX_MINOR, MAX_MINOR);
    let note = f.free("note", &request.note, 255);
    if amount == 0 && request.locked.is_none() {
        f.broken("amount_minor", "must not be 0 when locked is not given either");
    }
    let facts = Facts::by_operator(&note, operator);
    f.finish(Command::Adjust { key, account, amount, locked: request.locked, facts })
}

/// A hold to be placed.
pub(super) fn place(request: &pb::PlaceHoldRequest) -> Result<Command, Failure> {
    let mut f = Fields::default();
    let bare = pb::PlaceHoldRequest { facts: None, ..request.clone() };
    let key = key(&mut f, &request.key, "place", &bare);
    let account = f.account("account", request.account.as_ref());
    let amount = f.amount("amount_minor", request.amount_minor);
    let kind = f.kind("kind", request.kind);
    let release_at = f.time("release_at_us", request.release_at_us);
    let facts = f.facts(request.facts.as_deref());
    f.finish(Command::Place { key, account, amount, kind, release_at, facts })
}

/// A hold to be settled.
pub(super) fn settle(request: &pb::SettleHoldRequest) -> Result<Command, Failure> {
    let mut f = Fields::default();
    let mut bare = pb::SettleHoldRequest { facts: None, ..request.clone() };
    bare.parts.iter_mut().for_each(|part| part.facts = None);
    let key = key(&mut f, &request.key, "settle", &bare);
    let hold = f.key("hold_key", &request.hold_key);
    if !(1..=8).contains(&request.parts.len()) {
        f.broken("parts", "must be 1 to 8");
    }
    let mut parts = Vec::with_capacity(request.parts.len().min(8));
    for (i, part) in request.parts.iter().take(8).enumerate() {
        let kind = f.kind(format_args!("parts[{i}].kind"), part.kind);
        let amount = f.amount(format_args!("parts[{i}].amount_minor"), part.amount_minor);
        let counter =
            f.counter(format_args!("parts[{i}].counter_account"), &part.counter_account, kind);
        let facts = f.facts(part.facts.as_deref());
        parts.push(Part { amount, counter, kind, facts });
    }
    let facts = f.facts(request.facts.as_deref());
    f.finish(Command::Settle { key, hold, parts, facts })
}

/// A hold to be released.
pub(super) fn release(request: &pb::ReleaseHoldRequest) -> Result<Command, Failure> {
    let mut f = Fields::default();
    let bare = pb::ReleaseHoldRequest { facts: None, ..request.clone() };
    let key = key(&mut f, &request.key, "release", &bare);
    let hold = f.key("hold_key", &request.hold_key);
    let kind: Option<Kind> = (request.kind != 0).then(|| f.kind("kind", request.kind));
    let facts = f.facts(request.facts.as_deref());
    f.finish(Command::Release { key, hold, kind, facts })
}

/// A hold to be abandoned. The digest leaves the facts out: giving up twice is the same.
pub(super) fn abandon(request: &pb::AbandonHoldRequest) -> Result<Command, Failure> {
    let mut f = Fields::default();
    let account = f.account("account", request.account.as_ref());
    let text = f.key("hold_key", &request.hold_key);
    let facts = f.facts(request.facts.as_deref());
    let whole = digest(&[b"abandon", text.as_bytes()]);
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    let key = Key { text: format!("{OURS}abandon:{text}").into(), digest: half };
    f.finish(Command::Abandon { key, hold: Key { text, digest: half }, account, facts })
}
