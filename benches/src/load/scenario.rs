//! The one table of scenarios. Must not know: who is asked, or how long.

use super::population::Population;

/// People in every scenario that spreads its load.
const PEOPLE: u32 = 10_000;

/// What one caller does again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A unary credit.
    Credit,
    /// A unary transfer between two persons.
    Between,
    /// A hold, and when it is answered its settlement; both together count once.
    HoldAndSettle,
    /// A batch of 1,000 independent credits; every credit counts.
    Batch,
}

/// How the load is spread over accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Over all alike.
    Uniform,
    /// All on one.
    One,
    /// The k-th as often as 1/k.
    Zipf,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// How it is named on the command line.
    pub name: &'static str,
    /// What is done.
    pub act: Act,
    /// On which accounts.
    pub spread: Spread,
    /// Callers at a time.
    pub in_flight: usize,
    /// What the baseline does meanwhile: callers of the same act, or of unary credits where it has no
    /// such act.
    pub baseline: (Act, usize),
    /// Whether the echo server is measured too.
    pub echo: bool,
}

const fn unary(name: &'static str, act: Act, spread: Spread, in_flight: usize) -> Scenario {
    let echo = matches!((act, spread), (Act::Credit, Spread::Uniform));
    Scenario { name, act, spread, in_flight, baseline: (act, in_flight), echo }
}

/// Every scenario, in the order they run.
pub const SCENARIOS: &[Scenario] = &[
    unary("credit-1", Act::Credit, Spread::Uniform, 1),
    unary("credit-8", Act::Credit, Spread::Uniform, 8),
    unary("credit-64", Act::Credit, Spread::Uniform, 64),
    unary("credit-256", Act::Credit, Spread::Uniform, 256),
    unary("credit-1024", Act::Credit, Spread::Uniform, 1024),
    unary("one-account-256", Act::Credit, Spread::One, 256),
    unary("zipf-256", Act::Credit, Spread::Zipf, 256),
    unary("between-256", Act::Between, Spread::Uniform, 256),
    unary("hold-settle-256", Act::HoldAndSettle, Spread::Uniform, 256),
    Scenario {
        name: "batch-1000",
        act: Act::Batch,
        spread: Spread::Uniform,
        in_flight: 4,
        baseline: (Act::Credit, 256),
        echo: false,
    },
];

impl Scenario {
    /// The people of this scenario.
    pub fn population(&self) -> Population {
        match self.spread {
            Spread::Uniform => Population::Uniform(i64::from(PEOPLE)),
            Spread::One => Population::One,
            Spread::Zipf => Population::zipf(u64::from(PEOPLE)),
        }
    }

    /// Whether people need money before it begins.
    pub fn needs_funds(&self) -> bool {
        matches!(self.act, Act::Between | Act::HoldAndSettle)
    }
}

impl Act {
    /// Movements of money that one answered call of it carries out.
    pub fn counts(self) -> u64 {
        if self == Self::Batch { super::BATCH } else { 1 }
    }
}

/// The scenarios of those names, or all without any.
pub fn named(names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let unknown = names.iter().find(|name| SCENARIOS.iter().all(|s| s.name != name.as_str()));
    if let Some(name) = unknown {
        let known: Vec<&str> = SCENARIOS.iter().map(|s| s.name).collect();
        anyhow::bail!("there is no scenario {name}; there are {}", known.join(", "));
    }
    let wanted = |s: &&Scenario| names.is_empty() || names.iter().any(|name| name == s.name);
    Ok(SCENARIOS.iter().filter(wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_unknown_ones_are_told() -> anyhow::Result<()> {
        assert_eq!(named(&[])?.len(), SCENARIOS.len());
        for scenario in SCENARIOS {
            assert_eq!(named(&[scenario.name.to_owned()])?.len(), 1);
        }
        assert!(named(&["credit-256".to_owned(), "credit-7".to_owned()]).is_err());
        Ok(())
    }
}
