//! A door for notifications: keeps what comes in, byte by byte, and acknowledges it. Must not know: how
//! anything is signed.

use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::post;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A notification as it came in.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Names in lower case, as JSON for the SDKs.
    pub headers: Map<String, Value>,
    /// As received.
    pub body: Vec<u8>,
}

impl Notification {
    /// The body as the text that SDKs want.
    ///
    /// # Errors
    /// When it is none.
    pub fn text(&self) -> anyhow::Result<&str> {
        std::str::from_utf8(&self.body).context("a notification that is not a text")
    }
}

/// The door.
#[derive(Debug)]
pub struct Listener {
    /// Where the simulator finds it.
    pub address: String,
    came: UnboundedReceiver<(String, Notification)>,
}

impl Listener {
    /// Opens it on a port of its own.
    pub async fn open() -> anyhow::Result<Self> {
        let (tell, came) = unbounded_channel();
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", socket.local_addr()?);
        let door = Router::new()
            .route("/notify/wechat", post(keep))
            .route("/notify/alipay", post(keep))
            .with_state(tell);
        tokio::spawn(async move { axum::serve(socket, door).await });
        Ok(Self { address, came })
    }

    /// The next notification of a provider, in the order of their coming.
    pub async fn next(&mut self, provider: &str) -> anyhow::Result<Notification> {
        let path = format!("/notify/{provider}");
        loop {
            let came = tokio::time::timeout(Duration::from_secs(30), self.came.recv()).await;
            let came = came.context("no notification came")?.context("the door is closed")?;
            if came.0 == path {
                return Ok(came.1);
            }
        }
    }
}

async fn keep(
    State(tell): State<UnboundedSender<(String, Notification)>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> &'static str {
    let texts = headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), Value::from(value.to_str().ok()?)))
    });
    let notification = Notification { headers: texts.collect(), body: body.to_vec() };
    // Nobody listens any more: the test is over.
    let _ = tell.send((uri.path().to_owned(), notification));
    // Alipay wants to hear this; WeChat Pay only looks at the status.
    "success"
}
