//! The account service as a process of its own.

use std::process::ExitCode;

use account_service::{Config, SETTINGS, start};

fn main() -> ExitCode {
    let about = "Balances, holds and statements on a double-entry ledger";
    cashout_common::run::service("account", about, SETTINGS, Config::read, start)
}
