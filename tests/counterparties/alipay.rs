//! Alipay: `alipay-sdk`, `alipay-sdk-python` and `python-alipay-sdk` against the simulator, and the
//! notifications of both sides.

use rails::certificate::Certificate;
use rails::key::from_base64;
use sandbox::keys::{ALIPAY_APP_ID, ALIPAY_USER_ID};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::sdk::{ALIPAY_NODE, ALIPAY_PYTHON, PYTHON_ALIPAY, Sdk};
use crate::world::World;

const TRANSFER: &str = "alipay.fund.trans.uni.transfer";
const QUERY: &str = "alipay.fund.trans.common.query";

/// A command with the keys that fit.
fn command(world: &World, what: &str, more: Value) -> anyhow::Result<Value> {
    let gateway = format!("{}/gateway.do", world.url);
    let mut command = json!({"do": what, "gateway": gateway, "keys": world.alipay_keys()?});
    if let (Some(into), Value::Object(more)) = (command.as_object_mut(), more) {
        into.extend(more);
    }
    Ok(command)
}

fn transfer(number: &str) -> Value {
    json!({"method": TRANSFER, "biz_content": {
        "out_biz_no": number,
        "trans_amount": "100.50",
        "product_code": "TRANS_ACCOUNT_NO_PWD",
        "biz_scene": "DIRECT_TRANSFER",
        "order_title": "收入提现 & 100% + more = /",
        "payee_info": {"identity": "2088123412341234", "identity_type": "ALIPAY_USER_ID",
            "name": "张三"},
    }})
}

fn query(number: &str) -> Value {
    json!({"method": QUERY, "biz_content": {
        "out_biz_no": number,
        "product_code": "TRANS_ACCOUNT_NO_PWD",
        "biz_scene": "DIRECT_TRANSFER",
    }})
}

/// `transferring` and `asking` are the driver's words for the SDK's ways of doing it.
async fn pays_asks_and_is_notified(sdk: Sdk, pay: &str, ask: &str) -> anyhow::Result<()> {
    let Some(mut world) = World::start().await? else { return Ok(()) };
    let number = "SDK1PAYS20250101000001";
    let told = sdk.ask(&command(&world, pay, transfer(number))?).await?.ok()?;
    assert_eq!((&told["code"], &told["out_biz_no"]), (&json!("10000"), &json!(number)), "{told}");

    let came = world.door.next("alipay").await?;
    let read = command(&world, "read_notification", json!({"body": came.text()?}))?;
    let read = sdk.ask(&read).await?.ok()?;
    let verified = [&read["verified"], &read["raw"], &read["decoding"]];
    assert!(verified.contains(&&json!(true)), "{read}");
    assert_eq!(read["form"]["msg_method"], "alipay.fund.trans.order.changed");
    let told: Value = serde_json::from_str(read["form"]["biz_content"].as_str().unwrap_or(""))?;
    assert_eq!((&told["out_biz_no"], &told["status"]), (&json!(number), &json!("SUCCESS")));

    let told = sdk.ask(&command(&world, ask, query(number))?).await?.ok()?;
    assert_eq!((&told["code"], &told["status"]), (&json!("10000"), &json!("SUCCESS")), "{told}");
    let told = sdk.ask(&command(&world, ask, query("SDK1NOTHING"))?).await?.ok()?;
    assert_eq!(told["sub_code"], "ORDER_NOT_EXIST");
    Ok(())
}

/// A failure is told in Chinese, in GBK: the SDK that verifies bytes reads it, and so must anybody.
#[tokio::test]
async fn alipay_sdk_python_is_notified_of_a_failure_in_gbk() -> anyhow::Result<()> {
    let Some(mut world) = World::start().await? else { return Ok(()) };
    let fault = json!({"fault": "fail", "provider": "alipay", "operation": "create"});
    world.control("faults", fault).await?;
    let order = command(&world, "call", transfer("SDK5FAILS2025010100005"))?;
    ALIPAY_PYTHON.ask(&order).await?.ok()?;
    let came = world.door.next("alipay").await?;
    let read = command(&world, "read_notification", json!({"body": came.text()?}))?;
    let read = ALIPAY_PYTHON.ask(&read).await?.ok()?;
    assert_eq!(read["verified"], true, "{read}");
    let told: Value = serde_json::from_str(read["form"]["biz_content"].as_str().unwrap_or(""))?;
    assert_eq!(told["status"], "FAIL", "{told}");
    assert!(told["fail_reason"].as_str().is_some_and(|why| !why.is_ascii()), "{told}");
    Ok(())
}

#[tokio::test]
async fn alipay_sdk_python_asks_for_the_bill_and_python_reads_it() -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let number = "SDK6BILL20250101000006";
    let paid = command(&world, "call", transfer(number))?;
    let paid = ALIPAY_PYTHON.ask(&paid).await?.ok()?;
    let day = paid["trans_date"].as_str().and_then(|at| at.get(..10)).unwrap_or_default();
    // A bill is ready some hours after its day.
    world.control("clock", json!({"advance_s": 2 * 86_400})).await?;
    let asked = json!({
        "method": "alipay.data.dataservice.bill.downloadurl.query",
        "biz_content": {"bill_type": "signcustomer", "bill_date": day},
    });
    let told = ALIPAY_PYTHON.ask(&command(&world, "bill", asked)?).await?.ok()?;
    let rows = told["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let row = rows.iter().find(|row| row["商户订单号"] == number);
    assert_eq!(row.map(|row| &row["支出金额（-元）"]), Some(&json!("-100.50")), "{told}");
    Ok(())
}

/// The same number again is the same transfer; with another amount it is refused.
async fn repeats_itself_in_vain(sdk: Sdk, pay: &str) -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let order = command(&world, pay, transfer("SDK4REPEATS20250101004"))?;
    let first = sdk.ask(&order).await?.ok()?;
    let again = sdk.ask(&order).await?.ok()?;
    assert_eq!(first["code"], "10000", "{first}");
    assert_eq!(again["order_id"], first["order_id"], "{again}");
    let mut other = order;
    other["biz_content"]["trans_amount"] = json!("100.51");
    let told = sdk.ask(&other).await?.ok()?;
    assert_eq!(told["sub_code"], "PAYMENT_INFO_INCONSISTENCY", "{told}");
    Ok(())
}

async fn is_refused_with_a_foreign_key_and_refuses_foreign_answers(
    sdk: Sdk,
    pay: &str,
) -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let order = command(&world, pay, transfer("SDK2FOREIGN20250101002"))?;
    let mut foreign = order.clone();
    foreign["keys"]["app_key"] = json!(World::foreign_key()?.to_pem());
    // Some SDKs refuse the unsigned refusal itself.
    let told = format!("{:?}", sdk.ask(&foreign).await?);
    assert!(told.contains("isv.invalid-signature"), "{told}");

    // A certificate of the same root, but not the one that signs.
    let mut doubting = order;
    doubting["keys"]["alipay_cert"] = doubting["keys"]["app_cert"].clone();
    let why = sdk.ask(&doubting).await?.refusal()?;
    let words = ["验签失败", "erif", "ValidationError"];
    assert!(words.iter().any(|word| why.contains(word)), "{why}");
    Ok(())
}

#[tokio::test]
async fn alipay_sdk_pays_asks_and_is_notified() -> anyhow::Result<()> {
    pays_asks_and_is_notified(ALIPAY_NODE, "call", "call_by_get").await
}

#[tokio::test]
async fn alipay_sdk_python_pays_asks_and_is_notified() -> anyhow::Result<()> {
    pays_asks_and_is_notified(ALIPAY_PYTHON, "call", "call").await
}

#[tokio::test]
async fn python_alipay_sdk_pays_asks_and_is_notified() -> anyhow::Result<()> {
    pays_asks_and_is_notified(PYTHON_ALIPAY, "transfer", "call").await
}

#[tokio::test]
async fn alipay_sdk_repeats_itself_in_vain() -> anyhow::Result<()> {
    repeats_itself_in_vain(ALIPAY_NODE, "call_by_get").await
}

#[tokio::test]
async fn alipay_sdk_python_repeats_itself_in_vain() -> anyhow::Result<()> {
    repeats_itself_in_vain(ALIPAY_PYTHON, "call").await
}

#[tokio::test]
async fn python_alipay_sdk_repeats_itself_in_vain() -> anyhow::Result<()> {
    repeats_itself_in_vain(PYTHON_ALIPAY, "transfer").await
}

/// A merchant that has never seen the certificate asks for it by its number.
#[tokio::test]
async fn alipay_sdk_downloads_the_certificate_that_signs() -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let certificate = world.file("alipay/alipay_cert.pem")?;
    let number = Certificate::read(&certificate)?.alipay_sn();
    let asked = json!({
        "method": "alipay.open.app.alipaycert.download",
        "biz_content": {"alipay_cert_sn": number},
    });
    let told = ALIPAY_NODE.ask(&command(&world, "call", asked)?).await?.ok()?;
    let content = told["alipay_cert_content"].as_str().unwrap_or_default();
    let content = String::from_utf8(from_base64(content)?)?;
    assert_eq!(Certificate::read(&content)?.alipay_sn(), number);
    Ok(())
}

#[tokio::test]
async fn the_official_sdks_read_the_balance() -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let asked = json!({
        "method": "alipay.fund.account.query",
        "biz_content": {"alipay_user_id": ALIPAY_USER_ID, "account_type": "ACCTRANS_ACCOUNT"},
    });
    for sdk in [ALIPAY_NODE, ALIPAY_PYTHON] {
        let told = sdk.ask(&command(&world, "call", asked.clone())?).await?.ok()?;
        let amount = told["available_amount"].as_str().unwrap_or_default();
        let (_, fen) = amount.split_once('.').unwrap_or_default();
        assert_eq!(fen.len(), 2, "{told}");
    }
    Ok(())
}

#[tokio::test]
async fn alipay_sdk_is_refused_with_a_foreign_key_and_refuses_foreign_answers() -> anyhow::Result<()>
{
    is_refused_with_a_foreign_key_and_refuses_foreign_answers(ALIPAY_NODE, "call").await
}

#[tokio::test]
async fn alipay_sdk_python_is_refused_with_a_foreign_key_and_refuses_foreign_answers()
-> anyhow::Result<()> {
    is_refused_with_a_foreign_key_and_refuses_foreign_answers(ALIPAY_PYTHON, "call").await
}

#[tokio::test]
async fn python_alipay_sdk_is_refused_with_a_foreign_key_and_refuses_foreign_answers()
-> anyhow::Result<()> {
    is_refused_with_a_foreign_key_and_refuses_foreign_answers(PYTHON_ALIPAY, "transfer").await
}

#[tokio::test]
async fn the_sdks_number_certificates_as_we_do() -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let keys = world.alipay_keys()?;
    for sdk in [ALIPAY_NODE, PYTHON_ALIPAY] {
        let told = sdk.ask(&command(&world, "certificate_numbers", json!({}))?).await?.ok()?;
        assert_eq!((&told["app"], &told["root"]), (&keys["app_cert_sn"], &keys["root_cert_sn"]));
    }
    Ok(())
}

/// Notifications in both charsets, and some that must not be heard.
async fn makes_notifications_that_we_hear(sdk: Sdk, charsets: &[&str]) -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let endpoint = Endpoint::open(&world).await?;
    for charset in charsets {
        let key = world.file("alipay/alipay_key.pem")?;
        let made = sdk.ask(&notification(&world, charset, &key)?).await?.ok()?;
        let heard = endpoint.deliver("alipay", &made).await?;
        assert_eq!((heard.status, heard.body.as_str()), (200, "success"), "{charset}");

        let mut changed = made.clone();
        let body = made["body"].as_str().unwrap_or_default();
        changed["body"] = json!(body.replacen("100.50", "900.50", 1));
        assert_ne!(made, changed);
        let heard = endpoint.deliver("alipay", &changed).await?;
        assert_ne!(heard.body, "success", "{charset}");

        let foreign = World::foreign_key()?.to_pem();
        let made = sdk.ask(&notification(&world, charset, &foreign)?).await?.ok()?;
        assert_ne!(endpoint.deliver("alipay", &made).await?.body, "success", "{charset}");
    }
    Ok(())
}

fn notification(world: &World, charset: &str, key: &str) -> anyhow::Result<Value> {
    let content = json!({
        "pay_fund_order_id": "20250101110070001506380000251556",
        "out_biz_no": "SDK3NOTIFIES20250101003",
        "product_code": "TRANS_ACCOUNT_NO_PWD",
        "biz_scene": "DIRECT_TRANSFER",
        "origin_interface": TRANSFER,
        "order_id": "20250101110070000006380000250621",
        "status": "FAIL",
        "action_type": "FINISH",
        "trans_amount": "100.50",
        "error_code": "PAYEE_NOT_EXIST",
        "fail_reason": "收款账号不存在",
    });
    let form = json!({
        "app_id": ALIPAY_APP_ID,
        "charset": charset,
        "biz_content": content.to_string(),
        "msg_method": "alipay.fund.trans.order.changed",
        "utc_timestamp": "1735704000000",
        "version": "1.1",
        "notify_id": "2025010100222120000000000000000001",
    });
    command(world, "make_notification", json!({"form": form, "signing_key": key}))
}

#[tokio::test]
async fn alipay_sdk_python_makes_notifications_that_we_hear() -> anyhow::Result<()> {
    makes_notifications_that_we_hear(ALIPAY_PYTHON, &["GBK", "UTF-8"]).await
}

#[tokio::test]
async fn python_alipay_sdk_makes_notifications_that_we_hear() -> anyhow::Result<()> {
    makes_notifications_that_we_hear(PYTHON_ALIPAY, &["UTF-8"]).await
}
