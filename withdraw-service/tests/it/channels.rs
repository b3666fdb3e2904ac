//! Pausing and resuming the payouts of a provider by hand.

use std::time::Duration;

use anyhow::{Context, ensure};
use cashout_proto::withdraw::v1::{
    Channel, Decision, ListChannelsRequest, PauseChannelRequest, ResumeChannelRequest,
    ReviewWithdrawalsRequest, Status,
};
use cashout_proto::{Failure, Reason};
use cashout_testing::databases;
use futures::future::{join, join_all};
use withdraw_service::ports::Answer;
use withdraw_service::store::Store;

use crate::fake::{Fake, paid};
use crate::harness::{BOB, CAROL, Service, by, config, failure, reason};
use crate::store::{count, execute};

pub async fn pause(service: &Service, provider: &str, reason: &str) -> Result<Channel, Failure> {
    let message = PauseChannelRequest { provider: provider.into(), reason: reason.into() };
    let answer = service.client.clone().pause_channel(by(CAROL, message)).await;
    Ok(answer.map_err(failure)?.into_inner())
}

pub async fn resume(service: &Service, provider: &str) -> Result<Channel, Failure> {
    let message = ResumeChannelRequest { provider: provider.into(), reason: "go on".into() };
    let answer = service.client.clone().resume_channel(by(CAROL, message)).await;
    Ok(answer.map_err(failure)?.into_inner())
}

#[tokio::test]
async fn while_a_channel_is_paused_nothing_is_sent_and_what_was_sent_is_asked_about()
-> anyhow::Result<()> {
    for database in databases("paused").await? {
        let fake = Fake::new(&[Answer::pending()], &[Answer::pending(), paid()]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let mut client = service.client.clone();
        let sent = service.request(100).await?;
        service.approve(sent.id, BOB).await?;
        let told = pause(&service, "wechat", "the console is down").await?;
        ensure!(told.paused && told.cause == "operator" && told.reason == "the console is down");
        ensure!(told.changed_by == format!("user:{CAROL}") && told.changed_at_us > 0);
        let mut queued = Vec::new();
        for _ in 0..3 {
            queued.push(service.request(200).await?.id);
        }
        // One by one, and many at once.
        ensure!(service.approve(queued[0], BOB).await?.status() == Status::Approved);
        let rest = ReviewWithdrawalsRequest {
            ids: queued[1..].to_vec(),
            decision: Decision::Approve.into(),
            ..Default::default()
        };
        client.review_withdrawals(by(BOB, rest)).await?;
        service.until(sent.id, Status::Paid).await?;
        // Also a restart sends nothing, nor does another instance.
        let sibling = service.sibling().await?;
        service.clock.advance(Duration::from_secs(3600));
        for id in &queued {
            ensure!(service.get(*id).await?.status() == Status::Approved);
        }
        ensure!(fake.count("send") == 1);
        let all = client.list_channels(ListChannelsRequest {}).await?.into_inner().channels;
        let names: Vec<_> = all.iter().map(|c| c.provider.as_str()).collect();
        ensure!(names == ["sandbox", "wechat"]);
        ensure!((all[1].queued, all[1].queued_minor) == (3, 600) && !all[0].paused);
        sibling.stop().await;
        let told = resume(&service, "wechat").await?;
        ensure!(!told.paused && told.cause.is_empty());
        for id in queued {
            service.until(id, Status::Paid).await?;
        }
        ensure!(fake.count("send") == 4);
        ensure!(!resume(&service, "wechat").await?.paused, "twice is once");
        let url = service.config.database_url.clone();
        service.finish().await?;
        ensure!(count(&url, "SELECT count(*) FROM channel_change").await? == 2);
        for forbidden in ["UPDATE channel_change SET reason = 'x'", "DELETE FROM channel_change"] {
            ensure!(execute(&url, forbidden).await.is_err(), "{forbidden}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_was_to_be_sent_again_waits_too_and_is_not_taken_for_late() -> anyhow::Result<()> {
    for database in databases("paused_again").await? {
        let fake = Fake::new(&[Answer::unknown("lost"), paid()], &[Answer::NotFound]);
        let mut settings = config(&database)?;
        settings.timing.unknown_limit = Duration::from_secs(60);
        settings.timing.backoff_min = Duration::from_secs(1);
        let service = Service::paid_by(settings, &fake).await?;
        let w = service.request(100).await?;
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Unknown).await?;
        pause(&service, "wechat", "maintenance").await?;
        for _ in 0..100 {
            service.clock.advance(Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        ensure!(service.get(w.id).await?.status() == Status::Unknown);
        ensure!(fake.count("send") == 1);
        resume(&service, "wechat").await?;
        service.until(w.id, Status::Paid).await?;
        let mut calls = service.calls(w.id).await?;
        // A lease that runs out by this clock costs a question more.
        calls.dedup();
        ensure!(calls == ["send unknown", "query not_found", "send paid"], "{calls:?}");
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn whoever_switches_a_channel_says_who_and_why_and_which() -> anyhow::Result<()> {
    for database in databases("switching").await? {
        let service = Service::fresh(&database).await?;
        let mut client = service.client.clone();
        let message = PauseChannelRequest { provider: "sandbox".into(), reason: "x".into() };
        let nobody = client.pause_channel(message).await.map_err(failure);
        ensure!(reason(nobody)? == Reason::ActorRequired);
        let message = ResumeChannelRequest { provider: "sandbox".into(), reason: "x".into() };
        let nobody = client.resume_channel(message).await.map_err(failure);
        ensure!(reason(nobody)? == Reason::ActorRequired);
        let long = "x".repeat(256);
        for (provider, why) in [
            ("sandbox", ""),
            ("sandbox", "  "),
            ("sandbox", "a\0"),
            ("sandbox", long.as_str()),
            ("manual", "why"),
            ("", "why"),
            ("wechat'; --", "why"),
        ] {
            let told = pause(&service, provider, why).await;
            ensure!(reason(told)? == Reason::InvalidArgument, "{provider:?} {why:?}");
        }
        let all = client.list_channels(ListChannelsRequest {}).await?.into_inner().channels;
        ensure!(all.iter().all(|c| !c.paused && c.changed_at_us == 0));
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_sending_is_noted_after_a_pause_was_answered() -> anyhow::Result<()> {
    const SENDS: &str = "SELECT count(*) FROM provider_call WHERE operation = 'send'";
    for database in databases("race").await? {
        let fake = Fake::new(&[], &[]);
        let service = Service::paid_by(config(&database)?, &fake).await?;
        let url = service.config.database_url.clone();
        let mut ids = Vec::new();
        for _ in 0..40 {
            ids.push(service.request(100).await?.id);
        }
        let approvals = join_all(ids.iter().map(|id| service.approve(*id, BOB)));
        let paused = async {
            pause(&service, "wechat", "now").await?;
            count(&url, SENDS).await
        };
        let (approved, noted) = join(approvals, paused).await;
        ensure!(approved.iter().all(Result::is_ok));
        let noted = noted?;
        service.clock.advance(Duration::from_secs(120));
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ensure!(count(&url, SENDS).await? == noted, "{}", database.engine);
        let store = Store::open(&url).await?;
        let waiting = withdraw_service::store::channels::queues(store.readers(), i64::MAX).await?;
        let waiting = waiting.first().map_or(0, |queue| queue.count);
        ensure!(noted + waiting == 40, "{noted} sent, {waiting} wait");
        store.close().await;
        resume(&service, "wechat").await?;
        for id in ids {
            service.until(id, Status::Paid).await.context("resumed")?;
        }
        service.finish().await?;
    }
    Ok(())
}
