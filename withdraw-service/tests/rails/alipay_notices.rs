//! Alipay's notifications: what is heard, in both charsets, and everything that is not.

use rails::alipay::signed_text;
use rails::key::PrivateKey;
use serde_json::{Value, json};
use withdraw_service::ports::{Incoming, Notice, Provider, Unheard};

use crate::keys::{ALIPAY_APP_ID, keys, rails};

type Form = Vec<(Vec<u8>, Vec<u8>)>;

fn content() -> Value {
    json!({
        "pay_fund_order_id": "20190801110070001506380000251556", "out_biz_no": "P20260303000000000001",
        "product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER",
        "origin_interface": "alipay.fund.trans.uni.transfer", "status": "SUCCESS",
        "order_id": "20190801110070000006380000250621", "action_type": "FINISH",
        "trans_amount": "3000.00", "pay_date": "2026-03-03 12:00:00", "fail_reason": "中文",
    })
}

/// The fields of a notification in a charset.
fn form(charset: &str, content: &Value) -> Form {
    let text = content.to_string();
    let bytes = if charset.eq_ignore_ascii_case("GBK") {
        encoding_rs::GBK.encode(&text).0.into_owned()
    } else {
        text.into_bytes()
    };
    let plain = [
        ("app_id", ALIPAY_APP_ID),
        ("charset", charset),
        ("msg_method", "alipay.fund.trans.order.changed"),
        ("utc_timestamp", "1772510400000"),
        ("version", "1.1"),
        ("sign_type", "RSA2"),
        ("notify_id", "2026030300222120000000000000000001"),
    ];
    let mut form: Form =
        plain.iter().map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
    form.push((b"biz_content".to_vec(), bytes));
    form
}

fn set(mut form: Form, name: &str, value: &str) -> Form {
    form.retain(|(known, _)| known != name.as_bytes());
    form.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    form
}

fn encoded(form: &Form) -> Incoming {
    let percent = |bytes: &[u8]| form_urlencoded::byte_serialize(bytes).collect::<String>();
    let pairs = form.iter().map(|(n, v)| format!("{}={}", percent(n), percent(v)));
    let body = pairs.collect::<Vec<_>>().join("&").into_bytes();
    Incoming { headers: vec![], body }
}

/// Signed as most messages are; `kept` leaves `sign_type` in, as a few do.
fn signed(key: &PrivateKey, mut form: Form, kept: bool) -> anyhow::Result<Incoming> {
    let left_out: &[&str] = if kept { &["sign"] } else { &["sign", "sign_type"] };
    let sign = key.sign(&signed_text(&form, left_out))?;
    form.push((b"sign".to_vec(), sign.into_bytes()));
    Ok(encoded(&form))
}

#[tokio::test]
async fn a_right_one_is_heard_in_every_charset_and_under_both_rules() -> anyhow::Result<()> {
    let (rails, keys) = (rails("http://127.0.0.1:9")?, keys()?);
    let expected = Notice {
        id: "2026030300222120000000000000000001".to_owned(),
        number: "P20260303000000000001".to_owned(),
        state: "SUCCESS".to_owned(),
        amount_minor: Some(300_000),
        payee_id: None,
    };
    for charset in ["GBK", "gbk", "UTF-8", "utf-8"] {
        for kept in [false, true] {
            let incoming = signed(&keys.alipay.key, form(charset, &content()), kept)?;
            assert_eq!(rails.alipay.notice(&incoming), Ok(expected.clone()), "{charset} {kept}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn forgeries_are_not_heard() -> anyhow::Result<()> {
    let (rails, keys) = (rails("http://127.0.0.1:9")?, keys()?);
    let own = &keys.alipay.key;
    let right = || signed(own, form("GBK", &content()), false);
    let text = String::from_utf8(right()?.body)?;
    let body = |text: String| Incoming { headers: vec![], body: text.into_bytes() };
    let good = || form("GBK", &content());
    let with = |key: &str, value: Value| {
        let mut content = content();
        content[key] = value;
        form("utf-8", &content)
    };
    let twice = content().to_string().replacen('{', "{\"status\":\"FAIL\",", 1);
    let mut gbk_as_utf8 = good();
    gbk_as_utf8.retain(|(name, _)| name != b"charset");
    gbk_as_utf8.push((b"charset".to_vec(), b"utf-8".to_vec()));
    let forgeries = [
        ("nothing", body(String::new())),
        ("unsigned", encoded(&good())),
        ("empty signature", encoded(&set(good(), "sign", ""))),
        ("a stranger's key", signed(&keys.stranger, good(), false)?),
        ("our own key", signed(&keys.app.key, good(), false)?),
        ("WeChat's key", signed(&keys.platform, good(), false)?),
        ("amount changed", body(text.replacen("3000.00", "3000.01", 1))),
        ("number changed", body(text.replacen("P2026", "P2027", 1))),
        ("state changed", body(text.replacen("SUCCESS", "FAIL", 1))),
        ("application changed", body(text.replacen(ALIPAY_APP_ID, "2021000000000002", 1))),
        ("charset changed", body(text.replacen("charset=GBK", "charset=utf-8", 1))),
        ("a field added", body(format!("{text}&extra=1"))),
        ("a field taken", body(text.replacen("&version=1.1", "", 1))),
        ("a field twice", body(format!("{text}&version=1.1"))),
        ("the content twice", body(format!("{text}&biz_content=%7B%7D"))),
        ("the signature twice", body(format!("{text}&sign=AAAA"))),
        ("the signature cut", body(text[..text.len() - 12].to_owned())),
        ("another kind", signed(own, set(good(), "sign_type", "RSA"), false)?),
        ("no kind", signed(own, set(good(), "sign_type", ""), false)?),
        ("no id", signed(own, set(good(), "notify_id", ""), false)?),
        ("an unlisted charset", signed(own, set(good(), "charset", "utf-16"), false)?),
        ("no charset", signed(own, set(good(), "charset", ""), false)?),
        ("not in its charset", signed(own, gbk_as_utf8, false)?),
        ("not JSON", signed(own, set(good(), "biz_content", "hello"), false)?),
        ("a key twice", signed(own, set(good(), "biz_content", &twice), false)?),
        ("no number", signed(own, with("out_biz_no", Value::Null), false)?),
        ("not an amount", signed(own, with("trans_amount", json!("3e3")), false)?),
        ("amount as a number", signed(own, with("trans_amount", json!(3000)), false)?),
    ];
    for (name, incoming) in forgeries {
        let heard = rails.alipay.notice(&incoming);
        assert!(matches!(heard, Err(Unheard::Forged { .. })), "{name}: {heard:?}");
    }
    Ok(())
}

#[tokio::test]
async fn others_affairs_are_told_apart_and_answers_are_as_expected() -> anyhow::Result<()> {
    let (rails, key) = (rails("http://127.0.0.1:9")?, &keys()?.alipay.key);
    let good = || form("GBK", &content());
    let foreign = signed(key, set(good(), "app_id", "2021000000000002"), false)?;
    assert!(matches!(rails.alipay.notice(&foreign), Err(Unheard::Foreign { .. })));
    let other = signed(key, set(good(), "msg_method", "alipay.trade.changed"), false)?;
    assert_eq!(rails.alipay.notice(&other), Err(Unheard::Irrelevant));
    let (heard, not) = (rails.alipay.acknowledge(true), rails.alipay.acknowledge(false));
    assert_eq!((heard.status, heard.body), (200, "success"));
    assert_eq!((not.status, not.body), (200, "fail"));
    Ok(())
}
