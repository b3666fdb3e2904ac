//! One side that does not answer keeps nobody else waiting: the ledger's effects and each method's
//! payouts have places of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use cashout_common::clock::Clock;
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{
    Decision, RequestWithdrawalRequest, ReviewWithdrawalsRequest, Status,
};
use cashout_testing::databases;
use withdraw_service::verify;

use crate::crash::live;
use crate::harness::{ALICE, BOB, NOON_US, Service, by, config, reason, wechat};
use crate::ledger::FakeLedger;

/// More payouts than any number of places.
const HANGING: usize = 120;

/// Withdrawals whose payouts were sent and not answered.
async fn unanswered(service: &Service, ids: &[i64]) -> anyhow::Result<Vec<i64>> {
    let mut found = Vec::new();
    for id in ids {
        if service.calls(*id).await? == ["send "] {
            found.push(*id);
        }
    }
    Ok(found)
}

/// Approves that many payouts by WeChat at once and waits until some of them hang.
async fn hang(service: &Service) -> anyhow::Result<Vec<i64>> {
    let mut ids = Vec::new();
    for _ in 0..HANGING {
        ids.push(service.request(100).await?.id);
    }
    let all = ReviewWithdrawalsRequest {
        ids: ids.clone(),
        decision: Decision::Approve.into(),
        ..Default::default()
    };
    service.client.clone().review_withdrawals(by(BOB, all)).await?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let hanging = unanswered(service, &ids).await?;
        if hanging.len() >= 32 {
            return Ok(hanging);
        }
        if Instant::now() > deadline {
            bail!("only {} payouts hang", hanging.len());
        }
    }
}

/// Whatever else is due comes to its end while the payouts by WeChat hang.
async fn beside_the_hanging(service: &Service) -> anyhow::Result<()> {
    let hanging = hang(service).await?;

    let alipay = |user_id| RequestWithdrawalRequest { user_id, method: 2, ..wechat(100, "") };
    for (user_id, outcome) in [(21, Status::Paid), (22, Status::Failed)] {
        let (w, _) = service.ask(alipay(user_id)).await?;
        service.approve(w.id, BOB).await?;
        service.until(w.id, outcome).await?;
    }
    service.ledger.lose_calls(1);
    ensure!(reason(service.ask(alipay(21)).await)? == Reason::Unavailable);
    service.until(i64::try_from(HANGING)? + 3, Status::InReview).await?;
    ensure!(unanswered(service, &hanging).await? == hanging, "they hang all the while");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_does_not_answer_keeps_nobody_else_waiting() -> anyhow::Result<()> {
    for database in databases("lanes").await? {
        let mut settings = config(&database)?;
        // Longer than the rest of the test may take.
        settings.timing.call_timeout = Duration::from_secs(120);
        settings.timing.lease = Duration::from_secs(24 * 3600);
        let ledger = Arc::new(FakeLedger::default());
        for (user_id, payee_id) in [(ALICE, "silent"), (21, "pays"), (22, "refuse")] {
            ledger.person(user_id, 1_000_000, payee_id);
        }
        let clock = Clock::set_at(NOON_US);
        let (runtime, service) = live(&settings, &ledger, &clock).await?;
        let outcome = beside_the_hanging(&service).await;
        // There is no waiting for those that hang.
        runtime.shutdown_background();
        outcome?;
        let report = verify(&database.url).await?;
        ensure!(report.clean(), "{report}");
    }
    Ok(())
}
