//! Reading what WeChat Pay says about a bill, and comparing it with what we asked for. Whatever does not
//! fit is unknown. Must not know: how it was got; that its signature was right is taken for granted.

use serde::Deserialize;

use super::settings::Merchant;
use super::table::{self, Of, State};
use crate::ports::{Answer, Confirmation, SendRequest};

/// A bill, as creating, asking and cancelling tell it. A key that is there twice is refused.
#[derive(Deserialize)]
struct Bill {
    #[serde(alias = "mchid")]
    mch_id: Option<String>,
    appid: Option<String>,
    out_bill_no: String,
    #[serde(default)]
    transfer_bill_no: String,
    state: String,
    transfer_amount: Option<i64>,
    openid: Option<String>,
    fail_reason: Option<String>,
    package_info: Option<String>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To create the bill.
    Create,
    /// What became of it.
    Query,
    /// To cancel it.
    Cancel,
}

/// What an answer says.
pub fn read(
    merchant: &Merchant,
    request: &SendRequest,
    asked: Asked,
    (status, body): (u16, &[u8]),
) -> Answer {
    if status != 200 {
        return problem(asked, status, body);
    }
    let bill = match serde_json::from_slice::<Bill>(body) {
        Ok(bill) => bill,
        Err(_) => return Answer::unknown("an answer that cannot be read"),
    };
    if let Some(why) = differs(merchant, request, asked, &bill) {
        tracing::error!(alarm = "answer_differs", provider = super::NAME, why, "not ours");
        return Answer::unknown(why);
    }
    match (asked, table::state(&bill.state)) {
        (_, None) => Answer::unknown("an unlisted state"),
        // Only a query tells what became of it.
        (Asked::Cancel, Some(_)) => pending(bill, None),
        (_, Some(State::Pending)) => pending(bill, None),
        (_, Some(State::Confirm)) => confirm(merchant, bill),
        (_, Some(State::Paid)) => Answer::Paid { third_trade_no: bill.transfer_bill_no },
        (_, Some(State::Failed)) => table::failed(&bill.state, bill.fail_reason.as_deref()),
    }
}

/// The payee has to confirm. Only creating the bill tells with what.
fn confirm(merchant: &Merchant, bill: Bill) -> Answer {
    match bill.package_info.clone().filter(|package| !package.is_empty()) {
        None => Answer::Waiting { third_trade_no: bill.transfer_bill_no },
        Some(package) => {
            let (mch_id, app_id) = (merchant.mch_id.clone(), merchant.app_id.clone());
            pending(bill, Some(Confirmation { mch_id, app_id, package }))
        }
    }
}

fn pending(bill: Bill, confirmation: Option<Confirmation>) -> Answer {
    Answer::Pending { third_trade_no: bill.transfer_bill_no, state: bill.state, confirmation }
}

/// The code of an error; empty when there is none to be read.
#[must_use]
pub fn code(body: &[u8]) -> String {
    serde_json::from_slice::<Problem>(body).map(|problem| problem.code).unwrap_or_default()
}

fn problem(asked: Asked, status: u16, body: &[u8]) -> Answer {
    let of = match asked {
        Asked::Create => Of::Create,
        Asked::Query => Of::Query,
        Asked::Cancel => Of::Any,
    };
    table::error(of, status, &code(body))
}

/// What in the bill is not as we asked. A query must tell merchant, app and amount; creating tells less.
fn differs(
    merchant: &Merchant,
    request: &SendRequest,
    asked: Asked,
    bill: &Bill,
) -> Option<&'static str> {
    let whole = asked == Asked::Query;
    let other = |told: &Option<String>, ours: &str| told.as_ref().map_or(whole, |t| t != ours);
    let is_text = |b: u8| b.is_ascii_graphic();
    if bill.out_bill_no != request.number {
        Some("the answer is about another number")
    } else if bill.transfer_bill_no.is_empty()
        || bill.transfer_bill_no.len() > 64
        || !bill.transfer_bill_no.bytes().all(is_text)
    {
        Some("the answer has no number of the provider")
    } else if other(&bill.mch_id, &merchant.mch_id) {
        Some("the answer is about another merchant")
    } else if other(&bill.appid, &merchant.app_id) {
        Some("the answer is about another app")
    } else if bill.transfer_amount.map_or(whole, |told| told != request.amount_minor) {
        Some("the answer is about another amount")
    } else if bill.openid.as_ref().is_some_and(|told| *told != request.payee_id) {
        Some("the answer is about another payee")
    } else {
        None
    }
}
