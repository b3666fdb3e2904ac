//! Recovery: the account service is killed with `kill -9` under full load and started again at once, as
//! a supervisor would; its callers repeat the same key until they are answered.
//!
//! Afterwards every answered call must be there exactly once. Must not know: how the service recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use cashout_common::clock::Clock;
use cashout_common::peer::channel;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tonic::Code;

use super::finding::{Finding, Number};
use super::people::{Holdings, holdings};
use super::probe::{ACCOUNT, serving};
use super::programs::{self, ANY_PORT};
use super::{Bench, Shown};
use crate::check::verify;
use crate::load::request::{credit, key};
use crate::load::{Client, prepare};
use crate::summary::median;

const IN_FLIGHT: usize = 256;
const PEOPLE: i64 = 10_000;
const CHANNELS: usize = 4;
/// So often at least: a worst case of fewer says little.
const KILLS: u32 = 5;
/// Before a call that was not answered is repeated.
const PAUSE: Duration = Duration::from_millis(20);
/// A call that is not answered in this time never is.
const PATIENCE: Duration = Duration::from_secs(60);

const READY: Number = Number::Us(2_000_000);
const MOVING: Number = Number::Us(5_000_000);

/// What the callers share with who watches them.
struct Watch {
    began: Instant,
    over: AtomicBool,
    /// Of each caller, when the last call that was answered had been sent, microseconds since `began`.
    answered: Vec<AtomicU64>,
}

/// What the callers saw in all.
#[derive(Debug, Default)]
struct Seen {
    /// Keys that were answered.
    answered: u64,
    /// Of those, whose effect an earlier call had that got no answer.
    replayed: u64,
    /// Calls that got no answer.
    repeated: u64,
}

/// Carries the study out.
pub async fn run(bench: &Bench<'_>) -> anyhow::Result<Shown> {
    let name = "studyrecovery";
    let url = bench.engine.fresh(name).await?;
    let mut process = programs::account(ANY_PORT, &url)?;
    let address = process.address.clone();
    let listen = address.trim_start_matches("http://");
    let channels = (0..CHANNELS).map(|_| Ok(AccountServiceClient::new(channel(&address)?)));
    let clients: Vec<Client> = channels.collect::<anyhow::Result<_>>()?;
    prepare(&clients, PEOPLE, 0, bench.effort.seed).await?;

    let (watch, callers) = begin(&clients, bench.effort.seed);
    let (mut ready_us, mut moving_us) = (Vec::new(), Vec::new());
    for _ in 0..bench.effort.rounds.max(KILLS) {
        tokio::time::sleep(Duration::from_millis(bench.effort.round_ms)).await;
        let killed = Instant::now();
        tokio::task::block_in_place(|| process.kill())?;
        let gone = Instant::now();
        process = programs::account(listen, &url)?;
        serving(&address, ACCOUNT).await?;
        ready_us.push(us(killed.elapsed()));
        watch.all_answered_since(gone).await?;
        moving_us.push(us(killed.elapsed()));
    }
    watch.over.store(true, Ordering::Relaxed);
    let mut seen = Seen::default();
    for caller in callers {
        let one = caller.await?.context("a caller")?;
        seen.answered += one.answered;
        seen.replayed += one.replayed;
        seen.repeated += one.repeated;
    }
    let lasted_us = us(watch.began.elapsed());
    let first = clients.first().context("a client")?;
    let found = holdings(first, PEOPLE).await?;
    drop(clients);
    process.end().await?;
    let verified = verify(&url).await.context("verifying the ledger")?;
    bench.engine.remove(name).await?;

    let mut shown = told(&seen, found, ready_us, moving_us);
    let rate = (seen.answered * 1_000_000).checked_div(lasted_us).unwrap_or_default();
    let what = format!("calls answered meanwhile, {IN_FLIGHT} in flight, kills included");
    shown.findings.push(Finding::new(what, Number::PerSecond(rate)));
    shown.checks.push(format!("verify: {} violations", verified.violations));
    if verified.violations > 0 {
        shown.faults.push(format!("promises are broken: {:?}", verified.examples));
    }
    Ok(shown)
}

fn told(seen: &Seen, found: Holdings, ready_us: Vec<u64>, moving_us: Vec<u64>) -> Shown {
    let kills = ready_us.len();
    let worst = |all: &[u64]| Number::Us(all.iter().copied().max().unwrap_or_default());
    let (ready_worst, moving_worst) = (worst(&ready_us), worst(&moving_us));
    let findings = vec![
        Finding::new("kill to SERVING again, median", Number::Us(median(ready_us))).at_most(READY),
        Finding::new(format!("kill to SERVING again, worst of {kills}"), ready_worst)
            .at_most(READY),
        Finding::new("kill to every caller answered anew, median", Number::Us(median(moving_us)))
            .at_most(MOVING),
        Finding::new(format!("kill to every caller answered anew, worst of {kills}"), moving_worst)
            .at_most(MOVING),
    ];
    let Seen { answered, replayed, repeated } = *seen;
    let checks = vec![format!(
        "{answered} calls were answered and {} entries of 1 are there; {repeated} calls got no answer, \
         and the effect of {replayed} of them was there when they were repeated",
        found.entries,
    )];
    let once = found.entries == answered && u64::try_from(found.money_minor) == Ok(answered);
    let faults = if once { vec![] } else { vec![format!("{answered} answered, but {found:?}")] };
    Shown { findings, checks, faults }
}

type Callers = Vec<tokio::task::JoinHandle<anyhow::Result<Seen>>>;

fn begin(clients: &[Client], seed: u64) -> (Arc<Watch>, Callers) {
    let answered = (0..IN_FLIGHT).map(|_| AtomicU64::new(0)).collect();
    let watch = Arc::new(Watch { began: Instant::now(), over: AtomicBool::new(false), answered });
    let callers = (0..IN_FLIGHT).zip(clients.iter().cycle()).map(|(number, client)| {
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        tokio::spawn(calls(client.clone(), number, rng, watch.clone()))
    });
    let callers = callers.collect();
    (watch, callers)
}

/// One caller: a new key when the last was answered, the same key when it was not.
async fn calls(
    mut client: Client,
    number: usize,
    mut rng: StdRng,
    watch: Arc<Watch>,
) -> anyhow::Result<Seen> {
    let (clock, mut seen) = (Clock::system(), Seen::default());
    while !watch.over.load(Ordering::Relaxed) {
        let request = credit(key(&clock, &mut rng), rng.random_range(1..=PEOPLE), 1);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let sent = Instant::now();
            match client.post_transfer(request.clone()).await {
                Ok(answer) => {
                    seen.answered += 1;
                    seen.replayed += u64::from(answer.get_ref().replayed);
                    watch.note(number, sent);
                    break;
                }
                Err(status) if lost(status.code()) && sent < deadline => seen.repeated += 1,
                Err(status) => anyhow::bail!("refused: {status}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(seen)
}

/// Whether a status leaves open what became of the call; all others are answers.
fn lost(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::ResourceExhausted
    )
}

impl Watch {
    fn note(&self, caller: usize, sent: Instant) {
        if let Some(last) = self.answered.get(caller) {
            last.store(us(sent - self.began), Ordering::Relaxed);
        }
    }

    /// Waits until every caller has the answer to a call that was sent after `since`.
    async fn all_answered_since(&self, since: Instant) -> anyhow::Result<()> {
        let since_us = us(since - self.began);
        let deadline = Instant::now() + PATIENCE;
        while self.answered.iter().any(|last| last.load(Ordering::Relaxed) <= since_us) {
            anyhow::ensure!(Instant::now() < deadline, "a caller is not answered any more");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answered_call_that_is_missing_or_doubled_is_a_fault() {
        let seen = Seen { answered: 7, replayed: 1, repeated: 2 };
        for (entries, money_minor, right) in
            [(7, 7, true), (6, 6, false), (8, 8, false), (7, 8, false)]
        {
            let found = Holdings { accounts: 1, money_minor, entries };
            let shown = told(&seen, found, vec![3, 1, 2], vec![2_000_001]);
            assert_eq!(shown.faults.is_empty(), right, "{found:?}");
            let met: Vec<_> = shown.findings.iter().map(|f| f.met).collect();
            assert_eq!(met, [Some(true); 4]);
        }
    }

    #[test]
    fn only_what_may_have_had_an_effect_is_repeated() {
        assert!(lost(Code::Unavailable) && lost(Code::Unknown));
        assert!(!lost(Code::AlreadyExists) && !lost(Code::InvalidArgument));
    }
}
