//! The whole system in one process, and the operator's commands: composition and nothing else.
//!
//! Must not know: any SQL, any rule about money, any JSON body. What it knows is how the three
//! services are put together and where they are found.

mod cross_check;
mod demo;
mod probe;
mod reconcile;
mod sandbox;
mod serve;
pub mod settings;
mod token;
mod verify;

use std::io::Write;
use std::process::ExitCode;

use cashout_common::run::block_on;
use cashout_common::settings::{Mistakes, Values, with_flags};
use clap::{ArgMatches, Command};

pub use demo::{Told, play};
pub use reconcile::{Asked, reconcile};
pub use serve::{Config, System, start};
pub use verify::verify;

/// What the program does, from its arguments to its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let flags = command().get_matches();
    // Settings are global flags: the innermost command has seen all of them.
    let (name, matches) = flags.subcommand().unwrap_or(("serve", &flags));
    let values = Values::collect(&settings::table(), matches);
    match name {
        "token" => print_line(token::token(values, matches)),
        "demo" => block_on(async { print_line(demo::demo(values).await) }),
        "sandbox" => sandbox::command(values),
        "verify" => block_on(verify::command(values, matches.get_flag("json"))),
        "reconcile" => block_on(reconcile::command(values, matches)),
        _ => serve::command(values),
    }
}

fn command() -> Command {
    let serve = Command::new("serve").about("Run everything in this process (the default)");
    let demo = Command::new("demo").about(
        "Create the people of the three documents in a running system; again changes nothing",
    );
    let sandbox = Command::new("sandbox").about(
        "Run the simulated WeChat Pay and Alipay: real protocols, made-up keys, books of their own",
    );
    let command = Command::new("cashout")
        .about("Cash-outs on a real ledger: three services in one process")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands([
            serve,
            token::arguments(),
            demo,
            verify::arguments(),
            reconcile::arguments(),
            sandbox,
        ]);
    with_flags(command, &settings::table())
}

/// Prints what a command answers and nothing else, or why it cannot, on standard error.
fn print_line(answer: anyhow::Result<String>) -> ExitCode {
    match answer {
        // Whoever reads may stop reading, as `head` does.
        Ok(line) => match writeln!(std::io::stdout(), "{line}") {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("cashout: {error:#}");
            exit_code(&error)
        }
    }
}

/// 2 when the settings are wrong, 1 for everything else.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<Mistakes>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Whether a command's flags hold what was asked for, for arguments that may be repeated.
fn many(matches: &ArgMatches, name: &str) -> Vec<String> {
    matches.get_many::<String>(name).map(|all| all.cloned().collect()).unwrap_or_default()
}
