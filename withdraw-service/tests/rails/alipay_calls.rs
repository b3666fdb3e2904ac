//! What is made of Alipay's answers: states, codes, answers about something else, and every fault of
//! connection and signature.

use rails::certificate::Certificate;
use rails::key::PrivateKey;
use serde_json::{Value, json};
use withdraw_service::ports::{Answer, Provider, SendRequest};
use withdraw_service::providers::alipay::table::STATES;

use crate::keys::{Rails, keys, rails};
use crate::peer::{Act, Peer, http, line, order, request};

pub const SEND: &str = "alipay_fund_trans_uni_transfer_response";
pub const QUERY: &str = "alipay_fund_trans_common_query_response";
const ORDER: &str = "20190801110070000006380000250621";

/// The SN of Alipay's certificate.
fn sn() -> anyhow::Result<String> {
    Ok(Certificate::read(&keys()?.alipay.pem)?.alipay_sn())
}

/// An answer of the gateway with both roots, so that one peer answers both calls.
fn whole(key: &PrivateKey, sn: &str, root: &str, node: &str) -> anyhow::Result<String> {
    let sign = key.sign(node.as_bytes())?;
    Ok(format!(r#"{{"{root}":{node},"alipay_cert_sn":"{sn}","sign":"{sign}"}}"#))
}

fn transfer(status: &str) -> Value {
    json!({
        "code": "10000", "msg": "Success", "out_biz_no": "P20260303000000000001",
        "order_id": ORDER, "pay_fund_order_id": "20190801110070001506380000251556",
        "status": status, "trans_amount": "3000.00", "trans_date": "2026-03-03 12:00:00",
    })
}

fn ok(body: &str) -> Act {
    Act::Say(http(200, &[("content-type", "text/html;charset=utf-8")], body.as_bytes()))
}

fn sending(rails: &Rails) -> anyhow::Result<SendRequest> {
    let order = order("2088123456781234");
    Ok(request(&order, rails.alipay.prepare(&order)?))
}

/// What sending and asking make of a peer's act.
async fn both(send: Act, query: Act) -> anyhow::Result<[Answer; 2]> {
    let script = move |seen: &crate::peer::Seen| {
        if seen.target.contains("uni.transfer") { send.clone() } else { query.clone() }
    };
    let peer = Peer::start(script).await?;
    let rails = rails(&peer.url)?;
    let request = sending(&rails)?;
    Ok([rails.alipay.send(request.clone()).await, rails.alipay.query(request).await])
}

/// The same with a node that is properly signed.
async fn signed(node: &str) -> anyhow::Result<[Answer; 2]> {
    let (key, sn) = (&keys()?.alipay.key, sn()?);
    let answers = (whole(key, &sn, SEND, node)?, whole(key, &sn, QUERY, node)?);
    both(ok(&answers.0), ok(&answers.1)).await
}

#[tokio::test]
async fn every_state_means_one_thing_in_each_call() -> anyhow::Result<()> {
    let mut told = String::new();
    for state in STATES.iter().map(|(state, _)| *state).chain(["success", "DONE", ""]) {
        let mut node = transfer(state);
        node["error_code"] = json!("PAYEE_NOT_EXIST");
        node["fail_reason"] = json!("张三的账户不存在");
        let [send, query] = signed(&node.to_string()).await?;
        let short = |answer| line(&answer).replace(ORDER, "ORDER");
        told.push_str(&format!("{state}\n  send:  {}\n  query: {}\n", short(send), short(query)));
    }
    insta::assert_snapshot!("alipay_states", told);
    Ok(())
}

#[tokio::test]
async fn a_code_counts_only_where_it_belongs() -> anyhow::Result<()> {
    for (code, sub_code, send, query) in [
        ("40004", "PAYEE_NOT_EXIST", "rejected", "unknown"),
        ("20000", "PAYEE_NOT_EXIST", "unknown", "unknown"),
        ("40004", "PAYER_BALANCE_NOT_ENOUGH", "blocked", "unknown"),
        ("40004", "EXCEED_LIMIT_DM_MAX_AMOUNT", "blocked", "unknown"),
        ("40004", "PERM_PAY_CUSTOMER_DAY_QUOTA_ORG_BALANCE_LIMIT", "blocked", "unknown"),
        ("40002", "isv.invalid-signature", "blocked", "unknown"),
        ("40004", "isv.invalid-signature", "unknown", "unknown"),
        ("40004", "ORDER_NOT_EXIST", "unknown", "not_found"),
        ("20000", "ORDER_NOT_EXIST", "unknown", "unknown"),
        ("40004", "SYSTEM_ERROR", "unknown", "unknown"),
        ("20000", "isp.unknow-error", "unknown", "unknown"),
        ("20000", "aop.unknow-error", "unknown", "unknown"),
        ("40004", "PAYMENT_INFO_INCONSISTENCY", "unknown", "unknown"),
        ("40004", "INVALID_PARAMETER", "blocked", "unknown"),
        ("40004", "A_NEW_WORD", "unknown", "unknown"),
        ("40004", "", "unknown", "unknown"),
        ("10000", "PAYEE_NOT_EXIST", "unknown", "unknown"),
        ("40004", "张三", "unknown", "unknown"),
        ("40004", "13800138000", "unknown", "unknown"),
        ("13800138000", "", "unknown", "unknown"),
    ] {
        let mut node = transfer("SUCCESS");
        (node["code"], node["sub_code"]) = (json!(code), json!(sub_code));
        node["sub_msg"] = json!("张三 13800138000");
        let answers = signed(&node.to_string()).await?;
        let outcomes = answers.each_ref().map(Answer::outcome);
        assert_eq!(outcomes, [send, query], "{code} {sub_code}");
        for answer in answers {
            let told = answer.detail();
            assert!(!told.contains("张三") && !told.contains("138"), "{told}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_about_anything_else_is_unknown() -> anyhow::Result<()> {
    let with = |key: &str, value: Value| {
        let mut node = transfer("SUCCESS");
        node[key] = value;
        node.to_string()
    };
    let without = |key: &str| {
        let mut node = transfer("SUCCESS");
        node.as_object_mut().map(|node| node.remove(key));
        node.to_string()
    };
    let twice =
        |pair: &str| transfer("SUCCESS").to_string().replacen('{', &format!("{{{pair},"), 1);
    for node in [
        with("out_biz_no", json!("P20260303000000000002")),
        with("trans_amount", json!("3000.01")),
        with("trans_amount", json!("3000.000")),
        with("trans_amount", json!(3000)),
        with("trans_amount", json!("3e3")),
        with("amount", json!("0.01")),
        with("order_id", json!("")),
        with("order_id", json!("张三")),
        with("code", json!(10000)),
        without("out_biz_no"),
        without("order_id"),
        without("status"),
        without("code"),
        twice(r#""status":"FAIL""#),
        twice(r#""code":"40004""#),
        "{}".to_owned(),
    ] {
        let outcomes = signed(&node).await?.each_ref().map(Answer::outcome);
        assert_eq!(outcomes, ["unknown"; 2], "{node}");
    }
    // Sending tells no amount; asking must.
    let outcomes = signed(&without("trans_amount")).await?.each_ref().map(Answer::outcome);
    assert_eq!(outcomes, ["paid", "unknown"]);
    Ok(())
}

#[tokio::test]
async fn whatever_is_not_rightly_signed_is_unknown() -> anyhow::Result<()> {
    let (keys, sn) = (keys()?, sn()?);
    let node = transfer("SUCCESS").to_string();
    let of = |root: &str| -> anyhow::Result<Vec<(&'static str, String)>> {
        let right = whole(&keys.alipay.key, &sn, root, &node)?;
        let unsigned = format!(r#"{{"{root}":{node}}}"#);
        let (head, sign) = right.rsplit_once(r#","sign":"#).unwrap_or_default();
        Ok(vec![
            ("unsigned", unsigned.clone()),
            ("empty signature", format!(r#"{head},"sign":""}}"#)),
            ("no certificate", unsigned.replace("}}", &format!(r#"}},"sign":{sign}"#))),
            ("a stranger's key", whole(&keys.stranger, &sn, root, &node)?),
            ("our own key", whole(&keys.app.key, &sn, root, &node)?),
            ("an unknown certificate", whole(&keys.alipay.key, &"a".repeat(32), root, &node)?),
            ("a strange certificate", whole(&keys.alipay.key, "../..", root, &node)?),
            ("a byte changed", right.replacen("3000.00", "3000.01", 1)),
            ("a space added", right.replacen(r#":{"#, r#":{ "#, 1)),
            ("another method", right.replace(root, "alipay_trade_query_response")),
            ("the node twice", right.replacen('{', &format!(r#"{{"{root}":{node},"#), 1)),
            (
                "an error unsigned",
                r#"{"error_response":{"code":"40002","sub_code":"isv.invalid-signature"}}"#
                    .to_owned(),
            ),
            ("not JSON", "hello".to_owned()),
            ("a list", format!("[{right}]")),
            ("nothing", String::new()),
        ])
    };
    for ((fault, send), (_, query)) in of(SEND)?.into_iter().zip(of(QUERY)?) {
        let answers = both(ok(&send), ok(&query)).await?;
        assert_eq!(answers.each_ref().map(Answer::outcome), ["unknown"; 2], "{fault}");
    }
    Ok(())
}

#[tokio::test]
async fn whatever_the_connection_does_is_unknown() -> anyhow::Result<()> {
    let node = transfer("SUCCESS").to_string();
    let right = whole(&keys()?.alipay.key, &sn()?, SEND, &node)?;
    let bytes = http(200, &[], right.as_bytes());
    for (fault, act) in [
        ("reply lost", Act::Close),
        ("late", Act::Hang),
        ("truncated", Act::Say(bytes[..bytes.len() - 1].to_vec())),
        ("too long", ok(&format!("{right}{}", " ".repeat(1 << 20)))),
        ("redirect", Act::Say(http(302, &[("location", "/elsewhere")], right.as_bytes()))),
        ("not found", Act::Say(http(404, &[], right.as_bytes()))),
        ("server error", Act::Say(http(502, &[], right.as_bytes()))),
        ("not UTF-8", Act::Say(http(200, &[], b"{\"\xC4\xE3\":1}"))),
        ("not HTTP", Act::Say(b"hello\r\n\r\n".to_vec())),
    ] {
        let answers = both(act.clone(), act).await?;
        assert_eq!(answers.each_ref().map(Answer::outcome), ["unknown"; 2], "{fault}");
    }
    Ok(())
}

#[tokio::test]
async fn the_node_is_verified_as_it_stands() -> anyhow::Result<()> {
    // Braces, escapes, Chinese and odd spaces inside the node are part of what is signed.
    let node = r#"{ "code":"10000","msg":"}{\"\\ 中","out_biz_no":"P20260303000000000001","order_id":"1","status":"SUCCESS","trans_amount":"3000.00","passback_params":"a\/b" }"#;
    assert_eq!(signed(node).await?.each_ref().map(Answer::outcome), ["paid"; 2]);
    // Signed before its slashes were escaped.
    let (key, sn) = (&keys()?.alipay.key, sn()?);
    let before = |root| -> anyhow::Result<String> {
        Ok(whole(key, &sn, root, &node.replace("\\/", "/"))?.replace("a/b", "a\\/b"))
    };
    let answers = both(ok(&before(SEND)?), ok(&before(QUERY)?)).await?;
    assert_eq!(answers.each_ref().map(Answer::outcome), ["paid"; 2]);
    // An error at the root counts when it is signed.
    let error = r#"{"code":"40002","sub_code":"isv.invalid-signature"}"#;
    let error = whole(key, &sn, "error_response", error)?;
    let answers = both(ok(&error), ok(&error)).await?;
    assert_eq!(answers.each_ref().map(Answer::outcome), ["blocked", "unknown"]);
    Ok(())
}
