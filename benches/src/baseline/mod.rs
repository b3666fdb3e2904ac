//! The baseline: what a competent textbook service does, one database transaction per request.
//!
//! It shows what the group commit is worth, so it is written to be as good as its shape allows:
//! prepared statements, rows locked in order, no more statements than needed, connections that are
//! handed on without a ping, few indexes. It does less than the real ledger: no hash chain, no
//! lifetime totals, no balance of counter-accounts (which every credit would queue for), no facts.
//! Accounts are named by `user_id`, in CNY.

mod ledger;
mod reading;
mod request;
pub mod store;

#[cfg(test)]
mod baseline_tests;

use cashout_common::clock::Clock;
use cashout_common::writer::database_failure;
use cashout_proto::account::v1 as pb;
use cashout_proto::{Failure, Reason};

use crate::surface::surface;
use reading::shown;
use store::Store;

/// The server.
pub struct Textbook {
    store: Store,
    readers: Store,
    clock: Clock,
}

surface!(Textbook);

impl Textbook {
    /// A server over an empty database.
    pub async fn open(url: &str, clock: Clock) -> anyhow::Result<Self> {
        let (store, readers) = (Store::open(url).await?, Store::readers(url)?);
        Ok(Self { store, readers, clock })
    }

    /// Opens the accounts of people 1 to `people`: one transaction each would take longer than the load.
    pub async fn open_everybody(&self, people: i64) -> Result<(), Failure> {
        let mut work = self.store.begin().await.map_err(failed)?;
        let opened = work.open_everybody(people, self.clock.now_us()).await.map_err(failed);
        work.end(opened).await
    }

    async fn open_account(
        &self,
        request: pb::OpenAccountRequest,
    ) -> Result<pb::OpenAccountResponse, Failure> {
        let now_us = self.clock.now_us();
        let mut work = self.store.begin().await.map_err(failed)?;
        let opened = work.open_account(request.user_id, now_us).await.map_err(failed);
        let (account, created) = work.end(opened).await?;
        Ok(pb::OpenAccountResponse { account: Some(shown(&account)), created })
    }

    async fn post_transfer(
        &self,
        request: pb::PostTransferRequest,
    ) -> Result<pb::PostTransferResponse, Failure> {
        let order = request::transfer(&request)?;
        let mut work = self.store.begin().await.map_err(failed)?;
        let done = ledger::transfer(&mut work, &order, self.clock.now_us()).await;
        work.end(done).await
    }

    async fn place_hold(&self, request: pb::PlaceHoldRequest) -> Result<pb::HoldResponse, Failure> {
        let order = request::place(&request)?;
        let mut work = self.store.begin().await.map_err(failed)?;
        let done = ledger::place(&mut work, &order, self.clock.now_us()).await;
        work.end(done).await
    }

    async fn settle_hold(
        &self,
        request: pb::SettleHoldRequest,
    ) -> Result<pb::HoldResponse, Failure> {
        let order = request::settle(&request)?;
        let mut work = self.store.begin().await.map_err(failed)?;
        let done = ledger::end(&mut work, &order, self.clock.now_us()).await;
        work.end(done).await
    }

    async fn release_hold(
        &self,
        request: pb::ReleaseHoldRequest,
    ) -> Result<pb::HoldResponse, Failure> {
        let order = request::release(&request)?;
        let mut work = self.store.begin().await.map_err(failed)?;
        let done = ledger::end(&mut work, &order, self.clock.now_us()).await;
        work.end(done).await
    }
}

fn failed(error: sqlx::Error) -> Failure {
    database_failure(&error)
}

fn no_account() -> Failure {
    Failure::new(Reason::AccountNotFound, "there is no such account")
}
