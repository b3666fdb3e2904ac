//! The texts WeChat Pay APIv3 signs, and its `Authorization` header.

use std::fmt;

use crate::Wrong;

/// Name of the scheme in the header.
pub const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";
/// How far the clocks of both sides may be apart, seconds.
pub const CLOCK_SKEW_S: i64 = 300;
/// Signatures that begin with this are deliberately wrong: the provider tests whether we look.
pub const PROBE: &str = "WECHATPAY/SIGNTEST/";

/// What the sender of a request signs. `target` is path and query exactly as sent; `body` is empty for
/// GET and for POST without one.
#[must_use]
pub fn request_text(
    method: &str,
    target: &str,
    timestamp: &str,
    nonce: &str,
    body: &[u8],
) -> Vec<u8> {
    let mut text = format!("{method}\n{target}\n{timestamp}\n{nonce}\n").into_bytes();
    text.extend_from_slice(body);
    text.push(b'\n');
    text
}

/// What the provider signs: of an answer and of a notification.
#[must_use]
pub fn answer_text(timestamp: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    let mut text = format!("{timestamp}\n{nonce}\n").into_bytes();
    text.extend_from_slice(body);
    text.push(b'\n');
    text
}

/// The `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorization {
    /// The merchant.
    pub mchid: String,
    /// Random, up to 32 characters.
    pub nonce: String,
    /// Unix seconds.
    pub timestamp: String,
    /// Serial number of the merchant's certificate, upper-case hex.
    pub serial: String,
    /// Base64.
    pub signature: String,
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mchid, nonce, timestamp, serial, signature } = self;
        write!(
            f,
            "{SCHEME} mchid=\"{mchid}\",nonce_str=\"{nonce}\",signature=\"{signature}\",\
             timestamp=\"{timestamp}\",serial_no=\"{serial}\""
        )
    }
}

impl std::str::FromStr for Authorization {
    type Err = Wrong;

    /// Reads a header; the order of its parts is free.
    fn from_str(text: &str) -> Result<Self, Wrong> {
        let wrong = Wrong("not an Authorization header of APIv3");
        let (scheme, rest) = text.split_once(' ').ok_or_else(|| wrong.clone())?;
        if scheme != SCHEME {
            return Err(wrong);
        }
        let mut read = Self::default();
        for part in rest.split(',') {
            let (name, value) = part.trim().split_once('=').ok_or_else(|| wrong.clone())?;
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            let value = value.ok_or_else(|| wrong.clone())?.to_owned();
            let place = match name {
                "mchid" => &mut read.mchid,
                "nonce_str" => &mut read.nonce,
                "timestamp" => &mut read.timestamp,
                "serial_no" => &mut read.serial,
                "signature" => &mut read.signature,
                _ => return Err(wrong),
            };
            if !std::mem::replace(place, value).is_empty() {
                return Err(wrong);
            }
        }
        let Self { mchid, nonce, timestamp, serial, signature } = &read;
        if [mchid, nonce, timestamp, serial, signature].iter().any(|part| part.is_empty()) {
            return Err(wrong);
        }
        Ok(read)
    }
}
