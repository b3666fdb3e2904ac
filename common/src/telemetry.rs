//! Logs: one line where a thing is handled, facts as fields, no personal data. Errors are counted too.
//! Must not know: what is logged.

use std::fmt::Debug;
use std::io::IsTerminal;
use std::sync::LazyLock;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::metrics::{self, Counts};
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
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = if json { lines.json().boxed() } else { lines.boxed() };
    let _ = watched(lines.with_filter(filter)).try_init();
}

/// A log whose errors are counted, whatever is written of them.
fn watched<L>(log: L) -> impl Subscriber + Send + Sync
where
    L: Layer<Registry> + Send + Sync,
{
    Registry::default().with(log).with(Errors.with_filter(LevelFilter::ERROR))
}

static ERRORS: LazyLock<Counts<1>> = LazyLock::new(|| {
    metrics::counts("log_errors", "Errors in the log, by the module that tells them")
});
static ALARMS: LazyLock<Counts<1>> = LazyLock::new(|| {
    metrics::counts("alarms", "Errors in the log that want a person, by their field `alarm`")
});

/// Counts these alarms from now on, at nought: a number that was not there before is no rise to whoever watches.
pub fn alarms(names: &[&'static str]) {
    for name in names {
        ALARMS.get_or_create(&[("alarm", (*name).into())]).inc_by(0);
    }
}

/// Counts errors; those with a field `alarm`, which is a name of ours, by that name too.
struct Errors;

impl<S: Subscriber> Layer<S> for Errors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        ERRORS.get_or_create(&[("module", event.metadata().target().into())]).inc();
        event.record(&mut Alarm);
    }
}

struct Alarm;

impl Visit for Alarm {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "alarm" {
            ALARMS.get_or_create(&[("alarm", value.to_owned().into())]).inc();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_also_when_they_are_not_written_and_nothing_else_is() {
        let alarm = |name: &'static str| ALARMS.get(&[("alarm", name.into())]).map(|n| n.get());
        let errors = || ERRORS.get(&[("module", module_path!().into())]).map(|n| n.get());
        alarms(&["test_short"]);
        assert_eq!([alarm("test_short"), alarm("test_quiet")], [Some(0), None]);
        let silent = tracing_subscriber::fmt::layer().with_filter(EnvFilter::new("off"));
        tracing::subscriber::with_default(watched(silent), || {
            tracing::error!(alarm = "test_short", reason = "none", "paused");
            tracing::error!(alarm = "test_short", "paused");
            tracing::error!(reason = "test_other", "failed");
            tracing::warn!(alarm = "test_quiet", "not an error");
        });
        assert_eq!([alarm("test_short"), alarm("test_quiet")], [Some(2), None]);
        assert_eq!([errors(), alarm("test_other")], [Some(3), None]);
    }
}
