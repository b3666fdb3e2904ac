//! `cashout reconcile`: a provider's bill of a day against attempts and ledger, from outside.
//!
//! Exit code 0 when nothing waits for a person, 1 when something differs, 2 when it could not finish.
//! Must not know: how a bill is written, or what a difference is; the withdraw service knows.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use cashout_common::clock::Clock;
use cashout_common::settings::Values;
use cashout_common::world::World;
use clap::{Arg, ArgAction, ArgMatches, Command};
use withdraw_service::reconcile::{Day, LedgerPayout, Reading, Report, Source, fetch};

/// Payouts are made in it.
const CURRENCY: &str = "CNY";

/// What the command takes besides the settings.
pub fn arguments() -> Command {
    let provider = Arg::new("provider")
        .long("provider")
        .value_name("NAME")
        .required(true)
        .value_parser(|text: &str| text.parse::<Source>())
        .help("Whose bill: `wechat` or `alipay`");
    let bill = Arg::new("bill")
        .long("bill")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("The bill as downloaded; without it, it is fetched from the provider");
    let date = Arg::new("date")
        .long("date")
        .value_name("DAY")
        .required_unless_present("bill")
        .value_parser(Day::read)
        .help("The day it must be of, like 2020-03-03");
    let account = Arg::new("account").long("account").value_name("ID").help(
        "The account it must be of [default: ALIPAY_USER_ID], when the bill says whose it is",
    );
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON");
    Command::new("reconcile")
        .about("Compare a provider's bill of a day with attempts and ledger; nothing is moved")
        .args([provider, bill, date, account, json])
}

/// What is to be compared.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Whose bill.
    pub source: Source,
    /// The bill as the provider gives it.
    pub bill: Vec<u8>,
    /// The day it must be of.
    pub day: Option<Day>,
    /// The account it must be of.
    pub account: Option<String>,
}

/// Compares a bill with both databases, and records what differs.
///
/// # Errors
/// When the bill is refused, or a database cannot be read or written.
pub async fn reconcile(
    account_url: &str,
    withdraw_url: &str,
    asked: &Asked,
    clock: &Clock,
) -> anyhow::Result<Report> {
    let Asked { source, bill, day, account } = asked;
    let reading = Reading::new(*source, bill, *day, account.as_deref(), clock)?;
    let since_us = reading.ledger_since_us();
    let counter = source.counter_account();
    let left = account_service::payouts_found(account_url, counter, CURRENCY, since_us).await?;
    let ledger = left.into_iter().map(|payout| LedgerPayout {
        hold_key: payout.key,
        amount_minor: payout.amount_minor,
        at_us: payout.at_us,
    });
    withdraw_service::reconcile::reconcile(withdraw_url, &reading, ledger.collect(), clock).await
}

/// The command.
pub async fn command(mut values: Values, matches: &ArgMatches) -> ExitCode {
    let urls = (values.text("ACCOUNT_DATABASE_URL"), values.text("WITHDRAW_DATABASE_URL"));
    let file = matches.get_one::<PathBuf>("bill");
    let source = matches.get_one::<Source>("provider").copied();
    let user = values.text("ALIPAY_USER_ID");
    let account = matches.get_one::<String>("account").cloned();
    let account = account.or((source == Some(Source::Alipay) && !user.is_empty()).then_some(user));
    // Only who asks a provider needs to know how.
    let config = match file {
        Some(_) => Some(None),
        None => {
            crate::sandbox::suppose(&mut values);
            withdraw_service::Config::read(&mut values).map(Some)
        }
    };
    let config = match values.finish(config) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("cashout: the settings are wrong:\n{mistakes}");
            return ExitCode::from(2);
        }
    };
    let world = World::real();
    let compared = async {
        let source = source.context("--provider is missing")?;
        let day = matches.get_one::<Day>("date").copied();
        let bill = match (file, config) {
            (Some(file), _) => read(file)?,
            (None, Some(config)) => {
                let day = day.context("--date is missing")?;
                fetch(&config, source, day, &world).await.context("the bill cannot be fetched")?
            }
            (None, None) => anyhow::bail!("--bill is missing"),
        };
        let asked = Asked { source, bill, day, account };
        reconcile(&urls.0, &urls.1, &asked, &world.clock).await
    };
    match compared.await {
        Ok(report) => {
            print(&report, matches.get_flag("json"));
            if report.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("cashout: could not finish: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Most bytes of a bill's file: as much as one may have unpacked.
const MOST_BYTES: u64 = 256 << 20;

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(file).with_context(|| file.display().to_string())?.len();
    anyhow::ensure!(size <= MOST_BYTES, "{}: more than 256 MiB", file.display());
    std::fs::read(file).with_context(|| file.display().to_string())
}

fn print(report: &Report, json: bool) {
    if json {
        match serde_json::to_string_pretty(report) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("cashout: {error}"),
        }
    } else {
        print!("{report}");
    }
}
