//! Our own door for notifications, to which tests deliver what SDKs made. Must not know: any SDK.

use anyhow::Context;
use rails::alipay::{parameters, signed_text, value};
use rails::certificate::Certificate;
use rails::key::PublicKey;
use rails::seal::ApiKey;
use rails::wechat::answer_text;
use serde_json::{Map, Value};

use crate::world::World;

/// What a door answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// HTTP status.
    pub status: u16,
    /// As it came.
    pub body: String,
}

/// Delivers a notification `{headers, body}` to `/notify/{provider}`.
///
/// Until the gateway is connected here, what its endpoint does first is done in its place: the signature
/// over the raw bytes, then opening what is sealed. TO CONNECT: start the stack with `world`'s keys and
/// POST to its gateway; the tests only look at status and body.
///
/// # Errors
/// When it cannot be delivered.
pub async fn deliver(world: &World, provider: &str, made: &Value) -> anyhow::Result<Acknowledged> {
    let headers = made["headers"].as_object().context("no headers")?;
    let body = made["body"].as_str().context("no body")?;
    let (heard, yes, no) = match provider {
        "wechat" => (wechat(world, headers, body).is_ok(), (204, ""), (401, "FAIL")),
        _ => (alipay(world, body)?, (200, "success"), (200, "fail")),
    };
    let (status, body) = if heard { yes } else { no };
    Ok(Acknowledged { status, body: body.to_owned() })
}

fn wechat(world: &World, headers: &Map<String, Value>, body: &str) -> anyhow::Result<()> {
    let header = |name: &str| headers.get(name).and_then(Value::as_str).context("a header misses");
    let certificate = Certificate::read(&world.file("wechat/platform_cert.pem")?)?;
    let key = if header("wechatpay-serial")? == certificate.serial_hex() {
        certificate.public_key()?
    } else {
        PublicKey::read(&world.file("wechat/platform_public_key.pem")?)?
    };
    let text =
        answer_text(header("wechatpay-timestamp")?, header("wechatpay-nonce")?, body.as_bytes());
    anyhow::ensure!(key.verifies(&text, header("wechatpay-signature")?), "forged");
    let told: Value = serde_json::from_str(body)?;
    let part = |name: &str| told["resource"][name].as_str().context("not sealed");
    let opened = ApiKey::read(&world.file("wechat/api_v3_key")?)?.open(
        part("nonce")?,
        part("associated_data")?,
        part("ciphertext")?,
    )?;
    let _: Value = serde_json::from_slice(&opened)?;
    Ok(())
}

fn alipay(world: &World, body: &str) -> anyhow::Result<bool> {
    let form = parameters(body.as_bytes());
    let key = Certificate::read(&world.file("alipay/alipay_cert.pem")?)?.public_key()?;
    let sign = String::from_utf8_lossy(value(&form, "sign")).into_owned();
    Ok(key.verifies(&signed_text(&form, &["sign", "sign_type"]), &sign))
}
