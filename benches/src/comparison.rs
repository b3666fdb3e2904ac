//! One scenario from start to end: fresh servers, rounds in turn, and the checks afterwards.
//!
//! Servers take turns within a round, and who begins changes from round to round, so that a slow minute
//! of the machine falls on all of them.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::check::{Money, Verified};
use crate::engine::Engine;
use crate::load::scenario::Scenario;
use crate::measure::Round;
use crate::pressure::Pressure;
use crate::process::reading::Memory;
use crate::running::{Running, targets};
use crate::target::Target;

/// How often and how long is measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Effort {
    /// Rounds of each server.
    pub rounds: u32,
    /// Of one round, warm-up not included, milliseconds.
    pub round_ms: u64,
    /// Where chance begins.
    pub seed: u64,
}

impl Effort {
    /// Rounds of a second or little more, up to fifteen of them, and longer ones if there is time: what a round shows
    /// scatters by a tenth where others use the machine, and the median of many does so less than that of few. Always an
    /// odd number, so that there is a middle one.
    pub fn of(seconds: u32, seed: u64) -> Self {
        let rounds = (seconds.clamp(1, 15) - 1) / 2 * 2 + 1;
        Self { rounds, round_ms: u64::from(seconds) * 1000 / u64::from(rounds), seed }
    }

    /// Of two builds: many turns of a quarter of a second, for what is looked for is a few per cent, and less than a
    /// machine changes by within a second.
    pub fn in_short_turns(seconds: u32, seed: u64) -> Self {
        Self { rounds: seconds * 4 - 1, round_ms: 250, seed }
    }
}

/// What one scenario showed.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The scenario's name.
    pub scenario: &'static str,
    /// Callers of the real service at a time.
    pub in_flight: usize,
    /// Each server.
    pub subjects: Vec<Subject>,
}

/// What one server showed.
#[derive(Debug, Default, Serialize)]
pub struct Subject {
    /// Which.
    pub target: Target,
    /// Memory before the first call.
    pub at_rest: Memory,
    /// In the order they ran.
    pub rounds: Vec<Round>,
    /// The money it holds; the echo has none.
    pub money: Option<Money>,
    /// The checks of the real service.
    pub verified: Option<Verified>,
    /// What it left on disk; the echo leaves nothing.
    pub disk: Option<Disk>,
    /// What it did in an open loop after the rounds.
    pub pressure: Option<Pressure>,
}

/// What a load left on disk. The size before has the accounts in it, opened and funded.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Disk {
    /// Bytes of the database before the load.
    pub before: u64,
    /// Bytes after it.
    pub after: u64,
    /// Movements that were written in between.
    pub written: u64,
}

impl Disk {
    /// Bytes of one movement; nothing when there was none.
    pub fn each(self) -> Option<u64> {
        self.after.saturating_sub(self.before).checked_div(self.written)
    }
}

/// Runs one; `number` tells its databases from those of others. With a build beside ours only these two are compared.
pub async fn compare(
    scenario: &Scenario,
    number: usize,
    engine: &Engine,
    effort: Effort,
    beside: Option<&Path>,
) -> anyhow::Result<Comparison> {
    let mut running = Vec::new();
    for target in targets(scenario, engine, beside) {
        let started = Running::start(scenario, (target, beside), number, engine, effort.seed).await;
        running.push(started.with_context(|| format!("{}: {}", scenario.name, target.name()))?);
    }
    let length = Duration::from_millis(effort.round_ms);
    for turn in 0..u64::from(effort.rounds) {
        let seed = effort.seed.wrapping_add(turn);
        let mut order: Vec<&mut Running> = running.iter_mut().collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        for one in order {
            one.round((seed, length)).await?;
        }
    }
    for one in &mut running {
        one.press(effort).await?;
    }
    let mut subjects = Vec::new();
    for one in running {
        subjects.push(one.end().await?);
    }
    Ok(Comparison { scenario: scenario.name, in_flight: scenario.in_flight, subjects })
}

impl Comparison {
    /// What is wrong with it, in words; nothing when its figures may be believed.
    pub fn faults(&self) -> Vec<String> {
        self.subjects.iter().flat_map(|s| s.faults(self.scenario)).collect()
    }

    /// What that server showed.
    pub fn of(&self, target: Target) -> Option<&Subject> {
        self.subjects.iter().find(|s| s.target == target)
    }
}

impl Subject {
    fn faults(&self, scenario: &str) -> Vec<String> {
        let who = format!("{scenario}, {}", self.target.name());
        let failed: u64 = self.rounds.iter().map(|r| r.failed).sum();
        let said = self.rounds.iter().find_map(|r| r.first_failure.as_deref());
        let mut faults = Vec::new();
        if failed > 0 {
            faults.push(format!("{who}: {failed} calls failed, the first with {said:?}"));
        }
        let pressed = self.pressure.iter().flat_map(Pressure::faults);
        faults.extend(pressed.map(|fault| format!("{who}: {fault}")));
        if let Some(money) = self.money.filter(|money| !money.right()) {
            faults.push(format!("{who}: the money is wrong: {money:?}"));
        }
        if let Some(verified) = self.verified.as_ref().filter(|v| v.violations > 0) {
            faults.push(format!("{who}: promises are broken: {:?}", verified.examples));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_rounds_as_seconds_up_to_fifteen_and_always_a_middle_one() {
        for (seconds, rounds, round_ms) in
            [(1, 1, 1000), (5, 5, 1000), (10, 9, 1111), (30, 15, 2000)]
        {
            let effort = Effort::of(seconds, 7);
            assert_eq!((effort.rounds, effort.round_ms), (rounds, round_ms));
        }
    }

    #[test]
    fn two_builds_take_as_many_short_turns_as_there_is_time_for_and_there_is_a_middle_one() {
        for (seconds, rounds) in [(1, 3), (10, 39), (3600, 14_399)] {
            let effort = Effort::in_short_turns(seconds, 7);
            assert_eq!((effort.rounds, effort.round_ms), (rounds, 250));
        }
    }
}
