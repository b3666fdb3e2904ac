//! Serving: what every request passes before and after its endpoint.
//!
//! Must not know: any endpoint's parameters or body.

mod call;
mod description;
mod edge;
mod envelope;
mod health;
mod notice;
mod parameters;
mod request_id;

pub use call::{App, Call};
pub use envelope::{Family, Refusal, answer};
pub use notice::{Notice, Provider};
pub use parameters::{Parameters, malformed};

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use cashout_common::serve::{Limits, Running, Version, accept};
use cashout_common::world::World;
use cashout_proto::{Failure, Reason};
use tokio_util::sync::CancellationToken;
use tower::util::MapRequestLayer;

use crate::Config;
use crate::identity::Verifier;
use crate::upstream::Upstream;
use crate::{capital, notify, settlement, wallet};

/// Starts the gateway: binds, opens its keys, serves, and stops by draining. The services may be away;
/// `/readyz` tells.
///
/// # Errors
/// When the address is taken or a key file cannot be read.
pub async fn start(config: Config, world: World) -> anyhow::Result<Running> {
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let limits = Limits {
        version: Version::Http1,
        connections: config.connections,
        header_timeout: config.header_timeout,
        requests: config.requests,
        ..Limits::default()
    };
    let app = Arc::new(App {
        keys: Verifier::open(&config.keys, &world)?,
        upstream: Upstream::open(&config.account_address, &config.withdraw_address, &stop)?,
        world,
        zone: config.zone,
        token_parameter: config.token_parameter,
        fee_rate: config.fee_rate,
    });
    let routes = routes(&app, description()?);
    let edge = edge::Edge::new(routes, Arc::clone(&app), &limits, config.request_timeout);
    let task = tokio::spawn(accept(listener, edge, limits, stop.clone()));
    Ok(Running::new(address, stop, task))
}

/// What all routes take and answer.
fn description() -> anyhow::Result<Bytes> {
    let families =
        [settlement::DESCRIPTION, capital::DESCRIPTION, wallet::DESCRIPTION, notify::DESCRIPTION];
    description::joined(description::COMMON, &families)
}

fn routes(app: &Arc<App>, description: Bytes) -> Router {
    Router::new()
        .merge(health::routes())
        .merge(description::routes(description))
        .merge(settlement::routes())
        .merge(capital::routes())
        .merge(wallet::routes())
        .merge(notify::routes())
        .route_layer(MapRequestLayer::new(edge::remember_route))
        .fallback(async || refused(Reason::RouteNotFound, "there is no such route"))
        .method_not_allowed_fallback(async || {
            refused(Reason::MethodNotAllowed, "this route does not take this method")
        })
        .with_state(Arc::clone(app))
}

fn refused(reason: Reason, message: &str) -> Refusal {
    Failure::new(reason, message).into()
}
