//! One key, one effect: replays, conflicts, declined requests, and answers that were lost on the way.

use std::time::Duration;

use anyhow::ensure;
use cashout_common::db::{Database, Engine};
use cashout_common::random::Random;
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{RequestWithdrawalRequest, Status};
use cashout_testing::databases;
use futures::future::join_all;
use withdraw_service::store::MIGRATIONS;

use crate::harness::{ALICE, BOB, Service, reason, wechat};

#[tokio::test]
async fn the_same_request_is_answered_the_same_and_another_is_refused() -> anyhow::Result<()> {
    for database in databases("replay").await? {
        let service = Service::fresh(&database).await?;
        let mut client = service.client.clone();
        let first = client.request_withdrawal(wechat(1000, "k")).await?.into_inner();
        let id = first.withdrawal.as_ref().map_or(0, |w| w.id);
        service.approve(id, BOB).await?;
        service.until(id, Status::Paid).await?;
        // The key wins over every business check.
        service.ledger.lock(ALICE);
        let mut again = client.request_withdrawal(wechat(1000, "k")).await?.into_inner();
        ensure!(again.replayed && !first.replayed);
        again.replayed = false;
        ensure!(again == first, "a replay is the first answer, not the present state");
        for other in [
            wechat(1001, "k"),
            RequestWithdrawalRequest { remark: "x".into(), ..wechat(1000, "k") },
            RequestWithdrawalRequest { method: 77, ..wechat(1000, "k") },
            RequestWithdrawalRequest { variant: "user".into(), ..wechat(1000, "k") },
        ] {
            ensure!(reason(service.ask(other).await)? == Reason::IdempotencyConflict);
        }
        ensure!(service.ledger.counts().0 == 1);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_is_unavailable_and_the_same_key_finds_the_one_hold() -> anyhow::Result<()> {
    for database in databases("lostreply").await? {
        let service = Service::fresh(&database).await?;
        service.ledger.lose_replies(1);
        let lost = service.ask(wechat(1000, "k")).await;
        ensure!(reason(lost)? == Reason::Unavailable);
        let (w, _) = service.ask(wechat(1000, "k")).await?;
        ensure!(w.status() == Status::InReview);
        ensure!(service.ledger.counts().0 == 1 && service.ledger.available(ALICE) == 999_000);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_worker_finishes_a_request_whose_caller_gave_up() -> anyhow::Result<()> {
    for database in databases("gaveup").await? {
        let service = Service::fresh(&database).await?;
        service.ledger.set_down(true);
        for key in ["", "k"] {
            let lost = service.ask(wechat(1000, key)).await;
            ensure!(reason(lost)? == Reason::Unavailable);
        }
        let conflict = service.ask(wechat(2000, "k")).await;
        ensure!(reason(conflict)? == Reason::IdempotencyConflict);
        service.ledger.set_down(false);
        service.until(1, Status::InReview).await?;
        service.until(2, Status::InReview).await?;
        let (w, replayed) = service.ask(wechat(1000, "k")).await?;
        ensure!(replayed && w.id == 2);
        ensure!(service.ledger.counts().0 == 2);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn calls_cancelled_at_random_moments_lose_and_leak_nothing() -> anyhow::Result<()> {
    const CALLS: usize = 400;
    let random = Random::seeded(7);
    for database in databases("cancelled").await? {
        let service = Service::fresh(&database).await?;
        let calls = (0..CALLS).map(|n| {
            let patience = Duration::from_micros(random.below(150_000));
            tokio::time::timeout(patience, service.ask(wechat(1, &format!("k{n}"))))
        });
        let answers = join_all(calls).await;
        let answered = answers.iter().filter(|a| matches!(a, Ok(Ok(_)))).count();
        let mut replayed = 0;
        for (n, answer) in answers.into_iter().enumerate() {
            let (again, known) = service.ask(wechat(1, &format!("k{n}"))).await?;
            replayed += usize::from(known);
            if let Ok(Ok((first, _))) = answer {
                ensure!(known && first == again, "an answered write is missing");
            }
        }
        ensure!(answered < CALLS && replayed >= answered, "{answered} answered, {replayed} known");
        ensure!(service.ledger.counts().0 == CALLS);
        service.finish().await?;
        if database.engine == "postgres" {
            ensure!(idle_in_transaction(&database.url).await? == 0);
        }
    }
    Ok(())
}

/// Connections of this database that were left inside a transaction.
async fn idle_in_transaction(url: &str) -> anyhow::Result<i64> {
    const SQL: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()";
    let database = Database::open(url, MIGRATIONS).await?;
    let found = match database.readers() {
        Engine::Postgres(pool) => sqlx::query_scalar(SQL).fetch_one(pool).await?,
        Engine::Sqlite(_) => 0,
    };
    database.close().await;
    Ok(found)
}

#[tokio::test]
async fn thirty_two_calls_under_one_key_are_one_withdrawal() -> anyhow::Result<()> {
    for database in databases("onekey").await? {
        let service = Service::fresh(&database).await?;
        let calls = (0..32).map(|_| service.ask(wechat(1000, "k")));
        let answers = join_all(calls).await;
        let mut fresh = 0;
        for answer in answers {
            let (w, replayed) = answer?;
            ensure!(w.id == 1);
            fresh += u32::from(!replayed);
        }
        ensure!(fresh == 1 && service.ledger.counts().0 == 1, "{fresh} were told it is new");
        service.finish().await?;
    }
    Ok(())
}
