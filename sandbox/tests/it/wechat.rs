//! The simulated WeChat Pay: its door, its rules, the way of a transfer bill.

use rails::key::{PrivateKey, PublicKey};
use rails::seal::ApiKey;
use serde_json::{Value, json};

use crate::client::{BILLS, Bench};

#[tokio::test]
async fn a_bill_waits_for_the_payee_and_is_paid_once() -> anyhow::Result<()> {
    let bench = Bench::with(|config| config.confirm_us = None).await?;
    let (status, told) = bench.pay_wechat("N1", "payee").await?;
    assert_eq!((status, told["state"].as_str()), (200, Some("WAIT_USER_CONFIRM")), "{told}");
    assert_eq!(told["create_time"], "2026-03-15T12:00:00+08:00");
    assert!(told["package_info"].as_str().is_some_and(|text| !text.is_empty()), "{told}");
    let (_, again) = bench.pay_wechat("N1", "payee").await?;
    assert_eq!(told, again, "the same number and parameters: the same bill");
    let (_, asked) = bench.ask_wechat("N1").await?;
    assert_eq!(asked["state"], "WAIT_USER_CONFIRM");
    assert_eq!(asked["package_info"], Value::Null, "a query has none");
    let third = told["transfer_bill_no"].as_str().unwrap_or_default();
    let by_third = format!("{BILLS}/transfer-bill-no/{third}");
    assert_eq!(bench.wechat("GET", &by_third, &Value::Null).await?.1, asked);
    bench.control("POST", "payouts/N1/confirm", Value::Null).await?;
    let (_, paid) = bench.ask_wechat("N1").await?;
    for (name, value) in [
        ("mch_id", json!("1900000001")),
        ("appid", json!("wx0000000000000001")),
        ("state", json!("SUCCESS")),
        ("transfer_amount", json!(100)),
        ("transfer_remark", json!("提现")),
        ("openid", json!("payee")),
        ("fail_reason", Value::Null),
    ] {
        assert_eq!(paid[name], value, "{name}");
    }
    let booked = bench.booked("N1").await?.unwrap_or_default();
    assert_eq!(booked["times_paid"], 1);
    Ok(())
}

#[tokio::test]
async fn what_is_not_confirmed_within_a_day_is_closed_a_little_later() -> anyhow::Result<()> {
    let bench = Bench::with(|config| config.confirm_us = None).await?;
    bench.pay_wechat("N1", "payee").await?;
    for (ahead_s, state, reason) in [
        (24 * 3600 - 1, "WAIT_USER_CONFIRM", Value::Null),
        (24 * 3600 + 10, "WAIT_USER_CONFIRM", Value::Null),
        (25 * 3600, "FAIL", json!("OVERDUE_CLOSE")),
    ] {
        bench.control("POST", "clock", json!({ "ahead_s": ahead_s })).await?;
        let (_, told) = bench.ask_wechat("N1").await?;
        assert_eq!((&told["state"], &told["fail_reason"]), (&json!(state), &reason), "{ahead_s}");
    }
    let books = bench.control("GET", "books", Value::Null).await?;
    assert_eq!(books["funds"]["wechat"]["locked_minor"], 0);
    assert_eq!(books["funds"]["wechat"]["available_minor"], 1_000_000_000);
    bench.control("POST", "clock", json!({ "ahead_s": 31 * 86_400 })).await?;
    assert_eq!(bench.ask_wechat("N1").await?.0, 404, "a query sees thirty days");
    Ok(())
}

#[tokio::test]
async fn a_merchant_takes_back_what_is_not_confirmed() -> anyhow::Result<()> {
    let bench = Bench::with(|config| config.confirm_us = None).await?;
    let cancel = async |number: &str| {
        bench.wechat("POST", &format!("{BILLS}/out-bill-no/{number}/cancel"), &Value::Null).await
    };
    bench.pay_wechat("N1", "payee").await?;
    let (status, told) = cancel("N1").await?;
    assert_eq!((status, told["state"].as_str()), (200, Some("CANCELING")));
    let (_, asked) = bench.ask_wechat("N1").await?;
    assert_eq!(
        (&asked["state"], &asked["fail_reason"]),
        (&json!("CANCELLED"), &json!("MCH_CANCEL"))
    );
    assert_eq!(cancel("N1").await?.1["state"], "CANCELLED");
    bench.pay_wechat("N2", "payee").await?;
    bench.control("POST", "payouts/N2/confirm", Value::Null).await?;
    for number in ["N2", "N3"] {
        let (status, told) = cancel(number).await?;
        assert_eq!((status, told["code"].as_str()), (400, Some("INVALID_REQUEST")), "{number}");
    }
    Ok(())
}

#[tokio::test]
async fn only_what_the_merchant_signed_now_is_heard() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let body = Bench::bill("N1", "payee", 100).to_string();
    let right = bench.authorization("POST", BILLS, body.as_bytes())?;
    let late = |by_s: i64| -> anyhow::Result<String> {
        let mut late = right.clone();
        late.timestamp = (bench.clock.now_us() / 1_000_000 + by_s).to_string();
        let key = PrivateKey::read(&bench.file("wechat/merchant_key.pem")?)?;
        let nonce = late.nonce.as_str();
        let text =
            rails::wechat::request_text("POST", BILLS, &late.timestamp, nonce, body.as_bytes());
        late.signature = key.sign(&text)?;
        Ok(late.to_string())
    };
    let strange = PrivateKey::generate()?.sign(b"anything")?;
    let with = |change: &dyn Fn(&mut rails::wechat::Authorization)| {
        let mut changed = right.clone();
        change(&mut changed);
        changed.to_string()
    };
    for (why, header) in [
        ("none", String::new()),
        ("another scheme", "Bearer abc".to_owned()),
        ("another merchant", with(&|a| a.mchid = "1900000002".to_owned())),
        ("another certificate", with(&|a| a.serial = "00".to_owned())),
        ("another nonce", with(&|a| a.nonce = "x".to_owned())),
        ("another key", with(&|a| a.signature.clone_from(&strange))),
        ("another method", bench.authorization("GET", BILLS, body.as_bytes())?.to_string()),
        ("another path", bench.authorization("POST", "/v3/x", body.as_bytes())?.to_string()),
        ("another body", bench.authorization("POST", BILLS, b"{}")?.to_string()),
        ("too old", late(-301)?),
        ("too early", late(301)?),
    ] {
        let heard = bench.wechat_as("POST", BILLS, body.as_bytes(), "", &header).await?;
        assert_eq!((heard.status, heard.code()), (401, "SIGN_ERROR".to_owned()), "{why}");
        assert!(bench.wechat_signed(&heard)?, "{why}: refusals are signed too");
    }
    assert!(bench.booked("N1").await?.is_none());
    for by_s in [-300, 300] {
        let heard = bench.wechat_as("POST", BILLS, body.as_bytes(), "", &late(by_s)?).await?;
        assert_eq!(heard.status, 200, "{by_s}");
    }
    Ok(())
}

#[tokio::test]
async fn names_are_encrypted_for_one_of_the_platforms_keys() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let public = PublicKey::read(&bench.file("wechat/platform_public_key.pem")?)?;
    let key_id = bench.file("wechat/platform_key_id")?;
    let certificate =
        rails::certificate::Certificate::read(&bench.file("wechat/platform_cert.pem")?)?;
    let for_certificate = certificate.public_key()?.encrypt("张三".as_bytes())?;
    let serial = certificate.serial_hex();
    let for_key = public.encrypt("张三".as_bytes())?;
    for (number, name, serial, code) in [
        ("N1", for_key.as_str(), key_id.as_str(), ""),
        ("N2", for_certificate.as_str(), serial.as_str(), ""),
        ("N3", for_key.as_str(), "", "PARAM_ERROR"),
        ("N4", for_key.as_str(), serial.as_str(), "PARAM_ERROR"),
        ("N5", for_key.as_str(), "PUB_KEY_ID_1", "PARAM_ERROR"),
        ("N6", "张三", key_id.as_str(), "PARAM_ERROR"),
        ("N7", "", key_id.as_str(), "PARAM_ERROR"),
    ] {
        let mut body = Bench::bill(number, "payee", 200_000);
        body["user_name"] = json!(name);
        let body = body.to_string();
        let heard = bench.wechat_raw("POST", BILLS, body.as_bytes(), serial).await?;
        assert_eq!(heard.code(), code, "{number}");
        assert!(bench.wechat_signed(&heard)?);
        if code.is_empty() {
            assert_eq!(heard.header("wechatpay-serial"), serial, "the same key signs the answer");
        }
    }
    let (_, told) = bench.ask_wechat("N1").await?;
    let mine = PrivateKey::read(&bench.file("wechat/merchant_key.pem")?)?;
    let name = mine.decrypt(told["user_name"].as_str().unwrap_or_default())?;
    assert_eq!(name, "张三".as_bytes(), "told back for the merchant's key");
    // Encrypted anew it is another text and the same name.
    let mut body = Bench::bill("N1", "payee", 200_000);
    body["user_name"] = json!(public.encrypt("张三".as_bytes())?);
    assert_eq!(bench.wechat("POST", BILLS, &body).await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn one_number_is_one_bill_whatever_comes_later() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    bench.pay_wechat("N1", "payee").await?;
    for (name, value) in [
        ("transfer_amount", json!(101)),
        ("openid", json!("other")),
        ("transfer_remark", json!("x")),
    ] {
        let mut body = Bench::bill("N1", "payee", 100);
        body[name] = value;
        let (status, told) = bench.wechat("POST", BILLS, &body).await?;
        assert_eq!((status, told["code"].as_str()), (400, Some("INVALID_REQUEST")), "{name}");
    }
    let (_, told) = bench.ask_wechat("N1").await?;
    assert_eq!((told["transfer_amount"].as_i64(), &told["openid"]), (Some(100), &json!("payee")));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_paid_is_not_booked_until_there_is_money() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let balance = async |minor: i64| {
        let body = json!({ "provider": "wechat", "amount_minor": minor });
        bench.control("POST", "balance", body).await
    };
    balance(99).await?;
    let (status, told) = bench.pay_wechat("N1", "payee").await?;
    assert_eq!((status, told["code"].as_str()), (403, Some("NOT_ENOUGH")));
    assert_eq!(bench.ask_wechat("N1").await?.0, 404);
    balance(100).await?;
    assert_eq!(bench.pay_wechat("N1", "payee").await?.0, 200);
    let (_, told) =
        bench.wechat("GET", "/v3/merchant/fund/balance/OPERATION", &Value::Null).await?;
    assert_eq!(told["available_amount"], 0);
    assert_eq!(bench.ask_wechat("N1").await?.1["state"], "SUCCESS");
    Ok(())
}

#[tokio::test]
async fn the_platforms_certificate_comes_sealed() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let (status, told) = bench.wechat("GET", "/v3/certificates", &Value::Null).await?;
    assert_eq!(status, 200);
    let sealed = &told["data"][0]["encrypt_certificate"];
    let text = |name: &str| sealed[name].as_str().unwrap_or_default();
    let key = ApiKey::read(&bench.file("wechat/api_v3_key")?)?;
    let opened = key.open(text("nonce"), text("associated_data"), text("ciphertext"))?;
    assert_eq!(String::from_utf8(opened)?, bench.file("wechat/platform_cert.pem")?);
    Ok(())
}

#[tokio::test]
async fn paths_that_are_not_there_are_refused() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    for (method, target) in [
        ("GET", BILLS.to_owned()),
        ("POST", format!("{BILLS}/out-bill-no/N1")),
        ("GET", format!("{BILLS}/out-bill-no/N1/cancel")),
        ("GET", "/v3/pay/transactions/native".to_owned()),
        ("POST", "/v3/certificates".to_owned()),
    ] {
        let (status, _) = bench.wechat(method, &target, &Value::Null).await?;
        assert_eq!(status, 404, "{method} {target}");
    }
    Ok(())
}
