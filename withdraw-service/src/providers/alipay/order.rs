//! What a payout by Alipay says: the `biz_content` of `alipay.fund.trans.uni.transfer`, and which orders
//! can have one. The first line of a written attempt is the application; what follows is sent. Must not
//! know: how it is sent.

use cashout_common::money::{format_fixed, parse_amount};
use cashout_proto::{Failure, FieldViolation, Reason};
use serde::{Deserialize, Serialize};

use super::super::told::Told;
use super::super::written;
use super::settings::{Application, is_user_id};
use crate::ports::Order;

/// The least that can be transferred.
pub const MIN_MINOR: i64 = 10;
/// The most.
pub const MAX_MINOR: i64 = 10_000_000_000;
/// From here on there must be a remark.
pub const REMARK_FROM_MINOR: i64 = 5_000_000;
/// Transfers to one account.
pub const PRODUCT: &str = "TRANS_ACCOUNT_NO_PWD";
/// Its only scene.
pub const SCENE: &str = "DIRECT_TRANSFER";

#[derive(Serialize)]
struct Content<'a> {
    out_biz_no: &'a str,
    trans_amount: String,
    product_code: &'a str,
    biz_scene: &'a str,
    order_title: &'a str,
    payee_info: PayeeInfo<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    transfer_scene_name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transfer_scene_report_infos: Vec<ReportInfo<'a>>,
}

#[derive(Serialize)]
struct PayeeInfo<'a> {
    identity: &'a str,
    identity_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
}

#[derive(Serialize)]
struct ReportInfo<'a> {
    info_type: &'a str,
    info_content: &'a str,
}

/// What the payee's id is at Alipay; `None` when it cannot be one.
#[must_use]
pub fn identity_type(id: &str) -> Option<&'static str> {
    let digits = id.bytes().all(|b| b.is_ascii_digit());
    let graphic = id.bytes().all(|b| b.is_ascii_graphic());
    if id.is_empty() || id.len() > 128 || !graphic {
        None
    } else if is_user_id(id) {
        Some("ALIPAY_USER_ID")
    } else if digits {
        (id.len() == 11 && id.starts_with('1')).then_some("ALIPAY_LOGON_ID")
    } else if let Some((name, host)) = id.split_once('@') {
        (!name.is_empty() && !host.is_empty() && !host.contains('@')).then_some("ALIPAY_LOGON_ID")
    } else {
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        plain.then_some("ALIPAY_OPEN_ID")
    }
}

/// Whether an order can be paid.
///
/// # Errors
/// What the applicant has to change.
pub fn check(order: &Order) -> Result<(), Failure> {
    let unbound = |told: &str| Err(Failure::new(Reason::AlipayNotBound, told));
    if order.currency != "CNY" {
        return Err(Failure::field("currency", "Alipay pays CNY only"));
    }
    if !(MIN_MINOR..=MAX_MINOR).contains(&order.amount_minor) {
        let rule = "0.10 to 100000000.00 must arrive at Alipay".to_owned();
        let fields = vec![FieldViolation { field: "apply_minor".to_owned(), rule: rule.clone() }];
        return Err(Failure { fields, ..Failure::new(Reason::AmountLimit, rule) });
    }
    let Some(kind) = identity_type(&order.payee_id) else {
        return unbound("the bound Alipay account is not one; bind it again");
    };
    if order.payee_name.chars().count() > 128 || order.payee_name.chars().any(char::is_control) {
        return unbound("the real name is not one; bind the Alipay account again");
    }
    if kind == "ALIPAY_LOGON_ID" && order.payee_name.is_empty() {
        return unbound("Alipay needs the real name with a phone number or an e-mail address");
    }
    Ok(())
}

/// The written attempt of an order: the exact `biz_content`.
///
/// # Errors
/// As [`check`]; and when the number does not fit.
pub fn prepare(application: &Application, order: &Order) -> Result<Vec<u8>, Failure> {
    check(order)?;
    let internal = |told: &str| Failure::new(Reason::Internal, told);
    let number = order.number.as_bytes();
    if number.is_empty() || number.len() > 64 || !number.iter().all(u8::is_ascii_alphanumeric) {
        return Err(internal("not a number that Alipay takes"));
    }
    let report = application.scene_report.iter();
    let content = Content {
        out_biz_no: &order.number,
        trans_amount: format_fixed(order.amount_minor),
        product_code: PRODUCT,
        biz_scene: SCENE,
        order_title: &application.title,
        payee_info: PayeeInfo {
            identity: &order.payee_id,
            identity_type: identity_type(&order.payee_id).unwrap_or_default(),
            name: &order.payee_name,
        },
        remark: (order.amount_minor >= REMARK_FROM_MINOR).then_some(&application.title),
        transfer_scene_name: &application.scene_name,
        transfer_scene_report_infos: report
            .map(|(info_type, info_content)| ReportInfo { info_type, info_content })
            .collect(),
    };
    let json = serde_json::to_vec(&content).map_err(|_| internal("no request"))?;
    Ok(written::attempt(&[&application.app_id], &json))
}

/// The `biz_content` of asking for a number.
#[must_use]
pub fn query(number: &str) -> String {
    let content = [("out_biz_no", number), ("product_code", PRODUCT), ("biz_scene", SCENE)];
    let object: serde_json::Map<String, serde_json::Value> =
        content.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    serde_json::Value::Object(object).to_string()
}

/// What of a written attempt says who is paid how much. A key that is there twice is refused.
#[derive(Deserialize)]
struct Asked {
    out_biz_no: String,
    trans_amount: String,
    payee_info: AskedPayee,
}

#[derive(Deserialize)]
struct AskedPayee {
    identity: String,
}

/// What a written attempt asks for; `None` when it is not as [`prepare`] writes it.
#[must_use]
pub fn told(attempt: &[u8]) -> Option<Told> {
    let asked: Asked = serde_json::from_slice(written::request(attempt)?).ok()?;
    let amount_minor = parse_amount(&asked.trans_amount).ok()?;
    Some(Told { number: asked.out_biz_no, payee_id: asked.payee_info.identity, amount_minor })
}
