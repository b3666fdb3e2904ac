//! The boundary that every gRPC call passes: a limit, a deadline, one line in the log, a handler that is
//! finished; and the health and reflection that every service has.
//!
//! A handler goes on in a task of its own when its caller goes away or its deadline passes: tonic would
//! drop it, and a database call dropped half-way poisons its connection.
//! Must not know: any method of any service.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use cashout_proto::{Failure, Reason};
use futures::poll;
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use prost::Message;
use prost_types::FileDescriptorSet;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::{Routes, RoutesBuilder};
use tonic::{Code, Status};
use tower::Service;
use tracing::Instrument;

use crate::finished::Finished;
use crate::metrics::{self, Durations, Histogram};
use crate::serve::{Limits, accept};

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
    let methods = methods(descriptors)?;
    let slots = Arc::new(Semaphore::new(limits.requests));
    let (inner, limit) = (routes.routes(), limits.handler);
    let unheard = Arc::new(Semaphore::new(UNHEARD_AT_ONCE));
    let boundary = Boundary { inner, methods, slots, unheard, limit };
    accept(listener, boundary, limits, stop).await;
    follow.abort();
    Ok(())
}

/// How long a call that is to be refused may take to send its message, if it is not there yet.
const UNHEARD: Duration = Duration::from_secs(1);
/// So many of them wait for theirs at a time, over all connections; more are refused without.
const UNHEARD_AT_ONCE: usize = 1024;
/// Pieces of a message that are taken before others have their turn.
const PIECES: usize = 32;

/// How long calls took. A stream counts as OK once it has begun.
static CALLS: LazyLock<Durations<2>> = LazyLock::new(|| {
    metrics::durations("rpc", "From a call's headers to its answer's, by method and gRPC code")
});

/// A method of ours, and how long it takes when it answers OK, which is nearly always.
struct Method {
    name: String,
    ok: Histogram,
}

/// What every gRPC call passes: a limit, a deadline, one line in the log.
#[derive(Clone)]
struct Boundary {
    inner: Routes,
    /// By path. Whoever calls may write any path; only these are names to count by.
    methods: Arc<HashMap<String, Arc<Method>>>,
    slots: Arc<Semaphore>,
    /// Places for those who are to be refused and have not sent their message.
    unheard: Arc<Semaphore>,
    /// See [`Limits::handler`].
    limit: Duration,
}

/// The methods of a descriptor set.
fn methods(descriptors: &[u8]) -> anyhow::Result<Arc<HashMap<String, Arc<Method>>>> {
    let mut methods = HashMap::new();
    for file in FileDescriptorSet::decode(descriptors)?.file {
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                let ok =
                    [("method", name.clone().into()), ("code", format!("{:?}", Code::Ok).into())];
                let ok = CALLS.get_or_create_owned(&ok);
                methods.insert(format!("/{name}"), Arc::new(Method { name, ok }));
            }
        }
    }
    Ok(Arc::new(methods))
}

/// Tells that a call was answered: in the log and in numbers.
fn told(method: Option<&Method>, code: Option<&str>, took: Duration) {
    let code = code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
    match method {
        Some(method) if code == Code::Ok => method.ok.observe(took.as_secs_f64()),
        _ => {
            let name = method.map_or_else(|| "-".to_owned(), |method| method.name.clone());
            let labels = [("method", name.into()), ("code", format!("{code:?}").into())];
            CALLS.get_or_create(&labels).observe(took.as_secs_f64());
        }
    }
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(code = i32::from(code), ms, "rpc answered");
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
        let method = request.uri().path();
        // Every second, from every peer.
        let asks_for_health = method.starts_with("/grpc.health.");
        let known = self.methods.get(method).cloned();
        let request_id = header(request.headers(), crate::actor::REQUEST_ID);
        let span = tracing::info_span!("rpc", method, request_id);
        let deadline = timeout_of(request.headers());
        let slot = if deadline == Some(Duration::ZERO) {
            // Nobody waits for it any more, so it is not begun.
            Err((Reason::DeadlineExceeded, "the deadline had passed; nothing was done"))
        } else {
            let slot = self.slots.clone().try_acquire_owned();
            slot.map_err(|_| (Reason::Overloaded, "too many calls are in flight"))
        };
        let (mut inner, limit) = (self.inner.clone(), self.limit);
        let handled = match slot {
            Ok(slot) => Ok(Finished::of(async move {
                // It reads the message too, which may never come.
                let ended = tokio::time::timeout(limit, inner.call(request)).await;
                drop(slot);
                ended.unwrap_or_else(|_| Ok(refusal(Reason::Unavailable, "no answer in time")))
            })),
            Err(why) => Err((why, request.into_body(), self.unheard.clone())),
        };
        let answer = async move {
            let handled = match handled {
                Ok(handled) => handled,
                Err(((reason, why), message, places)) => {
                    let patience = deadline.map_or(UNHEARD, |limit| limit.min(UNHEARD));
                    unheard(message, patience, &places).await;
                    return refusal(reason, why);
                }
            };
            let done = match deadline {
                Some(limit) => tokio::time::timeout(limit, handled).await,
                None => Ok(handled.await),
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
                if asks_for_health {
                    tracing::trace!(code, "health told");
                } else {
                    told(known.as_deref(), code, started.elapsed());
                }
                Ok(response)
            }
            .instrument(span),
        )
    }
}

/// Takes the message of a call that is to be refused. To h2 a message that comes after its refusal is a fault of the
/// client, and after 1,024 of them it closes the connection, with all calls that are in flight on it.
async fn unheard(
    mut message: impl hyper::body::Body + Unpin,
    patience: Duration,
    places: &Semaphore,
) {
    let mut ended = pin!(poll_fn(|cx| {
        for _ in 0..PIECES {
            let Some(Ok(_)) = ready!(Pin::new(&mut message).poll_frame(cx)) else {
                return Poll::Ready(());
            };
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    if poll!(&mut ended).is_pending()
        && let Ok(_place) = places.try_acquire()
    {
        let _ = tokio::time::timeout(patience, ended).await;
    }
}

fn refusal(reason: Reason, message: &str) -> Response<Body> {
    Status::from(Failure::new(reason, message)).into_http()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|v| v.to_str().ok())
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
    use futures::FutureExt;
    use hyper::body::Frame;

    use super::*;

    /// A message of which a piece is always there, of which none comes, or that has ended.
    struct Message(Poll<Option<&'static [u8]>>);

    impl hyper::body::Body for Message {
        type Data = &'static [u8];
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
            self.0.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
        }
    }

    #[tokio::test]
    async fn who_is_refused_takes_a_place_only_to_wait_and_waits_only_where_one_is_free() {
        for (message, free, waits) in [
            (Poll::Ready(None), 0, false),
            (Poll::Pending, 0, false),
            (Poll::Pending, 1, true),
            // It does not keep others from their turn either.
            (Poll::Ready(Some(&b"more"[..])), 1, true),
        ] {
            let places = Semaphore::new(free);
            let mut taken = pin!(unheard(Message(message), UNHEARD, &places));
            assert_eq!(taken.as_mut().now_or_never().is_none(), waits, "{message:?}, {free}");
            assert_eq!(places.available_permits(), 0, "{message:?}, {free}");
        }
    }

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

    #[test]
    fn calls_are_counted_under_names_of_ours_whatever_a_caller_writes() -> anyhow::Result<()> {
        let descriptors = cashout_proto::account::v1::DESCRIPTORS;
        let methods = methods(descriptors)?;
        let name = "cashout.account.v1.AccountService/GetAccount";
        let known = methods.get(&format!("/{name}")).map(AsRef::as_ref);
        assert!(known.is_some() && !methods.contains_key("/anything/else"));
        for code in [None, Some("0"), Some("5"), Some("nonsense")] {
            told(known, code, Duration::from_millis(3));
        }
        told(None, Some("12"), Duration::ZERO);
        for (name, code, count) in [
            (name, "Ok", 2),
            (name, "NotFound", 1),
            (name, "Unknown", 1),
            ("-", "Unimplemented", 1),
        ] {
            let labels = [("method", name.into()), ("code", code.into())];
            let found = CALLS.get(&labels).map(|calls| calls.count());
            assert_eq!(found, Some(count), "{name} {code}");
        }
        Ok(())
    }
}
