//! Serving connections: the accept loop with its limits, draining, and the boundary every gRPC call
//! passes.
//!
//! The boundary runs each handler in a task of its own: tonic drops a handler when its caller goes
//! away or its deadline passes, and a database call dropped half-way poisons its connection.
//! Must not know: any method of any service.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use cashout_proto::{Failure, Reason};
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::service::{Routes, RoutesBuilder};
use tower::Service;
use tracing::Instrument;

/// How long a stop waits for calls in flight.
pub const DRAIN: Duration = Duration::from_secs(10);

/// How long a handler may go on when nobody waits for it any more.
const HANDLER_LIMIT: Duration = Duration::from_secs(60);

/// What a listener accepts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The one HTTP version that is spoken. Telling them apart would mean to wait for a client's first
    /// bytes, and a client that sends none could wait for ever.
    pub version: Version,
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// How long a client may take to send its headers, and to take any part of an answer.
    pub header_timeout: Duration,
    /// Requests in flight over all connections; more are refused at once.
    pub requests: usize,
}

/// An HTTP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// For public clients.
    Http1,
    /// For gRPC.
    Http2,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            version: Version::Http2,
            connections: 4096,
            header_timeout: Duration::from_secs(10),
            requests: 8192,
        }
    }
}

/// A service that runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens; with port 0 asked for, the port it got.
    pub address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// A service that listens on `address`, ends when `stop` is cancelled, and is over when `task` is.
    #[must_use]
    pub fn new(address: SocketAddr, stop: CancellationToken, task: JoinHandle<()>) -> Self {
        Self { address, stop, task }
    }

    /// Stops accepting, lets what is in flight finish, and waits for the end.
    pub async fn stop(self) {
        self.stop.cancel();
        self.wait().await;
    }

    /// Waits for the end without asking for it.
    pub async fn wait(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "service ended badly");
        }
    }
}

/// Cancelled at SIGTERM or Ctrl-C.
#[must_use]
pub fn stop_signal() -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        let mut term =
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(term) => term,
                Err(error) => {
                    tracing::error!(%error, "cannot listen for SIGTERM");
                    return;
                }
            };
        tokio::select! {
            _ = term.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping: draining calls in flight");
        stop.cancel();
    });
    token
}

/// Accepts connections for `service` until `stop`, then drains.
pub async fn accept<S, B>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    stop: CancellationToken,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let builder = protocol(&limits);
    let draining = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(limits.connections));
    let over = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            slot = slots.clone().acquire_owned() => {
                tokio::select! {
                    accepted = listener.accept() => accepted.map(|(stream, _)| (stream, slot)),
                    () = stop.cancelled() => break,
                }
            }
            () = stop.cancelled() => break,
        };
        let (stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or the client was gone already.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let hyper_service = TowerToHyperService::new(service.clone());
        let (builder, watcher) = (builder.clone(), draining.watcher());
        let (stop, over) = (stop.clone(), over.clone());
        tokio::spawn(async move {
            if !speaks(&stream, limits.header_timeout, &stop).await {
                return;
            }
            // Nor is whoever asks and does not read the answers.
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(limits.header_timeout));
            let served = builder.serve_connection(TokioIo::new(Box::pin(stream)), hyper_service);
            tokio::select! {
                ended = watcher.watch(served.into_owned()) => if let Err(error) = ended {
                    tracing::debug!(error = %error, "connection ended");
                },
                () = over.cancelled() => {}
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, draining.shutdown()).await.is_err() {
        tracing::warn!("calls were still in flight when the time to drain was over");
        over.cancel();
    }
}

/// Whether a client says anything in time: whoever connects and is silent is not waited for.
async fn speaks(stream: &TcpStream, patience: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        spoken = tokio::time::timeout(patience, stream.readable()) => spoken.is_ok(),
        () = stop.cancelled() => false,
    }
}

/// What a connection speaks, and how long and how much.
fn protocol(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = match limits.version {
        Version::Http1 => auto::Builder::new(TokioExecutor::new()).http1_only(),
        Version::Http2 => auto::Builder::new(TokioExecutor::new()).http2_only(),
    };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .max_concurrent_streams(1024)
        // A gateway's one connection carries the cancelled calls of all its clients; the default of
        // 20 would close it for everybody.
        .max_pending_accept_reset_streams(Some(1024))
        .max_header_list_size(16 * 1024);
    builder
}

/// Serves gRPC with health (one status per service, following `ready`) and reflection (v1 and v1alpha).
/// `name` is the service's full name, `descriptors` its descriptor set.
///
/// # Errors
/// When the descriptors are broken.
pub async fn grpc(
    listener: TcpListener,
    name: &'static str,
    descriptors: &'static [u8],
    mut routes: RoutesBuilder,
    mut ready: watch::Receiver<bool>,
    limits: Limits,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    use tonic_health::ServingStatus;
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
    };
    routes.add_service(health);
    routes.add_service(reflection().build_v1()?);
    routes.add_service(reflection().build_v1alpha()?);
    let status = |serving| if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
    // Known before the first connection is accepted.
    let serving = *ready.borrow_and_update();
    reporter.set_service_status(name, status(serving)).await;
    let stopping = stop.clone();
    let follow = async move {
        while !stopping.is_cancelled() {
            tokio::select! {
                changed = ready.changed() => if changed.is_err() { stopping.cancelled().await },
                () = stopping.cancelled() => {}
            }
            let serving = *ready.borrow_and_update() && !stopping.is_cancelled();
            reporter.set_service_status(name, status(serving)).await;
        }
    };
    let follow = tokio::spawn(follow);
    accept(listener, Boundary::new(routes.routes(), limits.requests), limits, stop).await;
    follow.abort();
    Ok(())
}

/// What every gRPC call passes: a limit, a task of its own, a deadline, one line in the log.
#[derive(Clone)]
struct Boundary {
    inner: Routes,
    slots: Arc<Semaphore>,
}

impl Boundary {
    fn new(inner: Routes, requests: usize) -> Self {
        Self { inner, slots: Arc::new(Semaphore::new(requests)) }
    }
}

impl Service<Request<Incoming>> for Boundary {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let started = Instant::now();
        let method = request.uri().path().to_owned();
        let request_id = header(request.headers(), crate::actor::REQUEST_ID);
        let span = tracing::info_span!("rpc", method, request_id);
        let deadline = timeout_of(request.headers());
        let slot = self.slots.clone().try_acquire_owned();
        let mut inner = self.inner.clone();
        let answer = async move {
            let Ok(slot) = slot else {
                return refusal(Reason::Overloaded, "too many calls are in flight");
            };
            let handler = async move {
                let answer = inner.call(request).await;
                drop(slot);
                answer
            };
            // Longer than anything we do, so only what will never end is cut off.
            let handler = async move {
                let ended = tokio::time::timeout(HANDLER_LIMIT, handler).await;
                ended.unwrap_or_else(|_| Ok(refusal(Reason::Unavailable, "no answer in time")))
            };
            let detached = tokio::spawn(handler.in_current_span());
            let done = match deadline {
                Some(limit) => tokio::time::timeout(limit, detached).await,
                None => Ok(detached.await),
            };
            match done {
                Ok(Ok(Ok(response))) => response,
                Ok(Ok(Err(never))) => match never {},
                Ok(Err(_panic)) => refusal(Reason::Internal, "internal error"),
                Err(_elapsed) => refusal(Reason::DeadlineExceeded, "the deadline passed"),
            }
        };
        Box::pin(
            async move {
                let response = answer.await;
                let code = header(response.headers(), "grpc-status");
                let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(code = code.as_deref().unwrap_or("0"), ms, "rpc answered");
                Ok(response)
            }
            .instrument(span),
        )
    }
}

fn refusal(reason: Reason, message: &str) -> Response<Body> {
    Status::from(Failure::new(reason, message)).into_http()
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

/// The caller's `grpc-timeout`: up to eight digits and a unit.
fn timeout_of(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount.saturating_mul(3600)),
        "M" => Duration::from_secs(amount.saturating_mul(60)),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_as_grpc_writes_them() {
        for (text, limit) in [
            ("200m", Some(Duration::from_millis(200))),
            ("1H", Some(Duration::from_secs(3600))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("999999999n", None),
            ("m", None),
            ("", None),
            ("1", None),
            ("-1m", None),
        ] {
            let mut headers = HeaderMap::new();
            if let Ok(value) = text.parse() {
                headers.insert("grpc-timeout", value);
            }
            assert_eq!(timeout_of(&headers), limit, "{text}");
        }
    }
}
