//! One HTTP call to a provider, with everything bounded: connecting, waiting, the size of the answer.
//!
//! No redirects, no proxies of the environment, no repetitions of its own: whoever calls decides what is
//! sent again. Plain HTTP goes to loopback addresses only. Must not know: any provider, what is sent.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

/// Longest answer to a call, bytes.
pub const ANSWER_CAP: usize = 1 << 20;
/// Longest packed bill, bytes.
pub const BILL_CAP: usize = 64 << 20;

/// Shorter than the other side keeps an idle connection, so that few calls meet a closed one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// Without a byte for so long, the answer is lost.
    pub read: Duration,
    /// For a call as a whole. The service has no more patience than `PAYOUT_CALL_TIMEOUT`, so that nothing
    /// goes out for a call that it does not wait for any more, see [`Patience::of_payouts`]; but for the
    /// certificate that an answer of Alipay may need, which has a time of its own.
    pub call: Duration,
    /// For a bill as a whole.
    pub bill: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            read: Duration::from_secs(10),
            call: Duration::from_secs(20),
            bill: Duration::from_secs(120),
        }
    }
}

impl Patience {
    /// That of payouts, where a call may take so long.
    #[must_use]
    pub fn of_payouts(call: Duration) -> Self {
        Self { call, ..Self::default() }
    }
}

/// What is asked. It holds signatures and ids, so it never prints itself.
pub struct Call {
    /// GET or POST.
    pub method: Method,
    /// Path and query go out exactly as they stand here.
    pub url: Url,
    /// Besides those that HTTP needs.
    pub headers: Vec<(&'static str, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
    /// Longest answer, bytes.
    pub cap: usize,
}

/// What came back, whole. It never prints itself either.
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    headers: HeaderMap,
    /// As received.
    pub body: Vec<u8>,
}

impl Reply {
    /// A header that is there once and is text; anything else is as good as none.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.get_all(name).iter();
        let first = all.next()?;
        all.next().is_none().then(|| first.to_str().ok()).flatten()
    }
}

/// Why there is no whole answer. Whether the call arrived is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost(pub &'static str);

/// Connections to providers, kept open between calls.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    patience: Patience,
}

impl Http {
    /// No connection yet. Without `https` nothing but loopback can be reached, and the machine's root
    /// certificates are not read: a simulator needs none.
    ///
    /// # Errors
    /// When TLS cannot be set up, e.g. because the machine has no root certificates.
    pub fn new(patience: Patience, https: bool) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("cashout/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .http1_only()
            .connect_timeout(patience.connect)
            .read_timeout(patience.read)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true);
        let client = if https { client } else { client.tls_certs_only([]) };
        let client = client.build().map_err(|error| format!("no HTTPS: {error}"))?;
        Ok(Self { client, patience })
    }

    /// Makes a call.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn call(&self, call: Call) -> Result<Reply, Lost> {
        if !safe(&call.url) {
            return Err(Lost("not an https address"));
        }
        let patience = &self.patience;
        let timeout = if call.cap > ANSWER_CAP { patience.bill } else { patience.call };
        let request = self.client.request(call.method, call.url).timeout(timeout);
        let request = request.headers(headers(call.headers)?);
        let request = if call.body.is_empty() { request } else { request.body(call.body) };
        let mut response = request.send().await.map_err(|error| lost(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
            if body.len() + chunk.len() > call.cap {
                return Err(Lost("the answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, headers, body })
    }
}

/// Whether a call there is encrypted, or stays on this machine.
fn safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && loopback(url))
}

fn loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Reads the address of a provider: `https`, or `http` on loopback, without user and fragment.
///
/// # Errors
/// The rule, when it is broken.
pub fn address(text: &str) -> Result<Url, String> {
    let rule = || "must be an https address; http only on loopback, for a simulator".to_owned();
    let url = Url::parse(text).map_err(|_| rule())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if plain && safe(&url) { Ok(url) } else { Err(rule()) }
}

fn headers(given: Vec<(&'static str, String)>) -> Result<HeaderMap, Lost> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let value = HeaderValue::from_str(&value).map_err(|_| Lost("a header cannot be sent"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

/// The library's words may hold the address, so they stay here.
fn lost(error: &reqwest::Error) -> Lost {
    if error.is_connect() {
        Lost("could not connect")
    } else if error.is_timeout() {
        Lost("no answer in time")
    } else {
        Lost("the connection broke")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_or_local_addresses_are_taken() {
        for right in [
            "https://api.mch.weixin.qq.com",
            "https://openapi.alipay.com/gateway.do",
            "http://127.0.0.1:8090",
            "http://localhost:1/x",
            "http://[::1]:8090",
        ] {
            assert!(address(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "api.mch.weixin.qq.com",
            "http://api.mch.weixin.qq.com",
            "http://127.0.0.1.example.com",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "https://user:word@host",
            "https://host/#part",
        ] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
