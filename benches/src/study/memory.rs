//! Memory of each service: at rest, when nobody has asked it anything yet, and the most that it ever
//! was after credits with 256 in flight and whole cash-outs through both doors.
//!
//! Must not know: what a service keeps in memory.

use std::time::Duration;

use super::cash_outs::end;
use super::cash_outs::round::{Way, round};
use super::cash_outs::system::{PEOPLE, System};
use super::finding::{Finding, Number};
use super::{Bench, Shown};
use crate::load::population::Population;
use crate::load::scenario::{Act, Step};
use crate::load::{Window, run as load};
use crate::measure::WARM_UP;
use crate::process::reading::memory;

const IN_FLIGHT: usize = 256;
const AT_REST: Number = Number::Kib(30 * 1024);
const UNDER_LOAD: Number = Number::Kib(150 * 1024);

/// Carries the study out.
pub async fn run(bench: &Bench<'_>) -> anyhow::Result<Shown> {
    let system = System::ours(bench.engine, "studymemory", bench.effort.seed).await?;
    let length = Duration::from_millis(bench.effort.round_ms);
    let (mut whole, mut credited, mut shown) = (0, 0, Shown::default());
    for turn in 0..u64::from(bench.effort.rounds) {
        let seed = bench.effort.seed.wrapping_add(turn);
        let population = Population::Uniform(PEOPLE);
        let window = Window::after(WARM_UP, length);
        let what = (Act::Only(Step::Credit), IN_FLIGHT);
        let seen = load(&system.ledger, what, &population, seed, window).await?;
        credited += seen.answered;
        shown.faults.extend(seen.first_failure);
        for way in [Way::Grpc, Way::Gateway] {
            whole += round(&system, way, bench.engine, seed, length).await?.whole;
        }
    }
    for part in &system.parts {
        let (name, rest) = (part.name, Number::Kib(part.at_rest.resident_kib));
        shown.findings.push(Finding::new(format!("{name}, at rest"), rest).at_most(AT_REST));
        let now = memory(part.process.pid());
        let most = Number::Kib(now.peak_kib);
        shown.findings.push(Finding::new(format!("{name}, under load"), most).at_most(UNDER_LOAD));
        let after = Number::Kib(now.resident_kib);
        shown.findings.push(Finding::new(format!("{name}, after load"), after));
    }
    end(bench.engine, system, "ours", (whole, credited), &mut shown).await?;
    Ok(shown)
}
