//! The rules of the textbook ledger, carried out inside the caller's transaction: claim the key, lock
//! the accounts, check, write the balance and the entries.
//!
//! Must not know: SQL, or when the transaction ends.

use cashout_common::kind::Kind;
use cashout_common::money::MAX_MINOR;
use cashout_proto::account::v1 as pb;
use cashout_proto::{Failure, Reason};

use super::request::{End, Key, Place, Transfer};
use super::store::{AccountRow, EntryRow, HoldRow, Work};
use super::{failed, no_account};

/// Entries of one transfer have ids from its id times this.
const ENTRIES: i64 = 16;

/// Moves money.
pub async fn transfer(
    work: &mut Work,
    order: &Transfer,
    now_us: i64,
) -> Result<pb::PostTransferResponse, Failure> {
    let (id, new) = claim(work, &order.key, now_us).await?;
    let transfer_id = id * ENTRIES;
    if !new {
        let entries = work.entries(transfer_id, ENTRIES).await.map_err(failed)?;
        let entries = entries.iter().map(entry).collect();
        return Ok(pb::PostTransferResponse { transfer_id, entries, replayed: true });
    }
    let users: Vec<i64> = order.legs.iter().map(|leg| leg.user).collect();
    let mut accounts = work.lock(&users).await.map_err(failed)?;
    let mut entries = Vec::with_capacity(order.legs.len());
    for (part, leg) in (transfer_id..).zip(&order.legs) {
        let account = accounts.iter_mut().find(|a| a.user_id == leg.user).ok_or_else(no_account)?;
        let mut row = moved(account, part, order.kind, (leg.delta, 0), now_us)?;
        row.counter.clone_from(&leg.counter);
        row.counter_user_id = leg.counter_user;
        work.save(account).await.map_err(failed)?;
        work.append(&row).await.map_err(failed)?;
        entries.push(entry(&row));
    }
    Ok(pb::PostTransferResponse { transfer_id, entries, replayed: false })
}

/// Sets a part of available aside.
pub async fn place(
    work: &mut Work,
    order: &Place,
    now_us: i64,
) -> Result<pb::HoldResponse, Failure> {
    let (id, new) = claim(work, &order.key, now_us).await?;
    if !new {
        return replayed(work, id, &order.key.text).await;
    }
    let mut accounts = work.lock(&[order.user]).await.map_err(failed)?;
    let account = accounts.first_mut().ok_or_else(no_account)?;
    let mut row = moved(account, id * ENTRIES, order.kind, (-order.amount, order.amount), now_us)?;
    row.hold_key.clone_from(&order.key.text);
    let hold = HoldRow {
        key: order.key.text.clone(),
        id,
        account_id: account.id,
        user_id: account.user_id,
        amount: order.amount,
        kind: number(order.kind),
        state: i64::from(pb::HoldState::Open as i32),
        settled: 0,
        released: 0,
        created_at: now_us,
        ended_at: 0,
    };
    work.save(account).await.map_err(failed)?;
    work.append(&row).await.map_err(failed)?;
    work.new_hold(&hold).await.map_err(failed)?;
    Ok(held(&hold, &[row], false))
}

/// Ends a hold: the parts leave, the rest returns; without parts, all of it.
pub async fn end(work: &mut Work, order: &End, now_us: i64) -> Result<pb::HoldResponse, Failure> {
    let (id, new) = claim(work, &order.key, now_us).await?;
    if !new {
        return replayed(work, id, &order.hold).await;
    }
    let (mut hold, mut account) =
        work.lock_hold(&order.hold).await.map_err(failed)?.ok_or_else(no_hold)?;
    if hold.state != i64::from(pb::HoldState::Open as i32) {
        let released = hold.state == i64::from(pb::HoldState::Released as i32);
        let reason =
            if released { Reason::HoldAlreadyReleased } else { Reason::HoldAlreadySettled };
        return Err(Failure::new(reason, "the hold has ended already"));
    }
    // At most 8 parts of 2^53, so the sum fits.
    hold.settled = order.parts.iter().map(|(amount, ..)| amount).sum();
    hold.released = hold.amount - hold.settled;
    if hold.released < 0 {
        return Err(Failure::new(Reason::HoldAmountExceeded, "the parts are more than the hold"));
    }
    let settled = !order.parts.is_empty();
    let state = if settled { pb::HoldState::Settled } else { pb::HoldState::Released };
    hold.state = i64::from(state as i32);
    hold.ended_at = now_us;
    let rest = (hold.released, String::new(), order.back);
    let back = (hold.released > 0).then_some(&rest);
    let mut rows = Vec::with_capacity(order.parts.len() + 1);
    for (part, (amount, counter, kind)) in (id * ENTRIES..).zip(order.parts.iter().chain(back)) {
        let returns = if counter.is_empty() { *amount } else { 0 };
        let mut row = moved(&mut account, part, *kind, (returns, -amount), now_us)?;
        row.counter.clone_from(counter);
        row.hold_key.clone_from(&hold.key);
        work.append(&row).await.map_err(failed)?;
        rows.push(row);
    }
    work.save(&account).await.map_err(failed)?;
    work.end_hold(&hold).await.map_err(failed)?;
    Ok(held(&hold, &rows, false))
}

/// The id behind a key, and whether this request is the first to use it.
async fn claim(work: &mut Work, key: &Key, now_us: i64) -> Result<(i64, bool), Failure> {
    if let Some(id) = work.claim(&key.text, &key.digest, now_us).await.map_err(failed)? {
        return Ok((id, true));
    }
    let (id, digest) = work.claimed(&key.text).await.map_err(failed)?;
    if digest == key.digest {
        return Ok((id, false));
    }
    Err(Failure::new(Reason::IdempotencyConflict, "the key was used with another request"))
}

async fn replayed(work: &mut Work, id: i64, hold: &str) -> Result<pb::HoldResponse, Failure> {
    let (hold, _) = work.lock_hold(hold).await.map_err(failed)?.ok_or_else(no_hold)?;
    let entries = work.entries(id * ENTRIES, ENTRIES).await.map_err(failed)?;
    Ok(held(&hold, &entries, true))
}

/// Moves a balance in memory and tells the entry, or refuses.
fn moved(
    account: &mut AccountRow,
    id: i64,
    kind: Kind,
    (available_delta, frozen_delta): (i64, i64),
    now_us: i64,
) -> Result<EntryRow, Failure> {
    // All are below 2^53, so no sum of two overflows.
    account.available += available_delta;
    account.frozen += frozen_delta;
    if account.available < 0 {
        return Err(Failure::new(Reason::InsufficientFunds, "available is less than the amount"));
    }
    if account.available > MAX_MINOR {
        return Err(Failure::new(Reason::BalanceOverflow, "the balance would be too large"));
    }
    account.last_seq += 1;
    account.updated_at = now_us;
    Ok(EntryRow {
        id,
        account_id: account.id,
        user_id: account.user_id,
        seq: account.last_seq,
        kind: number(kind),
        available_delta,
        frozen_delta,
        available_after: account.available,
        frozen_after: account.frozen,
        counter: String::new(),
        counter_user_id: 0,
        hold_key: String::new(),
        created_at: now_us,
    })
}

fn number(kind: Kind) -> i64 {
    i64::from(kind.row().number)
}

fn no_hold() -> Failure {
    Failure::new(Reason::HoldNotFound, "there is no such hold")
}

/// An entry as the contract shows it.
pub fn entry(row: &EntryRow) -> pb::Entry {
    pb::Entry {
        id: row.id,
        transfer_id: row.id / ENTRIES * ENTRIES,
        account_id: row.account_id,
        user_id: row.user_id,
        seq: row.seq,
        kind: i32::try_from(row.kind).unwrap_or_default(),
        available_delta_minor: row.available_delta,
        frozen_delta_minor: row.frozen_delta,
        available_after_minor: row.available_after,
        frozen_after_minor: row.frozen_after,
        counter_account: row.counter.clone(),
        counter_user_id: row.counter_user_id,
        hold_key: row.hold_key.clone(),
        created_at_us: row.created_at,
        facts: None,
        currency: "CNY".to_owned(),
    }
}

fn held(hold: &HoldRow, rows: &[EntryRow], replayed: bool) -> pb::HoldResponse {
    let hold = pb::Hold {
        id: hold.id,
        key: hold.key.clone(),
        account_id: hold.account_id,
        user_id: hold.user_id,
        amount_minor: hold.amount,
        kind: i32::try_from(hold.kind).unwrap_or_default(),
        state: i32::try_from(hold.state).unwrap_or_default(),
        settled_minor: hold.settled,
        released_minor: hold.released,
        release_at_us: 0,
        created_at_us: hold.created_at,
        ended_at_us: hold.ended_at,
        currency: "CNY".to_owned(),
    };
    pb::HoldResponse { hold: Some(hold), entries: rows.iter().map(entry).collect(), replayed }
}
