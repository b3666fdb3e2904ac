//! Setting money aside and ending that, exactly once. See `hold` for the states.

use std::sync::Arc;

use cashout_common::kind::{Direction, Kind};
use smallvec::smallvec;

use super::account::Account;
use super::book::Book;
use super::command::{Facts, Key, Part, Which};
use super::entry::{Entries, Entry};
use super::hold::{Hold, HoldState};
use super::journal::{Effect, Line, append, enough, find, move_counter, require};
use super::refusal::Refusal;

pub(super) fn place(
    book: &mut Book,
    key: &Key,
    account: &Which,
    amount: i64,
    kind: Kind,
    release_at: i64,
    facts: &Facts,
) -> Effect {
    require(matches!(kind.row().direction, Direction::Out | Direction::Either))?;
    let account = find(book, account)?;
    if account.locked_at != 0 {
        return Err(Refusal::AccountLocked);
    }
    // Money set aside must be there: a hold never uses the overdraft.
    enough(&account, amount, 0)?;
    let hold = new_hold(book, key, &account, amount, kind, release_at);
    let mut line = Line::first(book, key, kind, facts);
    line.available = -amount;
    line.frozen = amount;
    line.hold = Some((hold.id, hold.key.clone()));
    let entry = append(book, account, line)?;
    book.put_hold(hold.clone());
    Ok((smallvec![entry], Some(hold)))
}

pub(super) fn settle(
    book: &mut Book,
    key: &Key,
    hold: &Arc<str>,
    parts: &[Part],
    facts: &Facts,
) -> Effect {
    let mut hold = open_hold(book, hold)?;
    let settled = parts.iter().try_fold(0_i64, |sum, part| sum.checked_add(part.amount));
    let settled = settled.filter(|sum| *sum <= hold.amount);
    let Some(settled) = settled else {
        return Err(Refusal::HoldAmountExceeded { held: hold.amount });
    };
    let mut entries = Entries::with_capacity(parts.len() + 1);
    for part in parts {
        require(matches!(part.kind.row().direction, Direction::Out))?;
        let account = find(book, &Which::Id(hold.account_id))?;
        let told = if part.facts.is_empty() { facts } else { &part.facts };
        let side = move_counter(book, &part.counter, account.currency, part.amount)?;
        let mut line = match entries.first() {
            None => Line::first(book, key, part.kind, told),
            Some(first) => Line::next(first, part.kind, told),
        };
        line.side = side;
        line.frozen = -part.amount;
        line.hold = Some((hold.id, hold.key.clone()));
        entries.push(append(book, account, line)?);
    }
    let rest = hold.amount - settled;
    if let Some(first) = entries.first().filter(|_| rest > 0) {
        let line = Line::next(first, returns_as(hold.kind), facts);
        entries.push(give_back(book, &hold, rest, line)?);
    }
    hold.state = HoldState::Settled;
    hold.settled = settled;
    hold.released = rest;
    hold.ended_at = book.head.last_time_us;
    book.put_hold(hold.clone());
    Ok((entries, Some(hold)))
}

pub(super) fn release(
    book: &mut Book,
    key: &Key,
    hold: &Arc<str>,
    kind: Option<Kind>,
    facts: &Facts,
) -> Effect {
    let mut hold = open_hold(book, hold)?;
    let kind = kind.unwrap_or(hold.kind);
    require(kind == hold.kind || kind.row().direction == Direction::Back)?;
    let line = Line::first(book, key, kind, facts);
    let entry = give_back(book, &hold, hold.amount, line)?;
    hold.state = HoldState::Released;
    hold.released = hold.amount;
    hold.ended_at = book.head.last_time_us;
    book.put_hold(hold.clone());
    Ok((smallvec![entry], Some(hold)))
}

/// What returning money of a hold is called.
pub(super) fn returns_as(kind: Kind) -> Kind {
    if kind == Kind::Withdrawal { Kind::WithdrawalReturned } else { kind }
}

fn open_hold(book: &Book, key: &str) -> Result<Hold, Refusal> {
    let hold = book.hold(key).ok_or(Refusal::HoldNotFound)?;
    match hold.state {
        HoldState::Open => Ok(hold.clone()),
        HoldState::Settled => Err(Refusal::HoldAlreadySettled),
        HoldState::Released => Err(Refusal::HoldAlreadyReleased),
    }
}

pub(super) fn new_hold(
    book: &mut Book,
    key: &Key,
    account: &Account,
    amount: i64,
    kind: Kind,
    at: i64,
) -> Hold {
    book.head.last_hold_id += 1;
    Hold {
        id: book.head.last_hold_id,
        key: key.text.clone(),
        account_id: account.id,
        amount,
        kind,
        state: HoldState::Open,
        settled: 0,
        released: 0,
        release_at: at,
        created_at: book.head.last_time_us,
        ended_at: 0,
    }
}

/// Frozen money of a hold goes back to available.
fn give_back(
    book: &mut Book,
    hold: &Hold,
    amount: i64,
    mut line: Line,
) -> Result<Arc<Entry>, Refusal> {
    let account = find(book, &Which::Id(hold.account_id))?;
    line.available = amount;
    line.frozen = -amount;
    line.hold = Some((hold.id, hold.key.clone()));
    append(book, account, line)
}
