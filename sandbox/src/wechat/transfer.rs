//! Transfer bills at the simulated WeChat Pay: booking, asking, taking back.
//!
//! Must not know: signatures.

use std::sync::Arc;

use cashout_common::number::{digest, hex};
use serde_json::{Value, json};

use super::door::{Request, identity, refused};
use super::rules::{self, Bill};
use crate::books::Page;
use crate::faults::{Kind, Trouble};
use crate::keys::{MCHID, WECHAT_APP_ID};
use crate::payout::{Payout, Plan, Provider, State};
use crate::sim::{Act, Said, Sim};

/// How far back a query sees, microseconds.
const SEEN_US: i64 = 30 * 86_400 * 1_000_000;

/// The provider's word for a state.
#[must_use]
pub const fn word(state: State) -> &'static str {
    match state {
        State::Processing => "PROCESSING",
        State::Waiting => "WAIT_USER_CONFIRM",
        State::Paying => "TRANSFERING",
        State::Paid | State::Refunded => "SUCCESS",
        State::Failed => "FAIL",
        State::Cancelling => "CANCELING",
        State::Cancelled => "CANCELLED",
    }
}

/// A new bill, or the one that is there already.
pub fn create(sim: &Arc<Sim>, request: &Request, body: &Value) -> Act {
    let read = read(sim, request, body);
    let (sim, mut terms) = (Arc::clone(sim), body.clone());
    Box::new(move |page, trouble| {
        let (bill, name) = match read {
            Ok(read) => read,
            Err(said) => return said,
        };
        if let Some(fields) = terms.as_object_mut() {
            fields.insert("user_name".to_owned(), json!(name));
        }
        let parameters = hex(&digest(&[terms.to_string().as_bytes()]));
        if let Some(known) = &page.payout {
            return again(&sim, known, &parameters);
        }
        if trouble.has(Kind::ShortBalance) || page.funds.available_minor < bill.amount_minor {
            return refused(403, "NOT_ENOUGH", "商户运营账户资金不足");
        }
        if let Some(fields) = terms.as_object_mut() {
            fields.remove("user_name");
            fields.insert("package_info".to_owned(), json!(package(&bill.number)));
        }
        let plan = sim.plan(trouble, "PAYEE_ACCOUNT_ABNORMAL");
        let mut payout = booked(bill, name, terms, plan, parameters);
        payout.begin(page.now_us);
        if let Some(fault) = trouble.find(Kind::Refuse) {
            let named = payout.payee.contains("wrong-name");
            let usual = if named { "NAME_NOT_CORRECT" } else { "PAYEE_ACCOUNT_ABNORMAL" };
            let code = if fault.code.is_empty() { usual } else { &fault.code };
            payout.end_as_failed(code, page.now_us);
        }
        let said = told_created(&sim, &payout);
        page.payout = Some(payout);
        said
    })
}

/// What was asked for, and the payee's name in the clear.
fn read(sim: &Sim, request: &Request, body: &Value) -> Result<(Bill, String), Said> {
    let bill = rules::read(body, WECHAT_APP_ID)
        .map_err(|(status, code, message)| refused(status, code, &message))?;
    if bill.user_name.is_empty() {
        return Ok((bill, String::new()));
    }
    let wrong = |message| refused(400, "PARAM_ERROR", message);
    if request.header("wechatpay-serial").is_empty() {
        return Err(wrong("上送敏感信息时，Wechatpay-Serial必填"));
    }
    let identity = identity(sim, request).ok_or_else(|| wrong("Wechatpay-Serial不正确"))?;
    let name = identity.key.decrypt(&bill.user_name).map_err(|_| wrong("user_name解密失败"))?;
    let name = String::from_utf8(name).map_err(|_| wrong("user_name解密失败"))?;
    Ok((bill, name))
}

/// The same number again: the same bill when it is the same, and nothing else.
fn again(sim: &Sim, known: &Payout, parameters: &str) -> Said {
    if known.digest != *parameters {
        return refused(400, "INVALID_REQUEST", "单号已存在但信息不一致，请确认单号是否重复使用");
    }
    told_created(sim, known)
}

fn booked(bill: Bill, name: String, terms: Value, plan: Plan, parameters: String) -> Payout {
    let hash = digest(&[b"transfer_bill_no", bill.number.as_bytes()]);
    let digits: String = hash.iter().take(12).map(|byte| format!("{byte:03}")).collect();
    Payout {
        provider: Provider::Wechat,
        third_no: format!("13{digits}"),
        number: bill.number,
        digest: parameters,
        amount_minor: bill.amount_minor,
        payee: bill.openid,
        name,
        terms,
        state: State::Processing,
        fail_reason: String::new(),
        plan,
        due_at_us: None,
        created_at_us: 0,
        updated_at_us: 0,
        paid_at_us: None,
        times_paid: 0,
        changes: Vec::new(),
    }
}

/// What the payee's app needs to ask for the confirmation: the same for the same number.
fn package(number: &str) -> String {
    let hash = digest(&[b"package_info", number.as_bytes()]);
    format!("ABBQO+{}", rails::key::base64(&hash))
}

fn said(state: State, body: Value) -> Said {
    Said { status: 200, body, outcome: word(state).to_owned() }
}

fn told_created(sim: &Sim, payout: &Payout) -> Said {
    let mut body = json!({
        "out_bill_no": payout.number,
        "transfer_bill_no": payout.third_no,
        "create_time": sim.zone.rfc3339(payout.created_at_us),
        "state": word(payout.state),
    });
    if payout.state == State::Waiting {
        body["package_info"] = payout.terms["package_info"].clone();
    }
    if !payout.fail_reason.is_empty() {
        body["fail_reason"] = json!(payout.fail_reason);
    }
    said(payout.state, body)
}

/// Everything that a query and a notification tell about a bill.
#[must_use]
pub fn told(sim: &Sim, payout: &Payout, state: State) -> Value {
    let mut body = json!({
        "mch_id": MCHID,
        "out_bill_no": payout.number,
        "transfer_bill_no": payout.third_no,
        "state": word(state),
        "transfer_amount": payout.amount_minor,
        "openid": payout.payee,
        "create_time": sim.zone.rfc3339(payout.created_at_us),
        "update_time": sim.zone.rfc3339(payout.updated_at_us),
    });
    if !payout.fail_reason.is_empty() && state != State::Paid {
        body["fail_reason"] = json!(payout.fail_reason);
    }
    body
}

/// How a bill stands.
pub fn query(sim: &Arc<Sim>) -> Act {
    let sim = Arc::clone(sim);
    Box::new(move |page, _: &Trouble| {
        let now_us = page.now_us;
        let Some(payout) = visible(page, now_us) else {
            return refused(404, "NOT_FOUND", "记录不存在");
        };
        let mut body = told(&sim, payout, payout.state);
        body["appid"] = payout.terms["appid"].clone();
        body["transfer_remark"] = payout.terms["transfer_remark"].clone();
        if !payout.name.is_empty() {
            let name = sim.keys.wechat.merchant.encrypt(payout.name.as_bytes());
            body["user_name"] = json!(name.unwrap_or_default());
        }
        said(payout.state, body)
    })
}

fn visible(page: &Page, now_us: i64) -> Option<&Payout> {
    page.payout.as_ref().filter(|p| now_us.saturating_sub(p.created_at_us) <= SEEN_US)
}

/// Takes a bill back, as long as the payee has not confirmed.
pub fn cancel(sim: &Arc<Sim>) -> Act {
    let sim = Arc::clone(sim);
    Box::new(move |page, _: &Trouble| {
        let now_us = page.now_us;
        let Some(payout) = page.payout.as_mut() else {
            return refused(400, "INVALID_REQUEST", "单据不存在");
        };
        if !payout.cancel(now_us) {
            return refused(400, "INVALID_REQUEST", "当前状态不支持撤销");
        }
        let body = json!({
            "out_bill_no": payout.number,
            "transfer_bill_no": payout.third_no,
            "state": word(payout.state),
            "update_time": sim.zone.rfc3339(payout.updated_at_us),
        });
        said(payout.state, body)
    })
}
