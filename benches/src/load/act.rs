//! One caller's next call, and whether it was answered as it should be.

use cashout_common::clock::Clock;
use cashout_proto::account::v1 as pb;
use pb::transfer_result::Outcome;
use rand::rngs::StdRng;
use tonic::Status;

use super::population::Population;
use super::request::{account, between, credit, key, page, place, release, settle};
use super::step::{Act, Step};
use super::{AMOUNT, BATCH, Client};

/// One caller.
pub struct Caller {
    /// Which of all.
    pub number: u64,
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
    /// What it asks for next.
    pub fn next(&mut self) -> Step {
        self.act.step(self.number, &mut self.rng)
    }

    /// Asks once and waits for the answer; tells why it is not the one expected.
    pub async fn call(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Credit => {
                let request = self.credit();
                let answer = self.client.post_transfer(request).await.map_err(told)?;
                fresh(answer.into_inner().replayed)
            }
            Step::Between => {
                let (from, to) = self.population.pair(&mut self.rng);
                let request = between(self.key(), from, to, AMOUNT);
                let answer = self.client.post_transfer(request).await.map_err(told)?;
                fresh(answer.into_inner().replayed)
            }
            Step::HoldAndSettle => {
                let hold = self.hold().await?;
                let request = settle(self.key(), hold, AMOUNT);
                let ended = self.client.settle_hold(request).await.map_err(told)?;
                fresh(ended.into_inner().replayed)
            }
            Step::HoldAndRelease => {
                let hold = self.hold().await?;
                let request = release(self.key(), hold);
                let ended = self.client.release_hold(request).await.map_err(told)?;
                fresh(ended.into_inner().replayed)
            }
            Step::Batch => self.batch().await,
            Step::Read => self.read().await,
        }
    }

    /// Places a hold; tells its key.
    async fn hold(&mut self) -> Result<String, String> {
        let user = self.population.pick(&mut self.rng);
        let hold = self.key();
        let request = place(hold.clone(), user, AMOUNT);
        let placed = self.client.place_hold(request).await.map_err(told)?;
        fresh(placed.into_inner().replayed)?;
        Ok(hold)
    }

    async fn read(&mut self) -> Result<(), String> {
        let user = self.population.pick(&mut self.rng);
        let answer = self.client.get_account(account(user)).await.map_err(told)?.into_inner();
        let before = answer.account.ok_or("no account in the answer")?;
        let answer = self.client.list_statement(page(user)).await.map_err(told)?.into_inner();
        // Time does not go back between the two.
        let newest = answer.entries.first().map_or(0, |entry| entry.seq);
        if newest.min(answer.total) < before.last_seq {
            let (total, last) = (answer.total, before.last_seq);
            return Err(format!("line {newest} of {total} is the newest after line {last}"));
        }
        Ok(())
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
