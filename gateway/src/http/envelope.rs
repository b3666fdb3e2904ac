//! How each documented family of endpoints says no (docs/http.md sections 1 to 4). What it calls a
//! reason comes from the one table of failures; here is only the shape.
//!
//! Must not know: why anything is refused.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use cashout_proto::{Failure, Reason};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::notice::Provider;
use crate::json::to_body;

/// A family of endpoints with one envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Document 1, `/sett/*`.
    Settlement,
    /// Document 2, `/user/capital-account/*`.
    Capital,
    /// Document 3, `/api/wallet/*`, and every path of no family.
    Wallet,
    /// A provider's notifications.
    Notice(Provider),
}

/// A request that was refused. It travels as an extension of the response until the edge, which knows
/// the path, puts it into the family's envelope.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Why.
    pub failure: Failure,
    /// The HTTP status, where it is not the one that the table of failures has for the reason.
    pub status: Option<StatusCode>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, status: None }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(self);
        response
    }
}

/// A success of a family.
///
/// # Errors
/// `INTERNAL` when the body cannot be written, which would be a defect.
pub fn answer<T: Serialize>(family: Family, body: &T) -> Result<Response, Refusal> {
    let mut response = Response::new(Body::from(to_body(body)?));
    response.headers_mut().insert(header::CONTENT_TYPE, family.content_type());
    Ok(response)
}

#[derive(Serialize)]
struct SettlementError<'a> {
    code: i32,
    err_desc: &'a str,
}

#[derive(Serialize)]
struct CapitalError<'a> {
    code: i32,
    data: (),
    message: &'a str,
}

#[derive(Serialize)]
struct WalletErrors<'a> {
    errors: Vec<WalletError<'a>>,
}

#[derive(Serialize)]
struct WalletError<'a> {
    status: String,
    code: &'static str,
    detail: Detail<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Pointer>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

#[derive(Serialize)]
struct Pointer {
    pointer: String,
}

impl Family {
    /// The family a path belongs to.
    pub fn of(path: &str) -> Self {
        let under = |root: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(provider) = Provider::of(path) {
            Self::Notice(provider)
        } else if under("/sett") {
            Self::Settlement
        } else if under("/user/capital-account") {
            Self::Capital
        } else {
            Self::Wallet
        }
    }

    /// The media type of its answers.
    pub fn content_type(self) -> HeaderValue {
        match self {
            Self::Settlement | Self::Capital => HeaderValue::from_static("application/json"),
            Self::Wallet => HeaderValue::from_static("application/vnd.api+json"),
            Self::Notice(provider) => provider.media(),
        }
    }

    /// How long an answer may take, when any request may take `timeout`.
    pub fn patience(self, timeout: Duration) -> Duration {
        match self {
            Self::Settlement | Self::Capital | Self::Wallet => timeout,
            Self::Notice(_) => Provider::patience(timeout),
        }
    }

    /// Puts a refusal into the family's envelope; headers that were set already stay.
    pub fn refuse(self, refusal: &Refusal, response: &mut Response) {
        let failure = &refusal.failure;
        let row = failure.reason.row();
        let status = refusal.status.unwrap_or_else(|| self.status(failure.reason));
        let body = match self {
            Self::Settlement => {
                to_body(&SettlementError { code: row.settlement, err_desc: &failure.message })
            }
            Self::Capital => {
                to_body(&CapitalError { code: row.capital, data: (), message: &failure.message })
            }
            Self::Wallet => to_body(&WalletErrors { errors: wallet_errors(failure, status) }),
            Self::Notice(provider) => provider.refusal(failure.reason),
        };
        *response.status_mut() = status;
        *response.body_mut() = Body::from(body.unwrap_or_default());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.content_type());
        // The router counted the empty body it knew of.
        headers.remove(header::CONTENT_LENGTH);
        if row.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::REQUEST_TIMEOUT {
            // The rest of that request may still arrive and would be read as the next one.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Documents 1 and 2 answer business refusals with 200, clients read `code`; what is no answer of
    /// the business (no such route, too large, too busy, broken) keeps its status.
    fn status(self, reason: Reason) -> StatusCode {
        if let Self::Notice(provider) = self {
            return provider.status(reason);
        }
        let http = reason.row().http;
        let transport = http >= 500
            || matches!(
                reason,
                Reason::RouteNotFound
                    | Reason::MethodNotAllowed
                    | Reason::BodyTooLarge
                    | Reason::Overloaded
            );
        let told = if self == Self::Wallet || transport { http } else { 200 };
        StatusCode::from_u16(told).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// One error per field when fields are at fault, else one. A field without a name has no pointer.
fn wallet_errors(failure: &Failure, status: StatusCode) -> Vec<WalletError<'_>> {
    let row = failure.reason.row();
    let error = |detail, source| WalletError {
        status: status.as_str().to_owned(),
        code: row.wallet,
        detail,
        source,
    };
    if row.wallet != VALIDATION {
        return vec![error(Detail::One(&failure.message), None)];
    }
    let mut fields: Vec<&str> = failure.fields.iter().map(|v| v.field.as_str()).collect();
    let mut seen = std::collections::HashSet::new();
    fields.retain(|field| seen.insert(*field));
    if fields.is_empty() {
        return vec![error(Detail::Many(vec![&failure.message]), None)];
    }
    let of_field = |field: &str| {
        let broken = failure.fields.iter().filter(|v| v.field == field);
        let rules = broken.map(|v| v.rule.as_str()).collect();
        let pointer = || Pointer { pointer: format!("/data/attributes/{field}") };
        error(Detail::Many(rules), (!field.is_empty()).then(pointer))
    };
    fields.into_iter().map(of_field).collect()
}

const VALIDATION: &str = "validation_error";

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
