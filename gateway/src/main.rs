//! The gateway as a process of its own.

use std::process::ExitCode;

use gateway::{Config, SETTINGS, start};

fn main() -> ExitCode {
    let about = "The public JSON gateway";
    cashout_common::run::service("gateway", about, SETTINGS, Config::read, start)
}
