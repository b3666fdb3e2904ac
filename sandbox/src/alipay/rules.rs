//! What the simulated Alipay accepts as a transfer: the field rules of its documentation.
//!
//! Pure. Must not know: books, HTTP.

use cashout_common::money::parse_amount;
use serde_json::Value;

/// Least amount, fen.
const LEAST_MINOR: i64 = 10;
/// Largest amount, fen.
const MOST_MINOR: i64 = 10_000_000_000;
/// From here on a remark is needed, fen.
const REMARKED_FROM_MINOR: i64 = 5_000_000;

const SCENES: &[&str] = &[
    "现金营销",
    "企业退款",
    "佣金报酬",
    "业务结算",
    "二手回收",
    "公益补助",
    "行政补贴和退款",
    "保险理赔",
];

/// What was asked for, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The merchant's number.
    pub number: String,
    /// Whom.
    pub identity: String,
    /// How much, fen.
    pub amount_minor: i64,
    /// The payee's name; empty when none was given.
    pub name: String,
}

/// What is wrong: the gateway's `sub_code`, and words for people.
pub type Refusal = (&'static str, String);

fn wrong(what: &str) -> Refusal {
    ("INVALID_PARAMETER", format!("参数有误：{what}"))
}

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
pub fn read(biz: &Value) -> Result<Order, Refusal> {
    let number = text(biz, "out_biz_no", 1, 64)?;
    if !number.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(wrong("out_biz_no"));
    }
    product(biz)?;
    let amount = text(biz, "trans_amount", 1, 20)?;
    let amount_minor = match parse_amount(amount) {
        Ok(minor) => minor,
        Err(_) if amount.trim_matches(['0', '.']).is_empty() => 0,
        Err(_) => return Err(wrong("trans_amount")),
    };
    if amount_minor < LEAST_MINOR {
        return Err(("EXCEED_LIMIT_SM_MIN_AMOUNT", "单笔最低转账金额0.1元".to_owned()));
    }
    if amount_minor > MOST_MINOR {
        return Err(("EXCEED_LIMIT_SM_AMOUNT", "单笔额度超限".to_owned()));
    }
    text(biz, "order_title", 0, 128)?;
    let remark = text(biz, "remark", 0, 200)?;
    if remark.is_empty() && amount_minor >= REMARKED_FROM_MINOR {
        let message = "根据监管部门的要求，单笔转账金额达到50000元时，需要填写付款理由";
        return Err(("MEMO_REQUIRED_IN_TRANSFER_ERROR", message.to_owned()));
    }
    for name in ["business_params", "passback_params"] {
        text(biz, name, 0, 4096)?;
    }
    scene(biz)?;
    let (identity, name) = payee(&biz["payee_info"])?;
    Ok(Order { number: number.to_owned(), identity, amount_minor, name })
}

/// What product is asked about.
///
/// # Errors
/// When it is another one.
pub fn product(biz: &Value) -> Result<(), Refusal> {
    if biz["product_code"] != "TRANS_ACCOUNT_NO_PWD" {
        return Err(wrong("product_code"));
    }
    if biz["biz_scene"] != "DIRECT_TRANSFER" {
        return Err(wrong("biz_scene"));
    }
    Ok(())
}

fn payee(payee: &Value) -> Result<(String, String), Refusal> {
    let identity = text(payee, "identity", 1, 128)?;
    let name = text(payee, "name", 0, 128)?;
    let strange = || Err(("PAYEE_NOT_EXIST", "收款账号不存在".to_owned()));
    match payee["identity_type"].as_str() {
        Some("ALIPAY_USER_ID") => {
            let digits = identity.len() == 16 && identity.bytes().all(|b| b.is_ascii_digit());
            if !digits || !identity.starts_with("2088") {
                return strange();
            }
        }
        Some("ALIPAY_LOGON_ID") => {
            let phone = (5..=15).contains(&identity.len())
                && identity.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'+');
            if !phone && !identity.contains('@') {
                return strange();
            }
            if name.is_empty() {
                return Err(wrong("payee_info.name：使用登录号时必填"));
            }
        }
        Some("ALIPAY_OPEN_ID") => {}
        _ => return Err(wrong("payee_info.identity_type")),
    }
    Ok((identity.to_owned(), name.to_owned()))
}

fn scene(biz: &Value) -> Result<(), Refusal> {
    let name = text(biz, "transfer_scene_name", 0, 64)?;
    if !name.is_empty() && !SCENES.contains(&name) {
        return Err(("TRANSFER_SCENE_NAME_ILLEGAL", "转账场景不合法".to_owned()));
    }
    match &biz["transfer_scene_report_infos"] {
        Value::Null => Ok(()),
        Value::Array(infos) => infos.iter().try_for_each(|info| {
            text(info, "info_type", 1, 64)?;
            text(info, "info_content", 1, 256).map(drop)
        }),
        _ => Err(wrong("transfer_scene_report_infos")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn right() -> Value {
        json!({
            "out_biz_no": "N_1", "trans_amount": "0.10", "product_code": "TRANS_ACCOUNT_NO_PWD",
            "biz_scene": "DIRECT_TRANSFER",
            "payee_info": {"identity": "2088000000000009", "identity_type": "ALIPAY_USER_ID"},
        })
    }

    #[test]
    fn every_field_has_its_rule() {
        assert!(read(&right()).is_ok());
        let payee = |id: &str, kind: &str| json!({"identity": id, "identity_type": kind});
        for (name, value, code) in [
            ("out_biz_no", json!(""), "INVALID_PARAMETER"),
            ("out_biz_no", json!("a-b"), "INVALID_PARAMETER"),
            ("out_biz_no", json!("a".repeat(65)), "INVALID_PARAMETER"),
            ("trans_amount", json!("0.09"), "EXCEED_LIMIT_SM_MIN_AMOUNT"),
            ("trans_amount", json!("0.00"), "EXCEED_LIMIT_SM_MIN_AMOUNT"),
            ("trans_amount", json!("100000000.01"), "EXCEED_LIMIT_SM_AMOUNT"),
            ("trans_amount", json!("1.001"), "INVALID_PARAMETER"),
            ("trans_amount", json!("-1.00"), "INVALID_PARAMETER"),
            ("trans_amount", json!("1e3"), "INVALID_PARAMETER"),
            ("trans_amount", json!(1), "INVALID_PARAMETER"),
            ("trans_amount", json!("50000.00"), "MEMO_REQUIRED_IN_TRANSFER_ERROR"),
            ("product_code", json!("STD_RED_PACKET"), "INVALID_PARAMETER"),
            ("biz_scene", Value::Null, "INVALID_PARAMETER"),
            ("order_title", json!("题".repeat(129)), "INVALID_PARAMETER"),
            ("remark", json!("注".repeat(201)), "INVALID_PARAMETER"),
            ("transfer_scene_name", json!("赌博"), "TRANSFER_SCENE_NAME_ILLEGAL"),
            ("transfer_scene_report_infos", json!([{}]), "INVALID_PARAMETER"),
            ("payee_info", Value::Null, "INVALID_PARAMETER"),
            ("payee_info", payee("", "ALIPAY_USER_ID"), "INVALID_PARAMETER"),
            ("payee_info", payee("x", "ALIPAY_FRIEND_ID"), "INVALID_PARAMETER"),
            ("payee_info", payee("1088000000000009", "ALIPAY_USER_ID"), "PAYEE_NOT_EXIST"),
            ("payee_info", payee("208800000000000", "ALIPAY_USER_ID"), "PAYEE_NOT_EXIST"),
            ("payee_info", payee("somebody", "ALIPAY_LOGON_ID"), "PAYEE_NOT_EXIST"),
            ("payee_info", payee("a@b.cn", "ALIPAY_LOGON_ID"), "INVALID_PARAMETER"),
        ] {
            let mut biz = right();
            biz[name] = value.clone();
            let got = read(&biz).map_err(|(code, _)| code);
            assert_eq!(got.err(), Some(code), "{name} {value}");
        }
    }

    #[test]
    fn the_edges_of_the_rules_are_inside() {
        let named =
            |id: &str| json!({"identity": id, "identity_type": "ALIPAY_LOGON_ID", "name": "张"});
        for (name, value) in [
            ("out_biz_no", json!("a".repeat(64))),
            ("trans_amount", json!("49999.99")),
            ("payee_info", json!({"identity": "o", "identity_type": "ALIPAY_OPEN_ID"})),
            ("payee_info", named("a@b.cn")),
            ("payee_info", named("13800000000")),
            ("transfer_scene_name", json!("佣金报酬")),
        ] {
            let mut biz = right();
            biz[name] = value.clone();
            assert!(read(&biz).is_ok(), "{name} {value}");
        }
    }
}
