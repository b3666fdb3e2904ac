//! A ledger in memory: keeps the rules of holds, and fails in the ways a real one can.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cashout_proto::{Failure, Reason};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use withdraw_service::domain::withdrawal::{AccountAfter, Holder, Payee, Withdrawal};
use withdraw_service::ports::{Balance, Ledger, LedgerAnswer, ReleaseCause};
use withdraw_service::{ExpectedHold, ExpectedState};

/// How a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Settled,
    Released(ReleaseCause),
}

#[derive(Debug, Default)]
struct Books {
    available: HashMap<i64, i64>,
    locked: Vec<i64>,
    holds: HashMap<String, (i64, i64, State)>,
    payees: HashMap<i64, String>,
    payable_from: HashMap<i64, i64>,
    abandoned: Vec<String>,
    /// What balances are told to be, whatever they are.
    told: HashMap<i64, i64>,
    late_call: bool,
    lost_calls: u32,
    down: bool,
    lost_replies: u32,
    ends: u32,
}

/// The ledger.
#[derive(Debug)]
pub struct FakeLedger {
    books: Mutex<Books>,
    /// While true, commands wait.
    pub hang: watch::Sender<bool>,
}

impl Default for FakeLedger {
    fn default() -> Self {
        Self { books: Mutex::default(), hang: watch::Sender::new(false) }
    }
}

fn down() -> Failure {
    Failure::new(Reason::Unavailable, "down")
}

impl FakeLedger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a person money and somewhere to be paid.
    pub fn person(&self, user_id: i64, available_minor: i64, payee_id: &str) {
        let mut books = self.books();
        books.available.insert(user_id, available_minor);
        books.payees.insert(user_id, payee_id.to_owned());
    }

    /// A person was bound only just now: not payable before then.
    pub fn cools(&self, user_id: i64, payable_from_us: i64) {
        self.books().payable_from.insert(user_id, payable_from_us);
    }

    /// Gives a person money and no profile.
    pub fn nameless(&self, user_id: i64, available_minor: i64) {
        self.books().available.insert(user_id, available_minor);
    }

    /// From now on a person's balance is told to be this, and not locked: what was true a moment ago.
    pub fn tell(&self, user_id: i64, available_minor: i64) {
        self.books().told.insert(user_id, available_minor);
    }

    /// A lost call to place a hold arrives just before the hold is abandoned.
    pub fn late_call(&self) {
        self.books().late_call = true;
    }

    /// No command is carried out or answered.
    pub fn set_down(&self, down: bool) {
        self.books().down = down;
    }

    /// The next commands are carried out, but their answers are lost.
    pub fn lose_replies(&self, n: u32) {
        self.books().lost_replies = n;
    }

    /// The next commands do not arrive; they may come late, see [`Self::arrives_late`].
    pub fn lose_calls(&self, n: u32) {
        self.books().lost_calls = n;
    }

    /// A lost call to place a hold arrives after all.
    pub fn arrives_late(&self, w: &Withdrawal) -> LedgerAnswer<AccountAfter> {
        self.place_now(w)
    }

    /// Refuses new holds of a person.
    pub fn lock(&self, user_id: i64) {
        self.books().locked.push(user_id);
    }

    /// What a person can spend.
    pub fn available(&self, user_id: i64) -> i64 {
        self.books().available.get(&user_id).copied().unwrap_or(0)
    }

    /// How the hold of a withdrawal stands.
    pub fn state(&self, key: &str) -> Option<State> {
        self.books().holds.get(key).map(|h| h.2)
    }

    /// How many holds exist, and how often one was ended.
    pub fn counts(&self) -> (usize, u32) {
        let books = self.books();
        (books.holds.len(), books.ends)
    }

    /// Whether the hold is as the service expects it.
    pub fn matches(&self, expected: &ExpectedHold) -> bool {
        let books = self.books();
        let hold = books.holds.get(&expected.hold_key);
        let same = hold.is_none_or(|h| (h.0, h.1) == (expected.user_id, expected.apply_minor));
        same && match expected.state {
            ExpectedState::None => hold.is_none_or(|h| matches!(h.2, State::Released(_))),
            ExpectedState::Open => hold.is_some_and(|h| h.2 == State::Open),
            ExpectedState::Settled => hold.is_some_and(|h| h.2 == State::Settled),
            ExpectedState::Released => hold.is_some_and(|h| matches!(h.2, State::Released(_))),
            ExpectedState::InFlight => true,
        }
    }

    async fn ready(&self) {
        let _ = self.hang.subscribe().wait_for(|hang| !hang).await;
    }

    fn place_now(&self, w: &Withdrawal) -> LedgerAnswer<AccountAfter> {
        let mut books = self.books();
        if books.down {
            return LedgerAnswer::Unknown(down());
        }
        if books.lost_calls > 0 {
            books.lost_calls -= 1;
            return LedgerAnswer::Unknown(down());
        }
        if books.abandoned.contains(&w.hold_key()) {
            return LedgerAnswer::Unknown(Failure::new(Reason::IdempotencyConflict, "used up"));
        }
        let known = books.holds.contains_key(&w.hold_key());
        let Some(available) = books.available.get(&w.user_id).copied() else {
            return LedgerAnswer::Refused(Failure::new(Reason::AccountNotFound, "none"));
        };
        if !known {
            if books.locked.contains(&w.user_id) {
                return LedgerAnswer::Refused(Failure::new(Reason::AccountLocked, "locked"));
            }
            if available < w.apply_minor {
                return LedgerAnswer::Refused(Failure::new(Reason::InsufficientFunds, "poor"));
            }
            books.available.insert(w.user_id, available - w.apply_minor);
            books.holds.insert(w.hold_key(), (w.user_id, w.apply_minor, State::Open));
        }
        let available_minor = books.available.get(&w.user_id).copied().unwrap_or(0);
        if lost(&mut books) {
            return LedgerAnswer::Unknown(down());
        }
        LedgerAnswer::Done(AccountAfter {
            available_minor,
            frozen_minor: w.apply_minor,
            locked: false,
        })
    }

    fn end(&self, w: &Withdrawal, to: State) -> LedgerAnswer<()> {
        let mut books = self.books();
        if books.down {
            return LedgerAnswer::Unknown(down());
        }
        let Some(hold) = books.holds.get_mut(&w.hold_key()) else {
            return LedgerAnswer::Refused(Failure::new(Reason::HoldNotFound, "no hold"));
        };
        let (user_id, amount_minor, state) = *hold;
        if state == State::Open {
            hold.2 = to;
            books.ends += 1;
            if to != State::Settled {
                *books.available.entry(user_id).or_default() += amount_minor;
            }
        } else if state != to {
            return LedgerAnswer::Refused(Failure::new(Reason::HoldAlreadySettled, "ended"));
        }
        if lost(&mut books) { LedgerAnswer::Unknown(down()) } else { LedgerAnswer::Done(()) }
    }
}

impl FakeLedger {
    fn abandon_now(&self, w: &Withdrawal) -> LedgerAnswer<()> {
        let mut books = self.books();
        if books.down {
            return LedgerAnswer::Unknown(down());
        }
        if std::mem::take(&mut books.late_call) {
            *books.available.entry(w.user_id).or_default() -= w.apply_minor;
            books.holds.insert(w.hold_key(), (w.user_id, w.apply_minor, State::Open));
        }
        if books.holds.contains_key(&w.hold_key()) {
            drop(books);
            return self.end(w, State::Released(ReleaseCause::Failed));
        }
        books.abandoned.push(w.hold_key());
        LedgerAnswer::Done(())
    }
}

fn lost(books: &mut Books) -> bool {
    let lost = books.lost_replies > 0;
    books.lost_replies = books.lost_replies.saturating_sub(1);
    lost
}

impl Ledger for FakeLedger {
    fn place<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<AccountAfter>> {
        self.ready().map(|()| self.place_now(w)).boxed()
    }

    fn abandon<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<()>> {
        self.ready().map(|()| self.abandon_now(w)).boxed()
    }

    fn settle<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<()>> {
        self.ready().map(|()| self.end(w, State::Settled)).boxed()
    }

    fn release<'a>(
        &'a self,
        w: &'a Withdrawal,
        cause: ReleaseCause,
    ) -> BoxFuture<'a, LedgerAnswer<()>> {
        self.ready().map(move |()| self.end(w, State::Released(cause))).boxed()
    }

    fn balance(&self, user_id: i64) -> BoxFuture<'_, Result<Option<Balance>, Failure>> {
        let books = self.books();
        let locked = books.locked.contains(&user_id);
        let found = books.available.get(&user_id);
        let found = match books.told.get(&user_id) {
            Some(told) => Some(Balance { available_minor: *told, locked: false }),
            None => found.map(|available| Balance { available_minor: *available, locked }),
        };
        async move { Ok(found) }.boxed()
    }

    fn holder(&self, user_id: i64) -> BoxFuture<'_, Result<Option<Holder>, Failure>> {
        let payee_id = self.books().payees.get(&user_id).cloned();
        let payable_from_us = self.books().payable_from.get(&user_id).copied().unwrap_or(0);
        let holder = payee_id.map(|payee_id| {
            let payee = Payee { payee_id, payable_from_us, ..Payee::default() };
            let payee = Some(payee).filter(|payee| !payee.payee_id.is_empty());
            Holder {
                username: format!("user{user_id}"),
                mobile: "13800138000".to_owned(),
                wechat: payee.clone(),
                alipay: payee,
                ..Holder::default()
            }
        });
        async move { Ok(holder) }.boxed()
    }
}
