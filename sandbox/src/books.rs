//! What one call may see and change of the books: one payout, and the money of its provider.
//!
//! Pure: the store reads a [`Page`] and writes back what became of it, all in one commit.

use crate::payout::{Change, Payout, Provider, State};

/// What a merchant has at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    /// Free to be paid out.
    pub available_minor: i64,
    /// Set aside for payouts under way.
    pub locked_minor: i64,
}

impl Funds {
    /// All of it.
    #[must_use]
    pub const fn balance_minor(self) -> i64 {
        self.available_minor.saturating_add(self.locked_minor)
    }
}

/// Money that really came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Its place in the books.
    pub id: i64,
    /// Where.
    pub provider: Provider,
    /// Virtual time.
    pub at_us: i64,
    /// The merchant's number.
    pub number: String,
    /// The provider's number.
    pub third_no: String,
    /// Below zero: it went.
    pub amount_minor: i64,
    /// Balance after it.
    pub balance_minor: i64,
    /// What it was.
    pub note: String,
}

/// One notification that was sent, or is still to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The provider's id of it.
    pub id: String,
    /// Who sends it.
    pub provider: Provider,
    /// The merchant's number.
    pub number: String,
    /// What it tells.
    pub state: State,
    /// Virtual time.
    pub created_at_us: i64,
    /// When it is sent next; `None`: no more.
    pub due_at_us: Option<i64>,
    /// How often it was sent.
    pub tries: i64,
    /// What became of it last.
    pub outcome: String,
}

/// One request that was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// By whom.
    pub provider: Provider,
    /// What was asked; a word.
    pub operation: &'static str,
    /// The merchant's number; empty when it is about none.
    pub number: String,
    /// SHA-256 of what was sent, hex.
    pub body_digest: String,
    /// What went wrong on purpose.
    pub faults: String,
}

/// The part of the books that one call sees.
#[derive(Debug)]
pub struct Page {
    /// Virtual time.
    pub now_us: i64,
    /// The payout asked about, as of now.
    pub payout: Option<Payout>,
    /// The money.
    pub funds: Funds,
    /// Written by [`Page::settle`].
    pub flows: Vec<Flow>,
    /// Written by [`Page::settle`].
    pub changes: Vec<Change>,
}

impl Page {
    /// What the changes of the payout do to the money.
    pub fn settle(&mut self) {
        let Some(payout) = self.payout.as_mut() else { return };
        for change in std::mem::take(&mut payout.changes) {
            let amount = payout.amount_minor;
            let funds = &mut self.funds;
            let locked = change.from.is_some_and(State::locks);
            match (locked, change.to.locks()) {
                (false, true) => {
                    funds.available_minor = funds.available_minor.saturating_sub(amount);
                    funds.locked_minor = funds.locked_minor.saturating_add(amount);
                }
                (true, false) => funds.locked_minor = funds.locked_minor.saturating_sub(amount),
                _ => {}
            }
            let moved = match change.to {
                State::Paid => amount.saturating_neg(),
                State::Refunded => amount,
                _ => 0,
            };
            if matches!(change.to, State::Failed | State::Cancelled | State::Refunded) {
                funds.available_minor = funds.available_minor.saturating_add(amount);
            }
            if moved != 0 {
                self.flows.push(Flow {
                    id: 0,
                    provider: payout.provider,
                    at_us: change.at_us,
                    number: payout.number.clone(),
                    third_no: payout.third_no.clone(),
                    amount_minor: moved,
                    balance_minor: funds.balance_minor(),
                    note: if moved < 0 { "payout" } else { "refund" }.to_owned(),
                });
            }
            self.changes.push(change);
        }
    }

    /// The states that a merchant is notified of: how it ended.
    pub fn endings(&self) -> impl Iterator<Item = &Change> {
        let ends = |state| !State::locks(state);
        self.changes.iter().filter(move |change| ends(change.to))
    }
}
