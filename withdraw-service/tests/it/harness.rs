//! Starting the service on a fresh database, asking it, and waiting for what it does by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use cashout_common::actor::Actor;
use cashout_common::clock::Clock;
use cashout_common::local::Zone;
use cashout_common::random::Random;
use cashout_common::serve::Running;
use cashout_common::world::World;
use cashout_proto::withdraw::v1::withdraw_service_client::WithdrawServiceClient;
use cashout_proto::withdraw::v1::{
    ApproveWithdrawalRequest, GetHistoryRequest, GetWithdrawalRequest, RequestWithdrawalRequest,
    Status, Withdrawal,
};
use cashout_proto::{Failure, Reason};
use cashout_testing::TestDatabase;
use tonic::Request;
use tonic::transport::Channel;
use withdraw_service::domain::method::Method;
use withdraw_service::ports::LEDGER_TIMEOUT;
use withdraw_service::{Channels, Config, FloatGuard, Other, Policy, Timing, start_with, verify};

use crate::fake::Fake;
use crate::ledger::FakeLedger;

/// 2020-03-03 12:00:00 in Shanghai.
pub const NOON_US: i64 = 1_583_208_000_000_000;
/// Who requests, unless a test says otherwise.
pub const ALICE: i64 = 7;
/// Reviewers.
pub const BOB: i64 = 8;
pub const CAROL: i64 = 9;

static SEED: AtomicU64 = AtomicU64::new(1);

/// A running service with its surroundings.
pub struct Service {
    pub client: WithdrawServiceClient<Channel>,
    pub ledger: Arc<FakeLedger>,
    pub clock: Clock,
    pub config: Config,
    others: Vec<Other>,
    running: Option<Running>,
}

/// A configuration that is patient with nothing.
pub fn config(database: &TestDatabase) -> anyhow::Result<Config> {
    Ok(Config {
        payouts_at_once: 64,
        listen: "127.0.0.1:0".parse()?,
        database_url: database.url.clone(),
        account_address: "http://127.0.0.1:1".to_owned(),
        zone: Zone::named("Asia/Shanghai").map_err(anyhow::Error::msg)?,
        policy: Policy::default(),
        channels: Channels::sandbox(),
        timing: Timing {
            call_timeout: Duration::from_millis(300),
            ledger_timeout: LEDGER_TIMEOUT,
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(2),
            confirm_backoff_max: Duration::from_secs(2),
            unknown_limit: Duration::from_secs(24 * 3600),
            pending_limit: Duration::from_secs(72 * 3600),
            lease: Duration::from_secs(30),
        },
        float: FloatGuard::default(),
    })
}

impl Service {
    /// On a fresh ledger where ALICE has 10,000.00 and is paid at once.
    pub async fn fresh(database: &TestDatabase) -> anyhow::Result<Self> {
        Self::with(config(database)?).await
    }

    /// On a fresh ledger, with a configuration of its own.
    pub async fn with(config: Config) -> anyhow::Result<Self> {
        let ledger = Arc::new(FakeLedger::default());
        ledger.person(ALICE, 1_000_000, "alice");
        Self::on(config, ledger, Clock::set_at(NOON_US)).await
    }

    /// On a fresh ledger where ALICE has 10,000.00, by WeChat paid by a provider of the test's own.
    pub async fn paid_by(config: Config, fake: &Arc<Fake>) -> anyhow::Result<Self> {
        let ledger = Arc::new(FakeLedger::default());
        ledger.person(ALICE, 1_000_000, "alice");
        let others = vec![fake.for_method("wechat", Method::Wechat)];
        Self::beside(config, ledger, Clock::set_at(NOON_US), others).await
    }

    /// Another instance, or the same one again.
    pub async fn on(config: Config, ledger: Arc<FakeLedger>, clock: Clock) -> anyhow::Result<Self> {
        Self::beside(config, ledger, clock, Vec::new()).await
    }

    async fn beside(
        config: Config,
        ledger: Arc<FakeLedger>,
        clock: Clock,
        others: Vec<Other>,
    ) -> anyhow::Result<Self> {
        let random = Random::seeded(SEED.fetch_add(1, Ordering::Relaxed));
        let world = World { clock: clock.clone(), random };
        let running = start_with(config.clone(), world, ledger.clone(), others.clone()).await?;
        let address = format!("http://{}", running.address);
        let client = WithdrawServiceClient::connect(address).await?;
        Ok(Self { client, ledger, clock, config, others, running: Some(running) })
    }

    /// A second instance on the same database, ledger and clock.
    pub async fn sibling(&self) -> anyhow::Result<Self> {
        let (config, ledger) = (self.config.clone(), self.ledger.clone());
        Self::beside(config, ledger, self.clock.clone(), self.others.clone()).await
    }

    /// Stops by draining.
    pub async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Stops, then proves the guarantees and that the ledger agrees.
    pub async fn finish(self) -> anyhow::Result<()> {
        let (url, ledger) = (self.config.database_url.clone(), self.ledger.clone());
        self.stop().await;
        let report = verify(&url).await?;
        ensure!(report.clean(), "{report}");
        let holds = withdraw_service::ExpectedHolds::open(&url).await?;
        let mut after = Some(i64::MIN);
        while let Some(id) = after {
            let (page, until) = holds.after(id).await?;
            for hold in page {
                ensure!(ledger.matches(&hold), "the ledger disagrees: {hold:?}");
            }
            after = until;
        }
        holds.close().await;
        Ok(())
    }

    /// Requests as ALICE by WeChat.
    pub async fn request(&self, apply_minor: i64) -> anyhow::Result<Withdrawal> {
        Ok(self.ask(wechat(apply_minor, "")).await.map_err(anyhow::Error::new)?.0)
    }

    /// Requests; gives the withdrawal and whether it is a replay.
    pub async fn ask(
        &self,
        request: RequestWithdrawalRequest,
    ) -> Result<(Withdrawal, bool), Failure> {
        let answer = self.client.clone().request_withdrawal(request).await.map_err(failure)?;
        let answer = answer.into_inner();
        Ok((answer.withdrawal.unwrap_or_default(), answer.replayed))
    }

    /// Approves as a person.
    pub async fn approve(&self, id: i64, reviewer: i64) -> Result<Withdrawal, Failure> {
        let message = ApproveWithdrawalRequest { id, ..Default::default() };
        let answer = self.client.clone().approve_withdrawal(by(reviewer, message)).await;
        Ok(answer.map_err(failure)?.into_inner())
    }

    /// One withdrawal.
    pub async fn get(&self, id: i64) -> anyhow::Result<Withdrawal> {
        let request = GetWithdrawalRequest { id, user_id: 0 };
        Ok(self.client.clone().get_withdrawal(request).await?.into_inner())
    }

    /// Waits until a withdrawal has a status, letting time pass meanwhile.
    pub async fn until(&self, id: i64, status: Status) -> anyhow::Result<Withdrawal> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let w = self.get(id).await?;
            if w.status() == status {
                return Ok(w);
            }
            if Instant::now() > deadline {
                bail!("still {:?} instead of {status:?}", w.status());
            }
            self.clock.advance(Duration::from_millis(200));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until exactly these calls were made for a withdrawal and answered, letting time pass
    /// meanwhile.
    pub async fn until_calls(&self, id: i64, expected: &[&str]) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let calls = self.calls(id).await?;
            if calls == expected {
                return Ok(());
            }
            let (begun, late) = (calls.len() <= expected.len(), Instant::now() > deadline);
            ensure!(begun && !late, "{calls:?} instead of {expected:?}");
            // No lease runs out while a call is under way.
            if !calls.last().is_some_and(|call| call.ends_with(' ')) {
                self.clock.advance(Duration::from_millis(200));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The events of a withdrawal, in order.
    pub async fn events(&self, id: i64) -> anyhow::Result<Vec<String>> {
        let request = GetHistoryRequest { id, user_id: 0 };
        let history = self.client.clone().get_history(request).await?.into_inner();
        Ok(history.changes.into_iter().map(|c| c.event).collect())
    }

    /// The calls of all attempts of a withdrawal, `send paid` and so on.
    pub async fn calls(&self, id: i64) -> anyhow::Result<Vec<String>> {
        let request = GetHistoryRequest { id, user_id: 0 };
        let history = self.client.clone().get_history(request).await?.into_inner();
        let calls = history.attempts.into_iter().flat_map(|a| a.calls);
        Ok(calls.map(|c| format!("{} {}", c.operation, c.outcome)).collect())
    }
}

/// The failure a status carries.
pub fn failure(status: tonic::Status) -> Failure {
    Failure::from_status(&status)
}

/// The reason a call was refused with.
pub fn reason<T>(answer: Result<T, Failure>) -> anyhow::Result<Reason> {
    Ok(answer.err().context("it should have been refused")?.reason)
}

/// A request of ALICE by WeChat.
pub fn wechat(apply_minor: i64, key: &str) -> RequestWithdrawalRequest {
    RequestWithdrawalRequest {
        user_id: ALICE,
        apply_minor,
        method: 1,
        key: key.to_owned(),
        ..Default::default()
    }
}

/// A request of ALICE to be paid by hand.
pub fn manual(apply_minor: i64) -> RequestWithdrawalRequest {
    let mobile = "13800138000".to_owned();
    RequestWithdrawalRequest { method: 0, mobile, ..wechat(apply_minor, "") }
}

/// A message sent by a person.
pub fn by<T>(person: i64, message: T) -> Request<T> {
    let mut request = Request::new(message);
    Actor::Person(person).write(request.metadata_mut());
    request
}
