//! Requests whose money cannot be frozen: what is left of them, and what everybody is told.

use anyhow::{Context, ensure};
use cashout_common::db::Database;
use cashout_common::on_engine;
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{RequestWithdrawalRequest, Status};
use cashout_testing::databases;
use futures::future::{join, join_all};
use withdraw_service::ports::ReleaseCause;
use withdraw_service::store::MIGRATIONS;

use crate::harness::{ALICE, Service, config, manual, reason, wechat};
use crate::ledger::State;

#[tokio::test]
async fn a_declined_request_leaves_nothing_behind() -> anyhow::Result<()> {
    for database in databases("declined").await? {
        let service = Service::fresh(&database).await?;
        service.ledger.person(ALICE, 999, "alice");
        let poor = service.ask(wechat(1000, "k")).await;
        ensure!(reason(poor)? == Reason::InsufficientFunds);
        let stranger = RequestWithdrawalRequest {
            user_id: 99,
            method: 0,
            mobile: "13800138000".into(),
            ..wechat(1, "")
        };
        ensure!(reason(service.ask(stranger).await)? == Reason::InsufficientFunds);
        service.ledger.person(ALICE, 1000, "alice");
        let (w, replayed) = service.ask(wechat(999, "k")).await?;
        ensure!(!replayed && w.status() == Status::InReview, "the key was free again");
        service.ledger.lock(ALICE);
        ensure!(reason(service.ask(wechat(1, "l")).await)? == Reason::AccountLocked);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_plainly_cannot_be_frozen_is_refused_after_the_limits_and_leaves_no_row()
-> anyhow::Result<()> {
    for database in databases("plain").await? {
        let mut settings = config(&database)?;
        settings.policy.interval_days = 1;
        settings.policy.daily_minor = 5000;
        let service = Service::with(settings).await?;
        let ledger = service.ledger.clone();
        let own =
            |user_id, apply_minor| RequestWithdrawalRequest { user_id, ..wechat(apply_minor, "k") };
        let ask = async |user_id, apply_minor| {
            let refused = service.ask(own(user_id, apply_minor)).await.err();
            anyhow::Ok(refused.context("it was accepted")?.reason)
        };
        ledger.person(11, 100, "poor");
        ensure!(ask(11, 101).await? == Reason::InsufficientFunds);
        ensure!(ask(11, 5001).await? == Reason::DailyLimit, "the limits come first");
        ledger.lock(11);
        ensure!(ask(11, 101).await? == Reason::AccountLocked, "the lock comes before the balance");
        let stranger = RequestWithdrawalRequest { user_id: 12, ..manual(1) };
        ensure!(reason(service.ask(stranger).await)? == Reason::InsufficientFunds);
        let placed = service.request(1000).await?;
        ledger.lock(ALICE);
        ensure!(ask(ALICE, 1000).await? == Reason::IntervalLimit, "and so does the interval");
        let opened = Database::open(&database.url, MIGRATIONS).await?;
        let rows: Vec<i64> = on_engine!(opened.readers(), p =>
            sqlx::query_scalar("SELECT id FROM withdrawal").fetch_all(p).await?);
        opened.close().await;
        ensure!(rows == [placed.id], "only the one that was placed is there: {rows:?}");
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_balance_that_was_enough_a_moment_ago_places_nothing() -> anyhow::Result<()> {
    for database in databases("judge").await? {
        let service = Service::fresh(&database).await?;
        service.ledger.person(ALICE, 999, "alice");
        service.ledger.tell(ALICE, 1000);
        ensure!(reason(service.ask(wechat(1000, "k")).await)? == Reason::InsufficientFunds);
        service.ledger.lock(ALICE);
        ensure!(reason(service.ask(wechat(1000, "k")).await)? == Reason::AccountLocked);
        ensure!(service.ledger.counts().0 == 0);
        ensure!(service.get(2).await?.status() == Status::Declined, "the hold is the judge");
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_waits_with_a_declined_request_is_told_the_same() -> anyhow::Result<()> {
    for database in databases("declined_together").await? {
        let service = Service::fresh(&database).await?;
        service.ledger.person(ALICE, 999, "alice");
        service.ledger.tell(ALICE, 1000);
        service.ledger.hang.send_replace(true);
        let asked = join_all((0..8).map(|_| service.ask(wechat(1000, "k"))));
        let answered = async {
            // Time for all of them to find the first one's request and to wait with it.
            for _ in 0..100 {
                let _ = service.get(1).await;
            }
            service.ledger.hang.send_replace(false);
        };
        let mut told = Vec::new();
        for answer in join(asked, answered).await.0 {
            let refused = answer.err().context("it was accepted")?;
            ensure!(refused.reason == Reason::InsufficientFunds, "{refused:?}");
            told.push(refused.message);
        }
        told.dedup();
        ensure!(told.len() == 1, "one refusal, one text: {told:?}");
        ensure!(service.get(2).await.is_err(), "all of them asked for the same withdrawal");
        ensure!(service.ledger.counts().0 == 0);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_arrives_after_its_request_was_declined_freezes_nothing() -> anyhow::Result<()>
{
    for database in databases("late_call").await? {
        let service = Service::fresh(&database).await?;
        // The first call is lost on the way; by the time of the second one the money is spent.
        service.ledger.lose_calls(1);
        ensure!(reason(service.ask(wechat(1000, "k")).await)? == Reason::Unavailable);
        service.ledger.person(ALICE, 0, "alice");
        let id = 1;
        service.until(id, Status::Declined).await?;
        service.ledger.person(ALICE, 5000, "alice");
        let opened = Database::open(&database.url, MIGRATIONS).await?;
        let found = withdraw_service::store::withdrawals::find(opened.readers(), id).await?;
        let declined = found.ok_or_else(|| anyhow::anyhow!("no such withdrawal"))?;
        let late = service.ledger.arrives_late(&declined);
        ensure!(!matches!(late, withdraw_service::ports::LedgerAnswer::Done(_)), "{late:?}");
        ensure!(service.ledger.available(ALICE) == 5000);
        opened.close().await;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_arrives_while_its_request_is_given_up_is_undone() -> anyhow::Result<()> {
    for database in databases("undone").await? {
        let service = Service::fresh(&database).await?;
        service.ledger.lose_calls(1);
        ensure!(reason(service.ask(wechat(1000, "k")).await)? == Reason::Unavailable);
        service.ledger.person(ALICE, 500, "alice");
        service.ledger.late_call();
        let declined = service.until(1, Status::Declined).await?;
        let released = State::Released(ReleaseCause::Failed);
        ensure!(service.ledger.state(&declined.hold_key) == Some(released));
        ensure!(service.ledger.available(ALICE) == 500);
        // A declined request with a released hold: the two sides agree.
        service.finish().await?;
    }
    Ok(())
}
