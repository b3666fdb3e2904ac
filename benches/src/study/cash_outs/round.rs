//! One round: callers in a closed loop through one door, and what each process spent on it.
//!
//! Must not know: which round it is, or who wins.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use cashout_common::clock::Clock;
use cashout_common::peer::channel;
use cashout_proto::withdraw::v1::withdraw_service_client::WithdrawServiceClient;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep_until;

use super::door::Door;
use super::http::Http;
use super::system::{PEOPLE, System};
use super::watch::Watch;
use crate::engine::Engine;
use crate::load::Window;
use crate::load::request::key;
use crate::process::reading::cpu_us;
use crate::summary::median;

/// Not counted: all callers begin at once, and it takes a few cash-outs until they have spread.
const WARM_UP: Duration = Duration::from_secs(1);
/// Callers at a time.
pub const IN_FLIGHT: usize = 256;
/// Connections of all gRPC callers together; of JSON each caller has one.
const CHANNELS: usize = 4;

/// What a round showed.
#[derive(Debug, Default)]
pub struct Round {
    /// Whole cash-outs in a second.
    pub per_second: u64,
    /// Half of them took at most this, from the request until they were seen as paid, microseconds.
    pub p50_us: u64,
    /// CPU time per cash-out, microseconds: of each part of the system in their order, of the database
    /// and of the load generator.
    pub cpu_us: Vec<u64>,
    /// Whole cash-outs in all, warm-up and end included.
    pub whole: u64,
}

/// Which way callers go in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The cash-out service's own API.
    Grpc,
    /// JSON.
    Gateway,
}

/// Runs one. A cash-out that fails ends it with an error: nothing here may fail.
pub async fn round(
    system: &System,
    way: Way,
    engine: &Engine,
    seed: u64,
    measured: Duration,
) -> anyhow::Result<Round> {
    let doors = doors(system, way).await?;
    let window = Window::after(WARM_UP, measured);
    let mut callers = Vec::with_capacity(IN_FLIGHT);
    for (number, door) in doors.into_iter().enumerate() {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        callers.push(tokio::spawn(calls(door, rng, system.watch.clone(), window)));
    }
    sleep_until(window.opens.into()).await;
    let before = spent(system, engine);
    sleep_until(window.closes.into()).await;
    let after = spent(system, engine);
    let (mut took_us, mut whole) = (Vec::new(), 0);
    for caller in callers {
        let (own_us, own) = caller.await??;
        took_us.extend(own_us);
        whole += own;
    }
    let counted = took_us.len() as u64;
    let each = |(after, before): (&u64, &u64)| {
        after.saturating_sub(*before).checked_div(counted).unwrap_or_default()
    };
    let window_us = u64::try_from(measured.as_micros()).context("a window of ages")?;
    Ok(Round {
        per_second: (counted * 1_000_000).checked_div(window_us).unwrap_or_default(),
        p50_us: median(took_us),
        cpu_us: after.iter().zip(&before).map(each).collect(),
        whole,
    })
}

async fn doors(system: &System, way: Way) -> anyhow::Result<Vec<Door>> {
    let mut doors = Vec::with_capacity(IN_FLIGHT);
    if way == Way::Gateway {
        for _ in 0..IN_FLIGHT {
            let http = Http::connect(system.address(2)?).await?;
            doors.push(Door::Gateway(http, system.tokens.clone()));
        }
        return Ok(doors);
    }
    let channels = (0..CHANNELS).map(|_| channel(system.address(1)?));
    let channels = channels.collect::<anyhow::Result<Vec<_>>>()?;
    let clients = channels.into_iter().map(WithdrawServiceClient::new).cycle();
    doors.extend(clients.take(IN_FLIGHT).map(Door::Grpc));
    Ok(doors)
}

/// CPU time so far: of each part, of the database, of this process.
fn spent(system: &System, engine: &Engine) -> Vec<u64> {
    let parts = system.parts.iter().map(|part| cpu_us(part.process.pid()));
    parts.chain([engine.cpu_us(), cpu_us(std::process::id())]).collect()
}

/// One caller: the time of each cash-out that ended inside the window, and how many there were in all.
async fn calls(
    mut door: Door,
    mut rng: StdRng,
    watch: Arc<Watch>,
    window: Window,
) -> anyhow::Result<(Vec<u64>, u64)> {
    let (clock, mut took_us, mut whole) = (Clock::system(), Vec::new(), 0);
    loop {
        let began = Instant::now();
        if began >= window.closes {
            return Ok((took_us, whole));
        }
        let user = rng.random_range(1..=PEOPLE);
        door.cash_out(user, &key(&clock, &mut rng), &watch).await?;
        whole += 1;
        let ended = Instant::now();
        if window.opens <= ended && ended < window.closes {
            took_us.push(u64::try_from((ended - began).as_micros()).unwrap_or(u64::MAX));
        }
    }
}
