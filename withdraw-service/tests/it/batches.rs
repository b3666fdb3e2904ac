//! Jobs that share a batch: each stands or falls alone, histories stay dense, lost connections lose
//! nothing.

use std::time::Duration;

use anyhow::{Context, ensure};
use cashout_common::db::{Database, Engine};
use cashout_common::on_engine;
use cashout_proto::withdraw::v1::{
    Status as Shown, StreamStatusChangesRequest, Withdrawal as Wire,
};
use cashout_proto::{Failure, Reason};
use cashout_testing::{TestDatabase, databases};
use futures::future::{BoxFuture, join, join_all, try_join_all};
use futures::{FutureExt, StreamExt};
use withdraw_service::domain::status::{Event, Status};
use withdraw_service::domain::withdrawal::Withdrawal;
use withdraw_service::service::transition::{Step, advance};
use withdraw_service::store::attempts::Attempt;
use withdraw_service::store::book::{Book, Needs};
use withdraw_service::store::{MIGRATIONS, Store};
use withdraw_service::verify;

use crate::harness::{BOB, NOON_US, Service, config, wechat};

/// A store with that many withdrawals in review, and nobody else at work.
async fn in_review(database: &TestDatabase, n: usize) -> anyhow::Result<(Store, Vec<i64>)> {
    let service = Service::fresh(database).await?;
    let mut ids = Vec::new();
    for _ in 0..n {
        ids.push(service.request(100).await?.id);
    }
    service.stop().await;
    Ok((Store::open(&database.url).await?, ids))
}

fn step(book: &mut Book, id: i64, event: Event) -> Result<Withdrawal, Failure> {
    let mut w = book.get(id)?;
    advance(book, &mut w, Step::person(event, "user:8", "", NOON_US))?;
    Ok(w)
}

async fn status(store: &Store, id: i64) -> anyhow::Result<(Status, i64)> {
    let found = withdraw_service::store::withdrawals::find(store.readers(), id).await?;
    let w = found.context("it is gone")?;
    Ok((w.status, w.version))
}

#[tokio::test]
async fn a_job_that_is_refused_or_panics_leaves_nothing_and_its_neighbours_alone()
-> anyhow::Result<()> {
    for database in databases("neighbours").await? {
        let (store, ids) = in_review(&database, 4).await?;
        let before = [status(&store, ids[1]).await?, status(&store, ids[2]).await?];
        let jobs = ids.clone().into_iter().enumerate().map(|(n, id)| {
            store.decide(Needs::id(id), move |book: &mut Book| {
                step(book, id, Event::Cancel)?;
                // Only after it had changed something.
                match n {
                    1 => Err(Failure::new(Reason::Internal, "no")),
                    2 => std::panic::panic_any("a defect"),
                    _ => Ok(()),
                }
            })
        });
        let told: Vec<bool> = join_all(jobs).await.iter().map(Result::is_ok).collect();
        ensure!(told == [true, false, false, true]);
        ensure!(status(&store, ids[0]).await?.0 == Status::Cancelling);
        ensure!([status(&store, ids[1]).await?, status(&store, ids[2]).await?] == before);
        ensure!(status(&store, ids[3]).await?.0 == Status::Cancelling);
        store.close().await;
        let report = verify(&database.url).await?;
        ensure!(report.clean(), "{report}");
    }
    Ok(())
}

#[tokio::test]
async fn a_job_that_the_tables_refuse_fails_alone() -> anyhow::Result<()> {
    for database in databases("constraint").await? {
        let (store, ids) = in_review(&database, 3).await?;
        let jobs = ids.clone().into_iter().enumerate().map(|(n, id)| {
            let job = move |book: &mut Book| {
                let w = step(book, id, Event::Cancel)?;
                // Nothing is paid by less than one.
                let attempt = |amount_minor| Attempt {
                    number: format!("N{id}"),
                    withdrawal_id: id,
                    provider: w.provider.clone(),
                    payee_id: w.payee_id.clone(),
                    amount_minor,
                    body: Vec::new(),
                    digest: String::new(),
                    state: "failed".to_owned(),
                    created_at_us: NOON_US,
                };
                if n == 1 {
                    book.attempt(attempt(0));
                }
                Ok(())
            };
            store.decide(Needs::id(id), job)
        });
        let told: Vec<bool> = join_all(jobs).await.iter().map(Result::is_ok).collect();
        ensure!(told == [true, false, true], "{told:?} on {}", database.engine);
        ensure!(status(&store, ids[1]).await?.0 == Status::InReview);
        ensure!(status(&store, ids[2]).await?.0 == Status::Cancelling);
        store.close().await;
        let report = verify(&database.url).await?;
        ensure!(report.clean(), "{report}");
    }
    Ok(())
}

#[tokio::test]
async fn of_two_jobs_in_a_batch_that_know_the_same_version_one_is_of_no_use() -> anyhow::Result<()>
{
    for database in databases("same_version").await? {
        let (store, ids) = in_review(&database, 1).await?;
        let id = *ids.first().context("one")?;
        let claimed = withdraw_service::store::withdrawals::find(store.readers(), id).await?;
        let claimed = claimed.context("one")?;
        let job = || {
            let claimed = claimed.clone();
            store.decide(Needs::id(id), move |book: &mut Book| {
                let Some(mut w) = book.unchanged(&claimed)? else { return Ok(false) };
                advance(book, &mut w, Step::person(Event::Refuse, "user:8", "", NOON_US))?;
                Ok(true)
            })
        };
        let told = join(job(), job()).await;
        ensure!((told.0?, told.1?) == (true, false));
        ensure!(status(&store, id).await? == (Status::Refusing, claimed.version + 1));
        store.close().await;
    }
    Ok(())
}

/// Ends every connection of the database but this one that waits (`true`) or rests (`false`).
async fn terminate(database: &Database, waiting: bool) -> anyhow::Result<i64> {
    const SQL: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid() \
        AND (wait_event_type = 'Lock') = $1";
    Ok(match database.connect().await? {
        Engine::Postgres(mut c) => sqlx::query_scalar(SQL).bind(waiting).fetch_one(&mut c).await?,
        Engine::Sqlite(_) => 1,
    })
}

#[tokio::test]
async fn a_batch_that_loses_its_connection_runs_again_and_counts_once() -> anyhow::Result<()> {
    for database in databases("lost_batch").await? {
        if database.engine != "postgres" {
            continue;
        }
        let (store, ids) = in_review(&database, 4).await?;
        let opened = Database::open(&database.url, MIGRATIONS).await?;
        let cancel =
            |id| store.decide(Needs::id(id), move |b: &mut Book| step(b, id, Event::Cancel));
        cancel(ids[0]).await?;
        // While it rests.
        ensure!(terminate(&opened, false).await? > 0);
        cancel(ids[1]).await?;
        // In the middle: the batch waits for the lock, which somebody else has.
        let Engine::Postgres(mut other) = opened.connect().await? else { continue };
        sqlx::raw_sql("BEGIN; UPDATE stream_head SET last_sequence = last_sequence")
            .execute(&mut other)
            .await?;
        let cut: BoxFuture<'_, anyhow::Result<()>> = async {
            while terminate(&opened, true).await? == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            sqlx::raw_sql("ROLLBACK").execute(&mut other).await?;
            Ok(())
        }
        .boxed();
        let (done, cut) = join(try_join_all([cancel(ids[2]), cancel(ids[3])]), cut).await;
        cut?;
        for w in done? {
            ensure!(status(&store, w.id).await? == (Status::Cancelling, w.version));
        }
        store.close().await;
        opened.close().await;
        let report = verify(&database.url).await?;
        ensure!(report.clean(), "{report}");
    }
    Ok(())
}

/// Requests, and asks again under the same key when the machine was too busy to answer in time.
async fn asked_until_told(service: &Service, n: usize) -> Result<Wire, Failure> {
    loop {
        match service.ask(wechat(100, &format!("key-{n}"))).await {
            Err(failure) if failure.reason == Reason::Unavailable => {}
            told => return Ok(told?.0),
        }
    }
}

#[tokio::test]
async fn two_hundred_cash_outs_at_once_leave_one_dense_history_that_followers_see()
-> anyhow::Result<()> {
    const MANY: usize = 200;
    for database in databases("dense").await? {
        let mut settings = config(&database)?;
        settings.timing.call_timeout = Duration::from_secs(30);
        let owned = Service::with(settings).await?;
        let service = &owned;
        let follow = StreamStatusChangesRequest::default();
        let mut changes = service.client.clone().stream_status_changes(follow).await?.into_inner();
        let whole = join_all((0..MANY).map(|n| async move {
            let w = asked_until_told(service, n).await?;
            service.approve(w.id, BOB).await?;
            anyhow::Ok(w.id)
        }));
        let follower = async {
            let (mut last, mut paid) = (0, 0);
            while paid < MANY {
                let next = tokio::time::timeout(Duration::from_secs(60), changes.next()).await?;
                let change = next.context("the stream ended")??;
                ensure!(change.sequence == last + 1, "{} after {last}", change.sequence);
                last = change.sequence;
                paid += usize::from(change.to() == Shown::Paid);
            }
            anyhow::Ok(last)
        };
        let (whole, last) = join(whole, follower).await;
        let ids = whole.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(last? == 6 * i64::try_from(MANY)?);
        for id in ids {
            ensure!(service.calls(id).await? == ["send paid"]);
        }
        let opened = Database::open(&database.url, MIGRATIONS).await?;
        let batches: i64 = on_engine!(opened.readers(), p =>
            sqlx::query_scalar("SELECT last_sequence FROM stream_head").fetch_one(p).await?);
        ensure!(batches == 6 * i64::try_from(MANY)?);
        opened.close().await;
        drop(changes);
        owned.finish().await?;
    }
    Ok(())
}
