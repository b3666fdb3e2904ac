//! The programs as processes: simulator, account service, withdraw service, gateway. The withdraw service can
//! be killed and started again. Must not know: what is asked of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use cashout_common::peer::channel;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use cashout_proto::withdraw::v1::withdraw_service_client::WithdrawServiceClient;
use cashout_testing::TestDatabase;
use tonic::transport::Channel;

use crate::process::{Process, free_port};

/// Times that make a run short; none of them changes an outcome.
const QUICK: &[(&str, &str)] = &[
    ("PAYOUT_CALL_TIMEOUT", "600ms"),
    ("PAYOUT_BACKOFF_MIN", "30ms"),
    ("PAYOUT_BACKOFF_MAX", "1s"),
    ("PAYOUT_CONFIRM_BACKOFF_MAX", "1s"),
    ("PAYOUT_LEASE", "6s"),
    ("PAYOUT_UNKNOWN_LIMIT", "45s"),
    ("FLOAT_CHECK_EVERY", "1s"),
    ("PAYEE_COOLING", "0s"),
    // Faults are told loudly, by the thousand.
    ("CASHOUT_LOG", "off"),
    ("CASH_DAILY_LIMIT", "100000.00"),
];

/// The four programs, running.
pub struct System {
    settings: Vec<(&'static str, String)>,
    /// Where the simulator is.
    pub simulator: String,
    account: String,
    withdraw: String,
    databases: (TestDatabase, TestDatabase),
    killable: Mutex<Option<Process>>,
    /// How often it was killed.
    pub kills: AtomicU32,
    /// Kept until the end, and ended with the value.
    rest: Vec<Process>,
    _data: tempfile::TempDir,
}

async fn fresh(name: &str, on_a_server: bool) -> anyhow::Result<TestDatabase> {
    let server = if on_a_server { cashout_testing::postgres(name).await? } else { None };
    match server {
        Some(database) => Ok(database),
        None => cashout_testing::sqlite(name).await,
    }
}

impl System {
    /// Starts all of them on fresh databases: in files, or on PostgreSQL when this machine has one.
    pub async fn start(name: &str, on_a_server: bool) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let databases = (
            fresh(&format!("{name}_a"), on_a_server).await?,
            fresh(&format!("{name}_w"), on_a_server).await?,
        );
        println!("{name} on {}", databases.0.engine);
        let [simulator, account, withdraw, gateway] =
            [free_port()?, free_port()?, free_port()?, free_port()?]
                .map(|port| format!("127.0.0.1:{port}"));
        let url = |address: &str| format!("http://{address}");
        let payee_key = data.path().join("payee-key-of-test");
        std::fs::write(&payee_key, "5a".repeat(32))?;
        let mut settings = vec![
            ("ACCOUNT_PAYEE_KEY_FILES", payee_key.display().to_string()),
            ("CASHOUT_DATA_DIR", data.path().display().to_string()),
            ("SANDBOX_LISTEN", simulator.clone()),
            ("SANDBOX_ALIPAY_NOTIFY_URL", format!("{}/notify/alipay", url(&gateway))),
            ("WECHAT_NOTIFY_URL", format!("{}/notify/wechat", url(&gateway))),
            ("ACCOUNT_DATABASE_URL", databases.0.url.clone()),
            ("WITHDRAW_DATABASE_URL", databases.1.url.clone()),
            ("ACCOUNT_LISTEN", account.clone()),
            ("WITHDRAW_LISTEN", withdraw.clone()),
            ("GATEWAY_LISTEN", gateway.clone()),
            ("ACCOUNT_ADDRESS", url(&account)),
            ("WITHDRAW_ADDRESS", url(&withdraw)),
        ];
        settings.extend(QUICK.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let witness = Process::start("cashout", &["sandbox"], &settings)?;
        let keys = sandbox::keys::prepare(&data.path().join("sandbox/keys"))?;
        for (name, value) in keys.settings(simulator.parse()?) {
            if !settings.iter().any(|(known, _)| *known == name) {
                settings.push((name, value));
            }
        }
        let rest = vec![
            witness,
            Process::start("account-service", &[], &settings)?,
            Process::start("gateway", &[], &settings)?,
        ];
        let killable = Mutex::new(Some(Process::start("withdraw-service", &[], &settings)?));
        let (account, withdraw) = (url(&account), url(&withdraw));
        let simulator = url(&simulator);
        Ok(Self {
            settings,
            simulator,
            account,
            withdraw,
            databases,
            killable,
            kills: AtomicU32::new(0),
            rest,
            _data: data,
        })
    }

    /// A client of the account service.
    pub fn accounts(&self) -> anyhow::Result<AccountServiceClient<Channel>> {
        Ok(AccountServiceClient::new(channel(&self.account)?))
    }

    /// A client of the withdraw service.
    pub fn cash_outs(&self) -> anyhow::Result<WithdrawServiceClient<Channel>> {
        Ok(WithdrawServiceClient::new(channel(&self.withdraw)?))
    }

    /// `kill -9` of the withdraw service, and a new one on the same database.
    pub fn kill(&self) -> anyhow::Result<()> {
        let mut killable = self.killable.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
        killable.take().context("it runs")?.kill()?;
        self.kills.fetch_add(1, Ordering::Relaxed);
        *killable = Some(Process::start("withdraw-service", &[], &self.settings)?);
        Ok(())
    }

    /// Checks every guarantee; none may be violated.
    pub async fn verified(&self) -> anyhow::Result<()> {
        // What is on its way is judged by its own look again; a moment is enough.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let report = cashout::verify(&self.databases.0.url, &self.databases.1.url).await?;
        anyhow::ensure!(report.clean(), "{report}");
        Ok(())
    }

    /// Ends a run: everything must verify, at rest too.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.verified().await?;
        let withdraw = self.killable.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.take();
        withdraw.context("it runs")?.kill()?;
        self.rest.clear();
        let report = cashout::verify(&self.databases.0.url, &self.databases.1.url).await?;
        anyhow::ensure!(report.clean(), "at rest:\n{report}");
        Ok(())
    }
}
