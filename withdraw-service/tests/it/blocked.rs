//! What a sending that was turned down leads to: because of the payee, of the platform, of this request.

use std::time::Duration;

use anyhow::{Context, ensure};
use cashout_proto::withdraw::v1::{
    ListCasesRequest, ListChannelsRequest, Resolution, ResolveCaseRequest, ResumeChannelRequest,
    Status,
};
use cashout_testing::databases;
use withdraw_service::ports::{Answer, ReleaseCause, Repair};

use crate::fake::{Fake, blocked, lost, paid, refused, rejected};
use crate::harness::{ALICE, BOB, CAROL, Service, by, config};
use crate::ledger::State;

/// How a channel stands: whether it is paused, and why.
pub async fn channel(service: &Service) -> anyhow::Result<(bool, String)> {
    let all = service.client.clone().list_channels(ListChannelsRequest {}).await?.into_inner();
    let found = all.channels.into_iter().find(|c| c.provider == "wechat");
    let found = found.context("no such channel")?;
    Ok((found.paused, found.cause))
}

/// Every sending of a number was byte for byte the same.
pub fn same_bytes(fake: &Fake) -> bool {
    let asked = fake.asked();
    asked.windows(2).all(|two| two[0].number == two[1].number && two[0].body == two[1].body)
}

/// What it is called, answers to sendings and to questions, the outcome, the calls.
type Case = (&'static str, Vec<Answer>, Vec<Answer>, Status, &'static [&'static str]);

#[tokio::test]
async fn a_payee_that_cannot_be_paid_gets_the_money_back_once_a_question_confirms_it()
-> anyhow::Result<()> {
    let unknown = || Answer::NotFound;
    let pending = Answer::pending;
    let table: [Case; 8] = [
        (
            "confirmed",
            vec![rejected()],
            vec![unknown()],
            Status::Failed,
            &["send rejected", "query not_found"],
        ),
        (
            "by record",
            vec![rejected()],
            vec![refused()],
            Status::Failed,
            &["send rejected", "query refused"],
        ),
        (
            "paid after all",
            vec![rejected()],
            vec![paid()],
            Status::Paid,
            &["send rejected", "query paid"],
        ),
        (
            "in doubt first",
            vec![rejected()],
            vec![lost(), unknown()],
            Status::Failed,
            &["send rejected", "query unknown", "query not_found"],
        ),
        (
            "at work after all",
            vec![rejected()],
            vec![pending(), paid()],
            Status::Paid,
            &["send rejected", "query pending", "query paid"],
        ),
        (
            "an earlier sending may still be on its way",
            vec![lost(), rejected()],
            vec![unknown(), unknown()],
            Status::Unresolved,
            &["send unknown", "query not_found", "send rejected", "query not_found"],
        ),
        (
            "the provider has had it",
            vec![rejected()],
            vec![pending(), unknown()],
            Status::Unresolved,
            &["send rejected", "query pending", "query not_found"],
        ),
        (
            "not known alone says nothing",
            vec![lost(), paid()],
            vec![unknown()],
            Status::Paid,
            &["send unknown", "query not_found", "send paid"],
        ),
    ];
    for database in databases("rejected").await? {
        for (case, sends, queries, outcome, calls) in &table {
            let fake = Fake::new(sends, queries);
            let service = Service::paid_by(config(&database)?, &fake).await?;
            let w = service.request(1000).await?;
            service.approve(w.id, BOB).await?;
            let w = service.until(w.id, *outcome).await.context(*case)?;
            let made = service.calls(w.id).await?;
            ensure!(made == *calls, "{case}: {made:?}");
            let (state, available) = match outcome {
                Status::Paid => (State::Settled, 999_000),
                Status::Unresolved => (State::Open, 999_000),
                _ => (State::Released(ReleaseCause::Failed), 1_000_000),
            };
            ensure!(service.ledger.state(&w.hold_key) == Some(state), "{case}");
            ensure!(service.ledger.available(ALICE) == available, "{case}");
            ensure!(same_bytes(&fake), "{case}");
            if *case == "confirmed" {
                ensure!(w.review_remark == "no such payee", "{}", w.review_remark);
            }
            service.stop().await;
        }
        let report = withdraw_service::verify(&database.url).await?;
        ensure!(report.clean(), "{report}");
    }
    Ok(())
}

#[tokio::test]
async fn what_a_question_is_answered_with_never_counts_as_a_sending_turned_down()
-> anyhow::Result<()> {
    for database in databases("asked").await? {
        let turned_down = [rejected(), blocked(Repair::Channel), blocked(Repair::Request)];
        let fake = Fake::new(&[Answer::pending()], &turned_down);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Paid).await?;
        let calls = service.calls(w.id).await?;
        let expected = [
            "send pending",
            "query unknown",
            "query unknown",
            "query unknown",
            "query not_found",
            "send paid",
        ];
        ensure!(calls == expected, "{calls:?}");
        ensure!(channel(&service).await? == (false, String::new()));
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_short_balance_blocks_the_payout_until_there_is_enough_and_sends_the_same_bytes()
-> anyhow::Result<()> {
    for database in databases("short").await? {
        let fake = Fake::new(&[blocked(Repair::Balance)], &[]);
        fake.has(Ok(Some(999)));
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        let w = service.until(w.id, Status::Blocked).await?;
        ensure!((w.cash_status, w.pay_status) == (4, 1));
        ensure!(service.ledger.state(&w.hold_key) == Some(State::Open));
        ensure!(channel(&service).await? == (true, "balance".to_owned()));
        // Days go by: it stays blocked, is no case, and nothing more is sent.
        for _ in 0..40 {
            service.clock.advance(Duration::from_secs(3 * 3600));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ensure!(service.get(w.id).await?.status() == Status::Blocked);
        ensure!(fake.count("send") == 1);
        fake.has(Ok(Some(1000)));
        service.clock.advance(Duration::from_secs(60));
        service.until(w.id, Status::Paid).await?;
        ensure!(fake.count("send") == 2 && same_bytes(&fake));
        ensure!(channel(&service).await? == (false, String::new()));
        let events = service.events(w.id).await?;
        ensure!(
            events[3..] == ["attempt_written", "provider_blocked", "provider_paid", "settled"],
            "{events:?}"
        );
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_permission_that_is_missing_pauses_the_channel_until_a_person_resumes_it()
-> anyhow::Result<()> {
    for database in databases("permission").await? {
        let fake = Fake::new(&[blocked(Repair::Channel), paid(), refused()], &[]);
        fake.has(Ok(Some(1_000_000)));
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let (first, second) = (service.request(1000).await?, service.request(2000).await?);
        service.approve(first.id, BOB).await?;
        service.until(first.id, Status::Blocked).await?;
        ensure!(channel(&service).await? == (true, "provider".to_owned()));
        service.approve(second.id, BOB).await?;
        // Enough balance resumes nothing that a person has to repair.
        service.clock.advance(Duration::from_secs(600));
        tokio::time::sleep(Duration::from_millis(50)).await;
        ensure!(channel(&service).await? == (true, "provider".to_owned()));
        ensure!(service.get(second.id).await?.status() == Status::Approved);
        ensure!(fake.count("send") == 1);
        let resume = ResumeChannelRequest { provider: "wechat".into(), reason: "granted".into() };
        service.client.clone().resume_channel(by(CAROL, resume)).await?;
        for (id, calls) in [(first.id, 2), (second.id, 1)] {
            let ended = |w: Status| matches!(w, Status::Paid | Status::Failed);
            for _ in 0..2000 {
                if ended(service.get(id).await?.status()) {
                    break;
                }
                service.clock.advance(Duration::from_millis(200));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            ensure!(ended(service.get(id).await?.status()));
            let sends = service.calls(id).await?;
            ensure!(sends.iter().filter(|c| c.starts_with("send")).count() == calls, "{sends:?}");
        }
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_the_provider_does_not_take_is_a_case_and_its_money_stays()
-> anyhow::Result<()> {
    for database in databases("not_taken").await? {
        let fake = Fake::new(&[blocked(Repair::Request)], &[]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let mut client = service.client.clone();
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        let w = service.until(w.id, Status::Unresolved).await?;
        ensure!(service.ledger.state(&w.hold_key) == Some(State::Open));
        ensure!(channel(&service).await? == (false, String::new()), "others go on");
        let open = ListCasesRequest { open_only: true, ..Default::default() };
        let case = client.list_cases(open).await?.into_inner().cases.pop().context("a case")?;
        ensure!(case.kind == "request_refused" && case.evidence.contains("NOT_NOW"), "{case:?}");
        let decided = ResolveCaseRequest {
            id: case.id,
            resolution: Resolution::NotPaid.into(),
            reason: "their console knows no such bill".to_owned(),
            ..Default::default()
        };
        client.resolve_case(by(CAROL, decided)).await?;
        service.until(w.id, Status::Failed).await?;
        ensure!(service.ledger.available(ALICE) == 1_000_000);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_stays_blocked_however_often_its_channel_is_resumed_becomes_a_case()
-> anyhow::Result<()> {
    for database in databases("still_blocked").await? {
        let mut settings = config(&database)?;
        settings.timing.pending_limit = Duration::from_secs(30);
        let fake = Fake::new(&vec![blocked(Repair::Balance); 100], &[]);
        // Enough, it says, and yet it does not pay.
        fake.has(Ok(Some(1_000_000)));
        settings.float.check_every = Duration::from_secs(1);
        let service = Service::paid_by(settings, &fake).await?;
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        // Each answer pauses the channel and the guard resumes it.
        service.until(w.id, Status::Unresolved).await?;
        ensure!(fake.count("send") >= 10 && same_bytes(&fake));
        ensure!(service.ledger.available(ALICE) == 999_000);
        service.finish().await?;
    }
    Ok(())
}
