//! The baseline: what a competent textbook service does, one database transaction per request.
//!
//! It shows what the group commit is worth, so it is written to be as good as its shape allows:
//! prepared statements, rows locked in order, no more statements than needed, connections that are
//! handed on without a ping, few indexes. It does less than the real ledger: no hash chain, no
//! lifetime totals, no balance of counter-accounts (which every credit would queue for), no facts.
//! Accounts are named by `user_id`, in CNY.

mod ledger;
mod request;
pub mod store;

#[cfg(test)]
mod baseline_tests;

use cashout_common::clock::Clock;
use cashout_common::writer::database_failure;
use cashout_proto::account::v1 as pb;
use cashout_proto::{Failure, Reason};

use crate::surface::surface;
use store::{AccountRow, Store};

/// The server.
pub struct Textbook {
    store: Store,
    clock: Clock,
}

surface!(Textbook);

impl Textbook {
    /// A server over an empty database.
    pub async fn open(url: &str, clock: Clock) -> anyhow::Result<Self> {
        Ok(Self { store: Store::open(url).await?, clock })
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

    async fn get_account(
        &self,
        request: pb::GetAccountRequest,
    ) -> Result<pb::GetAccountResponse, Failure> {
        let user = request::person("account", request.account.as_ref())?;
        let mut work = self.store.begin().await.map_err(failed)?;
        let read = work.account(user).await.map_err(failed);
        let account = work.end(read).await?.ok_or_else(no_account)?;
        Ok(pb::GetAccountResponse { account: Some(shown(&account)), ..Default::default() })
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
        let done = ledger::settle(&mut work, &order, self.clock.now_us()).await;
        work.end(done).await
    }
}

fn failed(error: sqlx::Error) -> Failure {
    database_failure(&error)
}

fn no_account() -> Failure {
    Failure::new(Reason::AccountNotFound, "there is no such account")
}

fn shown(row: &AccountRow) -> pb::Account {
    pb::Account {
        id: row.id,
        user_id: row.user_id,
        currency: "CNY".to_owned(),
        available_minor: row.available,
        frozen_minor: row.frozen,
        last_seq: row.last_seq,
        created_at_us: row.created_at,
        updated_at_us: row.updated_at,
        ..Default::default()
    }
}
