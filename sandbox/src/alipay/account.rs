//! The merchant's account at the simulated Alipay: balance, certificates, bills.

use std::sync::Arc;

use cashout_common::money::format_fixed;
use rails::key::base64;
use serde_json::{Value, json};

use super::door::{failed, fine, refused};
use crate::bills;
use crate::faults::Trouble;
use crate::keys::ALIPAY_USER_ID;
use crate::payout::Provider;
use crate::sim::{Act, Download, Said, Sim, locked};
use crate::wire::Answer;

/// How long a bill can be fetched, microseconds.
const FETCHED_WITHIN_US: i64 = 30 * 1_000_000;
/// When the bill of a day is there: nine hours after its end.
const READY_AFTER_US: i64 = 9 * 3600 * 1_000_000;

/// What there is.
pub fn balance(biz: &Value) -> Act {
    let mine = biz["alipay_user_id"] == ALIPAY_USER_ID;
    let known = matches!(biz["account_type"].as_str(), None | Some("ACCTRANS_ACCOUNT"));
    Box::new(move |page, _: &Trouble| {
        if !mine || !known {
            return failed("INVALID_PARAMETER", "参数有误：alipay_user_id");
        }
        let body = json!({
            "available_amount": format_fixed(page.funds.available_minor),
            "freeze_amount": format_fixed(page.funds.locked_minor),
        });
        fine(body, "ok")
    })
}

/// A certificate of Alipay's, by its SN.
pub fn certificate(sim: &Sim, biz: &Value) -> Said {
    let keys = &sim.keys.alipay;
    let wanted = biz["alipay_cert_sn"].as_str().unwrap_or_default();
    match [&keys.current, &keys.next].into_iter().find(|identity| identity.serial == wanted) {
        Some(found) => {
            let content = base64(found.certificate.as_bytes());
            fine(json!({ "alipay_cert_content": content }), "ok")
        }
        None => refused("40004", "INVALID_PARAMETER", "证书不存在"),
    }
}

/// Where the statement of a day or month can be fetched.
///
/// # Errors
/// When the books cannot be read.
pub async fn bill(sim: &Arc<Sim>, biz: &Value) -> anyhow::Result<Said> {
    let day = biz["bill_date"].as_str().unwrap_or_default();
    let wrong = |message| Ok(failed("INVAILID_ARGUMENTS", message));
    let statement = match biz["bill_type"].as_str() {
        Some("signcustomer") => true,
        Some("trade") => false,
        _ => return wrong("bill_type"),
    };
    let Some((from_us, until_us)) = sim.zone.day_or_month(day) else {
        return wrong("bill_date");
    };
    let now_us = sim.now_us();
    if now_us < until_us {
        return wrong("bill_date");
    }
    if !statement || now_us < until_us.saturating_add(READY_AFTER_US) {
        return Ok(failed("BILL_NOT_EXIST", "账单不存在"));
    }
    let mut flows = sim.store.flows(Provider::Alipay, from_us, until_us).await?;
    bills::distort(sim, Provider::Alipay, &mut flows);
    let content = bills::signcustomer(sim, day, &flows)?;
    let token = sim.random_hex::<16>();
    let until_us = now_us.saturating_add(FETCHED_WITHIN_US);
    let mut downloads = locked(&sim.downloads);
    downloads.retain(|_, one| one.until_us >= now_us);
    downloads.insert(token.clone(), Download { content, until_us });
    let url = format!("http://{}/downloads/alipay?token={token}", sim.address);
    Ok(fine(json!({ "bill_download_url": url }), "ok"))
}

/// The statement itself: a plain GET, no signature.
pub fn download(sim: &Sim, query: &str) -> Answer {
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token");
    let token = found.map(|(_, token)| token.into_owned()).unwrap_or_default();
    let found = locked(&sim.downloads).get(&token).cloned();
    match found.filter(|one| sim.now_us() <= one.until_us) {
        Some(one) => Answer::new(200, "application/octet-stream", one.content),
        None => Answer::page(403),
    }
}
