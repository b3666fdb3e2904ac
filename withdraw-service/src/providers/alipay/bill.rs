//! What our account at Alipay holds, and its bill of a day. Must not know: payouts.

use cashout_common::money::{AmountError, parse_amount};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::Alipay;
use super::gateway::{Code, call};
use super::table::shown;
use crate::providers::http::{BILL_CAP, Call, address};
use crate::providers::observe;

#[derive(Deserialize)]
struct Balance {
    available_amount: String,
}

#[derive(Deserialize)]
struct Bill {
    bill_download_url: String,
}

/// What can be paid out now, fen; `None` when the account is not configured.
///
/// # Errors
/// Why it is not known.
pub async fn balance(rail: &Alipay) -> Result<Option<i64>, String> {
    let user_id = &rail.application.user_id;
    if user_id.is_empty() {
        return Ok(None);
    }
    let content = json!({ "alipay_user_id": user_id, "account_type": "ACCTRANS_ACCOUNT" });
    let node = get(rail, "alipay.fund.account.query", &content.to_string()).await?;
    let balance: Balance = serde_json::from_str(&node).map_err(|_| unreadable())?;
    match parse_amount(&balance.available_amount) {
        Ok(minor) => Ok(Some(minor)),
        Err(AmountError::NotPositive) => Ok(Some(0)),
        Err(_) => Err(unreadable()),
    }
}

/// The packed bill of a day. Its address is told in a signed answer; the bill itself is not signed.
///
/// # Errors
/// Why there is none.
pub async fn of_day(rail: &Alipay, day: &str) -> Result<Vec<u8>, String> {
    let content = json!({ "bill_type": "signcustomer", "bill_date": day }).to_string();
    let method = "alipay.data.dataservice.bill.downloadurl.query";
    let node = get(rail, method, &content).await?;
    let bill: Bill = serde_json::from_str(&node).map_err(|_| unreadable())?;
    let url = address(&bill.bill_download_url)?;
    let call = Call { method: Method::GET, url, headers: vec![], body: vec![], cap: BILL_CAP };
    let reply = rail.http.call(call).await.map_err(|lost| lost.0)?;
    observe::status(reply.status);
    if reply.status == 200 && reply.body.starts_with(b"PK") {
        return Ok(reply.body);
    }
    Err(format!("the bill was not given: HTTP {}", reply.status))
}

async fn get(rail: &Alipay, method: &str, content: &str) -> Result<String, String> {
    let node = call(rail, method, content.as_bytes()).await?;
    let told: Code = serde_json::from_str(&node).map_err(|_| unreadable())?;
    if told.code == "10000" && told.sub_code.is_empty() {
        return Ok(node);
    }
    Err(format!("{} {}", shown(&told.code), shown(&told.sub_code)))
}

fn unreadable() -> String {
    "an answer that cannot be read".to_owned()
}
