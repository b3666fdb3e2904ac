//! Batches that rest on what the writer remembers and what jobs bring along (PostgreSQL): whatever somebody
//! else wrote meanwhile, they decide on what is so.

use std::time::Duration;

use anyhow::{Context, ensure};
use cashout_common::clock::Clock;
use cashout_common::db::{Database, Engine};
use cashout_common::writer::WriteError;
use cashout_proto::{Failure, Reason};
use cashout_testing::TestDatabase;
use futures::FutureExt;
use futures::future::join_all;
use withdraw_service::domain::channel::Cause;
use withdraw_service::domain::status::{Event, Status};
use withdraw_service::domain::withdrawal::Withdrawal;
use withdraw_service::ports::{Answer, Provider, SendRequest};
use withdraw_service::providers::sandbox::Sandbox;
use withdraw_service::service::transition::{Step, advance};
use withdraw_service::store::attempts::Attempt;
use withdraw_service::store::book::{Book, Needs};
use withdraw_service::store::{MIGRATIONS, Store, channels};
use withdraw_service::verify;

use crate::harness::{ALICE, NOON_US, Service, wechat};
use crate::store::count;

const PROVIDER: &str = "sandbox";

/// Two instances over the same withdrawals in review; the first remembers. `None` without PostgreSQL.
async fn two(name: &str) -> anyhow::Result<Option<(TestDatabase, [Store; 2], Vec<Withdrawal>)>> {
    let Some(database) = cashout_testing::postgres(name).await? else { return Ok(None) };
    let service = Service::fresh(&database).await?;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(service.request(100).await?.id);
    }
    service.stop().await;
    let stores = [Store::open(&database.url).await?, Store::open(&database.url).await?];
    let mut all = Vec::new();
    for id in ids {
        all.push(stores[0].withdrawal(id).await?.context("just requested")?);
    }
    // The first batch has nothing to remember yet, the second one does.
    for w in &all[..2] {
        ensure!(moved(&stores[0], w, Event::Cancel).await?);
    }
    Ok(Some((database, stores, all)))
}

/// Moves a withdrawal on if it still is as it is known.
async fn moved(store: &Store, known: &Withdrawal, event: Event) -> anyhow::Result<bool> {
    let claimed = known.clone();
    let job = move |book: &mut Book| {
        let Some(mut w) = book.unchanged(&claimed)? else { return Ok(false) };
        advance(book, &mut w, Step::person(event, "user:8", "", NOON_US))?;
        Ok(true)
    };
    Ok(store.decide(Needs::claimed(known), job).await?)
}

async fn paused(store: &Store) -> anyhow::Result<bool> {
    Ok(store.decide(Needs::default(), |book: &mut Book| Ok(book.paused(PROVIDER))).await?)
}

async fn pause(store: &Store) -> anyhow::Result<()> {
    let job = store.write(|conn| {
        let cause = Some(Cause::Operator);
        async move {
            channels::change(conn, PROVIDER, cause, "", "user:8", NOON_US).await?;
            Ok::<_, WriteError>(())
        }
        .boxed()
    });
    Ok(job.await?)
}

#[tokio::test]
async fn what_another_instance_changed_is_not_overwritten_by_what_a_job_brought_along()
-> anyhow::Result<()> {
    let Some((database, [ours, other], all)) = two("brought").await? else { return Ok(()) };
    ensure!(moved(&other, &all[2], Event::Refuse).await?);
    ensure!(!moved(&ours, &all[2], Event::Cancel).await?, "it knew an old version");
    ensure!(!moved(&ours, &all[2], Event::Cancel).await?, "nor does it when it remembers again");
    ensure!(moved(&ours, &all[3], Event::Cancel).await?);
    let statuses = join_all(all.iter().map(|w| ours.withdrawal(w.id))).await;
    let statuses: Vec<Status> =
        statuses.into_iter().filter_map(|found| Some(found.ok()??.status)).collect();
    let cancelling = Status::Cancelling;
    ensure!(statuses == [cancelling, cancelling, Status::Refusing, cancelling], "{statuses:?}");
    let report = verify(&database.url).await?;
    ensure!(report.clean(), "{report}");
    Ok(())
}

#[tokio::test]
async fn a_pause_counts_for_the_next_batch_of_every_instance_also_of_one_that_writes_nothing()
-> anyhow::Result<()> {
    let Some((_database, [ours, other], _)) = two("pausedelsewhere").await? else { return Ok(()) };
    ensure!(!paused(&ours).await?);
    pause(&other).await?;
    ensure!(paused(&ours).await?, "another instance had paused it");
    pause(&ours).await?;
    ensure!(paused(&ours).await? && paused(&other).await?);
    Ok(())
}

#[tokio::test]
async fn a_pause_by_another_instance_counts_for_the_next_batch_that_writes() -> anyhow::Result<()> {
    let Some((_database, [ours, other], all)) = two("pausedwriting").await? else { return Ok(()) };
    ensure!(!paused(&ours).await?);
    pause(&other).await?;
    // What it changes is as it is known; only the version tells that somebody wrote.
    let claimed = all[2].clone();
    let job = move |book: &mut Book| {
        let paused = book.paused(PROVIDER);
        let Some(mut w) = book.unchanged(&claimed)? else { return Ok(None) };
        advance(book, &mut w, Step::person(Event::Cancel, "user:8", "", NOON_US))?;
        Ok(Some(paused))
    };
    ensure!(ours.decide(Needs::claimed(&all[2]), job).await? == Some(true), "it was remembered");
    Ok(())
}

/// The sum of what a person requested on a day, as a job is told it.
async fn sum(store: &Store, day_us: i64) -> anyhow::Result<i64> {
    let needs = Needs { usage: Some((ALICE, day_us)), ..Needs::default() };
    Ok(store.decide(needs, |book: &mut Book| Ok(book.usage(ALICE).day_minor)).await?)
}

#[tokio::test]
async fn the_sum_of_a_day_is_right_after_cancelling_and_on_another_day() -> anyhow::Result<()> {
    let Some((_database, [ours, other], all)) = two("remembersums").await? else { return Ok(()) };
    let day_us = NOON_US - 12 * 3_600_000_000;
    // Two of four were cancelled; asked twice, so that the second answer is remembered.
    ensure!((sum(&ours, day_us).await?, sum(&ours, day_us).await?) == (200, 200));
    // Two days at once, as at midnight: what is remembered then is of neither.
    let later_us = NOON_US * 2;
    let days = (0..6).map(|n| if n % 2 == 0 { day_us } else { later_us });
    join_all(days.map(|day_us| sum(&ours, day_us))).await;
    ensure!((sum(&ours, later_us).await?, sum(&ours, day_us).await?) == (0, 200));
    ensure!(moved(&ours, &all[2], Event::Cancel).await?);
    ensure!(sum(&ours, day_us).await? == 100);
    ensure!(moved(&other, &all[3], Event::Cancel).await?);
    ensure!(sum(&ours, day_us).await? == 0, "another instance moved it");
    ensure!(sum(&other, 0).await? == 0);
    Ok(())
}

#[tokio::test]
async fn what_the_tables_refuse_fails_alone_and_a_refused_job_leaves_nothing() -> anyhow::Result<()>
{
    let Some((database, [ours, _], all)) = two("refusedtrusting").await? else { return Ok(()) };
    // The first is cancelled already and changes nothing; nothing is paid by less than one.
    let jobs = all[1..].iter().enumerate().map(|(n, w)| {
        let known = w.clone();
        ours.decide(Needs::claimed(w), move |book: &mut Book| {
            let mut w = book.get(known.id)?;
            if n == 0 {
                return Err(Failure::new(Reason::Internal, "no"));
            }
            advance(book, &mut w, Step::person(Event::Cancel, "user:8", "", NOON_US))?;
            if n == 1 {
                book.attempt(Attempt {
                    number: format!("N{}", w.id),
                    withdrawal_id: w.id,
                    provider: w.provider.clone(),
                    payee_id: w.payee_id.clone(),
                    amount_minor: 0,
                    body: Vec::new(),
                    digest: String::new(),
                    state: "failed".to_owned(),
                    created_at_us: NOON_US,
                });
            }
            Ok(())
        })
    });
    let told: Vec<bool> = join_all(jobs).await.iter().map(Result::is_ok).collect();
    ensure!(told == [false, false, true], "{told:?}");
    let stored = ours.withdrawal(all[2].id).await?.context("it is gone")?;
    ensure!((stored.status, stored.version) == (Status::InReview, all[2].version));
    let report = verify(&database.url).await?;
    ensure!(report.clean(), "{report}");
    Ok(())
}

#[tokio::test]
async fn of_two_that_bring_the_same_along_one_is_of_no_use() -> anyhow::Result<()> {
    let Some((_database, [ours, _], all)) = two("sametrusting").await? else { return Ok(()) };
    let told =
        join_all([Event::Cancel, Event::Refuse].map(|event| moved(&ours, &all[2], event))).await;
    let told = told.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    ensure!(told.iter().filter(|moved| **moved).count() == 1, "{told:?}");
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_known_is_found_by_a_job_that_would_be_refused_without_it()
-> anyhow::Result<()> {
    let Some(database) = cashout_testing::postgres("keytrusting").await? else { return Ok(()) };
    let service = Service::fresh(&database).await?;
    let asked = wechat(100, "the key");
    let (w, _) = service.ask(asked).await.map_err(anyhow::Error::new)?;
    service.stop().await;
    let store = Store::open(&database.url).await?;
    for _ in 0..3 {
        let needs = Needs { request: Some((ALICE, "the key".to_owned())), ..Needs::default() };
        let job = |book: &mut Book| {
            let known = book.requested(ALICE, "the key").map(|w| w.id);
            known.ok_or_else(|| Failure::new(Reason::DailyLimit, "too much"))
        };
        ensure!(store.decide(needs, job).await? == w.id);
    }
    Ok(())
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_a_matter_of_those_who_ask_for_it() -> anyhow::Result<()> {
    let Some((database, [ours, _], all)) = two("unreadable").await? else { return Ok(()) };
    let opened = Database::open(&database.url, MIGRATIONS).await?;
    let Engine::Postgres(mut c) = opened.connect().await? else { return Ok(()) };
    // As a newer version may leave it.
    sqlx::query("UPDATE withdrawal_state SET effect = 'new', lane = -1 WHERE id = $1")
        .bind(all[0].id)
        .execute(&mut c)
        .await?;
    let told = join_all((0..40).map(|n| ours.withdrawal(all[n % 4].id))).await;
    for (n, told) in told.into_iter().enumerate() {
        ensure!(told.is_ok() == (n % 4 != 0), "{n}: {told:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_batch_whose_connection_is_lost_in_its_one_statement_counts_once() -> anyhow::Result<()> {
    const WAITING: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND wait_event_type = 'Lock'";
    for somebody_wrote in [false, true] {
        let name = format!("lost{somebody_wrote}");
        let Some((database, [ours, _], all)) = two(&name).await? else { return Ok(()) };
        let opened = Database::open(&database.url, MIGRATIONS).await?;
        let Engine::Postgres(mut locks) = opened.connect().await? else { continue };
        let Engine::Postgres(mut ends) = opened.connect().await? else { continue };
        let version = i64::from(somebody_wrote);
        sqlx::raw_sql("BEGIN").execute(&mut locks).await?;
        sqlx::query("UPDATE stream_head SET version = version + $1")
            .bind(version)
            .execute(&mut locks)
            .await?;
        let cut = async {
            while sqlx::query_scalar::<_, i64>(WAITING).fetch_one(&mut ends).await? == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            sqlx::raw_sql("COMMIT").execute(&mut locks).await?;
            anyhow::Ok(())
        };
        let (told, cut) = tokio::join!(moved(&ours, &all[2], Event::Cancel), cut);
        cut?;
        // When somebody wrote meanwhile it may have been this batch, so nobody is told that it was not.
        ensure!(told.is_ok() != somebody_wrote, "{told:?}");
        let stored = ours.withdrawal(all[2].id).await?.context("it is gone")?;
        let expected = if somebody_wrote { Status::InReview } else { Status::Cancelling };
        ensure!(stored.status == expected, "{:?}", stored.status);
        ensure!(moved(&ours, &all[3], Event::Cancel).await?, "the next one is well");
        let report = verify(&database.url).await?;
        ensure!(report.clean(), "{report}");
    }
    Ok(())
}

/// How a withdrawal stands, as a job is told it.
async fn status(store: &Store, id: i64) -> anyhow::Result<Status> {
    Ok(store.decide(Needs::id(id), move |book: &mut Book| Ok(book.get(id)?.status)).await?)
}

#[tokio::test]
async fn who_waits_for_a_reviewer_is_decided_as_they_are_whoever_changed_them() -> anyhow::Result<()>
{
    let Some((database, [ours, other], all)) = two("waiting").await? else { return Ok(()) };
    let [_, _, first, second] = all.try_into().map_err(|_| anyhow::anyhow!("four"))?;
    for w in [&first, &second] {
        // A batch that writes it while it waits: from then on it is remembered.
        let id = w.id;
        let write = move |book: &mut Book| {
            let w = book.get(id)?;
            book.schedule(&w);
            Ok(())
        };
        ours.decide(Needs::id(id), write).await?;
        ensure!(status(&ours, id).await? == Status::InReview);
    }
    ensure!(moved(&other, &first, Event::Refuse).await?);
    ensure!(status(&ours, first.id).await? == Status::Refusing, "another instance refused it");
    let late = ours.decide(Needs::id(first.id), move |book: &mut Book| {
        let mut w = book.get(first.id)?;
        advance(book, &mut w, Step::person(Event::Cancel, "user:7", "", NOON_US))?;
        Ok(())
    });
    let refused = late.await.map_err(|failure| failure.reason);
    ensure!(refused == Err(Reason::IllegalTransition), "{refused:?}");
    ensure!(moved(&ours, &second, Event::Cancel).await?);
    ensure!(status(&ours, second.id).await? == Status::Cancelling);
    let report = verify(&database.url).await?;
    ensure!(report.clean(), "{report}");
    Ok(())
}

#[tokio::test]
async fn a_number_that_was_believed_new_is_booked_once_and_told_as_it_was_booked()
-> anyhow::Result<()> {
    let Some((database, [ours, _], _)) = two("bookedtwice").await? else { return Ok(()) };
    let sandbox = Sandbox::new(ours.clone(), Clock::set_at(NOON_US));
    let send = |number: &str, payee_id: &str, digest: &str| {
        sandbox.send(SendRequest {
            number: number.to_owned(),
            payee_id: payee_id.to_owned(),
            amount_minor: 100,
            body: vec![],
            digest: digest.to_owned(),
        })
    };
    let paid = |answer: &Answer| matches!(answer, Answer::Paid { .. });
    ensure!(paid(&send("N1", "alice", "d1").await), "new");
    ensure!(paid(&send("N1", "alice", "d1").await), "again");
    let other = send("N1", "mallory", "d2").await;
    ensure!(matches!(&other, Answer::Unknown { why } if why.contains("another request")));
    // Lost the first time, paid the second; with neighbours that are new.
    ensure!(!paid(&send("N2", "lost", "d").await));
    let (again, new) = futures::join!(send("N2", "lost", "d"), send("N3", "alice", "d"));
    ensure!(paid(&again) && paid(&new), "{again:?} {new:?}");
    let books =
        "SELECT count(*) FROM sandbox_payout WHERE state = 'paid' AND payee_id <> 'mallory'";
    ensure!(count(&database.url, books).await? == 3);
    Ok(())
}
