//! Whether what was measured was also right: a fast wrong ledger does not count.
//!
//! Two independent looks. From outside: the money that the accounts hold is the money whose movements
//! were answered. From inside: every guarantee of the real service, on the database it left behind.

use serde::Serialize;

use crate::load::seen::Moved;
use crate::load::{Client, money};

/// What a ledger must hold after a load, minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Money {
    /// The least: nothing happened of what was not answered.
    pub least: i64,
    /// The most: all of it did.
    pub most: i64,
    /// What is there.
    pub found: i64,
}

impl Money {
    /// Counts a server's money, after so much was given to each and so much has moved since.
    pub async fn count(
        clients: &[Client],
        people: i64,
        funds: i64,
        moved: Moved,
    ) -> anyhow::Result<Self> {
        Ok(Self::told(funds * people, moved, money(clients, people).await?))
    }

    /// What was found, beside what must be.
    pub fn told(before: i64, moved: Moved, found: i64) -> Self {
        let sure = before + moved.surely;
        Self { least: sure - moved.maybe_out, most: sure + moved.maybe_in, found }
    }

    /// Whether it is what it must be.
    pub fn right(self) -> bool {
        (self.least..=self.most).contains(&self.found)
    }
}

/// The result of the real service's own checks.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Checks that were run.
    pub checks: usize,
    /// Entries that the longest of them looked at.
    pub rows: u64,
    /// Violations of all of them; 0 when every promise holds.
    pub violations: u64,
    /// The first few, in words.
    pub examples: Vec<String>,
    /// How long it took, milliseconds.
    pub ms: u64,
}

/// Runs them.
pub async fn verify(url: &str) -> anyhow::Result<Verified> {
    let report = account_service::verify(url).await?;
    let checks = &report.checks;
    Ok(Verified {
        checks: checks.len(),
        rows: checks.iter().map(|c| c.rows).max().unwrap_or_default(),
        violations: checks.iter().map(|c| c.violations).sum(),
        examples: checks.iter().flat_map(|c| c.examples.clone()).take(5).collect(),
        ms: checks.iter().map(|c| c.ms).sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_answered_may_have_happened_or_not() {
        let moved = [
            Moved::surely(90),
            Moved::surely(-3),
            Moved::maybe(5),
            Moved::maybe(-2),
            Moved::maybe(0),
        ];
        let moved: Moved = moved.into_iter().sum();
        let money = Money::told(1000, moved, 1000);
        assert_eq!((money.least, money.most), (1085, 1092));
        assert!(!money.right());
        assert!(Money { least: 1, most: 3, found: 3 }.right());
        assert!(!Money { least: 1, most: 3, found: 4 }.right());
    }
}
