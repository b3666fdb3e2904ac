//! Whether what was measured was also right: a fast wrong ledger does not count.
//!
//! Two independent looks. From outside: the money that the accounts hold is the money whose movements
//! were answered. From inside: every guarantee of the real service, on the database it left behind.

use serde::Serialize;

use crate::load::scenario::Act;
use crate::load::{Client, FUNDS, money};

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
    /// Counts a server's money. Every movement moves one minor unit.
    pub async fn count(
        clients: &[Client],
        act: Act,
        people: i64,
        funded: bool,
        (answered, failed): (u64, u64),
    ) -> anyhow::Result<Self> {
        let funds = if funded { FUNDS * people } else { 0 };
        let (least, most) = expected(act, funds, i64::try_from(answered)?, i64::try_from(failed)?);
        Ok(Self { least, most, found: money(clients, people).await? })
    }

    /// Whether it is what it must be.
    pub fn right(self) -> bool {
        (self.least..=self.most).contains(&self.found)
    }
}

fn expected(act: Act, funds: i64, answered: i64, failed: i64) -> (i64, i64) {
    match act {
        Act::Credit | Act::Batch => (funds + answered, funds + answered + failed),
        Act::Between => (funds, funds),
        Act::HoldAndSettle => (funds - answered - failed, funds - answered),
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
    fn every_act_leaves_the_money_it_must() {
        for (act, least, most) in [
            (Act::Credit, 1090, 1093),
            (Act::Batch, 1090, 1093),
            (Act::Between, 1000, 1000),
            (Act::HoldAndSettle, 907, 910),
        ] {
            assert_eq!(expected(act, 1000, 90, 3), (least, most));
        }
        assert!(Money { least: 1, most: 3, found: 3 }.right());
        assert!(!Money { least: 1, most: 3, found: 4 }.right());
    }
}
