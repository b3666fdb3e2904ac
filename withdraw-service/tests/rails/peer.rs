//! A scripted HTTP peer: it keeps what it was asked and answers with the bytes it is told to.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use rails::key::PrivateKey;
use rails::wechat::answer_text;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use withdraw_service::ports::{Answer, Order, SendRequest};
use withdraw_service::providers::told::Told;

use crate::keys::{NOON_S, PUB_KEY_ID};

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What the peer does with a request.
#[derive(Debug, Clone)]
pub enum Act {
    /// Answers with these bytes, then closes.
    Say(Vec<u8>),
    /// Closes without a word.
    Close,
    /// Says nothing and keeps the connection.
    Hang,
}

type Script = Arc<dyn Fn(&Seen) -> Act + Send + Sync>;

/// The peer; it ends with the test's runtime.
pub struct Peer {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Peer {
    /// Listens and answers as the script says.
    pub async fn start(
        script: impl Fn(&Seen) -> Act + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (script, log): (Script, _) = (Arc::new(script), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), log.clone()));
            }
        });
        Ok(Self { url, seen })
    }

    /// Always the same.
    pub async fn saying(act: Act) -> anyhow::Result<Self> {
        Self::start(move |_| act.clone()).await
    }

    /// Everything that was asked.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(mut stream: TcpStream, script: Script, log: Arc<Mutex<Vec<Seen>>>) {
    let Some(seen) = read(&mut stream).await else { return };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
    match script(&seen) {
        Act::Say(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Act::Close => {}
        Act::Hang => futures::future::pending().await,
    }
}

fn read(stream: &mut TcpStream) -> BoxFuture<'_, Option<Seen>> {
    Box::pin(async move {
        let mut bytes = Vec::new();
        loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let mut seen = head(&String::from_utf8_lossy(bytes.get(..at)?))?;
                let length = seen.header("content-length").parse().unwrap_or(0);
                if bytes.len() >= at + 4 + length {
                    seen.body = bytes.get(at + 4..)?.to_vec();
                    return Some(seen);
                }
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
    })
}

fn head(text: &str) -> Option<Seen> {
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers =
        headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Some(Seen { method, target, headers, body: Vec::new() })
}

/// An HTTP answer.
pub fn http(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Word\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    [text.as_bytes(), b"\r\n", body].concat()
}

/// The headers with which WeChat Pay signs.
pub struct Signed<'a> {
    pub key: &'a PrivateKey,
    pub serial: &'a str,
    pub at_s: i64,
}

impl<'a> Signed<'a> {
    /// As it should be.
    pub fn right(key: &'a PrivateKey) -> Self {
        Self { key, serial: PUB_KEY_ID, at_s: NOON_S }
    }

    pub fn headers(&self, body: &[u8]) -> Vec<(String, String)> {
        let (at, nonce) = (self.at_s.to_string(), "c5ac7061fccab6bf3e254dcf98995b8c");
        let signature = self.key.sign(&answer_text(&at, nonce, body)).unwrap_or_default();
        [
            ("wechatpay-timestamp", at.as_str()),
            ("wechatpay-nonce", nonce),
            ("wechatpay-signature", &signature),
            ("wechatpay-serial", self.serial),
            ("wechatpay-signature-type", "WECHATPAY2-SHA256-RSA2048"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// A whole answer.
    pub fn answer(&self, status: u16, body: &str) -> Vec<u8> {
        let headers = self.headers(body.as_bytes());
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        http(status, &headers, body.as_bytes())
    }
}

/// An order of 3,000.00 to 张三.
pub fn order(payee_id: &str) -> Order {
    Order {
        number: "P20260303000000000001".to_owned(),
        payee_id: payee_id.to_owned(),
        payee_name: "张三".to_owned(),
        amount_minor: 300_000,
        currency: "CNY".to_owned(),
    }
}

/// The sending of an order whose body was prepared.
pub fn request(order: &Order, body: Vec<u8>) -> SendRequest {
    let (number, payee_id) = (order.number.clone(), order.payee_id.clone());
    SendRequest { number, payee_id, amount_minor: order.amount_minor, body, digest: String::new() }
}

/// What the bytes of an order must say.
pub fn asked(order: &Order) -> Told {
    let Order { number, payee_id, amount_minor, .. } = order.clone();
    Told { number, payee_id, amount_minor }
}

/// An answer in one line, for tables.
pub fn line(answer: &Answer) -> String {
    let more = match answer {
        Answer::Pending { confirmation: Some(c), .. } => format!(" confirm {}", c.package),
        Answer::Blocked { repair, .. } => format!(" repair {repair:?}"),
        _ => String::new(),
    };
    format!("{} {}{more}", answer.outcome(), answer.detail()).trim_end().to_owned()
}

/// What of a written attempt goes out: everything after its first line.
pub fn sent_part(attempt: &[u8]) -> &[u8] {
    let at = attempt.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1);
    attempt.get(at..).unwrap_or_default()
}
