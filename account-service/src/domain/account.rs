//! An account: a person's, or a counter-account. Must not know: how it is stored.

use std::sync::Arc;

use cashout_common::kind::{Direction, Kind, Total};
use cashout_common::money::MAX_MINOR;

use super::entry::Hash;
use super::refusal::Refusal;

/// An ISO 4217 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Yuan, the default.
    pub const CNY: Self = Self(*b"CNY");

    /// Three upper-case ASCII letters; empty means yuan.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::CNY);
        }
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Self(code))
    }

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("CNY")
    }
}

/// Whose account it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A person, by user id.
    Person(i64),
    /// A counter-account, by name: platform income, sales, payout clearing, fees, adjustments.
    Counter(Arc<str>),
}

/// An account: what its last entry left, and what operators set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Dense from 1.
    pub id: i64,
    /// Whose it is.
    pub owner: Owner,
    /// What it is counted in.
    pub currency: Currency,
    /// Minor units that can be spent or held. A counter-account's whole balance, of either sign.
    pub available: i64,
    /// Minor units that open holds hold.
    pub frozen: i64,
    /// How far below zero available may go.
    pub overdraft_limit: i64,
    /// When it was locked; 0 when it is not.
    pub locked_at: i64,
    /// Lifetime totals: income - spend - withdrawn = available + frozen.
    pub income_total: i64,
    /// See `income_total`.
    pub spend_total: i64,
    /// See `income_total`.
    pub withdrawn_total: i64,
    /// When income last reached available; 0 for never.
    pub last_income_at: i64,
    /// Sequence of the last entry; 0 for none.
    pub last_seq: i64,
    /// Hash of the last entry; zeros for none.
    pub last_hash: Hash,
    /// When it was opened.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

impl Account {
    /// A new account with nothing in it.
    #[must_use]
    pub fn new(id: i64, owner: Owner, currency: Currency, now_us: i64) -> Self {
        Self {
            id,
            owner,
            currency,
            available: 0,
            frozen: 0,
            overdraft_limit: 0,
            locked_at: 0,
            income_total: 0,
            spend_total: 0,
            withdrawn_total: 0,
            last_income_at: 0,
            last_seq: 0,
            last_hash: [0; 32],
            created_at: now_us,
            updated_at: now_us,
        }
    }

    /// The person, or 0 for a counter-account.
    #[must_use]
    pub fn user_id(&self) -> i64 {
        match self.owner {
            Owner::Person(id) => id,
            Owner::Counter(_) => 0,
        }
    }

    /// Moves the balances and the lifetime totals by what an entry of `kind` says. The one rule for
    /// both, used by whoever appends and by whoever checks.
    ///
    /// # Errors
    /// `BalanceOverflow` when a number would not stay exact for JavaScript clients.
    pub fn carry(
        &mut self,
        kind: Kind,
        available: i64,
        frozen: i64,
        now_us: i64,
    ) -> Result<(), Refusal> {
        self.available = exact(self.available.checked_add(available))?;
        self.frozen = exact(self.frozen.checked_add(frozen))?;
        exact(self.available.checked_add(self.frozen))?;
        let whole = exact(available.checked_add(frozen))?;
        let income = whole > 0 && kind.row().total == Total::BySign;
        let total = match kind.row().total {
            Total::BySign if income => &mut self.income_total,
            Total::BySign | Total::Spend => &mut self.spend_total,
            Total::Withdrawn => &mut self.withdrawn_total,
        };
        *total = exact(total.checked_add(if income { whole } else { -whole }))?;
        let may_earn = matches!(kind.row().direction, Direction::In | Direction::Either);
        if available > 0 && may_earn && kind.row().total == Total::BySign {
            self.last_income_at = now_us;
        }
        Ok(())
    }
}

fn exact(value: Option<i64>) -> Result<i64, Refusal> {
    value.filter(|v| v.abs() <= MAX_MINOR).ok_or(Refusal::BalanceOverflow)
}
