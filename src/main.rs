//! The program `cashout`: everything in one process, and the operator's commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    cashout::run()
}
