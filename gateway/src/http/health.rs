//! Whether the gateway lives and whether it can do its work.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{App, Refusal};
use crate::json::to_body;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peers: Option<Peers>,
}

#[derive(Serialize)]
struct Peers {
    account: &'static str,
    withdraw: &'static str,
}

const ALIVE: &str = "/healthz";
const READY: &str = "/readyz";

/// `/healthz` and `/readyz`, open to everybody.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route(ALIVE, get(alive)).route(READY, get(ready))
}

/// Whether a path is one of the two.
pub fn is_probe(path: &str) -> bool {
    matches!(path, ALIVE | READY)
}

async fn alive() -> Response {
    told(StatusCode::OK, &Health { status: "ok", peers: None })
}

async fn ready(State(app): State<Arc<App>>) -> Response {
    let word = |serving: bool| if serving { "serving" } else { "unavailable" };
    let account = *app.upstream.account_ready.borrow();
    let withdraw = *app.upstream.withdraw_ready.borrow();
    let peers = Some(Peers { account: word(account), withdraw: word(withdraw) });
    if account && withdraw {
        told(StatusCode::OK, &Health { status: "ok", peers })
    } else {
        told(StatusCode::SERVICE_UNAVAILABLE, &Health { status: "unavailable", peers })
    }
}

fn told(status: StatusCode, health: &Health) -> Response {
    let body = match to_body(health) {
        Ok(body) => body,
        Err(failure) => return Refusal::from(failure).into_response(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
