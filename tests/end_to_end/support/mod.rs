//! The real system on port 0 in this process, with databases of its own, and people to use it.

pub mod document;
pub mod people;
pub mod process;
pub mod web;

use std::time::{Duration, Instant};

use anyhow::Context;
use cashout_common::clock::Clock;
use cashout_common::peer::channel;
use cashout_common::settings::Values;
use cashout_common::world::World;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use cashout_proto::withdraw::v1::withdraw_service_client::WithdrawServiceClient;
use cashout_testing::TestDatabase;
use tonic::transport::Channel;

/// A running system and everything to use it with.
pub struct Stack {
    system: cashout::System,
    account_database: TestDatabase,
    withdraw_database: TestDatabase,
    data: tempfile::TempDir,
    /// What a setting was given, to start it again.
    settings: Vec<(&'static str, String)>,
    world: World,
    client: reqwest::Client,
}

/// The system on each engine of this machine.
pub async fn every_engine(
    name: &str,
    settings: &[(&'static str, &str)],
) -> anyhow::Result<Vec<Stack>> {
    every_engine_in(name, settings, World::real).await
}

/// The system on each engine of this machine at a time that the test sets.
pub async fn every_engine_in(
    name: &str,
    settings: &[(&'static str, &str)],
    world: impl Fn() -> World,
) -> anyhow::Result<Vec<Stack>> {
    let accounts = cashout_testing::databases(&format!("{name}_a")).await?;
    let cash_outs = cashout_testing::databases(&format!("{name}_w")).await?;
    let mut stacks = Vec::new();
    for (account, withdraw) in accounts.into_iter().zip(cash_outs) {
        stacks.push(Stack::start(account, withdraw, settings, world()).await?);
    }
    Ok(stacks)
}

/// The system on SQLite, where the engine makes no difference.
pub async fn one(name: &str, settings: &[(&'static str, &str)]) -> anyhow::Result<Stack> {
    one_in(name, settings, World::real()).await
}

/// The system on SQLite at a time that the test sets.
pub async fn one_in(
    name: &str,
    settings: &[(&'static str, &str)],
    world: World,
) -> anyhow::Result<Stack> {
    let account = cashout_testing::sqlite(&format!("{name}_a")).await?;
    let withdraw = cashout_testing::sqlite(&format!("{name}_w")).await?;
    Stack::start(account, withdraw, settings, world).await
}

impl Stack {
    async fn start(
        account_database: TestDatabase,
        withdraw_database: TestDatabase,
        settings: &[(&'static str, &str)],
        world: World,
    ) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let payee_key = data.path().join("payee-key-of-test");
        std::fs::write(&payee_key, "5a".repeat(32))?;
        let mut all: Vec<(&'static str, String)> = vec![
            ("CASHOUT_DATA_DIR", data.path().display().to_string()),
            ("ACCOUNT_DATABASE_URL", account_database.url.clone()),
            ("WITHDRAW_DATABASE_URL", withdraw_database.url.clone()),
            ("ACCOUNT_PAYEE_KEY_FILES", payee_key.display().to_string()),
            ("PAYEE_COOLING", "0s".to_owned()),
            ("GATEWAY_LISTEN", "127.0.0.1:0".to_owned()),
            ("ACCOUNT_LISTEN", "127.0.0.1:0".to_owned()),
            ("WITHDRAW_LISTEN", "127.0.0.1:0".to_owned()),
            ("WECHAT_PROVIDER", "sandbox".to_owned()),
            ("ALIPAY_PROVIDER", "sandbox".to_owned()),
        ];
        all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let system = run(&all, &world).await?;
        Ok(Self {
            system,
            account_database,
            withdraw_database,
            data,
            settings: all,
            world,
            client: web::client()?,
        })
    }

    /// The engine under it, for messages.
    pub fn engine(&self) -> &'static str {
        self.account_database.engine
    }

    /// Where the gateway is.
    pub fn gateway(&self) -> String {
        format!("http://{}", self.system.gateway())
    }

    /// A client of the account service.
    pub fn accounts(&self) -> anyhow::Result<AccountServiceClient<Channel>> {
        Ok(AccountServiceClient::new(channel(&self.system.account())?))
    }

    /// A client of the withdraw service.
    pub fn cash_outs(&self) -> anyhow::Result<WithdrawServiceClient<Channel>> {
        Ok(WithdrawServiceClient::new(channel(&self.system.withdraw())?))
    }

    /// The URLs of both services.
    pub fn services(&self) -> (String, String) {
        (self.system.account(), self.system.withdraw())
    }

    /// The account service's database.
    pub fn account_url(&self) -> &str {
        &self.account_database.url
    }

    /// The withdraw service's database.
    pub fn withdraw_url(&self) -> &str {
        &self.withdraw_database.url
    }

    /// The clock the system lives by.
    pub fn clock(&self) -> &Clock {
        &self.world.clock
    }

    /// Stops the system and starts it again on the same databases.
    pub async fn restart(self) -> anyhow::Result<Self> {
        self.restart_after(|| ()).await
    }

    /// Stops the system, lets something happen while nobody is there, and starts it again.
    pub async fn restart_after(self, meanwhile: impl FnOnce()) -> anyhow::Result<Self> {
        self.system.stop().await;
        meanwhile();
        let system = run(&self.settings, &self.world).await?;
        Ok(Self { system, ..self })
    }

    /// Runs every check of the guarantees; none may find anything.
    pub async fn verified(&self) -> anyhow::Result<()> {
        let report =
            cashout::verify(&self.account_database.url, &self.withdraw_database.url).await?;
        anyhow::ensure!(report.clean(), "on {}:\n{report}", self.engine());
        Ok(())
    }

    /// Ends a test: everything must verify, running and at rest.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.verified().await?;
        self.system.stop().await;
        let report =
            cashout::verify(&self.account_database.url, &self.withdraw_database.url).await?;
        anyhow::ensure!(report.clean(), "at rest:\n{report}");
        Ok(())
    }
}

async fn run(
    settings: &[(&'static str, String)],
    world: &World,
) -> anyhow::Result<cashout::System> {
    let set: Vec<(&'static str, &str)> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut values = Values::given(&cashout::settings::table(), &set);
    let config = cashout::Config::read(&mut values);
    let system = cashout::start(values.finish(config)?, world.clone()).await?;
    system.ready().await?;
    Ok(system)
}

/// Waits until `check` answers something, at most a minute.
pub async fn until<T, F>(what: &str, mut check: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = check().await? {
            return Ok(found);
        }
        anyhow::ensure!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The first of a list, or an error that says what is missing.
pub fn first<T>(list: Vec<T>, what: &str) -> anyhow::Result<T> {
    list.into_iter().next().with_context(|| format!("no {what}"))
}
