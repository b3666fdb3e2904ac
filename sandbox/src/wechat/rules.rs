//! What the simulated WeChat Pay accepts as a transfer bill: the field rules of its documentation.
//!
//! Pure. Must not know: books, HTTP.

use serde_json::Value;

/// Least amount, fen.
const LEAST_MINOR: i64 = 10;
/// From here on the payee's name is needed, fen.
const NAMED_FROM_MINOR: i64 = 200_000;
/// Most of a transfer that looks like a red packet, fen.
const RED_PACKET_MINOR: i64 = 20_000;

/// Scenes, with what has to be reported with each.
const SCENES: &[(&str, &[&str])] = &[
    ("1000", &["活动名称", "奖励说明"]),
    ("1002", &["补贴类型"]),
    ("1004", &["保险产品备案编号", "保险名称", "保险操作单号"]),
    ("1005", &["岗位类型", "报酬说明"]),
    ("1009", &["采购商品名称"]),
    ("1010", &["回收商品名称"]),
    ("1011", &["赔付原因"]),
    ("1013", &["公益活动名称", "公益活动备案编号"]),
];

/// How a payee may perceive a transfer, where the words are fixed.
const PERCEPTIONS: &[(&str, &[&str])] = &[
    ("1000", &["活动奖励", "现金奖励"]),
    ("1005", &["劳务报酬", "报销款", "企业补贴", "开工利是"]),
];

/// What was asked for, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// The merchant's number.
    pub number: String,
    /// Whom.
    pub openid: String,
    /// How much, fen.
    pub amount_minor: i64,
    /// Encrypted; empty when there is none.
    pub user_name: String,
}

/// What is wrong: status, code, and words for people.
pub type Refusal = (u16, &'static str, String);

fn wrong(what: &str) -> Refusal {
    (400, "PARAM_ERROR", format!("参数错误：{what}"))
}

/// A text of so many characters.
fn text<'a>(body: &'a Value, name: &str, least: usize, most: usize) -> Result<&'a str, Refusal> {
    let text = match &body[name] {
        Value::Null => "",
        Value::String(text) => text,
        _ => return Err(wrong(name)),
    };
    let length = text.chars().count();
    if (least..=most).contains(&length) { Ok(text) } else { Err(wrong(name)) }
}

/// Reads what was asked for.
///
/// # Errors
/// The first rule that is broken.
pub fn read(body: &Value, app_id: &str) -> Result<Bill, Refusal> {
    if !body.is_object() {
        return Err(wrong("body"));
    }
    if text(body, "appid", 1, 32)? != app_id {
        return Err((400, "INVALID_REQUEST", "appid与mchid不匹配".to_owned()));
    }
    let number = number(&body["out_bill_no"]).ok_or_else(|| wrong("out_bill_no"))?;
    let openid = text(body, "openid", 1, 64)?;
    let amount_minor = body["transfer_amount"].as_i64().ok_or_else(|| wrong("transfer_amount"))?;
    if amount_minor < LEAST_MINOR {
        return Err(wrong("transfer_amount"));
    }
    let user_name = text(body, "user_name", 0, 1024)?;
    if user_name.is_empty() && amount_minor >= NAMED_FROM_MINOR {
        return Err(wrong("user_name：转账金额大于等于2000元时必填"));
    }
    text(body, "transfer_remark", 1, 32)?;
    notify_url(text(body, "notify_url", 0, 256)?)?;
    scene(body)?;
    style(body, amount_minor)?;
    let (openid, user_name) = (openid.to_owned(), user_name.to_owned());
    Ok(Bill { number, openid, amount_minor, user_name })
}

/// A merchant's number: up to 32 letters and digits.
#[must_use]
pub fn number(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let fine = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    fine.then(|| text.to_owned())
}

/// The provider wants https and a public name. A simulator wants the opposite: it tells nobody but this
/// machine.
fn notify_url(url: &str) -> Result<(), Refusal> {
    if url.is_empty() || (crate::config::loopback_url(url) && !url.contains('?')) {
        return Ok(());
    }
    Err(wrong("notify_url：模拟器只接受本机地址"))
}

fn scene(body: &Value) -> Result<(), Refusal> {
    let id = text(body, "transfer_scene_id", 1, 36)?;
    let scene = SCENES.iter().find(|(known, _)| *known == id);
    let (_, wanted) = scene.ok_or_else(|| wrong("transfer_scene_id"))?;
    let told = body["transfer_scene_report_infos"].as_array();
    let told = told.ok_or_else(|| wrong("transfer_scene_report_infos"))?;
    let mut types = Vec::new();
    for one in told {
        types.push(text(one, "info_type", 1, 15)?);
        text(one, "info_content", 1, 32)?;
    }
    if types.len() != wanted.len() || !wanted.iter().all(|name| types.contains(name)) {
        return Err(wrong("transfer_scene_report_infos：与转账场景不匹配"));
    }
    let perception = text(body, "user_recv_perception", 0, 32)?;
    let words = PERCEPTIONS.iter().find(|(known, _)| *known == id).map(|(_, words)| *words);
    if !perception.is_empty() && words.is_some_and(|words| !words.contains(&perception)) {
        return Err(wrong("user_recv_perception"));
    }
    Ok(())
}

fn style(body: &Value, amount_minor: i64) -> Result<(), Refusal> {
    match body["user_recv_style"]["type"].as_str() {
        None if body["user_recv_style"].is_null() => Ok(()),
        Some("CONFIRM_PAGE") => Ok(()),
        Some("RED_PACKET") if amount_minor <= RED_PACKET_MINOR => Ok(()),
        _ => Err(wrong("user_recv_style")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn right() -> Value {
        json!({
            "appid": "wx1", "out_bill_no": "N1", "transfer_scene_id": "1005", "openid": "o",
            "transfer_amount": 10, "transfer_remark": "r",
            "transfer_scene_report_infos": [
                {"info_type": "报酬说明", "info_content": "a"},
                {"info_type": "岗位类型", "info_content": "b"},
            ],
        })
    }

    #[test]
    fn every_field_has_its_rule() {
        assert!(read(&right(), "wx1").is_ok());
        let infos = |types: &[&str]| -> Value {
            types.iter().map(|t| json!({"info_type": t, "info_content": "x"})).collect()
        };
        for (name, value, code) in [
            ("appid", json!("wx2"), "INVALID_REQUEST"),
            ("appid", Value::Null, "PARAM_ERROR"),
            ("out_bill_no", json!(""), "PARAM_ERROR"),
            ("out_bill_no", json!("a_b"), "PARAM_ERROR"),
            ("out_bill_no", json!("é"), "PARAM_ERROR"),
            ("out_bill_no", json!("a".repeat(33)), "PARAM_ERROR"),
            ("out_bill_no", json!(7), "PARAM_ERROR"),
            ("openid", json!(""), "PARAM_ERROR"),
            ("openid", json!("o".repeat(65)), "PARAM_ERROR"),
            ("transfer_amount", json!(9), "PARAM_ERROR"),
            ("transfer_amount", json!(-10), "PARAM_ERROR"),
            ("transfer_amount", json!("10"), "PARAM_ERROR"),
            ("transfer_amount", json!(10.5), "PARAM_ERROR"),
            ("transfer_amount", json!(200_000), "PARAM_ERROR"),
            ("transfer_remark", json!(""), "PARAM_ERROR"),
            ("transfer_remark", json!("注".repeat(33)), "PARAM_ERROR"),
            ("notify_url", json!("https://example.com/n"), "PARAM_ERROR"),
            ("notify_url", json!("http://127.0.0.1:1/n?a=1"), "PARAM_ERROR"),
            ("transfer_scene_id", json!("1006"), "PARAM_ERROR"),
            ("transfer_scene_id", json!("1000"), "PARAM_ERROR"),
            ("transfer_scene_report_infos", infos(&["岗位类型"]), "PARAM_ERROR"),
            ("transfer_scene_report_infos", infos(&["岗位类型", "岗位类型"]), "PARAM_ERROR"),
            ("transfer_scene_report_infos", json!([]), "PARAM_ERROR"),
            ("user_recv_perception", json!("现金奖励"), "PARAM_ERROR"),
            ("user_recv_style", json!({"type": "BALLOON"}), "PARAM_ERROR"),
        ] {
            let mut body = right();
            body[name] = value.clone();
            let got = read(&body, "wx1").map_err(|(_, code, _)| code);
            assert_eq!(got.err(), Some(code), "{name} {value}");
        }
    }

    #[test]
    fn the_edges_of_the_rules_are_inside() {
        for (name, value) in [
            ("out_bill_no", json!("a".repeat(32))),
            ("transfer_amount", json!(199_999)),
            ("transfer_remark", json!("注".repeat(32))),
            ("notify_url", json!("http://127.0.0.1:1/notify/wechat")),
            ("user_recv_perception", json!("劳务报酬")),
            ("user_recv_style", json!({"type": "RED_PACKET"})),
        ] {
            let mut body = right();
            body[name] = value.clone();
            assert!(read(&body, "wx1").is_ok(), "{name} {value}");
        }
    }
}
