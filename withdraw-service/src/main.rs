//! The withdraw service as a process of its own.

use std::process::ExitCode;

use withdraw_service::{Config, SETTINGS, start};

fn main() -> ExitCode {
    let about = "Owns the cash-out from request to outcome";
    cashout_common::run::service("withdraw-service", about, SETTINGS, Config::read, start)
}
