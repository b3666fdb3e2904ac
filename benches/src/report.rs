//! The result of a run: everything as JSON, and the tables for people, in Markdown.

use std::fmt::Write;

use serde::Serialize;

use crate::comparison::{Comparison, Effort, Subject};
use crate::engine::Description;
use crate::goal::{Verdict, verdicts};
use crate::machine::Machine;
use crate::study::{self, Studied};
use crate::summary::{cpu, median, mib, shown, spread, time};
use crate::tables;
use crate::target::Target;

/// From here on the absolute figures are somebody else's as well.
const NOISY_PERMILLE: u64 = 50;

/// Everything a run showed.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it ran on.
    pub machine: Machine,
    /// The engine.
    pub engine: Description,
    /// How much was measured.
    pub effort: Effort,
    /// The scenarios, in the order they ran.
    pub comparisons: Vec<Comparison>,
    /// The studies that followed.
    pub studies: Vec<Studied>,
}

impl Report {
    /// What forbids to believe the figures; empty when nothing does.
    pub fn faults(&self) -> Vec<String> {
        let studies = self.studies.iter().flat_map(Studied::faults);
        self.comparisons.iter().flat_map(Comparison::faults).chain(studies).collect()
    }

    /// What part of the machine's CPU time went to strangers, per mille: the median over all rounds,
    /// and the worst round.
    fn noise_permille(&self) -> (u64, u64) {
        let rounds = self.comparisons.iter().flat_map(|c| &c.subjects).flat_map(|s| &s.rounds);
        let all: Vec<u64> = rounds.map(|r| r.others_permille).collect();
        let worst = all.iter().copied().max().unwrap_or_default();
        (median(all), worst)
    }

    /// Everything, with the verdicts on the goals.
    pub fn json(&self) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Judged<'a> {
            #[serde(flatten)]
            report: &'a Report,
            goals: Vec<Verdict>,
        }
        serde_json::to_string_pretty(&Judged { report: self, goals: self.goals() })
    }

    /// Whether two builds were compared, and nobody else.
    fn builds(&self) -> bool {
        self.comparisons.iter().any(|c| c.of(Target::Beside).is_some())
    }

    /// Goals are about what others do beside ours.
    fn goals(&self) -> Vec<Verdict> {
        if self.builds() {
            return vec![];
        }
        verdicts(self.engine.engine, &self.comparisons)
    }

    /// The tables.
    pub fn markdown(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        self.head(&mut out)?;
        if !self.comparisons.is_empty() {
            tables::short_rounds(&mut out, &self.comparisons)?;
            if self.builds() {
                tables::builds(&mut out, &self.comparisons)?;
            } else {
                self.ratios(&mut out)?;
                self.judged(&mut out)?;
            }
            self.figures(&mut out)?;
            tables::reads(&mut out, &self.comparisons)?;
            tables::pressure(&mut out, &self.comparisons)?;
            tables::disk(&mut out, &self.comparisons)?;
            self.checks(&mut out)?;
        }
        study::table(&mut out, &self.studies)?;
        Ok(out)
    }

    fn head(&self, out: &mut String) -> std::fmt::Result {
        let Description { engine, version, durability, file_system, sync_us } = &self.engine;
        let Effort { rounds, round_ms, seed } = self.effort;
        let machine = &self.machine;
        let Machine { processors, model, memory_mib, kernel, writes_back, autogroup, .. } = machine;
        let Machine { version: ours, revision, .. } = machine;
        writeln!(out, "- Engine: {engine} {version}; {durability}; files on {file_system}, where")?;
        writeln!(out, "  one durable write takes {}", time(*sync_us))?;
        writeln!(
            out,
            "- Machine: {processors} × {model}, {memory_mib} MiB, Linux {kernel}; client,"
        )?;
        writeln!(out, "  service and database share it; files are written back {writes_back};")?;
        writeln!(out, "  kernel.sched_autogroup_enabled is {autogroup}")?;
        writeln!(out, "- Version: {ours}, revision {revision}; seed {seed}; {rounds} rounds of")?;
        writeln!(out, "  {round_ms} ms per server and scenario, in turn; medians")?;
        if self.comparisons.is_empty() {
            // Studies do not measure it.
            return writeln!(out);
        }
        let (noise, worst) = self.noise_permille();
        let percent = |permille: u64| format!("{}.{} %", permille / 10, permille % 10);
        writeln!(
            out,
            "- CPU time that went to strangers: {}, in the worst round {}",
            percent(noise),
            percent(worst)
        )?;
        // In a turn of a quarter of a second a tick of the clock is a part of it already.
        if (if self.builds() { noise } else { worst }) > NOISY_PERMILLE {
            writeln!(out, "  **Others used this machine: only the ratios mean anything.**")?;
        }
        writeln!(out)
    }

    fn ratios(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "| scenario | throughput, × baseline (least – most) | p50, × baseline | p99, × baseline \
             | service CPU per movement, × baseline | all CPU, × baseline | throughput, × echo | × raw | goals met |"
        )?;
        writeln!(out, "|---|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        let goals = self.goals();
        for comparison in &self.comparisons {
            let ratio = |of, below| comparison.ratio(of, Target::Ours, below);
            let one = |of| shown(ratio(of, Target::Baseline));
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                comparison.scenario,
                spread(ratio(|r| r.per_second, Target::Baseline)),
                one(|r| r.p50_us),
                one(|r| r.p99_us),
                one(|r| r.cost.service_cpu_ns),
                one(|r| r.cost.all_ns()),
                shown(ratio(|r| r.per_second, Target::Echo)),
                shown(comparison.raw().and_then(|raw| ratio(|r| r.per_second, raw))),
                tally(&goals, comparison.scenario),
            )?;
        }
        writeln!(out)
    }

    fn judged(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "| scenario | measure | goal | in this run | met |")?;
        writeln!(out, "|---|---|--:|--:|---|")?;
        for verdict in self.goals() {
            let Verdict { scenario, measure, goal, found, met, .. } = verdict;
            let found = found.unwrap_or_else(|| "not measured".to_owned());
            let met = match met {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "–",
            };
            writeln!(out, "| {scenario} | {measure} | {goal} | {found} | {met} |")?;
        }
        writeln!(out)
    }

    fn figures(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "| scenario | server | per second | p50 | p99 | CPU µs per movement: service | database \
             | client | memory MiB at rest | after load |"
        )?;
        writeln!(out, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")?;
        for comparison in &self.comparisons {
            for subject in &comparison.subjects {
                figure(out, comparison.scenario, subject)?;
            }
        }
        writeln!(out)
    }

    fn checks(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "| scenario | server | money expected | found | checks of the ledger | rows | violations |"
        )?;
        writeln!(out, "|---|---|--:|--:|--:|--:|--:|")?;
        for comparison in &self.comparisons {
            for subject in &comparison.subjects {
                let Some(money) = subject.money else { continue };
                let expected = if money.least == money.most {
                    money.least.to_string()
                } else {
                    format!("{} to {}", money.least, money.most)
                };
                let verified = subject.verified.as_ref().map_or_else(
                    || "– | – | –".to_owned(),
                    |v| format!("{} | {} | {}", v.checks, v.rows, v.violations),
                );
                let (scenario, who, found) =
                    (comparison.scenario, subject.target.name(), money.found);
                writeln!(out, "| {scenario} | {who} | {expected} | {found} | {verified} |")?;
            }
        }
        Ok(())
    }
}

fn figure(out: &mut String, scenario: &str, subject: &Subject) -> std::fmt::Result {
    let after = subject.rounds.iter().map(|r| r.memory.peak_kib).max().unwrap_or_default();
    writeln!(
        out,
        "| {scenario} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        subject.target.name(),
        subject.median(|r| r.per_second),
        time(subject.median(|r| r.p50_us)),
        time(subject.median(|r| r.p99_us)),
        cpu(subject.median(|r| r.cost.service_cpu_ns)),
        cpu(subject.median(|r| r.cost.database_cpu_ns)),
        cpu(subject.median(|r| r.cost.client_cpu_ns)),
        mib(subject.at_rest.resident_kib),
        mib(after),
    )
}

/// How many of a scenario's own goals were met.
fn tally(goals: &[Verdict], scenario: &str) -> String {
    let own = goals.iter().filter(|v| v.scenario == scenario);
    let (met, all) =
        own.fold((0, 0), |(met, all), v| (met + u32::from(v.met == Some(true)), all + 1));
    if all == 0 { "–".to_owned() } else { format!("{met} of {all}") }
}
