//! The merchant's account at the simulated WeChat Pay: balance, certificates, bills.

use std::io::Write;
use std::sync::Arc;

use serde_json::json;

use super::bill_hash;
use super::door::{Request, Speaker, refused};
use crate::bills;
use crate::faults::Trouble;
use crate::payout::Provider;
use crate::sim::{Act, Download, Said, Sim, Speech, locked};
use crate::wire::Answer;

/// How long a bill can be fetched, microseconds.
const FETCHED_WITHIN_US: i64 = 5 * 60 * 1_000_000;
/// When the bill of a day is there: ten hours after its end.
const READY_AFTER_US: i64 = 10 * 3600 * 1_000_000;
/// How far back bills are kept.
const KEPT_US: i64 = 92 * 86_400 * 1_000_000;

fn said(body: serde_json::Value) -> Said {
    Said { status: 200, body, outcome: "ok".to_owned() }
}

/// What there is; transfers are paid from the operation account.
pub fn balance(account: &str) -> Act {
    let account = account.to_owned();
    Box::new(move |page, _: &Trouble| {
        let funds = page.funds;
        let (available, pending) = match account.as_str() {
            "OPERATION" => (funds.available_minor, funds.locked_minor),
            "BASIC" | "FEES" => (0, 0),
            _ => return refused(400, "PARAM_ERROR", "account_type"),
        };
        said(json!({ "available_amount": available, "pending_amount": pending }))
    })
}

/// The platform's certificate, sealed with the APIv3 key.
pub fn certificates(sim: &Sim) -> Said {
    let keys = &sim.keys.wechat;
    let nonce = sim.random_hex::<6>();
    let aad = "certificate";
    let text = keys.certificate.certificate.as_bytes();
    let Ok(ciphertext) = keys.api_key.seal(&nonce, aad, text) else {
        return refused(500, "SYSTEM_ERROR", "");
    };
    let certificate = rails::certificate::Certificate::read(&keys.certificate.certificate);
    let (from_s, until_s) = certificate.map(|c| c.validity_s()).unwrap_or_default();
    let time = |seconds: i64| sim.zone.rfc3339(seconds.saturating_mul(1_000_000));
    said(json!({ "data": [{
        "serial_no": keys.certificate.serial,
        "effective_time": time(from_s),
        "expire_time": time(until_s),
        "encrypt_certificate": {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce,
            "associated_data": aad,
            "ciphertext": ciphertext,
        },
    }]}))
}

/// Where the bill of a day can be fetched.
///
/// # Errors
/// When the books cannot be read.
pub async fn fund_flow(sim: &Arc<Sim>, request: &Request) -> anyhow::Result<Said> {
    let day = request.parameter("bill_date");
    let account = match request.parameter("account_type").as_str() {
        "" | "BASIC" | "FEES" => false,
        "OPERATION" => true,
        _ => return Ok(refused(400, "PARAM_ERROR", "account_type")),
    };
    let gzip = match request.parameter("tar_type").as_str() {
        "" => false,
        "GZIP" => true,
        _ => return Ok(refused(400, "PARAM_ERROR", "tar_type")),
    };
    let Some((from_us, until_us)) = sim.zone.day_or_month(&day).filter(|_| day.len() == 10) else {
        return Ok(refused(400, "PARAM_ERROR", "bill_date"));
    };
    let now_us = sim.now_us();
    if now_us < until_us.saturating_add(READY_AFTER_US) {
        return Ok(refused(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在"));
    }
    if now_us.saturating_sub(until_us) > KEPT_US {
        return Ok(refused(400, "INVALID_REQUEST", "仅支持三个月内的账单下载申请"));
    }
    let mut flows = if account {
        sim.store.flows(Provider::Wechat, from_us, until_us).await?
    } else {
        Vec::new()
    };
    bills::distort(sim, Provider::Wechat, &mut flows);
    let bill = bills::fund_flow(sim, &flows).into_bytes();
    let hash = bill_hash(&bill);
    let content = if gzip { packed(&bill)? } else { bill };
    let token = sim.random_hex::<16>();
    let until_us = now_us.saturating_add(FETCHED_WITHIN_US);
    let mut downloads = locked(&sim.downloads);
    downloads.retain(|_, one| one.until_us >= now_us);
    downloads.insert(token.clone(), Download { content, until_us });
    let url = format!("http://{}/v3/billdownload/file?token={token}", sim.address);
    Ok(said(json!({ "hash_type": "SHA1", "hash_value": hash, "download_url": url })))
}

fn packed(bill: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bill)?;
    gzip.finish()
}

/// The bill itself: asked for with a signature, answered without one.
pub fn download(sim: &Sim, request: &Request, speaker: &Speaker) -> Answer {
    let found = locked(&sim.downloads).get(&request.parameter("token")).cloned();
    match found.filter(|one| sim.now_us() <= one.until_us) {
        Some(one) => Answer::new(200, "application/octet-stream", one.content),
        None => {
            let said = refused(400, "INVALID_REQUEST", "token已失效");
            speaker.seal(said, &Trouble::default())
        }
    }
}
