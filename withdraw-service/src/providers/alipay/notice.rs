//! Alipay's notification that a transfer changed: signature over the raw bytes, application, then its
//! content in the charset it says. Must not know: withdrawals; number and amount are compared by who asked
//! for the transfer.

use cashout_common::money::parse_amount;
use encoding_rs::Encoding;
use rails::alipay::{Parameters, parameters, signed_text, value};
use serde::Deserialize;

use super::Alipay;
use crate::ports::{Acknowledgement, Incoming, Notice, Unheard};

const CHANGED: &str = "alipay.fund.trans.order.changed";
/// Charsets that Alipay writes in.
const CHARSETS: &[&str] = &["utf-8", "gbk", "gb2312", "gb18030"];

#[derive(Deserialize)]
struct Content {
    out_biz_no: String,
    status: String,
    trans_amount: Option<String>,
}

/// Verifies and reads a notification.
///
/// # Errors
/// Why it is not heard.
pub fn read(rail: &Alipay, incoming: &Incoming) -> Result<Notice, Unheard> {
    let forged = |why| Unheard::Forged { why };
    let given = parameters(&incoming.body);
    if twice(&given) {
        return Err(forged("a parameter is there twice"));
    }
    verify(rail, &given).map_err(forged)?;
    if value(&given, "app_id") != rail.application.app_id.as_bytes() {
        return Err(Unheard::Foreign { why: "about another application" });
    }
    if value(&given, "msg_method") != CHANGED.as_bytes() {
        return Err(Unheard::Irrelevant);
    }
    let id = std::str::from_utf8(value(&given, "notify_id")).unwrap_or_default();
    if !(1..=128).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(forged("signed, but without an id"));
    }
    let content = decoded(&given).ok_or(forged("signed, but not in its charset"))?;
    let content: Content =
        serde_json::from_str(&content).map_err(|_| forged("signed, but not about a transfer"))?;
    let amount = content.trans_amount.as_deref().map(parse_amount).transpose();
    Ok(Notice {
        id: id.to_owned(),
        number: content.out_biz_no,
        state: content.status,
        amount_minor: amount.map_err(|_| forged("signed, but without an amount"))?,
        payee_id: None,
    })
}

fn twice(given: &Parameters) -> bool {
    let mut names: Vec<&[u8]> = given.iter().map(|(name, _)| name.as_slice()).collect();
    names.sort_unstable();
    names.windows(2).any(|two| matches!(two, [a, b] if a == b))
}

/// Most messages are signed without `sign_type`, a few with it.
fn verify(rail: &Alipay, given: &Parameters) -> Result<(), &'static str> {
    let sign = std::str::from_utf8(value(given, "sign")).unwrap_or_default();
    if sign.is_empty() {
        return Err("not signed");
    }
    if value(given, "sign_type") != b"RSA2" {
        return Err("another kind of signature");
    }
    let texts = [signed_text(given, &["sign", "sign_type"]), signed_text(given, &["sign"])];
    let later = rail.later.all(rail.world.clock.now_us());
    let configured = rail.application.signers.iter().map(|signer| &signer.key);
    let mut keys = configured.chain(later.iter().map(|key| &**key));
    let right = keys.any(|key| texts.iter().any(|text| key.verifies(text, sign)));
    if right { Ok(()) } else { Err("the signature is wrong") }
}

/// The content as text; `None` when it is not in the charset it says.
fn decoded(given: &Parameters) -> Option<String> {
    let charset = std::str::from_utf8(value(given, "charset")).ok()?.to_ascii_lowercase();
    let known = CHARSETS.contains(&charset.as_str());
    let encoding = Encoding::for_label(charset.as_bytes()).filter(|_| known)?;
    let bytes = value(given, "biz_content");
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(text.into_owned())
}

/// The answer to a notification: whatever is not `success` is sent again.
#[must_use]
pub const fn acknowledge(heard: bool) -> Acknowledgement {
    let body = if heard { "success" } else { "fail" };
    Acknowledgement { status: 200, content_type: "text/plain", body }
}
