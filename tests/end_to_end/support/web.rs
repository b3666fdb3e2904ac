//! Asking the gateway as a person with a browser or a script does.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::Stack;

/// Somebody who asks.
#[derive(Debug, Clone)]
pub struct Who {
    /// Their id; 0 for nobody in particular, who has no token.
    pub user: i64,
    roles: &'static [&'static str],
    permissions: &'static [&'static str],
}

/// Nobody: no token.
pub const ANONYMOUS: Who = Who { user: 0, roles: &[], permissions: &[] };

/// Somebody without a role.
pub const fn user(user: i64) -> Who {
    Who { user, roles: &["user"], permissions: &[] }
}

/// A teacher.
pub const fn teacher(user: i64) -> Who {
    Who { user, roles: &["teacher"], permissions: &[] }
}

/// Somebody who may review cash-outs and nothing more.
pub const fn reviewer(user: i64) -> Who {
    Who { user, roles: &["user"], permissions: &["cash.review"] }
}

/// An administrator.
pub const fn admin(user: i64) -> Who {
    Who { user, roles: &["admin"], permissions: &[] }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Idempotency-Replayed: true` was there.
    pub replayed: bool,
    /// `Content-Type`.
    pub content_type: String,
    /// The body as it came.
    pub body: String,
}

impl Answer {
    /// The body, parsed.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("{} {}", self.status, self.body))
    }

    /// A member deep inside the body, by JSON pointer.
    pub fn at(&self, pointer: &str) -> anyhow::Result<Value> {
        let found = self.json()?.pointer(pointer).cloned();
        found.with_context(|| format!("no {pointer} in {}", self.body))
    }

    /// A text deep inside the body.
    pub fn text(&self, pointer: &str) -> anyhow::Result<String> {
        let value = self.at(pointer)?;
        value.as_str().map(str::to_owned).with_context(|| format!("{pointer} is {value}"))
    }

    /// `errors[0].code` of the wallet family.
    pub fn code(&self) -> String {
        self.text("/errors/0/code").unwrap_or_default()
    }
}

/// A client that waits long enough for a busy machine.
pub fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build()?)
}

/// A token of the development key in a data directory.
pub fn token(data: &Path, who: &Who, now_us: i64) -> anyhow::Result<String> {
    let random = cashout_common::random::Random::from_os();
    let key = gateway::development_key(data, &random)?;
    let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    let hour = Duration::from_secs(3600);
    let token = gateway::DevelopmentToken {
        issuer: "cashout-dev",
        audience: "cashout",
        user_id: who.user,
        roles: &names(who.roles),
        permissions: &names(who.permissions),
        now_us,
        ttl: hour,
    };
    token.signed(&key)
}

/// Sends a request and reads all of the answer.
pub async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    anyhow::ensure!(!header("x-request-id").is_empty(), "an answer without X-Request-Id");
    Ok(Answer {
        status: response.status().as_u16(),
        replayed: header("idempotency-replayed") == "true",
        content_type: header("content-type"),
        body: response.text().await?,
    })
}

impl Stack {
    /// A token of this system.
    pub fn token(&self, who: &Who) -> anyhow::Result<String> {
        token(self.data.path(), who, self.clock().now_us())
    }

    /// A request, not sent yet.
    pub fn request(&self, method: Method, who: &Who, path: &str) -> anyhow::Result<RequestBuilder> {
        let request = self.client.request(method, format!("{}{path}", self.gateway()));
        Ok(if who.user == 0 { request } else { request.bearer_auth(self.token(who)?) })
    }

    /// `GET`.
    pub async fn get(&self, who: &Who, path: &str) -> anyhow::Result<Answer> {
        send(self.request(Method::GET, who, path)?).await
    }

    /// Any method with a JSON body, exactly as given, and a key unless it is empty.
    pub async fn ask(
        &self,
        method: Method,
        who: &Who,
        path: &str,
        body: &str,
        key: &str,
    ) -> anyhow::Result<Answer> {
        let mut request = self.request(method, who, path)?;
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        send(request).await
    }

    /// `POST` with a JSON body.
    pub async fn post(
        &self,
        who: &Who,
        path: &str,
        body: &str,
        key: &str,
    ) -> anyhow::Result<Answer> {
        self.ask(Method::POST, who, path, body, key).await
    }
}
