//! The comparison: drives the real account service and a textbook ledger side by side, over the same
//! transport, on the same engine with the same durability, and tells how they relate.
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
mod load;
mod machine;
mod measure;
mod pressure;
mod process;
mod raw;
mod report;
mod running;
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
        Order::Echo(listen) => surface::serve("echo", listen, echo::Echo).await,
        Order::Compare(plan) => {
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
        build()?;
    }
    target::service()?;
    Engine::start(plan.engine, &plan.directory).await
}

/// Runs the scenarios, and tells what they showed; after Ctrl-C or a failure, those that were finished.
/// Servers end with the values that hold them, however this ends.
async fn all(plan: &Plan, engine: &Engine, stop: &CancellationToken) -> anyhow::Result<()> {
    let effort = Effort::of(plan.seconds, plan.seed);
    let mut comparisons = Vec::new();
    let mut end = Ok(());
    for (number, scenario) in plan.scenarios.iter().enumerate() {
        eprintln!("bench: {} of {}: {}", number + 1, plan.scenarios.len(), scenario.name);
        let done = tokio::select! {
            done = compare(scenario, number, engine, effort) => done,
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
    let machine = machine::Machine::here();
    let report = Report { machine, engine: engine.description.clone(), effort, comparisons };
    print!("{}", report.markdown()?);
    if let Some(path) = &plan.json {
        std::fs::write(path, report.json()?).with_context(|| path.display().to_string())?;
    }
    let faults = report.faults();
    anyhow::ensure!(faults.is_empty(), "these figures do not count:\n{}", faults.join("\n"));
    end
}

/// Under `cargo run`, brings the service up to date: cargo builds only this package, and an old service
/// would be measured without a word.
fn build() -> anyhow::Result<()> {
    let Some(cargo) = std::env::var_os("CARGO") else { return Ok(()) };
    let built =
        Command::new(cargo).args(["build", "--release", "-p", "account-service"]).status()?;
    anyhow::ensure!(built.success(), "the account service does not build");
    Ok(())
}
