//! Logs: one line where a thing is handled, facts as fields, no personal data. Must not know: what is logged.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to stderr. A second call does nothing, so that three services can share a process.
pub fn init(level: &str, json: bool) {
    // PostgreSQL warns about our harmless ROLLBACK outside a transaction.
    let filter = EnvFilter::try_new(format!("{level},sqlx::postgres::notice=error"))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(std::io::stderr);
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
