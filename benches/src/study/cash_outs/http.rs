//! The least of an HTTP client that a caller of the gateway needs: one kept connection, one request
//! after the other, JSON both ways, and tokens as a login service of its own would sign them.
//!
//! Must not know: any endpoint.

use std::future::poll_fn;
use std::pin::Pin;

use anyhow::Context;
use cashout_common::clock::{Clock, SECOND_US};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::body::Body;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// Issuer and audience that a gateway expects unless it is told otherwise.
const ISSUER: &str = "cashout-dev";
const AUDIENCE: &str = "cashout";
/// How long a token is valid, seconds: longer than a study takes.
const VALID: i64 = 6 * 3600;

/// One connection.
pub struct Http {
    sender: SendRequest<String>,
    host: String,
}

/// What is asked.
pub struct Ask<'a> {
    /// `GET` or `POST`.
    pub method: Method,
    /// Path and query.
    pub path: &'a str,
    /// Who asks: see [`token`].
    pub token: &'a str,
    /// Idempotency key; empty for none.
    pub key: &'a str,
    /// JSON; empty for none.
    pub body: String,
}

impl Http {
    /// Connects to `http://host:port`.
    pub async fn connect(address: &str) -> anyhow::Result<Self> {
        let host = address.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host).await.with_context(|| host.clone())?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what goes wrong is told to who asks.
        tokio::spawn(connection);
        Ok(Self { sender, host })
    }

    /// Asks, and reads of the answer what the caller wants of it; another status than 200 is an error with the
    /// body in it.
    pub async fn ask<T: DeserializeOwned>(&mut self, ask: Ask<'_>) -> anyhow::Result<T> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.path)
            .header(HOST, &self.host)
            .header(AUTHORIZATION, format!("Bearer {}", ask.token));
        if !ask.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if !ask.key.is_empty() {
            request = request.header("idempotency-key", ask.key);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(ask.body)?).await?;
        let status = response.status();
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            if let Ok(data) = frame?.into_data() {
                bytes.extend_from_slice(&data);
            }
        }
        let told = || format!("{} {status}: {}", ask.path, String::from_utf8_lossy(&bytes));
        anyhow::ensure!(status.as_u16() == 200, told());
        serde_json::from_slice(&bytes).with_context(told)
    }
}

/// A token for a person, signed with the secret that the gateway shares.
pub fn token(secret: &str, user: i64, role: &str) -> anyhow::Result<String> {
    let claims = serde_json::json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": Clock::system().now_us() / SECOND_US + VALID,
        "sub": user.to_string(),
        "roles": [role],
    });
    let key = EncodingKey::from_secret(secret.as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}
