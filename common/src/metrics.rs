//! What is counted in this process, and the page on which a Prometheus server reads it.
//!
//! Whoever counts something declares it once, where it happens. Labels are names of ours (methods, routes,
//! statuses, outcomes), never what a caller sent: nothing personal, and no more series than there are names.
//! The page has an address of its own, away from callers. Must not know: what anything means.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::Context;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::serve::{Limits, Version, accept};
use crate::settings::Values;

/// Everything that is counted. One for the process, like its log: three services may share one.
static ALL: LazyLock<Mutex<Registry>> =
    LazyLock::new(|| Mutex::new(Registry::with_prefix("cashout")));

/// Names and values of labels.
pub type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
/// Counters by their labels.
pub type Counts<const N: usize> = Family<Labels<N>, Counter>;
/// Durations by their labels, in seconds.
pub type Durations<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// Counters named `cashout_{name}_total`. `help` ends without a full stop; the page adds it.
#[must_use]
pub fn counts<const N: usize>(name: &str, help: &str) -> Counts<N> {
    declared(name, help, None, Counts::default())
}

/// Durations named `cashout_{name}_seconds`.
#[must_use]
pub fn durations<const N: usize>(name: &str, help: &str) -> Durations<N> {
    declared(name, help, Some(Unit::Seconds), Durations::new_with_constructor(seconds))
}

/// Durations of one thing, named the same way.
#[must_use]
pub fn duration(name: &str, help: &str) -> Histogram {
    declared(name, help, Some(Unit::Seconds), seconds())
}

/// From half a millisecond to ten seconds.
fn seconds() -> Histogram {
    let steps = [5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    Histogram::new(steps)
}

/// Sizes named `cashout_{name}`, from 1 to 1,024.
#[must_use]
pub fn sizes(name: &str, help: &str) -> Histogram {
    let steps = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
    declared(name, help, None, Histogram::new(steps))
}

/// A number that goes up and down, named `cashout_{name}`.
#[must_use]
pub fn gauge(name: &str, help: &str) -> Gauge {
    declared(name, help, None, Gauge::default())
}

fn declared<M: Metric + Clone>(name: &str, help: &str, unit: Option<Unit>, metric: M) -> M {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    match unit {
        Some(unit) => all.register_with_unit(name, help, unit, metric.clone()),
        None => all.register(name, help, metric.clone()),
    }
    metric
}

/// The page, as OpenMetrics text.
fn page() -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    encode(&mut text, &ALL.lock().unwrap_or_else(PoisonError::into_inner))?;
    Ok(text)
}

/// Where the page is to be served; nowhere unless it is set. A mistake stays in `values`.
pub fn address(values: &mut Values) -> Option<SocketAddr> {
    values.read("CASHOUT_METRICS_LISTEN", |text| match text {
        "" => Ok(None),
        _ => {
            text.parse().map(Some).map_err(|_| "must be an address, like 127.0.0.1:9464".to_owned())
        }
    })?
}

/// Serves the page at `/metrics` as long as the process runs, and tells where; does nothing without an address.
///
/// # Errors
/// When the address is taken.
pub async fn serve(address: Option<SocketAddr>) -> anyhow::Result<Option<SocketAddr>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("CASHOUT_METRICS_LISTEN: cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    // For whoever watches, and one who looks in.
    let limits = Limits { version: Version::Http1, connections: 16, ..Limits::default() };
    let service = tower::service_fn(|request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(answer(request.method(), request.uri().path())))
    });
    // Also while calls in flight are drained.
    tokio::spawn(accept(listener, service, limits, CancellationToken::new()));
    Ok(Some(address))
}

fn answer(method: &Method, path: &str) -> Response<String> {
    let (status, body) = match (method, path) {
        (&Method::GET, "/metrics") => match page() {
            Ok(page) => (StatusCode::OK, page),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        },
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn asked(address: SocketAddr, head: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(
                format!("{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
            )
            .await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(text)
    }

    #[tokio::test]
    async fn what_was_counted_is_on_the_page_and_the_page_is_all_there_is() -> anyhow::Result<()> {
        assert_eq!(serve(None).await?, None, "nothing is served unless it is asked for");
        let loopback = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = serve(loopback).await?.context("an address")?;
        counts::<1>("test_things", "Things")
            .get_or_create(&[("of", "a \"kind\"".into())])
            .inc_by(3);
        duration("test_waits", "Waits").observe(0.02);
        sizes("test_sizes", "Sizes").observe(3.0);
        gauge("test_level", "A level").set(-4);
        let page = asked(address, "GET /metrics").await?;
        for line in [
            "HTTP/1.1 200 OK",
            "# HELP cashout_test_things Things.",
            "cashout_test_things_total{of=\"a \\\"kind\\\"\"} 3",
            "cashout_test_waits_seconds_bucket{le=\"0.01\"} 0",
            "cashout_test_waits_seconds_bucket{le=\"0.025\"} 1",
            "cashout_test_sizes_count 1",
            "cashout_test_level -4",
            "# EOF",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
        }
        for (head, status) in
            [("POST /metrics", "405"), ("GET /", "404"), ("GET /metrics/x", "404")]
        {
            let told = asked(address, head).await?;
            assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {told}");
        }
        let taken = serve(Some(address)).await;
        assert!(taken.is_err_and(|error| error.to_string().starts_with("CASHOUT_METRICS_LISTEN")));
        Ok(())
    }
}
