//! Serving connections: the accept loop with its limits, and draining. What every gRPC call passes is
//! in `boundary`.
//!
//! Must not know: any method of any service.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_io_timeout::TimeoutStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tower::Service;

pub use crate::boundary::grpc;
use crate::outgoing::Outgoing;

/// How long a stop waits for calls in flight.
pub const DRAIN: Duration = Duration::from_secs(10);

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
    /// Requests in flight over all connections; more are refused at once, calls of gRPC when their message is there or
    /// has not come within a second. Fewer make an overload shorter for those who are let in; see docs/performance.md for
    /// how long it still is.
    pub requests: usize,
    /// How long a gRPC handler may take, the caller's message included, whatever deadline they named and whether they still
    /// wait. Longer than anything we do, so only what will never end is cut off, and gives back its place among `requests`.
    pub handler: Duration,
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
            requests: 2048,
            handler: Duration::from_secs(60),
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
            let stream = Box::pin(stream);
            let stream = match limits.version {
                Version::Http1 => Either::Left(stream),
                Version::Http2 => Either::Right(Outgoing::new(stream)),
            };
            let served = builder.serve_connection(TokioIo::new(stream), hyper_service);
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
