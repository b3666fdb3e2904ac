//! What operators see of a call to a provider: one span with operation, outcome, status and duration, and its
//! duration among all others.
//! Never numbers, names, ids or bodies. Must not know: any provider.

use std::sync::LazyLock;
use std::time::Instant;

use cashout_common::metrics::{self, Durations};
use tracing::{Instrument, Span, field::Empty};

/// How long calls took.
static CALLS: LazyLock<Durations<3>> = LazyLock::new(|| {
    metrics::durations("provider_call", "Calls to payment providers, by operation and outcome")
});

/// Makes a call inside its span. `outcome` names how it ended.
pub async fn observed<T>(
    provider: &'static str,
    operation: &'static str,
    call: impl Future<Output = T>,
    outcome: impl Fn(&T) -> &'static str,
) -> T {
    let span = tracing::info_span!(
        "provider_call",
        provider,
        operation,
        outcome = Empty,
        http_status = Empty,
        ms = Empty
    );
    let began = Instant::now();
    let whole = async {
        let done = call.await;
        let (took, outcome) = (began.elapsed(), outcome(&done));
        let labels = [("provider", provider), ("operation", operation), ("outcome", outcome)];
        CALLS
            .get_or_create(&labels.map(|(name, is)| (name, is.into())))
            .observe(took.as_secs_f64());
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Span::current().record("outcome", outcome).record("ms", ms);
        tracing::debug!("a provider was called");
        done
    };
    whole.instrument(span).await
}

/// How a call for anything but an answer about a payout ended.
#[must_use]
pub fn got<T, E>(result: &Result<T, E>) -> &'static str {
    if result.is_ok() { "got" } else { "not_got" }
}

/// Notes the HTTP status of the call under way.
pub fn status(status: u16) {
    Span::current().record("http_status", status);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_is_counted_by_how_it_ended() {
        let counted = |outcome: &'static str| {
            let labels = [("provider", "test"), ("operation", "bill"), ("outcome", outcome)];
            CALLS.get(&labels.map(|(name, is)| (name, is.into()))).is_some()
        };
        assert!(observed("test", "bill", async { Err::<(), ()>(()) }, got).await.is_err());
        assert_eq!([counted("got"), counted("not_got")], [false, true]);
        assert!(observed("test", "bill", async { Ok::<(), ()>(()) }, got).await.is_ok());
        assert_eq!([counted("got"), counted("not_got")], [true, true]);
    }
}
