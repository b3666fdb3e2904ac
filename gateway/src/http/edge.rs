//! The edge: what every request passes, whatever it asks for. A limit of the body, a limit of
//! requests in flight, a time limit, an end whoever waits for it (a panic is one 500 and nothing more), the
//! family's envelope around a refusal, a request id on every answer, one line in the log.
//!
//! A request counts as in flight once all of it is here: clients that send half of one take a
//! connection, not a slot of others. Probes never need a slot.
//!
//! Must not know: endpoints, tokens.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request};
use axum::response::{IntoResponse, Response};
use cashout_common::finished::Finished;
use cashout_common::metrics::{self, Durations};
use cashout_common::serve::Limits;
use cashout_proto::{Failure, Reason};
use http::{HeaderValue, StatusCode, header};
use hyper::body::{Body as _, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tower::Service;

use super::call::Noted;
use super::{App, Family, Refusal, health, refused, request_id};

/// The largest body.
const BODY_BYTES: usize = 64 * 1024;

/// How long requests took.
static REQUESTS: LazyLock<Durations<2>> = LazyLock::new(|| {
    metrics::durations("http", "From a request's head to its answer, by route and HTTP status")
});

/// Wraps the routes into what every request passes.
#[derive(Clone)]
pub struct Edge {
    routes: Router,
    app: Arc<App>,
    slots: Arc<Semaphore>,
    timeout: Duration,
}

impl Edge {
    /// An edge before `routes`.
    pub fn new(routes: Router, app: Arc<App>, limits: &Limits, timeout: Duration) -> Self {
        Self { routes, app, slots: Arc::new(Semaphore::new(limits.requests)), timeout }
    }

    async fn pass(self, request: Request) -> Response {
        let started = Instant::now();
        let request_id = request_id::of(request.headers(), &self.app.world);
        let family = Family::of(request.uri().path());
        let method = request.method().clone();
        let deadline = started + family.patience(self.timeout);
        let route = Arc::new(OnceLock::new());
        let noted = Noted { request_id: request_id.clone(), deadline, route: route.clone() };
        let mut response = self.run(request, noted).await;
        let refusal = response.extensions_mut().remove::<Refusal>();
        if let Some(refusal) = &refusal {
            family.refuse(refusal, &mut response);
        }
        if let Ok(value) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert(request_id::HEADER, value);
        }
        // Balances and persons do not belong into anybody's cache.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // The route's pattern, not the path: a path may hold anything a caller put there.
        let route = route.get().map_or("-", MatchedPath::as_str);
        let reason = refusal.as_ref().map_or("", |r| r.failure.reason.row().name);
        let status = response.status().as_u16();
        let took = started.elapsed();
        let labels = [("route", route.to_owned().into()), ("status", status.to_string().into())];
        REQUESTS.get_or_create(&labels).observe(took.as_secs_f64());
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(%method, route, status, reason, ms, request_id, "answered");
        response
    }

    async fn run(self, request: Request, noted: Noted) -> Response {
        let deadline = noted.deadline;
        let (request, slot) = match self.admit(request, noted).await {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal.into_response(),
        };
        let mut routes = self.routes;
        let work = Finished::of(async move {
            let _slot = slot;
            match timeout_at(deadline, routes.call(request)).await {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_elapsed) => refused(Reason::DeadlineExceeded, LATE).into_response(),
            }
        });
        work.await.unwrap_or_else(|_panic| {
            tracing::error!("a request ended badly");
            refused(Reason::Internal, "internal error").into_response()
        })
    }

    /// The request with its body in memory, and the slot it holds until it is answered.
    async fn admit(
        &self,
        mut request: Request,
        noted: Noted,
    ) -> Result<(Request, Option<OwnedSemaphorePermit>), Refusal> {
        let deadline = noted.deadline;
        request.extensions_mut().insert(noted);
        if health::is_probe(request.uri().path()) {
            // How busy we are is not what a probe asks, and nobody reads its body.
            return Ok((request, None));
        }
        let (parts, body) = request.into_parts();
        let body = timeout_at(deadline, read(body)).await.map_err(|_elapsed| slow())??;
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| {
            refused(Reason::Overloaded, "too many requests are in flight; try again")
        })?;
        Ok((Request::from_parts(parts, Body::from(body)), Some(slot)))
    }
}

const LATE: &str = "no answer in time; ask again with the same Idempotency-Key";

/// The client itself was too slow. No service was asked, so there is no outcome to ask again for.
fn slow() -> Refusal {
    let told = "the body did not arrive in time; nothing was done";
    let failure = Failure::new(Reason::MalformedRequest, told);
    Refusal { failure, status: Some(StatusCode::REQUEST_TIMEOUT) }
}

impl Service<Request<Incoming>> for Edge {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let edge = self.clone();
        Box::pin(async move { Ok(edge.pass(request.map(Body::new)).await) })
    }
}

/// A body within the limit.
async fn read(mut body: Body) -> Result<Bytes, Failure> {
    let too_large =
        || Failure::new(Reason::BodyTooLarge, format!("the body is over {BODY_BYTES} bytes"));
    let announced = body.size_hint().lower();
    if announced > BODY_BYTES as u64 {
        return Err(too_large());
    }
    let mut whole = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let broken = |_| Failure::new(Reason::MalformedRequest, "the body ended too early");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if whole.len() + data.len() > BODY_BYTES {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(Bytes::from(whole))
}

/// Notes which route a request takes, for the log and the numbers.
pub fn remember_route(request: Request) -> Request {
    let extensions = request.extensions();
    if let (Some(noted), Some(matched)) = (extensions.get::<Noted>(), extensions.get()) {
        let _ = noted.route.set(MatchedPath::clone(matched));
    }
    request
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use cashout_common::world::World;
    use tokio_util::sync::CancellationToken;
    use tower::util::MapRequestLayer;

    use super::*;
    use crate::identity::{KeyConfig, Verifier};
    use crate::upstream::Upstream;

    fn edge(routes: Router) -> anyhow::Result<Edge> {
        let world = World::real();
        let keys = KeyConfig {
            issuer: String::new(),
            audience: String::new(),
            secret: None,
            jwks_file: None,
            jwks_url: None,
            development: None,
        };
        let nowhere = "http://127.0.0.1:1";
        let app = App {
            keys: Verifier::open(&keys, &world)?,
            upstream: Upstream::open(nowhere, nowhere, &CancellationToken::new())?,
            world,
            zone: cashout_common::local::Zone::named("Asia/Shanghai")
                .map_err(anyhow::Error::msg)?,
            token_parameter: false,
            fee_rate: "0".to_owned(),
        };
        Ok(Edge::new(routes, Arc::new(app), &Limits::default(), Duration::from_secs(10)))
    }

    #[tokio::test]
    async fn a_panic_is_one_500_in_the_familys_envelope_and_nothing_more() -> anyhow::Result<()> {
        async fn defect() -> Response {
            std::panic::panic_any("a secret detail")
        }
        let routes = Router::new().route("/sett/sett", get(defect));
        let edge = edge(routes.route_layer(MapRequestLayer::new(remember_route)))?;
        for _ in 0..2 {
            let request = Request::builder().uri("/sett/sett").body(Body::empty())?;
            let response = edge.clone().pass(request).await;
            assert_eq!(response.status(), 500);
            assert!(response.headers().contains_key("x-request-id"));
            let body = axum::body::to_bytes(response.into_body(), BODY_BYTES).await?;
            assert_eq!(body, r#"{"code":500,"err_desc":"internal error"}"#);
        }
        assert_eq!(edge.slots.available_permits(), Limits::default().requests, "no slot is lost");
        let counted = [("route", "/sett/sett".into()), ("status", "500".into())];
        assert!(REQUESTS.get(&counted).is_some(), "it is told of its route");
        Ok(())
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_the_limit() -> anyhow::Result<()> {
        assert_eq!(read(Body::from(vec![7; BODY_BYTES])).await?.len(), BODY_BYTES);
        let refused = read(Body::from(vec![7; BODY_BYTES + 1])).await.map_err(|f| f.reason);
        assert_eq!(refused, Err(Reason::BodyTooLarge));
        Ok(())
    }
}
