//! A cash-out from request to outcome as people see it: review, refusal, cancellation, payment by
//! hand, replays, limits.

use anyhow::Context;
use cashout_proto::withdraw::v1::Status;
use reqwest::Method;

use crate::support::every_engine;
use crate::support::people::{MANUAL, WECHAT, cash};
use crate::support::web::{admin, reviewer, user};

const REVIEWER: i64 = 9_999;

#[tokio::test]
async fn refused_cancelled_and_paid_by_hand_leave_the_money_where_it_belongs() -> anyhow::Result<()>
{
    for stack in every_engine("byhand", &[]).await? {
        for person in [1, 2, 3] {
            stack.rich(person, 1_000).await?;
        }
        let refused = stack.requested(1, "\"4.00\"", MANUAL).await?;
        let cancelled = stack.requested(2, "4.0", MANUAL).await?;
        let paid = stack.requested(3, "4", MANUAL).await?;
        stack.reviewed(&reviewer(REVIEWER), refused, 3).await?;
        let answer = stack.cancelled(2, cancelled).await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        stack.reviewed(&reviewer(REVIEWER), paid, 5).await?;
        for (person, id, status, shown, left) in [
            (1, refused, Status::Refused, 3, (1_000, 0)),
            (2, cancelled, Status::Cancelled, 3, (1_000, 0)),
            (3, paid, Status::Paid, 5, (600, 0)),
        ] {
            let now = stack.until(id, status).await?;
            assert_eq!(now.cash_status, shown);
            assert_eq!(stack.balance(person).await?, left, "person {person}");
            let seen = stack.get(&user(person), &format!("/api/wallet/cash/{id}")).await?;
            assert_eq!(seen.at("/data/attributes/cash_status")?, shown);
        }
        let late = stack.cancelled(3, paid).await?;
        assert_eq!((late.status, late.code().as_str()), (422, "operate_forbidden"));
        stack.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn approved_by_hand_waits_for_a_person_and_a_decision_stands() -> anyhow::Result<()> {
    for stack in every_engine("decision", &[]).await? {
        stack.rich(1, 1_000).await?;
        let id = stack.requested(1, "4", MANUAL).await?;
        let own = stack.review(&admin(1), &[id], 2).await?;
        assert_eq!(own.text(&format!("/data/result/{id}"))?, "failure", "maker is not checker");
        stack.reviewed(&admin(REVIEWER), id, 2).await?;
        assert_eq!(stack.withdrawal(id).await?.status(), Status::Approved);
        stack.reviewed(&admin(REVIEWER), id, 5).await?;
        stack.until(id, Status::Paid).await?;
        for decision in [2, 3, 5] {
            let again = stack.review(&admin(REVIEWER), &[id], decision).await?;
            assert_eq!(again.text(&format!("/data/result/{id}"))?, "failure", "{decision}");
        }
        assert_eq!(stack.balance(1).await?, (600, 0));
        stack.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_same_key_and_request_give_the_same_bytes_and_another_request_409() -> anyhow::Result<()>
{
    for mut stack in every_engine("replay", &[]).await? {
        stack.rich(1, 10_000).await?;
        stack.rich(2, 10_000).await?;
        let first = stack.cash_out(1, "\"4.00\"", MANUAL, "k 1").await?;
        assert_eq!((first.status, first.replayed), (200, false), "{}", first.body);
        for amount in ["\"4.00\"", "4", "4.0", "\"4\""] {
            let again = stack.cash_out(1, amount, MANUAL, "k 1").await?;
            assert!(again.replayed, "{amount}: {}", again.body);
            assert_eq!(again.body, first.body, "the same request, written otherwise: {amount}");
        }
        let other = stack.cash_out(1, "5", MANUAL, "k 1").await?;
        assert_eq!((other.status, other.code().as_str()), (409, "idempotency_conflict"));
        // A key is its owner's: another person may use the same.
        let theirs = stack.cash_out(2, "4", MANUAL, "k 1").await?;
        assert_eq!((theirs.status, theirs.replayed), (200, false));
        stack = stack.restart().await?;
        let after = stack.cash_out(1, "4", MANUAL, "k 1").await?;
        assert!(after.replayed && after.body == first.body, "{}", after.body);
        // Not even a later change of the wallet shows in a replay.
        let id: i64 = first.text("/data/id")?.parse()?;
        stack.reviewed(&admin(REVIEWER), id, 3).await?;
        let after = stack.cash_out(1, "4", MANUAL, "k 1").await?;
        assert_eq!(after.body, first.body);
        assert_eq!(stack.balance(1).await?, (10_000, 0));
        stack.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_refused_request_changes_nothing_and_frees_its_key() -> anyhow::Result<()> {
    for stack in every_engine("refused", &[("CASH_DAILY_LIMIT", "50.00")]).await? {
        stack.rich(1, 6_000).await?;
        stack.bound(1, "pays-1").await?;
        for (amount, method, code) in [
            ("60.01", MANUAL, "cash_sum_limit"),
            ("5000.01", MANUAL, "validation_error"),
            ("\"50.01\"", MANUAL, "cash_sum_limit"),
            ("1", 3, "cash_type_error"),
        ] {
            let refused = stack.cash_out(1, amount, method, "k").await?;
            assert_eq!((refused.status, refused.code().as_str()), (422, code), "{amount}");
            assert_eq!(stack.balance(1).await?, (6_000, 0));
        }
        let taken = stack.cash_out(1, "50", WECHAT, "k").await?;
        assert_eq!((taken.status, taken.replayed), (200, false), "{}", taken.body);
        stack.rich(2, 100).await?;
        let poor = stack.cash_out(2, "1.01", MANUAL, "k").await?;
        assert_eq!(poor.code(), "available_amount_error");
        let unbound = stack.cash_out(2, "1", WECHAT, "k").await?;
        assert_eq!(unbound.code(), "unbind_wechat");
        stack.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_locked_wallet_takes_money_and_gives_none() -> anyhow::Result<()> {
    for stack in every_engine("locked", &[]).await? {
        stack.rich(1, 1_000).await?;
        let path = "/api/wallet/user/1";
        let lock = r#"{"wallet_status":1}"#;
        let answer = stack.ask(Method::PATCH, &admin(REVIEWER), path, lock, "lock").await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.at("/data/attributes/wallet_status")?, 1);
        let refused = stack.cash_out(1, "1", MANUAL, "").await?;
        assert_eq!((refused.status, refused.code().as_str()), (422, "status_cash_freeze"));
        let add = r#"{"operate_type":1,"operate_amount":"2.50","operate_reason":"gift","wallet_status":0}"#;
        let answer = stack.ask(Method::PATCH, &admin(REVIEWER), path, add, "add").await?;
        assert_eq!(answer.text("/data/attributes/available_amount")?, "12.50");
        let again = stack.ask(Method::PATCH, &admin(REVIEWER), path, add, "add").await?;
        assert!(again.replayed && again.body == answer.body, "{}", again.body);
        stack.requested(1, "12.50", MANUAL).await?;
        assert_eq!(stack.balance(1).await?, (0, 1_250));
        stack.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn sixty_four_requests_at_once_cannot_pass_a_limit_by_one_cent() -> anyhow::Result<()> {
    for stack in every_engine("atonce", &[("CASH_DAILY_LIMIT", "10.00")]).await? {
        let stack = std::sync::Arc::new(stack);
        stack.rich(1, 100_000).await?;
        let mut asking = tokio::task::JoinSet::new();
        for number in 0..64 {
            let stack = stack.clone();
            asking.spawn(async move {
                stack
                    .post(&user(1), "/api/wallet/cash", &cash("0.99", MANUAL), &format!("{number}"))
                    .await
            });
        }
        let mut taken = 0_i64;
        while let Some(answer) = asking.join_next().await {
            let answer = answer??;
            match answer.status {
                200 => taken += 1,
                _ => assert_eq!(answer.code(), "cash_sum_limit", "{}", answer.body),
            }
        }
        assert_eq!(taken, 10, "on {}", stack.engine());
        assert_eq!(stack.balance(1).await?, (100_000 - 990, 990));
        std::sync::Arc::into_inner(stack).context("everybody is done")?.stop().await?;
    }
    Ok(())
}
