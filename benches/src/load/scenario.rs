//! The one table of scenarios. Must not know: who is asked, or how long.

use super::population::Population;
pub use super::step::{Act, Step};
use crate::target::Target;

/// People in a scenario that spreads its load.
const PEOPLE: u32 = 10_000;
/// People in a scenario of many.
const MILLION: u32 = 1_000_000;

/// How the load is spread over accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Over so many alike.
    Uniform(u32),
    /// All on one.
    One,
    /// Over so many, the k-th as often as 1/k.
    Zipf(u32),
}

/// Arrivals that do not wait for answers, after the rounds of a closed loop have shown the peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// At half of the peak.
    HalfPeak,
    /// At ten times the peak, between two times of half of it.
    Overload,
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
    /// Whether the raw limit of batched writes is measured too.
    pub raw: bool,
    /// Whether ours is measured with the same load on accounts alike too.
    pub alike: bool,
    /// What follows in an open loop, with unary credits.
    pub open: Option<Open>,
    /// Whether it is run when no scenario is named: its preparation does not take longer than itself.
    pub usual: bool,
}

const fn unary(name: &'static str, act: Act, spread: Spread, in_flight: usize) -> Scenario {
    let echo = matches!((act, spread), (CREDIT, Spread::Uniform(PEOPLE)));
    let baseline = (act, in_flight);
    let (raw, alike, open, usual) = (false, false, None, true);
    Scenario { name, act, spread, in_flight, baseline, echo, raw, alike, open, usual }
}

const fn open(name: &'static str, open: Open) -> Scenario {
    Scenario { echo: false, open: Some(open), ..unary(name, CREDIT, ALIKE, 256) }
}

const CREDIT: Act = Act::Only(Step::Credit);
const ALIKE: Spread = Spread::Uniform(PEOPLE);

/// Every scenario, in the order they run.
pub const SCENARIOS: &[Scenario] = &[
    unary("credit-1", CREDIT, ALIKE, 1),
    unary("credit-8", CREDIT, ALIKE, 8),
    unary("credit-64", CREDIT, ALIKE, 64),
    unary("credit-256", CREDIT, ALIKE, 256),
    unary("credit-1024", CREDIT, ALIKE, 1024),
    Scenario { usual: false, ..unary("credit-256-million", CREDIT, Spread::Uniform(MILLION), 256) },
    Scenario { alike: true, ..unary("one-account-256", CREDIT, Spread::One, 256) },
    unary("zipf-256", CREDIT, Spread::Zipf(PEOPLE), 256),
    unary("between-256", Act::Only(Step::Between), ALIKE, 256),
    unary("hold-settle-256", Act::Only(Step::HoldAndSettle), ALIKE, 256),
    unary("day-256", Act::Day, ALIKE, 256),
    unary("reads-256", Act::ReadsBesideWrites, ALIKE, 256),
    Scenario {
        baseline: (CREDIT, 256),
        raw: true,
        ..unary("batch-1000", Act::Only(Step::Batch), ALIKE, 4)
    },
    open("half-peak", Open::HalfPeak),
    open("overload", Open::Overload),
];

impl Scenario {
    /// Whether a turn of a quarter of a second shows it whole: many answers of one sort, and nothing after the rounds.
    pub fn fits_short_turns(&self) -> bool {
        let one_sort = !matches!(self.act, Act::Only(Step::Batch) | Act::ReadsBesideWrites);
        one_sort && self.open.is_none()
    }

    /// The people whom a server is asked about.
    pub fn population(&self, target: Target) -> Population {
        match if target == Target::Alike { ALIKE } else { self.spread } {
            Spread::Uniform(people) => Population::Uniform(i64::from(people)),
            Spread::One => Population::One,
            Spread::Zipf(people) => Population::zipf(u64::from(people)),
        }
    }

    /// What every person has before it begins, minor units.
    pub fn funds(&self) -> i64 {
        if self.act.needs_funds() { super::FUNDS } else { 0 }
    }
}

/// The scenarios of those names, or the usual ones without any.
pub fn named(names: &[String]) -> anyhow::Result<Vec<Scenario>> {
    let unknown = names.iter().find(|name| SCENARIOS.iter().all(|s| s.name != name.as_str()));
    if let Some(name) = unknown {
        let known: Vec<&str> = SCENARIOS.iter().map(|s| s.name).collect();
        anyhow::bail!("there is no scenario {name}; there are {}", known.join(", "));
    }
    let wanted = |s: &&Scenario| {
        if names.is_empty() { s.usual } else { names.iter().any(|name| name == s.name) }
    };
    Ok(SCENARIOS.iter().filter(wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_unknown_ones_are_told() -> anyhow::Result<()> {
        let usual = SCENARIOS.iter().filter(|s| s.usual).count();
        assert_eq!(named(&[])?.len(), usual);
        for scenario in SCENARIOS {
            assert_eq!(named(&[scenario.name.to_owned()])?.len(), 1);
        }
        let long = SCENARIOS.iter().filter(|s| !s.fits_short_turns()).map(|s| s.name);
        assert_eq!(long.collect::<Vec<_>>(), ["reads-256", "batch-1000", "half-peak", "overload"]);
        assert!(named(&["credit-256".to_owned(), "credit-7".to_owned()]).is_err());
        Ok(())
    }
}
