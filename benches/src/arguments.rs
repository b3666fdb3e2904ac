//! What is asked for on the command line. Must not know: how it is done.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::engine::Kind;
use crate::load::scenario::{SCENARIOS, Scenario, named};

/// What to do.
pub enum Order {
    /// Compare.
    Compare(Plan),
    /// Be the baseline, on this database, with the accounts of so many people.
    Baseline(SocketAddr, String, i64),
    /// Be the echo.
    Echo(SocketAddr),
}

/// What to compare.
pub struct Plan {
    /// On which engine.
    pub engine: Kind,
    /// In which scenarios.
    pub scenarios: Vec<Scenario>,
    /// How long each server is measured in each scenario, seconds.
    pub seconds: u32,
    /// Where chance begins.
    pub seed: u64,
    /// Where everything is written as JSON.
    pub json: Option<PathBuf>,
    /// Where databases are made.
    pub directory: PathBuf,
}

/// Reads the process's arguments.
pub fn read() -> anyhow::Result<Order> {
    order(&command().get_matches())
}

fn order(given: &ArgMatches) -> anyhow::Result<Order> {
    let text = |from: &ArgMatches, name| from.get_one::<String>(name).cloned().unwrap_or_default();
    match given.subcommand() {
        Some(("baseline", own)) => {
            let people = own.get_one("people").copied().unwrap_or_default();
            Ok(Order::Baseline(text(own, "listen").parse()?, text(own, "database-url"), people))
        }
        Some(("echo", own)) => Ok(Order::Echo(text(own, "listen").parse()?)),
        _ => {
            let names = given.get_many::<String>("scenario").unwrap_or_default();
            let path = |name| given.get_one::<PathBuf>(name).cloned();
            let postgres = text(given, "engine") == "postgres";
            Ok(Order::Compare(Plan {
                engine: if postgres { Kind::Postgres } else { Kind::Sqlite },
                scenarios: named(&names.cloned().collect::<Vec<_>>())?,
                seconds: given.get_one("seconds").copied().unwrap_or(1),
                seed: given.get_one("seed").copied().unwrap_or(1),
                json: path("json"),
                directory: path("directory").unwrap_or_else(std::env::temp_dir),
            }))
        }
    }
}

fn command() -> Command {
    let names: Vec<&str> = SCENARIOS.iter().map(|s| s.name).collect();
    let listen = || Arg::new("listen").long("listen").default_value("127.0.0.1:0");
    let url = Arg::new("database-url").long("database-url").required(true);
    let people = Arg::new("people").long("people").value_parser(value_parser!(i64));
    Command::new("bench")
        .about("Compares the account service with a textbook ledger, side by side in one run")
        .args([
            Arg::new("engine")
                .long("engine")
                .value_parser(["sqlite", "postgres"])
                .default_value("sqlite")
                .help("PostgreSQL is a throw-away server of this run, with fsync"),
            Arg::new("scenario")
                .long("scenario")
                .value_name("NAME,..")
                .value_delimiter(',')
                .action(clap::ArgAction::Append)
                .help(format!(
                    "Only these of {}; a million accounts take minutes to prepare, so \
                     credit-256-million runs only when it is named",
                    names.join(", ")
                )),
            Arg::new("seconds")
                .long("seconds")
                .value_parser(value_parser!(u32).range(1..=3600))
                .default_value("10")
                .help("How long each server is measured in each scenario"),
            Arg::new("json")
                .long("json")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Also write everything that was measured"),
            Arg::new("seed")
                .long("seed")
                .value_parser(value_parser!(u64))
                .default_value("1")
                .help("Same seed, same accounts in the same order"),
            Arg::new("directory")
                .long("directory")
                .value_parser(value_parser!(PathBuf))
                .help("Where databases are made; a real disk [default: the temporary directory]"),
        ])
        .subcommands([
            Command::new("baseline").hide(true).args([listen(), url, people]),
            Command::new("echo").hide(true).arg(listen()),
        ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_mean_what_the_help_says() -> anyhow::Result<()> {
        let line = "bench --engine postgres --scenario credit-1,zipf-256 --seconds 3 --seed 9";
        let Order::Compare(plan) = order(&command().try_get_matches_from(line.split(' '))?)? else {
            anyhow::bail!("not a comparison");
        };
        assert_eq!(plan.engine, Kind::Postgres);
        assert_eq!((plan.scenarios.len(), plan.seconds, plan.seed), (2, 3, 9));
        for wrong in ["bench --engine mysql", "bench --seconds 0", "bench baseline"] {
            assert!(command().try_get_matches_from(wrong.split(' ')).is_err(), "{wrong}");
        }
        let unknown = command().try_get_matches_from(["bench", "--scenario", "credit-7"])?;
        assert!(order(&unknown).is_err());
        Ok(())
    }
}
