//! A service as a process of its own: flags, settings, logs, start, drain at SIGTERM.

use std::process::ExitCode;

use clap::Command;

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
        match start(config, World::real()).await {
            Ok(running) => {
                println!("ready {name}=http://{}", running.address);
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
