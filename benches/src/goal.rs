//! The one table of goals, and whether a run met them. Ratios are of one run, medians over its rounds.
//!
//! A goal that a run did not measure is told as such, never as met. Must not know: how anything is
//! measured, or how a verdict is shown.

use serde::Serialize;

use crate::comparison::Comparison;
use crate::pressure::{HALF_PEAK, OVERLOAD, WATCHED_MS};
use crate::summary::{mib, thousandths, time};
use crate::target::Target;

/// In place of a scenario's name: holds in every scenario, and the worst counts.
pub const EVERYWHERE: &str = "every scenario";

/// What a goal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Our movements per second as a part of the baseline's, per mille.
    Throughput,
    /// Our median latency as a part of the baseline's, per mille.
    P50,
    /// Our movements per second as a part of the echo's, per mille.
    OfEcho,
    /// Our movements per second as a part of the raw limit of batched writes, per mille.
    OfRaw,
    /// 99 of 100 of our calls, from when they were due, in the named stretch of an open loop,
    /// microseconds.
    P99(&'static str),
    /// Of our refusals under overload those that told when to come again, per mille.
    ToldWhen,
    /// From the end of an overload until our latency was back, milliseconds.
    Back,
    /// Our movements per second as a part of ours with the same load on accounts alike, per mille.
    OfAlike,
    /// Our memory before the first call, KiB.
    AtRest,
    /// The most memory we ever held, KiB.
    UnderLoad,
}

/// Where the figure has to be, in the measure's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// There or above.
    AtLeast(u64),
    /// There or below.
    AtMost(u64),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// The scenario's name, or [`EVERYWHERE`].
    pub scenario: &'static str,
    /// On which engine; empty means on both.
    pub engine: &'static str,
    /// What is looked at.
    pub measure: Measure,
    /// Where it has to be.
    pub bound: Bound,
}

const fn goal(
    engine: &'static str,
    scenario: &'static str,
    measure: Measure,
    bound: Bound,
) -> Goal {
    Goal { scenario, engine, measure, bound }
}

/// Every goal, in the order of the scenarios.
pub const GOALS: &[Goal] = {
    use Bound::{AtLeast, AtMost};
    use Measure::{
        AtRest, Back, OfAlike, OfEcho, OfRaw, P50, P99, Throughput, ToldWhen, UnderLoad,
    };
    &[
        goal("postgres", "credit-1", P50, AtMost(800)),
        goal("sqlite", "credit-64", Throughput, AtLeast(5_000)),
        goal("postgres", "credit-256", Throughput, AtLeast(8_000)),
        goal("sqlite", "credit-256", Throughput, AtLeast(6_000)),
        goal("postgres", "credit-256", P50, AtMost(166)),
        goal("postgres", "credit-256", OfEcho, AtLeast(500)),
        goal("postgres", "one-account-256", Throughput, AtLeast(20_000)),
        goal("postgres", "one-account-256", OfAlike, AtLeast(1_000)),
        goal("postgres", "zipf-256", Throughput, AtLeast(8_000)),
        goal("postgres", "between-256", Throughput, AtLeast(6_000)),
        goal("postgres", "hold-settle-256", Throughput, AtLeast(6_000)),
        goal("postgres", "batch-1000", Throughput, AtLeast(20_000)),
        goal("sqlite", "batch-1000", Throughput, AtLeast(12_000)),
        goal("postgres", "batch-1000", OfRaw, AtLeast(600)),
        goal("", "half-peak", P99(HALF_PEAK), AtMost(20_000)),
        goal("", "overload", P99(OVERLOAD), AtMost(1_000_000)),
        goal("", "overload", ToldWhen, AtLeast(1_000)),
        goal("", "overload", Back, AtMost(5_000)),
        goal("", EVERYWHERE, AtRest, AtMost(30 * 1024)),
        goal("", EVERYWHERE, UnderLoad, AtMost(150 * 1024)),
    ]
};

/// Whether a goal was met in this run.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The scenario's name, or [`EVERYWHERE`].
    pub scenario: &'static str,
    /// What was looked at, in words.
    pub measure: String,
    /// Where it has to be, for people.
    pub goal: String,
    /// The figure, for people; nothing when this run did not measure it.
    pub found: Option<String>,
    /// The bound, in the figure's unit: per mille, microseconds, milliseconds or KiB.
    pub bound: u64,
    /// The figure, in the same unit.
    pub figure: Option<u64>,
    /// Nothing when this run did not measure it.
    pub met: Option<bool>,
}

/// The verdicts on all goals of an engine whose scenarios were run.
pub fn verdicts(engine: &str, comparisons: &[Comparison]) -> Vec<Verdict> {
    let run = |goal: &&Goal| {
        (goal.engine.is_empty() || goal.engine == engine)
            && comparisons.iter().any(|c| [c.scenario, EVERYWHERE].contains(&goal.scenario))
    };
    GOALS.iter().filter(run).map(|goal| goal.judge(comparisons)).collect()
}

impl Goal {
    fn judge(&self, comparisons: &[Comparison]) -> Verdict {
        let concerned = comparisons
            .iter()
            .filter(|c| self.scenario == EVERYWHERE || c.scenario == self.scenario);
        let figures = concerned.filter_map(|c| self.measure.figure(c));
        let figure = match self.bound {
            Bound::AtLeast(_) => figures.min(),
            Bound::AtMost(_) => figures.max(),
        };
        let (sign, bound) = match self.bound {
            Bound::AtLeast(bound) => ("≥", bound),
            Bound::AtMost(bound) => ("≤", bound),
        };
        Verdict {
            scenario: self.scenario,
            measure: self.measure.words(),
            goal: format!("{sign} {}", self.measure.shown(bound)),
            found: figure.map(|figure| self.measure.shown(figure)),
            bound,
            figure,
            met: figure.map(|figure| self.bound.holds(figure)),
        }
    }
}

impl Bound {
    fn holds(self, figure: u64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
        }
    }
}

impl Measure {
    /// The figure of one comparison, if it has one.
    fn figure(self, one: &Comparison) -> Option<u64> {
        let ours = one.of(Target::Ours)?;
        let below = |target| Some(one.ratio(|r| r.per_second, Target::Ours, target)?.median);
        match self {
            Self::Throughput => below(Target::Baseline),
            Self::OfEcho => below(Target::Echo),
            Self::OfAlike => below(Target::Alike),
            Self::OfRaw => below(one.raw()?),
            Self::P99(name) => ours.pressure.as_ref()?.of(name).map(|stretch| stretch.p99_us),
            Self::ToldWhen => {
                let over = ours.pressure.as_ref()?.of(OVERLOAD)?;
                (over.told_when * 1000).checked_div(over.refused)
            }
            // What was not back while it was watched took at least that long.
            Self::Back => Some(ours.pressure.as_ref()?.back_ms.unwrap_or(WATCHED_MS)),
            Self::P50 => Some(one.ratio(|r| r.p50_us, Target::Ours, Target::Baseline)?.median),
            Self::AtRest => Some(ours.at_rest.resident_kib),
            Self::UnderLoad => {
                let pressed = ours.pressure.iter().map(|p| p.memory.peak_kib);
                ours.rounds.iter().map(|r| r.memory.peak_kib).chain(pressed).max()
            }
        }
    }

    fn words(self) -> String {
        match self {
            Self::Throughput => "throughput, × baseline".to_owned(),
            Self::P50 => "p50, × baseline".to_owned(),
            Self::OfEcho => "throughput, × echo".to_owned(),
            Self::OfRaw => "throughput, × raw batched writes".to_owned(),
            Self::P99(stretch) => format!("p99 at {stretch}"),
            Self::ToldWhen => "refusals that told when to come again".to_owned(),
            Self::Back => "latency back after overload".to_owned(),
            Self::OfAlike => "throughput, × ours over accounts alike".to_owned(),
            Self::AtRest => "memory at rest".to_owned(),
            Self::UnderLoad => "memory under load".to_owned(),
        }
    }

    fn shown(self, figure: u64) -> String {
        match self {
            Self::Throughput
            | Self::P50
            | Self::OfEcho
            | Self::OfRaw
            | Self::ToldWhen
            | Self::OfAlike => thousandths(figure),
            Self::P99(_) => time(figure),
            Self::Back => format!("{figure} ms"),
            Self::AtRest | Self::UnderLoad => format!("{} MiB", mib(figure)),
        }
    }
}

#[cfg(test)]
#[path = "goal_tests.rs"]
mod tests;
