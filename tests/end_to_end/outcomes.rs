//! Every outcome of a payout, as the sandbox plays it: what people see, and where the money is.

use cashout_proto::withdraw::v1 as withdraw;
use withdraw::Status;

use crate::support::people::{ALIPAY, WECHAT};
use crate::support::web::{admin, teacher};
use crate::support::{Stack, every_engine, first};

/// Times that make a test quick; none of them changes an outcome.
const QUICK: &[(&str, &str)] = &[
    ("PAYOUT_BACKOFF_MIN", "20ms"),
    ("PAYOUT_BACKOFF_MAX", "200ms"),
    ("PAYOUT_CONFIRM_BACKOFF_MAX", "200ms"),
    ("PAYOUT_CALL_TIMEOUT", "300ms"),
];

/// What a payee's script leads to: the status, the documented numbers, and what is left of 10.00
/// after a cash-out of 4.00: available and frozen.
struct Outcome {
    script: &'static str,
    status: Status,
    cash_status: i32,
    pay_status: i32,
    available: i64,
    frozen: i64,
}

const fn outcome(
    script: &'static str,
    status: Status,
    shown: (i32, i32),
    left: (i64, i64),
) -> Outcome {
    Outcome {
        script,
        status,
        cash_status: shown.0,
        pay_status: shown.1,
        available: left.0,
        frozen: left.1,
    }
}

const OUTCOMES: &[Outcome] = &[
    outcome("pays", Status::Paid, (5, 2), (600, 0)),
    outcome("delay-1s", Status::Paid, (5, 2), (600, 0)),
    outcome("unknown-paid", Status::Paid, (5, 2), (600, 0)),
    outcome("lost", Status::Paid, (5, 2), (600, 0)),
    outcome("refuse", Status::Failed, (6, 4), (1_000, 0)),
    outcome("unknown-refused", Status::Failed, (6, 4), (1_000, 0)),
    outcome("silent", Status::Unknown, (4, 1), (600, 400)),
];

#[tokio::test]
async fn every_script_of_the_sandbox_ends_as_it_must() -> anyhow::Result<()> {
    for stack in every_engine("outcomes", QUICK).await? {
        let mut asked = Vec::new();
        for (number, outcome) in (1_i64..).zip(OUTCOMES) {
            for (method, user) in [(WECHAT, number), (ALIPAY, 100 + number)] {
                stack.rich(user, 1_000).await?;
                stack.bound(user, &format!("{}-{user}", outcome.script)).await?;
                let id = stack.requested(user, "4", method).await?;
                assert_eq!(stack.balance(user).await?, (600, 400));
                asked.push((outcome, user, id));
            }
        }
        let ids: Vec<i64> = asked.iter().map(|(_, _, id)| *id).collect();
        let answer = stack.review(&admin(9_999), &ids, 2).await?;
        assert!(!answer.body.contains("failure"), "{}", answer.body);
        for (outcome, user, id) in asked {
            check(&stack, outcome, user, id).await?;
        }
        stack.stop().await?;
    }
    Ok(())
}

async fn check(stack: &Stack, outcome: &Outcome, user: i64, id: i64) -> anyhow::Result<()> {
    let now = stack.until(id, outcome.status).await?;
    assert_eq!(now.cash_status, outcome.cash_status, "{}", outcome.script);
    assert_eq!(now.pay_status, outcome.pay_status, "{}", outcome.script);
    let left = (outcome.available, outcome.frozen);
    assert_eq!(stack.balance(user).await?, left, "{}", outcome.script);
    let asked = withdraw::GetHistoryRequest { id, user_id: 0 };
    let history = stack.cash_outs()?.get_history(asked).await?.into_inner();
    let attempt = first(history.attempts.clone(), "attempt")?;
    assert_eq!(history.attempts.len(), 1, "one number is enough: {}", outcome.script);
    assert_eq!(attempt.amount_minor, 400);
    let row = stack.get(&teacher(user), "/sett/withdrawList").await?;
    assert_eq!(row.text("/data/items/0/pay_status")?, outcome.pay_status.to_string());
    assert_eq!(row.text("/data/items/0/trade_no")?, attempt.trade_no);
    let account = stack.get(&teacher(user), "/sett/sett").await?;
    let withdrawn = if outcome.status == Status::Paid { "4.00" } else { "0.00" };
    assert_eq!(account.text("/data/items/0/total_withdraw")?, withdrawn, "{}", outcome.script);
    Ok(())
}

#[tokio::test]
async fn a_restart_in_the_middle_continues_and_repeats_nothing() -> anyhow::Result<()> {
    for mut stack in every_engine("restart", QUICK).await? {
        let scripts = ["pays", "delay-1s", "unknown-paid", "lost", "refuse", "silent"];
        let mut ids = Vec::new();
        for (user, script) in (1_i64..).zip(scripts) {
            stack.rich(user, 1_000).await?;
            stack.bound(user, &format!("{script}-{user}")).await?;
            ids.push(stack.requested(user, "4", WECHAT).await?);
        }
        stack.review(&admin(9_999), &ids, 2).await?;
        stack = stack.restart().await?;
        stack = stack.restart().await?;
        for (id, script) in ids.into_iter().zip(scripts) {
            let status = match script {
                "refuse" => Status::Failed,
                "silent" => Status::Unknown,
                _ => Status::Paid,
            };
            stack.until(id, status).await?;
        }
        stack.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_nobody_knows_becomes_a_case_that_a_person_decides() -> anyhow::Result<()> {
    use withdraw::Resolution::{NotPaid, Paid};
    for stack in every_engine("cases", &[QUICK, &[UNKNOWN_FOR_A_MOMENT]].concat()).await? {
        for (user, resolution, status, left) in
            [(1, Paid, Status::Paid, (600, 0)), (2, NotPaid, Status::Failed, (1_000, 0))]
        {
            stack.rich(user, 1_000).await?;
            stack.bound(user, &format!("silent-{user}")).await?;
            let id = stack.requested(user, "4", WECHAT).await?;
            stack.reviewed(&admin(9_999), id, 2).await?;
            let open = stack.until(id, Status::Unresolved).await?;
            assert_eq!((open.cash_status, open.pay_status), (4, 4));
            assert_eq!(stack.balance(user).await?, (600, 400));
            let asked = withdraw::ListCasesRequest { open_only: true, ..Default::default() };
            let cases = stack.cash_outs()?.list_cases(asked).await?.into_inner().cases;
            let case = first(cases, "case")?;
            assert_eq!(case.withdrawal_id, id);
            let mut decided = tonic::Request::new(withdraw::ResolveCaseRequest {
                id: case.id,
                resolution: resolution.into(),
                reason: "the bank's statement".into(),
                third_trade_no: String::new(),
            });
            cashout_common::actor::Actor::Person(9_999).write(decided.metadata_mut());
            stack.cash_outs()?.resolve_case(decided).await?;
            stack.until(id, status).await?;
            assert_eq!(stack.balance(user).await?, left);
        }
        stack.stop().await?;
    }
    Ok(())
}

/// After this time an unknown outcome is a case.
const UNKNOWN_FOR_A_MOMENT: (&str, &str) = ("PAYOUT_UNKNOWN_LIMIT", "500ms");
