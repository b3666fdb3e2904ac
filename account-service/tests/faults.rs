//! Callers that go away, instances that share a database, queues that are full: nothing is lost,
//! nothing happens twice.

mod support;

use std::time::Duration;

use cashout_common::db::Engine;
use cashout_proto::account::v1 as pb;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use support::{Stack, between, credit, databases, person, reason};

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_cancelled_calls_lose_and_leak_nothing() -> anyhow::Result<()> {
    let seed = cashout_common::random::Random::from_os().below(u64::MAX);
    println!("seed {seed}");
    let random = cashout_common::random::Random::seeded(seed);
    for database in databases("cancel").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        let mut calls = Vec::new();
        for i in 0..2_000 {
            let mut client = s.client.clone();
            let patience = Duration::from_micros(random.below(4_000));
            calls.push(tokio::spawn(async move {
                let key = format!("k{i}");
                // Dropping the call cancels it: on the wire the stream is reset.
                let call = client.post_transfer(credit(&key, 7, 1));
                tokio::time::timeout(patience, call).await.is_ok_and(|r| r.is_ok()).then_some(key)
            }));
            if i % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut answered = Vec::new();
        for call in calls {
            answered.extend(call.await?);
        }
        // Every answered write is there, and repeating all of them completes the rest exactly once.
        for i in 0..2_000 {
            let key = format!("k{i}");
            let again = insist(&mut s, &key).await?;
            assert!(again.replayed || !answered.contains(&key), "an answered write was lost");
        }
        assert_eq!(s.balance(7).await?, (2_000, 0));
        println!(
            "{}: {} of 2000 answered before they were cancelled",
            database.engine,
            answered.len()
        );
        if database.engine == "postgres" {
            assert_eq!(idle_in_transaction(&database.url).await?, 0);
        }
        s.stop_and_verify().await?;
    }
    Ok(())
}

/// Asks until there is an answer: a flood of resets may close the connection once.
async fn insist(s: &mut Stack, key: &str) -> anyhow::Result<pb::PostTransferResponse> {
    for _ in 0..5 {
        if let Ok(answer) = s.client.post_transfer(credit(key, 7, 1)).await {
            return Ok(answer.into_inner());
        }
    }
    anyhow::bail!("no answer to {key}")
}

async fn idle_in_transaction(url: &str) -> anyhow::Result<i64> {
    const SQL: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND state LIKE 'idle in transaction%'";
    let raw = cashout_common::db::Database::open_read_only(url).await?;
    match raw.readers() {
        Engine::Postgres(pool) => Ok(sqlx::query_scalar(SQL).fetch_one(pool).await?),
        Engine::Sqlite(_) => Ok(0),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_instances_on_one_database_keep_one_ledger() -> anyhow::Result<()> {
    for database in databases("instances").await? {
        if database.engine == "sqlite" {
            continue; // One process owns the file.
        }
        let mut stacks = Vec::new();
        for _ in 0..3 {
            stacks.push(Stack::start(&database.url).await?);
        }
        let people: Vec<i64> = (1..=5).collect();
        stacks[0].open(&people).await?;
        let seeds = people.iter().map(|p| credit(&format!("seed{p}"), *p, 1_000)).collect();
        let request = pb::PostTransfersRequest { transfers: seeds, all_or_nothing: true };
        stacks[0].client.post_transfers(request).await?;
        let mut calls = Vec::new();
        for i in 0..600_i64 {
            let mut client = stacks[usize::try_from(i % 3)?].client.clone();
            // Every key goes to two instances.
            let request = between(&format!("t{}", i / 2), i % 5 + 1, (i / 2 * 3) % 5 + 1, 7);
            calls.push(tokio::spawn(async move { client.post_transfer(request).await }));
        }
        for call in calls {
            let result = call.await?;
            let allowed = ["", "INSUFFICIENT_FUNDS", "IDEMPOTENCY_CONFLICT", "INVALID_ARGUMENT"];
            assert!(allowed.contains(&reason(&result)), "{result:?}");
        }
        let mut sum = 0;
        for person in &people {
            sum += stacks[1].balance(*person).await?.0;
        }
        assert_eq!(sum, 5_000);
        for stack in stacks {
            stack.stop_and_verify().await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_instance_remembers_never_undoes_what_another_has_set() -> anyhow::Result<()> {
    for database in databases("remembered").await? {
        if database.engine == "sqlite" {
            continue; // One process owns the file.
        }
        let mut first = Stack::start(&database.url).await?;
        let mut second = Stack::start(&database.url).await?;
        first.open(&[7]).await?;
        // Both remember the account. A lock and a limit write no entry, whose id would tell that somebody wrote.
        first.client.post_transfer(credit("a", 7, 1)).await?;
        second.client.post_transfer(credit("b", 7, 1)).await?;
        let lock = pb::SetLockRequest { account: Some(person(7)), locked: true };
        first.client.set_lock(lock).await?;
        let limit = pb::SetOverdraftLimitRequest { account: Some(person(7)), limit_minor: 5 };
        let account = second.client.set_overdraft_limit(limit).await?.into_inner();
        assert!(account.locked && account.overdraft_limit_minor == 5, "{account:?}");
        first.stop_and_verify().await?;
        second.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_is_deadline_exceeded_and_the_write_stands_or_not_at_all()
-> anyhow::Result<()> {
    for database in databases("deadline").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        // A client without tonic's own timer, so that only the server's clock decides.
        use hyper_util::client::legacy::{Client, connect::HttpConnector};
        let plain = Client::builder(hyper_util::rt::TokioExecutor::new())
            .http2_only(true)
            .build::<HttpConnector, tonic::body::Body>(HttpConnector::new());
        let origin = format!("http://{}", s.running.address).parse()?;
        let mut client = AccountServiceClient::with_origin(plain, origin);
        let mut late = 0;
        for i in 0..200 {
            let mut request = tonic::Request::new(credit(&format!("k{i}"), 7, 1));
            request.metadata_mut().insert("grpc-timeout", "1u".parse()?);
            if let Err(status) = client.post_transfer(request).await {
                assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{status:?}");
                late += 1;
            }
        }
        assert!(late > 0, "no deadline passed");
        for i in 0..200 {
            s.client.post_transfer(credit(&format!("k{i}"), 7, 1)).await?;
        }
        assert_eq!(s.balance(7).await?, (200, 0));
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_a_stop_is_answered_and_kept() -> anyhow::Result<()> {
    for database in databases("drain").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        let mut calls = Vec::new();
        for i in 0..300 {
            let mut client = s.client.clone();
            calls.push(tokio::spawn(async move {
                client.post_transfer(credit(&format!("k{i}"), 7, 1)).await.is_ok()
            }));
        }
        tokio::task::yield_now().await;
        s.running.stop().await;
        let mut answered = 0;
        for call in calls {
            answered += i64::from(call.await?);
        }
        let mut s = Stack::start(&database.url).await?;
        let request = pb::GetAccountRequest { account: Some(person(7)), ..Default::default() };
        let account = s.client.get_account(request).await?.into_inner().account.unwrap_or_default();
        assert!(account.available_minor >= answered, "{answered} were answered");
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_both_reflections_answer() -> anyhow::Result<()> {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let database = cashout_testing::sqlite("health").await?;
    let s = Stack::start(&database.url).await?;
    let channel = cashout_common::peer::channel(&format!("http://{}", s.running.address))?;
    let mut health = HealthClient::new(channel.clone());
    let request = HealthCheckRequest { service: account_service::NAME.to_owned() };
    assert_eq!(health.check(request).await?.into_inner().status, 1);
    use tonic_reflection::pb::{v1, v1alpha};
    let ask = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    let ask = v1::ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let mut answer = client.server_reflection_info(tokio_stream::iter([ask])).await?.into_inner();
    let text = format!("{:?}", answer.message().await?);
    assert!(text.contains(account_service::NAME) && !text.contains("WithdrawService"), "{text}");
    let ask = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    let ask = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(ask) };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let mut answer = client.server_reflection_info(tokio_stream::iter([ask])).await?.into_inner();
    assert!(format!("{:?}", answer.message().await?).contains(account_service::NAME));
    s.stop_and_verify().await
}
