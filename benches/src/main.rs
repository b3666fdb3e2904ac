//! The comparison: drives the real account service and a textbook ledger side by side, over the same
//! transport, on the same engine with the same durability, and tells how they relate. Studies of the
//! whole system follow.
//!
//! Every server is a process of its own; this one is the load generator. Must not know: the inside of
//! the service it measures, except for its own checks of its guarantees.

mod arguments;
mod baseline;
mod check;
mod comparison;
mod echo;
mod engine;
mod goal;
mod instructions;
mod load;
mod machine;
mod measure;
mod pressure;
mod process;
mod raw;
mod report;
mod running;
mod study;
mod summary;
mod surface;
mod tables;
mod target;

use std::process::{Command, ExitCode};

use anyhow::Context;
use cashout_common::clock::Clock;
use cashout_common::run::block_on;
use cashout_common::serve::stop_signal;
use cashout_common::settings::{SHARED, Values};
use cashout_common::telemetry;

use arguments::{Order, Plan};
use comparison::{Effort, compare};
use engine::Engine;
use report::Report;
use study::{Bench, Studied};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    // Only warnings, like the service under test: a line per call would be measured along.
    telemetry::start(&mut Values::given(SHARED, &[("CASHOUT_LOG", "warn")]));
    block_on(async {
        match run().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("bench: {error:#}");
                ExitCode::FAILURE
            }
        }
    })
}

async fn run() -> anyhow::Result<()> {
    match arguments::read()? {
        Order::Baseline(listen, url, people) => {
            let server = baseline::Textbook::open(&url, Clock::system()).await?;
            server.open_everybody(people).await?;
            surface::serve("baseline", listen, server).await
        }
        Order::Instructions(update) => instructions::guard(update),
        Order::Work(work, operations) => {
            // It drives a thread of its own, as far as it needs one.
            tokio::task::spawn_blocking(move || work.run(operations)).await?
        }
        Order::BaselineCashOuts { listen, url, ledger, people } => {
            study::cash_outs::textbook::serve(listen, &url, &ledger, people).await
        }
        Order::Echo(listen) => surface::serve("echo", listen, echo::Echo).await,
        Order::Compare(mut plan) => {
            plan.beside = plan.beside.as_deref().map(target::other).transpose()?;
            let stop = stop_signal();
            let started = prepared(&plan);
            let engine = tokio::select! {
                engine = started => engine?,
                () = stop.cancelled() => anyhow::bail!("stopped"),
            };
            all(&plan, &engine, &stop).await
        }
    }
}

/// The service, built, and the engine, running.
async fn prepared(plan: &Plan) -> anyhow::Result<Engine> {
    if cfg!(debug_assertions) {
        eprintln!("bench: built without --release; the figures mean nothing");
    } else {
        build(plan)?;
    }
    target::service()?;
    Engine::start(plan.engine, &plan.directory).await
}

/// Runs the scenarios, and tells what they showed; after Ctrl-C or a failure, those that were finished.
/// Servers end with the values that hold them, however this ends.
async fn all(plan: &Plan, engine: &Engine, stop: &CancellationToken) -> anyhow::Result<()> {
    let beside = plan.beside.as_deref();
    let effort = match beside {
        Some(_) => Effort::in_short_turns(plan.seconds, plan.seed),
        None => Effort::of(plan.seconds, plan.seed),
    };
    let mut comparisons = Vec::new();
    let mut end = Ok(());
    for (number, scenario) in plan.scenarios.iter().enumerate() {
        eprintln!("bench: {} of {}: {}", number + 1, plan.scenarios.len(), scenario.name);
        let done = tokio::select! {
            done = compare(scenario, number, engine, effort, beside) => done,
            () = stop.cancelled() => Err(anyhow::anyhow!("stopped before the end")),
        };
        match done {
            Ok(comparison) => comparisons.push(comparison),
            Err(error) => {
                end = Err(error);
                break;
            }
        }
    }
    let mut studies = Vec::new();
    if end.is_ok() {
        end = study(plan, engine, effort, stop, &mut studies).await;
    }
    let machine = machine::Machine::here();
    let engine = engine.description.clone();
    let report = Report { machine, engine, effort, comparisons, studies };
    print!("{}", report.markdown()?);
    if let Some(path) = &plan.json {
        std::fs::write(path, report.json()?).with_context(|| path.display().to_string())?;
    }
    let faults = report.faults();
    anyhow::ensure!(faults.is_empty(), "these figures do not count:\n{}", faults.join("\n"));
    end
}

/// Carries out the studies that mean something on this engine, one after the other.
async fn study(
    plan: &Plan,
    engine: &Engine,
    effort: Effort,
    stop: &CancellationToken,
    studies: &mut Vec<Studied>,
) -> anyhow::Result<()> {
    let bench = Bench { engine, effort, entries: plan.entries };
    for study in plan.studies.iter().filter(|study| study.engines.contains(&plan.engine)) {
        eprintln!("bench: study: {}", study.name);
        let studied = tokio::select! {
            done = study.carry_out(&bench) => done.context(study.name)?,
            () = stop.cancelled() => anyhow::bail!("stopped before the end"),
        };
        studies.push(studied);
    }
    Ok(())
}

/// Under `cargo run`, brings the services up to date: cargo builds only this package, and an old service
/// would be measured without a word.
fn build(plan: &Plan) -> anyhow::Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let mut programs = vec!["account-service"];
    if !plan.studies.is_empty() {
        programs.extend(study::PROGRAMS);
    }
    let packages = programs.iter().flat_map(|name| ["-p", name]);
    let built = Command::new(cargo).args(["build", "--release"]).args(packages).status()?;
    anyhow::ensure!(built.success(), "{} do not build", programs.join(", "));
    Ok(())
}
