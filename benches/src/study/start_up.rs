//! Start-up: from the start of a process until it says that it serves, for each service on empty
//! databases, and for the account service on a ledger that has been in use.
//!
//! Must not know: what a service does meanwhile.

use std::time::Instant;

use super::cash_outs::system::{gateway, withdraw};
use super::filling::Filled;
use super::finding::{Finding, Number};
use super::probe::{ACCOUNT, WITHDRAW, ready, serving};
use super::programs::{self, ANY_PORT};
use super::{Bench, Shown};
use crate::process::Process;
use crate::summary::median;

/// So often at least.
const STARTS: u32 = 5;
const PEOPLE: i64 = 10_000;
/// Entries of the ledger in use: more only take longer to make, see the study of growth.
const ENTRIES: u64 = 100_000;
/// For tokens that nobody ever makes.
const SECRET: &str = "no token is ever signed with this secret";

/// Carries the study out.
pub async fn run(bench: &Bench<'_>) -> anyhow::Result<Shown> {
    let starts = bench.effort.rounds.max(STARTS);
    let used = Filled::make(bench, "studystartused", PEOPLE, ENTRIES).await?;
    let (mut account, mut in_use) = (Vec::new(), Vec::new());
    let (mut cash_outs, mut front) = (Vec::new(), Vec::new());
    for number in 0..starts {
        let (ledger, books) = (format!("studystart{number}"), format!("studystartcash{number}"));
        let (ledger_url, books_url) =
            (bench.engine.fresh(&ledger).await?, bench.engine.fresh(&books).await?);
        let began = Instant::now();
        let first = programs::account(ANY_PORT, &ledger_url)?;
        serving(&first.address, ACCOUNT).await?;
        account.push(us(began)?);

        let began = Instant::now();
        let second = withdraw(&books_url, &first.address)?;
        serving(&second.address, WITHDRAW).await?;
        cash_outs.push(us(began)?);

        let began = Instant::now();
        let third = gateway(&first.address, &second.address, SECRET)?;
        ready(&third.address).await?;
        front.push(us(began)?);
        end([third, second, first]).await?;
        bench.engine.remove(&ledger).await?;
        bench.engine.remove(&books).await?;

        // A second instance beside the one that made the ledger; it only starts.
        let began = Instant::now();
        let again = programs::account(ANY_PORT, &used.url)?;
        serving(&again.address, ACCOUNT).await?;
        in_use.push(us(began)?);
        end([again]).await?;
    }
    let used_name = format!("account-service, {PEOPLE} accounts and {ENTRIES} entries");
    let mut shown = Shown::default();
    for (what, took_us) in [
        ("account-service, empty database".to_owned(), account),
        (used_name, in_use),
        ("withdraw-service, empty database".to_owned(), cash_outs),
        ("gateway".to_owned(), front),
    ] {
        let worst = took_us.iter().copied().max().unwrap_or_default();
        let middle = Number::Us(median(took_us));
        shown.findings.push(Finding::new(format!("{what}, median"), middle));
        let told = format!("{what}, worst of {starts}");
        shown.findings.push(Finding::new(told, Number::Us(worst)));
    }
    used.end(bench.engine, 0, &mut shown).await?;
    Ok(shown)
}

async fn end<const N: usize>(processes: [Process; N]) -> anyhow::Result<()> {
    for process in processes {
        process.end().await?;
    }
    Ok(())
}

fn us(began: Instant) -> anyhow::Result<u64> {
    Ok(u64::try_from(began.elapsed().as_micros())?)
}
