//! Payouts through the real adapters against the simulator, which is a process and a file of its own: an
//! independent witness of what was paid (guarantees G8, G9, G14).
//!
//! A matrix of provider faults in every state of a withdrawal, and random payouts with random faults while the
//! withdraw service is killed again and again. Never: paid twice, or paid and returned, by the
//! simulator's own books. The matrix runs on SQLite, random payouts on PostgreSQL, where batches are written
//! on trust (decision 0020). `CASHOUT_PAYOUTS=10000 cargo test --release -p cashout --test payouts` is
//! the long run; without the variable a part of it runs.

mod drive;
mod judge;
#[path = "../end_to_end/support/process.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod process;
mod scripts;
mod system;

use cashout_common::random::Random;

use drive::{Plan, drive};
use system::System;

/// Random payouts unless `CASHOUT_PAYOUTS` says how many.
const USUAL: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_in_every_state_ends_right_by_the_providers_own_books() -> anyhow::Result<()> {
    let cases = scripts::matrix();
    anyhow::ensure!(cases.len() >= 600, "{} cases", cases.len());
    let system = System::start("matrix", false).await?;
    let plan = Plan { payouts: cases, killed_every: None };
    let judged = drive(&system, plan, &Random::seeded(1)).await?;
    println!("{judged}");
    system.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn random_payouts_with_random_faults_and_kills_are_never_paid_twice_nor_paid_and_returned()
-> anyhow::Result<()> {
    let payouts = match std::env::var("CASHOUT_PAYOUTS") {
        Ok(given) => given.parse()?,
        Err(_) => USUAL,
    };
    let seed = match std::env::var("CASHOUT_TEST_SEED") {
        Ok(given) => given.parse()?,
        Err(_) => u64::from_be_bytes(Random::from_os().bytes::<8>()),
    };
    println!("CASHOUT_TEST_SEED={seed}");
    let random = Random::seeded(seed);
    let cases = scripts::random(payouts, &random);
    let system = System::start("random", true).await?;
    let plan = Plan { payouts: cases, killed_every: Some(drive::KILLED_EVERY) };
    let judged = drive(&system, plan, &random).await?;
    println!("{} kills; {judged}", system.kills.load(std::sync::atomic::Ordering::Relaxed));
    system.stop().await
}
