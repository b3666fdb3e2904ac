//! Studies of the whole system: measurements that are not a round-by-round comparison of servers.
//!
//! A study starts what it needs, measures, checks that the money is right, and tells findings, each
//! with its goal where there is one. Must not know: how comparisons are made.

pub mod cash_outs;
mod filling;
pub mod finding;
mod growth;
mod memory;
mod people;
mod probe;
pub mod programs;
mod recovery;
mod start_up;
mod statements;

use std::fmt::Write;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde::Serialize;

use crate::comparison::Effort;
use crate::engine::{Engine, Kind};
use finding::Finding;

/// What a study works with.
pub struct Bench<'a> {
    /// Where databases come from.
    pub engine: &'a Engine,
    /// How often and how long is measured.
    pub effort: Effort,
    /// Entries of a long history.
    pub entries: u64,
}

/// What a study showed, and what forbids to believe it.
#[derive(Debug, Default, Serialize)]
pub struct Shown {
    /// In the order they are read.
    pub findings: Vec<Finding>,
    /// What was checked afterwards, in words.
    pub checks: Vec<String>,
    /// What was wrong, in words; nothing when the findings may be believed.
    pub faults: Vec<String>,
}

type Run = for<'a> fn(&'a Bench<'a>) -> LocalBoxFuture<'a, anyhow::Result<Shown>>;

/// One row of the table.
pub struct Study {
    /// How it is named on the command line, beside the scenarios.
    pub name: &'static str,
    /// The engines it means something on.
    pub engines: &'static [Kind],
    /// Carries it out.
    pub run: Run,
}

/// Every study, in the order they run.
pub const STUDIES: &[Study] = &[
    study("recovery", |bench| recovery::run(bench).boxed_local()),
    study("start-up", |bench| start_up::run(bench).boxed_local()),
    study("memory", |bench| memory::run(bench).boxed_local()),
    study("cash-outs", |bench| cash_outs::run(bench).boxed_local()),
    study("growth", |bench| growth::run(bench).boxed_local()),
    study("statements", |bench| statements::run(bench).boxed_local()),
];

const fn study(name: &'static str, run: Run) -> Study {
    Study { name, engines: &[Kind::Sqlite, Kind::Postgres], run }
}

/// The programs that studies need besides the one that comparisons build.
pub const PROGRAMS: &[&str] = &["withdraw-service", "gateway", "cashout"];

/// A study that was carried out.
#[derive(Debug, Serialize)]
pub struct Studied {
    /// The study's name.
    pub study: &'static str,
    /// What it showed.
    #[serde(flatten)]
    pub shown: Shown,
}

impl Study {
    /// Carries it out.
    pub async fn carry_out(&self, bench: &Bench<'_>) -> anyhow::Result<Studied> {
        Ok(Studied { study: self.name, shown: (self.run)(bench).await? })
    }
}

impl Studied {
    /// What forbids to believe it.
    pub fn faults(&self) -> Vec<String> {
        self.shown.faults.iter().map(|fault| format!("{}: {fault}", self.study)).collect()
    }
}

/// The names of all studies.
pub fn names() -> Vec<&'static str> {
    STUDIES.iter().map(|study| study.name).collect()
}

/// Takes the studies out of a list of names. The rest are names of scenarios; without any name at all
/// every study is meant.
pub fn taken(names: Vec<String>) -> (Vec<&'static Study>, Vec<String>) {
    let wanted = |study: &&Study| names.is_empty() || names.iter().any(|name| name == study.name);
    let studies: Vec<&Study> = STUDIES.iter().filter(wanted).collect();
    let rest = names.into_iter().filter(|name| STUDIES.iter().all(|s| s.name != name)).collect();
    (studies, rest)
}

/// The table of all findings; nothing when there was no study.
pub fn table(out: &mut String, studies: &[Studied]) -> std::fmt::Result {
    if studies.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| study | what | found | goal | met |")?;
    writeln!(out, "|---|---|--:|--:|---|")?;
    for Studied { study, shown } in studies {
        for Finding { what, value, goal, met, .. } in &shown.findings {
            let goal = if goal.is_empty() { "–" } else { goal };
            let met = match met {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "–",
            };
            writeln!(out, "| {study} | {what} | {value} | {goal} | {met} |")?;
        }
    }
    writeln!(out)?;
    for Studied { study, shown } in studies {
        for check in &shown.checks {
            writeln!(out, "- {study}: {check}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::finding::Number;
    use super::*;
    use crate::load::scenario::SCENARIOS;

    #[test]
    fn names_of_studies_and_scenarios_differ() {
        let mut all: Vec<&str> = SCENARIOS.iter().map(|s| s.name).chain(names()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn names_are_shared_out_between_studies_and_scenarios() {
        assert_eq!(taken(vec![]).0.len(), STUDIES.len());
        for study in STUDIES {
            let (studies, rest) = taken(vec!["credit-1".to_owned(), study.name.to_owned()]);
            assert_eq!(studies.iter().map(|s| s.name).collect::<Vec<_>>(), [study.name]);
            assert_eq!(rest, ["credit-1"]);
        }
    }

    #[test]
    fn the_table_says_what_is_not_met() -> anyhow::Result<()> {
        let found = |most| Finding::new("ready", Number::Us(7)).at_most(Number::Us(most));
        let shown = Shown {
            findings: vec![found(7), found(6)],
            checks: vec!["clean".to_owned()],
            faults: vec![],
        };
        let mut out = String::new();
        table(&mut out, &[Studied { study: "recovery", shown }])?;
        assert!(out.contains("| recovery | ready | 7 µs | ≤ 7 µs | yes |"), "{out}");
        assert!(out.contains("| recovery | ready | 7 µs | ≤ 6 µs | **no** |"), "{out}");
        assert!(out.contains("- recovery: clean"), "{out}");
        Ok(())
    }
}
