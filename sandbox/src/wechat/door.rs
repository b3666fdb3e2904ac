//! The simulated WeChat Pay's door: verifies what comes in, signs what goes out.
//!
//! Must not know: what any call does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::{HeaderMap, Method, Uri};
use rails::wechat::{Authorization, CLOCK_SKEW_S, SCHEME, answer_text, request_text};
use serde_json::{Value, json};

use crate::faults::{Fault, Kind, Trouble};
use crate::keys::{Identity, MCHID};
use crate::sim::{Said, Sim, Speech};
use crate::wire::Answer;

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// Path and query, exactly as sent.
    pub uri: Uri,
    /// All of them.
    pub headers: HeaderMap,
    /// The content.
    pub body: Vec<u8>,
}

impl Request {
    /// A header, empty when there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// One parameter of the query, decoded; empty when there is none.
    #[must_use]
    pub fn parameter(&self, name: &str) -> String {
        let query = self.uri.query().unwrap_or_default();
        let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

/// An answer that is a refusal: a code for programs, a message for people.
#[must_use]
pub fn refused(status: u16, code: &str, message: &str) -> Said {
    let body = json!({ "code": code, "message": message });
    Said { status, body, outcome: code.to_owned() }
}

/// Whether the merchant signed the request, lately.
///
/// # Errors
/// What is said when not.
pub fn verify(sim: &Sim, request: &Request) -> Result<(), Said> {
    let wrong = |message: &str| refused(401, "SIGN_ERROR", message);
    let header = request.header("authorization");
    let given: Authorization =
        header.parse().map_err(|_| wrong("Http头Authorization认证类型不正确"))?;
    if given.mchid != MCHID {
        return Err(wrong("商户号不存在"));
    }
    if given.serial != sim.keys.wechat.merchant_serial {
        return Err(wrong("商户证书序列号有误"));
    }
    let now_s = sim.world.clock.now_us() / 1_000_000;
    let at_s: Option<i64> = given.timestamp.parse().ok();
    if at_s.is_none_or(|at_s| at_s.abs_diff(now_s) > CLOCK_SKEW_S.unsigned_abs()) {
        return Err(wrong("Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"));
    }
    if given.nonce.len() > 32 {
        return Err(wrong("Http头Authorization中的nonce_str过长"));
    }
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str());
    let method = request.method.as_str();
    let text = request_text(method, target, &given.timestamp, &given.nonce, &request.body);
    if sim.keys.wechat.merchant.verifies(&text, &given.signature) {
        Ok(())
    } else {
        Err(wrong("签名错误，请检查后再试"))
    }
}

/// Which key a request wants its names decrypted and its answer signed with; `None`: one that nobody
/// has.
#[must_use]
pub fn identity<'a>(sim: &'a Sim, request: &Request) -> Option<&'a Identity> {
    let keys = &sim.keys.wechat;
    match request.header("wechatpay-serial") {
        "" => Some(&keys.public_key),
        serial => [&keys.public_key, &keys.certificate].into_iter().find(|i| i.serial == serial),
    }
}

/// Speaks to one caller.
#[derive(Debug, Clone)]
pub struct Speaker {
    sim: Arc<Sim>,
    by_certificate: bool,
}

impl Speaker {
    /// The one that answers a request.
    #[must_use]
    pub fn new(sim: &Arc<Sim>, request: &Request) -> Self {
        let certificate = &sim.keys.wechat.certificate.serial;
        let by_certificate = request.header("wechatpay-serial") == certificate;
        Self { sim: Arc::clone(sim), by_certificate }
    }

    /// The one that sends notifications.
    #[must_use]
    pub fn of_notifications(sim: &Arc<Sim>) -> Self {
        let by_certificate = sim.by_certificate.load(Ordering::Relaxed);
        Self { sim: Arc::clone(sim), by_certificate }
    }

    /// The headers that sign a content.
    #[must_use]
    pub fn signature(&self, body: &[u8], trouble: &Trouble) -> Vec<(&'static str, String)> {
        let request_id = ("request-id", self.sim.random_hex::<16>().to_uppercase());
        if trouble.has(Kind::MissingSignature) {
            return vec![request_id];
        }
        let keys = &self.sim.keys.wechat;
        let by_certificate = self.by_certificate != trouble.has(Kind::OtherKey);
        let identity = if by_certificate { &keys.certificate } else { &keys.public_key };
        let late_s = if trouble.has(Kind::Stale) { 2 * CLOCK_SKEW_S } else { 0 };
        let timestamp = (self.sim.world.clock.now_us() / 1_000_000 - late_s).to_string();
        let nonce = self.sim.random_hex::<16>();
        let mut text = answer_text(&timestamp, &nonce, body);
        if trouble.has(Kind::WrongSignature) {
            text.push(b' ');
        }
        let serial = if trouble.has(Kind::WrongSerial) {
            "PUB_KEY_ID_0000000000000000000000000000000000".to_owned()
        } else {
            identity.serial.clone()
        };
        vec![
            request_id,
            ("wechatpay-timestamp", timestamp),
            ("wechatpay-nonce", nonce),
            ("wechatpay-signature", identity.key.sign(&text).unwrap_or_default()),
            ("wechatpay-serial", serial),
            ("wechatpay-signature-type", SCHEME.to_owned()),
        ]
    }
}

impl Speech for Speaker {
    fn wrong(&self, fault: &Fault) -> Said {
        let code = if fault.code.is_empty() { "PARAM_ERROR" } else { &fault.code };
        let status = if fault.status == 0 { 400 } else { fault.status };
        match fault.fault {
            Kind::LoseRequest => refused(0, "(lost)", ""),
            Kind::SystemError | Kind::SystemErrorAfter => {
                refused(500, "SYSTEM_ERROR", "系统异常，请稍后重试")
            }
            Kind::Unlisted => refused(status, "A_CODE_OF_TOMORROW", "{未知的\"错误\"}"),
            Kind::RateLimit => refused(429, "FREQUENCY_LIMITED", "请求过于频繁，请稍后重试"),
            Kind::NotFound => refused(404, "NOT_FOUND", "记录不存在"),
            _ => refused(status, code, "脚本指定的错误"),
        }
    }

    fn seal(&self, said: Said, trouble: &Trouble) -> Answer {
        let mut body = said.body;
        distort(&mut body, trouble);
        let (status, bytes) = if trouble.has(Kind::NoContent) {
            (204, Vec::new())
        } else {
            (said.status, body.to_string().into_bytes())
        };
        let content_type = if bytes.is_empty() { "" } else { "application/json; charset=utf-8" };
        let headers = self.signature(&bytes, trouble);
        Answer { headers, ..Answer::new(status, content_type, bytes) }
    }
}

/// Changes facts of an answer or a notification, before it is properly signed.
pub fn distort(body: &mut Value, trouble: &Trouble) {
    let Some(facts) = body.as_object_mut() else { return };
    let mut change = |kind, name: &str, to: &dyn Fn(&Value) -> Value| {
        if trouble.has(kind)
            && let Some(fact) = facts.get_mut(name)
        {
            *fact = to(fact);
        }
    };
    let word = trouble.find(Kind::State).map_or("", |fault| fault.code.as_str());
    let word = if word.is_empty() { "HALF_WAY" } else { word };
    change(Kind::State, "state", &|_| json!(word));
    for name in ["transfer_amount", "available_amount"] {
        change(Kind::Amount, name, &|fact| json!(fact.as_i64().unwrap_or(0).saturating_add(1)));
    }
    change(Kind::Payee, "openid", &|_| json!("somebody-else"));
    change(Kind::Merchant, "mch_id", &|_| json!("1900000002"));
}
