//! One caller's next call, and whether it was answered as it should be.

use cashout_common::clock::Clock;
use cashout_proto::account::v1 as pb;
use pb::transfer_result::Outcome;
use rand::rngs::StdRng;
use tonic::Status;

use super::population::Population;
use super::request::{between, credit, key, place, settle};
use super::scenario::Act;
use super::{BATCH, Client};

/// What one movement moves, minor units: every movement one, so that sums are counts.
const AMOUNT: i64 = 1;

/// One caller.
pub struct Caller {
    /// Whom it asks.
    pub client: Client,
    /// What it does.
    pub act: Act,
    /// For whom.
    pub population: Population,
    /// Its own chance.
    pub rng: StdRng,
    /// For keys that are ordered by time.
    pub clock: Clock,
}

impl Caller {
    /// Asks once and waits for the answer; tells why it is not the one expected.
    pub async fn call(&mut self) -> Result<(), String> {
        match self.act {
            Act::Credit => {
                let request = self.credit();
                let answer = self.client.post_transfer(request).await.map_err(told)?;
                fresh(answer.into_inner().replayed)
            }
            Act::Between => {
                let (from, to) = self.population.pair(&mut self.rng);
                let request = between(self.key(), from, to, AMOUNT);
                let answer = self.client.post_transfer(request).await.map_err(told)?;
                fresh(answer.into_inner().replayed)
            }
            Act::HoldAndSettle => self.hold_and_settle().await,
            Act::Batch => self.batch().await,
        }
    }

    async fn hold_and_settle(&mut self) -> Result<(), String> {
        let user = self.population.pick(&mut self.rng);
        let hold = self.key();
        let request = place(hold.clone(), user, AMOUNT);
        let placed = self.client.place_hold(request).await.map_err(told)?;
        fresh(placed.into_inner().replayed)?;
        let request = settle(self.key(), hold, AMOUNT);
        let settled = self.client.settle_hold(request).await.map_err(told)?;
        fresh(settled.into_inner().replayed)
    }

    async fn batch(&mut self) -> Result<(), String> {
        let transfers = (0..BATCH).map(|_| self.credit()).collect();
        let request = pb::PostTransfersRequest { transfers, all_or_nothing: false };
        let answer = self.client.post_transfers(request).await.map_err(told)?.into_inner();
        if answer.results.len() as u64 != BATCH {
            return Err(format!("{} results of {BATCH}", answer.results.len()));
        }
        for result in answer.results {
            match result.outcome {
                Some(Outcome::Posted(posted)) => fresh(posted.replayed)?,
                Some(Outcome::Refused(refusal)) => return Err(refusal.reason),
                None => return Err("a result without an outcome".to_owned()),
            }
        }
        Ok(())
    }

    fn credit(&mut self) -> pb::PostTransferRequest {
        let user = self.population.pick(&mut self.rng);
        credit(self.key(), user, AMOUNT)
    }

    fn key(&mut self) -> String {
        key(&self.clock, &mut self.rng)
    }
}

fn told(status: Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

/// Every key is new, so an answer that was stored before is a defect.
fn fresh(replayed: bool) -> Result<(), String> {
    if replayed { Err("an old answer to a new key".to_owned()) } else { Ok(()) }
}
