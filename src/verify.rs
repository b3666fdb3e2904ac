//! `cashout verify`: checks the guarantees over both databases, from outside, under load if need be.
//!
//! Exit code 0 when every promise holds, 1 when one is broken, 2 when it could not finish. Must not
//! know: what a check looks at; the services check their own databases.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use account_service::FoundHolds;
use account_service::domain::HoldState;
use account_service::store::standing::FoundHold;
use cashout_common::report::Report;
use cashout_common::settings::Values;
use clap::{Arg, ArgAction, Command};
use withdraw_service::{ExpectedHold, ExpectedHolds, ExpectedState, HOLD_KEYS};

use crate::cross_check::{Agreement, Holds, Implied, Side, Standing, agreement};

/// What was in flight is looked at again after this time; a step takes far less.
const GRACE: Duration = Duration::from_secs(3);
/// Where so many cash-outs or holds look wrong, the two databases do not belong together, and no more is looked at.
const ENOUGH: usize = 10_000;

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
    let sides = Sides {
        cash_outs: ExpectedHolds::open(withdraw_url).await?,
        holds: FoundHolds::open(account_url).await?,
    };
    let seen = sides.compared().await;
    sides.cash_outs.close().await;
    sides.holds.close().await;
    report.checks.push(seen?.check());
    Ok(report)
}

/// Both databases, read page by page: whatever their size, a page of each is in memory.
struct Sides {
    cash_outs: ExpectedHolds,
    holds: FoundHolds,
}

impl Sides {
    /// Looks at everything, and at what is wrong once more after a while: the two databases are never read at the same
    /// moment, so what is between two steps looks wrong once. What is wrong stays wrong.
    async fn compared(&self) -> anyhow::Result<Agreement> {
        let started = Instant::now();
        let mut seen = Agreement::default();
        let mut after = Some(i64::MIN);
        while let Some(id) = after.filter(|_| seen.suspects.len() < ENOUGH) {
            let (page, until) = self.cash_outs.after(id).await?;
            let keys: Vec<String> = page.iter().map(|expected| expected.hold_key.clone()).collect();
            seen.add(self.look(&keys, implied(page)).await?);
            after = until;
        }
        let (mut after, mut more) = (None, true);
        while more && seen.suspects.len() < ENOUGH {
            let (page, until) = self.holds.after(HOLD_KEYS, after.as_deref()).await?;
            seen.add(self.orphans(page).await?);
            (more, after) = (until.is_some(), until);
        }
        let took = started.elapsed();
        if seen.suspects.is_empty() {
            return Ok(seen.taking(took));
        }
        tokio::time::sleep(GRACE).await;
        let started = Instant::now();
        let keys: Vec<String> = seen.suspects.keys().cloned().collect();
        let before = implied(self.cash_outs.under(&keys).await?);
        let again = self.look(&keys, before).await?;
        Ok(seen.confirmed_by(again).taking(took + started.elapsed()))
    }

    /// Reads holds, and then again the cash-outs that were read `before`: see [`agreement`].
    async fn look(&self, keys: &[String], before: Holds<Implied>) -> anyhow::Result<Agreement> {
        let found = standing(self.holds.of(keys).await?);
        let after = implied(self.cash_outs.under(keys).await?);
        Ok(agreement(&before, &found, &after))
    }

    /// Those of some holds that have no cash-out. A cash-out is there before its hold is.
    async fn orphans(&self, holds: Vec<FoundHold>) -> anyhow::Result<Agreement> {
        let keys: Vec<String> = holds.iter().map(|found| found.key.clone()).collect();
        let known = implied(self.cash_outs.under(&keys).await?);
        let alone = holds.into_iter().filter(|found| !known.contains_key(&found.key)).collect();
        Ok(agreement(&Holds::new(), &standing(alone), &known))
    }
}

/// What cash-outs imply about their holds.
fn implied(expected: Vec<ExpectedHold>) -> Holds<Implied> {
    let sides = expected.into_iter().map(|expected| {
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
    sides.collect()
}

/// What the ledger says of its holds.
fn standing(found: Vec<FoundHold>) -> Holds<Standing> {
    let sides = found.into_iter().map(|found| {
        let state = match found.state {
            HoldState::Open => Standing::Open,
            HoldState::Settled => Standing::Settled,
            HoldState::Released => Standing::Released,
        };
        let (user_id, amount_minor) = (found.user_id, found.amount_minor);
        (found.key, Side { user_id, amount_minor, state })
    });
    sides.collect()
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
