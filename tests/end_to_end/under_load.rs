//! `verify` raises no false alarm while money moves: it reads two databases that never stand still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::support::people::{MANUAL, WECHAT, income};
use crate::support::web::admin;
use crate::support::{Stack, every_engine};

const PEOPLE: i64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_nothing_wrong_while_money_moves() -> anyhow::Result<()> {
    for stack in every_engine("load", &[]).await? {
        let stack = Arc::new(stack);
        let over = Arc::new(AtomicBool::new(false));
        let mut moving = tokio::task::JoinSet::new();
        for person in 1..=PEOPLE {
            stack.rich(person, 100_000).await?;
            stack.bound(person, &format!("pays-{person}")).await?;
            moving.spawn(keep_moving(stack.clone(), person, over.clone()));
        }
        for _ in 0..5 {
            stack.verified().await?;
        }
        over.store(true, Ordering::Relaxed);
        while let Some(done) = moving.join_next().await {
            done??;
        }
        Arc::into_inner(stack).context("everybody is done")?.stop().await?;
    }
    Ok(())
}

/// Income, cash-outs of every end, one after the other until it is over.
async fn keep_moving(stack: Arc<Stack>, person: i64, over: Arc<AtomicBool>) -> anyhow::Result<()> {
    let mut round = 0;
    while !over.load(Ordering::Relaxed) && round < 400 {
        round += 1;
        let key = format!("load:{person}:{round}");
        stack.accounts()?.post_transfer(income(&key, person, 7)).await?;
        let paid = stack.requested(person, "0.05", WECHAT).await?;
        let refused = stack.requested(person, "0.03", MANUAL).await?;
        let cancelled = stack.requested(person, "0.02", MANUAL).await?;
        stack.reviewed(&admin(99), paid, 2).await?;
        stack.reviewed(&admin(99), refused, 3).await?;
        let answer = stack.cancelled(person, cancelled).await?;
        anyhow::ensure!(answer.status == 200, "{}", answer.body);
    }
    Ok(())
}
