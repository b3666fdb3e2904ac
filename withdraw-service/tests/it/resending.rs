//! When a written number does not go out, though it is due: the lease was lost, a person had it taken
//! back, the provider has forgotten it, the bytes are not what was written.

use std::time::Duration;

use anyhow::{Context, ensure};
use cashout_proto::withdraw::v1::{CancelPayoutRequest, ListCasesRequest, Status};
use cashout_testing::databases;
use withdraw_service::ports::Answer;

use crate::alarms;
use crate::fake::{Fake, lost, paid};
use crate::harness::{ALICE, BOB, CAROL, Service, by, config};
use crate::store::{execute, unlock};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn who_has_lost_the_lease_sends_nothing_and_who_has_it_asks_first() -> anyhow::Result<()> {
    for database in databases("lost_lease").await? {
        let fake = Fake::new(&[], &[Answer::NotFound]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        // Longer than a lease: by the time the sending is noted it is somebody else's.
        fake.prepares_slowly(&service.clock, Duration::from_secs(60));
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Paid).await?;
        let asked: Vec<_> = fake.asked().iter().map(|asked| asked.what).collect();
        ensure!(asked == ["query", "send"], "{asked:?}");
        let calls = service.calls(w.id).await?;
        ensure!(calls == ["send ", "query not_found", "send paid"], "{calls:?}");
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_person_had_taken_back_while_somebody_was_to_send_it_is_not_sent()
-> anyhow::Result<()> {
    const LEASED: &str = "UPDATE withdrawal_state SET lease_owner = 'dead', \
        lease_until_us = next_run_at_us + 20000000, next_run_at_us = next_run_at_us + 20000000";
    for database in databases("leased_cancel").await? {
        let mut settings = config(&database)?;
        settings.timing.backoff_min = Duration::from_secs(1);
        let fake = Fake::new(&[lost()], &[Answer::NotFound, Answer::NotFound]);
        let service = Service::paid_by(settings, &fake).await?;
        let id = service.request(1000).await?.id;
        service.approve(id, BOB).await?;
        service.until_calls(id, &["send unknown", "query not_found"]).await?;
        // Who was about to send it again died with the lease.
        execute(&database.url, LEASED).await?;
        let taken = CancelPayoutRequest { id, reason: "wrong person".to_owned() };
        service.client.clone().cancel_payout(by(CAROL, taken)).await?;
        service.until(id, Status::Unresolved).await?;
        let calls = service.calls(id).await?;
        let expected = ["send unknown", "query not_found", "cancel pending", "query not_found"];
        ensure!(calls == expected, "{calls:?}");
        ensure!(service.ledger.available(ALICE) == 999_000);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_number_that_the_provider_may_have_forgotten_is_a_case_and_not_sent_again()
-> anyhow::Result<()> {
    let sent_again: &[&str] = &["send unknown", "query not_found", "send paid"];
    for database in databases("forgotten").await? {
        for (remembers, age, outcome, calls) in [
            (Some(29 * DAY), 29 * DAY - Duration::from_secs(3600), Status::Paid, sent_again),
            (Some(29 * DAY), 29 * DAY, Status::Unresolved, &sent_again[..2]),
            (None, 50 * DAY, Status::Paid, sent_again),
        ] {
            let mut settings = config(&database)?;
            settings.timing.unknown_limit = 90 * DAY;
            settings.timing.backoff_min = Duration::from_secs(1);
            let fake = Fake::new(&[lost(), paid()], &[Answer::NotFound]);
            if let Some(time) = remembers {
                fake.remembers_for(time);
            }
            let service = Service::paid_by(settings, &fake).await?;
            let w = service.request(1000).await?;
            service.approve(w.id, BOB).await?;
            service.until_calls(w.id, &["send unknown"]).await?;
            // Nobody asked for as long as that: the service did not run.
            service.clock.advance(age);
            let w = service.until(w.id, outcome).await.with_context(|| format!("{age:?}"))?;
            let made = service.calls(w.id).await?;
            ensure!(made == calls, "{age:?}: {made:?}");
            if outcome == Status::Unresolved {
                let open = ListCasesRequest { open_only: true, ..Default::default() };
                let cases = service.client.clone().list_cases(open).await?.into_inner().cases;
                ensure!(cases.len() == 1 && cases[0].withdrawal_id == w.id);
                ensure!(service.ledger.available(ALICE) == 999_000);
            }
            service.stop().await;
        }
        let report = withdraw_service::verify(&database.url).await?;
        ensure!(report.clean(), "{report}");
    }
    Ok(())
}

#[tokio::test]
async fn bytes_that_are_not_what_was_written_sound_an_alarm_and_go_nowhere() -> anyhow::Result<()> {
    for database in databases("changed_bytes").await? {
        alarms::listen();
        let mut settings = config(&database)?;
        settings.timing.backoff_min = Duration::from_secs(1);
        let fake = Fake::new(&[lost()], &[]);
        let service = Service::paid_by(settings, &fake).await?;
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        service.until_calls(w.id, &["send unknown"]).await?;
        let change = match database.engine {
            "postgres" => "UPDATE attempt SET body = 'x'::bytea",
            _ => "UPDATE attempt SET body = x'00'",
        };
        unlock(&database).await?;
        execute(&database.url, change).await?;
        let number = service.get(w.id).await?.trade_no;
        let told = || alarms::about(&number).iter().filter(|a| *a == "attempt_changed").count();
        for _ in 0..2000 {
            if told() > 1 {
                break;
            }
            service.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ensure!(told() > 1, "told again and again");
        ensure!(service.calls(w.id).await? == ["send unknown"], "nothing is noted");
        ensure!(fake.asked().len() == 1 && service.ledger.available(ALICE) == 999_000);
        service.stop().await;
    }
    Ok(())
}
