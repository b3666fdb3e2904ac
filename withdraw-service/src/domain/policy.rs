//! What a cash-out costs and how much a person may take (docs/http.md section 3, "Policy
//! settings"). Exact decimals; never a binary float. Must not know: settings' names, accounts.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

/// The rules of an operator.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Least amount of one request.
    pub min_minor: i64,
    /// Most of one request.
    pub max_minor: i64,
    /// Most a person may request per local day; equal is allowed.
    pub daily_minor: i64,
    /// Days between two requests of a person; 0 for none.
    pub interval_days: i64,
    /// Part of the amount that is kept, 0 to 1.
    pub fee_rate: Decimal,
    /// Above this amount two reviewers are needed; `None` means never.
    pub two_reviewers_above_minor: Option<i64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            min_minor: 1,
            max_minor: 500_000,
            daily_minor: 500_000,
            interval_days: 0,
            fee_rate: Decimal::ZERO,
            two_reviewers_above_minor: None,
        }
    }
}

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

impl Policy {
    /// The fee of an amount: amount times rate, exact, rounded up to the cent. `None` on overflow.
    #[must_use]
    pub fn fee_minor(&self, apply_minor: i64) -> Option<i64> {
        let exact = Decimal::from(apply_minor).checked_mul(self.fee_rate)?;
        exact.round_dp_with_strategy(0, RoundingStrategy::ToPositiveInfinity).to_i64()
    }

    /// How many different reviewers an amount needs.
    #[must_use]
    pub fn reviewers_required(&self, apply_minor: i64) -> i64 {
        match self.two_reviewers_above_minor {
            Some(above) if apply_minor > above => 2,
            _ => 1,
        }
    }

    /// What is left of the day after `used_minor`.
    #[must_use]
    pub fn daily_left_minor(&self, used_minor: i64) -> i64 {
        self.daily_minor.saturating_sub(used_minor).max(0)
    }

    /// When the person may ask again after a request at `last_us`.
    #[must_use]
    pub fn next_request_us(&self, last_us: i64) -> i64 {
        match self.interval_days {
            0 => 0,
            // Document 3's origin refuses while created_at >= now - N days, so the moment itself is too soon.
            days => last_us.saturating_add(days.saturating_mul(DAY_US)).saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fee(apply_minor: i64, rate: &str) -> Option<i64> {
        let fee_rate = rate.parse().ok()?;
        Policy { fee_rate, ..Policy::default() }.fee_minor(apply_minor)
    }

    #[test]
    fn fees_are_exact_and_rounded_up_to_the_cent() {
        for (apply_minor, rate, minor) in [
            // The first three are where binary floats give one cent too much.
            (700, "0.01", 7),
            (1400, "0.01", 14),
            (20, "0.05", 1),
            (100, "0.01", 1),
            (101, "0.01", 2),
            (1, "0.01", 1),
            (1, "0", 0),
            (1, "1", 1),
            (500_000, "0.006", 3_000),
            (333, "0.3333", 111),
            (9_007_199_254_740_991, "0.000000000001", 9_008),
        ] {
            assert_eq!(fee(apply_minor, rate), Some(minor), "{apply_minor} at {rate}");
        }
    }

    #[test]
    fn the_fee_is_never_more_than_a_cent_above_the_exact_one() {
        for apply_minor in 1..=50_000 {
            let (minor, exact) = (fee(apply_minor, "0.01"), apply_minor / 100);
            let up = i64::from(apply_minor % 100 != 0);
            assert_eq!(minor, Some(exact + up), "{apply_minor}");
        }
    }

    #[test]
    fn reviewers_and_limits_follow_the_policy() {
        let policy =
            Policy { two_reviewers_above_minor: Some(100), interval_days: 2, ..Policy::default() };
        assert_eq!([100, 101].map(|a| policy.reviewers_required(a)), [1, 2]);
        assert_eq!(Policy::default().reviewers_required(500_000), 1);
        assert_eq!(policy.daily_left_minor(600_000), 0);
        assert_eq!(policy.next_request_us(5), 2 * DAY_US + 6);
        assert_eq!(Policy::default().next_request_us(5), 0);
    }
}
