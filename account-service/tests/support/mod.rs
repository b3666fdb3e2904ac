//! The real service for tests: port 0, its own database, a set clock.

#![allow(dead_code)] // Each test file uses its own part.

pub mod model;
pub mod operations;
pub mod payees;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use account_service::{Config, Key, KeySource, Keyring, start};
use cashout_common::clock::Clock;
use cashout_common::random::Random;
use cashout_common::serve::Running;
use cashout_common::world::World;
use cashout_proto::Failure;
use cashout_proto::account::v1 as pb;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use cashout_testing::TestDatabase;
use tonic::transport::Channel;

/// Noon of 2026-01-01 in Shanghai.
pub const NOON_US: i64 = 1_767_240_000_000_000;

static STARTED: AtomicU64 = AtomicU64::new(1);

/// How long a new payee waits.
pub const COOLING: Duration = Duration::from_secs(86_400);

/// A running service and a client of it.
pub struct Stack {
    pub running: Running,
    pub client: AccountServiceClient<Channel>,
    pub clock: Clock,
    pub url: String,
}

impl Stack {
    /// Starts the service on `url`, always with the same key of payees and a day to cool down.
    pub async fn start(url: &str) -> anyhow::Result<Self> {
        Self::keyed(url, &[1]).await
    }

    /// Starts it with these keys of payees.
    pub async fn keyed(url: &str, keys: &[u8]) -> anyhow::Result<Self> {
        Self::with(Config {
            listen: "127.0.0.1:0".parse()?,
            database_url: url.to_owned(),
            payee_keys: KeySource::Given(ring(keys)?),
            payee_cooling: COOLING,
        })
        .await
    }

    /// Starts it as configured, at noon; chance is another one each time, as nonces must be.
    pub async fn with(config: Config) -> anyhow::Result<Self> {
        let (clock, url) = (Clock::set_at(NOON_US), config.database_url.clone());
        let started = STARTED.fetch_add(1, Ordering::Relaxed);
        let world = World { clock: clock.clone(), random: Random::seeded(started) };
        let running = start(config, world).await?;
        let channel = cashout_common::peer::channel(&format!("http://{}", running.address))?;
        let client = AccountServiceClient::new(channel);
        Ok(Self { running, client, clock, url })
    }

    /// Opens accounts for these people.
    pub async fn open(&mut self, people: &[i64]) -> anyhow::Result<()> {
        for user_id in people {
            let request = pb::OpenAccountRequest { user_id: *user_id, currency: String::new() };
            self.client.open_account(request).await?;
        }
        Ok(())
    }

    /// Available and frozen of a person.
    pub async fn balance(&mut self, user: i64) -> anyhow::Result<(i64, i64)> {
        let account = self.account(user).await?;
        Ok((account.available_minor, account.frozen_minor))
    }

    /// The account of a person.
    pub async fn account(&mut self, user: i64) -> anyhow::Result<pb::Account> {
        let request = pb::GetAccountRequest { account: Some(person(user)), ..Default::default() };
        let answer = self.client.get_account(request).await?.into_inner();
        answer.account.ok_or_else(|| anyhow::anyhow!("no account in the answer"))
    }

    /// Stops the service and checks every promise on what it left behind.
    pub async fn stop_and_verify(self) -> anyhow::Result<()> {
        self.running.stop().await;
        verified(&self.url).await
    }
}

/// Keys of payees, each made of one number.
pub fn ring(keys: &[u8]) -> anyhow::Result<Keyring> {
    let keys: Result<Vec<Key>, _> = keys.iter().map(|key| Key::new(&[*key; 32])).collect();
    Keyring::new(keys?).ok_or_else(|| anyhow::anyhow!("no ring"))
}

/// Fails with the report when a promise is broken.
pub async fn verified(url: &str) -> anyhow::Result<()> {
    let report = account_service::verify(url).await?;
    anyhow::ensure!(report.clean(), "broken promises:\n{report}");
    Ok(())
}

/// One fresh database per engine.
pub async fn databases(name: &str) -> anyhow::Result<Vec<TestDatabase>> {
    cashout_testing::databases(name).await
}

pub fn person(user: i64) -> pb::AccountRef {
    pb::AccountRef { by: Some(pb::account_ref::By::UserId(user)), currency: String::new() }
}

pub fn credit(key: &str, user: i64, amount_minor: i64) -> pb::PostTransferRequest {
    use pb::post_transfer_request::Movement;
    let movement =
        Movement::Credit(pb::Credit { account: Some(person(user)), ..Default::default() });
    post(key, amount_minor, pb::EntryKind::Task, movement)
}

pub fn debit(key: &str, user: i64, amount_minor: i64) -> pb::PostTransferRequest {
    use pb::post_transfer_request::Movement;
    let movement = Movement::Debit(pb::Debit { account: Some(person(user)), ..Default::default() });
    post(key, amount_minor, pb::EntryKind::Purchase, movement)
}

pub fn between(key: &str, from: i64, to: i64, amount_minor: i64) -> pb::PostTransferRequest {
    use pb::post_transfer_request::Movement;
    let movement =
        Movement::Between(pb::Between { from: Some(person(from)), to: Some(person(to)) });
    post(key, amount_minor, pb::EntryKind::Transfer, movement)
}

fn post(
    key: &str,
    amount_minor: i64,
    kind: pb::EntryKind,
    movement: pb::post_transfer_request::Movement,
) -> pb::PostTransferRequest {
    let movement = Some(movement);
    pb::PostTransferRequest {
        key: key.to_owned(),
        amount_minor,
        kind: kind.into(),
        movement,
        facts: None,
    }
}

pub fn place(key: &str, user: i64, amount_minor: i64) -> pb::PlaceHoldRequest {
    pb::PlaceHoldRequest {
        key: key.to_owned(),
        account: Some(person(user)),
        amount_minor,
        kind: pb::EntryKind::Withdrawal.into(),
        ..Default::default()
    }
}

pub fn settle(key: &str, hold: &str, amounts: &[i64]) -> pb::SettleHoldRequest {
    let part = |amount_minor: &i64| pb::SettlePart {
        amount_minor: *amount_minor,
        counter_account: "payout:manual".to_owned(),
        kind: pb::EntryKind::Withdrawal.into(),
        facts: None,
    };
    let parts = amounts.iter().map(part).collect();
    pb::SettleHoldRequest { key: key.to_owned(), hold_key: hold.to_owned(), parts, facts: None }
}

pub fn release(key: &str, hold: &str) -> pb::ReleaseHoldRequest {
    let (key, hold_key) = (key.to_owned(), hold.to_owned());
    pb::ReleaseHoldRequest { key, hold_key, ..Default::default() }
}

/// The reason of a refusal, or the empty text of a success.
pub fn reason<T>(result: &Result<T, tonic::Status>) -> &'static str {
    result.as_ref().err().map_or("", |status| Failure::from_status(status).reason.row().name)
}
