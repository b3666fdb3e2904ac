//! `verify` finds what was changed behind our back about payouts and notifications: each rule of G8, G9
//! and G15 turns red.

use anyhow::{Context, ensure};
use cashout_common::report::Report;
use cashout_proto::withdraw::v1::{
    Header, ReceiveNotificationRequest, RefuseWithdrawalRequest, Status,
};
use cashout_testing::{TestDatabase, databases};
use withdraw_service::ports::Answer;
use withdraw_service::verify;

use crate::fake::{Fake, lost, paid, refused, rejected};
use crate::harness::{BOB, Service, by, config};
use crate::store::{execute, unlock};

/// Withdrawal 1 paid after a second sending, 2 refused after its sending was rejected and asked about,
/// 3 refused by a reviewer, 4 refused at once, 5 pending; a late notification about 1.
async fn ended(database: &TestDatabase) -> anyhow::Result<String> {
    let fake = Fake::new(
        &[lost(), paid(), rejected(), refused(), Answer::pending()],
        &[Answer::NotFound, Answer::NotFound],
    );
    let service = Service::paid_by(config(database)?, &fake).await?;
    let mut numbers = Vec::new();
    for (id, status) in [
        (1, Status::Paid),
        (2, Status::Failed),
        (3, Status::Refused),
        (4, Status::Failed),
        (5, Status::Paying),
    ] {
        ensure!(service.request(1000).await?.id == id);
        if status == Status::Refused {
            let message = RefuseWithdrawalRequest { id, remark: "no".into() };
            service.client.clone().refuse_withdrawal(by(BOB, message)).await?;
        } else {
            service.approve(id, BOB).await?;
        }
        numbers.push(service.until(id, status).await?.trade_no);
    }
    let number = numbers.first().context("one")?;
    let headers = vec![Header { name: "signed".into(), value: "well".into() }];
    let body = format!("n1 {number} SUCCESS 1000 alice").into_bytes();
    let message = ReceiveNotificationRequest { provider: "wechat".into(), headers, body };
    service.client.clone().receive_notification(message).await?;
    let url = service.config.database_url.clone();
    service.finish().await?;
    Ok(url)
}

/// Whether the tables refuse a change as long as nobody took their locks off.
fn locked(change: &str) -> bool {
    let tables = ["history", "notification", "attempt", "provider_call"];
    let about = |verb: &str| tables.iter().any(|t| change.starts_with(&format!("{verb} {t} ")));
    let ends = change.ends_with("SET state = 'failed' WHERE state = 'live'");
    let gone = change.starts_with("DELETE FROM withdrawal");
    (about("UPDATE") || about("DELETE FROM") || gone) && !ends
}

/// Changes a database behind the service's back, after its locks were taken off; gives what `verify` says.
async fn tampered(database: &TestDatabase, change: &'static str) -> anyhow::Result<Report> {
    let url = ended(database).await?;
    if locked(change) {
        ensure!(execute(&url, change).await.is_err(), "it can be changed: {change}");
    }
    unlock(database).await?;
    execute(&url, change).await?;
    verify(&url).await
}

/// Of the withdrawal with that id.
macro_rules! call_of {
    ($id:literal, $rest:literal) => {
        concat!(
            " number = (SELECT number FROM attempt WHERE withdrawal_id = ",
            $id,
            ") AND ",
            $rest
        )
    };
}

#[tokio::test]
async fn every_rule_about_payouts_turns_red_when_it_is_broken() -> anyhow::Result<()> {
    let changes = [
        // Sent again although the provider had said pending, or had said nothing.
        (
            "G8",
            concat!(
                "UPDATE provider_call SET outcome = 'pending' WHERE",
                call_of!("1", "operation = 'query'")
            ),
        ),
        ("G8", concat!("DELETE FROM provider_call WHERE", call_of!("1", "operation = 'query'"))),
        (
            "G8",
            concat!(
                "UPDATE provider_call SET operation = 'cancel' WHERE",
                call_of!("1", "operation = 'query'")
            ),
        ),
        // Asked before anything was sent; sent before it was written down.
        (
            "G8",
            concat!(
                "UPDATE provider_call SET operation = 'query' WHERE",
                call_of!("5", "operation = 'send'")
            ),
        ),
        ("G8", "UPDATE attempt SET created_at_us = created_at_us + 1000000"),
        // Two numbers of which none failed; a number that stands otherwise than its withdrawal.
        (
            "G8",
            "INSERT INTO attempt SELECT number || 'X', withdrawal_id, provider, payee_id, amount_minor, body, digest, 'live', created_at_us FROM attempt WHERE state = 'paid'",
        ),
        ("G8", "UPDATE attempt SET state = 'failed' WHERE state = 'live'"),
        ("G8", "UPDATE attempt SET state = 'live' WHERE state = 'paid'"),
        ("G8", "UPDATE withdrawal_state SET trade_no = 'N1' WHERE id = 5"),
        // Paid, and nobody said so.
        ("G8", "UPDATE provider_call SET outcome = 'unknown' WHERE outcome = 'paid'"),
        // Returned, and nobody had refused for good.
        ("G9", "UPDATE provider_call SET outcome = 'unknown' WHERE outcome = 'refused'"),
        (
            "G9",
            concat!(
                "UPDATE provider_call SET outcome = 'unknown' WHERE",
                call_of!("2", "operation = 'query'")
            ),
        ),
        (
            "G9",
            concat!(
                "UPDATE provider_call SET outcome = 'unknown' WHERE",
                call_of!("2", "operation = 'send'")
            ),
        ),
        (
            "G9",
            concat!(
                "UPDATE provider_call SET operation = 'cancel' WHERE",
                call_of!("4", "operation = 'send'")
            ),
        ),
        (
            "G9",
            concat!(
                "UPDATE provider_call SET outcome = 'paid' WHERE",
                call_of!("2", "operation = 'query'")
            ),
        ),
        (
            "G9",
            "INSERT INTO provider_call SELECT 99, number, 'send', 'unknown', '', 0 FROM attempt WHERE withdrawal_id = 2",
        ),
        // Turned down, says the last answer, but the provider has had it.
        (
            "G9",
            "INSERT INTO provider_call SELECT 99, number, 'query', 'pending', '', 0 FROM attempt WHERE withdrawal_id = 2",
        ),
        (
            "G9",
            "INSERT INTO provider_call SELECT 99, number, 'query', 'waiting', '', 0 FROM attempt WHERE withdrawal_id = 2",
        ),
        ("G9", "UPDATE attempt SET withdrawal_id = 3 WHERE withdrawal_id = 4"),
        // A withdrawal that is gone, of which nothing but its history is left.
        ("G11", "DELETE FROM withdrawal WHERE id = 3"),
        ("G11", "DELETE FROM withdrawal_state WHERE id = 3"),
    ];
    for (guarantee, change) in changes {
        turns_red(guarantee, change).await?;
    }
    Ok(())
}

#[tokio::test]
async fn rows_that_belong_to_nothing_turn_red() -> anyhow::Result<()> {
    let changes = [
        (
            "G11",
            "INSERT INTO withdrawal SELECT 99, cash_sn || 'X', user_id, currency, apply_minor, fee_minor, actual_minor, method, provider, mobile, payee_id, payee_name, remark, reviewers_required, created_at_us, payable_from_us, NULL, request_digest FROM withdrawal WHERE id = 3",
        ),
        (
            "G11",
            "INSERT INTO withdrawal_state SELECT 99, status, version, review_remark, content_digest, trade_no, third_trade_no, pay_requested_at_us, paid_at_us, updated_at_us, decided_by, unknown_since_us, confirm_mch_id, confirm_app_id, confirm_package, effect, lane, next_run_at_us, tries, lease_owner, lease_until_us FROM withdrawal_state WHERE id = 3",
        ),
        ("G8", "INSERT INTO provider_call VALUES (99, 'nobodys', 'send', '', '', 0)"),
        ("G10", "UPDATE attempt SET withdrawal_id = 99 WHERE state = 'paid'"),
        ("G17", "UPDATE review SET withdrawal_id = 99"),
    ];
    for (guarantee, change) in changes {
        turns_red(guarantee, change).await?;
    }
    Ok(())
}

async fn turns_red(guarantee: &str, change: &'static str) -> anyhow::Result<()> {
    for database in databases("tampered").await? {
        let report = tampered(&database, change).await?;
        let found = report.checks.iter().any(|c| c.id == guarantee && c.violations > 0);
        ensure!(found, "{} {change}: {report}", database.engine);
    }
    Ok(())
}

#[tokio::test]
async fn a_sending_after_a_taking_back_turns_red() -> anyhow::Result<()> {
    let change = concat!(
        "UPDATE provider_call SET id = 1000 WHERE",
        call_of!("1", "operation = 'send' AND id > 1"),
        "; INSERT INTO provider_call SELECT 999, number, 'cancel', 'unknown', '', 0 \
         FROM attempt WHERE withdrawal_id = 1"
    );
    turns_red("G8", change).await
}

#[tokio::test]
async fn every_rule_about_notifications_turns_red_when_it_is_broken() -> anyhow::Result<()> {
    let changes = [
        "UPDATE history SET actor = 'notification n1' WHERE event = 'provider_paid'",
        "UPDATE notification SET verdict = 'unknown_number'",
        "UPDATE notification SET verdict = 'contradiction'",
        "UPDATE notification SET state = 'FAIL'",
        "UPDATE notification SET number = 'N1'",
        "UPDATE notification SET provider = 'alipay'",
        // Another amount or payee than was asked for, and found to fit; the right ones, and found not to.
        "UPDATE notification SET amount_minor = 1001",
        "UPDATE notification SET payee_digest = 'x'",
        "UPDATE notification SET verdict = 'mismatch'",
    ];
    for change in changes {
        turns_red("G15", change).await?;
    }
    Ok(())
}
