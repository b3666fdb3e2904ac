//! One authenticated request as endpoints see it: who asks, with which parameters, and the way to the
//! services. No endpoint sees a header.

use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use axum::extract::{FromRequest, MatchedPath, Request};
use cashout_common::actor::Actor;
use cashout_common::clock::SECOND_US;
use cashout_common::local::Zone;
use cashout_common::number::parse_id;
use cashout_common::text;
use cashout_common::world::World;
use cashout_proto::{Failure, Reason};
use http::{HeaderMap, Method, header};
use tokio::time::Instant;

use super::parameters::malformed;
use super::{Parameters, Refusal, request_id};
use crate::identity::{Identity, Permission, Verifier};
use crate::upstream::{Caller, Upstream};

/// What all requests share.
pub struct App {
    /// Tells who a token speaks for.
    pub keys: Verifier,
    /// The two services.
    pub upstream: Upstream,
    /// Time and chance.
    pub world: World,
    /// The zone of local times.
    pub zone: Zone,
    /// Whether `?token=` is taken too.
    pub token_parameter: bool,
    /// The fee rate as configured.
    pub fee_rate: String,
}

/// What the edge notes of a request before it is routed.
#[derive(Debug, Clone)]
pub struct Noted {
    /// The request's id.
    pub request_id: String,
    /// When the answer must be there.
    pub deadline: Instant,
    /// The pattern of its route, once it has one; told also of what is never answered by it.
    pub route: Arc<OnceLock<MatchedPath>>,
}

/// An authenticated request.
pub struct Call {
    /// What all requests share.
    pub app: Arc<App>,
    /// Who asks.
    pub who: Identity,
    /// What goes along to the services.
    pub caller: Caller,
    /// The query string.
    pub query: Parameters,
    /// The body.
    pub body: Bytes,
    method: Method,
    path: String,
    content_type: String,
    keys: Vec<Option<String>>,
}

impl FromRequest<Arc<App>> for Call {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let noted = parts
            .extensions
            .get::<Noted>()
            .cloned()
            .ok_or_else(|| Failure::new(Reason::Internal, "internal error"))?;
        let query = Parameters::of_form(parts.uri.query().unwrap_or_default().as_bytes())?;
        let token = token(&parts.headers, &query, app.token_parameter)?;
        let who = app.keys.verify(&token).await?;
        // The edge has read the body already and has kept its limit.
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(text);
        Ok(Self {
            app: Arc::clone(app),
            caller: Caller {
                actor: Actor::Person(who.user_id),
                request_id: noted.request_id,
                trace_parent: request_id::trace_parent(&parts.headers),
                deadline: noted.deadline,
            },
            who,
            query,
            body,
            path: parts.uri.path().to_owned(),
            method: parts.method,
            content_type: content_type.unwrap_or_default().to_ascii_lowercase(),
            keys: parts.headers.get_all("idempotency-key").iter().map(text).collect(),
        })
    }
}

impl Call {
    /// The two services.
    pub fn upstream(&self) -> &Upstream {
        &self.app.upstream
    }

    /// Now, UTC microseconds.
    pub fn now_us(&self) -> i64 {
        self.app.world.clock.now_us()
    }

    /// Now, Unix seconds.
    pub fn now_s(&self) -> i64 {
        self.now_us().div_euclid(SECOND_US)
    }

    /// Goes on only with this permission.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub fn require(&self, permission: Permission) -> Result<(), Failure> {
        if self.who.may(permission) {
            return Ok(());
        }
        Err(Failure::new(Reason::PermissionDenied, "you may not do this"))
    }

    /// Whether it came by POST, where GET is the same endpoint.
    pub fn is_post(&self) -> bool {
        self.method == Method::POST
    }

    /// The id a path ends with. What is no id names nothing.
    ///
    /// # Errors
    /// The reason given, for an object that does not exist.
    pub fn path_id(&self, missing: Reason) -> Result<i64, Failure> {
        let last = self.path.rsplit('/').next().unwrap_or_default();
        parse_id(last).ok_or_else(|| Failure::new(missing, "there is no such object"))
    }

    /// The idempotency key, or an empty one when none was sent.
    ///
    /// # Errors
    /// `MALFORMED_REQUEST` when it is not 1 to 255 printable ASCII characters or differs from another.
    pub fn idempotency_key(&self) -> Result<String, Failure> {
        let mut keys = self.keys.iter();
        let Some(first) = keys.next() else { return Ok(String::new()) };
        if keys.any(|other| other != first) {
            return Err(malformed("Idempotency-Key is given twice with different values"));
        }
        let key = first.as_deref().unwrap_or_default();
        let key = text::key(key, 255);
        key.map(str::to_owned).map_err(|rule| malformed(&format!("Idempotency-Key {rule}")))
    }

    /// The parameters of query string and body together. A body may be a form or a flat JSON object.
    ///
    /// # Errors
    /// `MALFORMED_REQUEST` when the body is neither.
    pub fn parameters(&self) -> Result<Parameters, Failure> {
        let media = self.content_type.split(';').next().unwrap_or_default().trim();
        // No form begins with a brace; command-line clients send JSON and call it a form.
        let json = media.ends_with("json") || self.body.trim_ascii_start().starts_with(b"{");
        let body = if self.body.is_empty() {
            Parameters::default()
        } else if json {
            Parameters::of_json(&self.body)?
        } else if media == "application/x-www-form-urlencoded" {
            Parameters::of_form(&self.body)?
        } else {
            return Err(malformed("the body must be a form or JSON, and Content-Type say which"));
        };
        Ok(self.query.clone().and(body))
    }
}

/// The token of a request: `Authorization: Bearer`, or the parameter where that is switched on.
fn token(headers: &HeaderMap, query: &Parameters, parameter: bool) -> Result<String, Failure> {
    let refused = |message: &str| Failure::new(Reason::NotAuthenticated, message);
    let mut sent = headers.get_all(header::AUTHORIZATION).iter();
    let header = sent.next();
    if sent.next().is_some() {
        return Err(refused("Authorization must stand once"));
    }
    let bearer = |text: &str| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' ').to_owned())
    };
    let header = match header {
        Some(value) => {
            let token = value.to_str().ok().and_then(bearer);
            Some(token.ok_or_else(|| refused("Authorization must be a Bearer token"))?)
        }
        None => None,
    };
    let given = if parameter {
        let text = query.one("token").map_err(|f| refused(&f.message))?;
        // The original systems took the whole header value there.
        text.map(|text| bearer(text).unwrap_or_else(|| text.to_owned()))
    } else {
        None
    };
    match (header, given) {
        (Some(header), Some(given)) if header != given => {
            Err(refused("the token in the header and the one in the parameter differ"))
        }
        (Some(token), _) | (None, Some(token)) => Ok(token),
        (None, None) => Err(refused("log in first")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_comes_from_one_place_only() -> anyhow::Result<()> {
        let cases: &[(&[&str], &str, bool, Option<&str>)] = &[
            (&["Bearer a"], "", false, Some("a")),
            (&["bearer  a"], "", false, Some("a")),
            (&[], "", true, None),
            (&["Basic a"], "", true, None),
            (&["Bearer"], "", true, None),
            (&["Bearer a", "Bearer a"], "", true, None),
            (&[], "token=a", false, None),
            (&[], "token=a", true, Some("a")),
            (&[], "token=Bearer%20a", true, Some("a")),
            (&["Bearer a"], "token=a", true, Some("a")),
            (&["Bearer a"], "token=b", true, None),
            (&["Bearer a"], "token=b", false, Some("a")),
            (&[], "token=a&token=b", true, None),
        ];
        for (headers, query, parameter, expected) in cases {
            let values = headers.iter().filter_map(|v| v.parse().ok());
            let headers: HeaderMap = values.map(|v| (header::AUTHORIZATION, v)).collect();
            let query = Parameters::of_form(query.as_bytes())?;
            let got = token(&headers, &query, *parameter).ok();
            assert_eq!(got.as_deref(), *expected, "{headers:?} {query:?}");
        }
        Ok(())
    }
}
