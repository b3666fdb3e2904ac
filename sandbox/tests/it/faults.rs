//! Every fault does what its name says, over HTTP.

use serde_json::{Value, json};

use crate::client::{BILLS, Bench, QUERY, TRANSFER};

/// How a call ended: its status, its code or state, and whether it was properly signed.
async fn wechat(bench: &Bench, number: &str) -> anyhow::Result<(u16, String, bool)> {
    let body = Bench::bill(number, "payee", 100).to_string();
    let serial = bench.file("wechat/platform_key_id")?;
    let Ok(heard) = bench.wechat_raw("POST", BILLS, body.as_bytes(), &serial).await else {
        return Ok((0, "broken".to_owned(), false));
    };
    let told = heard.json();
    let word = told["state"].as_str().or_else(|| told["code"].as_str()).unwrap_or_default();
    Ok((heard.status, word.to_owned(), bench.wechat_signed(&heard)?))
}

async fn alipay(bench: &Bench, number: &str) -> anyhow::Result<(u16, String, bool)> {
    let order = Bench::order(number, "payee", "1.00");
    let Ok(heard) = bench.alipay_raw(TRANSFER, &order).await else {
        return Ok((0, "broken".to_owned(), false));
    };
    let signed = bench.alipay_node(TRANSFER, &heard).is_ok();
    let told = heard.json();
    let node = &told["alipay_fund_trans_uni_transfer_response"];
    let node = if node.is_null() { &told["error_response"] } else { node };
    let word = node["sub_code"].as_str().or_else(|| node["status"].as_str());
    Ok((heard.status, word.unwrap_or_default().to_owned(), signed))
}

#[tokio::test]
async fn what_goes_wrong_with_wechat_pay_and_whether_it_is_booked() -> anyhow::Result<()> {
    // Nobody confirms by themselves: what is booked stays as it was written.
    let bench = Bench::with(|config| config.confirm_us = None).await?;
    for (at, (fault, status, word, signed, booked)) in [
        (json!({"fault": "lose_request"}), 0, "broken", false, ""),
        (json!({"fault": "lose_reply"}), 0, "broken", false, "waiting"),
        (json!({"fault": "system_error"}), 500, "SYSTEM_ERROR", true, ""),
        (json!({"fault": "system_error_after"}), 500, "SYSTEM_ERROR", true, "waiting"),
        (json!({"fault": "error", "code": "NO_AUTH", "status": 403}), 403, "NO_AUTH", true, ""),
        (json!({"fault": "error_after", "code": "ODD"}), 400, "ODD", true, "waiting"),
        (json!({"fault": "unlisted"}), 400, "A_CODE_OF_TOMORROW", true, ""),
        (json!({"fault": "rate_limit"}), 429, "FREQUENCY_LIMITED", true, ""),
        (json!({"fault": "http", "status": 502}), 502, "", false, ""),
        (json!({"fault": "http_after"}), 503, "", false, "waiting"),
        (json!({"fault": "short_balance"}), 403, "NOT_ENOUGH", true, ""),
        (json!({"fault": "refuse", "code": "ACCOUNT_FROZEN"}), 200, "FAIL", true, "failed"),
        (json!({"fault": "fail", "code": "X"}), 200, "WAIT_USER_CONFIRM", true, "waiting"),
        (json!({"fault": "pending", "seconds": 9}), 200, "PROCESSING", true, "processing"),
        (json!({"fault": "garbage"}), 0, "broken", false, "waiting"),
        (json!({"fault": "truncated"}), 0, "broken", false, "waiting"),
        (json!({"fault": "wrong_signature"}), 200, "WAIT_USER_CONFIRM", false, "waiting"),
        (json!({"fault": "missing_signature"}), 200, "WAIT_USER_CONFIRM", false, "waiting"),
        (json!({"fault": "wrong_serial"}), 200, "WAIT_USER_CONFIRM", false, "waiting"),
        (json!({"fault": "stale"}), 200, "WAIT_USER_CONFIRM", false, "waiting"),
        (json!({"fault": "other_key"}), 200, "WAIT_USER_CONFIRM", true, "waiting"),
        (json!({"fault": "no_content"}), 204, "", true, "waiting"),
        (json!({"fault": "state"}), 200, "HALF_WAY", true, "waiting"),
    ]
    .into_iter()
    .enumerate()
    {
        let number = format!("F{at}");
        let mut scripted = fault.clone();
        scripted["times"] = json!(1);
        bench.fault(scripted).await?;
        let got = wechat(&bench, &number).await?;
        assert_eq!(got, (status, word.to_owned(), signed), "{fault}");
        let state = bench.booked(&number).await?.map_or(Value::Null, |row| row["state"].clone());
        assert_eq!(state.as_str().unwrap_or_default(), booked, "{fault}");
        let known = bench.control("GET", "faults", Value::Null).await?;
        assert_eq!(known["faults"], json!([]), "it happened once");
    }
    Ok(())
}

#[tokio::test]
async fn what_goes_wrong_with_alipay_and_whether_it_is_booked() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    for (at, (fault, status, word, signed, booked)) in [
        (json!({"fault": "lose_request"}), 0, "broken", false, ""),
        (json!({"fault": "lose_reply"}), 0, "broken", false, "paid"),
        (json!({"fault": "system_error"}), 200, "SYSTEM_ERROR", true, ""),
        (json!({"fault": "system_error_after"}), 200, "SYSTEM_ERROR", true, "paid"),
        (json!({"fault": "error", "code": "20000"}), 200, "isp.unknow-error", false, ""),
        (json!({"fault": "error_after", "code": "20000"}), 200, "isp.unknow-error", false, "paid"),
        (
            json!({"fault": "error", "code": "isv.invalid-signature"}),
            200,
            "isv.invalid-signature",
            true,
            "",
        ),
        (json!({"fault": "error", "code": "PRODUCT_NOT_SIGN"}), 200, "PRODUCT_NOT_SIGN", true, ""),
        (json!({"fault": "unlisted"}), 200, "A_CODE_OF_TOMORROW", true, ""),
        (json!({"fault": "http"}), 503, "", false, ""),
        (json!({"fault": "short_balance"}), 200, "PAYER_BALANCE_NOT_ENOUGH", true, ""),
        (json!({"fault": "refuse", "code": "USER_NOT_EXIST"}), 200, "USER_NOT_EXIST", true, ""),
        (json!({"fault": "fail"}), 200, "FAIL", true, "failed"),
        (json!({"fault": "pending", "seconds": 9}), 200, "DEALING", true, "processing"),
        (json!({"fault": "late", "seconds": 9}), 200, "DEALING", true, "paying"),
        (json!({"fault": "garbage"}), 0, "broken", false, "paid"),
        (json!({"fault": "truncated"}), 0, "broken", false, "paid"),
        (json!({"fault": "wrong_signature"}), 200, "SUCCESS", false, "paid"),
        (json!({"fault": "missing_signature"}), 200, "SUCCESS", false, "paid"),
        (json!({"fault": "wrong_serial"}), 200, "SUCCESS", false, "paid"),
        (json!({"fault": "other_key"}), 200, "SUCCESS", false, "paid"),
        (json!({"fault": "state", "code": "CLOSED"}), 200, "CLOSED", true, "paid"),
    ]
    .into_iter()
    .enumerate()
    {
        let number = format!("F{at}");
        let mut scripted = fault.clone();
        scripted["times"] = json!(1);
        bench.fault(scripted).await?;
        let got = alipay(&bench, &number).await?;
        assert_eq!(got, (status, word.to_owned(), signed), "{fault}");
        let state = bench.booked(&number).await?.map_or(Value::Null, |row| row["state"].clone());
        assert_eq!(state.as_str().unwrap_or_default(), booked, "{fault}");
    }
    Ok(())
}

#[tokio::test]
async fn a_query_can_lie_in_every_way_it_is_asked_to() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    bench.pay_wechat("W1", "payee").await?;
    bench.pay_alipay("A1", "payee").await?;
    for (fault, name, wechat, alipay_name, alipay) in [
        ("not_found", "code", json!("NOT_FOUND"), "sub_code", json!("ORDER_NOT_EXIST")),
        ("amount", "transfer_amount", json!(101), "trans_amount", json!("1.01")),
        ("payee", "openid", json!("somebody-else"), "out_biz_no", json!("somebodyelses")),
        ("merchant", "mch_id", json!("1900000002"), "code", json!("10000")),
        ("state", "state", json!("HALF_WAY"), "status", json!("HALF_WAY")),
    ] {
        bench.fault(json!({"fault": fault, "operation": "query", "times": 2})).await?;
        assert_eq!(bench.ask_wechat("W1").await?.1[name], wechat, "{fault}");
        assert_eq!(bench.ask_alipay("A1").await?[alipay_name], alipay, "{fault}");
    }
    assert_eq!(bench.ask_wechat("W1").await?.1["state"], "SUCCESS");
    assert_eq!(bench.ask_alipay("A1").await?["status"], "SUCCESS");
    Ok(())
}

#[tokio::test]
async fn the_payees_id_scripts_both_providers() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    for (payee, wechat, alipay) in [
        ("anybody", "SUCCESS", "SUCCESS"),
        ("x-refuse", "FAIL", "ORDER_NOT_EXIST"),
        ("wrong-name", "FAIL", "ORDER_NOT_EXIST"),
        ("unknown-paid", "SUCCESS", "SUCCESS"),
        ("unknown-refused", "FAIL", "FAIL"),
        ("delay-3s", "PROCESSING", "DEALING"),
        ("waver", "PROCESSING", "DEALING"),
        ("lost", "NOT_FOUND", "ORDER_NOT_EXIST"),
        ("confirm", "WAIT_USER_CONFIRM", "SUCCESS"),
        ("poor", "NOT_FOUND", "ORDER_NOT_EXIST"),
    ] {
        let number = payee.replace('-', "");
        // The first answer may be lost: that is the point of some of them.
        let _ = bench.pay_wechat(&number, payee).await;
        let _ = bench.pay_alipay(&number, payee).await;
        let (_, told) = bench.ask_wechat(&number).await?;
        let word = told["state"].as_str().or_else(|| told["code"].as_str());
        assert_eq!(word, Some(wechat), "{payee}");
        let told = bench.ask_alipay(&number).await?;
        let word = told["status"].as_str().or_else(|| told["sub_code"].as_str());
        assert_eq!(word, Some(alipay), "{payee}");
    }
    assert_eq!(bench.pay_alipay("lost", "lost").await?["status"], "SUCCESS", "the second arrives");
    let waver = bench.ask_wechat("waver").await?;
    assert_eq!((waver.0, waver.1["code"].as_str()), (500, Some("SYSTEM_ERROR")));
    bench.control("POST", "clock", json!({"advance_s": 3})).await?;
    assert_eq!(bench.ask_alipay("delay3s").await?["status"], "SUCCESS");
    Ok(())
}

#[tokio::test]
async fn whoever_is_silent_does_not_keep_the_simulator_from_stopping() -> anyhow::Result<()> {
    let mut bench = Bench::new().await?;
    bench.http = reqwest::Client::builder()
        .timeout(std::time::Duration::from_millis(300))
        .no_proxy()
        .build()?;
    assert!(bench.pay_wechat("S1", "silent").await.is_err());
    assert!(bench.ask_wechat("S1").await.is_err());
    assert!(bench.alipay(QUERY, &json!({"order_id": "1"})).await.is_ok());
    bench.restart().await?;
    let booked = bench.booked("S1").await?.unwrap_or_default();
    assert_eq!(booked["number"], "S1", "booked all the same");
    Ok(())
}
