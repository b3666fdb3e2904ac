//! Notifications of the simulated WeChat Pay: `MCHTRANSFER.BILL.FINISHED`, sealed and signed.
//!
//! Must not know: when they are sent.

use std::sync::Arc;

use rails::wechat::PROBE;
use serde_json::json;

use super::door::{Speaker, distort};
use super::transfer::told;
use crate::books::Notification;
use crate::faults::{Kind, Trouble};
use crate::notify::Letter;
use crate::payout::Payout;
use crate::sim::Sim;

/// What is sent, and where; `None` when the merchant gave no address.
///
/// # Errors
/// When it cannot be sealed.
pub fn letter(
    sim: &Arc<Sim>,
    one: &Notification,
    payout: &Payout,
    trouble: &Trouble,
) -> anyhow::Result<Option<Letter>> {
    let url = payout.terms["notify_url"].as_str().unwrap_or_default();
    if url.is_empty() {
        return Ok(None);
    }
    let mut facts = told(sim, payout, one.state);
    distort(&mut facts, trouble);
    let nonce = sim.random_hex::<6>();
    let aad = "mch_payment";
    let mut ciphertext = sim.keys.wechat.api_key.seal(&nonce, aad, facts.to_string().as_bytes())?;
    if trouble.has(Kind::Corrupt) {
        let first = if ciphertext.starts_with('A') { "B" } else { "A" };
        ciphertext.replace_range(0..1, first);
    }
    let body = json!({
        "id": one.id,
        "create_time": sim.zone.rfc3339(one.created_at_us),
        "resource_type": "encrypt-resource",
        "event_type": "MCHTRANSFER.BILL.FINISHED",
        "summary": "商家转账单据终态通知",
        "resource": {
            "original_type": "mch_payment",
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": ciphertext,
            "associated_data": aad,
            "nonce": nonce,
        },
    });
    let body = body.to_string().into_bytes();
    let headers = Speaker::of_notifications(sim).signature(&body, trouble);
    Ok(Some(Letter { url: url.to_owned(), content_type: "application/json", headers, body }))
}

/// The same with a deliberately wrong signature.
#[must_use]
pub fn probe(mut letter: Letter) -> Letter {
    for (name, value) in &mut letter.headers {
        if *name == "wechatpay-signature" {
            *value = format!("{PROBE}{value}");
        }
    }
    letter
}

/// Whether the merchant said that it heard.
#[must_use]
pub fn heard(status: u16) -> bool {
    matches!(status, 200 | 204)
}
