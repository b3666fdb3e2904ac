//! Whole cash-outs (request, approval, paid by the sandbox) in a second, of ours and of two textbook services on
//! the textbook ledger: a careful one, which has the same on record, and a plain one, which has less. Each through
//! its own API and through a gateway, which is ours in all cases. The six take turns; the two doors of a system
//! lead into the same processes.
//!
//! Must not know: how a cash-out is carried out.

mod door;
mod http;
pub mod round;
pub mod system;
pub mod textbook;
mod watch;

use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::finding::{Finding, Number, permille, ratio};
use super::programs::built;
use super::{Bench, Shown};
use crate::engine::Engine;
use crate::load::{FUNDS, money};
use crate::summary::median;
use round::{Round, Way, round};
use system::{PEOPLE, System};

const FASTER: Number = Number::Hundredths(400);
const GATEWAY_COST: Number = Number::Permille(400);

/// One way to take money out, and what it showed.
struct Subject {
    name: &'static str,
    /// Whose, by place.
    system: usize,
    way: Way,
    rounds: Vec<Round>,
}

/// Carries the study out.
pub async fn run(bench: &Bench<'_>) -> anyhow::Result<Shown> {
    let (engine, seed) = (bench.engine, bench.effort.seed);
    let systems = [
        ("ours", System::ours(engine, "studycashours", seed).await?),
        ("careful textbook", System::textbook(engine, "studycashcareful", seed, true).await?),
        ("textbook", System::textbook(engine, "studycashtextbook", seed, false).await?),
    ];
    let subject = |name, system, way| Subject { name, system, way, rounds: vec![] };
    let mut subjects = [
        subject("gRPC", 0, Way::Grpc),
        subject("gateway", 0, Way::Gateway),
        subject("careful textbook", 1, Way::Grpc),
        subject("careful textbook behind the gateway", 1, Way::Gateway),
        subject("textbook", 2, Way::Grpc),
        subject("textbook behind the gateway", 2, Way::Gateway),
    ];
    let length = Duration::from_millis(bench.effort.round_ms);
    for turn in 0..u64::from(bench.effort.rounds) {
        let mut order: Vec<&mut Subject> = subjects.iter_mut().collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        for one in order {
            let (_, system) = systems.get(one.system).context("a system")?;
            let done = round(system, one.way, engine, seed.wrapping_add(turn), length).await;
            one.rounds.push(done.with_context(|| format!("through {}", one.name))?);
        }
    }
    let parts = systems.each_ref().map(|(_, s)| s.parts.iter().map(|p| p.name).collect());
    let mut shown = Shown { findings: findings(&subjects, &parts), ..Shown::default() };
    for (place, (name, system)) in systems.into_iter().enumerate() {
        let rounds = subjects.iter().filter(|s| s.system == place).flat_map(|s| &s.rounds);
        let whole = rounds.map(|round| round.whole).sum();
        end(engine, system, name, (whole, 0), &mut shown).await?;
    }
    Ok(shown)
}

/// What the rounds showed; `parts` are the names of each system's.
fn findings(subjects: &[Subject; 6], parts: &[Vec<&str>; 3]) -> Vec<Finding> {
    let of = |subject: &Subject, figure: fn(&Round) -> u64| {
        median(subject.rounds.iter().map(figure).collect())
    };
    let [grpc, gateway, careful, careful_guarded, plain, plain_guarded] = subjects;
    let times = |above: &Subject, baseline: &Subject| {
        let pairs = above.rounds.iter().zip(&baseline.rounds);
        let ratios = pairs.map(|(a, b)| (a.per_second * 100).checked_div(b.per_second));
        ratio(median(ratios.flatten().collect()), 100)
    };
    let lost = grpc.rounds.iter().zip(&gateway.rounds).map(|(g, j)| {
        let less = g.per_second.saturating_sub(j.per_second);
        (less * 1000).checked_div(g.per_second).unwrap_or_default()
    });
    let mut all = vec![
        Finding::new("through gRPC, × careful textbook", times(grpc, careful)).at_least(FASTER),
        Finding::new("through the gateway, × careful textbook", times(gateway, careful))
            .at_least(FASTER),
        Finding::new(
            "both through the gateway, × careful textbook",
            times(gateway, careful_guarded),
        ),
        Finding::new("through gRPC, × textbook", times(grpc, plain)),
        Finding::new("through the gateway, × textbook", times(gateway, plain)),
        Finding::new("both through the gateway, × textbook", times(gateway, plain_guarded)),
        Finding::new(
            "the gateway's cost, of the gRPC throughput",
            permille(median(lost.collect()), 1000),
        )
        .at_most(GATEWAY_COST),
    ];
    for subject in subjects {
        let name = subject.name;
        let rate = Number::PerSecond(of(subject, |r| r.per_second));
        all.push(Finding::new(format!("{name}: whole cash-outs"), rate));
        let p50 = Number::Us(of(subject, |r| r.p50_us));
        all.push(Finding::new(format!("{name}: request to paid, p50"), p50));
        let own = parts.get(subject.system).into_iter().flatten().copied();
        for (at, part) in own.chain(["database", "client"]).enumerate() {
            let spent = subject.rounds.iter().filter_map(|r| r.cpu_us.get(at).copied());
            let spent = Number::Us(median(spent.collect()));
            all.push(Finding::new(format!("{name}: CPU per cash-out, {part}"), spent));
        }
    }
    all
}

/// Ends a system with so many whole cash-outs and credits: counts the money, and has ours checked by
/// its own `verify` over both databases.
pub async fn end(
    engine: &Engine,
    system: System,
    name: &str,
    (whole, credited): (u64, u64),
    shown: &mut Shown,
) -> anyhow::Result<()> {
    let found = money(&system.ledger, PEOPLE).await?;
    let expected = FUNDS * PEOPLE + i64::try_from(credited)? - i64::try_from(whole)?;
    shown.checks.push(format!("{name}: {whole} paid, the ledger holds {found} of {expected}"));
    if found != expected {
        shown.faults.push(format!("{name}: the ledger holds {found} instead of {expected}"));
    }
    let [ledger, cash_outs] = system.end().await?;
    if name == "ours" {
        let (violations, told) = verified(&ledger.1, &cash_outs.1)?;
        shown.checks.push(format!("{name}: `cashout verify` found {violations} violations"));
        if violations > 0 {
            shown.faults.push(format!("{name}: promises are broken: {told}"));
        }
    }
    for (database, _) in [ledger, cash_outs] {
        engine.remove(&database).await?;
    }
    Ok(())
}

/// What `cashout verify` says of two databases: how many violations, and the checks that found them.
fn verified(ledger: &str, cash_outs: &str) -> anyhow::Result<(u64, String)> {
    let databases = ["--account-database-url", ledger, "--withdraw-database-url", cash_outs];
    let output = tokio::task::block_in_place(|| {
        Command::new(built("cashout")?)
            .args(["verify", "--json"])
            .args(databases)
            .env("CASHOUT_LOG", "warn")
            .output()
            .context("cashout verify")
    })?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).with_context(|| told)?;
    let checks = report.get("checks").and_then(Value::as_array).context("no checks")?;
    anyhow::ensure!(!checks.is_empty(), "nothing was checked");
    let count = |check: &Value| check.get("violations").and_then(Value::as_u64).unwrap_or(1);
    let broken: Vec<String> =
        checks.iter().filter(|check| count(check) > 0).map(ToString::to_string).collect();
    Ok((checks.iter().map(count).sum(), broken.join("; ")))
}
