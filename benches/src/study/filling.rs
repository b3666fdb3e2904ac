//! A ledger with a history, made through the service's own API in batches of 1,000, then started
//! afresh, so that nothing of the filling is left in its memory.
//!
//! Must not know: what is measured on it.

use std::time::Instant;

use anyhow::Context;
use cashout_common::clock::Clock;
use cashout_proto::account::v1 as pb;
use futures::{StreamExt, TryStreamExt, stream};
use pb::transfer_result::Outcome;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::people::holdings;
use super::probe::{ACCOUNT, serving};
use super::programs::{self, ANY_PORT};
use super::{Bench, Shown};
use crate::check::verify;
use crate::engine::Engine;
use crate::load::request::{credit, key};
use crate::load::{Client, connect, prepare};
use crate::process::Process;

/// Transfers of one batch: the most that the service takes.
const BATCH: u64 = 1000;
/// Batches at a time.
const AT_ONCE: usize = 4;
/// Callers that the connections are for.
const CALLERS: usize = 256;

/// A ledger with a history, its service running.
pub struct Filled {
    /// The service.
    pub process: Process,
    /// Connections to it.
    pub clients: Vec<Client>,
    /// Where its database is.
    pub url: String,
    /// How fast the history was made, entries in a second.
    pub filled_per_second: u64,
    name: String,
    people: i64,
    /// Entries, each of one minor unit.
    entries: u64,
}

impl Filled {
    /// Makes one: people numbered from 1, and so many entries spread over them by chance.
    pub async fn make(
        bench: &Bench<'_>,
        name: &str,
        people: i64,
        entries: u64,
    ) -> anyhow::Result<Self> {
        let url = bench.engine.fresh(name).await?;
        let process = programs::account(ANY_PORT, &url)?;
        let clients = connect(&process.address, CALLERS).await?;
        prepare(&clients, people, 0, bench.effort.seed).await?;
        let began = Instant::now();
        fill(&clients, people, entries, bench.effort.seed).await?;
        let took_us = u64::try_from(began.elapsed().as_micros())?;
        let filled_per_second = (entries * 1_000_000).checked_div(took_us).unwrap_or_default();
        drop(clients);
        process.end().await?;
        let process = programs::account(ANY_PORT, &url)?;
        serving(&process.address, ACCOUNT).await?;
        let clients = connect(&process.address, CALLERS).await?;
        let name = name.to_owned();
        Ok(Self { process, clients, url, filled_per_second, name, people, entries })
    }

    /// One of the connections.
    pub fn client(&self) -> anyhow::Result<Client> {
        self.clients.first().cloned().context("a connection")
    }

    /// Ends it, with `answered` more entries of one minor unit: counts them and the money, and has the
    /// ledger check itself.
    pub async fn end(
        self,
        engine: &Engine,
        answered: u64,
        shown: &mut Shown,
    ) -> anyhow::Result<()> {
        let found = holdings(&self.client()?, self.people).await?;
        let expected = self.entries + answered;
        if found.entries != expected || u64::try_from(found.money_minor) != Ok(expected) {
            shown.faults.push(format!("{expected} entries of 1 were answered, but {found:?}"));
        }
        let Self { process, clients, url, name, .. } = self;
        drop(clients);
        process.end().await?;
        let verified = verify(&url).await.context("verifying the ledger")?;
        let (violations, ms) = (verified.violations, verified.ms);
        shown.checks.push(format!(
            "{} of {expected} entries are there; verify: {violations} violations in {ms} ms",
            found.entries
        ));
        if violations > 0 {
            shown.faults.push(format!("promises are broken: {:?}", verified.examples));
        }
        engine.remove(&name).await
    }
}

async fn fill(clients: &[Client], people: i64, entries: u64, seed: u64) -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let clock = Clock::system();
    let sizes = (0..entries.div_ceil(BATCH)).map(|batch| BATCH.min(entries - batch * BATCH));
    let batches = sizes.zip(clients.iter().cycle().cloned()).map(|(size, mut client)| {
        let one = |_| credit(key(&clock, &mut rng), rng.random_range(1..=people), 1);
        let transfers = (0..size).map(one).collect();
        let request = pb::PostTransfersRequest { transfers, all_or_nothing: false };
        async move {
            let answer = client.post_transfers(request).await?.into_inner();
            let refused = answer.results.iter().find_map(|result| match &result.outcome {
                Some(Outcome::Posted(_)) => None,
                other => Some(format!("{other:?}")),
            });
            anyhow::ensure!(refused.is_none(), "a transfer was not posted: {refused:?}");
            anyhow::Ok(())
        }
    });
    stream::iter(batches)
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
        .context("filling the history")
}
