//! The requests of the load, and their keys. Must not know: when they are sent.

use cashout_common::clock::Clock;
use cashout_proto::account::v1 as pb;
use pb::post_transfer_request::Movement;
use rand::Rng;

/// Lines of a statement's page, as an app shows them.
const PAGE: i32 = 20;

/// A new key: ordered by time, as keys of callers who care should be (UUID version 7).
pub fn key(clock: &Clock, rng: &mut impl Rng) -> String {
    let millis = u64::try_from(clock.now_us() / 1000).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &rng.random()).into_uuid().to_string()
}

/// Into a person's account.
pub fn credit(key: String, user: i64, amount_minor: i64) -> pb::PostTransferRequest {
    let credit = pb::Credit { account: Some(person(user)), ..Default::default() };
    post(key, amount_minor, pb::EntryKind::Task, Movement::Credit(credit))
}

/// From one person to another.
pub fn between(key: String, from: i64, to: i64, amount_minor: i64) -> pb::PostTransferRequest {
    let between = pb::Between { from: Some(person(from)), to: Some(person(to)) };
    post(key, amount_minor, pb::EntryKind::Transfer, Movement::Between(between))
}

/// Sets money of a person aside.
pub fn place(key: String, user: i64, amount_minor: i64) -> pb::PlaceHoldRequest {
    let kind = pb::EntryKind::Withdrawal.into();
    pb::PlaceHoldRequest {
        key,
        account: Some(person(user)),
        amount_minor,
        kind,
        ..Default::default()
    }
}

/// Ends a hold with one part.
pub fn settle(key: String, hold_key: String, amount_minor: i64) -> pb::SettleHoldRequest {
    let part = pb::SettlePart {
        amount_minor,
        counter_account: "payout:manual".to_owned(),
        kind: pb::EntryKind::Withdrawal.into(),
        facts: None,
    };
    pb::SettleHoldRequest { key, hold_key, parts: vec![part], facts: None }
}

/// Ends a hold: everything returns.
pub fn release(key: String, hold_key: String) -> pb::ReleaseHoldRequest {
    let kind = pb::EntryKind::WithdrawalReturned.into();
    pb::ReleaseHoldRequest { key, hold_key, kind, facts: None }
}

/// Asks for the newest lines of a person's statement.
pub fn page(user: i64) -> pb::ListStatementRequest {
    let filter = pb::StatementFilter { account: Some(person(user)), ..Default::default() };
    pb::ListStatementRequest { filter: Some(filter), page: 1, page_size: PAGE }
}

/// Asks for the accounts of several persons at once.
pub fn accounts(users: impl Iterator<Item = i64>) -> pb::BatchGetAccountsRequest {
    let accounts = users.map(person).collect();
    pb::BatchGetAccountsRequest { accounts, ..Default::default() }
}

/// Asks for a person's account.
pub fn account(user: i64) -> pb::GetAccountRequest {
    pb::GetAccountRequest { account: Some(person(user)), ..Default::default() }
}

/// Opens a person's account.
pub fn open(user_id: i64) -> pb::OpenAccountRequest {
    pb::OpenAccountRequest { user_id, currency: String::new() }
}

fn person(user: i64) -> pb::AccountRef {
    pb::AccountRef { by: Some(pb::account_ref::By::UserId(user)), currency: String::new() }
}

fn post(
    key: String,
    amount_minor: i64,
    kind: pb::EntryKind,
    movement: Movement,
) -> pb::PostTransferRequest {
    let kind = kind.into();
    pb::PostTransferRequest { key, amount_minor, kind, movement: Some(movement), facts: None }
}
