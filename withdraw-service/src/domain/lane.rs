//! Who can keep an effect waiting: the ledger, or the provider behind a method. Each lane has its own
//! places in the worker, so that one that does not answer holds nobody else up.
//!
//! Must not know: how many places there are, who works.

use super::method::Method;
use super::status::Effect;

/// Effects that wait for the same other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Placing, settling and releasing holds.
    Ledger,
    /// Paying by one method.
    Payout(Method),
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Ledger,
        Self::Payout(Method::Manual),
        Self::Payout(Method::Wechat),
        Self::Payout(Method::Alipay),
    ];

    /// The lane of an effect of a withdrawal by that method.
    #[must_use]
    pub const fn of(effect: Effect, method: Method) -> Self {
        if effect.asks_provider() { Self::Payout(method) } else { Self::Ledger }
    }

    /// A number for statements: the method's, or -1.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Ledger => -1,
            Self::Payout(method) => i64::from(method.number()),
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
    fn every_effect_of_every_method_has_a_lane_that_is_found_again() {
        for method in Method::ALL {
            for effect in Effect::ALL {
                let lane = Lane::of(*effect, method);
                assert_eq!(Lane::from_number(lane.number()), Some(lane));
                let pays = matches!(effect, Effect::Pay | Effect::Send | Effect::Query);
                assert_eq!(lane, if pays { Lane::Payout(method) } else { Lane::Ledger });
            }
        }
        assert_eq!(Lane::from_number(99), None);
    }
}
