//! WeChat Pay: `wechatpay-axios-plugin` and `wechatpayv3` against the simulator, and the notifications of
//! both sides.

use sandbox::keys::{MCHID, WECHAT_APP_ID};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;
use crate::sdk::{Sdk, WECHAT_NODE, WECHAT_PYTHON};
use crate::world::World;

/// A command with the keys that fit.
fn command(world: &World, what: &str, more: Value) -> anyhow::Result<Value> {
    let keys = world.wechat_keys()?;
    let mut command = json!({
        "do": what, "url": world.url, "serial": keys["platform_key_id"], "keys": keys,
    });
    merge(&mut command, more);
    Ok(command)
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

/// Asks for a bill, with the name of its payee sealed when there is one.
fn bill(world: &World, number: &str, payee: &str, amount: i64) -> Value {
    json!({"bill": {
        "appid": WECHAT_APP_ID,
        "out_bill_no": number,
        "transfer_scene_id": "1005",
        "openid": payee,
        "transfer_amount": amount,
        "transfer_remark": "收入提现",
        "user_recv_perception": "劳务报酬",
        "transfer_scene_report_infos": [
            {"info_type": "岗位类型", "info_content": "讲师"},
            {"info_type": "报酬说明", "info_content": "课程收入 {\"a\"}"},
        ],
        "notify_url": format!("{}/notify/wechat", world.door.address),
    }})
}

/// Status, and a member of the body.
fn at(told: &Value, member: &str) -> (u64, String) {
    let text = told["data"][member].as_str().unwrap_or_default();
    (told["status"].as_u64().unwrap_or_default(), text.to_owned())
}

fn says(member: &str) -> (u64, String) {
    (200, member.to_owned())
}

async fn pays_asks_and_is_notified(sdk: Sdk) -> anyhow::Result<()> {
    let Some(mut world) = World::start().await? else { return Ok(()) };
    let number = "SDK1PAYS20250101000001";
    let mut order = bill(&world, number, "oSdkPayee_1-x", 200_000);
    merge(&mut order, json!({"user_name": "欧阳小明"}));
    let created = sdk.ask(&command(&world, "create", order)?).await?.ok()?;
    assert_eq!(at(&created, "out_bill_no"), says(number), "{created}");

    let came = world.door.next("wechat").await?;
    let read = json!({"headers": came.headers, "body": came.text()?});
    let read = sdk.ask(&command(&world, "read_notification", read)?).await?.ok()?;
    // wechatpayv3 puts what it opened into the place where it was sealed.
    let opened = read.get("resource").unwrap_or(&read);
    assert_eq!(opened["out_bill_no"], number);
    assert_eq!(opened["state"], "SUCCESS");
    assert_eq!(opened["transfer_amount"], 200_000);

    let asked = command(&world, "query", json!({"number": number}))?;
    let told = sdk.ask(&asked).await?.ok()?;
    assert_eq!(at(&told, "state"), says("SUCCESS"));
    // The name comes back sealed for the merchant.
    let sealed = command(&world, "decrypt", json!({"text": told["data"]["user_name"]}))?;
    assert_eq!(sdk.ask(&sealed).await?.ok()?, "欧阳小明");
    let theirs = told["data"]["transfer_bill_no"].clone();
    let asked = command(&world, "query_by_theirs", json!({"number": theirs}))?;
    assert_eq!(at(&sdk.ask(&asked).await?.ok()?, "out_bill_no"), says(number));
    Ok(())
}

/// The same number again is the same bill; with another amount it is refused.
async fn repeats_itself_in_vain(sdk: Sdk) -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let number = "SDK5REPEATS2025010100005";
    let order = command(&world, "create", bill(&world, number, "oSdkPayee", 1_000))?;
    let first = sdk.ask(&order).await?.ok()?;
    let again = sdk.ask(&order).await?.ok()?;
    assert_eq!(at(&first, "out_bill_no"), says(number), "{first}");
    assert_eq!(at(&again, "transfer_bill_no"), at(&first, "transfer_bill_no"), "{again}");

    let other = command(&world, "create", bill(&world, number, "oSdkPayee", 1_001))?;
    let told = sdk.ask(&other).await?.ok()?;
    assert_eq!(at(&told, "code"), (400, "INVALID_REQUEST".to_owned()), "{told}");
    Ok(())
}

async fn cancels_what_waits_for_its_payee(sdk: Sdk) -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let number = "SDK2CANCELS2025010100002";
    let created = command(&world, "create", bill(&world, number, "oSdkPayee_confirm", 1_000))?;
    let created = sdk.ask(&created).await?.ok()?;
    assert_eq!(at(&created, "state"), says("WAIT_USER_CONFIRM"));
    assert!(!at(&created, "package_info").1.is_empty(), "{created}");

    let cancelled = command(&world, "cancel", json!({"number": number}))?;
    let (status, state) = at(&sdk.ask(&cancelled).await?.ok()?, "state");
    assert!(status == 200 && ["CANCELING", "CANCELLED"].contains(&state.as_str()), "{state}");
    let asked = command(&world, "query", json!({"number": number}))?;
    let (_, state) = at(&sdk.ask(&asked).await?.ok()?, "state");
    assert!(["CANCELING", "CANCELLED"].contains(&state.as_str()), "{state}");

    let nothing = command(&world, "query", json!({"number": "SDK2NOTHING"}))?;
    let told = sdk.ask(&nothing).await?.ok()?;
    assert_eq!(at(&told, "code"), (404, "NOT_FOUND".to_owned()));
    Ok(())
}

async fn is_refused_with_a_foreign_key_and_refuses_foreign_answers(sdk: Sdk) -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let order = bill(&world, "SDK3FOREIGN202501010003", "oSdkPayee", 1_000);
    let mut foreign = command(&world, "create", order.clone())?;
    foreign["keys"]["merchant_key"] = json!(World::foreign_key()?.to_pem());
    let told = sdk.ask(&foreign).await?.ok()?;
    assert_eq!(at(&told, "code"), (401, "SIGN_ERROR".to_owned()));

    let mut doubting = command(&world, "create", order)?;
    let id = doubting["serial"].as_str().unwrap_or_default().to_owned();
    doubting["keys"]["platform"][id] = json!(World::foreign_key()?.public()?.to_pem());
    let why = sdk.ask(&doubting).await?.refusal()?;
    assert!(why.to_lowercase().contains("verify"), "{why}");
    Ok(())
}

/// Notifications signed by either of the platform's keys, and some that must not be heard.
async fn makes_notifications_that_we_hear(sdk: Sdk) -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let endpoint = Endpoint::open(&world).await?;
    let keys = world.wechat_keys()?;
    for (serial, key) in [
        (&keys["platform_key_id"], "wechat/platform_private_key.pem"),
        (&keys["platform_cert_serial"], "wechat/platform_cert_key.pem"),
    ] {
        let made = sdk.ask(&notification(&world, serial, &world.file(key)?)?).await?.ok()?;
        let heard = endpoint.deliver("wechat", &made).await?;
        assert!([200, 204].contains(&heard.status), "{key}: {heard:?}");

        let mut changed = made.clone();
        let body = made["body"].as_str().unwrap_or_default();
        changed["body"] = json!(body.replacen("SUCCESS", "SUCCESs", 1).replacen('1', "2", 1));
        let heard = endpoint.deliver("wechat", &changed).await?;
        assert!(heard.status >= 400, "{key}: {heard:?}");
    }
    let foreign = World::foreign_key()?.to_pem();
    let made = sdk.ask(&notification(&world, &keys["platform_key_id"], &foreign)?).await?.ok()?;
    let heard = endpoint.deliver("wechat", &made).await?;
    assert!(heard.status >= 400, "{heard:?}");
    Ok(())
}

fn notification(world: &World, serial: &Value, key: &str) -> anyhow::Result<Value> {
    let plaintext = json!({
        "out_bill_no": "SDK4NOTIFIES20250101004",
        "transfer_bill_no": "1330000071100999991182020050700019480001",
        "state": "SUCCESS",
        "mch_id": MCHID,
        "transfer_amount": 1_000,
        "openid": "oSdkPayee",
        "create_time": "2025-01-01T12:00:00+08:00",
        "update_time": "2025-01-01T12:00:01+08:00",
    });
    let event = json!({
        "id": "e4f2a5d0-0c86-5a0c-9e0b-0f7d2b1a0001",
        "create_time": "2025-01-01T12:00:02+08:00",
        "resource_type": "encrypt-resource",
        "event_type": "MCHTRANSFER.BILL.FINISHED",
        "summary": "商家转账单据终态通知",
    });
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let more = json!({
        "serial": serial, "signing_key": key, "event": event, "plaintext": plaintext,
        "timestamp": now,
    });
    command(world, "make_notification", more)
}

/// While a merchant moves to the public key, notifications come under the certificate too.
async fn reads_notifications_under_the_certificate(sdk: Sdk) -> anyhow::Result<()> {
    let Some(mut world) = World::start().await? else { return Ok(()) };
    world.control("settings", json!({"wechat_by_certificate": true})).await?;
    let number = "SDK7BYCERTIFICATE2025007";
    let order = command(&world, "create", bill(&world, number, "oSdkPayee", 1_000))?;
    sdk.ask(&order).await?.ok()?;
    let came = world.door.next("wechat").await?;
    let certificate = &world.wechat_keys()?["platform_cert_serial"];
    assert_eq!(came.headers.get("wechatpay-serial"), Some(certificate));
    let read = json!({"headers": came.headers, "body": came.text()?, "certificates": true});
    let read = sdk.ask(&command(&world, "read_notification", read)?).await?.ok()?;
    assert_eq!(read.get("resource").unwrap_or(&read)["out_bill_no"], number);
    Ok(())
}

/// What it asks for and fetches: the rows as it reads them, or the text when it reads none.
async fn fetches_the_bill(sdk: Sdk) -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let number = "SDK8BILL2025010100000008";
    let order = command(&world, "create", bill(&world, number, "oSdkPayee", 1_050))?;
    let (_, at) = at(&sdk.ask(&order).await?.ok()?, "create_time");
    // A bill is ready some hours after its day.
    world.control("clock", json!({"advance_s": 2 * 86_400})).await?;
    let asked = command(&world, "bill", json!({"day": at.get(..10)}))?;
    let told = sdk.ask(&asked).await?.ok()?;
    assert_eq!(told["hash_fits"], true, "{told}");
    if let Some(rows) = told["rows"].as_array() {
        let row = rows.iter().find(|row| row["业务凭证号"] == number);
        assert_eq!(row.map(|row| &row["收支金额(元)"]), Some(&json!("10.50")), "{told}");
        assert_eq!(told["summary"]["支出笔数"], "1", "{told}");
    } else {
        assert!(told["text"].as_str().is_some_and(|text| text.contains(number)), "{told}");
    }
    Ok(())
}

/// One test for each SDK and each thing that is to be proven.
macro_rules! counterparty {
    ($name:ident, $sdk:expr) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn pays_asks_and_is_notified() -> anyhow::Result<()> {
                super::pays_asks_and_is_notified($sdk).await
            }

            #[tokio::test]
            async fn repeats_itself_in_vain() -> anyhow::Result<()> {
                super::repeats_itself_in_vain($sdk).await
            }

            #[tokio::test]
            async fn cancels_what_waits_for_its_payee() -> anyhow::Result<()> {
                super::cancels_what_waits_for_its_payee($sdk).await
            }

            #[tokio::test]
            async fn is_refused_with_a_foreign_key_and_refuses_foreign_answers()
            -> anyhow::Result<()> {
                super::is_refused_with_a_foreign_key_and_refuses_foreign_answers($sdk).await
            }

            #[tokio::test]
            async fn reads_notifications_under_the_certificate() -> anyhow::Result<()> {
                super::reads_notifications_under_the_certificate($sdk).await
            }

            #[tokio::test]
            async fn fetches_the_bill() -> anyhow::Result<()> {
                super::fetches_the_bill($sdk).await
            }

            #[tokio::test]
            async fn makes_notifications_that_we_hear() -> anyhow::Result<()> {
                super::makes_notifications_that_we_hear($sdk).await
            }
        }
    };
}

counterparty!(wechatpay_axios_plugin, WECHAT_NODE);
counterparty!(wechatpayv3, WECHAT_PYTHON);

#[tokio::test]
async fn wechatpay_axios_plugin_opens_the_platform_certificates() -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let read = command(&world, "certificates", json!({}))?;
    let told = WECHAT_NODE.ask(&read).await?.ok()?;
    let keys = world.wechat_keys()?;
    assert_eq!(told[0]["serial_no"], keys["platform_cert_serial"]);
    let certificate = told[0]["certificate"].as_str().map(str::trim_end);
    assert_eq!(certificate, Some(world.file("wechat/platform_cert.pem")?.as_str()));
    Ok(())
}

/// Knows nothing of the public key: the download is all that its answers can be verified with.
#[tokio::test]
async fn wechatpayv3_pays_with_the_platform_certificates_that_it_downloads() -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let number = "SDK6CERTIFICATE202501006";
    let mut order = bill(&world, number, "oSdkPayee", 200_000);
    merge(&mut order, json!({"user_name": "欧阳小明", "certificates": true}));
    let told = WECHAT_PYTHON.ask(&command(&world, "create", order)?).await?.ok()?;
    assert_eq!(at(&told, "out_bill_no"), says(number), "{told}");
    Ok(())
}

/// The key that a request names is the key that signs the answer.
#[tokio::test]
async fn wechatpay_axios_plugin_gets_answers_under_the_key_that_it_names() -> anyhow::Result<()> {
    let Some(world) = World::start().await? else { return Ok(()) };
    let keys = world.wechat_keys()?;
    for (named, other) in
        [("platform_key_id", "platform_cert_serial"), ("platform_cert_serial", "platform_key_id")]
    {
        let asked = json!({"path": "/v3/merchant/fund/balance/OPERATION", "serial": keys[named]});
        let mut asked = command(&world, "get", asked)?;
        if let Some(known) = asked["keys"]["platform"].as_object_mut() {
            known.remove(keys[other].as_str().unwrap_or_default());
        }
        let told = WECHAT_NODE.ask(&asked).await?.ok()?;
        assert!(told["data"]["available_amount"].is_u64(), "{named}: {told}");
    }
    Ok(())
}
