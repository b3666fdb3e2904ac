//! Signed calls to Alipay's gateway. An answer is verified exactly as received, before anything of it is
//! read. Must not know: what calls are for.

use std::sync::Arc;

use cashout_common::clock::SECOND_US;
use rails::alipay::{Parameters, answer, signed_text};
use rails::key::{PublicKey, from_base64};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::Alipay;
use super::certificates::{Believed, believed};
use crate::providers::http::{ANSWER_CAP, Call};
use crate::providers::observe;

const CERTIFICATE: &str = "alipay.open.app.alipaycert.download";

/// What every answer has. A key that is there twice is refused.
#[derive(Deserialize)]
pub struct Code {
    /// Of the gateway.
    pub code: String,
    /// Of the product.
    #[serde(default)]
    pub sub_code: String,
}

#[derive(Deserialize)]
struct Download {
    code: String,
    #[serde(default)]
    alipay_cert_content: String,
}

/// Makes a call; gives the node of its answer, verified.
///
/// # Errors
/// Why there is no answer that can be believed.
pub async fn call(rail: &Alipay, method: &str, content: &[u8]) -> Result<String, &'static str> {
    let text = exchange(rail, method, content).await?;
    let told = answer(&text, method).map_err(|wrong| wrong.0)?;
    if told.sign.is_empty() || told.cert_sn.is_empty() {
        return Err("the answer is not signed");
    }
    // A JSON text: its slashes and signs of equality may be escaped.
    let sign: String = serde_json::from_str(&format!("\"{}\"", told.sign))
        .map_err(|_| "the signature cannot be read")?;
    let known = rail.application.signers.iter().find(|signer| signer.sn == told.cert_sn);
    let right = match known {
        Some(signer) => verifies(&signer.key, told.node, &sign),
        None => verifies(&*later(rail, told.cert_sn).await?, told.node, &sign),
    };
    if right { Ok(told.node.to_owned()) } else { Err("the signature of the answer is wrong") }
}

/// Some of Alipay's servers sign before they escape slashes.
fn verifies(key: &PublicKey, node: &str, sign: &str) -> bool {
    key.verifies(node.as_bytes(), sign)
        || (node.contains("\\/") && key.verifies(node.replace("\\/", "/").as_bytes(), sign))
}

/// The key of a certificate that we did not have at the start.
async fn later(rail: &Alipay, sn: &str) -> Result<Arc<PublicKey>, &'static str> {
    let now_us = rail.world.clock.now_us();
    if let Some(key) = rail.later.find(sn, now_us) {
        return Ok(key);
    }
    if !rail.later.worth_asking(sn, now_us) {
        return Err("signed with a certificate we do not have");
    }
    let told = download(rail, sn).await?;
    let key = read(rail, sn, &told, now_us).ok_or_else(|| {
        rail.later.refuse(sn, now_us);
        tracing::error!(
            alarm = "certificate_refused",
            "Alipay signs with a certificate that does not come from the configured roots"
        );
        "signed with a certificate that is not Alipay's"
    })?;
    tracing::info!("Alipay signs with a new certificate; add it to ALIPAY_CERT_FILES");
    Ok(rail.later.keep(sn, key))
}

/// Asks for a certificate. What is lost on the way says nothing about it.
async fn download(rail: &Alipay, sn: &str) -> Result<String, &'static str> {
    let content = serde_json::json!({ "alipay_cert_sn": sn }).to_string();
    let told = exchange(rail, CERTIFICATE, content.as_bytes()).await;
    told.map_err(|_| "signed with a certificate that could not be fetched")
}

/// This answer need not be signed: the chain to a root stands for it.
fn read(rail: &Alipay, sn: &str, text: &str, now_us: i64) -> Option<Believed> {
    let node = answer(text, CERTIFICATE).ok()?.node;
    let told: Download =
        serde_json::from_str(node).ok().filter(|d: &Download| d.code == "10000")?;
    let pem = String::from_utf8(from_base64(&told.alipay_cert_content).ok()?).ok()?;
    believed(&rail.application, sn, &pem, now_us.div_euclid(SECOND_US))
}

/// One call and its whole answer, not verified.
async fn exchange(rail: &Alipay, method: &str, content: &[u8]) -> Result<String, &'static str> {
    let call = signed(rail, method, content)?;
    let reply = rail.http.call(call).await.map_err(|lost| lost.0)?;
    observe::status(reply.status);
    if reply.status != 200 {
        return Err("not HTTP 200");
    }
    String::from_utf8(reply.body).map_err(|_| "the answer is not UTF-8")
}

/// The common parameters and the signature in the query, the content in the body.
fn signed(rail: &Alipay, method: &str, content: &[u8]) -> Result<Call, &'static str> {
    let application = &rail.application;
    let timestamp = application.zone.datetime(rail.world.clock.now_us());
    let common = [
        ("app_id", application.app_id.as_str()),
        ("method", method),
        ("format", "JSON"),
        ("charset", "utf-8"),
        ("sign_type", "RSA2"),
        ("timestamp", &timestamp),
        ("version", "1.0"),
        ("app_cert_sn", &application.cert_sn),
        ("alipay_root_cert_sn", &application.root_sn),
    ];
    let bytes = |(name, value): (&str, &[u8])| (name.as_bytes().to_vec(), value.to_vec());
    let mut parameters: Parameters =
        common.iter().map(|(name, value)| bytes((name, value.as_bytes()))).collect();
    parameters.push(bytes(("biz_content", content)));
    let sign = application.key.sign(&signed_text(&parameters, &["sign"]));
    let sign = sign.map_err(|_| "could not sign")?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(common).append_pair("sign", &sign);
    let mut url: Url = application.url.clone();
    url.set_query(Some(&query.finish()));
    let encoded: String = form_urlencoded::byte_serialize(content).collect();
    let kind = "application/x-www-form-urlencoded;charset=utf-8".to_owned();
    Ok(Call {
        method: Method::POST,
        url,
        headers: vec![("content-type", kind), ("accept", "application/json".to_owned())],
        body: format!("biz_content={encoded}").into_bytes(),
        cap: ANSWER_CAP,
    })
}
