//! Messages of the simulated Alipay: `alipay.fund.trans.order.changed`, a form in GBK.
//!
//! Must not know: when they are sent.

use std::sync::Arc;

use cashout_common::money::format_fixed;
use encoding_rs::GBK;
use rails::alipay::signed_text;
use serde_json::json;

use super::door::{distort, identity};
use super::transfer::told;
use crate::books::Notification;
use crate::faults::{Kind, Trouble};
use crate::keys::ALIPAY_APP_ID;
use crate::notify::Letter;
use crate::payout::Payout;
use crate::sim::{Sim, locked};

/// What is sent, and where; `None` when messages are not subscribed to.
///
/// # Errors
/// When it cannot be signed.
pub fn letter(
    sim: &Arc<Sim>,
    one: &Notification,
    payout: &Payout,
    trouble: &Trouble,
) -> anyhow::Result<Option<Letter>> {
    let url = locked(&sim.alipay_notify).clone();
    if url.is_empty() {
        return Ok(None);
    }
    let mut facts = told(sim, payout, one.state);
    for (name, value) in [
        ("product_code", "TRANS_ACCOUNT_NO_PWD".to_owned()),
        ("biz_scene", "DIRECT_TRANSFER".to_owned()),
        ("origin_interface", "alipay.fund.trans.uni.transfer".to_owned()),
        ("action_type", "FINISH".to_owned()),
        ("trans_amount", format_fixed(payout.amount_minor)),
        ("pay_date", sim.zone.datetime(payout.updated_at_us)),
    ] {
        facts[name] = json!(value);
    }
    distort(&mut facts, trouble);
    let foreign = trouble.has(Kind::Merchant);
    let late_us = if trouble.has(Kind::Stale) { 600_000_000 } else { 0 };
    let told_at_ms = (sim.world.clock.now_us() - late_us) / 1000;
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> = [
        ("app_id", if foreign { "2021000000000002" } else { ALIPAY_APP_ID }.to_owned()),
        ("charset", "GBK".to_owned()),
        ("biz_content", facts.to_string()),
        ("msg_method", "alipay.fund.trans.order.changed".to_owned()),
        ("utc_timestamp", told_at_ms.to_string()),
        ("version", "1.1".to_owned()),
        ("sign_type", "RSA2".to_owned()),
        ("notify_id", one.id.replace('-', "")),
    ]
    .into_iter()
    .map(|(name, value)| (name.as_bytes().to_vec(), GBK.encode(&value).0.into_owned()))
    .collect();
    let mut signed = signed_text(&fields, &["sign", "sign_type"]);
    if trouble.has(Kind::WrongSignature) {
        signed.push(b' ');
    }
    if !trouble.has(Kind::MissingSignature) {
        let sign = identity(sim, false, trouble).key.sign(&signed)?;
        fields.push((b"sign".to_vec(), sign.into_bytes()));
    }
    if trouble.has(Kind::Corrupt) {
        for (name, value) in &mut fields {
            if name == b"biz_content" {
                value.push(b' ');
            }
        }
    }
    Ok(Some(Letter {
        url,
        content_type: "application/x-www-form-urlencoded; charset=GBK",
        headers: Vec::new(),
        body: form(&fields).into_bytes(),
    }))
}

fn form(fields: &[(Vec<u8>, Vec<u8>)]) -> String {
    let encoded = |bytes: &[u8]| form_urlencoded::byte_serialize(bytes).collect::<String>();
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Whether the merchant said that it heard: the one word, and nothing else.
#[must_use]
pub fn heard(status: u16, body: &[u8]) -> bool {
    status == 200 && body.trim_ascii() == b"success"
}
