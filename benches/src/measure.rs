//! One round: a load on one server, and what it cost whom. Must not know: which round it is.

use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::sleep_until;

use crate::engine::Engine;
use crate::load::population::Population;
use crate::load::seen::{Moved, Seen};
use crate::load::step::Act;
use crate::load::{Client, Window, run};
use crate::process::reading::{Memory, cpu_us, machine_us, memory};
use crate::target::{Server, Target};

/// Not counted: caches fill, connections open, plans are made.
pub const WARM_UP: Duration = Duration::from_millis(500);

/// What one round showed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Round {
    /// Who was measured.
    pub target: Target,
    /// How long, microseconds.
    pub window_us: u64,
    /// Movements answered in that time.
    pub counted: u64,
    /// Per second.
    pub per_second: u64,
    /// Half of the calls were answered in this time, microseconds.
    pub p50_us: u64,
    /// 99 of 100 calls were.
    pub p99_us: u64,
    /// All were.
    pub max_us: u64,
    /// CPU time per movement.
    #[serde(flatten)]
    pub cost: Cost,
    /// What part of the machine's CPU time went to none of these, per mille: the noise.
    pub others_permille: u64,
    /// Memory of the server after it.
    pub memory: Memory,
    /// Movements answered in all, warm-up and end included.
    pub answered: u64,
    /// Of these, those that wrote something.
    pub written: u64,
    /// Movements that were not answered as they should be.
    pub failed: u64,
    /// What the first of them said.
    pub first_failure: Option<String>,
    /// What happened to the money.
    pub moved: Moved,
    /// Reads that went on beside, and are not counted above.
    pub reads: Option<Reads>,
}

/// What readers saw while others wrote; a read is a balance and then a page of its statement.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Reads {
    /// Per second.
    pub per_second: u64,
    /// Half were answered in this time, microseconds.
    pub p50_us: u64,
    /// 99 of 100 were.
    pub p99_us: u64,
    /// All were.
    pub max_us: u64,
}

/// CPU time per operation, nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Of the service.
    pub service_cpu_ns: u64,
    /// Of the database server; 0 on SQLite, which is a part of whoever writes to it.
    pub database_cpu_ns: u64,
    /// Of the load generator.
    pub client_cpu_ns: u64,
}

impl Cost {
    /// Of so many operations between two moments.
    pub fn between(before: &Spent, after: &Spent, operations: u64) -> Self {
        let each = |of: fn(&Spent) -> u64| {
            let us = of(after).saturating_sub(of(before));
            (us * 1000).checked_div(operations).unwrap_or_default()
        };
        Self {
            service_cpu_ns: each(|s| s.service),
            database_cpu_ns: each(|s| s.database),
            client_cpu_ns: each(|s| s.client),
        }
    }

    /// Of all three.
    pub fn all_ns(self) -> u64 {
        self.service_cpu_ns + self.database_cpu_ns + self.client_cpu_ns
    }
}

/// CPU time used so far, microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Spent {
    service: u64,
    database: u64,
    client: u64,
    machine: (u64, u64),
}

impl Spent {
    /// Up to now.
    pub fn now(server: &Server, engine: &Engine) -> Self {
        Self { service: cpu_us(server.process.pid()), ..Self::without_service(engine) }
    }

    /// Up to now, where the load generator is all there is.
    pub fn without_service(engine: &Engine) -> Self {
        Self {
            service: 0,
            database: engine.cpu_us(),
            client: cpu_us(std::process::id()),
            machine: machine_us(),
        }
    }

    /// What part of the machine's time went to none of them since then, per mille.
    fn others_permille(&self, before: &Self) -> u64 {
        let busy = self.machine.0.saturating_sub(before.machine.0);
        let all = self.machine.1.saturating_sub(before.machine.1);
        let sum = |s: &Self| s.service + s.database + s.client;
        let others = busy.saturating_sub(sum(self).saturating_sub(sum(before)));
        (others * 1000).checked_div(all).unwrap_or_default()
    }
}

/// Runs one.
pub async fn round(
    server: &Server,
    clients: &[Client],
    engine: &Engine,
    (act, in_flight): (Act, usize),
    population: &Population,
    (seed, measured): (u64, Duration),
) -> anyhow::Result<Round> {
    let window = Window::after(WARM_UP, measured);
    let costs = async {
        sleep_until(window.opens.into()).await;
        let before = Spent::now(server, engine);
        sleep_until(window.closes.into()).await;
        (before, Spent::now(server, engine))
    };
    let load = run(clients, (act, in_flight), population, seed, window);
    let (seen, spent) = tokio::join!(load, costs);
    told(server.target, measured, seen?, spent, memory(server.process.pid()))
}

/// A round, from what callers saw and what was spent before and after the window.
pub fn told(
    target: Target,
    measured: Duration,
    seen: Seen,
    (before, after): (Spent, Spent),
    memory: Memory,
) -> anyhow::Result<Round> {
    let latencies = histogram(&seen.latencies_us)?;
    let window_us = u64::try_from(measured.as_micros()).context("a window of ages")?;
    let reads = reads(&seen.reads_us, window_us)?;
    let counted = seen.counted;
    Ok(Round {
        target,
        window_us,
        counted,
        per_second: (counted * 1_000_000).checked_div(window_us).unwrap_or_default(),
        p50_us: latencies.value_at_quantile(0.5),
        p99_us: latencies.value_at_quantile(0.99),
        max_us: latencies.max(),
        cost: Cost::between(&before, &after, counted),
        others_permille: after.others_permille(&before),
        memory,
        answered: seen.answered,
        written: seen.written,
        failed: seen.failed,
        first_failure: seen.first_failure,
        moved: seen.moved,
        reads,
    })
}

/// Of latencies in microseconds.
pub fn histogram(latencies_us: &[u32]) -> anyhow::Result<Histogram<u32>> {
    let mut histogram = Histogram::<u32>::new_with_bounds(1, 600_000_000, 3)?;
    for us in latencies_us {
        histogram.saturating_record(u64::from(*us));
    }
    Ok(histogram)
}

fn reads(latencies_us: &[u32], window_us: u64) -> anyhow::Result<Option<Reads>> {
    let latencies = histogram(latencies_us)?;
    Ok((!latencies.is_empty()).then(|| Reads {
        per_second: (latencies.len() * 1_000_000).checked_div(window_us).unwrap_or_default(),
        p50_us: latencies.value_at_quantile(0.5),
        p99_us: latencies.value_at_quantile(0.99),
        max_us: latencies.max(),
    }))
}
