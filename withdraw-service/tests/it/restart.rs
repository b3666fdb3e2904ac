//! Nothing is lost or repeated when an instance goes away, and several share the work.

use std::time::Duration;

use anyhow::ensure;
use cashout_common::db::{Database, Engine};
use cashout_common::on_engine;
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{MarkPaidRequest, RefuseWithdrawalRequest, Status};
use cashout_testing::databases;
use withdraw_service::store::MIGRATIONS;

use crate::harness::{ALICE, BOB, Service, by, manual};
use crate::ledger::State;
use crate::store::unlock;

#[tokio::test]
async fn what_was_not_finished_is_finished_after_a_restart() -> anyhow::Result<()> {
    for database in databases("restart").await? {
        let service = Service::fresh(&database).await?;
        let (by_hand, _) = service.ask(manual(1000)).await?;
        service.ledger.person(ALICE, 999_000, "lost");
        let sent = service.request(2000).await?;
        service.ledger.set_down(true);
        let mark = MarkPaidRequest { id: by_hand.id, ..Default::default() };
        let marked = service.client.clone().mark_paid(by(BOB, mark)).await?.into_inner();
        ensure!(marked.status() == Status::Settling && marked.pay_status == 1);
        ensure!(marked.paid_at_us == 0, "not told as paid before the ledger says so");
        service.approve(sent.id, BOB).await?;
        let (ledger, clock, config) =
            (service.ledger.clone(), service.clock.clone(), service.config.clone());
        service.stop().await;
        ledger.set_down(false);
        ledger.lose_replies(2);
        let service = Service::on(config, ledger, clock).await?;
        for id in [by_hand.id, sent.id] {
            let w = service.until(id, Status::Paid).await?;
            ensure!(service.ledger.state(&w.hold_key) == Some(State::Settled));
        }
        ensure!(service.ledger.counts() == (2, 2), "each hold was ended once");
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn another_instance_takes_over_when_a_lease_runs_out() -> anyhow::Result<()> {
    for database in databases("takeover").await? {
        let first = Service::fresh(&database).await?;
        let w = first.request(1000).await?;
        first.ledger.hang.send_replace(true);
        // The first instance hangs in the ledger; the caller is not kept waiting for ever.
        let told = first.client.clone().refuse_withdrawal(by(BOB, refuse(w.id))).await?;
        let told = told.into_inner();
        ensure!(told.status() == Status::Refusing);
        let ledger = std::sync::Arc::new(crate::ledger::FakeLedger::default());
        ledger.person(ALICE, 1_000_000, "alice");
        // The second one has a way of its own to the same ledger: here, a copy with the same hold.
        let second = Service::on(first.config.clone(), ledger.clone(), first.clock.clone()).await?;
        mirror(&second, &database.url, w.id).await?;
        first.clock.advance(Duration::from_secs(29));
        ensure!(second.get(w.id).await?.status() == Status::Refusing, "the lease still holds");
        second.until(w.id, Status::Refused).await?;
        first.ledger.hang.send_replace(false);
        let events = first.events(w.id).await?;
        first.finish().await?;
        ensure!(events.iter().filter(|e| *e == "released").count() == 1);
        second.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_no_lease_and_no_pause_longer() -> anyhow::Result<()> {
    for database in databases("set_back").await? {
        let service = Service::fresh(&database).await?;
        let w = service.request(1000).await?;
        service.ledger.set_down(true);
        service.client.clone().refuse_withdrawal(by(BOB, refuse(w.id))).await?;
        let (ledger, clock, config) =
            (service.ledger.clone(), service.clock.clone(), service.config.clone());
        service.stop().await;
        ledger.set_down(false);
        // Who had it died just before the clock was set back by an hour.
        let lease = "UPDATE withdrawal_state SET lease_owner = 'dead', \
            lease_until_us = next_run_at_us + 30000000";
        execute(&database.url, lease).await?;
        clock.set(crate::harness::NOON_US - 3_600_000_000);
        let service = Service::on(config, ledger, clock).await?;
        service.until(w.id, Status::Refused).await?;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_ledger_that_hangs_is_left_alone_long_before_the_lease_runs_out() -> anyhow::Result<()> {
    for database in databases("hanging").await? {
        let mut settings = crate::harness::config(&database)?;
        settings.timing.ledger_timeout = Duration::from_millis(50);
        let service = Service::with(settings).await?;
        let w = service.request(1000).await?;
        service.ledger.hang.send_replace(true);
        let told = service.client.clone().refuse_withdrawal(by(BOB, refuse(w.id))).await?;
        ensure!(told.into_inner().status() == Status::Refusing);
        let unheld = service.ask(crate::harness::wechat(1000, "")).await;
        ensure!(crate::harness::reason(unheld)? == Reason::Unavailable);
        // The clock stands still, so no lease runs out: both are given back all the same.
        let opened = Database::open(&database.url, MIGRATIONS).await?;
        let mut free = 0_i64;
        for _ in 0..400 {
            const FREE: &str =
                "SELECT count(*) FROM withdrawal_state WHERE tries > 0 AND lease_owner = ''";
            free = on_engine!(opened.readers(), p => sqlx::query_scalar(FREE).fetch_one(p).await?);
            if free == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ensure!(free == 2, "{free} leases of 2 were given back");
        opened.close().await;
        service.ledger.hang.send_replace(false);
        service.until(w.id, Status::Refused).await?;
        service.until(w.id + 1, Status::InReview).await?;
        service.finish().await?;
    }
    Ok(())
}

async fn execute(url: &str, sql: &'static str) -> anyhow::Result<()> {
    match Database::open(url, MIGRATIONS).await?.connect().await? {
        Engine::Sqlite(mut c) => sqlx::raw_sql(sql).execute(&mut c).await.map(drop)?,
        Engine::Postgres(mut c) => sqlx::raw_sql(sql).execute(&mut c).await.map(drop)?,
    }
    Ok(())
}

fn refuse(id: i64) -> RefuseWithdrawalRequest {
    RefuseWithdrawalRequest { id, remark: String::new() }
}

/// Places the hold of a withdrawal in the second ledger too.
async fn mirror(second: &Service, url: &str, id: i64) -> anyhow::Result<()> {
    use withdraw_service::ports::{Ledger, LedgerAnswer};
    let database = Database::open(url, MIGRATIONS).await?;
    let found = withdraw_service::store::withdrawals::find(database.readers(), id).await?;
    let found = found.ok_or_else(|| anyhow::anyhow!("no such withdrawal"))?;
    ensure!(matches!(second.ledger.place(&found).await, LedgerAnswer::Done(_)));
    database.close().await;
    Ok(())
}

#[tokio::test]
async fn two_instances_share_the_work_and_pay_each_once() -> anyhow::Result<()> {
    for database in databases("share").await? {
        let first = Service::fresh(&database).await?;
        let second = first.sibling().await?;
        let mut ids = Vec::new();
        for n in 0..40 {
            let instance = if n % 2 == 0 { &first } else { &second };
            let w = instance.request(100).await?;
            instance.approve(w.id, BOB).await?;
            ids.push(w.id);
        }
        for id in ids {
            first.until(id, Status::Paid).await?;
            ensure!(first.calls(id).await? == ["send paid"]);
        }
        ensure!(first.ledger.counts() == (40, 40));
        second.stop().await;
        first.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_approval_is_void_when_what_would_be_paid_is_not_what_was_approved() -> anyhow::Result<()>
{
    for database in databases("void").await? {
        let service = Service::fresh(&database).await?;
        let w = service.request(1000).await?;
        let (ledger, clock, config) =
            (service.ledger.clone(), service.clock.clone(), service.config.clone());
        service.stop().await;
        // An approval is written by hand and then, before the worker sees it, the payee is changed.
        let statements = [
            "INSERT INTO review SELECT id, content_digest, 8, 0 FROM withdrawal_state",
            "UPDATE withdrawal SET payee_id = 'mallory'",
            "UPDATE withdrawal_state SET status = 4, effect = 'pay', lane = 1",
            "INSERT INTO history SELECT 3, 1, user_id, 3, 4, 'approve', 'user:8', '', 0 FROM withdrawal",
            "UPDATE stream_head SET last_sequence = 3",
        ];
        unlock(&database).await?;
        let opened = Database::open(&database.url, MIGRATIONS).await?;
        match opened.connect().await? {
            Engine::Sqlite(mut c) => {
                for sql in statements {
                    sqlx::raw_sql(sql).execute(&mut c).await?;
                }
            }
            Engine::Postgres(mut c) => {
                for sql in statements {
                    sqlx::raw_sql(sql).execute(&mut c).await?;
                }
            }
        }
        let service = Service::on(config, ledger, clock).await?;
        let voided = service.until(w.id, Status::InReview).await?;
        ensure!(voided.content_digest != w.content_digest && voided.reviewers == 0);
        ensure!(voided.trade_no.is_empty(), "no attempt was written");
        let attempts: i64 = on_engine!(opened.readers(), p =>
            sqlx::query_scalar("SELECT count(*) FROM attempt").fetch_one(p).await?);
        ensure!(attempts == 0);
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Paid).await?;
        opened.close().await;
        service.finish().await?;
    }
    Ok(())
}
