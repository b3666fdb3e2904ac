//! The table of goals means what it says.

use crate::comparison::{Comparison, Subject};
use crate::load::scenario::SCENARIOS;
use crate::measure::Round;
use crate::process::reading::Memory;
use crate::target::Target;

use super::*;

fn subject(target: Target, rounds: &[(u64, u64)]) -> Subject {
    let memory = Memory { resident_kib: 10_240, peak_kib: 153_601 };
    let rounds = rounds.iter().map(|&(per_second, p50_us)| Round {
        per_second,
        p50_us,
        memory,
        target,
        ..Round::default()
    });
    Subject { at_rest: memory, rounds: rounds.collect(), target, ..Subject::default() }
}

fn comparison(scenario: &'static str, ours: &[(u64, u64)], theirs: &[(u64, u64)]) -> Comparison {
    let subjects = vec![subject(Target::Ours, ours), subject(Target::Baseline, theirs)];
    Comparison { scenario, in_flight: 256, subjects }
}

#[test]
fn every_goal_is_of_a_scenario_that_exists() {
    for goal in GOALS {
        let known = SCENARIOS.iter().any(|s| s.name == goal.scenario);
        assert!(known || goal.scenario == EVERYWHERE, "{}", goal.scenario);
        assert!(["", "postgres", "sqlite"].contains(&goal.engine), "{}", goal.engine);
    }
}

#[test]
fn a_goal_is_met_by_the_median_of_the_rounds_and_never_by_what_was_not_measured() {
    let uniform = comparison(
        "credit-256",
        &[(16_000, 167), (30_000, 166), (7_000, 900)],
        &[(2_000, 1_000), (2_000, 1_000), (2_000, 1_000)],
    );
    let mut one = comparison("one-account-256", &[(15_999, 1)], &[(100, 1)]);
    one.subjects.push(subject(Target::Alike, &[(16_000, 1)]));
    let told = verdicts("postgres", &[uniform, one]);
    let told: Vec<_> =
        told.iter().map(|v| (v.scenario, v.measure.as_str(), v.figure, v.met)).collect();
    assert_eq!(
        told,
        [
            ("credit-256", "throughput, × baseline", Some(8_000), Some(true)),
            ("credit-256", "p50, × baseline", Some(167), Some(false)),
            ("credit-256", "throughput, × echo", None, None),
            ("one-account-256", "throughput, × baseline", Some(159_990), Some(true)),
            ("one-account-256", "throughput, × ours over accounts alike", Some(999), Some(false)),
            (EVERYWHERE, "memory at rest", Some(10_240), Some(true)),
            (EVERYWHERE, "memory under load", Some(153_601), Some(false)),
        ]
    );
}

#[test]
fn engines_have_goals_of_their_own() {
    let run = [comparison("credit-64", &[(10, 10)], &[(2, 10)])];
    let scenarios = |engine| verdicts(engine, &run).iter().map(|v| v.scenario).collect::<Vec<_>>();
    assert_eq!(scenarios("sqlite"), ["credit-64", EVERYWHERE, EVERYWHERE]);
    assert_eq!(scenarios("postgres"), [EVERYWHERE, EVERYWHERE]);
}
