//! The raw limit of batched writes: how fast this database takes the same movements with no service
//! in front of it, so that the service's batches can be told as a part of it.
//!
//! What it includes: for every batch of 1,000 movements one durable transaction that appends an entry
//! each (id, account, sequence, the caller's key as text, amount, running balance, time; its id, its
//! key and its place in the account unique) and brings every account concerned to its new balance,
//! sequence and version, guarded by the version it had. The keys and the accounts are chosen as in the
//! load on the services, and the writer's only computing is to add one to a balance it remembers.
//! What it does not: no RPC, no request to read or answer, no look whether a key is known, no rule, no
//! other side of a movement, no digest, no hash, no kind, no facts, no totals.
//!
//! A writer has one connection and waits for its batch before it makes the next. On PostgreSQL one and
//! two of them are measured, with the accounts split between them so that they never wait for each
//! other's rows; the better one is the limit. SQLite has one writer.
//! Must not know: SQL.

mod store;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cashout_common::clock::Clock;
use cashout_common::db::{Conn, close};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::sleep_until;

use crate::check::Money;
use crate::engine::Engine;
use crate::load::population::Population;
use crate::load::request::key;
use crate::load::seen::{Moved, Seen};
use crate::load::{BATCH, Window};
use crate::measure::{Round, Spent, WARM_UP, told};
use crate::process::reading::Memory;
use crate::target::Target;
use store::{AccountRow, EntryRow};

/// What one movement moves, minor units.
const AMOUNT: i64 = 1;

/// Writers on a database of their own.
pub struct Raw {
    target: Target,
    writers: Vec<Writer>,
    /// The name of the database.
    pub database: String,
}

/// One connection, and the accounts that only it writes to.
struct Writer {
    conn: Conn,
    /// Of how many, and which.
    share: (i64, i64),
    /// Balance, sequence and version of every account, by id.
    accounts: Vec<(i64, i64, i64)>,
    last_id: i64,
    clock: Clock,
}

impl Raw {
    /// Makes the tables on a fresh database, and the connections.
    pub async fn start(
        target: Target,
        engine: &Engine,
        number: usize,
        people: i64,
    ) -> anyhow::Result<Self> {
        let database = format!("bench{number}{}", target.database());
        let url = engine.fresh(&database).await?;
        let mut first = store::connect(&url).await?;
        store::prepare(&mut first, people).await?;
        close(first).await;
        let mut writers = Vec::new();
        let count = if target == Target::RawTwo { 2 } else { 1 };
        for which in 0..count {
            writers.push(Writer {
                conn: store::connect(&url).await?,
                share: (count, which),
                accounts: vec![(0, 0, 0); usize::try_from(people)? + 1],
                last_id: 0,
                clock: Clock::system(),
            });
        }
        Ok(Self { target, writers, database })
    }

    /// Writes for as long as a round of the services takes.
    pub async fn round(
        &mut self,
        engine: &Engine,
        population: &Population,
        (seed, measured): (u64, Duration),
    ) -> anyhow::Result<Round> {
        let window = Window::after(WARM_UP, measured);
        let costs = async {
            sleep_until(window.opens.into()).await;
            let before = Spent::without_service(engine);
            sleep_until(window.closes.into()).await;
            (before, Spent::without_service(engine))
        };
        let mut writing = Vec::new();
        for (number, mut writer) in (0..).zip(self.writers.drain(..)) {
            let population = population.clone();
            let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number));
            writing.push(tokio::spawn(async move {
                let seen = writer.run(&population, rng, window).await;
                (writer, seen)
            }));
        }
        let (wrote, spent) = tokio::join!(futures::future::join_all(writing), costs);
        let mut seen = Seen::default();
        for one in wrote {
            let (writer, saw) = one?;
            seen.add(saw?);
            self.writers.push(writer);
        }
        told(self.target, measured, seen, spent, Memory::default())
    }

    /// Counts the money, and ends the connections.
    pub async fn end(mut self, moved: Moved) -> anyhow::Result<Money> {
        let mut found = (0, 0, 0);
        if let Some(writer) = self.writers.first_mut() {
            found = store::totals(&mut writer.conn).await?;
        }
        for writer in self.writers {
            close(writer.conn).await;
        }
        let (balances, entries, amounts) = found;
        anyhow::ensure!(
            balances == amounts && amounts == entries * AMOUNT,
            "raw writes hold {balances} in accounts and {amounts} in {entries} entries"
        );
        Ok(Money::told(0, moved, balances))
    }
}

impl Writer {
    async fn run(
        &mut self,
        population: &Population,
        mut rng: StdRng,
        window: Window,
    ) -> anyhow::Result<Seen> {
        let mut seen = Seen::default();
        let mut began = Instant::now();
        while began < window.closes {
            let (accounts, entries) = self.batch(population, &mut rng);
            store::write(&mut self.conn, &accounts, &entries).await?;
            let ended = Instant::now();
            seen.answered += BATCH;
            seen.written += BATCH;
            seen.moved += Moved::surely(AMOUNT * i64::try_from(BATCH)?);
            if window.holds(ended) {
                seen.counted += BATCH;
                seen.latencies_us
                    .push(u32::try_from((ended - began).as_micros()).unwrap_or(u32::MAX));
            }
            began = ended;
        }
        Ok(seen)
    }

    /// The next movements, and the accounts after them, in order of id.
    fn batch(
        &mut self,
        population: &Population,
        rng: &mut StdRng,
    ) -> (Vec<AccountRow>, Vec<EntryRow>) {
        let (writers, which) = self.share;
        let now_us = self.clock.now_us();
        let mut touched = BTreeMap::new();
        let mut entries = Vec::with_capacity(usize::try_from(BATCH).unwrap_or_default());
        for _ in 0..BATCH {
            let picked = population.pick(rng);
            // The next account that is this writer's; people are a multiple of writers, or one.
            let id = (picked - 1) / writers * writers + 1 + which;
            let at = usize::try_from(id).unwrap_or_default();
            let Some((balance, seq, version)) = self.accounts.get_mut(at) else { continue };
            *balance += AMOUNT;
            *seq += 1;
            self.last_id += 1;
            entries.push(EntryRow {
                id: self.last_id * writers + which,
                account_id: id,
                seq: *seq,
                key: key(&self.clock, rng),
                amount: AMOUNT,
                balance_after: *balance,
                created_at: now_us,
            });
            let row = AccountRow { id, balance: *balance, seq: *seq, version: *version };
            touched.insert(id, row);
        }
        for row in touched.values() {
            if let Some((_, _, version)) =
                usize::try_from(row.id).ok().and_then(|at| self.accounts.get_mut(at))
            {
                *version += 1;
            }
        }
        (touched.into_values().collect(), entries)
    }
}

#[cfg(test)]
#[path = "raw_tests.rs"]
mod tests;
