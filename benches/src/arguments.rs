//! What is asked for on the command line. Must not know: how it is done.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Arg, ArgMatches, Command, value_parser};

use crate::engine::Kind;
use crate::instructions::Work;
use crate::load::scenario::{SCENARIOS, Scenario, named};
use crate::study::{self, Study};

/// Entries of a long history unless told otherwise.
const ENTRIES: u64 = 1_000_000;

/// What to do.
pub enum Order {
    /// Compare.
    Compare(Plan),
    /// Be the baseline, on this database, with the accounts of so many people.
    Baseline(SocketAddr, String, i64),
    /// Be the textbook cash-out service.
    BaselineCashOuts {
        /// Where to listen.
        listen: SocketAddr,
        /// Its database.
        url: String,
        /// Where the textbook ledger answers.
        ledger: String,
        /// People who have a place where they are paid: then it is the careful one.
        people: Option<i64>,
    },
    /// Be the echo.
    Echo(SocketAddr),
    /// Count instructions and compare; true writes them down instead.
    Instructions(bool),
    /// Do a work so often, to be counted.
    Work(Work, usize),
}

/// What to compare.
pub struct Plan {
    /// On which engine.
    pub engine: Kind,
    /// In which scenarios.
    pub scenarios: Vec<Scenario>,
    /// Which studies follow.
    pub studies: Vec<&'static Study>,
    /// Entries of the long histories that studies make.
    pub entries: u64,
    /// How long each server is measured in each scenario, seconds.
    pub seconds: u32,
    /// Where chance begins.
    pub seed: u64,
    /// The program of another build of the account service: only it and ours are compared then.
    pub beside: Option<PathBuf>,
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
        Some(("baseline-cash-outs", own)) => Ok(Order::BaselineCashOuts {
            listen: text(own, "listen").parse()?,
            url: text(own, "database-url"),
            ledger: text(own, "ledger"),
            people: own.get_one("people").copied(),
        }),
        Some(("echo", own)) => Ok(Order::Echo(text(own, "listen").parse()?)),
        Some(("instructions", own)) => Ok(Order::Instructions(own.get_flag("update"))),
        Some(("work", own)) => {
            let work = Work::named(&text(own, "name")).context("there is no such work")?;
            Ok(Order::Work(work, text(own, "operations").parse()?))
        }
        _ => {
            let names = given.get_many::<String>("scenario").unwrap_or_default();
            let (studies, rest) = study::taken(names.cloned().collect());
            // Only studies were named: no scenario is meant, not all of them.
            let none = rest.is_empty() && given.contains_id("scenario");
            let known = || format!("the studies are {}", study::names().join(", "));
            let scenarios = if none { vec![] } else { named(&rest).with_context(known)? };
            let path = |name| given.get_one::<PathBuf>(name).cloned();
            let beside = path("beside");
            let (scenarios, studies) = match beside {
                Some(_) => (short(scenarios, &studies, given.contains_id("scenario"))?, vec![]),
                None => (scenarios, studies),
            };
            let postgres = text(given, "engine") == "postgres";
            Ok(Order::Compare(Plan {
                engine: if postgres { Kind::Postgres } else { Kind::Sqlite },
                scenarios,
                studies,
                entries: given.get_one("entries").copied().unwrap_or(ENTRIES),
                seconds: given.get_one("seconds").copied().unwrap_or(1),
                seed: given.get_one("seed").copied().unwrap_or(1),
                beside,
                json: path("json"),
                directory: path("directory").unwrap_or_else(std::env::temp_dir),
            }))
        }
    }
}

/// What two builds can be compared in; whoever named something else is told.
fn short(
    scenarios: Vec<Scenario>,
    studies: &[&Study],
    named: bool,
) -> anyhow::Result<Vec<Scenario>> {
    let (short, long): (Vec<_>, Vec<_>) =
        scenarios.into_iter().partition(Scenario::fits_short_turns);
    let names = long.iter().map(|s| s.name).chain(studies.iter().map(|s| s.name));
    let names: Vec<&str> = names.filter(|_| named).collect();
    anyhow::ensure!(names.is_empty(), "--beside cannot compare {}", names.join(", "));
    Ok(short)
}

fn command() -> Command {
    let names: Vec<&str> = SCENARIOS.iter().map(|s| s.name).chain(study::names()).collect();
    let listen = || Arg::new("listen").long("listen").default_value("127.0.0.1:0");
    let url = Arg::new("database-url").long("database-url").required(true);
    let ledger = Arg::new("ledger").long("ledger").required(true);
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
            Arg::new("entries")
                .long("entries")
                .value_parser(value_parser!(u64).range(20_000..=100_000_000))
                .help(
                    "Entries of the long histories of growth and statements; the full study has \
                       10000000, which takes a while to make [default: 1000000]",
                ),
            Arg::new("seconds")
                .long("seconds")
                .value_parser(value_parser!(u32).range(1..=3600))
                .default_value("10")
                .help("How long each server is measured in each scenario"),
            Arg::new("beside")
                .long("beside")
                .value_name("PROGRAM")
                .value_parser(value_parser!(PathBuf))
                .help(
                    "Tell what ours has of the throughput of another --release build of the account service, \
                     measured in turns of a quarter of a second, and nobody else's",
                ),
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
            Command::new("baseline").hide(true).args([listen(), url.clone(), people.clone()]),
            Command::new("baseline-cash-outs").hide(true).args([listen(), url, ledger, people]),
            Command::new("echo").hide(true).arg(listen()),
            Command::new("instructions")
                .about("Counts the instructions of the hot path under valgrind and compares")
                .arg(Arg::new("update").long("update").action(clap::ArgAction::SetTrue)),
            Command::new("work").hide(true).args([Arg::new("name"), Arg::new("operations")]),
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
        let beside = |names: &'static str| {
            command().try_get_matches_from(["bench", "--beside", "x", "--scenario", names])
        };
        let Order::Compare(plan) = order(&beside("credit-1")?)? else {
            anyhow::bail!("not a comparison");
        };
        assert!(plan.beside.is_some() && plan.studies.is_empty());
        for cannot in ["credit-1,recovery", "batch-1000", "overload,credit-1"] {
            assert!(order(&beside(cannot)?).is_err(), "{cannot}");
        }
        for wrong in ["bench --engine mysql", "bench --seconds 0", "bench baseline"] {
            assert!(command().try_get_matches_from(wrong.split(' ')).is_err(), "{wrong}");
        }
        let unknown = command().try_get_matches_from(["bench", "--scenario", "credit-7"])?;
        assert!(order(&unknown).is_err());
        Ok(())
    }
}
