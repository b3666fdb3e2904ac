//! Driving payouts: people, requests, approvals, faults, kills, and the wait for the end. Every call is
//! repeated under its key until it is answered, as a good client does.
//!
//! Must not know: which faults there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use cashout_common::random::Random;
use cashout_proto::account::v1 as account;
use cashout_proto::withdraw::v1 as withdraw;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use withdraw::{Status, Withdrawal};

use crate::judge::{Judged, judge};
use crate::scripts::Case;
use crate::system::System;

/// Least time between two kills; half of it again comes by chance.
pub const KILLED_EVERY: Duration = Duration::from_millis(2500);
/// Payouts begun at a time.
const AT_ONCE: usize = 48;
/// How long all may take to end once the faults are over.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a fault that does not end by itself goes on.
const TROUBLED: Duration = Duration::from_secs(12);
/// Who approves.
const REVIEWER: &str = "900000000";

/// A run.
pub struct Plan {
    /// What is paid, and what goes wrong with it.
    pub payouts: Vec<Case>,
    /// How often the withdraw service is killed.
    pub killed_every: Option<Duration>,
}

/// Drives a plan to its end and judges it.
pub async fn drive(system: &System, plan: Plan, random: &Random) -> anyhow::Result<Judged> {
    let client = reqwest::Client::new();
    let cases: Vec<Arc<Case>> = plan.payouts.into_iter().map(Arc::new).collect();
    let begin = async {
        let all = futures::stream::iter((1_i64..).zip(cases.iter().cloned()));
        let begun = all.map(|(n, case)| begin(system, &client, n, case));
        begun.buffer_unordered(AT_ONCE).try_collect::<HashMap<i64, String>>().await
    };
    let over = async {
        let names = begin.await?;
        tokio::time::sleep(TROUBLED).await;
        anyhow::Ok(names)
    };
    let names = tokio::select! {
        names = over => names?,
        ended = killing(system, plan.killed_every, random) => return Err(ended),
        ended = operating(system) => return Err(ended),
    };
    let cleared = client.delete(format!("{}/sandbox/faults", system.simulator)).send().await?;
    anyhow::ensure!(cleared.status().is_success(), "{}", cleared.status());
    let withdrawals = tokio::select! {
        all = finished(system, &names) => all?,
        ended = operating(system) => return Err(ended),
    };
    let books = books(&client, &system.simulator).await?;
    let judged = judge(&withdrawals, &books)?;
    if !judged.wrong.is_empty() {
        anyhow::bail!("{judged}\n{}", told(system, &withdrawals, &names, &judged).await?);
    }
    Ok(judged)
}

/// The cases that went wrong, the first ones with their histories.
async fn told(
    system: &System,
    withdrawals: &[Withdrawal],
    names: &HashMap<i64, String>,
    judged: &Judged,
) -> anyhow::Result<String> {
    let wrong = |w: &&Withdrawal| judged.wrong.iter().any(|line| line.starts_with(&w.payee_id));
    let mut text = String::new();
    for (n, w) in withdrawals.iter().filter(wrong).take(20).enumerate() {
        text += &format!("{}: {}\n", w.payee_id, names.get(&w.id).map_or("", String::as_str));
        if n < 2 {
            let asked = withdraw::GetHistoryRequest { id: w.id, user_id: 0 };
            let story = system.cash_outs()?.get_history(asked).await?.into_inner();
            text += &format!("{w:?}\n{story:#?}\n");
        }
    }
    Ok(text)
}

/// Where person `n` is paid: WeChat's ids are free words, Alipay's are digits.
fn payee(provider: &str, n: i64) -> String {
    if provider == "wechat" { format!("o-case-{n:06}-x") } else { format!("2088{n:012}") }
}

/// A person with money and a payee, the faults, the request and its approval.
async fn begin(
    system: &System,
    client: &reqwest::Client,
    n: i64,
    case: Arc<Case>,
) -> anyhow::Result<(i64, String)> {
    let payee_id = payee(case.provider, n);
    person(system, n, &case, &payee_id).await?;
    for fault in &case.faults {
        let mut fault = fault.clone();
        fault["provider"] = case.provider.into();
        fault["match"] = payee_id.as_str().into();
        let url = format!("{}/sandbox/faults", system.simulator);
        let body = serde_json::to_vec(&fault)?;
        let request = client.post(url).header("content-type", "application/json").body(body);
        let answer = request.send().await?;
        anyhow::ensure!(answer.status().is_success(), "{fault}: {}", answer.text().await?);
    }
    let method = if case.provider == "wechat" { 1 } else { 2 };
    let request = withdraw::RequestWithdrawalRequest {
        user_id: n,
        apply_minor: 100 + n % 900,
        method,
        key: format!("payout-{n}"),
        ..withdraw::RequestWithdrawalRequest::default()
    };
    let answer = surely(|| async {
        Ok(system.cash_outs()?.request_withdrawal(request.clone()).await?.into_inner())
    });
    let id = answer.await?.withdrawal.context("a withdrawal")?.id;
    approve(system, id).await?;
    if case.cancelled {
        cancel(system, id).await?;
    }
    Ok((id, case.name.clone()))
}

async fn person(system: &System, n: i64, case: &Case, payee_id: &str) -> anyhow::Result<()> {
    let mut accounts = system.accounts()?;
    let open = account::OpenAccountRequest { user_id: n, currency: String::new() };
    accounts.open_account(open).await?;
    let profile = account::SetProfileRequest {
        user_id: n,
        username: format!("person {n}"),
        mobile: String::new(),
    };
    accounts.set_profile(profile).await?;
    let by = Some(account::account_ref::By::UserId(n));
    let credit = account::Credit {
        account: Some(account::AccountRef { by, currency: String::new() }),
        ..account::Credit::default()
    };
    let income = account::PostTransferRequest {
        key: format!("income-{n}"),
        amount_minor: 10_000,
        kind: account::EntryKind::Settlement.into(),
        movement: Some(account::post_transfer_request::Movement::Credit(credit)),
        facts: None,
    };
    accounts.post_transfer(income).await?;
    let method = match case.provider {
        "wechat" => account::PayeeMethod::Wechat,
        _ => account::PayeeMethod::Alipay,
    };
    let payee = account::Payee {
        method: method.into(),
        payee_id: payee_id.to_owned(),
        ..account::Payee::default()
    };
    let bind = account::BindPayeeRequest { user_id: n, payee: Some(payee) };
    accounts.bind_payee(bind).await?;
    Ok(())
}

fn by_reviewer<T>(message: T) -> anyhow::Result<tonic::Request<T>> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("cashout-actor", REVIEWER.parse()?);
    Ok(request)
}

/// Approves; that it was approved already is fine, an answer was lost then.
async fn approve(system: &System, id: i64) -> anyhow::Result<()> {
    surely(|| async {
        let approve = withdraw::ApproveWithdrawalRequest { id, ..Default::default() };
        match system.cash_outs()?.approve_withdrawal(by_reviewer(approve)?).await {
            Err(status) if status.code() == tonic::Code::FailedPrecondition => Ok(()),
            answer => Ok(answer.map(drop)?),
        }
    })
    .await
}

/// Asks to take a payout back; too early or too late is fine.
async fn cancel(system: &System, id: i64) -> anyhow::Result<()> {
    for _ in 0..5 {
        let cancel = withdraw::CancelPayoutRequest { id, reason: "changed our mind".into() };
        if system.cash_outs()?.cancel_payout(by_reviewer(cancel)?).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Repeats a call until it is answered; what is refused for good is an error.
async fn surely<T, F>(call: impl Fn() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    use tonic::Code;
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let code = error.downcast_ref::<tonic::Status>().map(tonic::Status::code);
        let again = matches!(
            code,
            Some(
                Code::Unavailable
                    | Code::DeadlineExceeded
                    | Code::ResourceExhausted
                    | Code::Unknown
                    | Code::Cancelled
                    | Code::Internal
            )
        );
        anyhow::ensure!(again && Instant::now() < until, "{error:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Kills the withdraw service again and again; comes back only with an error.
async fn killing(system: &System, every: Option<Duration>, random: &Random) -> anyhow::Error {
    let Some(every) = every else { return std::future::pending().await };
    let half_ms = u64::try_from(every.as_millis() / 2).unwrap_or(1000);
    loop {
        let more = Duration::from_millis(random.below(half_ms));
        tokio::time::sleep(every + more).await;
        if let Err(error) = tokio::task::block_in_place(|| system.kill()) {
            return error.context("killing the withdraw service");
        }
    }
}

/// An operator who lets paused channels go on; comes back only with an error.
async fn operating(system: &System) -> anyhow::Error {
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        for provider in ["wechat", "alipay"] {
            let resume = withdraw::ResumeChannelRequest {
                provider: provider.to_owned(),
                reason: "repaired".to_owned(),
            };
            let request = match by_reviewer(resume) {
                Ok(request) => request,
                Err(error) => return error,
            };
            // It may be being killed at this moment.
            if let Ok(mut cash_outs) = system.cash_outs() {
                let _ = cash_outs.resume_channel(request).await;
            }
        }
    }
}

/// Waits until every withdrawal has an outcome or is a case.
async fn finished(
    system: &System,
    names: &HashMap<i64, String>,
) -> anyhow::Result<Vec<Withdrawal>> {
    let until = Instant::now() + PATIENCE;
    loop {
        let all = surely(|| list(system)).await?;
        let ended = |w: &Withdrawal| {
            matches!(w.status(), Status::Paid | Status::Failed | Status::Unresolved)
        };
        let open: Vec<&Withdrawal> = all.iter().filter(|w| !ended(w)).collect();
        if (open.is_empty() && all.len() == names.len()) || Instant::now() > until {
            return Ok(all);
        }
        // What was taken back too early, or in vain, still waits for its payee.
        let waiting = open.iter().filter(|w| w.confirmation.is_some()).map(|w| w.id);
        let cancels = stream::iter(waiting.map(|id| cancel(system, id)).collect::<Vec<_>>());
        cancels.buffer_unordered(16).try_collect::<()>().await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn list(system: &System) -> anyhow::Result<Vec<Withdrawal>> {
    let (mut all, mut before_id) = (Vec::new(), 0);
    loop {
        let asked =
            withdraw::ListWithdrawalsRequest { limit: 500, before_id, ..Default::default() };
        let page = system.cash_outs()?.list_withdrawals(asked).await?.into_inner().withdrawals;
        let Some(last) = page.last() else { return Ok(all) };
        before_id = last.id;
        all.extend(page);
    }
}

/// Everything in the simulator's books.
async fn books(client: &reqwest::Client, simulator: &str) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let url = format!("{simulator}/sandbox/books?after={after}&limit=1000");
        let text = client.get(url).send().await?.text().await?;
        let page: Value = serde_json::from_str(&text)?;
        let rows = page["payouts"].as_array().context("payouts")?;
        let Some(last) = rows.last() else { return Ok(all) };
        after = last["id"].as_i64().context("id")?;
        all.extend(rows.iter().cloned());
    }
}
