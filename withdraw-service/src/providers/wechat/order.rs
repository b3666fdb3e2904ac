//! What a payout by WeChat Pay says: the body of `transfer-bills`, and which orders can have one.
//!
//! The first line of a written attempt is merchant, app, and the serial of the key its name is encrypted
//! with. Only the body after it is sent, under a header with that serial; so header and body are the same in
//! every sending, also after the keys have rotated. Must not know: how it is sent.

use cashout_proto::{Failure, FieldViolation, Reason};
use serde::{Deserialize, Serialize};

use super::super::told::Told;
use super::super::written;
use super::settings::Merchant;
use crate::ports::Order;

/// The least that can be transferred.
pub const MIN_MINOR: i64 = 10;
/// From here on the payee's name is sent for checking, when it is known.
pub const NAME_FROM_MINOR: i64 = 30;
/// From here on there must be a name.
pub const NAME_NEEDED_FROM_MINOR: i64 = 200_000;
/// Longest name that a key of 2048 bits can encrypt, bytes.
const NAME_BYTES: usize = 214;

#[derive(Serialize)]
struct Body<'a> {
    appid: &'a str,
    out_bill_no: &'a str,
    transfer_scene_id: &'a str,
    openid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    transfer_amount: i64,
    transfer_remark: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    notify_url: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    user_recv_perception: &'a str,
    transfer_scene_report_infos: Vec<ReportInfo<'a>>,
}

#[derive(Serialize)]
struct ReportInfo<'a> {
    info_type: &'a str,
    info_content: &'a str,
}

/// Whether an order can be paid.
///
/// # Errors
/// What the applicant has to change.
pub fn check(order: &Order) -> Result<(), Failure> {
    let unbound = |told: &str| Err(Failure::new(Reason::WechatNotBound, told));
    if order.currency != "CNY" {
        return Err(Failure::field("currency", "WeChat Pay pays CNY only"));
    }
    if order.amount_minor < MIN_MINOR {
        let rule = "at least 0.10 must arrive at WeChat".to_owned();
        let fields = vec![FieldViolation { field: "apply_minor".to_owned(), rule: rule.clone() }];
        return Err(Failure { fields, ..Failure::new(Reason::AmountLimit, rule) });
    }
    let openid = order.payee_id.as_bytes();
    let plain = openid.iter().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(b));
    if !plain || !(1..=64).contains(&openid.len()) {
        return unbound("the bound WeChat account is not an openid; bind it again");
    }
    if order.payee_name.len() > NAME_BYTES || order.payee_name.chars().any(char::is_control) {
        return unbound("the real name is not one; bind the WeChat account again");
    }
    if order.payee_name.is_empty() && order.amount_minor >= NAME_NEEDED_FROM_MINOR {
        return unbound("from 2000.00 on WeChat needs the real name; bind it with the account");
    }
    Ok(())
}

/// The written attempt of an order.
///
/// # Errors
/// As [`check`]; and when the number or the merchant's settings do not fit.
pub fn prepare(merchant: &Merchant, order: &Order) -> Result<Vec<u8>, Failure> {
    check(order)?;
    let internal = |told: &str| Failure::new(Reason::Internal, told);
    let number = order.number.as_bytes();
    if number.len() > 32 || !number.iter().all(u8::is_ascii_alphanumeric) || number.is_empty() {
        return Err(internal("not a number that WeChat Pay takes"));
    }
    let encrypting = merchant.platform.first().ok_or_else(|| internal("no key to encrypt with"))?;
    let named = !order.payee_name.is_empty() && order.amount_minor >= NAME_FROM_MINOR;
    let user_name = named.then(|| encrypting.key.encrypt(order.payee_name.as_bytes()));
    let user_name = user_name.transpose().map_err(|_| internal("the name was not encrypted"))?;
    let scene = &merchant.scene;
    let infos = scene.report.iter();
    let body = Body {
        appid: &merchant.app_id,
        out_bill_no: &order.number,
        transfer_scene_id: &scene.id,
        openid: &order.payee_id,
        user_name,
        transfer_amount: order.amount_minor,
        transfer_remark: &scene.remark,
        notify_url: &scene.notify_url,
        user_recv_perception: &scene.perception,
        transfer_scene_report_infos: infos
            .map(|(info_type, info_content)| ReportInfo { info_type, info_content })
            .collect(),
    };
    let json = serde_json::to_vec(&body).map_err(|_| internal("no body"))?;
    Ok(written::attempt(&[&merchant.mch_id, &merchant.app_id, &encrypting.serial], &json))
}

/// What of a written attempt says who is paid how much. A key that is there twice is refused.
#[derive(Deserialize)]
struct Asked {
    out_bill_no: String,
    openid: String,
    transfer_amount: i64,
}

/// What a written attempt asks for; `None` when it is not as [`prepare`] writes it.
#[must_use]
pub fn told(attempt: &[u8]) -> Option<Told> {
    let asked: Asked = serde_json::from_slice(written::request(attempt)?).ok()?;
    let Asked { out_bill_no: number, openid: payee_id, transfer_amount: amount_minor } = asked;
    Some(Told { number, payee_id, amount_minor })
}
