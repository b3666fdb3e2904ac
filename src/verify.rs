//! `cashout verify`: checks the guarantees over both databases, from outside, under load if need be.
//!
//! Exit code 0 when every promise holds, 1 when one is broken, 2 when it could not finish. Must not
//! know: what a check looks at; the services check their own databases.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use account_service::domain::HoldState;
use cashout_common::report::Report;
use cashout_common::settings::Values;
use clap::{Arg, ArgAction, Command};
use withdraw_service::ExpectedState;

use crate::cross_check::{Agreement, Holds, Implied, Side, Standing, agreement};

/// What was in flight is looked at again after this time; a step takes far less.
const GRACE: Duration = Duration::from_secs(3);

/// What the command takes besides the settings.
pub fn arguments() -> Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON");
    Command::new("verify").about("Check the guarantees over both databases").arg(json)
}

/// Runs every check over both databases.
///
/// # Errors
/// When a database cannot be read to the end.
pub async fn verify(account_url: &str, withdraw_url: &str) -> anyhow::Result<Report> {
    let mut report = account_service::verify(account_url).await?;
    report.extend(withdraw_service::verify(withdraw_url).await?);
    let mut seen = look(account_url, withdraw_url).await?;
    if !seen.suspects.is_empty() {
        // The two databases are never read at the same moment, so what is between two steps looks
        // wrong once. What is wrong stays wrong.
        tokio::time::sleep(GRACE).await;
        seen = look(account_url, withdraw_url).await?.only(&seen.suspects);
    }
    report.checks.push(seen.check());
    Ok(report)
}

/// Reads the cash-outs before and after the holds: see [`agreement`].
async fn look(account_url: &str, withdraw_url: &str) -> anyhow::Result<Agreement> {
    let started = Instant::now();
    let before = implied(withdraw_url).await?;
    let found = standing(account_url).await?;
    let after = implied(withdraw_url).await?;
    Ok(agreement(&before, &found, &after, started.elapsed()))
}

/// What every cash-out implies about its hold.
async fn implied(withdraw_url: &str) -> anyhow::Result<Holds<Implied>> {
    let all = withdraw_service::holds_expected(withdraw_url).await?;
    let sides = all.into_iter().map(|expected| {
        let state = match expected.state {
            ExpectedState::None => Implied::None,
            ExpectedState::Open => Implied::Open,
            ExpectedState::Settled => Implied::Settled,
            ExpectedState::Released => Implied::Released,
            ExpectedState::InFlight => Implied::InFlight,
        };
        let (user_id, amount_minor) = (expected.user_id, expected.apply_minor);
        (expected.hold_key, Side { user_id, amount_minor, state })
    });
    Ok(sides.collect())
}

/// Every hold that the ledger has for a cash-out: their keys begin with `cash:`.
async fn standing(account_url: &str) -> anyhow::Result<Holds<Standing>> {
    let all = account_service::holds_found(account_url, "cash:").await?;
    let sides = all.into_iter().map(|found| {
        let state = match found.state {
            HoldState::Open => Standing::Open,
            HoldState::Settled => Standing::Settled,
            HoldState::Released => Standing::Released,
        };
        let (user_id, amount_minor) = (found.user_id, found.amount_minor);
        (found.key, Side { user_id, amount_minor, state })
    });
    Ok(sides.collect())
}

/// The command.
pub async fn command(values: Values, json: bool) -> ExitCode {
    let account = values.text("ACCOUNT_DATABASE_URL");
    let withdraw = values.text("WITHDRAW_DATABASE_URL");
    if let Err(mistakes) = values.finish(Some(())) {
        eprintln!("cashout: the settings are wrong:\n{mistakes}");
        return ExitCode::from(2);
    }
    match verify(&account, &withdraw).await {
        Ok(report) => {
            print(&report, json);
            if report.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("cashout: could not finish: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn print(report: &Report, json: bool) {
    if json {
        match serde_json::to_string_pretty(report) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("cashout: {error}"),
        }
    } else {
        print!("{report}");
        println!("{}", if report.clean() { "clean" } else { "VIOLATED" });
    }
}
