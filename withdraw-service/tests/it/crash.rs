//! An instance that dies at any moment, without draining: its whole runtime goes away. Nothing is lost,
//! nothing is paid twice, and everything comes to its one outcome after the next start.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use cashout_common::clock::Clock;
use cashout_common::db::Database;
use cashout_common::on_engine;
use cashout_common::random::Random;
use cashout_proto::withdraw::v1::{GetHistoryRequest, RequestWithdrawalRequest, Status};
use cashout_testing::databases;
use tokio::runtime::{Builder, Runtime};
use withdraw_service::Config;
use withdraw_service::store::MIGRATIONS;

use crate::harness::{BOB, NOON_US, Service, config, wechat};
use crate::ledger::FakeLedger;

/// What each person's payee does, and how their withdrawals end.
const PEOPLE: [(i64, &str, Status); 4] = [
    (101, "pays", Status::Paid),
    (102, "unknown-paid", Status::Paid),
    (103, "lost", Status::Paid),
    (104, "unknown-refused", Status::Failed),
];
const LIVES: i64 = 12;

/// A service in a runtime of its own, which can be taken away from under it.
pub async fn live(
    config: &Config,
    ledger: &Arc<FakeLedger>,
    clock: &Clock,
) -> anyhow::Result<(Runtime, Service)> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let start = Service::on(config.clone(), ledger.clone(), clock.clone());
    let service = runtime.spawn(start).await??;
    Ok((runtime, service))
}

async fn one_of_each(service: Service, n: i64) {
    for (user_id, ..) in PEOPLE {
        let key = format!("k{n}");
        let request = RequestWithdrawalRequest { user_id, ..wechat(100, &key) };
        if let Ok((w, _)) = service.ask(request).await {
            let _ = service.approve(w.id, BOB).await;
        }
        service.clock.advance(Duration::from_millis(300));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dying_at_any_moment_loses_nothing_and_pays_nobody_twice() -> anyhow::Result<()> {
    let random = Random::seeded(2020);
    for database in databases("crash").await? {
        let (config, clock) = (config(&database)?, Clock::set_at(NOON_US));
        let ledger = Arc::new(FakeLedger::default());
        for (user_id, payee_id, _) in PEOPLE {
            ledger.person(user_id, 1_000_000, payee_id);
        }
        for n in 0..LIVES {
            let (runtime, service) = live(&config, &ledger, &clock).await?;
            let work = runtime.spawn(one_of_each(service, n));
            let moment = Duration::from_micros(random.below(60_000));
            let _ = tokio::time::timeout(moment, work).await;
            runtime.shutdown_background();
        }
        let service = Service::on(config.clone(), ledger.clone(), clock.clone()).await?;
        // Whoever was not answered asks again under the same key: there is one withdrawal for each.
        for n in 0..LIVES {
            for (user_id, _, outcome) in PEOPLE {
                let id = asked_again(&service, user_id, &format!("k{n}")).await?;
                // The approval may have died with the instance, or have been committed.
                let _ = service.approve(id, BOB).await;
                service.until(id, outcome).await?;
                sent_again_only_after_asking(&service, id).await?;
            }
        }
        paid_once(&config.database_url).await?;
        ensure!(ledger.counts() == (48, 48), "{:?}", ledger.counts());
        service.finish().await?;
    }
    Ok(())
}

async fn asked_again(service: &Service, user_id: i64, key: &str) -> anyhow::Result<i64> {
    let request = RequestWithdrawalRequest { user_id, ..wechat(100, key) };
    for _ in 0..20 {
        if let Ok((w, _)) = service.ask(request.clone()).await {
            return Ok(w.id);
        }
        // The dead instance's lease has to run out.
        service.clock.advance(Duration::from_secs(10));
    }
    anyhow::bail!("no answer for {key}")
}

async fn sent_again_only_after_asking(service: &Service, id: i64) -> anyhow::Result<()> {
    let request = GetHistoryRequest { id, user_id: 0 };
    let history = service.client.clone().get_history(request).await?.into_inner();
    ensure!(history.attempts.len() == 1, "one number for each withdrawal");
    let calls = &history.attempts.first().context("an attempt")?.calls;
    for pair in calls.windows(2) {
        let after_not_found = pair[0].operation == "query" && pair[0].outcome == "not_found";
        ensure!(pair[1].operation == "query" || after_not_found, "{calls:?}");
    }
    Ok(())
}

/// The sandbox's own books: every withdrawal that is paid was paid once, its amount; no other was.
async fn paid_once(url: &str) -> anyhow::Result<()> {
    const WRONG: &str = "SELECT count(*) FROM withdrawal_now w LEFT JOIN sandbox_payout s \
        ON s.number = w.trade_no AND s.state = 'paid' \
        WHERE (w.status = 13) <> (s.number IS NOT NULL) OR s.amount_minor <> w.actual_minor";
    let database = Database::open(url, MIGRATIONS).await?;
    let (wrong, booked, rows): (i64, i64, i64) = on_engine!(database.readers(), p => (
        sqlx::query_scalar(WRONG).fetch_one(p).await?,
        sqlx::query_scalar("SELECT count(*) FROM sandbox_payout").fetch_one(p).await?,
        sqlx::query_scalar("SELECT count(*) FROM withdrawal").fetch_one(p).await?,
    ));
    database.close().await;
    ensure!((wrong, booked, rows) == (0, 48, 48), "{wrong} wrong, {booked} booked, {rows} rows");
    Ok(())
}
