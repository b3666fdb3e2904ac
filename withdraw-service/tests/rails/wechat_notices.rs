//! WeChat Pay's notifications: what is heard, and everything that is not.

use rails::seal::ApiKey;
use serde_json::{Value, json};
use withdraw_service::ports::{Incoming, Notice, Provider, Unheard};

use crate::keys::{API_KEYS, MCH_ID, NOON_S, keys, rails};
use crate::peer::Signed;

fn bill() -> Value {
    json!({
        "out_bill_no": "P20260303000000000001", "transfer_bill_no": "133", "state": "SUCCESS",
        "mch_id": MCH_ID, "transfer_amount": 300_000, "openid": "o-MYE",
        "create_time": "2026-03-03T12:00:00+08:00", "update_time": "2026-03-03T12:00:00+08:00",
    })
}

fn event(bill: &Value, api_key: &str) -> anyhow::Result<Value> {
    let sealed =
        ApiKey::read(api_key)?.seal("5eS1eKxKqxnC", "mch_payment", bill.to_string().as_bytes())?;
    Ok(json!({
        "id": "EV-2018022511223320873", "create_time": "2026-03-03T12:00:00+08:00",
        "resource_type": "encrypt-resource", "event_type": "MCHTRANSFER.BILL.FINISHED",
        "summary": "x", "resource": {
            "original_type": "mch_payment", "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": sealed, "associated_data": "mch_payment", "nonce": "5eS1eKxKqxnC",
        },
    }))
}

fn signed(with: &Signed<'_>, body: String) -> Incoming {
    Incoming { headers: with.headers(body.as_bytes()), body: body.into_bytes() }
}

#[tokio::test]
async fn a_right_one_is_heard_under_any_of_our_keys() -> anyhow::Result<()> {
    let (rails, keys) = (rails("http://127.0.0.1:9")?, keys()?);
    let expected = Notice {
        id: "EV-2018022511223320873".to_owned(),
        number: "P20260303000000000001".to_owned(),
        state: "SUCCESS".to_owned(),
        amount_minor: Some(300_000),
        payee_id: Some("o-MYE".to_owned()),
    };
    let certificate =
        Signed { serial: "5157F09EFDC096DE", ..Signed::right(&keys.platform_cert.key) };
    for with in [Signed::right(&keys.platform), certificate] {
        for api_key in API_KEYS {
            let incoming = signed(&with, event(&bill(), api_key)?.to_string());
            assert_eq!(rails.wechat.notice(&incoming), Ok(expected.clone()));
        }
    }
    let mut other_spelling = bill();
    other_spelling["mchid"] = other_spelling["mch_id"].take();
    other_spelling.as_object_mut().map(|bill| bill.remove("mch_id"));
    let right = Signed::right(&keys.platform);
    let incoming = signed(&right, event(&other_spelling, API_KEYS[0])?.to_string());
    assert_eq!(rails.wechat.notice(&incoming), Ok(expected));
    Ok(())
}

#[tokio::test]
async fn forgeries_are_not_heard() -> anyhow::Result<()> {
    let (rails, keys) = (rails("http://127.0.0.1:9")?, keys()?);
    let body = event(&bill(), API_KEYS[0])?.to_string();
    let own = || Signed::right(&keys.platform);
    let right = signed(&own(), body.clone());
    let headers = |change: &dyn Fn(&mut Vec<(String, String)>)| {
        let mut incoming = right.clone();
        change(&mut incoming.headers);
        incoming
    };
    let set = |name: &str, value: &str| {
        headers(&|all| {
            all.iter_mut().filter(|(n, _)| n == name).for_each(|(_, v)| *v = value.to_owned());
        })
    };
    let changed = |body: String| Incoming { body: body.into_bytes(), ..right.clone() };
    let whole = |value: Value| signed(&own(), value.to_string());
    let resource = |key: &str, value: Value| -> anyhow::Result<Incoming> {
        let mut event = event(&bill(), API_KEYS[0])?;
        event["resource"][key] = value;
        Ok(whole(event))
    };
    let without_amount = {
        let mut bill = bill();
        bill.as_object_mut().map(|bill| bill.remove("transfer_amount"));
        bill
    };
    let twice = body.replacen('{', "{\"id\":\"EV-2\",", 1);
    let forgeries = [
        ("no headers", Incoming { headers: vec![], body: body.clone().into_bytes() }),
        ("a stranger's key", signed(&Signed::right(&keys.stranger), body.clone())),
        ("an unknown serial", signed(&Signed { serial: "AB", ..own() }, body.clone())),
        (
            "the other key's serial",
            signed(&Signed { serial: "5157F09EFDC096DE", ..own() }, body.clone()),
        ),
        ("our own key", signed(&Signed::right(&keys.merchant.key), body.clone())),
        ("too old", signed(&Signed { at_s: NOON_S - 301, ..own() }, body.clone())),
        ("from the future", signed(&Signed { at_s: NOON_S + 301, ..own() }, body.clone())),
        ("another time", set("wechatpay-timestamp", &(NOON_S + 1).to_string())),
        ("another nonce", set("wechatpay-nonce", "other")),
        ("another serial", set("wechatpay-serial", "PUB_KEY_ID_OTHER")),
        ("another scheme", set("wechatpay-signature-type", "RSA")),
        ("signature cut", set("wechatpay-signature", "AAAA")),
        ("signature twice", headers(&|all| all.extend(all.clone()))),
        ("a byte changed", changed(body.replacen("EV-2018", "EV-2019", 1))),
        ("a byte added", changed(format!("{body} "))),
        ("no body", changed(String::new())),
        ("sealed with a stranger's key", whole(event(&bill(), &"x".repeat(32))?)),
        ("sealed otherwise", resource("algorithm", json!("NONE"))?),
        ("another nonce inside", resource("nonce", json!("5eS1eKxKqxnD"))?),
        ("other associated data", resource("associated_data", json!("other"))?),
        ("a changed ciphertext", resource("ciphertext", json!("AAAA"))?),
        ("no amount", whole(event(&without_amount, API_KEYS[0])?)),
        ("not a bill", whole(event(&json!([]), API_KEYS[0])?)),
        ("an id twice", signed(&own(), twice)),
        ("not JSON", signed(&own(), "hello".to_owned())),
    ];
    for (name, incoming) in forgeries {
        let heard = rails.wechat.notice(&incoming);
        assert!(matches!(heard, Err(Unheard::Forged { .. })), "{name}: {heard:?}");
    }
    Ok(())
}

#[tokio::test]
async fn others_affairs_and_tests_are_told_apart() -> anyhow::Result<()> {
    let (rails, keys) = (rails("http://127.0.0.1:9")?, keys()?);
    let right = Signed::right(&keys.platform);
    let mut foreign = bill();
    foreign["mch_id"] = json!("1900000002");
    let foreign = signed(&right, event(&foreign, API_KEYS[0])?.to_string());
    assert!(matches!(rails.wechat.notice(&foreign), Err(Unheard::Foreign { .. })));
    let mut other = event(&bill(), API_KEYS[0])?;
    other["event_type"] = json!("REFUND.SUCCESS");
    let other = signed(&right, other.to_string());
    assert_eq!(rails.wechat.notice(&other), Err(Unheard::Irrelevant));
    let mut probe = signed(&right, event(&bill(), API_KEYS[0])?.to_string());
    for (name, value) in &mut probe.headers {
        if name == "wechatpay-signature" {
            *value = format!("WECHATPAY/SIGNTEST/{value}");
        }
    }
    assert_eq!(rails.wechat.notice(&probe), Err(Unheard::Probe));
    Ok(())
}

#[tokio::test]
async fn the_answer_is_what_wechat_expects() -> anyhow::Result<()> {
    let rails = rails("http://127.0.0.1:9")?;
    let (heard, not) = (rails.wechat.acknowledge(true), rails.wechat.acknowledge(false));
    assert_eq!((heard.status, heard.body), (204, ""));
    assert_eq!(not.status, 401);
    let told: Value = serde_json::from_str(not.body)?;
    assert_eq!(told["code"], "FAIL");
    Ok(())
}
