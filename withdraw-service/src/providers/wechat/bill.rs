//! What the merchant's operation account holds, and its bill of a day. Must not know: payouts.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Method;
use serde::Deserialize;

use super::Wechat;
use super::answers::code;
use super::signed;
use super::table::shown;
use crate::providers::http::{BILL_CAP, Reply, address};
use crate::providers::observe;

/// Longest unpacked bill, bytes: a packed one of [`BILL_CAP`] could be far longer.
const UNPACKED_CAP: u64 = 256 << 20;

#[derive(Deserialize)]
struct Balance {
    available_amount: i64,
}

#[derive(Deserialize)]
struct Bill {
    hash_type: String,
    hash_value: String,
    download_url: String,
}

/// What can be paid out now, fen.
///
/// # Errors
/// Why it is not known.
pub async fn balance(rail: &Wechat) -> Result<Option<i64>, String> {
    let reply = get(rail, "/v3/merchant/fund/balance/OPERATION").await?;
    let balance: Balance = serde_json::from_slice(&reply).map_err(|_| unreadable())?;
    Ok(Some(balance.available_amount))
}

/// The packed bill of a day, its hash verified.
///
/// # Errors
/// Why there is none.
pub async fn of_day(rail: &Wechat, day: &str) -> Result<Vec<u8>, String> {
    let target =
        format!("/v3/bill/fundflowbill?bill_date={day}&account_type=OPERATION&tar_type=GZIP");
    let bill: Bill =
        serde_json::from_slice(&get(rail, &target).await?).map_err(|_| unreadable())?;
    if !bill.hash_type.eq_ignore_ascii_case("SHA1") {
        return Err("the bill has an unlisted kind of hash".to_owned());
    }
    let url = address(&bill.download_url)?;
    let (merchant, http, world) = rail.parts();
    let mut call = signed::signed((merchant, world), (Method::GET, url), b"")?;
    call.cap = BILL_CAP;
    // Not signed: the hash, which was, stands for it.
    let reply = http.call(call).await.map_err(|lost| lost.0)?;
    observe::status(reply.status);
    if reply.status != 200 {
        return Err(format!("the bill was not given: HTTP {}", reply.status));
    }
    let packed = reply.body;
    let checked = tokio::task::spawn_blocking(move || {
        let hash = unpacked_hash(&packed)?;
        let same = hash.eq_ignore_ascii_case(&bill.hash_value);
        if same { Ok(packed) } else { Err("the bill does not have the told hash".to_owned()) }
    });
    checked.await.map_err(|_| "the bill could not be checked".to_owned())?
}

fn unpacked_hash(packed: &[u8]) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut unpacking = GzDecoder::new(packed).take(UNPACKED_CAP + 1);
    unpacking.read_to_end(&mut bytes).map_err(|_| "the bill cannot be unpacked".to_owned())?;
    if bytes.len() as u64 > UNPACKED_CAP {
        return Err("the bill is too long".to_owned());
    }
    Ok(rails::certificate::sha1_hex(&bytes))
}

async fn get(rail: &Wechat, target: &str) -> Result<Vec<u8>, String> {
    let Reply { status, body, .. } = rail.asked(Method::GET, target).await?;
    if status == 200 { Ok(body) } else { Err(format!("HTTP {status} {}", shown(&code(&body)))) }
}

fn unreadable() -> String {
    "an answer that cannot be read".to_owned()
}
