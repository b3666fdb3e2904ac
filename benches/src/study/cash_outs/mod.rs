//! Whole cash-outs (request, approval, paid by the sandbox) in a second, of ours and of a textbook service on the
//! textbook ledger: each through its own API and through a gateway, which is ours in both cases. The four take
//! turns; the two doors of a system lead into the same processes.
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
    ours: bool,
    way: Way,
    rounds: Vec<Round>,
}

/// Carries the study out.
pub async fn run(bench: &Bench<'_>) -> anyhow::Result<Shown> {
    let (engine, seed) = (bench.engine, bench.effort.seed);
    let ours = System::ours(engine, "studycashours", seed).await?;
    let textbook = System::textbook(engine, "studycashtextbook", seed).await?;
    let subject = |name, ours, way| Subject { name, ours, way, rounds: vec![] };
    let mut subjects = [
        subject("gRPC", true, Way::Grpc),
        subject("gateway", true, Way::Gateway),
        subject("textbook", false, Way::Grpc),
        subject("textbook behind the gateway", false, Way::Gateway),
    ];
    let length = Duration::from_millis(bench.effort.round_ms);
    for turn in 0..u64::from(bench.effort.rounds) {
        let mut order: Vec<&mut Subject> = subjects.iter_mut().collect();
        if turn % 2 == 1 {
            order.reverse();
        }
        for one in order {
            let system = if one.ours { &ours } else { &textbook };
            let done = round(system, one.way, engine, seed.wrapping_add(turn), length).await;
            one.rounds.push(done.with_context(|| format!("through {}", one.name))?);
        }
    }
    let mut shown = Shown { findings: findings(&subjects, &ours, &textbook), ..Shown::default() };
    let whole = |of_ours: bool| {
        let rounds = subjects.iter().filter(|s| s.ours == of_ours).flat_map(|s| &s.rounds);
        rounds.map(|round| round.whole).sum::<u64>()
    };
    end(engine, ours, "ours", (whole(true), 0), &mut shown).await?;
    end(engine, textbook, "textbook", (whole(false), 0), &mut shown).await?;
    Ok(shown)
}

fn findings(subjects: &[Subject; 4], ours: &System, textbook: &System) -> Vec<Finding> {
    let of = |subject: &Subject, figure: fn(&Round) -> u64| {
        median(subject.rounds.iter().map(figure).collect())
    };
    let [grpc, gateway, baseline, guarded] = subjects;
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
        Finding::new("through gRPC, × textbook", times(grpc, baseline)).at_least(FASTER),
        Finding::new("through the gateway, × textbook", times(gateway, baseline)).at_least(FASTER),
        Finding::new("both through the gateway, × textbook", times(gateway, guarded)),
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
        let system = if subject.ours { ours } else { textbook };
        let parts = system.parts.iter().map(|part| part.name).chain(["database", "client"]);
        for (at, part) in parts.enumerate() {
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
