//! Who may decide on what: maker and checker, two reviewers, the content that is approved, many at once.

use anyhow::ensure;
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{
    ApproveWithdrawalRequest, Decision, MarkPaidRequest, RefuseWithdrawalRequest,
    RequestWithdrawalRequest, ReviewWithdrawalsRequest, Status,
};
use cashout_testing::databases;

use crate::harness::{ALICE, BOB, CAROL, Service, by, config, failure, manual, reason, wechat};

#[tokio::test]
async fn the_applicant_never_decides_and_somebody_must() -> anyhow::Result<()> {
    for database in databases("maker").await? {
        let service = Service::fresh(&database).await?;
        let mut client = service.client.clone();
        let (w, _) = service.ask(manual(1000)).await?;
        ensure!(reason(service.approve(w.id, ALICE).await)? == Reason::SelfReview);
        let refuse = RefuseWithdrawalRequest { id: w.id, remark: String::new() };
        let own = client.refuse_withdrawal(by(ALICE, refuse.clone())).await.map_err(failure);
        ensure!(reason(own)? == Reason::SelfReview);
        let mark = MarkPaidRequest { id: w.id, ..Default::default() };
        let own = client.mark_paid(by(ALICE, mark.clone())).await.map_err(failure);
        ensure!(reason(own)? == Reason::SelfReview);
        let nobody = client.refuse_withdrawal(refuse).await.map_err(failure);
        ensure!(reason(nobody)? == Reason::ActorRequired);
        ensure!(reason(service.approve(404, BOB).await)? == Reason::WithdrawalNotFound);
        let wrong = ApproveWithdrawalRequest {
            id: w.id,
            content_digest: "00".into(),
            ..Default::default()
        };
        let wrong = client.approve_withdrawal(by(BOB, wrong)).await.map_err(failure);
        ensure!(reason(wrong)? == Reason::ReviewedContentChanged);
        let right = ApproveWithdrawalRequest {
            id: w.id,
            content_digest: w.content_digest.clone(),
            ..Default::default()
        };
        client.approve_withdrawal(by(BOB, right)).await?;
        ensure!(reason(service.approve(w.id, CAROL).await)? == Reason::IllegalTransition);
        // Approved but not paid yet: it can still be refused.
        let refuse = RefuseWithdrawalRequest { id: w.id, remark: "late".into() };
        let refused = client.refuse_withdrawal(by(CAROL, refuse)).await?.into_inner();
        ensure!(refused.status() == Status::Refused);
        let (w, _) = service.ask(wechat(1000, "")).await?;
        let mark = MarkPaidRequest { id: w.id, ..mark };
        let by_hand = client.mark_paid(by(BOB, mark)).await.map_err(failure);
        ensure!(reason(by_hand)? == Reason::MethodMismatch);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn above_the_amount_two_different_reviewers_are_needed() -> anyhow::Result<()> {
    for database in databases("two").await? {
        let mut settings = config(&database)?;
        settings.policy.two_reviewers_above_minor = Some(1000);
        let service = Service::with(settings).await?;
        let mut client = service.client.clone();
        let (w, _) = service.ask(manual(1001)).await?;
        ensure!(w.reviewers_required == 2);
        let mark = MarkPaidRequest { id: w.id, ..Default::default() };
        let alone = client.mark_paid(by(BOB, mark.clone())).await.map_err(failure);
        ensure!(reason(alone)? == Reason::IllegalTransition);
        let first = service.approve(w.id, BOB).await?;
        ensure!(first.status() == Status::InReview && first.reviewers == 1);
        ensure!(reason(service.approve(w.id, BOB).await)? == Reason::AlreadyReviewed);
        ensure!(service.approve(w.id, CAROL).await?.status() == Status::Approved);
        let paid = client.mark_paid(by(BOB, mark)).await?.into_inner();
        ensure!(paid.status() == Status::Paid);
        let events = service.events(w.id).await?;
        ensure!(events[2..4] == ["approve_first", "approve"], "{events:?}");
        let (w, _) = service.ask(manual(1000)).await?;
        let mark = MarkPaidRequest { id: w.id, ..Default::default() };
        let paid = client.mark_paid(by(BOB, mark)).await?.into_inner();
        ensure!(paid.status() == Status::Paid && paid.reviewers == 1);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn many_are_reviewed_at_once_each_with_its_own_result() -> anyhow::Result<()> {
    for database in databases("many").await? {
        let service = Service::fresh(&database).await?;
        let mut client = service.client.clone();
        service.ledger.person(BOB, 1000, "bob");
        let a = service.request(1000).await?.id;
        let b = service.request(1000).await?.id;
        let own = RequestWithdrawalRequest { user_id: BOB, ..wechat(500, "") };
        let own = service.ask(own).await?.0.id;
        let review = |ids: &[i64], decision: Decision, key: &str| ReviewWithdrawalsRequest {
            ids: ids.to_vec(),
            decision: decision.into(),
            remark: "ok".into(),
            key: key.to_owned(),
        };
        let asked = review(&[b, own, a, 404, b], Decision::Refuse, "r1");
        let first = client.review_withdrawals(by(BOB, asked.clone())).await?.into_inner();
        let told: Vec<_> =
            first.results.iter().map(|r| (r.id, r.success, r.reason.as_str())).collect();
        ensure!(
            told == [
                (b, true, ""),
                (own, false, "SELF_REVIEW"),
                (a, true, ""),
                (404, false, "WITHDRAWAL_NOT_FOUND"),
            ],
            "{told:?}"
        );
        ensure!(service.get(a).await?.status() == Status::Refused, "money is back at once");
        let again = client.review_withdrawals(by(BOB, asked)).await?.into_inner();
        ensure!(again.replayed && again.results == first.results);
        let other = review(&[a], Decision::Refuse, "r1");
        let other = client.review_withdrawals(by(BOB, other)).await.map_err(failure);
        ensure!(reason(other)? == Reason::IdempotencyConflict);
        // Keys belong to the reviewer, and illegal steps are results.
        let theirs = review(&[a, own], Decision::Approve, "r1");
        let theirs = client.review_withdrawals(by(CAROL, theirs)).await?.into_inner();
        ensure!(theirs.results[0].reason == "ILLEGAL_TRANSITION" && theirs.results[1].success);
        service.until(own, Status::Paid).await?;
        for bad in [
            review(&[], Decision::Approve, ""),
            review(&(1..=201).collect::<Vec<_>>(), Decision::Approve, ""),
            review(&[1], Decision::Unspecified, ""),
        ] {
            let bad = client.review_withdrawals(by(BOB, bad)).await.map_err(failure);
            ensure!(reason(bad)? == Reason::InvalidArgument);
        }
        let nobody = review(&[1], Decision::Approve, "");
        let nobody = client.review_withdrawals(nobody).await.map_err(failure);
        ensure!(reason(nobody)? == Reason::ActorRequired);
        service.finish().await?;
    }
    Ok(())
}
