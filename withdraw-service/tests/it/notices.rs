//! What providers tell by themselves: hints, kept once, compared, and nothing moves by them alone.

use anyhow::{Context, ensure};
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{
    Header, ListCasesRequest, ReceiveNotificationRequest, ReceiveNotificationResponse, Resolution,
    ResolveCaseRequest, Status,
};
use cashout_testing::databases;
use withdraw_service::ports::{Answer, Repair};

use crate::alarms;
use crate::fake::{Fake, blocked, paid, refused};
use crate::harness::{ALICE, BOB, CAROL, Service, config, failure, reason};
use crate::ledger::State;
use crate::store::{count, execute};

fn message(signed: &str, body: String) -> ReceiveNotificationRequest {
    let headers = vec![Header { name: "Signed".to_owned(), value: signed.to_owned() }];
    ReceiveNotificationRequest { provider: "wechat".to_owned(), headers, body: body.into_bytes() }
}

async fn notify(
    service: &Service,
    signed: &str,
    body: String,
) -> anyhow::Result<ReceiveNotificationResponse> {
    let told = service.client.clone().receive_notification(message(signed, body)).await?;
    Ok(told.into_inner())
}

pub async fn tells(service: &Service, body: String) -> anyhow::Result<()> {
    let told = notify(service, "well", body).await?;
    ensure!(told.http_status == 200 && told.body == "success", "{told:?}");
    Ok(())
}

/// A payout that is pending, with what was asked of the provider so far.
async fn pending(service: &Service, fake: &Fake) -> anyhow::Result<(i64, String, usize)> {
    fake.then(&[Answer::pending()], &[]);
    let w = service.request(1000).await?;
    service.approve(w.id, BOB).await?;
    let mut number = String::new();
    for _ in 0..2000 {
        if service.calls(w.id).await? == ["send pending"] {
            number = service.get(w.id).await?.trade_no;
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    ensure!(!number.is_empty(), "it is not pending");
    Ok((w.id, number, fake.asked().len()))
}

#[tokio::test]
async fn a_notification_has_the_provider_asked_at_once_and_only_its_answer_counts()
-> anyhow::Result<()> {
    for database in databases("notice").await? {
        let mut settings = config(&database)?;
        settings.timing.backoff_min = std::time::Duration::from_secs(2);
        let fake = Fake::new(&[], &[]);
        let service = Service::paid_by(settings, &fake).await?;
        // It says paid, the provider says refused when asked.
        for (word, answer, status) in
            [("SUCCESS", refused(), Status::Failed), ("FAIL", paid(), Status::Paid)]
        {
            let (id, number, _) = pending(&service, &fake).await?;
            fake.then(&[], &[answer]);
            // The clock stands still, so nothing but the notification makes the question due.
            for _ in 0..3 {
                tells(&service, format!("{word} {number} {word} 1000 alice")).await?;
            }
            for _ in 0..2000 {
                if service.get(id).await?.status() == status {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            ensure!(service.get(id).await?.status() == status, "{word}");
            let calls = service.calls(id).await?;
            ensure!(calls.len() == 2, "asked once: {calls:?}");
        }
        let url = service.config.database_url.clone();
        service.finish().await?;
        ensure!(count(&url, "SELECT count(*) FROM notification").await? == 2);
        for forbidden in ["UPDATE notification SET verdict = 'late'", "DELETE FROM notification"] {
            ensure!(execute(&url, forbidden).await.is_err(), "{forbidden}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_fit_our_books_is_acknowledged_and_nothing_moves() -> anyhow::Result<()> {
    for database in databases("misfits").await? {
        let fake = Fake::new(&[], &[]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let (id, number, asked) = pending(&service, &fake).await?;
        for (n, (number, rest)) in [
            (number.as_str(), "SUCCESS 1001 alice"),
            (number.as_str(), "SUCCESS 1 alice"),
            (number.as_str(), "SUCCESS 1000 mallory"),
            ("20200303000000000000T1AAAA", "SUCCESS 1000 alice"),
            ("'; DROP TABLE notification; --", "SUCCESS 1000 alice"),
        ]
        .into_iter()
        .enumerate()
        {
            let number = number.replace(' ', "_");
            tells(&service, format!("misfit{n} {number} {rest}")).await?;
        }
        ensure!(fake.asked().len() == asked, "nobody was asked because of it");
        let w = service.get(id).await?;
        ensure!(w.status() == Status::Paying);
        ensure!(service.ledger.state(&w.hold_key) == Some(State::Open));
        fake.then(&[], &[paid()]);
        service.until(id, Status::Paid).await?;
        // Late, reordered, or against the outcome: the outcome stays.
        for (n, word) in ["SUCCESS", "WAIT_USER_CONFIRM", "FAIL", "REFUND"].iter().enumerate() {
            tells(&service, format!("late{n} {number} {word} 1000 alice")).await?;
        }
        ensure!(service.get(id).await?.status() == Status::Paid);
        ensure!(service.ledger.available(ALICE) == 999_000);
        let url = service.config.database_url.clone();
        service.finish().await?;
        for (sql, n) in [
            ("SELECT count(*) FROM notification WHERE amount_minor = 1001", 1),
            ("SELECT count(DISTINCT payee_digest) FROM notification WHERE number LIKE '2020%'", 3),
            ("SELECT count(*) FROM notification WHERE payee_digest LIKE '%alice%'", 0),
            ("SELECT count(*) FROM notification WHERE verdict = 'mismatch'", 3),
            ("SELECT count(*) FROM notification WHERE verdict = 'unknown_number'", 2),
            ("SELECT count(*) FROM notification WHERE verdict = 'late'", 2),
            ("SELECT count(*) FROM notification WHERE verdict = 'contradiction'", 2),
        ] {
            ensure!(count(&url, sql).await? == n, "{sql}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_nobody_signed_is_not_kept_and_each_is_answered_as_the_provider_expects()
-> anyhow::Result<()> {
    for database in databases("forged").await? {
        let fake = Fake::new(&[], &[]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let (id, number, asked) = pending(&service, &fake).await?;
        let body = |n: usize| format!("f{n} {number} SUCCESS 1000 alice");
        for (n, (signed, status)) in [
            ("badly", 401),
            ("", 401),
            ("foreign", 401),
            ("probe", 401),
            ("fatal", 401),
            ("irrelevant", 200),
        ]
        .into_iter()
        .enumerate()
        {
            let told = notify(&service, signed, body(n)).await?;
            ensure!(told.http_status == status, "{signed}: {told:?}");
        }
        // Signed, and yet of no use.
        for strange in ["", "i", "i  SUCCESS", &format!("{} {number} SUCCESS", "i".repeat(129))] {
            ensure!(notify(&service, "well", strange.to_owned()).await?.http_status == 401);
        }
        ensure!(notify(&service, "well", format!("a\0b {number} X")).await?.http_status == 401);
        let mut client = service.client.clone();
        for provider in ["", "manual", "nobody"] {
            let other = ReceiveNotificationRequest {
                provider: provider.into(),
                ..message("well", body(0))
            };
            let told = client.receive_notification(other).await.map_err(failure);
            ensure!(reason(told)? == Reason::InvalidArgument, "{provider}");
        }
        let long = message("well", "x".repeat(64 * 1024 + 1));
        let told = client.receive_notification(long).await.map_err(failure);
        ensure!(reason(told)? == Reason::InvalidArgument);
        ensure!(notify(&service, "bad", "x".repeat(64 * 1024)).await?.http_status == 401);
        ensure!(service.get(id).await?.status() == Status::Paying);
        ensure!(fake.asked().len() == asked);
        fake.then(&[], &[paid()]);
        service.until(id, Status::Paid).await?;
        let url = service.config.database_url.clone();
        service.finish().await?;
        ensure!(count(&url, "SELECT count(*) FROM notification").await? == 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_notification_that_comes_again_as_another_one_sounds_an_alarm_and_stays_as_it_was()
-> anyhow::Result<()> {
    alarms::listen();
    for database in databases("changed").await? {
        let fake = Fake::new(&[], &[]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        for (n, (again, alarm)) in [
            ("N SUCCESS 1000 alice", false),
            ("NX SUCCESS 1000 alice", true),
            ("N FAIL 1000 alice", true),
            ("N SUCCESS 1001 alice", true),
            ("N SUCCESS ? alice", true),
            ("N SUCCESS 1000 mallory", true),
            ("N SUCCESS 1000", true),
        ]
        .into_iter()
        .enumerate()
        {
            let number = format!("{}{n}", database.engine);
            let told = |words: &str| format!("i{n} {}", words.replacen('N', &number, 1));
            tells(&service, told("N SUCCESS 1000 alice")).await?;
            tells(&service, told(again)).await?;
            let mut expected = vec!["notification_unknown_number"];
            expected.extend(alarm.then_some("changed_notification"));
            ensure!(alarms::about(&number) == expected, "{again}: {:?}", alarms::about(&number));
        }
        let url = service.config.database_url.clone();
        service.finish().await?;
        let kept = "SELECT count(*) FROM notification WHERE state = 'SUCCESS' \
                    AND amount_minor = 1000 AND payee_digest <> ''";
        ensure!(count(&url, kept).await? == 7, "the first of each is kept");
    }
    Ok(())
}

#[tokio::test]
async fn a_notification_reaches_also_what_is_blocked_and_leaves_a_case_to_the_person()
-> anyhow::Result<()> {
    alarms::listen();
    for database in databases("notice_blocked").await? {
        let fake = Fake::new(&[blocked(Repair::Channel), blocked(Repair::Request)], &[]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        let w = service.until(w.id, Status::Blocked).await?;
        // It waits for the channel, and then somebody says that it was paid.
        for _ in 0..20 {
            service.clock.advance(std::time::Duration::from_secs(2));
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        fake.then(&[], &std::array::from_fn::<_, 10, _>(|_| paid()));
        // One that comes while the provider is being asked is not followed, so some are sent.
        for n in 0..1000 {
            tells(&service, format!("n{n} {} SUCCESS 1000 alice", w.trade_no)).await?;
            service.clock.advance(std::time::Duration::from_millis(200));
            if service.get(w.id).await?.status() == Status::Paid {
                break;
            }
        }
        service.until(w.id, Status::Paid).await?;
        ensure!(fake.count("send") == 1);
        ensure!(alarms::about(&w.trade_no).is_empty(), "{:?}", alarms::about(&w.trade_no));

        let resume = cashout_proto::withdraw::v1::ResumeChannelRequest {
            provider: "wechat".into(),
            reason: "repaired".into(),
        };
        service.client.clone().resume_channel(crate::harness::by(BOB, resume)).await?;
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        let w = service.until(w.id, Status::Unresolved).await?;
        let asked = fake.asked().len();
        tells(&service, format!("later {} SUCCESS 1000 alice", w.trade_no)).await?;
        // Whoever decides on the case has to hear of it.
        ensure!(alarms::about(&w.trade_no) == ["notification_says_paid"]);
        service.clock.advance(std::time::Duration::from_secs(60));
        ensure!(service.get(w.id).await?.status() == Status::Unresolved);
        ensure!(fake.asked().len() == asked);
        let open = ListCasesRequest { open_only: true, ..Default::default() };
        let cases = service.client.clone().list_cases(open).await?.into_inner().cases;
        let case = cases.first().context("a case")?;
        ensure!(case.withdrawal_id == w.id);
        // The money may have arrived: nobody returns it before the provider was asked.
        let decide = |resolution: Resolution| ResolveCaseRequest {
            id: case.id,
            resolution: resolution.into(),
            reason: "seen in the console".to_owned(),
            third_trade_no: String::new(),
        };
        let returned = crate::harness::by(CAROL, decide(Resolution::NotPaid));
        let returned = service.client.clone().resolve_case(returned).await.map_err(failure);
        ensure!(reason(returned)? == Reason::InvalidArgument);
        fake.then(&[], &[paid()]);
        let again = crate::harness::by(CAROL, decide(Resolution::AskAgain));
        service.client.clone().resolve_case(again).await?;
        service.until(w.id, Status::Paid).await?;
        service.finish().await?;
    }
    Ok(())
}
