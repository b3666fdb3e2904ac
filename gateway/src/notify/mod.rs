//! `POST /notify/wechat` and `POST /notify/alipay`: what a provider sends, passed on byte for byte and
//! answered in the words that the withdraw service chose (docs/http.md section 4).
//!
//! Nobody is authenticated here: whoever can reach the gateway can post. The withdraw service checks
//! the signature before it looks at anything. Must not know: signatures, what a body says, what it
//! changes.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::post;
use cashout_proto::withdraw::v1::{
    Header, ReceiveNotificationRequest, ReceiveNotificationResponse,
};
use cashout_proto::{Failure, Reason};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::http::{App, Notice, Provider, Refusal};

/// The family's part of `/openapi.json`.
pub const DESCRIPTION: &str = include_str!("description.json");

/// Both routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(Provider::Wechat.path(), post(wechat))
        .route(Provider::Alipay.path(), post(alipay))
}

async fn wechat(notice: Notice) -> Result<Response, Refusal> {
    receive(Provider::Wechat, notice).await
}

async fn alipay(notice: Notice) -> Result<Response, Refusal> {
    receive(Provider::Alipay, notice).await
}

async fn receive(provider: Provider, notice: Notice) -> Result<Response, Refusal> {
    let Notice { app, caller, headers, body } = notice;
    let asked = ReceiveNotificationRequest {
        provider: provider.name().to_owned(),
        headers: passed_on(&headers),
        body: body.into(),
    };
    // Whatever went wrong behind us, the provider is to send it again.
    let again = |failure| Refusal { failure, status: Some(provider.again()) };
    let told = app.upstream.receive_notification(&caller, asked).await.map_err(again)?;
    response(told).map_err(again)
}

/// The headers that providers sign with, and what tells how to read the body. Others, a token or an
/// address of somebody, have no business there.
fn passed_on(headers: &HeaderMap) -> Vec<Header> {
    let known = |name: &str| {
        name.starts_with("wechatpay-") || matches!(name, "content-type" | "request-id")
    };
    let text = |(name, value): (&http::HeaderName, &HeaderValue)| {
        // No provider signs with a header that is not ASCII: without it the signature does not fit.
        let value = value.to_str().ok()?.to_owned();
        Some(Header { name: name.as_str().to_owned(), value })
    };
    headers.iter().filter(|(name, _)| known(name.as_str())).filter_map(text).collect()
}

/// The service's answer as it is; one that is none is a defect of ours.
fn response(told: ReceiveNotificationResponse) -> Result<Response, Failure> {
    let status = u16::try_from(told.http_status).ok().filter(|s| (200..600).contains(s));
    let status = status.and_then(|s| StatusCode::from_u16(s).ok());
    let media = HeaderValue::from_str(&told.content_type).ok();
    let (Some(status), Some(media)) = (status, media) else {
        tracing::error!("the withdraw service answered a notification with what is no answer");
        return Err(Failure::new(Reason::Internal, "internal error"));
    };
    let empty = media.is_empty();
    let mut response = Response::new(Body::from(told.body));
    *response.status_mut() = status;
    if !empty {
        response.headers_mut().insert(header::CONTENT_TYPE, media);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_that_a_provider_signs_with_go_on() {
        let sent = [
            ("Wechatpay-Serial", "PUB_KEY_ID_1"),
            ("wechatpay-signature", "a"),
            ("wechatpay-signature", "b"),
            ("content-type", "application/json"),
            ("request-id", "r"),
            ("authorization", "Bearer t"),
            ("cookie", "c"),
            ("x-wechatpay-serial", "x"),
            ("cashout-actor", "7"),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.parse()) {
                headers.append(name, value);
            }
        }
        if let Ok(value) = HeaderValue::from_bytes(b"\xff") {
            headers.append("wechatpay-nonce", value);
        }
        let mut passed: Vec<(String, String)> =
            passed_on(&headers).into_iter().map(|h| (h.name, h.value)).collect();
        passed.sort();
        let expected = [
            ("content-type", "application/json"),
            ("request-id", "r"),
            ("wechatpay-serial", "PUB_KEY_ID_1"),
            ("wechatpay-signature", "a"),
            ("wechatpay-signature", "b"),
        ];
        assert_eq!(passed, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn an_answer_that_is_none_is_not_passed_on() {
        for (http_status, content_type, fine) in [
            (200, "text/plain", true),
            (204, "", true),
            (500, "application/json", true),
            (0, "", false),
            (-200, "", false),
            (100, "", false),
            (999, "", false),
            (65_736, "", false),
            (200, "a\r\nb: c", false),
        ] {
            let content_type = content_type.to_owned();
            let told =
                ReceiveNotificationResponse { http_status, content_type, body: String::new() };
            assert_eq!(response(told).is_ok(), fine, "{http_status}");
        }
    }
}
