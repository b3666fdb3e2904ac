//! Reading what Alipay says about a transfer, and comparing it with what we asked for. Whatever does not
//! fit is unknown. Must not know: how it was got; that its signature was right is taken for granted.

use cashout_common::money::parse_amount;
use serde::Deserialize;

use super::signed::Code;
use super::table::{self, State};
use crate::ports::{Answer, SendRequest};

/// A transfer, as sending and asking tell it. A key that is there twice is refused.
#[derive(Deserialize)]
struct Transfer {
    out_biz_no: Option<String>,
    #[serde(default)]
    order_id: String,
    status: String,
    /// Told by asking, when it was paid.
    trans_amount: Option<String>,
    /// Told by sending, of special products.
    amount: Option<String>,
    #[serde(default)]
    error_code: String,
}

/// What the answer to a sending says.
pub fn sent(request: &SendRequest, node: &str) -> Answer {
    match serde_json::from_str::<Code>(node) {
        Err(_) => unreadable(),
        Ok(code) if code.code == "10000" && code.sub_code.is_empty() => {
            transfer(request, node, false)
        }
        Ok(code) => table::refused(&code.code, &code.sub_code),
    }
}

/// What the answer to a question says.
pub fn asked(request: &SendRequest, node: &str) -> Answer {
    match serde_json::from_str::<Code>(node) {
        Err(_) => unreadable(),
        Ok(code) if code.code == "10000" && code.sub_code.is_empty() => {
            transfer(request, node, true)
        }
        Ok(code) => table::not_found(&code.code, &code.sub_code),
    }
}

fn transfer(request: &SendRequest, node: &str, by_query: bool) -> Answer {
    let Ok(told) = serde_json::from_str::<Transfer>(node) else { return unreadable() };
    let state = table::state(&told.status);
    if let Some(why) = differs(request, &told, by_query && state == Some(State::Paid)) {
        tracing::error!(alarm = "answer_differs", provider = super::NAME, why, "not ours");
        return Answer::unknown(why);
    }
    let number = told.order_id.len() <= 64 && told.order_id.bytes().all(|b| b.is_ascii_graphic());
    match state {
        _ if !number => Answer::unknown("not a number of the provider"),
        None => Answer::unknown("an unlisted state"),
        Some(State::Pending) => {
            let (third_trade_no, state) = (told.order_id, told.status);
            Answer::Pending { third_trade_no, state, confirmation: None }
        }
        Some(State::Paid) if told.order_id.is_empty() => {
            Answer::unknown("paid, but without a number of the provider")
        }
        Some(State::Paid) => Answer::Paid { third_trade_no: told.order_id },
        Some(State::Failed) => table::failed(&told.status, &told.error_code),
    }
}

/// What in the answer is not as we asked. A paid transfer that was asked for must tell its amount.
fn differs(request: &SendRequest, told: &Transfer, needs_amount: bool) -> Option<&'static str> {
    let ours = |amount: &String| parse_amount(amount) == Ok(request.amount_minor);
    let amounts = [&told.trans_amount, &told.amount];
    if told.out_biz_no.as_ref() != Some(&request.number) {
        Some("the answer is about another number")
    } else if amounts.into_iter().flatten().any(|amount| !ours(amount)) {
        Some("the answer is about another amount")
    } else if needs_amount && told.trans_amount.is_none() {
        Some("the answer tells no amount")
    } else {
        None
    }
}

fn unreadable() -> Answer {
    Answer::unknown("an answer that cannot be read")
}
