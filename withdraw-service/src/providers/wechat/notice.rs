//! WeChat Pay's notification that a bill is finished: signature, time, decryption, merchant, in this
//! order. Must not know: withdrawals; number, amount and payee are compared by who asked for it.

use serde::Deserialize;

use super::settings::Merchant;
use super::signed::{Disbelief, verify};
use crate::ports::{Acknowledgement, Incoming, Notice, Unheard};

const FINISHED: &str = "MCHTRANSFER.BILL.FINISHED";

#[derive(Deserialize)]
struct Event {
    id: String,
    event_type: String,
    resource_type: String,
    resource: Resource,
}

#[derive(Deserialize)]
struct Resource {
    algorithm: String,
    ciphertext: String,
    #[serde(default)]
    associated_data: Option<String>,
    nonce: String,
}

#[derive(Deserialize)]
struct Bill {
    #[serde(alias = "mchid")]
    mch_id: String,
    out_bill_no: String,
    state: String,
    transfer_amount: i64,
    openid: Option<String>,
}

/// A header that is there once.
fn header<'a>(incoming: &'a Incoming, name: &str) -> Option<&'a str> {
    let mut all = incoming.headers.iter().filter(|(known, _)| known == name);
    let first = all.next()?;
    all.next().is_none().then_some(first.1.as_str())
}

/// Verifies and reads a notification.
///
/// # Errors
/// Why it is not heard.
pub fn read(merchant: &Merchant, now_s: i64, incoming: &Incoming) -> Result<Notice, Unheard> {
    let forged = |why| Unheard::Forged { why };
    verify(merchant, now_s, |name| header(incoming, name), &incoming.body).map_err(
        |disbelief| match disbelief {
            Disbelief::Probe => Unheard::Probe,
            Disbelief::Because(why) => forged(why),
        },
    )?;
    let event: Event = serde_json::from_slice(&incoming.body)
        .map_err(|_| forged("signed, but not a notification"))?;
    if event.event_type != FINISHED {
        return Err(Unheard::Irrelevant);
    }
    let resource = event.resource;
    if event.resource_type != "encrypt-resource" || resource.algorithm != "AEAD_AES_256_GCM" {
        return Err(forged("signed, but not encrypted as agreed"));
    }
    let aad = resource.associated_data.unwrap_or_default();
    let open = |key: &rails::seal::ApiKey| key.open(&resource.nonce, &aad, &resource.ciphertext);
    let opened = merchant.api_keys.iter().find_map(|key| open(key).ok());
    let opened = opened.ok_or(forged("signed, but not encrypted with one of our APIv3 keys"))?;
    let bill: Bill = serde_json::from_slice(&opened)
        .map_err(|_| forged("signed and decrypted, but not about a bill"))?;
    if bill.mch_id != merchant.mch_id {
        return Err(Unheard::Foreign { why: "about another merchant" });
    }
    Ok(Notice {
        id: event.id,
        number: bill.out_bill_no,
        state: bill.state,
        amount_minor: Some(bill.transfer_amount),
        payee_id: bill.openid,
    })
}

/// The answer to a notification.
#[must_use]
pub const fn acknowledge(heard: bool) -> Acknowledgement {
    if heard {
        return Acknowledgement { status: 204, content_type: "", body: "" };
    }
    Acknowledgement {
        status: 401,
        content_type: "application/json",
        body: r#"{"code":"FAIL","message":"not accepted"}"#,
    }
}
