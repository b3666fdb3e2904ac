//! The load generator: a closed loop of callers over a few channels, and what they saw.
//!
//! Every caller asks, waits for the answer, and asks again. Calls that end before the window opens are
//! the warm-up; calls in flight when it closes are waited for, so that what was answered is known to
//! the last movement. Must not know: whom it asks, or what it costs them.

mod act;
pub mod open;
pub mod population;
pub mod request;
pub mod scenario;
pub mod seen;
pub mod step;

use std::time::{Duration, Instant};

use anyhow::Context;
use cashout_common::clock::Clock;
use cashout_common::peer;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use futures::{StreamExt, TryStreamExt, stream};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tonic::transport::{Channel, Endpoint};

use act::Caller;
use population::Population;
use seen::{Moved, Seen};
use step::{Act, Step};

/// Transfers of one batch.
pub const BATCH: u64 = 1000;
/// What every person gets where money is needed, minor units.
pub const FUNDS: i64 = 1_000_000_000;
/// What one movement moves, minor units: every movement one, so that sums are counts.
const AMOUNT: i64 = 1;
/// One connection alone does not carry what the services can.
const CHANNELS: usize = 4;
/// Callers at a time while accounts are opened, funded and read.
const SETUP: usize = 256;
/// Accounts that are read by one call when the money is counted.
const PAGE: i64 = 1000;
/// A caller that is refused so often gives up: the round is broken.
const REFUSALS: u64 = 10;

/// A client of one server.
pub type Client = AccountServiceClient<Channel>;

/// When a load warms up, is measured, and ends.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Calls answered from here on count.
    pub opens: Instant,
    /// Calls answered up to here count; no call begins later.
    pub closes: Instant,
}

impl Window {
    /// Begins now.
    pub fn after(warm_up: Duration, measured: Duration) -> Self {
        let opens = Instant::now() + warm_up;
        Self { opens, closes: opens + measured }
    }

    /// Whether what was answered then counts.
    pub fn holds(&self, at: Instant) -> bool {
        self.opens <= at && at < self.closes
    }
}

/// Connections to one server, as many as so many callers at a time need.
pub async fn connect(address: &str, in_flight: usize) -> anyhow::Result<Vec<Client>> {
    connections(address, CHANNELS.min(in_flight)).await
}

/// So many connections to one server.
pub async fn connections(address: &str, count: usize) -> anyhow::Result<Vec<Client>> {
    let endpoint = Endpoint::from_shared(address.to_owned())?;
    let mut clients = Vec::new();
    for _ in 0..count {
        let connecting = endpoint.connect_with_connector(peer::connector());
        let channel = connecting.await.with_context(|| format!("connecting {address}"))?;
        clients.push(AccountServiceClient::new(channel));
    }
    Ok(clients)
}

/// Runs a load to its end.
pub async fn run(
    clients: &[Client],
    (act, in_flight): (Act, usize),
    population: &Population,
    seed: u64,
    window: Window,
) -> anyhow::Result<Seen> {
    let mut callers = Vec::with_capacity(in_flight);
    for (number, client) in (0..in_flight as u64).zip(clients.iter().cycle()) {
        // Callers differ from each other; the same caller does the same on every server.
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number));
        let (client, population) = (client.clone(), population.clone());
        let clock = Clock::system();
        let caller = Caller { number, client, act, population, rng, clock };
        callers.push(tokio::spawn(one(caller, window)));
    }
    let mut seen = Seen::default();
    for caller in callers {
        seen.add(caller.await?);
    }
    Ok(seen)
}

async fn one(mut caller: Caller, window: Window) -> Seen {
    let mut seen = Seen::default();
    let mut began = Instant::now();
    while began < window.closes {
        let step = caller.next();
        let result = caller.call(step).await;
        let ended = Instant::now();
        let (counts, brings) = (step.counts(), step.brings() * AMOUNT);
        match result {
            Ok(()) => {
                seen.answered += counts;
                seen.written += if step == Step::Read { 0 } else { counts };
                seen.moved += Moved::surely(brings);
                if window.holds(ended) {
                    let took_us = u32::try_from((ended - began).as_micros()).unwrap_or(u32::MAX);
                    if caller.act.apart(step) {
                        seen.reads_us.push(took_us);
                    } else {
                        seen.counted += counts;
                        seen.latencies_us.push(took_us);
                    }
                }
            }
            Err(failure) => {
                seen.failed += counts;
                seen.moved += Moved::maybe(brings);
                seen.first_failure.get_or_insert(failure);
                if seen.failed >= REFUSALS * counts {
                    break;
                }
            }
        }
        began = ended;
    }
    seen
}

/// Opens everybody's account and gives them `funds`, if any.
pub async fn prepare(clients: &[Client], people: i64, funds: i64, seed: u64) -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let clock = Clock::system();
    let work = (1..=people).zip(clients.iter().cycle()).map(|(user, client)| {
        let (mut client, key) = (client.clone(), request::key(&clock, &mut rng));
        async move {
            client.open_account(request::open(user)).await?;
            if funds > 0 {
                client.post_transfer(request::credit(key, user, funds)).await?;
            }
            anyhow::Ok(())
        }
    });
    stream::iter(work).buffer_unordered(SETUP).try_collect::<()>().await.context("opening accounts")
}

/// The sum of everybody's money, available and frozen.
pub async fn money(clients: &[Client], people: i64) -> anyhow::Result<i64> {
    let pages = (1..=people).step_by(usize::try_from(PAGE)?).zip(clients.iter().cycle());
    let reads = pages.map(|(first, client)| {
        let (mut client, last) = (client.clone(), people.min(first + PAGE - 1));
        async move {
            let request = request::accounts(first..=last);
            let accounts = client.batch_get_accounts(request).await?.into_inner().accounts;
            let found = i64::try_from(accounts.len())?;
            anyhow::ensure!(found == last - first + 1, "{found} accounts from {first} to {last}");
            Ok(accounts.iter().map(|a| a.available_minor + a.frozen_minor).sum::<i64>())
        }
    });
    let reads = stream::iter(reads).buffer_unordered(clients.len());
    reads.try_fold(0, |sum, money| async move { Ok(sum + money) }).await.context("reading accounts")
}
