//! The three programs as three processes: killed in the middle, without a peer, terminated. Exactly
//! one outcome each, and nothing answered is lost (guarantees G9, G13, G14).

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cashout_common::peer::channel;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use cashout_proto::withdraw::v1 as withdraw;
use cashout_testing::TestDatabase;
use tonic::transport::Channel;
use withdraw::withdraw_service_client::WithdrawServiceClient;

use crate::support::people::{WECHAT, cash, income, of};
use crate::support::process::{Process, command, free_port};
use crate::support::until;
use crate::support::web::{self, Answer, Who, admin, user};

/// Settings and addresses of three processes that find each other again after a restart.
struct Three {
    settings: Vec<(&'static str, String)>,
    account: String,
    withdraw: String,
    gateway: String,
    client: reqwest::Client,
    data: tempfile::TempDir,
    databases: (TestDatabase, TestDatabase),
}

impl Three {
    async fn on_every_engine(name: &str) -> anyhow::Result<Vec<Self>> {
        let accounts = cashout_testing::databases(&format!("{name}_a")).await?;
        let cash_outs = cashout_testing::databases(&format!("{name}_w")).await?;
        accounts.into_iter().zip(cash_outs).map(Self::new).collect()
    }

    fn new(databases: (TestDatabase, TestDatabase)) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let payee_key = data.path().join("payee-key-of-test");
        std::fs::write(&payee_key, "5a".repeat(32))?;
        let [account, withdraw, gateway] =
            [free_port()?, free_port()?, free_port()?].map(|port| format!("127.0.0.1:{port}"));
        let settings = vec![
            ("CASHOUT_DATA_DIR", data.path().display().to_string()),
            ("ACCOUNT_DATABASE_URL", databases.0.url.clone()),
            ("WITHDRAW_DATABASE_URL", databases.1.url.clone()),
            ("ACCOUNT_PAYEE_KEY_FILES", payee_key.display().to_string()),
            ("PAYEE_COOLING", "0s".to_owned()),
            ("ACCOUNT_LISTEN", account.clone()),
            ("WITHDRAW_LISTEN", withdraw.clone()),
            ("GATEWAY_LISTEN", gateway.clone()),
            ("ACCOUNT_ADDRESS", format!("http://{account}")),
            ("WITHDRAW_ADDRESS", format!("http://{withdraw}")),
            ("WECHAT_PROVIDER", "sandbox".to_owned()),
            ("ALIPAY_PROVIDER", "sandbox".to_owned()),
            // What a killed process had claimed is taken over soon, though not while calls last.
            ("PAYOUT_LEASE", "6s".to_owned()),
            ("PAYOUT_BACKOFF_MIN", "20ms".to_owned()),
            ("PAYOUT_BACKOFF_MAX", "500ms".to_owned()),
            ("PAYOUT_CONFIRM_BACKOFF_MAX", "500ms".to_owned()),
        ];
        let [account, withdraw, gateway] =
            [account, withdraw, gateway].map(|address| format!("http://{address}"));
        Ok(Self { settings, account, withdraw, gateway, client: web::client()?, data, databases })
    }

    fn start(&self, name: &str) -> anyhow::Result<Process> {
        Process::start(name, &[], &self.settings)
    }

    fn accounts(&self) -> anyhow::Result<AccountServiceClient<Channel>> {
        Ok(AccountServiceClient::new(channel(&self.account)?))
    }

    fn cash_outs(&self) -> anyhow::Result<WithdrawServiceClient<Channel>> {
        Ok(WithdrawServiceClient::new(channel(&self.withdraw)?))
    }

    async fn post(&self, who: &Who, path: &str, body: &str, key: &str) -> anyhow::Result<Answer> {
        let now_us = cashout_common::clock::Clock::system().now_us();
        let request = self
            .client
            .post(format!("{}{path}", self.gateway))
            .bearer_auth(web::token(self.data.path(), who, now_us)?)
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(body.to_owned());
        web::send(request).await
    }

    /// Asks again and again until there is a definite answer, as a good client does.
    async fn surely(&self, who: &Who, path: &str, body: &str, key: &str) -> anyhow::Result<Answer> {
        until(&format!("an answer to {key}"), || async {
            let answer = self.post(who, path, body, key).await;
            Ok(answer.ok().filter(|a| a.status < 500 && a.status != 429))
        })
        .await
    }

    /// Waits until the gateway says that it, and what is behind it, is ready or not.
    async fn ready(&self, expected: bool) -> anyhow::Result<()> {
        until(&format!("ready={expected}"), || async {
            let asked = self.client.get(format!("{}/readyz", self.gateway)).send().await;
            let ready = asked.is_ok_and(|answer| answer.status().as_u16() == 200);
            Ok((ready == expected).then_some(()))
        })
        .await
    }

    async fn rich(&self, user_id: i64, payee: &str) -> anyhow::Result<()> {
        use cashout_proto::account::v1 as account;
        let mut accounts = self.accounts()?;
        let open = account::OpenAccountRequest { user_id, currency: String::new() };
        accounts.open_account(open).await?;
        let profile = account::SetProfileRequest {
            user_id,
            username: format!("user{user_id}"),
            mobile: String::new(),
        };
        accounts.set_profile(profile).await?;
        accounts.post_transfer(income(&format!("rich:{user_id}"), user_id, 1_000)).await?;
        let payee = account::Payee {
            method: account::PayeeMethod::Wechat.into(),
            payee_id: format!("{payee}-{user_id}"),
            ..account::Payee::default()
        };
        accounts.bind_payee(account::BindPayeeRequest { user_id, payee: Some(payee) }).await?;
        Ok(())
    }

    /// `cashout verify` on both databases.
    fn verify(&self) -> anyhow::Result<()> {
        let output = command("cashout", &self.settings)?.arg("verify").output()?;
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::ensure!(output.status.success(), "{}: {told}", self.databases.0.engine);
        Ok(())
    }
}

const SCRIPTS: &[&str] = &["pays", "delay-1s", "refuse", "unknown-paid", "unknown-refused", "lost"];
const PEOPLE: i64 = 12;

fn script(user_id: i64) -> &'static str {
    let at = usize::try_from(user_id).unwrap_or_default() % SCRIPTS.len();
    SCRIPTS.get(at).copied().unwrap_or("pays")
}

/// Everybody asks for 4.00 and is approved, whatever happens to the processes meanwhile.
async fn everybody_cashes_out(three: Arc<Three>) -> anyhow::Result<Vec<(i64, i64)>> {
    let mut asked = Vec::new();
    for user_id in 1..=PEOPLE {
        let body = cash("4", WECHAT);
        let key = format!("cash-{user_id}");
        let answer = three.surely(&user(user_id), "/api/wallet/cash", &body, &key).await?;
        anyhow::ensure!(answer.status == 200, "{}", answer.body);
        let id: i64 = answer.text("/data/id")?.parse()?;
        let body = format!(r#"{{"ids":[{id}],"cash_status":2,"remark":"ok"}}"#);
        let key = format!("review-{user_id}");
        let answer = three.surely(&admin(99), "/api/wallet/cash/review", &body, &key).await?;
        anyhow::ensure!(
            answer.text(&format!("/data/result/{id}"))? == "success",
            "{}",
            answer.body
        );
        asked.push((user_id, id));
    }
    Ok(asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_process_is_killed_in_the_middle_and_each_cash_out_has_one_outcome()
-> anyhow::Result<()> {
    let mut engines = tokio::task::JoinSet::new();
    for three in Three::on_every_engine("killed").await? {
        engines.spawn(kill_each(Arc::new(three)));
    }
    while let Some(done) = engines.join_next().await {
        done??;
    }
    Ok(())
}

async fn kill_each(three: Arc<Three>) -> anyhow::Result<()> {
    let names = ["account-service", "withdraw-service", "gateway"];
    let mut running = names.map(|name| (name, three.start(name)));
    three.ready(true).await?;
    for user_id in 1..=PEOPLE {
        three.rich(user_id, script(user_id)).await?;
    }
    let cashing_out = tokio::spawn(everybody_cashes_out(three.clone()));
    for round in 0..2 {
        for (name, process) in &mut running {
            tokio::time::sleep(Duration::from_millis(150 + 70 * round)).await;
            let old = std::mem::replace(process, Err(anyhow::anyhow!("killed")));
            old?.kill()?;
            *process = three.start(name);
        }
    }
    let asked = cashing_out.await??;
    for (user_id, id) in asked {
        one_outcome(&three, user_id, id).await?;
    }
    three.verify()?;
    for (_, process) in running.into_iter().rev() {
        let process = process?;
        process.terminate()?;
        assert!(process.ended()?.success());
    }
    three.verify()
}

async fn one_outcome(three: &Three, user_id: i64, id: i64) -> anyhow::Result<()> {
    let paid = !script(user_id).contains("refuse");
    let status = if paid { withdraw::Status::Paid } else { withdraw::Status::Failed };
    until(&format!("withdrawal {id} of {} is {status:?}", script(user_id)), || async {
        let asked = withdraw::GetWithdrawalRequest { id, user_id };
        let now = three.cash_outs()?.get_withdrawal(asked).await?.into_inner();
        Ok((now.status() == status).then_some(()))
    })
    .await?;
    let asked = cashout_proto::account::v1::GetAccountRequest {
        account: of(user_id),
        ..Default::default()
    };
    let account = three.accounts()?.get_account(asked).await?.into_inner().account;
    let account = account.context("an account")?;
    let left = (account.available_minor, account.frozen_minor);
    assert_eq!(left, (if paid { 600 } else { 1_000 }, 0), "{}", script(user_id));
    let asked = withdraw::ListWithdrawalsRequest { user_ids: vec![user_id], ..Default::default() };
    let list = three.cash_outs()?.list_withdrawals(asked).await?.into_inner();
    assert_eq!(list.total, 1, "one key, one cash-out");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_peer_is_down_starts_says_so_and_recovers() -> anyhow::Result<()> {
    let account = cashout_testing::sqlite("peer_a").await?;
    let three = Three::new((account, cashout_testing::sqlite("peer_w").await?))?;
    let gateway = three.start("gateway")?;
    let withdraw = three.start("withdraw-service")?;
    let alive = three.client.get(format!("{}/healthz", three.gateway)).send().await?;
    assert_eq!(alive.status().as_u16(), 200);
    three.ready(false).await?;
    let refused = three.post(&user(1), "/api/wallet/cash", &cash("4", WECHAT), "k").await?;
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"), "{}", refused.body);
    let account = three.start("account-service")?;
    three.ready(true).await?;
    three.rich(1, "pays").await?;
    let taken = three.surely(&user(1), "/api/wallet/cash", &cash("4", WECHAT), "k").await?;
    assert_eq!(taken.status, 200, "{}", taken.body);
    account.kill()?;
    three.ready(false).await?;
    let account = three.start("account-service")?;
    three.ready(true).await?;
    for process in [gateway, withdraw, account] {
        process.terminate()?;
        assert!(process.ended()?.success());
    }
    three.verify()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_and_kill_loses_nothing_that_was_answered() -> anyhow::Result<()> {
    for three in Three::on_every_engine("drain").await? {
        let three = Arc::new(three);
        for terminate in [true, false] {
            let system = Process::start("cashout", &["serve"], &three.settings)?;
            three.ready(true).await?;
            three.rich(1, "pays").await?;
            let round = if terminate { "term" } else { "kill" };
            let mut asking = tokio::task::JoinSet::new();
            for number in 0..40 {
                let three = three.clone();
                asking.spawn(async move {
                    let key = format!("{round}-{number}");
                    let body = cash("0.01", WECHAT);
                    let answer = three.post(&user(1), "/api/wallet/cash", &body, &key).await;
                    (key, answer.ok().filter(|a| a.status == 200))
                });
            }
            // In the middle: as soon as the first is answered.
            let mut answered: Vec<_> = asking.join_next().await.into_iter().collect();
            if terminate {
                system.terminate()?;
                assert!(system.ended()?.success(), "SIGTERM is not an error");
            } else {
                system.kill()?;
            }
            answered.extend(asking.join_all().await.into_iter().map(Ok));
            let system = Process::start("cashout", &["serve"], &three.settings)?;
            three.ready(true).await?;
            let mut kept = 0;
            for (key, answer) in answered.into_iter().flatten() {
                let Some(answer) = answer else { continue };
                kept += 1;
                let path = "/api/wallet/cash";
                let again = three.post(&user(1), path, &cash("0.01", WECHAT), &key).await?;
                assert!(again.replayed && again.body == answer.body, "{key}: {}", again.body);
            }
            assert!(kept > 0, "{round}: nothing was answered before the end");
            system.kill()?;
        }
        three.verify()?;
    }
    Ok(())
}
