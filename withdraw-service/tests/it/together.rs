//! What many want of the ledger at the same time goes out together, and each hears of their own.

use anyhow::ensure;
use cashout_proto::account::v1::hold_command::Command;
use cashout_proto::account::v1::{EntryKind, Facts, SettlePart};
use futures::future::join_all;
use withdraw_service::domain::withdrawal::Withdrawal;
use withdraw_service::ports::{Ledger, LedgerAnswer};

use crate::harness::ALICE;
use crate::remote::{Refuse, scene};

fn kind(number: i32) -> &'static str {
    EntryKind::try_from(number).map_or("?", |k| k.as_str_name())
}

fn told(facts: Option<Box<Facts>>) -> String {
    let facts = facts.unwrap_or_default();
    format!("{} {} {}", facts.note, facts.reference, facts.operator)
}

/// A command in words.
pub fn text(command: Command) -> String {
    match command {
        Command::Place(r) => {
            let who = r.account.map(|a| format!("{:?} {}", a.by, a.currency)).unwrap_or_default();
            let facts = told(r.facts);
            format!("place {} {} {} {who} | {facts}", r.key, r.amount_minor, kind(r.kind))
        }
        Command::Settle(r) => {
            let part = |p: &SettlePart| {
                format!("{} to {} as {}", p.amount_minor, p.counter_account, kind(p.kind))
            };
            let parts: Vec<String> = r.parts.iter().map(part).collect();
            let (parts, facts) = (parts.join(", "), told(r.facts));
            format!("settle {} by {}: {parts} | {facts}", r.hold_key, r.key)
        }
        Command::Release(r) => {
            let (kind, facts) = (kind(r.kind), told(r.facts));
            format!("release {} by {} as {kind} | {facts}", r.hold_key, r.key)
        }
        Command::Abandon(r) => format!("abandon {}", r.hold_key),
    }
}

#[tokio::test]
async fn who_asks_with_others_is_told_of_themselves() -> anyhow::Result<()> {
    let (_, ledger, _) = scene().await?;
    let people: Vec<i64> = (1..=600).collect();
    let told = join_all(people.iter().map(|user_id| ledger.asker(*user_id))).await;
    for (user_id, told) in people.into_iter().zip(told) {
        let (person, balance) = told?;
        ensure!(balance.map(|b| b.available_minor) == Some(user_id * 10), "{user_id}: {balance:?}");
        let name = person.map(|person| person.username);
        let expected = (user_id == ALICE).then(|| "with others".to_owned());
        ensure!(name == expected, "{user_id}: {name:?}");
    }
    Ok(())
}

#[tokio::test]
async fn commands_of_many_are_each_answered_for_themselves() -> anyhow::Result<()> {
    let (w, ledger, script) = scene().await?;
    let all: Vec<Withdrawal> = (0..600)
        .map(|n| {
            let mut other = w.clone();
            std::sync::Arc::make_mut(&mut other.asked).cash_sn = format!("2020{n:014}");
            other
        })
        .collect();
    let answers = join_all(all.iter().map(|w| ledger.settle(w))).await;
    ensure!(answers.iter().all(|answer| *answer == LedgerAnswer::Done(())));
    let asked = script.asked();
    for w in &all {
        let command = format!("settle cash:{} by ", w.cash_sn);
        let times = asked.iter().filter(|asked| asked.starts_with(&command)).count();
        ensure!(times == 1, "{command}: {times}");
    }
    Ok(())
}

#[tokio::test]
async fn a_call_that_is_never_answered_does_not_keep_the_next_one_waiting() -> anyhow::Result<()> {
    let (w, ledger, script) = scene().await?;
    script.refuses(Some(Refuse::Silence));
    let (silent, first) = (ledger.clone(), w.clone());
    let stuck = tokio::spawn(async move { silent.settle(&first).await });
    while script.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    script.refuses(None);
    ensure!(ledger.settle(&w).await == LedgerAnswer::Done(()));
    ensure!(!stuck.is_finished(), "the first one still waits");
    stuck.abort();
    Ok(())
}
