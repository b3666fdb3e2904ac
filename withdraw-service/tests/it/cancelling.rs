//! Payouts that wait for the payee's confirmation, and taking one back at the provider.

use anyhow::{Context, ensure};
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{CancelPayoutRequest, GetHistoryRequest, Status};
use cashout_testing::databases;
use withdraw_service::ports::{Answer, ReleaseCause};

use crate::fake::{Fake, lost, paid, refused, rejected, to_confirm};
use crate::harness::{ALICE, BOB, CAROL, Service, by, config, failure, reason};
use crate::ledger::State;

fn cancel(id: i64, reason: &str) -> CancelPayoutRequest {
    CancelPayoutRequest { id, reason: reason.to_owned() }
}

#[tokio::test]
async fn what_the_payee_must_confirm_is_kept_and_shown_until_there_is_an_outcome()
-> anyhow::Result<()> {
    for database in databases("confirm").await? {
        for (outcome, status) in [(paid(), Status::Paid), (refused(), Status::Failed)] {
            let fake = Fake::new(
                &[to_confirm()],
                &[Answer::pending(), lost(), Answer::pending(), Answer::pending(), outcome],
            );
            let service = Service::paid_by(config(&database)?, &fake).await?;
            let w = service.request(1000).await?;
            service.approve(w.id, BOB).await?;
            // Through pendings that tell none and an answer that was lost.
            service.until(w.id, Status::Unknown).await?;
            let shown = service.until(w.id, Status::Paying).await?;
            let confirmation = shown.confirmation.context("it was told once")?;
            ensure!(confirmation.package == "affffddafdfafddffda==");
            ensure!(confirmation.mch_id == "1900000001" && confirmation.app_id == "wx01");
            ensure!(shown.third_trade_no == "P1", "known before it is paid");
            let ended = service.until(w.id, status).await?;
            ensure!(ended.confirmation.is_none());
            service.stop().await;
        }
        let report = withdraw_service::verify(&database.url).await?;
        ensure!(report.clean(), "{report}");
    }
    Ok(())
}

#[tokio::test]
async fn a_payout_is_taken_back_by_a_person_and_only_a_question_says_so() -> anyhow::Result<()> {
    for database in databases("cancelling").await? {
        let fake = Fake::new(&[to_confirm()], &vec![Answer::pending(); 3]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let mut client = service.client.clone();
        let w = service.request(1000).await?;
        let early = client.cancel_payout(by(CAROL, cancel(w.id, "no"))).await.map_err(failure);
        ensure!(reason(early)? == Reason::IllegalTransition);
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Paying).await?;
        for _ in 0..400 {
            if !service.get(w.id).await?.third_trade_no.is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let nobody = client.cancel_payout(cancel(w.id, "why")).await.map_err(failure);
        ensure!(reason(nobody)? == Reason::ActorRequired);
        for empty in ["", " ", "a\nb"] {
            let mute = client.cancel_payout(by(CAROL, cancel(w.id, empty))).await.map_err(failure);
            ensure!(reason(mute)? == Reason::InvalidArgument);
        }
        let none = client.cancel_payout(by(CAROL, cancel(999, "why"))).await.map_err(failure);
        ensure!(reason(none)? == Reason::WithdrawalNotFound);
        for why in ["asked by the payee", "again"] {
            let shown = client.cancel_payout(by(CAROL, cancel(w.id, why))).await?.into_inner();
            ensure!(matches!(shown.status(), Status::Paying | Status::Unknown));
            ensure!(service.ledger.state(&w.hold_key) == Some(State::Open));
        }
        fake.then(&[], &[refused()]);
        service.until(w.id, Status::Failed).await?;
        ensure!(service.ledger.state(&w.hold_key) == Some(State::Released(ReleaseCause::Failed)));
        ensure!(fake.count("cancel") == 2 && fake.count("send") == 1);
        let history = GetHistoryRequest { id: w.id, user_id: 0 };
        let history = client.get_history(history).await?.into_inner().changes;
        let line = history.iter().find(|c| c.event == "cancel_payout").context("a line")?;
        ensure!(line.actor == format!("user:{CAROL}") && line.reason == "asked by the payee");
        let late = client.cancel_payout(by(CAROL, cancel(w.id, "late"))).await.map_err(failure);
        ensure!(reason(late)? == Reason::IllegalTransition);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_number_that_was_taken_back_and_is_not_known_is_never_sent_again() -> anyhow::Result<()> {
    for database in databases("cancel_resend").await? {
        // Unknown there, then a person takes it back, then it is still unknown there.
        let fake = Fake::new(&[lost(), rejected()], &[Answer::NotFound, lost()]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Unknown).await?;
        // Until it is to be sent again.
        for _ in 0..400 {
            if service.calls(w.id).await?.contains(&"query not_found".to_owned()) {
                break;
            }
            service.clock.advance(std::time::Duration::from_millis(50));
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let taken = by(CAROL, cancel(w.id, "wrong person"));
        service.client.clone().cancel_payout(taken).await?;
        service.until(w.id, Status::Unresolved).await?;
        let calls = service.calls(w.id).await?;
        ensure!(calls.iter().filter(|call| call.starts_with("send")).count() == 1, "{calls:?}");
        ensure!(calls.last().is_some_and(|call| call == "query not_found"), "{calls:?}");
        ensure!(service.ledger.available(ALICE) == 999_000);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_provider_that_takes_nothing_back_is_not_asked_to() -> anyhow::Result<()> {
    for database in databases("no_cancel").await? {
        let service = Service::fresh(&database).await?;
        service.ledger.person(ALICE, 1_000_000, "delay-3s");
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Paying).await?;
        let asked = by(CAROL, cancel(w.id, "please"));
        let told = service.client.clone().cancel_payout(asked).await.map_err(failure);
        ensure!(reason(told)? == Reason::MethodMismatch);
        service.until(w.id, Status::Paid).await?;
        service.finish().await?;
    }
    Ok(())
}
