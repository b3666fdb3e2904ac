//! What the SDKs sign is what we sign, byte by byte: the signatures of both providers have no chance in
//! them, so the same text and key give the same signature.

use rails::alipay::{parameters, signed_text, value};
use rails::key::PrivateKey;
use rails::wechat::{Authorization, request_text};
use sandbox::keys::{ALIPAY_APP_ID, MCHID};
use serde_json::json;

use crate::sdk::{ALIPAY_NODE, ALIPAY_PYTHON, PYTHON_ALIPAY, Sdk, WECHAT_NODE, WECHAT_PYTHON};
use crate::world::World;

/// What a request may hold that is easily signed wrongly.
const HARD: &str = "收入提现 & 100% + more = / ? # {\"a\": \"}\"} \\ é 😀";

async fn signs_requests_to_alipay_as_we_do(sdk: Sdk) -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let keys = world.alipay_keys()?;
    let told = sdk
        .ask(&json!({
            "do": "signed",
            "keys": keys,
            "gateway": "http://127.0.0.1:1/gateway.do",
            "method": "alipay.fund.trans.uni.transfer",
            "biz_content": {"out_biz_no": "SDK1", "trans_amount": "1.00", "order_title": HARD},
        }))
        .await?
        .ok()?;
    let given = parameters(told.as_str().unwrap_or_default().as_bytes());
    assert_eq!(value(&given, "app_id"), ALIPAY_APP_ID.as_bytes(), "{told}");
    assert_eq!(value(&given, "app_cert_sn"), keys["app_cert_sn"].as_str().unwrap_or("").as_bytes());
    let ours = PrivateKey::read(&world.file("alipay/app_key.pem")?)?;
    let ours = ours.sign(&signed_text(&given, &["sign"]))?;
    assert_eq!(value(&given, "sign"), ours.as_bytes());
    Ok(())
}

async fn signs_requests_to_wechat_pay_as_we_do(sdk: Sdk) -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let ours = PrivateKey::read(&world.file("wechat/merchant_key.pem")?)?;
    for (method, target, body) in [
        ("POST", "/v3/fund-app/mch-transfer/transfer-bills", HARD),
        ("GET", "/v3/bill/fundflowbill?bill_date=2025-01-01&account_type=OPERATION", ""),
    ] {
        let asked = json!({
            "do": "signed", "keys": world.wechat_keys()?,
            "method": method, "target": target, "body": body,
        });
        let told = sdk.ask(&asked).await?.ok()?;
        let header: Authorization = told.as_str().unwrap_or_default().parse()?;
        assert_eq!(header.mchid, MCHID);
        let text = request_text(method, target, &header.timestamp, &header.nonce, body.as_bytes());
        assert_eq!(header.signature, ours.sign(&text)?, "{method}");
    }
    Ok(())
}

#[tokio::test]
async fn alipay_sdk_signs_requests_as_we_do() -> anyhow::Result<()> {
    signs_requests_to_alipay_as_we_do(ALIPAY_NODE).await
}

#[tokio::test]
async fn alipay_sdk_python_signs_requests_as_we_do() -> anyhow::Result<()> {
    signs_requests_to_alipay_as_we_do(ALIPAY_PYTHON).await
}

#[tokio::test]
async fn python_alipay_sdk_signs_requests_as_we_do() -> anyhow::Result<()> {
    signs_requests_to_alipay_as_we_do(PYTHON_ALIPAY).await
}

#[tokio::test]
async fn wechatpay_axios_plugin_signs_requests_as_we_do() -> anyhow::Result<()> {
    signs_requests_to_wechat_pay_as_we_do(WECHAT_NODE).await
}

#[tokio::test]
async fn wechatpayv3_signs_requests_as_we_do() -> anyhow::Result<()> {
    signs_requests_to_wechat_pay_as_we_do(WECHAT_PYTHON).await
}
