//! The float guard: a provider that has too little pauses, by itself resumes, and holds nobody else up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use cashout_proto::withdraw::v1::{
    Channel, ListChannelsRequest, PauseChannelRequest, RequestWithdrawalRequest,
    ResumeChannelRequest, Status,
};
use cashout_testing::{TestDatabase, databases};

use crate::fake::Fake;
use crate::harness::{BOB, CAROL, Service, by, config, wechat};
use crate::ledger::State;
use crate::store::count;

const MINUTE: Duration = Duration::from_secs(60);

async fn channel(service: &Service) -> anyhow::Result<Channel> {
    let all = service.client.clone().list_channels(ListChannelsRequest {}).await?.into_inner();
    all.channels.into_iter().find(|c| c.provider == "wechat").context("no such channel")
}

/// Lets minutes pass until the channel is as wanted.
async fn until(service: &Service, wanted: impl Fn(&Channel) -> bool) -> anyhow::Result<Channel> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let channel = channel(service).await?;
        if wanted(&channel) {
            return Ok(channel);
        }
        if Instant::now() > deadline {
            bail!("the channel stays {channel:?}");
        }
        service.clock.advance(MINUTE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A service with payouts of 3 x 10.00 that wait, because an operator had paused the channel.
async fn queued(database: &TestDatabase) -> anyhow::Result<(Service, Arc<Fake>, Vec<i64>)> {
    let fake = Fake::new(&[], &[]);
    let service = Service::paid_by(config(database)?, &fake).await?;
    let provider = "wechat".to_owned();
    let pause = PauseChannelRequest { provider, reason: "before the test".into() };
    service.client.clone().pause_channel(by(CAROL, pause)).await?;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = service.request(1000).await?.id;
        service.approve(id, BOB).await?;
        ids.push(id);
    }
    Ok((service, fake, ids))
}

#[tokio::test]
async fn too_little_pauses_and_enough_resumes_by_itself() -> anyhow::Result<()> {
    // As many as are sent at a time, and three that wait.
    const ALL: usize = 67;
    for database in databases("float").await? {
        let mut settings = config(&database)?;
        settings.timing.call_timeout = Duration::from_secs(60);
        settings.timing.lease = Duration::from_secs(24 * 3600);
        let fake = Fake::new(&[], &[]);
        let service = Service::paid_by(settings, &fake).await?;
        let mut ids = Vec::new();
        for _ in 0..ALL {
            ids.push(service.request(1000).await?.id);
        }
        fake.hang.send_replace(true);
        fake.has(Ok(Some(2_999)));
        for id in &ids {
            service.approve(*id, BOB).await?;
        }
        let paused = until(&service, |c| c.paused).await?;
        ensure!(paused.cause == "balance" && paused.changed_by == "system", "{paused:?}");
        ensure!(paused.balance_minor == 2_999 && paused.balance_at_us > 0);
        ensure!((paused.queued, paused.queued_minor) == (3, 3_000), "{paused:?}");
        ensure!(paused.reason.contains("2999") && paused.reason.contains("3000"));
        // Others go on: by Alipay, in the sandbox.
        let alipay = RequestWithdrawalRequest { method: 2, ..wechat(500, "") };
        let other = service.ask(alipay).await?.0;
        service.approve(other.id, BOB).await?;
        service.until(other.id, Status::Paid).await?;
        fake.hang.send_replace(false);
        for id in &ids[..ALL - 3] {
            service.until(*id, Status::Paid).await?;
        }
        ensure!(fake.count("send") == ALL - 3);
        let waits = service.get(ids[ALL - 1]).await?;
        ensure!(waits.status() == Status::Approved);
        ensure!(service.ledger.state(&waits.hold_key) == Some(State::Open));
        fake.has(Ok(Some(3_000)));
        until(&service, |c| !c.paused).await?;
        for id in &ids {
            service.until(*id, Status::Paid).await?;
        }
        service.finish().await?;
    }
    Ok(())
}

fn resumption() -> ResumeChannelRequest {
    ResumeChannelRequest { provider: "wechat".into(), reason: "go on".into() }
}

#[tokio::test]
async fn no_answer_changes_nothing_and_each_change_is_one() -> anyhow::Result<()> {
    for database in databases("float_silent").await? {
        let fake =
            Fake::new(&[crate::fake::blocked(withdraw_service::ports::Repair::Balance)], &[]);
        let mut settings = config(&database)?;
        settings.float.reserve_minor = 500;
        let service = Service::paid_by(settings, &fake).await?;
        // Two guards: what one has changed the other finds changed.
        let sibling = service.sibling().await?;
        let w = service.request(1000).await?;
        service.approve(w.id, BOB).await?;
        service.until(w.id, Status::Blocked).await?;
        for answer in [Ok(None), Err("down".to_owned()), Ok(Some(1499))] {
            fake.has(answer.clone());
            for _ in 0..10 {
                service.clock.advance(MINUTE);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            ensure!(channel(&service).await?.cause == "balance", "{answer:?}");
            ensure!(fake.count("send") == 1, "{answer:?}");
        }
        // The reserve is left untouched.
        fake.has(Ok(Some(1500)));
        service.until(w.id, Status::Paid).await?;
        let url = service.config.database_url.clone();
        sibling.stop().await;
        service.finish().await?;
        let twice = "SELECT count(*) FROM channel_change a JOIN channel_change b \
            ON b.id = a.id + 1 AND b.paused = a.paused";
        ensure!(count(&url, twice).await? == 0, "one paused what the other had paused");
        ensure!(count(&url, "SELECT count(*) FROM channel_change").await? >= 2);
    }
    Ok(())
}

#[tokio::test]
async fn what_a_person_paused_no_balance_resumes() -> anyhow::Result<()> {
    for database in databases("float_person").await? {
        let (service, fake, ids) = queued(&database).await?;
        for balance in [1_000_000, 2_999, 3_000] {
            fake.has(Ok(Some(balance)));
            until(&service, |c| c.balance_minor == balance).await?;
            let channel = channel(&service).await?;
            ensure!(channel.paused && channel.cause == "operator", "{channel:?}");
        }
        ensure!(fake.count("send") == 0);
        service.client.clone().resume_channel(by(CAROL, resumption())).await?;
        for id in ids {
            service.until(id, Status::Paid).await?;
        }
        service.finish().await?;
    }
    Ok(())
}
