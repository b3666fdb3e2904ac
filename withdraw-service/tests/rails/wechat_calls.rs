//! What is made of properly signed answers of WeChat Pay: every state, errors in every call, and answers
//! about something else.

use serde_json::{Value, json};
use withdraw_service::ports::{Answer, Confirmation, Provider, SendRequest};
use withdraw_service::providers::wechat::table::STATES;

use crate::keys::{APP_ID, MCH_ID, PUB_KEY_ID, Rails, keys, rails};
use crate::peer::{Act, Peer, Signed, line, order, request};

const OPENID: &str = "o-MYE42l80oelYMDE34nYD456Xoy";
const BILL: &str = "1330000071100999991182020050700019480001";

/// A bill as a query tells it.
fn bill(state: &str) -> Value {
    json!({
        "mch_id": MCH_ID, "out_bill_no": "P20260303000000000001", "transfer_bill_no": BILL,
        "appid": APP_ID, "state": state, "transfer_amount": 300_000, "transfer_remark": "提现",
        "openid": OPENID, "create_time": "2026-03-03T12:00:00+08:00",
        "update_time": "2026-03-03T12:00:00+08:00",
    })
}

/// A bill as creating tells it.
fn created(state: &str) -> Value {
    json!({
        "out_bill_no": "P20260303000000000001", "transfer_bill_no": BILL,
        "create_time": "2026-03-03T12:00:00+08:00", "state": state,
    })
}

async fn peer(status: u16, body: String) -> anyhow::Result<(Peer, Rails, SendRequest)> {
    let answer = Signed::right(&keys()?.platform).answer(status, &body);
    let peer = Peer::saying(Act::Say(answer)).await?;
    let rails = rails(&peer.url)?;
    let order = order(OPENID);
    let body = withdraw_service::ports::Provider::prepare(&rails.wechat, &order)?;
    let request = request(&order, body);
    Ok((peer, rails, request))
}

#[tokio::test]
async fn every_state_means_one_thing_in_each_call() -> anyhow::Result<()> {
    let mut told = String::new();
    let states = STATES.iter().map(|(state, _)| *state).chain(["success", "DONE", ""]);
    for state in states {
        let (_peer, rails, request) = peer(200, created(state).to_string()).await?;
        let create = line(&rails.wechat.send(request).await);
        let (_peer, rails, request) = peer(200, bill(state).to_string()).await?;
        let query = line(&rails.wechat.query(request.clone()).await);
        let cancel = line(&rails.wechat.cancel(request).await);
        let short = |text: String| text.replace(BILL, "BILL");
        told.push_str(&format!(
            "{state}\n  create: {}\n  query:  {}\n  cancel: {}\n",
            short(create),
            short(query),
            short(cancel)
        ));
    }
    insta::assert_snapshot!("wechat_states", told);
    Ok(())
}

#[tokio::test]
async fn an_error_counts_only_in_its_call_and_with_its_status() -> anyhow::Result<()> {
    let error = |code: &str| json!({ "code": code, "message": "张三 13800138000" }).to_string();
    for (status, code, create, query) in [
        (403, "NOT_ENOUGH", "blocked", "unknown"),
        (500, "NOT_ENOUGH", "unknown", "unknown"),
        (400, "PARAM_ERROR", "blocked", "unknown"),
        (401, "SIGN_ERROR", "blocked", "unknown"),
        (404, "NOT_FOUND", "unknown", "not_found"),
        (400, "NOT_FOUND", "unknown", "unknown"),
        (404, "RESOURCE_NOT_EXISTS", "unknown", "unknown"),
        (400, "INVALID_REQUEST", "unknown", "unknown"),
        (429, "RATELIMIT_EXCEEDED", "unknown", "unknown"),
        (500, "SYSTEM_ERROR", "unknown", "unknown"),
        (202, "ACCEPTED", "unknown", "unknown"),
        (204, "", "unknown", "unknown"),
        (400, "张三", "unknown", "unknown"),
        (400, "13800138000", "unknown", "unknown"),
    ] {
        let (_peer, rails, request) = peer(status, error(code)).await?;
        let answers = [
            rails.wechat.send(request.clone()).await,
            rails.wechat.query(request.clone()).await,
            rails.wechat.cancel(request).await,
        ];
        let outcomes = answers.each_ref().map(Answer::outcome);
        assert_eq!(outcomes, [create, query, "unknown"], "{status} {code}");
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
        let mut bill = bill("SUCCESS");
        bill[key] = value;
        bill.to_string()
    };
    let twice = bill("SUCCESS").to_string().replacen('{', "{\"state\":\"FAIL\",", 1);
    let without = |key: &str| {
        let mut bill = bill("SUCCESS");
        bill.as_object_mut().map(|bill| bill.remove(key));
        bill.to_string()
    };
    for body in [
        with("out_bill_no", json!("P20260303000000000002")),
        with("transfer_amount", json!(300_001)),
        with("transfer_amount", json!("300000")),
        with("transfer_amount", json!(300000.5)),
        with("openid", json!("o-somebody-else")),
        with("mch_id", json!("1900000002")),
        with("appid", json!("wx0000000000000002")),
        with("transfer_bill_no", json!("")),
        with("transfer_bill_no", json!("张三")),
        with("state", json!(["SUCCESS"])),
        twice,
        without("out_bill_no"),
        without("mch_id"),
        without("appid"),
        without("transfer_amount"),
        without("transfer_bill_no"),
        without("state"),
        String::new(),
        "[]".to_owned(),
        "{".to_owned(),
    ] {
        let (_peer, rails, request) = peer(200, body.clone()).await?;
        let answer = rails.wechat.query(request).await;
        assert_eq!(answer.outcome(), "unknown", "{body}");
    }
    // Both spellings of the merchant, and no payee, are documented.
    let mut other = bill("SUCCESS");
    other["mchid"] = other["mch_id"].take();
    other.as_object_mut().map(|bill| (bill.remove("mch_id"), bill.remove("openid")));
    let (_peer, rails, request) = peer(200, other.to_string()).await?;
    assert_eq!(rails.wechat.query(request).await.outcome(), "paid");
    Ok(())
}

#[tokio::test]
async fn an_error_or_another_amount_in_a_creation_is_seen_too() -> anyhow::Result<()> {
    for (key, value) in [
        ("out_bill_no", json!("P20260303000000000002")),
        ("transfer_amount", json!(1)),
        ("openid", json!("o-somebody-else")),
        ("mch_id", json!("1900000002")),
    ] {
        let mut body = created("SUCCESS");
        body[key] = value;
        let (_peer, rails, request) = peer(200, body.to_string()).await?;
        assert_eq!(rails.wechat.send(request).await.outcome(), "unknown", "{key}");
    }
    Ok(())
}

#[tokio::test]
async fn the_payee_is_asked_with_what_the_creation_told() -> anyhow::Result<()> {
    let mut body = created("WAIT_USER_CONFIRM");
    body["package_info"] = json!("affffddafdfafddffda==");
    let (peer, rails, request) = peer(200, body.to_string()).await?;
    let confirmation = Confirmation {
        mch_id: MCH_ID.to_owned(),
        app_id: APP_ID.to_owned(),
        package: "affffddafdfafddffda==".to_owned(),
    };
    let expected = Answer::Pending {
        third_trade_no: BILL.to_owned(),
        state: "WAIT_USER_CONFIRM".to_owned(),
        confirmation: Some(confirmation),
    };
    assert_eq!(rails.wechat.send(request).await, expected);
    assert_eq!(peer.seen().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_question_sends_nothing_and_the_same_sending_again_tells_a_lost_package()
-> anyhow::Result<()> {
    let platform = Signed::right(&keys()?.platform);
    let mut body = created("WAIT_USER_CONFIRM");
    body["package_info"] = json!("package");
    let answers = [
        platform.answer(200, &bill("WAIT_USER_CONFIRM").to_string()),
        platform.answer(200, &body.to_string()),
    ];
    let script = move |seen: &crate::peer::Seen| {
        Act::Say(answers[usize::from(seen.method == "POST")].clone())
    };
    let peer = Peer::start(script).await?;
    let rails = rails(&peer.url)?;
    let order = order(OPENID);
    let request = request(&order, rails.wechat.prepare(&order)?);
    let asked = rails.wechat.query(request.clone()).await;
    assert_eq!(asked, Answer::Waiting { third_trade_no: BILL.to_owned() });
    assert_eq!(peer.seen().iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(), ["GET"]);
    let sent = line(&rails.wechat.send(request.clone()).await);
    assert!(sent.ends_with("confirm package"), "{sent}");
    let seen = peer.seen();
    assert_eq!((seen.len(), seen[1].method.as_str()), (2, "POST"));
    assert!(
        request.body.ends_with(&seen[1].body) && seen[1].header("wechatpay-serial") == PUB_KEY_ID
    );
    Ok(())
}
