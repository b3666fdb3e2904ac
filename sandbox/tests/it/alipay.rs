//! The simulated Alipay: its door, its envelope, the way of a transfer.

use rails::certificate::Certificate;
use serde_json::{Value, json};

use crate::client::{Bench, QUERY, TRANSFER};

#[tokio::test]
async fn a_transfer_is_paid_once_and_told_the_same_again() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let told = bench.pay_alipay("N1", "payee").await?;
    for (name, value) in [
        ("code", "10000"),
        ("msg", "Success"),
        ("status", "SUCCESS"),
        ("out_biz_no", "N1"),
        ("trans_date", "2026-03-15 12:00:00"),
    ] {
        assert_eq!(told[name], value, "{told}");
    }
    assert_eq!(bench.pay_alipay("N1", "payee").await?, told);
    let mut other = Bench::order("N1", "payee", "1.01");
    let refused = bench.alipay(TRANSFER, &other).await?;
    assert_eq!(refused["sub_code"], "PAYMENT_INFO_INCONSISTENCY");
    other["trans_amount"] = json!("1.00");
    other["payee_info"]["identity"] = json!("another");
    assert_eq!(bench.alipay(TRANSFER, &other).await?["sub_code"], "PAYMENT_INFO_INCONSISTENCY");
    let asked = bench.ask_alipay("N1").await?;
    assert_eq!((&asked["status"], &asked["trans_amount"]), (&json!("SUCCESS"), &json!("1.00")));
    // A provider's number goes before ours.
    for name in ["order_id", "pay_fund_order_id"] {
        let biz = json!({ "out_biz_no": "N9", name: told[name] });
        assert_eq!(bench.alipay(QUERY, &biz).await?["out_biz_no"], "N1", "{name}");
    }
    assert_eq!(bench.ask_alipay("N2").await?["sub_code"], "ORDER_NOT_EXIST");
    let bare = bench.alipay(QUERY, &json!({ "out_biz_no": "N1" })).await?;
    assert_eq!(bare["sub_code"], "INVALID_PARAMETER", "our number needs the product");
    assert_eq!(bench.booked("N1").await?.unwrap_or_default()["times_paid"], 1);
    Ok(())
}

#[tokio::test]
async fn parameters_may_stand_anywhere() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let mut all = bench.alipay_parameters(TRANSFER, &Bench::order("N1", "payee{/}", "1.00"))?;
    bench.alipay_sign(&mut all)?;
    let encoded = |part: &[(String, String)]| {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(part).finish()
    };
    let (biz, common): (Vec<_>, Vec<_>) = all.into_iter().partition(|(k, _)| k == "biz_content");
    let url = bench.url("/gateway.do")?;
    let form = "application/x-www-form-urlencoded;charset=utf-8";
    let mixed = bench.http.post(format!("{url}?{}", encoded(&common))).header("content-type", form);
    let everything = [common.clone(), biz.clone()].concat();
    for request in [
        mixed.body(encoded(&biz)),
        bench.http.get(format!("{url}?{}", encoded(&everything))),
        bench.http.post(format!("{url}?{}", encoded(&everything))),
    ] {
        let text = request.send().await?.text().await?;
        let node = rails::alipay::answer(&text, TRANSFER)?.node;
        assert!(node.contains("\"10000\""), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_named_by_the_gateway() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let right = bench.alipay_parameters(TRANSFER, &Bench::order("N1", "payee", "1.00"))?;
    let without = |name: &str| right.iter().filter(|(k, _)| k != name).cloned().collect::<Vec<_>>();
    for (name, value, code, sub_code) in [
        ("app_id", "", "40001", "isv.missing-app-id"),
        ("method", "", "40001", "isv.missing-method"),
        ("sign_type", "", "40001", "isv.missing-signature-type"),
        ("timestamp", "", "40001", "isv.missing-timestamp"),
        ("version", "", "40001", "isv.missing-version"),
        ("app_cert_sn", "", "40001", "isv.missing-app-cert-sn"),
        ("alipay_root_cert_sn", "", "40001", "isv.missing-root-cert-sn"),
        ("app_id", "2021000000000002", "40002", "isv.invalid-app-id"),
        ("method", "alipay.fund.trans.all", "40002", "isv.invalid-method"),
        ("sign_type", "RSA", "40002", "isv.invalid-signature-type"),
        ("charset", "ebcdic", "40002", "isv.invalid-charset"),
        ("format", "XML", "40002", "isv.invalid-format"),
        ("version", "2.0", "40002", "isv.invalid-version"),
        ("timestamp", "2026-03-15T12:00:00", "40002", "isv.invalid-timestamp"),
        ("app_cert_sn", "00", "40002", "isv.invalid-app-cert-sn"),
        ("alipay_root_cert_sn", "00", "40002", "isv.invalid-root-cert-sn"),
        ("biz_content", "{", "40002", "isv.invalid-json"),
    ] {
        let mut all = without(name);
        if !value.is_empty() {
            all.push((name.to_owned(), value.to_owned()));
        }
        bench.alipay_sign(&mut all)?;
        let heard = bench.alipay_form(&all).await?;
        let told = heard.json();
        assert_eq!(heard.status, 200, "{name}");
        let node = if name == "method" {
            assert_eq!(told["sign"], Value::Null, "an error of the gateway is not signed");
            told["error_response"].clone()
        } else {
            bench.alipay_node(TRANSFER, &heard)?
        };
        assert_eq!((&node["code"], &node["sub_code"]), (&json!(code), &json!(sub_code)), "{node}");
    }
    let heard = bench.alipay_form(&right).await?;
    assert_eq!(bench.alipay_node(TRANSFER, &heard)?["sub_code"], "isv.missing-signature");
    assert!(bench.booked("N1").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_changed_parameter_is_a_wrong_signature() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let mut right = bench.alipay_parameters(TRANSFER, &Bench::order("N1", "payee", "1.00"))?;
    bench.alipay_sign(&mut right)?;
    for at in ["biz_content", "timestamp", "notify_url"] {
        let mut all = right.clone();
        match all.iter_mut().find(|(name, _)| name == at) {
            Some((_, value)) if at == "timestamp" => *value = "2026-03-15 12:00:01".to_owned(),
            Some((_, value)) => *value = value.replace("1.00", "9.00"),
            None => all.push((at.to_owned(), "http://127.0.0.1/".to_owned())),
        }
        let heard = bench.alipay_form(&all).await?;
        let node = bench.alipay_node(TRANSFER, &heard)?;
        assert_eq!(node["sub_code"], "isv.invalid-signature", "{at}");
    }
    let doubled = [right.clone(), vec![("method".to_owned(), TRANSFER.to_owned())]].concat();
    let told = bench.alipay_form(&doubled).await?.json();
    // A parameter that is there twice has no value: nobody can tell which method is asked for.
    assert_eq!(told["error_response"]["code"], "40001", "{told}");
    assert!(bench.booked("N1").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn money_that_is_not_there_is_not_paid_and_the_same_number_is_paid_later()
-> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let balance = async |minor: i64| {
        let body = json!({ "provider": "alipay", "amount_minor": minor });
        bench.control("POST", "balance", body).await
    };
    balance(99).await?;
    assert_eq!(bench.pay_alipay("N1", "payee").await?["sub_code"], "PAYER_BALANCE_NOT_ENOUGH");
    assert_eq!(bench.ask_alipay("N1").await?["sub_code"], "ORDER_NOT_EXIST");
    balance(150).await?;
    assert_eq!(bench.pay_alipay("N1", "payee").await?["status"], "SUCCESS");
    let asked = json!({ "alipay_user_id": "2088000000000001", "account_type": "ACCTRANS_ACCOUNT" });
    let told = bench.alipay("alipay.fund.account.query", &asked).await?;
    assert_eq!(told["available_amount"], "0.50");
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_of_alipays_can_be_fetched_and_leads_to_the_roots() -> anyhow::Result<()>
{
    let bench = Bench::new().await?;
    bench.control("POST", "settings", json!({ "alipay_by_next": true })).await?;
    let heard = bench.alipay_raw(TRANSFER, &Bench::order("N1", "payee", "1.00")).await?;
    let text = String::from_utf8(heard.body)?;
    let answer = rails::alipay::answer(&text, TRANSFER)?;
    let method = "alipay.open.app.alipaycert.download";
    let told = bench.alipay(method, &json!({ "alipay_cert_sn": answer.cert_sn })).await?;
    let content = told["alipay_cert_content"].as_str().unwrap_or_default();
    let pem = String::from_utf8(rails::key::from_base64(content)?)?;
    let next = Certificate::read(&pem)?;
    assert_eq!(next.alipay_sn(), answer.cert_sn);
    assert!(next.public_key()?.verifies(answer.node.as_bytes(), answer.sign));
    let roots = Certificate::read_all(&bench.file("alipay/root_cert.pem")?)?;
    assert_eq!(roots.len(), 3, "one of them is not of RSA");
    assert!(roots.iter().any(|root| next.issued_by(root)));
    let unknown = bench.alipay(method, &json!({ "alipay_cert_sn": "00" })).await?;
    assert_eq!(unknown["sub_code"], "INVALID_PARAMETER");
    Ok(())
}

#[tokio::test]
async fn money_that_comes_back_later_is_told_by_a_query() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    bench.pay_alipay("N1", "payee").await?;
    let back = json!({ "code": "CARD_BIN_ERROR" });
    bench.control("POST", "payouts/N1/refund", back).await?;
    let told = bench.ask_alipay("N1").await?;
    assert_eq!(
        (&told["status"], &told["error_code"]),
        (&json!("REFUND"), &json!("CARD_BIN_ERROR"))
    );
    let books = bench.control("GET", "books", Value::Null).await?;
    assert_eq!(books["funds"]["alipay"]["available_minor"], 1_000_000_000);
    Ok(())
}
