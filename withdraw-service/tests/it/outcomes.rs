//! Every way a withdrawal can end, by hand and by every script of the sandbox.

use std::time::Duration;

use anyhow::{Context, ensure};
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{
    CancelWithdrawalRequest, ListCasesRequest, MarkPaidRequest, RefuseWithdrawalRequest,
    Resolution, ResolveCaseRequest, Status,
};
use cashout_testing::databases;
use withdraw_service::ports::ReleaseCause;

use crate::fake::{Fake, lost, paid};
use crate::harness::{ALICE, BOB, CAROL, Service, by, config, failure, manual, reason};
use crate::ledger::State;

#[tokio::test]
async fn a_manual_withdrawal_is_approved_paid_by_hand_and_settled() -> anyhow::Result<()> {
    for database in databases("manual").await? {
        let mut settings = config(&database)?;
        settings.policy.fee_rate = "0.01".parse()?;
        let service = Service::with(settings).await?;
        let (w, _) = service.ask(manual(700)).await?;
        ensure!((w.apply_minor, w.fee_minor, w.actual_minor) == (700, 7, 693));
        ensure!(w.status() == Status::InReview && (w.cash_status, w.pay_status) == (1, 0));
        ensure!(w.cash_sn.starts_with("20200303") && w.cash_sn.len() == 18);
        ensure!(service.ledger.available(ALICE) == 999_300);
        let w = service.approve(w.id, BOB).await?;
        ensure!(w.status() == Status::Approved && w.trade_no.is_empty());
        let message =
            MarkPaidRequest { id: w.id, third_trade_no: "B1".into(), ..Default::default() };
        let w = service.client.clone().mark_paid(by(BOB, message)).await?.into_inner();
        ensure!(w.status() == Status::Paid && (w.cash_status, w.pay_status) == (5, 2));
        ensure!(w.third_trade_no == "B1" && w.paid_at_us > 0);
        ensure!(w.pay_requested_at_us == 0, "nobody was asked to pay it");
        ensure!(service.ledger.state(&w.hold_key) == Some(State::Settled));
        let events = service.events(w.id).await?;
        ensure!(events == ["request", "hold_placed", "approve", "mark_paid", "settled"]);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_script_of_the_sandbox_comes_to_its_outcome() -> anyhow::Result<()> {
    let scripts: [(&str, Status, &[&str]); 6] = [
        ("pays", Status::Paid, &["send paid"]),
        ("refuse", Status::Failed, &["send refused"]),
        ("unknown-paid", Status::Paid, &["send unknown", "query paid"]),
        ("unknown-refused", Status::Failed, &["send unknown", "query refused"]),
        ("lost", Status::Paid, &["send unknown", "query not_found", "send paid"]),
        ("delay-3s", Status::Paid, &["send pending", "query paid"]),
    ];
    for database in databases("scripts").await? {
        let service = Service::fresh(&database).await?;
        for (script, status, calls) in scripts {
            service.ledger.person(ALICE, 1_000_000, script);
            let w = service.request(1000).await?;
            service.approve(w.id, BOB).await?;
            let w = service.until(w.id, status).await.context(script)?;
            let made = service.calls(w.id).await?;
            let pending = |call: &&String| *call != "query pending";
            let made: Vec<&String> = made.iter().filter(pending).collect();
            ensure!(made == calls, "{script}: {made:?}");
            let failed = status == Status::Failed;
            let (state, available) = if failed {
                (State::Released(ReleaseCause::Failed), 1_000_000)
            } else {
                (State::Settled, 999_000)
            };
            ensure!(service.ledger.state(&w.hold_key) == Some(state), "{script}");
            ensure!(service.ledger.available(ALICE) == available, "{script}");
            ensure!(w.review_remark.is_empty() != failed && w.third_trade_no.is_empty() == failed);
            ensure!(w.trade_no.len() <= 32 && w.pay_requested_at_us > 0);
        }
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn refused_and_cancelled_money_is_back_when_the_answer_comes() -> anyhow::Result<()> {
    for database in databases("back").await? {
        let service = Service::fresh(&database).await?;
        let mut client = service.client.clone();
        let w = service.request(1000).await?;
        let message = RefuseWithdrawalRequest { id: w.id, remark: "no".into() };
        let w = client.refuse_withdrawal(by(BOB, message)).await?.into_inner();
        ensure!(w.status() == Status::Refused && w.review_remark == "no" && w.cash_status == 3);
        ensure!(service.ledger.available(ALICE) == 1_000_000);
        ensure!(service.ledger.state(&w.hold_key) == Some(State::Released(ReleaseCause::Refused)));

        let w = service.request(1000).await?;
        let message =
            |user_id| CancelWithdrawalRequest { id: w.id, user_id, remark: String::new() };
        let others = client.cancel_withdrawal(by(BOB, message(BOB))).await.map_err(failure);
        ensure!(reason(others)? == Reason::WithdrawalNotFound);
        let forged = client.cancel_withdrawal(by(BOB, message(ALICE))).await.map_err(failure);
        ensure!(reason(forged)? == Reason::WithdrawalNotFound);
        let cancelled = client.cancel_withdrawal(by(ALICE, message(ALICE))).await?.into_inner();
        ensure!(cancelled.status() == Status::Cancelled && !cancelled.review_remark.is_empty());
        ensure!(service.ledger.available(ALICE) == 1_000_000);
        let again = client.cancel_withdrawal(message(ALICE)).await.map_err(failure);
        ensure!(reason(again)? == Reason::IllegalTransition);
        ensure!(reason(service.approve(w.id, BOB).await)? == Reason::IllegalTransition);
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn silence_becomes_a_case_and_a_person_decides_it() -> anyhow::Result<()> {
    let decisions = [
        (Resolution::Paid, "paid", Status::Paid),
        (Resolution::NotPaid, "not_paid", Status::Failed),
        (Resolution::AskAgain, "ask_again", Status::Unresolved),
    ];
    for database in databases("silence").await? {
        let mut settings = config(&database)?;
        settings.timing.unknown_limit = Duration::from_secs(5);
        settings.timing.call_timeout = Duration::from_millis(20);
        let service = Service::with(settings).await?;
        service.ledger.person(ALICE, 1_000_000, "silent");
        let mut client = service.client.clone();
        for (resolution, word, status) in decisions {
            let w = service.request(1000).await?;
            service.approve(w.id, BOB).await?;
            let w = service.until(w.id, Status::Unresolved).await?;
            ensure!((w.cash_status, w.pay_status) == (4, 4));
            ensure!(service.ledger.state(&w.hold_key) == Some(State::Open));
            let open = ListCasesRequest { open_only: true, ..Default::default() };
            let cases = client.list_cases(open).await?.into_inner().cases;
            ensure!(cases.len() == 1 && cases[0].withdrawal_id == w.id);
            ensure!(cases[0].evidence.contains(&w.trade_no), "{}", cases[0].evidence);
            let decide = |reason: &str| ResolveCaseRequest {
                id: cases[0].id,
                resolution: resolution.into(),
                reason: reason.to_owned(),
                third_trade_no: String::new(),
            };
            let nobody = client.resolve_case(decide("seen")).await.map_err(failure);
            ensure!(reason(nobody)? == Reason::ActorRequired);
            let mute = client.resolve_case(by(CAROL, decide(" "))).await.map_err(failure);
            ensure!(reason(mute)? == Reason::InvalidArgument);
            let own = client.resolve_case(by(ALICE, decide("seen"))).await.map_err(failure);
            ensure!(reason(own)? == Reason::SelfReview);
            let case = client.resolve_case(by(CAROL, decide("seen"))).await?.into_inner();
            ensure!(case.resolution == word && case.resolved_by == format!("user:{CAROL}"));
            let twice = client.resolve_case(by(CAROL, decide("seen"))).await.map_err(failure);
            ensure!(reason(twice)? == Reason::CaseAlreadyResolved);
            if resolution == Resolution::AskAgain {
                service.until(w.id, Status::Unknown).await.ok();
            }
            service.until(w.id, status).await?;
        }
        service.finish().await?;
    }
    Ok(())
}

/// Nothing is asked of the provider while a person has to decide, however long that takes.
async fn is_left_alone(service: &Service, id: i64) -> anyhow::Result<()> {
    let calls = service.calls(id).await?.len();
    for _ in 0..20 {
        service.clock.advance(Duration::from_secs(600));
        ensure!(service.get(id).await?.status() == Status::Unresolved);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ensure!(service.calls(id).await?.len() == calls);
    Ok(())
}

#[tokio::test]
async fn a_provider_that_wavers_becomes_a_case_and_is_asked_less_and_less() -> anyhow::Result<()> {
    for database in databases("wavers").await? {
        let mut settings = config(&database)?;
        settings.timing.unknown_limit = Duration::from_secs(20);
        settings.timing.call_timeout = Duration::from_secs(5);
        settings.timing.backoff_max = Duration::from_secs(60);
        let service = Service::with(settings).await?;
        service.ledger.person(ALICE, 1_000_000, "wavers");
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Unresolved).await?;
        let calls = service.calls(w.id).await?;
        ensure!(calls.starts_with(&["send pending".into(), "query unknown".into()]), "{calls:?}");
        ensure!(calls.contains(&"query pending".to_owned()), "{calls:?}");
        ensure!(calls.len() <= 10, "pauses grow whatever is answered: {calls:?}");
        is_left_alone(&service, w.id).await?;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_payout_that_is_pending_too_long_becomes_a_case() -> anyhow::Result<()> {
    for database in databases("pending").await? {
        let mut settings = config(&database)?;
        settings.timing.pending_limit = Duration::from_secs(30);
        settings.timing.call_timeout = Duration::from_secs(5);
        let service = Service::with(settings).await?;
        service.ledger.person(ALICE, 1_000_000, "delay-80000s");
        let mut client = service.client.clone();
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        let w = service.until(w.id, Status::Unresolved).await?;
        ensure!((w.cash_status, w.pay_status) == (4, 4));
        ensure!(service.ledger.state(&w.hold_key) == Some(State::Open));
        let events = service.events(w.id).await?;
        ensure!(events[3..] == ["attempt_written", "give_up"], "{events:?}");
        is_left_alone(&service, w.id).await?;
        let open = ListCasesRequest { open_only: true, ..Default::default() };
        let case = client.list_cases(open).await?.into_inner().cases.pop().context("a case")?;
        ensure!(case.evidence.contains(", no final answer for "), "{}", case.evidence);
        let ask_again = ResolveCaseRequest {
            id: case.id,
            resolution: Resolution::AskAgain.into(),
            reason: "they say it is on its way".to_owned(),
            ..Default::default()
        };
        client.resolve_case(by(CAROL, ask_again)).await?;
        // The limit begins anew, and a final answer is one however late it comes. Nobody may be asking
        // while the time passes, so the clock stands still until the first answer is there.
        for _ in 0..1000 {
            if service.get(w.id).await?.status() == Status::Paying {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ensure!(service.get(w.id).await?.status() == Status::Paying);
        service.clock.advance(Duration::from_secs(80_000));
        service.until(w.id, Status::Paid).await?;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn nobody_returns_money_that_an_answer_which_came_too_late_says_was_paid()
-> anyhow::Result<()> {
    for database in databases("late_paid").await? {
        let mut settings = config(&database)?;
        settings.timing.unknown_limit = Duration::from_secs(2);
        settings.timing.call_timeout = Duration::from_secs(60);
        let fake = Fake::new(&[paid()], &vec![lost(); 20]);
        let service = Service::paid_by(settings, &fake).await?;
        let mut client = service.client.clone();
        let w = service.request(1000).await?;
        // The sending takes longer than its lease; meanwhile the payout becomes a case.
        fake.hang.send_replace(true);
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Unresolved).await?;
        let decide = |resolution: Resolution, id| ResolveCaseRequest {
            id,
            resolution: resolution.into(),
            reason: "seen in the console".to_owned(),
            third_trade_no: String::new(),
        };
        fake.hang.send_replace(false);
        for _ in 0..2000 {
            if service.calls(w.id).await?.first().is_some_and(|call| call == "send paid") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ensure!(service.get(w.id).await?.status() == Status::Unresolved, "too late to be applied");
        let open = ListCasesRequest { open_only: true, ..Default::default() };
        let case = client.list_cases(open).await?.into_inner().cases.pop().context("a case")?;
        let returned = client.resolve_case(by(CAROL, decide(Resolution::NotPaid, case.id))).await;
        ensure!(reason(returned.map_err(failure))? == Reason::InvalidArgument);
        ensure!(service.ledger.state(&w.hold_key) == Some(State::Open));
        client.resolve_case(by(CAROL, decide(Resolution::Paid, case.id))).await?;
        service.until(w.id, Status::Paid).await?;
        service.finish().await?;
    }
    Ok(())
}
