//! Requests as orders: checked, and with the digest by which a repetition is known.

use cashout_common::kind::Kind;
use cashout_common::money::MAX_MINOR;
use cashout_common::number::digest;
use cashout_common::text;
use cashout_proto::Failure;
use cashout_proto::account::v1 as pb;
use prost::Message;

/// A key and what it stands for.
pub struct Key {
    /// The caller's.
    pub text: String,
    /// Of the whole request.
    pub digest: [u8; 32],
}

/// One side of a movement.
pub struct Leg {
    /// Whose account.
    pub user: i64,
    /// Signed movement of available.
    pub delta: i64,
    /// The other side, when it is a counter-account.
    pub counter: String,
    /// The other side, when it is a person.
    pub counter_user: i64,
}

/// A transfer: one leg, or the payer's and the payee's.
pub struct Transfer {
    /// The caller's key.
    pub key: Key,
    /// What happened.
    pub kind: Kind,
    /// The payer's first.
    pub legs: Vec<Leg>,
}

/// A hold to be placed.
pub struct Place {
    /// The hold's key.
    pub key: Key,
    /// Whose account.
    pub user: i64,
    /// Minor units.
    pub amount: i64,
    /// What the entry says.
    pub kind: Kind,
}

/// A hold to be settled, or without parts to be released.
pub struct End {
    /// The key of the end.
    pub key: Key,
    /// The hold's key.
    pub hold: String,
    /// Amount, counter-account and kind of each part that leaves.
    pub parts: Vec<(i64, String, Kind)>,
    /// What the entry of the rest says.
    pub back: Kind,
}

/// Reads a transfer.
pub fn transfer(request: &pb::PostTransferRequest) -> Result<Transfer, Failure> {
    use pb::post_transfer_request::Movement;
    let kind = kind(request.kind)?;
    let amount = amount(request.amount_minor)?;
    let one = |account, delta, counter: &str| -> Result<Vec<Leg>, Failure> {
        let user = person("account", account)?;
        Ok(vec![Leg { user, delta, counter: named(counter, kind), counter_user: 0 }])
    };
    let legs = match &request.movement {
        Some(Movement::Credit(credit)) => {
            one(credit.account.as_ref(), amount, &credit.counter_account)?
        }
        Some(Movement::Debit(debit)) => {
            one(debit.account.as_ref(), -amount, &debit.counter_account)?
        }
        Some(Movement::Between(between)) => {
            let from = person("between.from", between.from.as_ref())?;
            let to = person("between.to", between.to.as_ref())?;
            if from == to {
                return Err(Failure::field("between.to", "must be another account"));
            }
            let leg = |user, delta, counter_user| Leg {
                user,
                delta,
                counter: String::new(),
                counter_user,
            };
            vec![leg(from, -amount, to), leg(to, amount, from)]
        }
        None => return Err(Failure::field("movement", "must be credit, debit or between")),
    };
    Ok(Transfer { key: key(&request.key, "transfer", request)?, kind, legs })
}

/// Reads a hold to be placed.
pub fn place(request: &pb::PlaceHoldRequest) -> Result<Place, Failure> {
    Ok(Place {
        key: key(&request.key, "place", request)?,
        user: person("account", request.account.as_ref())?,
        amount: amount(request.amount_minor)?,
        kind: kind(request.kind)?,
    })
}

/// Reads a hold to be settled.
pub fn settle(request: &pb::SettleHoldRequest) -> Result<End, Failure> {
    if !(1..=8).contains(&request.parts.len()) {
        return Err(Failure::field("parts", "must be 1 to 8"));
    }
    let parts = request.parts.iter().map(|part| {
        let kind = kind(part.kind)?;
        Ok((amount(part.amount_minor)?, named(&part.counter_account, kind), kind))
    });
    let parts = parts.collect::<Result<_, Failure>>()?;
    Ok(End {
        key: key(&request.key, "settle", request)?,
        hold: request.hold_key.clone(),
        parts,
        back: Kind::WithdrawalReturned,
    })
}

/// Reads a hold to be released.
pub fn release(request: &pb::ReleaseHoldRequest) -> Result<End, Failure> {
    Ok(End {
        key: key(&request.key, "release", request)?,
        hold: request.hold_key.clone(),
        parts: vec![],
        back: kind(request.kind)?,
    })
}

/// Reads which page of whose statement is meant, and how many lines it has.
pub fn page(request: &pb::ListStatementRequest) -> Result<(i64, i64, i64), Failure> {
    let filter = request.filter.clone().unwrap_or_default();
    let user = person("filter.account", filter.account.as_ref())?;
    if filter != (pb::StatementFilter { account: filter.account.clone(), ..Default::default() }) {
        return Err(Failure::field("filter", "must be by account alone"));
    }
    if request.page < 1 || !(1..=500).contains(&request.page_size) {
        return Err(Failure::field("page", "must be from 1, of 1 to 500 lines"));
    }
    Ok((user, i64::from(request.page), i64::from(request.page_size)))
}

/// The person an account is named by.
pub fn person(field: &str, account: Option<&pb::AccountRef>) -> Result<i64, Failure> {
    match account.and_then(|a| a.by) {
        Some(pb::account_ref::By::UserId(id)) => Ok(id),
        _ => Err(Failure::field(field, "must name an account by user_id")),
    }
}

fn key(text: &str, method: &str, request: &impl Message) -> Result<Key, Failure> {
    let text = text::key(text, 128).map_err(|rule| Failure::field("key", rule))?;
    Ok(Key {
        text: text.to_owned(),
        digest: digest(&[method.as_bytes(), &request.encode_to_vec()]),
    })
}

fn kind(number: i32) -> Result<Kind, Failure> {
    Kind::from_number(number).ok_or_else(|| Failure::field("kind", "must be of the table of kinds"))
}

fn amount(minor: i64) -> Result<i64, Failure> {
    let fits = (1..=MAX_MINOR).contains(&minor);
    fits.then_some(minor).ok_or_else(|| Failure::field("amount_minor", "must be 1 to 2^53-1"))
}

fn named(counter: &str, kind: Kind) -> String {
    if counter.is_empty() { kind.row().counter.to_owned() } else { counter.to_owned() }
}
