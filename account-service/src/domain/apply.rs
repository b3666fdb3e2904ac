//! The one function that carries a command out on a book. Pure: the same book, command and time give
//! the same result on every engine.
//!
//! Rules: every transfer debits one account and credits one, so the sum over all accounts
//! stays zero; a person's available never goes below minus the overdraft limit; a hold ends once;
//! a key has one effect.

use std::sync::Arc;

use cashout_common::kind::{Direction, Kind};
use smallvec::smallvec;

use super::account::{Account, Currency, Owner};
use super::book::{Book, Receipt, Recorded};
use super::command::{Command, Facts, Key, Movement, Outcome, Posted, Transfer, Which};
use super::entry::Side;
use super::holds::{new_hold, place, release, returns_as, settle};
use super::journal::{Effect, Line, append, create, enough, find, move_counter, require};
use super::refusal::Refusal;

/// Carries `command` out at `now_us`, or refuses it and changes nothing.
///
/// # Errors
/// The reason of the refusal.
pub fn apply(book: &mut Book, command: &Command, now_us: i64) -> Result<Outcome, Refusal> {
    book.head.last_time_us = book.head.last_time_us.max(now_us);
    book.begin_command();
    let result = dispatch(book, command);
    if result.is_err() {
        book.undo_command();
    }
    result
}

fn dispatch(book: &mut Book, command: &Command) -> Result<Outcome, Refusal> {
    match command {
        Command::Open { person, currency } => Ok(open(book, *person, *currency)),
        Command::Post(transfer) => post(book, transfer).map(Outcome::Posted),
        Command::PostAll(transfers) => Ok(Outcome::All(post_all(book, transfers))),
        Command::Adjust { key, account, amount, locked, facts } => {
            adjust(book, key, account, *amount, *locked, facts)
        }
        Command::Place { key, account, amount, kind, release_at, facts } => {
            keyed(book, key, |book| place(book, key, account, *amount, *kind, *release_at, facts))
                .map(Outcome::Posted)
        }
        Command::Settle { key, hold, parts, facts } => {
            keyed(book, key, |book| settle(book, key, hold, parts, facts)).map(Outcome::Posted)
        }
        Command::Release { key, hold, kind, facts } => {
            keyed(book, key, |book| release(book, key, hold, *kind, facts)).map(Outcome::Posted)
        }
        Command::Abandon { key, hold, account, facts } => {
            abandon(book, key, hold, account, facts).map(Outcome::Posted)
        }
        Command::SetLock { account, locked } => {
            let mut account = find(book, account)?;
            set_lock(book, &mut account, *locked);
            Ok(plain(account))
        }
        Command::SetOverdraft { account, limit } => set_overdraft(book, account, *limit),
    }
}

/// Answers a known key from what is stored, or runs the command and stores what it did.
fn keyed(
    book: &mut Book,
    key: &Key,
    run: impl FnOnce(&mut Book) -> Effect,
) -> Result<Posted, Refusal> {
    if let Some(known) = book.known(&key.text) {
        if known.digest != key.digest {
            return Err(Refusal::IdempotencyConflict);
        }
        let (entries, hold) = (known.entries.clone(), known.hold.clone());
        return Ok(Posted { entries, hold, replayed: true });
    }
    let (entries, hold) = run(book)?;
    let hold = hold.map(Arc::new);
    let recorded = Recorded {
        digest: key.digest,
        entries: entries.clone(),
        hold: hold.clone(),
        account: None,
    };
    book.put_known(&key.text, recorded);
    Ok(Posted { entries, hold, replayed: false })
}

fn open(book: &mut Book, person: i64, currency: Currency) -> Outcome {
    let owner = Owner::Person(person);
    if let Some(account) = book.owned(&owner, currency) {
        let account = Box::new(account.clone());
        return Outcome::Account { account, created: false, replayed: false };
    }
    let account = Box::new(create(book, owner, currency));
    Outcome::Account { account, created: true, replayed: false }
}

fn post_all(book: &mut Book, transfers: &[Transfer]) -> Vec<Result<Posted, Refusal>> {
    let mut done = Vec::with_capacity(transfers.len());
    for transfer in transfers {
        match post(book, transfer) {
            Ok(posted) => done.push(Ok(posted)),
            Err(refusal) => {
                // Undone here, because the answer as a whole is not a refusal: it names the culprit.
                book.undo_command();
                let culprit = done.len();
                let aborted =
                    |i| Err(if i == culprit { refusal.clone() } else { Refusal::BatchAborted });
                return (0..transfers.len()).map(aborted).collect();
            }
        }
    }
    done
}

fn post(book: &mut Book, transfer: &Transfer) -> Result<Posted, Refusal> {
    let Transfer { key, amount, kind, movement, facts } = transfer;
    keyed(book, key, |book| match movement {
        Movement::Credit { account, counter, frozen_until } => {
            require(matches!(kind.row().direction, Direction::In) || *kind == Kind::Adjustment)?;
            credit(book, key, account, counter, (*amount, *kind, *frozen_until), facts)
        }
        Movement::Debit { account, counter } => {
            require(matches!(kind.row().direction, Direction::Out) || *kind == Kind::Adjustment)?;
            debit(book, key, account, counter, (*amount, *kind), facts)
        }
        Movement::Between { from, to } => {
            require(*kind == Kind::Transfer)?;
            between(book, key, from, to, *amount, facts)
        }
    })
}

fn credit(
    book: &mut Book,
    key: &Key,
    account: &Which,
    counter: &Arc<str>,
    (amount, kind, frozen_until): (i64, Kind, i64),
    facts: &Facts,
) -> Effect {
    let account = find(book, account)?;
    let side = move_counter(book, counter, account.currency, -amount)?;
    let mut line = Line::first(book, key, kind, facts);
    line.side = side;
    if frozen_until == 0 {
        line.available = amount;
        return Ok((smallvec![append(book, account, line)?], None));
    }
    let hold = new_hold(book, key, &account, amount, kind, frozen_until);
    line.frozen = amount;
    line.hold = Some((hold.id, hold.key.clone()));
    let entry = append(book, account, line)?;
    book.put_hold(hold.clone());
    Ok((smallvec![entry], Some(hold)))
}

fn debit(
    book: &mut Book,
    key: &Key,
    account: &Which,
    counter: &Arc<str>,
    (amount, kind): (i64, Kind),
    facts: &Facts,
) -> Effect {
    let account = find(book, account)?;
    enough(&account, amount, account.overdraft_limit)?;
    let side = move_counter(book, counter, account.currency, amount)?;
    let line = Line { side, available: -amount, ..Line::first(book, key, kind, facts) };
    Ok((smallvec![append(book, account, line)?], None))
}

fn between(
    book: &mut Book,
    key: &Key,
    from: &Which,
    to: &Which,
    amount: i64,
    facts: &Facts,
) -> Effect {
    let (payer, payee) = (find(book, from)?, find(book, to)?);
    if payer.id == payee.id {
        return Err(Refusal::SameAccount);
    }
    if payer.currency != payee.currency {
        return Err(Refusal::CurrencyMismatch);
    }
    enough(&payer, amount, payer.overdraft_limit)?;
    let mut line = Line::first(book, key, Kind::Transfer, facts);
    line.side = Side::Person(payee.id, payee.user_id());
    line.available = -amount;
    let side = Side::Person(payer.id, payer.user_id());
    let paid = append(book, payer, line)?;
    let mut line = Line::next(&paid, Kind::Transfer, facts);
    line.side = side;
    line.available = amount;
    let received = append(book, payee, line)?;
    Ok((smallvec![paid, received], None))
}

fn adjust(
    book: &mut Book,
    key: &Key,
    account: &Which,
    amount: i64,
    locked: Option<bool>,
    facts: &Facts,
) -> Result<Outcome, Refusal> {
    if let Some(known) = book.known(&key.text) {
        let same = known.digest == key.digest;
        return match known.account.clone().filter(|_| same) {
            Some(account) => Ok(Outcome::Account { account, created: false, replayed: true }),
            None => Err(Refusal::IdempotencyConflict),
        };
    }
    let account = match (find(book, account), account) {
        // An operator may pay or lock a person before anybody else has.
        (Err(Refusal::AccountNotFound), Which::Person(person, currency)) => {
            create(book, Owner::Person(*person), *currency)
        }
        (found, _) => found?,
    };
    if amount < 0 {
        enough(&account, -amount, account.overdraft_limit)?;
    }
    // Also a mere change of the lock leaves an entry: it is history, and it holds the key.
    let line = if amount == 0 {
        Line::first(book, key, Kind::StateChange, facts)
    } else {
        let counter = Arc::from(Kind::Adjustment.row().counter);
        let side = move_counter(book, &counter, account.currency, -amount)?;
        Line { side, available: amount, ..Line::first(book, key, Kind::Adjustment, facts) }
    };
    let which = Which::Id(account.id);
    let entries = smallvec![append(book, account, line)?];
    let mut account = find(book, &which)?;
    if let Some(locked) = locked {
        set_lock(book, &mut account, locked);
    }
    book.changes.receipts.push(Receipt { key: key.clone(), account: account.clone() });
    let answered = Some(Box::new(account.clone()));
    let recorded = Recorded { digest: key.digest, entries, hold: None, account: answered };
    book.put_known(&key.text, recorded);
    Ok(plain(account))
}

/// Releases the hold if it stands; if it was never placed, an entry that moves nothing takes its key.
fn abandon(
    book: &mut Book,
    key: &Key,
    hold: &Key,
    account: &Which,
    facts: &Facts,
) -> Result<Posted, Refusal> {
    let placed = book.hold(&hold.text).map(|h| returns_as(h.kind));
    if book.known(&key.text).is_some() || placed.is_some() {
        return keyed(book, key, |book| release(book, key, &hold.text, placed, facts));
    }
    keyed(book, hold, |book| {
        let account = find(book, account)?;
        let line = Line::first(book, hold, Kind::StateChange, facts);
        Ok((smallvec![append(book, account, line)?], None))
    })
}

fn set_overdraft(book: &mut Book, account: &Which, limit: i64) -> Result<Outcome, Refusal> {
    let mut account = find(book, account)?;
    if account.available < -limit {
        return Err(Refusal::OverdraftInUse);
    }
    if account.overdraft_limit != limit {
        account.overdraft_limit = limit;
        account.updated_at = book.head.last_time_us;
        book.put_account(account.clone());
    }
    Ok(plain(account))
}

fn set_lock(book: &mut Book, account: &mut Account, locked: bool) {
    if (account.locked_at != 0) != locked {
        account.locked_at = if locked { book.head.last_time_us } else { 0 };
        account.updated_at = book.head.last_time_us;
        book.put_account(account.clone());
    }
}

fn plain(account: Account) -> Outcome {
    Outcome::Account { account: Box::new(account), created: false, replayed: false }
}
