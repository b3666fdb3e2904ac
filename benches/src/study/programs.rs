//! The programs of the real system as processes of their own, each with its database. A study may
//! restart one on the database it left behind.
//!
//! Must not know: what is asked of them.

use std::path::PathBuf;

use crate::process::Process;

/// Settings of a process on the command line: flags with their values.
pub type Flags = Vec<(&'static str, String)>;

/// Any free port of this machine.
pub const ANY_PORT: &str = "127.0.0.1:0";

/// The account service on a database.
pub fn account(listen: &str, url: &str) -> anyhow::Result<Process> {
    let flags = vec![
        ("--account-listen", listen.to_owned()),
        ("--account-database-url", url.to_owned()),
        ("--account-payee-key-files", payee_key()?),
        ("--payee-cooling", "0s".to_owned()),
    ];
    started("account-service", &flags)
}

/// A file with a key for payee bindings, beside this program: nothing here is anybody's.
pub fn payee_key() -> anyhow::Result<String> {
    let path = std::env::current_exe()?.with_file_name("bench-payee.key");
    std::fs::write(&path, "5a".repeat(32))?;
    Ok(path.display().to_string())
}

/// Starts a program of ours that was built beside this one, and waits for its line `ready …`. Waiting
/// blocks, so the runtime is told to go on without this thread.
pub fn started(name: &str, flags: &Flags) -> anyhow::Result<Process> {
    let program = built(name)?;
    let words: Vec<&str> = flags.iter().flat_map(|(flag, value)| [*flag, value.as_str()]).collect();
    tokio::task::block_in_place(|| Process::start(&program, &words))
}

/// Where a program of this workspace was built: beside this one.
pub fn built(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(
        path.exists(),
        "{} was not built; run `cargo build --release --workspace`",
        path.display()
    );
    Ok(path)
}
