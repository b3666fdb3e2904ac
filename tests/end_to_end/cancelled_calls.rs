//! Callers that go away in the middle: nothing answered is lost, nothing is done twice, and no
//! connection is left inside a transaction (docs/decisions/0008).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use cashout_common::random::Random;
use sqlx::Connection;

use crate::support::people::{MANUAL, cash, income};
use crate::support::web::{self, user};
use crate::support::{Stack, every_engine, until};

const CALLERS: u64 = 8;
const CALLS: u64 = 400;
const REQUESTS: u64 = 40;

/// A seed that a failed run tells and `CASHOUT_TEST_SEED` repeats.
fn seed() -> anyhow::Result<u64> {
    let seed = match std::env::var("CASHOUT_TEST_SEED") {
        Ok(text) => text.parse()?,
        Err(_) => Random::from_os().below(1 << 32),
    };
    println!("CASHOUT_TEST_SEED={seed}");
    Ok(seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_cancelled_at_random_moments_lose_and_leak_nothing() -> anyhow::Result<()> {
    let seed = seed()?;
    for stack in every_engine("cancel", &[]).await? {
        let stack = Arc::new(stack);
        stack.rich(1, 100).await?;
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(call(stack.clone(), caller, Random::seeded(seed + caller)));
        }
        let mut answered = HashSet::new();
        while let Some(done) = callers.join_next().await {
            answered.extend(done??);
        }
        let answered = Arc::new(answered);
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(call_again(stack.clone(), caller, answered.clone()));
        }
        while let Some(done) = callers.join_next().await {
            done??;
        }
        let all = i64::try_from(CALLERS * CALLS)?;
        assert_eq!(stack.balance(1).await?, (100 + all, 0), "seed {seed}");
        nothing_left_open(&stack).await?;
        Arc::into_inner(stack).context("everybody is done")?.stop().await?;
    }
    Ok(())
}

/// Calls and goes away after a random time, by dropping the call or by a deadline in it.
async fn call(stack: Arc<Stack>, caller: u64, random: Random) -> anyhow::Result<Vec<String>> {
    let mut accounts = stack.accounts()?;
    let mut answered = Vec::new();
    for number in 0..CALLS {
        let key = format!("c:{caller}:{number}");
        let patience = Duration::from_micros(random.below(6_000));
        let mut request = tonic::Request::new(income(&key, 1, 1));
        if random.below(2) == 0 {
            request.set_timeout(patience);
            if accounts.post_transfer(request).await.is_ok() {
                answered.push(key);
            }
        } else if let Ok(Ok(_)) =
            tokio::time::timeout(patience, accounts.post_transfer(request)).await
        {
            answered.push(key);
        }
    }
    Ok(answered)
}

/// Every call again, in peace: the answered ones were kept, the others happen once.
async fn call_again(
    stack: Arc<Stack>,
    caller: u64,
    answered: Arc<HashSet<String>>,
) -> anyhow::Result<()> {
    let mut accounts = stack.accounts()?;
    for number in 0..CALLS {
        let key = format!("c:{caller}:{number}");
        let again = accounts.post_transfer(income(&key, 1, 1)).await?.into_inner();
        assert!(again.replayed || !answered.contains(&key), "{key} was answered and lost");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_cancelled_at_random_moments_cash_out_once() -> anyhow::Result<()> {
    let seed = seed()?;
    for stack in every_engine("cancelhttp", &[]).await? {
        let stack = Arc::new(stack);
        stack.rich(1, 100_000).await?;
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(request(stack.clone(), caller, Random::seeded(seed + caller)));
        }
        let mut answered = HashSet::new();
        while let Some(done) = callers.join_next().await {
            answered.extend(done??);
        }
        for caller in 0..CALLERS {
            for number in 0..REQUESTS {
                let key = format!("c:{caller}:{number}");
                let again = stack.cash_out(1, "0.01", MANUAL, &key).await?;
                assert_eq!(again.status, 200, "{}", again.body);
                assert!(again.replayed || !answered.contains(&key), "{key} was answered and lost");
            }
        }
        let all = i64::try_from(CALLERS * REQUESTS)?;
        assert_eq!(stack.balance(1).await?, (100_000 - all, all), "seed {seed}");
        nothing_left_open(&stack).await?;
        Arc::into_inner(stack).context("everybody is done")?.stop().await?;
    }
    Ok(())
}

async fn request(stack: Arc<Stack>, caller: u64, random: Random) -> anyhow::Result<Vec<String>> {
    let mut answered = Vec::new();
    for number in 0..REQUESTS {
        let key = format!("c:{caller}:{number}");
        let request = stack
            .request(reqwest::Method::POST, &user(1), "/api/wallet/cash")?
            .header("idempotency-key", &key)
            .header("content-type", "application/json")
            .body(cash("0.01", MANUAL));
        let patience = Duration::from_micros(random.below(30_000));
        let asked = tokio::time::timeout(patience, web::send(request)).await;
        if asked.is_ok_and(|answer| answer.is_ok_and(|a| a.status == 200)) {
            answered.push(key);
        }
    }
    Ok(answered)
}

/// No connection stays inside a transaction.
async fn nothing_left_open(stack: &Stack) -> anyhow::Result<()> {
    if stack.engine() != "postgres" {
        return Ok(());
    }
    let url = stack.account_url();
    until("no connection is idle in a transaction", || async {
        let mut conn = sqlx::PgConnection::connect(url).await?;
        let open: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' \
             AND datname LIKE 'cashout_test_%cancel%'",
        )
        .fetch_one(&mut conn)
        .await?;
        Ok((open == 0).then_some(()))
    })
    .await
}
