//! Transfers at the simulated Alipay: booking and asking.
//!
//! Must not know: signatures.

use std::sync::Arc;

use cashout_common::money::format_fixed;
use cashout_common::number::{digest, hex};
use serde_json::{Value, json};

use super::door::{failed, fine};
use super::rules::{self, Order};
use crate::faults::{Kind, Trouble};
use crate::payout::{Payout, Plan, Provider, State};
use crate::sim::{Act, Said, Sim};

/// What stands after the date in an `order_id`, and in a `pay_fund_order_id`.
const ORDER: &str = "11007000";
const FUND: &str = "11007015";

/// The provider's word for a state.
#[must_use]
pub const fn word(state: State) -> &'static str {
    match state {
        State::Processing | State::Waiting | State::Paying | State::Cancelling => "DEALING",
        State::Paid => "SUCCESS",
        State::Failed => "FAIL",
        State::Cancelled => "CLOSED",
        State::Refunded => "REFUND",
    }
}

/// The `pay_fund_order_id` that belongs to an `order_id`.
#[must_use]
pub fn fund_no(order_id: &str) -> String {
    order_id.replacen(ORDER, FUND, 1)
}

/// The `order_id` that belongs to a `pay_fund_order_id`.
#[must_use]
pub fn order_no(fund_no: &str) -> String {
    fund_no.replacen(FUND, ORDER, 1)
}

/// A new transfer, or the one that is there already.
pub fn create(sim: &Arc<Sim>, biz: &Value) -> Act {
    let read = rules::read(biz);
    let (sim, terms) = (Arc::clone(sim), biz.clone());
    Box::new(move |page, trouble| {
        let order = match read {
            Ok(order) => order,
            Err((code, message)) => return failed(code, &message),
        };
        let parameters = hex(&digest(&[terms.to_string().as_bytes()]));
        if let Some(known) = &page.payout {
            if known.digest != parameters {
                let message = "两次请求商户单号一样，但是参数不一致";
                return failed("PAYMENT_INFO_INCONSISTENCY", message);
            }
            return told_created(&sim, known);
        }
        if let Some(fault) = trouble.find(Kind::Refuse) {
            let named = order.identity.contains("wrong-name");
            let usual = if named { "PAYEE_USER_INFO_ERROR" } else { "PAYEE_NOT_EXIST" };
            let code = if fault.code.is_empty() { usual } else { &fault.code };
            return failed(code, "收款账号{不可用}");
        }
        if trouble.has(Kind::ShortBalance) || page.funds.available_minor < order.amount_minor {
            return failed("PAYER_BALANCE_NOT_ENOUGH", "付款方余额不足");
        }
        let plan = sim.plan(trouble, "PAYEE_ACCOUNT_STATUS_ERROR");
        let day = sim.zone.compact_date(page.now_us);
        let mut payout = booked(order, terms, &day, plan, parameters);
        payout.begin(page.now_us);
        let said = told_created(&sim, &payout);
        page.payout = Some(payout);
        said
    })
}

fn booked(order: Order, terms: Value, day: &str, plan: Plan, parameters: String) -> Payout {
    let hash = digest(&[b"order_id", order.number.as_bytes()]);
    let digits: String = hash.iter().take(16).map(|byte| char::from(b'0' + byte % 10)).collect();
    Payout {
        provider: Provider::Alipay,
        third_no: format!("{day}{ORDER}{digits}"),
        number: order.number,
        digest: parameters,
        amount_minor: order.amount_minor,
        payee: order.identity,
        name: order.name,
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

fn told_created(sim: &Sim, payout: &Payout) -> Said {
    let body = json!({
        "out_biz_no": payout.number,
        "order_id": payout.third_no,
        "pay_fund_order_id": fund_no(&payout.third_no),
        "status": word(payout.state),
        "trans_date": sim.zone.datetime(payout.updated_at_us),
    });
    fine(body, word(payout.state))
}

/// Everything that a query and a message tell about a transfer.
#[must_use]
pub fn told(sim: &Sim, payout: &Payout, state: State) -> Value {
    let mut body = json!({
        "out_biz_no": payout.number,
        "order_id": payout.third_no,
        "pay_fund_order_id": fund_no(&payout.third_no),
        "status": word(state),
    });
    if state == State::Paid {
        body["trans_amount"] = json!(format_fixed(payout.amount_minor));
        let at_us = payout.paid_at_us.unwrap_or(payout.updated_at_us);
        body["pay_date"] = json!(sim.zone.datetime(at_us));
    }
    if matches!(state, State::Failed | State::Refunded) {
        body["error_code"] = json!(payout.fail_reason);
        body["fail_reason"] = json!("收款方账户异常");
    }
    if let Some(passback) = payout.terms["passback_params"].as_str() {
        body["passback_params"] = json!(passback);
    }
    body
}

/// Which transfer is asked about: the merchant's number, the provider's number, or nothing that can be
/// asked about.
///
/// # Errors
/// What is said when not.
pub fn asked_about(biz: &Value) -> Result<(String, String), Said> {
    let text = |name: &str| biz[name].as_str().unwrap_or_default().to_owned();
    let fund = text("pay_fund_order_id");
    if !fund.is_empty() {
        return Ok((String::new(), order_no(&fund)));
    }
    let order = text("order_id");
    if !order.is_empty() {
        return Ok((String::new(), order));
    }
    let number = text("out_biz_no");
    if number.is_empty() {
        return Err(failed("INVALID_PARAMETER", "参数有误：out_biz_no"));
    }
    rules::product(biz).map_err(|(code, message)| failed(code, &message))?;
    Ok((number, String::new()))
}

/// How a transfer stands.
pub fn query(sim: &Arc<Sim>) -> Act {
    let sim = Arc::clone(sim);
    Box::new(move |page, _: &Trouble| match &page.payout {
        Some(payout) => fine(told(&sim, payout, payout.state), word(payout.state)),
        None => failed("ORDER_NOT_EXIST", "转账订单不存在"),
    })
}
