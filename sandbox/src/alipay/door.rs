//! The simulated Alipay's door: parameters wherever they stand, their checks and signature, and the
//! envelope of an answer. Must not know: what any method does.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use encoding_rs::{Encoding, GB18030, UTF_8};
use rails::alipay::{Parameters, parameters, signed_text, value};
use serde_json::{Value, json};

use crate::faults::{Fault, Kind, Trouble};
use crate::keys::{ALIPAY_APP_ID, Identity};
use crate::sim::{Said, Sim, Speech};
use crate::wire::Answer;

/// Methods that are known.
pub const METHODS: &[&str] = &[
    "alipay.fund.trans.uni.transfer",
    "alipay.fund.trans.common.query",
    "alipay.fund.account.query",
    "alipay.open.app.alipaycert.download",
    "alipay.data.dataservice.bill.downloadurl.query",
];

/// Parameters that have to be there, with what is said when not; in the gateway's order.
const NEEDED: &[(&str, &str, &str)] = &[
    ("app_id", "isv.missing-app-id", "缺少appId参数"),
    ("method", "isv.missing-method", "缺少方法名参数"),
    ("sign_type", "isv.missing-signature-type", "缺少签名类型参数"),
    ("sign", "isv.missing-signature", "缺少签名参数"),
    ("timestamp", "isv.missing-timestamp", "缺少时间戳参数"),
    ("version", "isv.missing-version", "缺少版本参数"),
    // How the real gateway calls these two is not published.
    ("app_cert_sn", "isv.missing-app-cert-sn", "缺少应用公钥证书序列号"),
    ("alipay_root_cert_sn", "isv.missing-root-cert-sn", "缺少支付宝根证书序列号"),
];

/// A request that passed the door.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is asked.
    pub method: String,
    /// With what.
    pub biz: Value,
}

/// Query and form body, as one list.
#[must_use]
pub fn all(query: &str, content_type: &str, body: &[u8]) -> Parameters {
    let mut all = parameters(query.as_bytes());
    if content_type.is_empty() || content_type.starts_with("application/x-www-form-urlencoded") {
        all.extend(parameters(body));
    }
    all
}

/// A parameter as text.
#[must_use]
pub fn text(given: &Parameters, name: &str) -> String {
    String::from_utf8_lossy(value(given, name)).into_owned()
}

/// The charset that a request says; `None`: one that nobody knows.
fn charset(given: &Parameters) -> Option<&'static Encoding> {
    match text(given, "charset").to_ascii_lowercase().as_str() {
        "" | "utf-8" | "utf8" => Some(UTF_8),
        "gbk" | "gb2312" | "gb18030" => Some(GB18030),
        _ => None,
    }
}

/// Reads and verifies a request.
///
/// # Errors
/// What is said when it is not right.
pub fn verify(sim: &Sim, given: &Parameters) -> Result<Request, Said> {
    for (name, code, message) in NEEDED {
        if value(given, name).is_empty() {
            return Err(refused("40001", code, message));
        }
    }
    let wrong = |code: &str, message: &str| Err(refused("40002", code, message));
    if given.iter().any(|(name, _)| given.iter().filter(|(other, _)| other == name).count() > 1) {
        return wrong("isv.invalid-parameter", "参数重复");
    }
    if text(given, "app_id") != ALIPAY_APP_ID {
        return wrong("isv.invalid-app-id", "无效的AppID参数");
    }
    let method = text(given, "method");
    if !METHODS.contains(&method.as_str()) {
        return wrong("isv.invalid-method", "不存在的方法名");
    }
    if text(given, "sign_type") != "RSA2" {
        return wrong("isv.invalid-signature-type", "无效的签名类型");
    }
    let Some(charset) = charset(given) else {
        return wrong("isv.invalid-charset", "字符集错误");
    };
    if !matches!(text(given, "format").as_str(), "" | "JSON" | "json") {
        return wrong("isv.invalid-format", "无效的数据格式");
    }
    if text(given, "version") != "1.0" {
        return wrong("isv.invalid-version", "无效的版本参数");
    }
    if !is_time(&text(given, "timestamp")) {
        return wrong("isv.invalid-timestamp", "非法的时间戳参数");
    }
    let keys = &sim.keys.alipay;
    if text(given, "app_cert_sn") != keys.app_sn {
        return wrong("isv.invalid-app-cert-sn", "应用公钥证书序列号不匹配");
    }
    if text(given, "alipay_root_cert_sn") != keys.root_sn {
        return wrong("isv.invalid-root-cert-sn", "支付宝根证书序列号不匹配");
    }
    if !keys.app.verifies(&signed_text(given, &["sign"]), &text(given, "sign")) {
        return wrong("isv.invalid-signature", "验签出错，{请检查签名}");
    }
    let (biz, broken) = charset.decode_without_bom_handling(value(given, "biz_content"));
    match serde_json::from_str(&biz) {
        Ok(biz @ Value::Object(_)) if !broken => Ok(Request { method, biz }),
        _ => wrong("isv.invalid-json", "biz_content不是合法的JSON"),
    }
}

/// `yyyy-MM-dd HH:mm:ss`, and a time that there is.
fn is_time(text: &str) -> bool {
    let shape = text.len() == 19
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => byte == b' ',
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    shape && text.parse::<jiff::civil::DateTime>().is_ok()
}

/// An answer that is a refusal.
#[must_use]
pub fn refused(code: &str, sub_code: &str, sub_msg: &str) -> Said {
    let msg = match code {
        "20000" => "Service Currently Unavailable",
        "40001" => "Missing Required Arguments",
        "40002" => "Invalid Arguments",
        "40006" => "Insufficient Permissions",
        _ => "Business Failed",
    };
    let body = json!({ "code": code, "msg": msg, "sub_code": sub_code, "sub_msg": sub_msg });
    Said { status: 200, body, outcome: sub_code.to_owned() }
}

/// A refusal of a method, by its own code.
#[must_use]
pub fn failed(sub_code: &str, sub_msg: &str) -> Said {
    refused("40004", sub_code, sub_msg)
}

/// An answer that is none.
#[must_use]
pub fn fine(mut body: Value, outcome: &str) -> Said {
    body["code"] = json!("10000");
    body["msg"] = json!("Success");
    Said { status: 200, body, outcome: outcome.to_owned() }
}

/// Speaks to one caller.
#[derive(Debug, Clone)]
pub struct Speaker {
    sim: Arc<Sim>,
    method: String,
    charset: &'static Encoding,
    /// Before anybody knows a new certificate, it is fetched: that answer is signed by the old one.
    by_current: bool,
}

impl Speaker {
    /// The one that answers a request.
    #[must_use]
    pub fn new(sim: &Arc<Sim>, given: &Parameters) -> Self {
        let method = text(given, "method");
        let known = METHODS.contains(&method.as_str());
        Self {
            sim: Arc::clone(sim),
            by_current: method.ends_with("alipaycert.download"),
            method: if known { method } else { String::new() },
            charset: charset(given).unwrap_or(UTF_8),
        }
    }

    fn identity(&self, trouble: &Trouble) -> &Identity {
        identity(&self.sim, self.by_current, trouble)
    }
}

/// Who signs.
#[must_use]
pub fn identity<'a>(sim: &'a Sim, by_current: bool, trouble: &Trouble) -> &'a Identity {
    let next = sim.by_next.load(Ordering::Relaxed) && !by_current;
    let keys = &sim.keys.alipay;
    if next == trouble.has(Kind::OtherKey) { &keys.current } else { &keys.next }
}

impl Speech for Speaker {
    fn wrong(&self, fault: &Fault) -> Said {
        let code = if fault.code.is_empty() { "SYSTEM_ERROR" } else { &fault.code };
        match fault.fault {
            Kind::LoseRequest => failed("(lost)", ""),
            Kind::SystemError | Kind::SystemErrorAfter => failed("SYSTEM_ERROR", "系统繁忙"),
            Kind::Unlisted => failed("A_CODE_OF_TOMORROW", "{未知的\"错误\"}"),
            Kind::RateLimit => failed("RESOURCE_LIMIT_EXCEED", "请求超过资源限制"),
            Kind::NotFound => failed("ORDER_NOT_EXIST", "转账订单不存在"),
            _ if code == "20000" => refused("20000", "isp.unknow-error", "服务暂不可用"),
            _ if code.starts_with("aop.") => refused("20000", code, "服务暂不可用"),
            _ if code.starts_with("isv.insufficient") => refused("40006", code, "权限不足"),
            _ if code.starts_with("isv.") => refused("40002", code, "脚本指定的错误"),
            _ => failed(code, "脚本指定的错误"),
        }
    }

    fn seal(&self, said: Said, trouble: &Trouble) -> Answer {
        let mut body = said.body;
        distort(&mut body, trouble);
        if trouble.has(Kind::NoContent) {
            return Answer::new(204, "", "");
        }
        // As the real gateway writes it: with escaped slashes, which are part of what is signed.
        let node = body.to_string().replace('/', "\\/");
        let bytes = |text: &str| self.charset.encode(text).0.into_owned();
        let gateways = self.method.is_empty() || body["code"] == "20000";
        let envelope = if gateways {
            format!("{{\"error_response\":{node}}}")
        } else {
            let key = format!("{}_response", self.method.replace('.', "_"));
            let mut signed = bytes(&node);
            if trouble.has(Kind::WrongSignature) {
                signed.push(b' ');
            }
            let identity = self.identity(trouble);
            let sign = identity.key.sign(&signed).unwrap_or_default();
            let serial = if trouble.has(Kind::WrongSerial) { "0" } else { &identity.serial };
            if trouble.has(Kind::MissingSignature) {
                format!("{{\"{key}\":{node}}}")
            } else {
                format!("{{\"{key}\":{node},\"alipay_cert_sn\":\"{serial}\",\"sign\":\"{sign}\"}}")
            }
        };
        let gbk = self.charset == GB18030;
        let kind = if gbk { "text/html;charset=GBK" } else { "text/html;charset=utf-8" };
        Answer::new(said.status, kind, bytes(&envelope))
    }
}

/// Changes facts of an answer or a notification, before it is properly signed.
pub fn distort(body: &mut Value, trouble: &Trouble) {
    let Some(facts) = body.as_object_mut() else { return };
    if let Some(fault) = trouble.find(Kind::State)
        && let Some(status) = facts.get_mut("status")
    {
        *status = json!(if fault.code.is_empty() { "HALF_WAY" } else { &fault.code });
    }
    for name in ["trans_amount", "available_amount"] {
        if trouble.has(Kind::Amount)
            && let Some(fact) = facts.get_mut(name)
        {
            let minor = cashout_common::money::parse_amount(fact.as_str().unwrap_or_default());
            let more = minor.unwrap_or(0).saturating_add(1);
            *fact = json!(cashout_common::money::format_fixed(more));
        }
    }
    if trouble.has(Kind::Payee)
        && let Some(number) = facts.get_mut("out_biz_no")
    {
        // Answers of Alipay do not say who the payee is: another number is the nearest lie.
        *number = json!("somebodyelses");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_one_form() {
        assert!(is_time("2026-02-28 23:59:59"));
        for bad in [
            "",
            "2026-02-30 00:00:00",
            "2026-02-28T23:59:59",
            "2026-2-28 23:59:59",
            "2026-02-28 24:00:00",
            "1770000000",
            "2026-02-28 23:59:59 ",
        ] {
            assert!(!is_time(bad), "{bad}");
        }
    }
}
