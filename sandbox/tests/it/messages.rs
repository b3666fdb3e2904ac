//! Notifications as a merchant receives them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use rails::certificate::Certificate;
use rails::seal::ApiKey;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{Bench, Heard};

type Answers = Arc<Mutex<VecDeque<(u16, &'static str)>>>;

/// A merchant's endpoint: what it heard, and what it says.
struct Endpoint {
    url: String,
    heard: mpsc::UnboundedReceiver<Heard>,
    answers: Answers,
}

impl Endpoint {
    async fn new() -> anyhow::Result<Self> {
        let (sender, heard) = mpsc::unbounded_channel();
        let answers = Answers::default();
        let state = (sender, answers.clone());
        let routes = axum::Router::new().fallback(listen).with_state(state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/notify", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { url, heard, answers })
    }

    fn says(&self, answers: &[(u16, &'static str)]) {
        let mut all = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(answers);
    }

    async fn next(&mut self) -> anyhow::Result<Heard> {
        let heard = tokio::time::timeout(Duration::from_secs(10), self.heard.recv()).await;
        heard.context("nothing was told")?.context("it ended")
    }
}

async fn listen(
    State((sender, answers)): State<(mpsc::UnboundedSender<Heard>, Answers)>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let _ = sender.send(Heard { status: 0, headers, body: body.to_vec() });
    let said = answers.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let (status, text) = said.unwrap_or((200, "success"));
    (StatusCode::from_u16(status).unwrap_or_default(), text)
}

async fn pay(bench: &Bench, endpoint: &Endpoint, number: &str) -> anyhow::Result<()> {
    let mut bill = Bench::bill(number, "payee", 100);
    bill["notify_url"] = json!(endpoint.url);
    let (status, told) = bench.wechat("POST", crate::client::BILLS, &bill).await?;
    anyhow::ensure!(status == 200, "{told}");
    Ok(())
}

fn opened(bench: &Bench, heard: &Heard) -> anyhow::Result<Value> {
    let resource = &heard.json()["resource"];
    let text = |name: &str| resource[name].as_str().unwrap_or_default();
    let key = ApiKey::read(&bench.file("wechat/api_v3_key")?)?;
    let plain = key.open(text("nonce"), text("associated_data"), text("ciphertext"))?;
    Ok(serde_json::from_slice(&plain)?)
}

/// Waits until the books say so of the last notification.
async fn outcome(bench: &Bench, tries: i64) -> anyhow::Result<Value> {
    for _ in 0..500 {
        let told = bench.control("GET", "notifications", Value::Null).await?;
        let last = told["notifications"].as_array().and_then(|all| all.last()).cloned();
        if let Some(last) = last.filter(|last| last["tries"].as_i64() >= Some(tries)) {
            return Ok(last);
        }
        tokio::task::yield_now().await;
    }
    anyhow::bail!("the books do not say that it was tried {tries} times")
}

#[tokio::test]
async fn an_ending_at_wechat_pay_is_told_sealed_and_signed_until_it_is_heard() -> anyhow::Result<()>
{
    let bench = Bench::new().await?;
    let mut endpoint = Endpoint::new().await?;
    endpoint.says(&[(500, ""), (301, ""), (204, "")]);
    pay(&bench, &endpoint, "N1").await?;
    let first = endpoint.next().await?;
    assert!(bench.wechat_signed(&first)?);
    assert_eq!(first.json()["event_type"], "MCHTRANSFER.BILL.FINISHED");
    let told = opened(&bench, &first)?;
    for (name, value) in [
        ("mch_id", json!("1900000001")),
        ("out_bill_no", json!("N1")),
        ("state", json!("SUCCESS")),
        ("transfer_amount", json!(100)),
        ("openid", json!("payee")),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    for tries in [1, 2] {
        outcome(&bench, tries).await?;
        bench.clock.advance(Duration::from_secs(15));
        let again = endpoint.next().await?;
        assert_eq!(again.json()["id"], first.json()["id"], "the same id every time");
        assert!(bench.wechat_signed(&again)?, "signed anew");
    }
    let last = outcome(&bench, 3).await?;
    assert_eq!((&last["outcome"], &last["due_at_us"]), (&json!("HTTP 204"), &Value::Null));
    Ok(())
}

#[tokio::test]
async fn notifications_of_wechat_pay_can_be_wrong_in_every_way() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let mut endpoint = Endpoint::new().await?;
    pay(&bench, &endpoint, "N1").await?;
    let right = endpoint.next().await?;
    outcome(&bench, 1).await?;
    let again = async |fault: &str| {
        let body = if fault.is_empty() { Value::Null } else { json!({ "fault": fault }) };
        bench.control("POST", "payouts/N1/notify", body).await
    };
    for (fault, signed) in [
        ("", true),
        ("wrong_signature", false),
        ("missing_signature", false),
        ("wrong_serial", false),
        ("stale", false),
        ("other_key", true),
        ("probe", false),
        ("amount", true),
        ("merchant", true),
        ("corrupt", true),
    ] {
        again(fault).await?;
        let heard = endpoint.next().await?;
        assert_eq!(bench.wechat_signed(&heard)?, signed, "{fault}");
        assert_eq!(heard.json()["id"], right.json()["id"]);
        match fault {
            "amount" => assert_eq!(opened(&bench, &heard)?["transfer_amount"], 101),
            "merchant" => assert_eq!(opened(&bench, &heard)?["mch_id"], "1900000002"),
            "corrupt" => assert!(opened(&bench, &heard).is_err()),
            "other_key" => {
                let certificate = Certificate::read(&bench.file("wechat/platform_cert.pem")?)?;
                assert_eq!(heard.header("wechatpay-serial"), certificate.serial_hex());
            }
            "probe" => {
                assert!(heard.header("wechatpay-signature").starts_with("WECHATPAY/SIGNTEST/"));
                assert!(bench.wechat_signed(&endpoint.next().await?)?, "and then the real one");
            }
            _ => {}
        }
    }
    again("duplicate").await?;
    assert_eq!(endpoint.next().await?.json()["id"], endpoint.next().await?.json()["id"]);
    Ok(())
}

#[tokio::test]
async fn a_notification_is_withheld_or_put_off_when_scripted() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let mut endpoint = Endpoint::new().await?;
    bench.fault(json!({"fault": "withhold", "operation": "notify", "match": "N1"})).await?;
    bench
        .fault(json!({"fault": "reorder", "operation": "notify", "match": "N2", "times": 1, "seconds": 5}))
        .await?;
    for number in ["N1", "N2", "N3"] {
        pay(&bench, &endpoint, number).await?;
        bench.ask_wechat(number).await?;
    }
    assert_eq!(opened(&bench, &endpoint.next().await?)?["out_bill_no"], "N3");
    bench.control("POST", "clock", json!({"advance_s": 5})).await?;
    assert_eq!(opened(&bench, &endpoint.next().await?)?["out_bill_no"], "N2");
    Ok(())
}

fn form(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    rails::alipay::parameters(body)
}

fn alipay_signed(bench: &Bench, heard: &Heard) -> anyhow::Result<bool> {
    let given = form(&heard.body);
    let text = rails::alipay::signed_text(&given, &["sign", "sign_type"]);
    let sign = String::from_utf8_lossy(rails::alipay::value(&given, "sign")).into_owned();
    let certificate = Certificate::read(&bench.file("alipay/alipay_cert.pem")?)?;
    Ok(certificate.public_key()?.verifies(&text, &sign))
}

#[tokio::test]
async fn an_ending_at_alipay_is_told_in_gbk_until_the_word_is_said() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let mut endpoint = Endpoint::new().await?;
    bench.control("POST", "settings", json!({"alipay_notify_url": endpoint.url})).await?;
    endpoint.says(&[(200, "fail"), (200, ""), (500, "success"), (200, "success")]);
    let mut order = Bench::order("N1", "payee", "1.00");
    order["passback_params"] = json!("回传 a=1&b=2");
    bench.alipay(crate::client::TRANSFER, &order).await?;
    let mut first = None;
    for tries in 1..=4 {
        let heard = endpoint.next().await?;
        assert!(alipay_signed(&bench, &heard)?, "try {tries}");
        let given = form(&heard.body);
        let text =
            |name: &str| encoding_rs::GBK.decode(rails::alipay::value(&given, name)).0.into_owned();
        assert_eq!((text("charset"), text("version")), ("GBK".to_owned(), "1.1".to_owned()));
        assert_eq!(text("msg_method"), "alipay.fund.trans.order.changed");
        let biz: Value = serde_json::from_str(&text("biz_content"))?;
        for (name, value) in [
            ("out_biz_no", "N1"),
            ("status", "SUCCESS"),
            ("trans_amount", "1.00"),
            ("action_type", "FINISH"),
            ("passback_params", "回传 a=1&b=2"),
        ] {
            assert_eq!(biz[name], value, "{name}");
        }
        let id = text("notify_id");
        assert_eq!(first.get_or_insert(id.clone()), &id, "the same id every time");
        let last = outcome(&bench, tries).await?;
        assert_eq!(last["due_at_us"].is_null(), tries == 4, "{last}");
        bench.clock.advance(Duration::from_secs(180));
    }
    Ok(())
}

#[tokio::test]
async fn messages_of_alipay_can_be_wrong_in_every_way() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let mut endpoint = Endpoint::new().await?;
    bench.control("POST", "settings", json!({"alipay_notify_url": endpoint.url})).await?;
    bench.pay_alipay("N1", "payee").await?;
    endpoint.next().await?;
    outcome(&bench, 1).await?;
    for (fault, signed, part) in [
        ("wrong_signature", false, ""),
        ("missing_signature", false, ""),
        ("other_key", false, ""),
        ("corrupt", false, ""),
        ("amount", true, "%221.01%22"),
        ("merchant", true, "app_id=2021000000000002"),
        ("state", true, "HALF_WAY"),
    ] {
        bench.control("POST", "payouts/N1/notify", json!({ "fault": fault })).await?;
        let heard = endpoint.next().await?;
        assert_eq!(alipay_signed(&bench, &heard)?, signed, "{fault}");
        assert!(String::from_utf8_lossy(&heard.body).contains(part), "{fault}");
    }
    Ok(())
}
