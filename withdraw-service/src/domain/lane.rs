//! Who can keep an effect waiting: the ledger, or the provider behind a method. Each lane has its own
//! places in the worker, so that one that does not answer holds nobody else up.
//!
//! What waits for a time far ahead or for a channel to be resumed is in a lane of its own, where it keeps
//! nobody from finding what is due.
//!
//! Must not know: how many places there are, who works.

use super::method::Method;
use super::withdrawal::{Due, Withdrawal};

/// Effects that wait for the same other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Placing, settling and releasing holds.
    Ledger,
    /// Paying by one method.
    Payout(Method),
    /// Not to be begun yet, see `Due::held`.
    Held,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Ledger,
        Self::Payout(Method::Manual),
        Self::Payout(Method::Wechat),
        Self::Payout(Method::Alipay),
        Self::Held,
    ];

    /// Who can keep what is due of a withdrawal waiting; `None` when nothing is due.
    #[must_use]
    pub fn of(w: &Withdrawal) -> Option<Self> {
        let Due { effect, held, .. } = w.due;
        Some(match effect? {
            _ if held => Self::Held,
            effect if effect.asks_provider() => Self::Payout(w.method),
            _ => Self::Ledger,
        })
    }

    /// A number for statements: the method's, -1 or -2.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Ledger => -1,
            Self::Payout(method) => i64::from(method.number()),
            Self::Held => -2,
        }
    }

    /// The lane of that number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_lane_and_every_lane_is_found_by_its_number() {
        for method in Method::ALL {
            assert!(Lane::ALL.contains(&Lane::Payout(method)));
        }
        for lane in Lane::ALL {
            assert_eq!(Lane::from_number(lane.number()), Some(lane));
        }
        assert_eq!(Lane::from_number(99), None);
    }
}
