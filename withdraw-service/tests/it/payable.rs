//! What must be so before a payout is asked for: an order the provider could take, a payee bound long
//! enough, a request that can be made.

use std::time::Duration;

use anyhow::ensure;
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{RefuseWithdrawalRequest, Status};
use cashout_testing::databases;

use crate::fake::Fake;
use crate::harness::{ALICE, BOB, CAROL, NOON_US, Service, by, config, failure, reason, wechat};

#[tokio::test]
async fn what_the_provider_would_never_take_is_refused_to_the_applicant() -> anyhow::Result<()> {
    for database in databases("check").await? {
        let fake = Fake::new(&[], &[]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let told = service.ask(wechat(9, "")).await;
        ensure!(matches!(&told, Err(f) if f.fields.iter().any(|v| v.field == "apply_minor")));
        ensure!(reason(told)? == Reason::InvalidArgument);
        ensure!(service.ledger.available(ALICE) == 1_000_000);
        ensure!(service.request(10).await?.status() == Status::InReview);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_payee_bound_only_recently_is_paid_when_the_time_has_come() -> anyhow::Result<()> {
    const DAY_US: i64 = 86_400_000_000;
    for database in databases("cooling").await? {
        let fake = Fake::new(&[], &[]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        service.ledger.cools(ALICE, NOON_US + DAY_US);
        let w = service.request(1000).await?;
        ensure!(w.payable_from_us == NOON_US + DAY_US);
        service.approve(w.id, BOB).await?;
        // Also over a restart, and though others are paid meanwhile.
        let sibling = service.sibling().await?;
        service.ledger.cools(ALICE, 0);
        let other = service.request(500).await?;
        service.approve(other.id, BOB).await?;
        service.until(other.id, Status::Paid).await?;
        service.clock.set(NOON_US + DAY_US - 1);
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ensure!(service.get(w.id).await?.status() == Status::Approved);
        ensure!(fake.count("send") == 1);
        sibling.stop().await;
        service.until(w.id, Status::Paid).await?;
        ensure!(fake.count("send") == 2);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_approval_that_no_request_can_be_made_of_is_void_and_a_person_refuses()
-> anyhow::Result<()> {
    for database in databases("unpreparable").await? {
        let fake = Fake::new(&[], &[]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let mut client = service.client.clone();
        let w = service.request(1000).await?;
        fake.cannot_prepare(true);
        ensure!(service.approve(w.id, BOB).await?.status() == Status::InReview);
        let events = service.events(w.id).await?;
        ensure!(events[2..] == ["approve", "approval_voided"], "{events:?}");
        ensure!(fake.asked().is_empty());
        // Repaired: another person approves what the first one had approved.
        fake.cannot_prepare(false);
        ensure!(reason(service.approve(w.id, BOB).await)? == Reason::AlreadyReviewed);
        service.approve(w.id, CAROL).await?;
        service.until(w.id, Status::Paid).await?;

        let w = service.request(1000).await?;
        fake.cannot_prepare(true);
        service.approve(w.id, BOB).await?;
        let message = RefuseWithdrawalRequest { id: w.id, remark: "no".into() };
        let refused = client.refuse_withdrawal(by(BOB, message)).await.map_err(failure);
        ensure!(refused.map(|r| r.into_inner().status())? == Status::Refused);
        ensure!(service.ledger.available(ALICE) == 999_000);
        service.finish().await?;
    }
    Ok(())
}
