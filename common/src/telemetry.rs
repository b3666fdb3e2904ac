//! Logs: one line where a thing is handled, facts as fields, no personal data. Must not know: what is logged.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::Values;

/// Starts logging as the settings say; mistakes stay in `values`.
pub fn start(values: &mut Values) {
    let level = values.read("CASHOUT_LOG", |text| match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("must be a level or a filter, like info or warn,cashout=info".to_owned()),
    });
    let json = values.read("CASHOUT_LOG_FORMAT", |text| match text {
        "json" => Ok(true),
        "text" => Ok(false),
        _ => Err("must be text or json".to_owned()),
    });
    init(&level.unwrap_or_else(|| "info".to_owned()), json.unwrap_or(false));
}

/// Starts logging to stderr. A second call does nothing, so that three services can share a process.
fn init(level: &str, json: bool) {
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
