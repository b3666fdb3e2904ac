//! Signed calls to WeChat Pay: what we send is signed, and nothing that comes back is believed before its
//! signature is. Must not know: what calls are for.

use cashout_common::clock::SECOND_US;
use cashout_common::number::hex;
use cashout_common::world::World;
use rails::wechat::{Authorization, CLOCK_SKEW_S, PROBE, SCHEME, answer_text, request_text};
use reqwest::{Method, Url};

use super::settings::Merchant;
use crate::providers::http::{ANSWER_CAP, Call, Http, Reply};
use crate::providers::observe;

/// Why something is not believed. The words hold none of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disbelief {
    /// The provider tests whether signatures are looked at.
    Probe,
    /// Not signed by WeChat Pay, or not lately.
    Because(&'static str),
}

impl Disbelief {
    /// For the record.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Probe => "the signature of a test",
            Self::Because(why) => why,
        }
    }
}

/// Unix seconds by our clock.
#[must_use]
pub fn now_s(world: &World) -> i64 {
    world.clock.now_us().div_euclid(SECOND_US)
}

/// Verifies an answer or a notification over its raw bytes: the key by its serial, the signature, then
/// the time.
///
/// # Errors
/// Why it is not believed.
pub fn verify<'a>(
    merchant: &Merchant,
    now_s: i64,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
) -> Result<(), Disbelief> {
    let because = Disbelief::Because;
    let part = |name: &str| header(name).ok_or(because("a signature header is missing, or twice"));
    let signature = part("wechatpay-signature")?;
    if signature.starts_with(PROBE) {
        return Err(Disbelief::Probe);
    }
    let (serial, nonce) = (part("wechatpay-serial")?, part("wechatpay-nonce")?);
    let timestamp = part("wechatpay-timestamp")?;
    if header("wechatpay-signature-type").is_some_and(|scheme| scheme != SCHEME) {
        return Err(because("another kind of signature"));
    }
    let key = merchant.platform_key(serial).ok_or(because("signed with a key we do not have"))?;
    if !key.verifies(&answer_text(timestamp, nonce, body), signature) {
        return Err(because("the signature is wrong"));
    }
    let digits = timestamp.len() <= 12 && timestamp.bytes().all(|b| b.is_ascii_digit());
    let signed_s = timestamp.parse::<i64>().ok().filter(|_| digits);
    let near = signed_s.is_some_and(|at| (now_s - at).abs() <= CLOCK_SKEW_S);
    if near { Ok(()) } else { Err(because("signed too long ago, or one clock is wrong")) }
}

/// Makes a call and gives its answer, verified.
///
/// # Errors
/// Why there is no answer that can be believed.
pub async fn call(
    (merchant, http, world): (&Merchant, &Http, &World),
    (method, target, serial): (Method, &str, &str),
    body: &[u8],
) -> Result<Reply, &'static str> {
    let url = merchant.url.join(target).map_err(|_| "not an address")?;
    let mut call = signed((merchant, world), (method, url), body)?;
    call.headers.push(("wechatpay-serial", serial.to_owned()));
    let reply = http.call(call).await.map_err(|lost| lost.0)?;
    observe::status(reply.status);
    verify(merchant, now_s(world), |name| reply.header(name), &reply.body)
        .map_err(Disbelief::why)?;
    Ok(reply)
}

/// A call with our signature over exactly what goes out.
///
/// # Errors
/// When it cannot be signed.
pub fn signed(
    (merchant, world): (&Merchant, &World),
    (method, url): (Method, Url),
    body: &[u8],
) -> Result<Call, &'static str> {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{query}", url.path());
    let timestamp = now_s(world).to_string();
    let nonce = hex(&world.random.bytes::<16>());
    let text = request_text(method.as_str(), &target, &timestamp, &nonce, body);
    let signature = merchant.key.sign(&text).map_err(|_| "could not sign")?;
    let (mchid, serial) = (merchant.mch_id.clone(), merchant.serial.clone());
    let authorization = Authorization { mchid, nonce, timestamp, serial, signature };
    let mut headers = vec![
        ("authorization", authorization.to_string()),
        ("accept", "application/json".to_owned()),
    ];
    if method == Method::POST {
        headers.push(("content-type", "application/json".to_owned()));
    }
    Ok(Call { method, url, headers, body: body.to_vec(), cap: ANSWER_CAP })
}
