//! Both adapters against the simulator that is shipped with the product: two implementations of one
//! protocol that share nothing but the signatures.

use std::time::Duration;

use cashout_common::world::World;
use sandbox::Sandbox;
use withdraw_service::ports::{Answer, Order, Provider, SendRequest};

use crate::keys::{NOON_US, Rails, channels, rails_in};
use crate::peer::{line, order, request};

struct Both {
    rails: Rails,
    sandbox: Sandbox,
    /// The books; they go with it.
    directory: tempfile::TempDir,
}

async fn both(confirms: bool) -> anyhow::Result<Both> {
    let directory = tempfile::tempdir()?;
    let (world, clock) = world();
    let mut config = sandbox::Config::in_directory(directory.path());
    config.confirm_us = confirms.then_some(0);
    let sandbox = sandbox::start(config, world.clone()).await?;
    let patience = Duration::from_secs(5);
    let rails = rails_in(&channels(&sandbox.settings())?, (world, clock), patience)?;
    Ok(Both { rails, sandbox, directory })
}

fn world() -> (World, cashout_common::clock::Clock) {
    let clock = cashout_common::clock::Clock::set_at(NOON_US);
    let random = cashout_common::random::Random::seeded(7);
    (World { clock: clock.clone(), random }, clock)
}

fn small(number: &str, payee_id: &str) -> Order {
    Order { number: number.to_owned(), amount_minor: 100, ..order(payee_id) }
}

fn written(provider: &dyn Provider, order: &Order) -> anyhow::Result<SendRequest> {
    Ok(request(order, provider.prepare(order)?))
}

#[tokio::test]
async fn every_outcome_the_simulator_plays_is_understood() -> anyhow::Result<()> {
    let Both { rails, sandbox, directory } = both(true).await?;
    let providers: [(&str, &dyn Provider); 2] =
        [("wechat", &rails.wechat), ("alipay", &rails.alipay)];
    let mut told = String::new();
    for (name, provider) in providers {
        for (at, script) in
            ["pay", "refuse", "unknown-paid", "unknown-refused", "delay-3s", "lost", "poor"]
                .into_iter()
                .enumerate()
        {
            let order = small(&format!("P2026030300000000000{at}"), &format!("x-{script}-1"));
            let request = written(provider, &order)?;
            let mut lines = Vec::new();
            lines.push(provider.query(request.clone()).await);
            lines.push(provider.send(request.clone()).await);
            lines.push(provider.query(request.clone()).await);
            lines.push(provider.send(request.clone()).await);
            rails.clock.advance(Duration::from_secs(4));
            lines.push(provider.query(request).await);
            let lines: Vec<String> = lines.iter().map(short).collect();
            told.push_str(&format!("{name} {script}\n  {}\n", lines.join("\n  ")));
        }
    }
    sandbox.stop().await;
    directory.close()?;
    insta::assert_snapshot!("simulator", told);
    Ok(())
}

/// An answer without the provider's number.
fn short(answer: &Answer) -> String {
    match answer {
        Answer::Paid { .. } => "paid".to_owned(),
        Answer::Pending { confirmation, .. } => {
            if confirmation.is_some() { "pending, confirm" } else { "pending" }.to_owned()
        }
        Answer::Waiting { .. } => "waiting".to_owned(),
        other => line(other),
    }
}

#[tokio::test]
async fn a_payee_confirms_expires_or_is_cancelled() -> anyhow::Result<()> {
    let Both { rails, sandbox, directory } = both(false).await?;
    let request = written(&rails.wechat, &small("P20260303000000000009", "o-waits"))?;
    assert_eq!(short(&rails.wechat.send(request.clone()).await), "pending, confirm");
    assert_eq!(short(&rails.wechat.query(request.clone()).await), "waiting");
    assert_eq!(short(&rails.wechat.send(request.clone()).await), "pending, confirm");
    let cancelled = rails.wechat.cancel(request.clone()).await;
    assert_eq!(cancelled.outcome(), "pending");
    rails.clock.advance(Duration::from_secs(60));
    assert_eq!(rails.wechat.query(request).await.outcome(), "refused");
    let request = written(&rails.wechat, &small("P20260303000000000010", "o-waits"))?;
    rails.wechat.send(request.clone()).await;
    rails.clock.advance(Duration::from_secs(25 * 3600));
    let expired = line(&rails.wechat.query(request).await);
    assert!(expired.starts_with("refused OVERDUE_CLOSE"), "{expired}");
    sandbox.stop().await;
    directory.close()?;
    Ok(())
}

#[tokio::test]
async fn balances_and_bills_are_read() -> anyhow::Result<()> {
    let Both { rails, sandbox, directory } = both(true).await?;
    let providers: [&dyn Provider; 2] = [&rails.wechat, &rails.alipay];
    for provider in providers {
        let before = provider.balance().await.map_err(anyhow::Error::msg)?;
        let request = written(provider, &small("P20260303000000000011", "o-paid"))?;
        provider.send(request.clone()).await;
        rails.clock.advance(Duration::from_secs(1));
        assert_eq!(provider.query(request).await.outcome(), "paid");
        let after = provider.balance().await.map_err(anyhow::Error::msg)?;
        assert_eq!(after, before.map(|minor| minor - 100));
    }
    rails.clock.advance(Duration::from_secs(24 * 3600));
    for provider in providers {
        let bill = provider.bill("2026-03-03".to_owned()).await.map_err(anyhow::Error::msg)?;
        assert!(!bill.is_empty());
    }
    sandbox.stop().await;
    directory.close()?;
    Ok(())
}
