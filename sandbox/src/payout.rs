//! One payout at a simulated provider: its states, and what happens to it as time passes.
//!
//! ```text
//!  Processing ──▶ Waiting ──confirm──▶ Paying ──▶ Paid ──▶ Refunded
//!      │             │ cancel ──▶ Cancelling ──▶ Cancelled
//!      │             └ 24 h ───▶ Failed (OVERDUE_CLOSE)
//!      └──(Alipay: nobody confirms)──▶ Paying ──▶ Paid | Failed
//! ```
//!
//! Pure: must not know HTTP, SQL or signatures.

use serde_json::Value;

/// How long a payee has to confirm, microseconds.
pub const CONFIRM_WITHIN_US: i64 = 24 * 3600 * 1_000_000;
/// How much longer it takes until an unconfirmed payout is closed.
pub const CLOSING_US: i64 = 60 * 1_000_000;

/// Which of the two is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Provider {
    /// WeChat Pay.
    Wechat,
    /// Alipay.
    Alipay,
}

/// Both, in the order of the page.
pub const PROVIDERS: [Provider; 2] = [Provider::Wechat, Provider::Alipay];

impl Provider {
    /// Its word in the books.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Alipay => "alipay",
        }
    }

    /// The one of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        PROVIDERS.into_iter().find(|p| p.word() == word)
    }
}

/// Where a payout stands, in words of our own; each provider has its words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Accepted; nothing has happened yet.
    Processing,
    /// The payee has to confirm.
    Waiting,
    /// On its way.
    Paying,
    /// The payee has the money.
    Paid,
    /// Not paid, and never will be.
    Failed,
    /// Being taken back.
    Cancelling,
    /// Taken back.
    Cancelled,
    /// Paid, and come back.
    Refunded,
}

const STATES: [(State, &str); 8] = [
    (State::Processing, "processing"),
    (State::Waiting, "waiting"),
    (State::Paying, "paying"),
    (State::Paid, "paid"),
    (State::Failed, "failed"),
    (State::Cancelling, "cancelling"),
    (State::Cancelled, "cancelled"),
    (State::Refunded, "refunded"),
];

impl State {
    /// Its word in the books.
    #[must_use]
    pub fn word(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }

    /// The one of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        STATES.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }

    /// Whether the payee's money is set aside and has not left.
    #[must_use]
    pub const fn locks(self) -> bool {
        matches!(self, Self::Processing | Self::Waiting | Self::Paying | Self::Cancelling)
    }
}

/// What will become of a payout, decided when it is booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How long it stays [`State::Processing`].
    pub pending_us: i64,
    /// How long the payee takes to confirm; `None`: until somebody says so.
    pub confirm_us: Option<i64>,
    /// How long it stays [`State::Paying`].
    pub paying_us: i64,
    /// Why it fails instead of being paid; empty: it is paid.
    pub fails: String,
}

/// A change of state, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Virtual time.
    pub at_us: i64,
    /// `None`: it was booked.
    pub from: Option<State>,
    /// Since then.
    pub to: State,
}

/// One payout as it is in the books.
#[derive(Debug, Clone, PartialEq)]
pub struct Payout {
    /// Where.
    pub provider: Provider,
    /// The merchant's number.
    pub number: String,
    /// The provider's number.
    pub third_no: String,
    /// SHA-256 of the parameters, hex.
    pub digest: String,
    /// Minor units.
    pub amount_minor: i64,
    /// The payee's id.
    pub payee: String,
    /// The payee's name, when one was given.
    pub name: String,
    /// What else was asked for, and what answers repeat.
    pub terms: Value,
    /// Where it stands.
    pub state: State,
    /// Why it failed.
    pub fail_reason: String,
    /// What will become of it.
    pub plan: Plan,
    /// When something happens next by itself.
    pub due_at_us: Option<i64>,
    /// Virtual time.
    pub created_at_us: i64,
    /// Virtual time.
    pub updated_at_us: i64,
    /// When the payee got the money.
    pub paid_at_us: Option<i64>,
    /// How often the payee got the money: once, if this simulator is right.
    pub times_paid: i64,
    /// What happened since it was read from the books.
    pub changes: Vec<Change>,
}

impl Payout {
    /// Books it: it starts, and goes as far as its plan lets it go at once. A payee who confirms at once
    /// does it after the merchant was told that they have to.
    pub fn begin(&mut self, now_us: i64) {
        self.changes.push(Change { at_us: now_us, from: None, to: State::Processing });
        self.state = State::Processing;
        (self.created_at_us, self.updated_at_us) = (now_us, now_us);
        self.due_at_us = Some(now_us.saturating_add(self.plan.pending_us));
        self.advance_while(now_us, |state| state != State::Waiting);
    }

    /// What has become due until `now_us`.
    pub fn advance(&mut self, now_us: i64) {
        self.advance_while(now_us, |_| true);
    }

    fn advance_while(&mut self, now_us: i64, goes_on: impl Fn(State) -> bool) {
        while let Some(due_us) = self.due_at_us.filter(|due| *due <= now_us && goes_on(self.state))
        {
            match self.state {
                State::Processing if self.provider == Provider::Wechat => {
                    self.go(State::Waiting, due_us);
                }
                State::Processing => self.go(State::Paying, due_us),
                State::Waiting if self.confirms_at() == Some(due_us) => {
                    self.go(State::Paying, due_us);
                }
                State::Waiting => self.fail("OVERDUE_CLOSE", due_us),
                State::Paying if self.plan.fails.is_empty() => self.go(State::Paid, due_us),
                State::Paying => self.fail(&self.plan.fails.clone(), due_us),
                State::Cancelling => self.go(State::Cancelled, due_us),
                _ => self.due_at_us = None,
            }
        }
    }

    /// The payee confirms; false when there is nothing to confirm.
    pub fn confirm(&mut self, now_us: i64) -> bool {
        let waits = self.state == State::Waiting;
        if waits {
            self.go(State::Paying, now_us);
            self.advance(now_us);
        }
        waits
    }

    /// Closes it as if the time to confirm were over; false when nobody is waited for.
    pub fn expire(&mut self, now_us: i64) -> bool {
        let waits = self.state == State::Waiting;
        if waits {
            self.fail("OVERDUE_CLOSE", now_us);
        }
        waits
    }

    /// The merchant takes it back; false when it is too late.
    pub fn cancel(&mut self, now_us: i64) -> bool {
        match self.state {
            State::Processing | State::Waiting => self.go(State::Cancelling, now_us),
            State::Cancelling | State::Cancelled => {}
            _ => return false,
        }
        true
    }

    /// Ends what is under way as failed; false when it has ended.
    pub fn end_as_failed(&mut self, reason: &str, now_us: i64) -> bool {
        let open = self.state.locks();
        if open {
            self.fail(reason, now_us);
        }
        open
    }

    /// The money comes back after it was paid; false when it was not.
    pub fn refund(&mut self, reason: &str, now_us: i64) -> bool {
        let paid = self.state == State::Paid;
        if paid {
            self.go(State::Refunded, now_us);
            reason.clone_into(&mut self.fail_reason);
        }
        paid
    }

    fn fail(&mut self, reason: &str, at_us: i64) {
        self.go(State::Failed, at_us);
        reason.clone_into(&mut self.fail_reason);
    }

    fn go(&mut self, to: State, at_us: i64) {
        self.changes.push(Change { at_us, from: Some(self.state), to });
        self.state = to;
        self.updated_at_us = at_us;
        self.due_at_us = match to {
            State::Processing => Some(at_us.saturating_add(self.plan.pending_us)),
            State::Waiting => Some(self.confirms_at().unwrap_or_else(|| self.closes_at())),
            State::Paying => Some(at_us.saturating_add(self.plan.paying_us)),
            State::Cancelling => Some(at_us),
            State::Paid => {
                self.times_paid += 1;
                self.paid_at_us = Some(at_us);
                None
            }
            State::Failed | State::Cancelled | State::Refunded => None,
        };
        if to == State::Cancelled {
            "MCH_CANCEL".clone_into(&mut self.fail_reason);
        }
    }

    /// When the payee will confirm, if that is before it is closed. Counted from the booking of
    /// [`State::Waiting`], which is the last change.
    fn confirms_at(&self) -> Option<i64> {
        let at = self.plan.confirm_us.map(|us| self.updated_at_us.saturating_add(us));
        at.filter(|at| *at < self.closes_at())
    }

    fn closes_at(&self) -> i64 {
        self.updated_at_us.saturating_add(CONFIRM_WITHIN_US + CLOSING_US)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3600 * 1_000_000;

    fn payout(provider: Provider, plan: Plan) -> Payout {
        Payout {
            provider,
            number: "n1".to_owned(),
            third_no: "t1".to_owned(),
            digest: String::new(),
            amount_minor: 100,
            payee: "p".to_owned(),
            name: String::new(),
            terms: Value::Null,
            state: State::Processing,
            fail_reason: String::new(),
            plan,
            due_at_us: None,
            created_at_us: 0,
            updated_at_us: 0,
            paid_at_us: None,
            times_paid: 0,
            changes: Vec::new(),
        }
    }

    fn plan(pending_us: i64, confirm_us: Option<i64>, paying_us: i64, fails: &str) -> Plan {
        Plan { pending_us, confirm_us, paying_us, fails: fails.to_owned() }
    }

    #[test]
    fn a_payout_is_what_its_plan_and_the_time_make_of_it() {
        use Provider::{Alipay, Wechat};
        for (provider, plan, at_us, state, reason) in [
            (Alipay, plan(0, None, 0, ""), 0, State::Paid, ""),
            (Alipay, plan(5, None, 0, ""), 4, State::Processing, ""),
            (Alipay, plan(5, None, 3, ""), 7, State::Paying, ""),
            (Alipay, plan(5, None, 3, ""), 8, State::Paid, ""),
            (Alipay, plan(0, None, 0, "WHY"), 0, State::Failed, "WHY"),
            (Wechat, plan(0, Some(0), 0, ""), 0, State::Paid, ""),
            (Wechat, plan(0, None, 0, ""), 24 * HOUR_US, State::Waiting, ""),
            (Wechat, plan(0, None, 0, ""), 25 * HOUR_US, State::Failed, "OVERDUE_CLOSE"),
            (
                Wechat,
                plan(0, Some(30 * HOUR_US), 0, ""),
                40 * HOUR_US,
                State::Failed,
                "OVERDUE_CLOSE",
            ),
            (Wechat, plan(2, Some(3), 4, ""), 8, State::Paying, ""),
            (Wechat, plan(2, Some(3), 4, ""), 9, State::Paid, ""),
        ] {
            let mut one = payout(provider, plan.clone());
            one.begin(0);
            one.advance(at_us);
            let got = (one.state, one.fail_reason.as_str(), one.times_paid);
            assert_eq!(got, (state, reason, i64::from(state == State::Paid)), "{plan:?} {at_us}");
        }
    }

    #[test]
    fn nothing_happens_twice_and_nothing_after_the_end() {
        let mut one = payout(Provider::Wechat, plan(0, None, 0, ""));
        one.begin(0);
        assert!(one.confirm(1) && !one.confirm(2) && !one.cancel(3) && !one.expire(3));
        assert!(!one.end_as_failed("X", 3) && one.refund("BACK", 4) && !one.refund("BACK", 5));
        assert_eq!((one.state, one.times_paid), (State::Refunded, 1));
        let mut other = payout(Provider::Wechat, plan(0, None, 0, ""));
        other.begin(0);
        assert!(other.cancel(1) && other.cancel(1) && !other.confirm(1));
        other.advance(1);
        assert_eq!((other.state, other.fail_reason.as_str()), (State::Cancelled, "MCH_CANCEL"));
        assert!(other.cancel(2), "a second cancelling is told how it stands");
    }
}
