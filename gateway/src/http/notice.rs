//! A provider's notification as its endpoint sees it: raw, and from nobody known. And how a provider is
//! told that it must send it again: in its own words, within its own time.
//!
//! Must not know: signatures, what a notification says.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use cashout_common::actor::Actor;
use cashout_proto::{Failure, Reason};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use super::call::Noted;
use super::{App, Refusal, request_id};
use crate::json::to_body;
use crate::upstream::Caller;

/// WeChat Pay gives up after 5 s (providers.md 2.6); Alipay has no published limit and gets the same.
const PATIENCE: Duration = Duration::from_secs(4);

/// Who sends notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// WeChat Pay.
    Wechat,
    /// Alipay.
    Alipay,
}

#[derive(Serialize)]
struct WechatFailure {
    code: &'static str,
    message: &'static str,
}

impl Provider {
    /// The provider that a path belongs to.
    pub fn of(path: &str) -> Option<Self> {
        [Self::Wechat, Self::Alipay].into_iter().find(|provider| provider.path() == path)
    }

    /// Where it posts.
    pub fn path(self) -> &'static str {
        match self {
            Self::Wechat => "/notify/wechat",
            Self::Alipay => "/notify/alipay",
        }
    }

    /// Its name between services.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Alipay => "alipay",
        }
    }

    /// How long an answer may take, when any request may take `timeout`.
    pub fn patience(timeout: Duration) -> Duration {
        timeout.min(PATIENCE)
    }

    /// The status that makes it send again: WeChat looks at the status, Alipay at the text alone.
    pub fn again(self) -> StatusCode {
        match self {
            Self::Wechat => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Alipay => StatusCode::OK,
        }
    }

    /// The status of a refusal: what is wrong with the request itself keeps its own.
    pub fn status(self, reason: Reason) -> StatusCode {
        let own = StatusCode::from_u16(reason.row().http).ok();
        own.filter(|status| !status.is_server_error()).unwrap_or_else(|| self.again())
    }

    /// The media type of its refusals.
    pub fn media(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Wechat => "application/json",
            Self::Alipay => "text/plain",
        })
    }

    /// The body of a refusal. It tells no more than its kind: anybody may be listening.
    ///
    /// # Errors
    /// `INTERNAL`, which would be a defect.
    pub fn refusal(self, reason: Reason) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Wechat => to_body(&WechatFailure { code: "FAIL", message: reason.row().wallet }),
            Self::Alipay => Ok(b"fail".to_vec()),
        }
    }
}

/// A notification as it came.
pub struct Notice {
    /// What all requests share.
    pub app: Arc<App>,
    /// What goes along to the services: no person acts.
    pub caller: Caller,
    /// All headers.
    pub headers: HeaderMap,
    /// The bytes, within the edge's limit.
    pub body: Bytes,
}

impl FromRequest<Arc<App>> for Notice {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let noted = parts
            .extensions
            .get::<Noted>()
            .cloned()
            .ok_or_else(|| Failure::new(Reason::Internal, "internal error"))?;
        // The edge has read the body already and has kept its limit.
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let caller = Caller {
            actor: Actor::System,
            request_id: noted.request_id,
            trace_parent: request_id::trace_parent(&parts.headers),
            deadline: noted.deadline,
        };
        Ok(Self { app: Arc::clone(app), caller, headers: parts.headers, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_answered_before_it_gives_up() {
        let seconds = Duration::from_secs;
        assert_eq!(Provider::patience(seconds(15)), seconds(4));
        assert_eq!(Provider::patience(seconds(1)), seconds(1));
    }

    #[test]
    fn paths_are_the_providers_as_a_whole() {
        assert_eq!(Provider::of("/notify/wechat"), Some(Provider::Wechat));
        assert_eq!(Provider::of("/notify/alipay"), Some(Provider::Alipay));
        for path in ["/notify", "/notify/", "/notify/wechat/", "/notify/other", "/notify/WECHAT"] {
            assert_eq!(Provider::of(path), None, "{path}");
        }
    }

    #[test]
    fn no_refusal_looks_like_a_success_to_its_provider() {
        for reason in Reason::ALL {
            let status = Provider::Wechat.status(*reason);
            assert!(status.as_u16() >= 400, "{reason:?}");
            let body = Provider::Wechat.refusal(*reason).unwrap_or_default();
            let expected = format!("{{\"code\":\"FAIL\",\"message\":\"{}\"}}", reason.row().wallet);
            assert_eq!(body, expected.as_bytes());
            assert_eq!(Provider::Alipay.refusal(*reason).unwrap_or_default(), b"fail");
        }
    }
}
