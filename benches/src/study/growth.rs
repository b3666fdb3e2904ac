//! Growth: the same load on a ledger with a short history and on one with a long one, in turn; what
//! throughput and memory are left of the first.
//!
//! Must not know: how the history is stored.

use std::time::Duration;

use super::filling::Filled;
use super::finding::{Finding, Number, permille};
use super::{Bench, Shown};
use crate::load::population::Population;
use crate::load::scenario::{Act, Step};
use crate::load::{Window, run as load};
use crate::measure::WARM_UP;
use crate::process::reading::memory;
use crate::summary::median;

const IN_FLIGHT: usize = 256;
const PEOPLE: i64 = 10_000;
/// Entries of the short history.
const SHORT: u64 = 10_000;
const KEPT: Number = Number::Permille(800);
/// What an allocator and a database's cache may differ by, KiB.
const MORE_MEMORY: Number = Number::Kib(16 * 1024);

/// One of the two, and what it showed.
struct Ledger {
    filled: Filled,
    entries: u64,
    per_second: Vec<u64>,
    p50_us: Vec<u64>,
    answered: u64,
    failure: Option<String>,
}

/// Carries the study out.
pub async fn run(bench: &Bench<'_>) -> anyhow::Result<Shown> {
    let mut short = begin(bench, "studygrowthshort", SHORT).await?;
    let mut long = begin(bench, "studygrowthlong", bench.entries).await?;
    for turn in 0..u64::from(bench.effort.rounds) {
        let seed = bench.effort.seed.wrapping_add(turn + 1);
        let order = if turn % 2 == 0 { [&mut short, &mut long] } else { [&mut long, &mut short] };
        for ledger in order {
            round(ledger, seed, bench.effort.round_ms).await?;
        }
    }
    let kept = long.per_second.iter().zip(&short.per_second);
    let kept = kept.map(|(long, short)| (long * 1000).checked_div(*short).unwrap_or_default());
    let kept = permille(median(kept.collect()), 1000);
    let (small, large) = (resident_kib(&short), resident_kib(&long));
    let findings = vec![
        Finding::new("credits a second with the long history, of those with the short", kept)
            .at_least(KEPT),
        Finding::new(
            "memory with the long history, more than with the short",
            Number::Kib(large.saturating_sub(small)),
        )
        .at_most(MORE_MEMORY),
    ];
    let mut shown = Shown { findings, ..Shown::default() };
    for ledger in [short, long] {
        let (kib, entries) = (resident_kib(&ledger), ledger.entries);
        let made = Number::PerSecond(ledger.filled.filled_per_second);
        let what = format!("{entries} entries: made in batches of 1,000, 4 at a time");
        shown.findings.push(Finding::new(what, made));
        let rate = Number::PerSecond(median(ledger.per_second));
        shown.findings.push(Finding::new(format!("{entries} entries: credits"), rate));
        let p50 = Number::Us(median(ledger.p50_us));
        shown.findings.push(Finding::new(format!("{entries} entries: p50"), p50));
        let kib = Number::Kib(kib);
        shown.findings.push(Finding::new(format!("{entries} entries: memory after load"), kib));
        shown.faults.extend(ledger.failure);
        ledger.filled.end(bench.engine, ledger.answered, &mut shown).await?;
    }
    Ok(shown)
}

async fn begin(bench: &Bench<'_>, name: &str, entries: u64) -> anyhow::Result<Ledger> {
    let filled = Filled::make(bench, name, PEOPLE, entries).await?;
    let (per_second, p50_us) = (Vec::new(), Vec::new());
    Ok(Ledger { filled, entries, per_second, p50_us, answered: 0, failure: None })
}

async fn round(ledger: &mut Ledger, seed: u64, round_ms: u64) -> anyhow::Result<()> {
    let population = Population::Uniform(PEOPLE);
    let window = Window::after(WARM_UP, Duration::from_millis(round_ms));
    let what = (Act::Only(Step::Credit), IN_FLIGHT);
    let seen = load(&ledger.filled.clients, what, &population, seed, window).await?;
    ledger.per_second.push((seen.counted * 1000).checked_div(round_ms).unwrap_or_default());
    ledger.p50_us.push(median(seen.latencies_us.into_iter().map(u64::from).collect()));
    ledger.answered += seen.answered;
    ledger.failure = ledger.failure.take().or(seen.first_failure);
    Ok(())
}

fn resident_kib(ledger: &Ledger) -> u64 {
    memory(ledger.filled.process.pid()).resident_kib
}
