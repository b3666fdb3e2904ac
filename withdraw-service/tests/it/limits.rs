//! What a person may request, under concurrency too, and every input that is refused.

use std::time::Duration;

use anyhow::ensure;
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{
    QuoteRequest, RefuseWithdrawalRequest, RequestWithdrawalRequest, Status,
};
use cashout_testing::databases;
use futures::future::join_all;
use withdraw_service::providers::Channel;

use crate::harness::{ALICE, BOB, Service, by, config, manual, reason, wechat};

#[tokio::test]
async fn sixty_four_requests_at_once_cannot_pass_the_limit_of_the_day() -> anyhow::Result<()> {
    for database in databases("daily").await? {
        let mut settings = config(&database)?;
        settings.policy.daily_minor = 10_050;
        let service = Service::with(settings.clone()).await?;
        let sibling = service.sibling().await?;
        let calls = (0..64).map(|n| {
            let instance = if n % 2 == 0 { &service } else { &sibling };
            instance.ask(wechat(1000, &format!("k{n}")))
        });
        let answers = join_all(calls).await;
        let placed = answers.iter().filter(|a| a.is_ok()).count();
        ensure!(placed == 10, "{placed} were placed");
        for refused in answers.into_iter().filter(Result::is_err) {
            ensure!(reason(refused)? == Reason::DailyLimit);
        }
        service.ask(wechat(50, "")).await?;
        ensure!(reason(service.ask(wechat(1, "")).await)? == Reason::DailyLimit);
        ensure!(service.ledger.available(ALICE) == 1_000_000 - 10_050);

        // What was refused does not count, and a new local day begins at midnight.
        let message = RefuseWithdrawalRequest { id: 1, remark: String::new() };
        service.client.clone().refuse_withdrawal(by(BOB, message)).await?;
        service.ask(wechat(1000, "")).await?;
        service.clock.advance(Duration::from_secs(12 * 3600 - 1));
        ensure!(reason(service.ask(wechat(1, "")).await)? == Reason::DailyLimit);
        service.clock.advance(Duration::from_secs(1));
        service.ask(wechat(10_050, "")).await?;
        sibling.stop().await;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_interval_keeps_requests_apart_per_person() -> anyhow::Result<()> {
    for database in databases("interval").await? {
        let mut settings = config(&database)?;
        settings.policy.interval_days = 2;
        let service = Service::with(settings).await?;
        service.ledger.person(BOB, 1000, "bob");
        service.ledger.person(ALICE, 5, "alice");
        ensure!(reason(service.ask(wechat(10, "")).await)? == Reason::InsufficientFunds);
        service.ledger.person(ALICE, 1000, "alice");
        service.ask(wechat(10, "")).await?;
        service.ask(RequestWithdrawalRequest { user_id: BOB, ..wechat(10, "") }).await?;
        service.clock.advance(Duration::from_secs(2 * 86_400));
        ensure!(reason(service.ask(wechat(10, "")).await)? == Reason::IntervalLimit);
        service.clock.advance(Duration::from_micros(1));
        service.ask(wechat(10, "")).await?;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_bad_input_is_refused_and_changes_nothing() -> anyhow::Result<()> {
    for database in databases("inputs").await? {
        let mut settings = config(&database)?;
        settings.policy.fee_rate = "0.5".parse()?;
        settings.policy.min_minor = 1;
        settings.channels.alipay = Channel::Off;
        let service = Service::with(settings).await?;
        service.ledger.person(10, 1000, "");
        let with = |user_id, apply_minor, method, mobile: &str| RequestWithdrawalRequest {
            user_id,
            mobile: mobile.to_owned(),
            method,
            ..wechat(apply_minor, "")
        };
        let long = "x".repeat(256);
        for (case, request, expected, field) in [
            ("zero", with(7, 0, 1, ""), Reason::InvalidArgument, "apply_minor"),
            ("negative", with(7, -1, 1, ""), Reason::InvalidArgument, "apply_minor"),
            ("huge", with(7, i64::MAX, 1, ""), Reason::InvalidArgument, "apply_minor"),
            ("over the maximum", with(7, 500_001, 1, ""), Reason::AmountLimit, "apply_minor"),
            ("nothing left", with(7, 1, 1, ""), Reason::AmountLimit, "apply_minor"),
            ("no mobile", with(7, 100, 0, ""), Reason::InvalidArgument, "mobile"),
            ("bad mobile", with(7, 100, 1, "12345678901"), Reason::InvalidArgument, "mobile"),
            ("no person", with(0, 100, 1, ""), Reason::InvalidArgument, "user_id"),
            ("method 3", with(7, 100, 3, ""), Reason::MethodUnknown, ""),
            ("method -1", with(7, 100, -1, ""), Reason::MethodUnknown, ""),
            ("switched off", with(7, 100, 2, ""), Reason::ChannelDisabled, ""),
            ("unbound", with(10, 100, 1, ""), Reason::WechatNotBound, ""),
            ("unknown person", with(11, 100, 1, ""), Reason::WechatNotBound, ""),
            ("bad key", wechat(100, "k\u{e9}"), Reason::InvalidArgument, "key"),
            ("long key", wechat(100, &long), Reason::InvalidArgument, "key"),
            (
                "long remark",
                RequestWithdrawalRequest { remark: long.clone(), ..wechat(100, "") },
                Reason::InvalidArgument,
                "remark",
            ),
            (
                "long variant",
                RequestWithdrawalRequest { variant: long.clone(), ..wechat(100, "") },
                Reason::InvalidArgument,
                "variant",
            ),
            (
                "NUL",
                RequestWithdrawalRequest { remark: "\0".into(), ..wechat(100, "") },
                Reason::InvalidArgument,
                "remark",
            ),
        ] {
            let refused = service.ask(request).await.err();
            let refused = refused.ok_or_else(|| anyhow::anyhow!("{case} was accepted"))?;
            ensure!(refused.reason == expected, "{case}: {refused:?}");
            let named = refused.fields.first().map_or("", |f| f.field.as_str());
            ensure!(named == field, "{case}: {named}");
        }
        ensure!(service.ledger.counts() == (0, 0));
        let quiet = service.get(1).await;
        ensure!(quiet.is_err(), "nothing was written");
        // The longest variant, of any characters.
        let variant = "\0".repeat(127) + &"余".repeat(128);
        service.ask(RequestWithdrawalRequest { variant, ..wechat(100, "") }).await?;
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_quote_tells_what_a_request_may_take_and_why_not_more() -> anyhow::Result<()> {
    for database in databases("quote").await? {
        let mut settings = config(&database)?;
        settings.policy.fee_rate = "0.01".parse()?;
        settings.policy.interval_days = 1;
        settings.channels.alipay = Channel::Off;
        let service = Service::with(settings).await?;
        let quote = async |apply_minor, method| {
            let request = QuoteRequest { user_id: ALICE, apply_minor, method };
            let answer = service.client.clone().quote(request).await?.into_inner();
            let reasons: Vec<String> = answer.reasons.iter().map(|r| r.reason.clone()).collect();
            anyhow::Ok((answer.fee_minor, answer.actual_minor, answer.max_minor, reasons.join(" ")))
        };
        ensure!(quote(700, 0).await? == (7, 693, 500_000, "DAILY_LIMIT AMOUNT_LIMIT".into()));
        ensure!(quote(0, 2).await?.3.starts_with("CHANNEL_DISABLED") && quote(0, 2).await?.2 == 0);
        service.ledger.person(ALICE, 3000, "");
        ensure!(quote(5000, 0).await?.3.starts_with("INSUFFICIENT_FUNDS"));
        ensure!(quote(5000, 0).await?.2 == 3000);
        ensure!(quote(0, 1).await?.3.starts_with("WECHAT_NOT_BOUND"));
        let (w, _) = service.ask(manual(1000)).await?;
        ensure!(w.status() == Status::InReview);
        ensure!(quote(0, 0).await?.3.contains("INTERVAL_LIMIT") && quote(0, 0).await?.2 == 0);
        service.clock.advance(Duration::from_secs(86_401));
        ensure!(quote(0, 0).await?.2 == 2000);
        service.ledger.lock(ALICE);
        ensure!(quote(0, 0).await?.3.starts_with("ACCOUNT_LOCKED"));
        service.finish().await?;
    }
    Ok(())
}
