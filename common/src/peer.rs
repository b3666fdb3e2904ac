//! A connection to another service: lazy, healing, and watched.
//!
//! Must not know: what is asked of the peer.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceExt;
use tower::util::MapResponse;

use crate::outgoing::Outgoing;

/// How long one call to a peer may take, all in all.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to a peer.
pub type Connection = TokioIo<Outgoing<TcpStream>>;

/// A channel to `address` (`http://host:port`). It connects when first used; without keep-alive a
/// partition would black-hole it for good.
///
/// # Errors
/// When the address is not a URL.
pub fn channel(address: &str) -> anyhow::Result<Channel> {
    Ok(Endpoint::from_shared(address.to_owned())?
        .timeout(CALL_TIMEOUT)
        .http2_keep_alive_interval(Duration::from_secs(2))
        .keep_alive_timeout(Duration::from_secs(2))
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connector()))
}

/// Makes connections on which calls that are ready go out together.
#[must_use]
pub fn connector() -> MapResponse<HttpConnector, fn(TokioIo<TcpStream>) -> Connection> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    // All addresses of a host together.
    connector.set_connect_timeout(Some(Duration::from_secs(2)));
    connector.map_response(|io| TokioIo::new(Outgoing::new(io.into_inner())))
}

/// Asks the peer for its health again and again and tells whether `service` is serving.
#[must_use]
pub fn watch_health(
    channel: Channel,
    service: &'static str,
    stop: CancellationToken,
) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let mut client = HealthClient::new(channel);
        loop {
            let request = HealthCheckRequest { service: service.to_owned() };
            let asked = tokio::time::timeout(Duration::from_secs(2), client.check(request)).await;
            let serving = matches!(&asked, Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving);
            let changed =
                sender.send_if_modified(|known| std::mem::replace(known, serving) != serving);
            if changed {
                tracing::info!(peer = service, serving, "peer health changed");
            }
            let pause = Duration::from_millis(if serving { 1000 } else { 200 });
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
                () = sender.closed() => return,
            }
        }
    });
    receiver
}
