//! Payouts that wait for the payee's confirmation. What they confirm with, when it was lost, is asked for
//! by a sending that is noted like any other; while they can confirm, the provider is asked less and
//! less.

use std::time::Duration;

use anyhow::{Context, ensure};
use cashout_proto::withdraw::v1::{
    CancelPayoutRequest, ListCasesRequest, Resolution, ResolveCaseRequest, Status,
};
use cashout_testing::databases;
use withdraw_service::domain::withdrawal::Withdrawal;
use withdraw_service::ports::{Answer, ReleaseCause, Repair};
use withdraw_service::store::{Store, withdrawals};

use crate::blocked::{channel, same_bytes};
use crate::channels::{pause, resume};
use crate::fake::{Fake, blocked, lost, paid, refused, rejected, to_confirm, waiting};
use crate::harness::{ALICE, BOB, CAROL, Service, by, config, failure};
use crate::ledger::State;
use crate::notices::tells;

/// A payout whose first sending was answered so, and nothing was asked about it yet.
async fn sent(service: &Service, call: &str) -> anyhow::Result<i64> {
    let id = service.request(1000).await?.id;
    service.approve(id, BOB).await?;
    service.until_calls(id, &[call]).await?;
    Ok(id)
}

/// A service with pauses that are longer than the steps in which time passes.
async fn patient(
    database: &cashout_testing::TestDatabase,
    fake: &std::sync::Arc<Fake>,
) -> anyhow::Result<Service> {
    let mut settings = config(database)?;
    settings.timing.backoff_min = Duration::from_secs(1);
    Service::paid_by(settings, fake).await
}

#[tokio::test]
async fn whatever_the_second_sending_is_answered_the_payout_goes_on_and_the_channel_stays_open()
-> anyhow::Result<()> {
    const AGAIN: [&str; 6] = [
        "send unknown",
        "query waiting",
        "send unknown",
        "query waiting",
        "send pending",
        "query paid",
    ];
    const PENDING: [&str; 6] = [AGAIN[0], AGAIN[1], "send pending", AGAIN[3], AGAIN[4], AGAIN[5]];
    const WAITING: [&str; 6] = [AGAIN[0], AGAIN[1], "send waiting", AGAIN[3], AGAIN[4], AGAIN[5]];
    const KEPT: [&str; 5] = [AGAIN[0], AGAIN[1], "send pending", "query waiting", "query paid"];
    let table: [(Answer, Status, &[&str]); 11] = [
        (to_confirm(), Status::Paid, &KEPT),
        (paid(), Status::Paid, &["send unknown", "query waiting", "send paid"]),
        (refused(), Status::Failed, &["send unknown", "query waiting", "send refused"]),
        (Answer::pending(), Status::Paid, &PENDING),
        (waiting(), Status::Paid, &WAITING),
        (lost(), Status::Paid, &AGAIN),
        (rejected(), Status::Paid, &AGAIN),
        (blocked(Repair::Balance), Status::Paid, &AGAIN),
        (blocked(Repair::Channel), Status::Paid, &AGAIN),
        (blocked(Repair::Request), Status::Paid, &AGAIN),
        (Answer::NotFound, Status::Paid, &AGAIN),
    ];
    for database in databases("fetching").await? {
        for (answer, outcome, calls) in &table {
            let fake =
                Fake::new(&[lost(), answer.clone(), to_confirm()], &[waiting(), waiting(), paid()]);
            let service = Service::paid_by(config(&database)?, &fake).await?;
            let w = service.request(1000).await?;
            service.approve(w.id, BOB).await?;
            let w = service.until(w.id, *outcome).await.with_context(|| format!("{answer:?}"))?;
            let made = service.calls(w.id).await?;
            ensure!(made == *calls, "{answer:?}: {made:?}");
            ensure!(same_bytes(&fake), "{answer:?}");
            ensure!(channel(&service).await? == (false, String::new()), "{answer:?}");
            let available = if *outcome == Status::Paid { 999_000 } else { 1_000_000 };
            ensure!(service.ledger.available(ALICE) == available, "{answer:?}");
            service.stop().await;
        }
        let report = withdraw_service::verify(&database.url).await?;
        ensure!(report.clean(), "{report}");
    }
    Ok(())
}

#[tokio::test]
async fn a_lost_package_is_shown_once_the_second_sending_told_it() -> anyhow::Result<()> {
    for database in databases("fetched").await? {
        let fake = Fake::new(&[lost(), to_confirm()], &[waiting(), waiting()]);
        let service = patient(&database, &fake).await?;
        let id = sent(&service, "send unknown").await?;
        service.until_calls(id, &["send unknown", "query waiting"]).await?;
        let shown = service.get(id).await?;
        ensure!(shown.status() == Status::Paying && shown.confirmation.is_none());
        ensure!(shown.third_trade_no == "P1", "known before it is paid");
        service.until_calls(id, &["send unknown", "query waiting", "send pending"]).await?;
        let confirmation = service.get(id).await?.confirmation.context("told again")?;
        ensure!(confirmation.package == "affffddafdfafddffda==");
        fake.then(&[], &[paid()]);
        service.until(id, Status::Paid).await?;
        let events = service.events(id).await?;
        ensure!(
            events[4..] == ["provider_unknown", "provider_waiting", "provider_paid", "settled"],
            "{events:?}"
        );
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_notification_has_the_provider_asked_first_and_the_package_sent_for_only_then()
-> anyhow::Result<()> {
    for database in databases("fetch_notified").await? {
        let fake = Fake::new(&[lost(), to_confirm()], &[waiting(), waiting()]);
        let service = patient(&database, &fake).await?;
        let id = sent(&service, "send unknown").await?;
        let mut calls = vec!["send unknown", "query waiting"];
        service.until_calls(id, &calls).await?;
        let number = service.get(id).await?.trade_no;
        tells(&service, format!("n1 {number} WAIT_USER_CONFIRM 1000 alice")).await?;
        calls.push("query waiting");
        service.until_calls(id, &calls).await?;
        calls.push("send pending");
        service.until_calls(id, &calls).await?;
        fake.then(&[], &[paid()]);
        service.until(id, Status::Paid).await?;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_paused_channel_sends_nothing_not_even_for_a_lost_package() -> anyhow::Result<()> {
    for database in databases("fetch_paused").await? {
        let fake = Fake::new(&[lost(), to_confirm()], &[]);
        let service = patient(&database, &fake).await?;
        let id = sent(&service, "send unknown").await?;
        pause(&service, "wechat", "the console is down").await?;
        let mut calls = vec!["send unknown"];
        for _ in 0..3 {
            fake.then(&[], &[waiting()]);
            calls.push("query waiting");
            service.until_calls(id, &calls).await?;
        }
        ensure!(fake.count("send") == 1 && service.get(id).await?.status() == Status::Paying);
        resume(&service, "wechat").await?;
        calls.push("send pending");
        service.until_calls(id, &calls).await?;
        ensure!(service.get(id).await?.confirmation.is_some());
        fake.then(&[], &[paid()]);
        service.until(id, Status::Paid).await?;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_was_taken_back_is_not_sent_again_for_its_package() -> anyhow::Result<()> {
    for database in databases("fetch_cancelled").await? {
        let fake = Fake::new(&[lost()], &[waiting()]);
        let service = patient(&database, &fake).await?;
        let id = sent(&service, "send unknown").await?;
        let mut calls = vec!["send unknown", "query waiting"];
        service.until_calls(id, &calls).await?;
        fake.then(&[], &[waiting()]);
        let taken = CancelPayoutRequest { id, reason: "wrong person".to_owned() };
        service.client.clone().cancel_payout(by(CAROL, taken)).await?;
        calls.extend(["cancel pending", "query waiting"]);
        service.until_calls(id, &calls).await?;
        for _ in 0..2 {
            fake.then(&[], &[waiting()]);
            calls.push("query waiting");
            service.until_calls(id, &calls).await?;
        }
        ensure!(fake.count("send") == 1);
        fake.then(&[], &[refused()]);
        let w = service.until(id, Status::Failed).await?;
        ensure!(service.ledger.state(&w.hold_key) == Some(State::Released(ReleaseCause::Failed)));
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_once_waited_for_the_payee_was_never_turned_down() -> anyhow::Result<()> {
    for database in databases("waited").await? {
        let fake = Fake::new(&[rejected()], &[]);
        let service = patient(&database, &fake).await?;
        let id = sent(&service, "send rejected").await?;
        // Nothing is sent meanwhile, so only the questions disagree.
        pause(&service, "wechat", "the console is down").await?;
        fake.then(&[], &[waiting()]);
        service.until_calls(id, &["send rejected", "query waiting"]).await?;
        fake.then(&[], &[Answer::NotFound]);
        let w = service.until(id, Status::Unresolved).await?;
        ensure!(service.ledger.state(&w.hold_key) == Some(State::Open));
        ensure!(service.ledger.available(ALICE) == 999_000 && fake.count("send") == 1);
        service.finish().await?;
    }
    Ok(())
}

/// A withdrawal as it is kept, once so many questions about it were answered.
async fn answered(
    store: &Store,
    fake: &Fake,
    id: i64,
    queries: usize,
) -> anyhow::Result<Withdrawal> {
    for _ in 0..2000 {
        // Counted first: who asks has the lease, so a row read after that is one with the answer.
        let asked = fake.count("query") == queries;
        let w = withdrawals::find(store.readers(), id).await?.context("no such withdrawal")?;
        if asked && w.due.lease_owner.is_empty() {
            return Ok(w);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("{} questions instead of {queries}", fake.count("query"))
}

#[tokio::test]
async fn who_has_yet_to_confirm_is_asked_about_less_and_less_and_at_once_when_notified()
-> anyhow::Result<()> {
    for database in databases("confirm_pauses").await? {
        let mut settings = config(&database)?;
        settings.timing.backoff_min = Duration::from_secs(1);
        settings.timing.confirm_backoff_max = Duration::from_secs(600);
        let fake = Fake::new(&[to_confirm()], &[]);
        let service = Service::paid_by(settings, &fake).await?;
        let id = service.request(1000).await?.id;
        service.approve(id, BOB).await?;
        let store = Store::open(&database.url).await?;
        // Nothing but the question that is due is ever asked: each has one answer.
        let says = |answers: &[Answer]| fake.then(&[], answers);
        let pauses_s = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600];
        for (queries, pause_s) in pauses_s.into_iter().enumerate() {
            let w = answered(&store, &fake, id, queries).await?;
            let kept_s = (w.due.next_run_at_us - service.clock.now_us()) / 1_000_000;
            ensure!(kept_s == pause_s, "{kept_s} s instead of {pause_s} s");
            says(&[waiting()]);
            service.clock.advance(Duration::from_secs(pause_s.unsigned_abs()));
        }
        answered(&store, &fake, id, pauses_s.len()).await?;
        // Confirmed: the money is on its way, which does not take hours.
        says(&[Answer::pending()]);
        service.clock.advance(Duration::from_secs(600));
        let w = answered(&store, &fake, id, pauses_s.len() + 1).await?;
        ensure!(w.due.next_run_at_us - service.clock.now_us() == 2_000_000);
        says(&[waiting()]);
        service.clock.advance(Duration::from_secs(2));
        let w = answered(&store, &fake, id, pauses_s.len() + 2).await?;
        ensure!(w.due.next_run_at_us - service.clock.now_us() == 600_000_000);
        // The clock stands still: only the notification makes the question due.
        says(&[paid()]);
        tells(&service, format!("n1 {} SUCCESS 1000 alice", w.trade_no)).await?;
        answered(&store, &fake, id, pauses_s.len() + 3).await?;
        service.until(id, Status::Paid).await?;
        store.close().await;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_notification_makes_pauses_short_again_also_when_the_next_answer_is_older_than_it()
-> anyhow::Result<()> {
    for database in databases("confirm_news").await? {
        let mut settings = config(&database)?;
        settings.timing.backoff_min = Duration::from_secs(1);
        settings.timing.confirm_backoff_max = Duration::from_secs(600);
        let fake = Fake::new(&[to_confirm()], &[]);
        let service = Service::paid_by(settings, &fake).await?;
        let id = sent(&service, "send pending").await?;
        let store = Store::open(&database.url).await?;
        for (queries, pause_s) in [1, 2, 4, 8, 16].into_iter().enumerate() {
            answered(&store, &fake, id, queries).await?;
            fake.then(&[], &[waiting()]);
            service.clock.advance(Duration::from_secs(pause_s));
        }
        let w = answered(&store, &fake, id, 5).await?;
        ensure!(w.due.next_run_at_us - service.clock.now_us() == 32_000_000);
        fake.then(&[], &[waiting(), paid()]);
        tells(&service, format!("n1 {} SUCCESS 1000 alice", w.trade_no)).await?;
        let w = answered(&store, &fake, id, 6).await?;
        ensure!(w.due.next_run_at_us - service.clock.now_us() == 1_000_000);
        service.until(id, Status::Paid).await?;
        store.close().await;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_can_confirm_only_now_is_asked_about_soon_however_long_it_took() -> anyhow::Result<()> {
    for database in databases("confirm_late").await? {
        let fake = Fake::new(
            &[lost(), lost(), lost(), to_confirm()],
            &[waiting(), waiting(), waiting(), paid()],
        );
        let service = patient(&database, &fake).await?;
        let id = sent(&service, "send unknown").await?;
        let again = ["query waiting", "send unknown", "query waiting", "send unknown"];
        let calls = [&["send unknown"], &again[..], &["query waiting", "send pending"]].concat();
        service.until_calls(id, &calls).await?;
        let store = Store::open(&database.url).await?;
        let w = withdrawals::find(store.readers(), id).await?.context("no such withdrawal")?;
        let pause_us = w.due.next_run_at_us - w.updated_at_us;
        ensure!(pause_us == 1_000_000, "{pause_us} µs");
        service.until(id, Status::Paid).await?;
        store.close().await;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_the_payee_can_still_confirm_is_not_said_to_be_unpaid() -> anyhow::Result<()> {
    // The last word is "waiting"; or nothing could be heard after it.
    let silent = [vec![waiting()], vec![lost(); 50]].concat();
    for (queries, name) in [(vec![waiting(); 50], "confirm_case"), (silent, "confirm_silent")] {
        refused_while_waiting(name, &queries).await?;
    }
    Ok(())
}

async fn refused_while_waiting(name: &str, queries: &[Answer]) -> anyhow::Result<()> {
    for database in databases(name).await? {
        let mut settings = config(&database)?;
        settings.timing.unknown_limit = Duration::from_secs(5);
        let fake = Fake::new(&vec![lost(); 50], queries);
        let service = Service::paid_by(settings, &fake).await?;
        let id = sent(&service, "send unknown").await?;
        service.until(id, Status::Unresolved).await?;
        let mut client = service.client.clone();
        let open = ListCasesRequest { open_only: true, ..Default::default() };
        let cases = client.list_cases(open).await?.into_inner().cases;
        let decided = |resolution: Resolution| {
            let reason = "seen in the console".to_owned();
            let id = cases.first().map_or(0, |case| case.id);
            let resolution = resolution.into();
            by(CAROL, ResolveCaseRequest { id, resolution, reason, ..Default::default() })
        };
        let refused = client.resolve_case(decided(Resolution::NotPaid)).await.map_err(failure);
        let refused = refused.err().context("it should have been refused")?;
        ensure!(refused.fields.iter().any(|field| field.field == "resolution"), "{refused:?}");
        ensure!(service.ledger.available(ALICE) == 999_000);
        fake.instead(&[], &[paid()]);
        client.resolve_case(decided(Resolution::AskAgain)).await?;
        service.until(id, Status::Paid).await?;
        service.finish().await?;
    }
    Ok(())
}
