//! Calls that would never end: their places are free again in time, whoever waits for them.

use std::convert::Infallible;
use std::future::{Pending, pending};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use cashout_common::peer;
use cashout_common::serve::{Limits, grpc};
use futures::{Stream, StreamExt, stream};
use http::uri::PathAndQuery;
use http::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;
use tower::Service;

/// Answers nobody.
#[derive(Clone)]
struct Hung;

impl NamedService for Hung {
    const NAME: &'static str = "test.Hung";
}

impl Service<Request<Body>> for Hung {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pending<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        pending()
    }
}

/// A server with one call at a time.
async fn server(stop: CancellationToken) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let limits = Limits { requests: 1, handler: Duration::from_millis(300), ..Limits::default() };
    let mut routes = RoutesBuilder::default();
    routes.add_service(Hung);
    let (_, ready) = watch::channel(true);
    let descriptors = cashout_proto::account::v1::DESCRIPTORS;
    tokio::spawn(grpc(listener, "test.Hung", descriptors, routes, ready, limits, stop));
    Ok(address)
}

/// Calls a method with these messages and, if one is named, a deadline.
async fn call(
    channel: &Channel,
    method: &'static str,
    messages: impl Stream<Item = HealthCheckRequest> + Send + 'static,
    deadline: &'static str,
) -> Result<(), Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let mut request = tonic::Request::new(messages);
    if !deadline.is_empty() {
        request.metadata_mut().insert("grpc-timeout", deadline.parse().map_err(failed)?);
    }
    let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
    client.client_streaming(request, PathAndQuery::from_static(method), codec).await.map(drop)
}

fn failed(error: impl std::fmt::Display) -> Status {
    Status::unknown(error.to_string())
}

const HEALTH: &str = "/grpc.health.v1.Health/Check";

#[tokio::test]
async fn a_call_that_would_never_end_gives_back_its_place() -> anyhow::Result<()> {
    let hung = "/test.Hung/Any";
    for (what, method, message_comes, deadline, codes) in [
        ("no message comes", HEALTH, false, "", [Code::Unavailable; 2]),
        ("none for years", HEALTH, false, "99999999H", [Code::Unavailable; 2]),
        ("the handler hangs", hung, true, "", [Code::Unavailable; 2]),
        ("it hangs for years", hung, true, "99999999H", [Code::Unavailable; 2]),
        // The client looks at its own clock too, so either may be first.
        ("nobody waits any more", hung, true, "20m", [Code::DeadlineExceeded, Code::Cancelled]),
    ] {
        let stop = CancellationToken::new();
        let address = server(stop.clone()).await?;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = endpoint.connect_with_connector(peer::connector()).await?;
        let message = HealthCheckRequest::default();
        let messages = stream::iter(message_comes.then(|| message.clone()));
        let messages = messages.chain(stream::pending().take(usize::from(!message_comes)));
        let patience = Duration::from_secs(10);
        let ended = tokio::time::timeout(patience, call(&channel, method, messages, deadline));
        let code = ended.await.map(|ended| ended.err().map(|status| status.code()));
        assert!(matches!(code, Ok(Some(code)) if codes.contains(&code)), "{what}: {code:?}");
        let free = async {
            // Each try is a trip to the server and back.
            while let Err(status) =
                call(&channel, HEALTH, stream::iter([message.clone()]), "").await
            {
                // On a machine that stalls, a try may take longer than the limit itself.
                let code = status.code();
                let passing = matches!(code, Code::ResourceExhausted | Code::Unavailable);
                assert!(passing, "{what}: {status}");
            }
        };
        assert!(
            tokio::time::timeout(patience, free).await.is_ok(),
            "{what}: its place is not free"
        );
        stop.cancel();
    }
    Ok(())
}
