//! What a server does under arrivals that do not wait for it: at half of its own peak, and at ten times
//! its peak and right after. The peak is that of the rounds before, on the same server.
//!
//! The generator shares the machine with the server, so ten times the peak is what is due; what was
//! really offered is told beside it. Must not know: how arrivals are made, or any ledger.

use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::sleep_until;

use crate::engine::Engine;
use crate::load::connections;
use crate::load::open::{Arrival, Fate, Offered, Stretch, offer};
use crate::load::population::Population;
use crate::load::scenario::Open;
use crate::load::seen::Moved;
use crate::measure::{Cost, Spent, WARM_UP, histogram};
use crate::process::reading::{Memory, memory};
use crate::summary::median;
use crate::target::Server;

/// What the stretch below the peak is called.
pub const HALF_PEAK: &str = "half of the peak";
/// What the stretch above the peak is called.
pub const OVERLOAD: &str = "10 × the peak";
/// What the stretch after that one is called.
const AFTER: &str = "half of the peak, after";
/// Overload is so many times the peak.
const TIMES: u64 = 10;
/// Connections at half of the peak: as many as the closed loop has.
const FEW: usize = 4;
/// Connections of an overload: together they carry four times the calls that a server lets in.
const MANY: usize = 8;
/// How late an arrival may be sent below the peak: a stall of the machine is no reason to leave it out.
const PATIENT: Duration = Duration::from_secs(1);
/// The same above the peak: the generator, too, has more to do than it can.
const HURRIED: Duration = Duration::from_millis(10);
/// How long it is watched whether latency is back after an overload, milliseconds.
pub const WATCHED_MS: u64 = 6_000;
/// Latency is looked at in pieces of this length, milliseconds.
const PIECE_MS: u64 = 100;
/// Stands for the time of answers that never came: an hour, microseconds.
const NEVER_US: u64 = 3_600_000_000;
/// So many pieces in a row must be in order for latency to be back.
const IN_A_ROW: usize = 5;

/// What one server showed under pressure.
#[derive(Debug, Clone, Serialize)]
pub struct Pressure {
    /// Movements per second of the closed loop before: the peak.
    pub peak_per_second: u64,
    /// In the order they ran.
    pub stretches: Vec<Stretched>,
    /// Milliseconds from the end of the overload until the median latency was back below twice that
    /// of the half peak before; nothing when it never was, or when there was no overload.
    pub back_ms: Option<u64>,
    /// Memory of the server at the end; its peak is that of all of it.
    pub memory: Memory,
    /// What happened to the money.
    pub moved: Moved,
    /// Movements answered in all, warm-up included.
    pub answered: u64,
    /// What the first failure said.
    pub first_failure: Option<String>,
}

/// What a stretch of constant arrivals showed. Latencies are from the time a call was due, those of answered
/// calls where no other word stands.
#[derive(Debug, Clone, Serialize)]
pub struct Stretched {
    /// What it was for.
    pub name: &'static str,
    /// Arrivals that were due, per second.
    pub due_per_second: u64,
    /// Those that were sent, per second.
    pub sent_per_second: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that were refused.
    pub refused: u64,
    /// Of these, those that were told when to come again.
    pub told_when: u64,
    /// Those that went wrong otherwise.
    pub failed: u64,
    /// Arrivals that the generator could not send.
    pub not_sent: u64,
    /// Half of the answers took so long, microseconds.
    pub p50_us: u64,
    /// 99 of 100 did, in the median of its seconds, of an even number the worse of the two: tells a stall from what is
    /// always so. No goal is compared with it.
    pub p99_of_a_second_us: u64,
    /// 99 of 100 did, in all of it.
    pub p99_us: u64,
    /// All did.
    pub max_us: u64,
    /// Half of the refusals took so long, microseconds; 0 when nobody was refused.
    pub refused_p50_us: u64,
    /// 99 of 100 did.
    pub refused_p99_us: u64,
    /// CPU time per answered call.
    pub cost: Cost,
}

/// A stretch with its name; the warm-up has none and is not told.
type Named = (&'static str, Stretch);

/// Puts a server under pressure. `window` is how long the main stretch takes.
pub async fn press(
    server: &Server,
    engine: &Engine,
    open: Open,
    population: &Population,
    (peaks, seed, window): (Vec<u64>, u64, Duration),
) -> anyhow::Result<Pressure> {
    let peak = median(peaks);
    anyhow::ensure!(peak > 1, "there is no peak to take the half of");
    let course = course(open, peak, window);
    let count = if open == Open::Overload { MANY } else { FEW };
    let clients = connections(&server.process.address, count).await?;
    // A moment for the connections to settle.
    let began = Instant::now() + Duration::from_millis(50);
    let stretches: Vec<Stretch> = course.iter().map(|(_, stretch)| *stretch).collect();
    let spending = async {
        let mut at = began;
        let mut spent = vec![];
        for stretch in &stretches {
            sleep_until(at.into()).await;
            spent.push(Spent::now(server, engine));
            at += stretch.length;
        }
        sleep_until(at.into()).await;
        spent.push(Spent::now(server, engine));
        spent
    };
    let offering = offer(&clients, &stretches, population, seed, began);
    let (offered, spent) = tokio::join!(offering, spending);
    told(&course, peak, offered?, &spent, memory(server.process.pid()))
}

fn course(open: Open, peak: u64, window: Duration) -> Vec<Named> {
    let half = |length| Stretch { per_second: peak / 2, length, patience: PATIENT };
    let over = Stretch { per_second: peak * TIMES, length: window, patience: HURRIED };
    match open {
        Open::HalfPeak => vec![("", half(WARM_UP)), (HALF_PEAK, half(window))],
        Open::Overload => vec![
            ("", half(WARM_UP)),
            (HALF_PEAK, half(window / 2)),
            (OVERLOAD, over),
            (AFTER, half(Duration::from_millis(WATCHED_MS))),
        ],
    }
}

fn told(
    course: &[Named],
    peak_per_second: u64,
    offered: Offered,
    spent: &[Spent],
    memory: Memory,
) -> anyhow::Result<Pressure> {
    let mut stretches = Vec::new();
    for (number, (name, stretch)) in course.iter().enumerate().filter(|(_, c)| !c.0.is_empty()) {
        let arrivals = offered.arrivals.iter().filter(|a| a.stretch == number);
        let arrivals: Vec<&Arrival> = arrivals.collect();
        let latencies = latencies_of(&arrivals, |fate| fate == Fate::Answered)?;
        let refusals = latencies_of(&arrivals, |fate| matches!(fate, Fate::Refused(_)))?;
        let of = |fate: fn(Fate) -> bool| arrivals.iter().filter(|a| fate(a.fate)).count() as u64;
        let answered = latencies.len();
        let spent = spent.get(number).zip(spent.get(number + 1)).context("what it cost")?;
        let ms = u64::try_from(stretch.length.as_millis())?.max(1);
        stretches.push(Stretched {
            name,
            due_per_second: stretch.per_second,
            sent_per_second: arrivals.len() as u64 * 1000 / ms,
            answered,
            refused: refusals.len(),
            told_when: of(|fate| fate == Fate::Refused(true)),
            failed: of(|fate| fate == Fate::Failed),
            not_sent: offered.not_sent.get(number).copied().unwrap_or_default(),
            p50_us: latencies.value_at_quantile(0.5),
            p99_of_a_second_us: middle(seconds(&arrivals, stretch)?),
            p99_us: latencies.value_at_quantile(0.99),
            max_us: latencies.max(),
            refused_p50_us: refusals.value_at_quantile(0.5),
            refused_p99_us: refusals.value_at_quantile(0.99),
            cost: Cost::between(spent.0, spent.1, answered),
        });
    }
    let calm = stretches.first().map(|s| s.p50_us).unwrap_or_default();
    let last = course.len() - 1;
    let overloaded = stretches.len() > 1;
    let back_ms = course.last().filter(|_| overloaded).and_then(|(_, stretch)| {
        let after = offered.arrivals.iter().filter(|a| a.stretch == last);
        back_ms(after, stretch, calm * 2)
    });
    let answered = offered.arrivals.iter().filter(|a| a.fate == Fate::Answered).count() as u64;
    let Offered { moved, first_failure, .. } = offered;
    Ok(Pressure { peak_per_second, stretches, back_ms, memory, moved, answered, first_failure })
}

/// How long calls took of which that became, microseconds.
fn latencies_of(arrivals: &[&Arrival], fate: fn(Fate) -> bool) -> anyhow::Result<Histogram<u32>> {
    let took_us: Vec<u32> = arrivals.iter().filter(|a| fate(a.fate)).map(|a| a.took_us).collect();
    histogram(&took_us)
}

/// How long 99 of 100 answers took, microseconds, of those that were due in each second; an hour where there were none.
/// What is left after the last whole second belongs to it.
fn seconds(arrivals: &[&Arrival], stretch: &Stretch) -> anyhow::Result<Vec<u64>> {
    let last = usize::try_from(stretch.length.as_secs())?.saturating_sub(1);
    let mut seconds = vec![vec![]; last + 1];
    for arrival in arrivals.iter().filter(|a| a.fate == Fate::Answered) {
        let second = usize::try_from(arrival.due_us / 1_000_000)?.min(last);
        if let Some(second) = seconds.get_mut(second) {
            second.push(arrival.took_us);
        }
    }
    let p99 = |took: Vec<u32>| match took.as_slice() {
        [] => Ok(NEVER_US),
        took => Ok(histogram(took)?.value_at_quantile(0.99)),
    };
    seconds.into_iter().map(p99).collect()
}

/// The middle one; of an even number the greater of the two.
fn middle(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(NEVER_US)
}

/// When latency was back: the end of the first piece from which on so many in a row have their
/// median below the bound, with nine of ten arrivals answered.
fn back_ms<'a>(
    arrivals: impl Iterator<Item = &'a Arrival>,
    stretch: &Stretch,
    bound_us: u64,
) -> Option<u64> {
    let length_ms = u64::try_from(stretch.length.as_millis()).ok()?;
    let count = usize::try_from(length_ms / PIECE_MS).ok()?;
    let mut pieces = vec![vec![]; count];
    for arrival in arrivals.filter(|a| a.fate == Fate::Answered) {
        let piece = usize::try_from(arrival.due_us / (PIECE_MS * 1000)).ok()?;
        if let Some(piece) = pieces.get_mut(piece) {
            piece.push(u64::from(arrival.took_us));
        }
    }
    let due = stretch.per_second * PIECE_MS / 1000;
    let in_order: Vec<bool> = pieces
        .into_iter()
        .map(|took| took.len() as u64 * 10 >= due * 9 && median(took) <= bound_us)
        .collect();
    let first = in_order.windows(IN_A_ROW).position(|row| row.iter().all(|ok| *ok))?;
    Some((first as u64 + 1) * PIECE_MS)
}

impl Pressure {
    /// The stretch of that name.
    pub fn of(&self, name: &str) -> Option<&Stretched> {
        self.stretches.iter().find(|s| s.name == name)
    }

    /// What is wrong with it, in words. Refusals are none, except where there was no reason for them.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let said = self.first_failure.as_deref().unwrap_or_default();
        for stretch in &self.stretches {
            let Stretched { name, failed, refused, not_sent, .. } = stretch;
            if *failed > 0 {
                faults.push(format!("{name}: {failed} calls failed, the first with {said:?}"));
            }
            if *name == HALF_PEAK && refused + not_sent > 0 {
                faults.push(format!("{name}: {refused} calls refused, {not_sent} not sent"));
            }
        }
        faults
    }
}

#[cfg(test)]
#[path = "pressure_tests.rs"]
mod tests;
