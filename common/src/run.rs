//! A service as a process of its own: flags, settings, logs, start, drain at SIGTERM; and workers
//! that go on after a defect.

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::Command;
use futures::FutureExt;

use crate::serve::{Running, stop_signal};
use crate::settings::{SHARED, Setting, Values, with_flags};
use crate::world::World;

/// Runs one service until SIGTERM. `read` makes its configuration of the values, `start` starts it.
/// Exit code 2 means that the settings are wrong, 1 that the service could not start.
pub fn service<C, F>(
    name: &'static str,
    about: &'static str,
    table: &[Setting],
    read: impl FnOnce(&mut Values) -> Option<C>,
    start: impl FnOnce(C, World) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<Running>>,
{
    let table: Vec<Setting> = SHARED.iter().chain(table).copied().collect();
    let flags =
        with_flags(Command::new(name).about(about).version(env!("CARGO_PKG_VERSION")), &table);
    let mut values = Values::collect(&table, &flags.get_matches());
    crate::telemetry::start(&mut values);
    // Not every service needs it, but none starts with one that is wrong.
    let _ = values.read("CASHOUT_TIME_ZONE", crate::local::Zone::named);
    let metrics = crate::metrics::address(&mut values);
    let config = read(&mut values);
    let config = match values.finish(config) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("{name}: the settings are wrong:\n{mistakes}");
            return ExitCode::from(2);
        }
    };
    block_on(async {
        let stop = stop_signal();
        let metrics = match crate::metrics::serve(metrics).await {
            Ok(metrics) => metrics.map(|at| format!(" metrics=http://{at}/metrics")),
            Err(error) => {
                eprintln!("{name}: cannot start: {error:#}");
                return ExitCode::FAILURE;
            }
        };
        match start(config, World::real()).await {
            Ok(running) => {
                let metrics = metrics.unwrap_or_default();
                println!("ready {name}=http://{}{metrics}", running.address);
                stop.cancelled().await;
                running.stop().await;
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{name}: cannot start: {error:#}");
                ExitCode::FAILURE
            }
        }
    })
}

/// Runs a future on a multi-threaded runtime.
pub fn block_on(main: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(main),
        Err(error) => {
            eprintln!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a worker until it ends by itself. One that panics begins anew: what it had in hand is answered to nobody,
/// and who comes next is served.
pub async fn kept_up<W: Future<Output = ()>>(name: &'static str, mut worker: impl FnMut() -> W) {
    while AssertUnwindSafe(worker()).catch_unwind().await.is_err() {
        tracing::error!(name, "a worker ended badly; it begins anew");
    }
}

/// The same in a thread of its own, under that name: among the tasks of all calls, each answer of the database
/// would wait its turn to be seen.
///
/// # Errors
/// When the system has no thread or no runtime for it.
pub fn apart<W: Future<Output = ()>>(
    name: &'static str,
    worker: impl FnMut() -> W + Send + 'static,
) -> std::io::Result<()> {
    let (tell, begun) = std::sync::mpsc::sync_channel(1);
    // The runtime is made there: it must not be dropped among tasks, as it would be here when there is no thread.
    let work = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(own) => {
            let _ = tell.send(Ok(()));
            own.block_on(kept_up(name, worker));
        }
        Err(error) => drop(tell.send(Err(error))),
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
    begun.recv().unwrap_or_else(|_| Err(std::io::Error::other("the thread ended at once")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Mutex, mpsc, oneshot};

    use super::*;

    #[tokio::test]
    async fn a_worker_that_panics_begins_anew_and_who_comes_next_is_served() -> anyhow::Result<()> {
        let (ask, waiting) = mpsc::channel::<(u8, oneshot::Sender<u8>)>(1);
        let waiting = Arc::new(Mutex::new(waiting));
        apart("worker", move || {
            let waiting = waiting.clone();
            async move {
                let (mut waiting, mut served) = (waiting.lock().await, 0);
                while let Some((asked, answer)) = waiting.recv().await {
                    assert_ne!(asked, 0, "a defect");
                    served += 1;
                    let _ = answer.send(served);
                }
            }
        })?;
        for (asked, answered) in [(1, Some(1)), (1, Some(2)), (0, None), (1, Some(1))] {
            let (answer, answers) = oneshot::channel();
            ask.send((asked, answer)).await?;
            assert_eq!(answers.await.ok(), answered, "{asked}");
        }
        drop(ask);
        Ok(())
    }
}
