//! What a caller cannot do through the gateway: name an actor, set a deadline, slip a header through,
//! or be taken for somebody else.

use std::collections::BTreeSet;

use cashout_proto::account::v1::{Account, GetAccountResponse};
use cashout_proto::{Failure, FieldViolation};

use crate::stack::{ADMIN, Person, Stack, teacher, user};

const NOW_S: i64 = 1_600_000_000;
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Every metadata name that may arrive at a service.
const ALLOWED: &[&str] = &[
    "cashout-actor",
    "x-request-id",
    "traceparent",
    // What the transport adds by itself.
    "grpc-timeout",
    "te",
    "content-type",
    "user-agent",
];

#[tokio::test]
async fn no_header_of_a_caller_reaches_a_service() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let account = Account { user_id: 7, ..Default::default() };
    let found = GetAccountResponse { account: Some(account), ..Default::default() };
    stack.fakes.answers("get_account", found);
    let headers = format!(
        "cashout-actor: 1\r\nCashout-Actor-Bin: AAAA\r\ngrpc-timeout: 1n\r\nx-user-id: 1\r\n\
         x-forwarded-for: 10.0.0.1\r\nCookie: session=1\r\ntracestate: a=b\r\nbaggage: user=1\r\n\
         grpc-metadata-cashout-actor: 1\r\ngrpc-accept-encoding: gzip\r\nx-roles: admin\r\n\
         Idempotency-Key: k\r\nX-Request-Id: mine\r\ntraceparent: {TRACE}\r\n"
    );
    let answer = stack.call("GET", "/api/wallet/user/7", &user(7), &headers, "").await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let calls = stack.fakes.calls();
    let call = calls.first().ok_or_else(|| anyhow::anyhow!("no call"))?;
    let came = call.metadata.clone().into_headers();
    let names: BTreeSet<&str> = came.keys().map(http::HeaderName::as_str).collect();
    let strangers: Vec<_> = names.iter().filter(|name| !ALLOWED.contains(name)).collect();
    assert_eq!(strangers, Vec::<&&str>::new());
    let value = |name| came.get(name).and_then(|v| v.to_str().ok());
    assert_eq!(value("cashout-actor"), Some("7"), "the verified person, not the one claimed");
    assert_eq!(came.get_all("cashout-actor").iter().count(), 1);
    assert_eq!((value("x-request-id"), value("traceparent")), (Some("mine"), Some(TRACE)));
    assert_ne!(value("grpc-timeout"), Some("1n"));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_broken_trace_context_stays_outside() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let headers = "traceparent: 00-zz\r\nX-Request-Id: a b\r\n";
    stack.call("GET", "/api/wallet/user/7", &user(7), headers, "").await?;
    let calls = stack.fakes.calls();
    let call = calls.first().ok_or_else(|| anyhow::anyhow!("no call"))?;
    assert!(call.metadata.get("traceparent").is_none());
    let id = call.metadata.get("x-request-id").and_then(|v| v.to_str().ok());
    assert!(id.is_some_and(|id| id.len() == 36));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_token_parameter_counts_only_where_it_is_switched_on() -> anyhow::Result<()> {
    for (setting, status) in [("false", 401), ("true", 200)] {
        let stack = Stack::with(NOW_S, &[("GATEWAY_TOKEN_PARAMETER", setting)]).await?;
        let found = cashout_proto::withdraw::v1::ListWithdrawalsResponse {
            total: 50,
            ..Default::default()
        };
        stack.fakes.answers("list_withdrawals", found);
        let token = stack.token(7, &[], &[])?;
        let target = format!("/api/wallet/cash?token={token}&page[limit]=20");
        let answer = stack.get(&Person::Nobody, &target).await?;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(!answer.body.contains(&token), "links do not repeat the token");
        let other = stack.token(8, &[], &[])?;
        let header = format!("Authorization: Bearer {other}\r\n");
        let answer = stack.call("GET", &target, &Person::Nobody, &header, "").await?;
        assert_eq!(answer.status, if setting == "true" { 401 } else { 200 });
        stack.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn two_authorizations_are_none() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let header = format!("Authorization: Bearer {}\r\n", stack.token(7, &["admin"], &[])?);
    let answer = stack.call("GET", "/api/wallet/cash", &user(7), &header, "").await?;
    assert_eq!((answer.status, answer.wallet_code()?.as_str()), (401, "not_authenticated"));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert!(stack.fakes.calls().is_empty());
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn idempotency_keys_are_checked_before_anything_is_asked() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let body = r#"{"data":{"attributes":{"cash_apply_amount":1,"cash_type":1}}}"#;
    let long = format!("Idempotency-Key: {}\r\n", "k".repeat(256));
    for headers in [
        "Idempotency-Key:\r\n",
        "Idempotency-Key: a\tb\r\n",
        "Idempotency-Key: é\r\n",
        "Idempotency-Key: a\r\nIdempotency-Key: b\r\n",
        long.as_str(),
    ] {
        let answer = stack.call("POST", "/api/wallet/cash", &user(7), headers, body).await?;
        assert_eq!(answer.status, 400, "{headers:?} {}", answer.body);
        for path in ["/sett/sett", "/sett/withdrawList"] {
            let answer = stack.call("POST", path, &teacher(7), headers, "").await?;
            assert_eq!(answer.json()?["code"].as_i64(), Some(4), "{path} {headers:?}");
        }
    }
    assert!(stack.fakes.calls().is_empty());
    let answer =
        stack.call("POST", "/sett/sett", &teacher(7), "Idempotency-Key: k\r\n", "").await?;
    assert_eq!(answer.json()?["code"].as_i64(), Some(0), "a good one changes nothing");
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_services_names_of_fields_stay_inside() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?.unjudged();
    let broken = |field: &str| FieldViolation { field: field.to_owned(), rule: "r".to_owned() };
    let names = ["filter.from_us", "secret_minor", "account.user_id", "variant"];
    for method in [
        "get_account",
        "list_statement",
        "get_entry",
        "batch_get_holders",
        "list_withdrawals",
        "get_withdrawal",
        "cancel_withdrawal",
        "request_withdrawal",
        "review_withdrawals",
        "adjust_account",
    ] {
        stack.fakes.refuses(method, Failure::fields(names.map(broken).to_vec()));
    }
    let cash = r#"{"data":{"attributes":{"cash_apply_amount":1,"cash_type":1}}}"#;
    for (method, target, body) in [
        ("GET", "/sett/sett", ""),
        ("GET", "/sett/withdrawList", ""),
        ("GET", "/user/capital-account/new-list", ""),
        ("GET", "/user/capital-account/detail?id=3", ""),
        ("POST", "/api/wallet/cash", cash),
        ("GET", "/api/wallet/cash", ""),
        ("GET", "/api/wallet/cash?filter[username]=ann", ""),
        ("GET", "/api/wallet/cash/1", ""),
        ("DELETE", "/api/wallet/cash/1", ""),
        ("POST", "/api/wallet/cash/review", r#"{"ids":[1],"cash_status":2}"#),
        ("GET", "/api/wallet/log", ""),
        ("GET", "/api/wallet/user/7", ""),
        ("PATCH", "/api/wallet/user/7", r#"{"wallet_status":1}"#),
    ] {
        let answer = stack.call(method, target, &ADMIN, "", body).await?;
        let told = "a part of the request is not valid";
        let expected = if target.starts_with("/sett") {
            format!(r#"{{"code":4,"err_desc":"{told}"}}"#)
        } else if target.starts_with("/user") {
            format!(r#"{{"code":-1,"data":null,"message":"{told}"}}"#)
        } else {
            let error = format!(r#""status":"422","code":"validation_error","detail":["{told}"]"#);
            format!(r#"{{"errors":[{{{error}}}]}}"#)
        };
        assert_eq!(answer.body, expected, "{method} {target}");
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_services_field_that_is_an_attribute_is_told_under_its_documented_name()
-> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let cash = r#"{"data":{"attributes":{"cash_apply_amount":1,"cash_type":1}}}"#;
    let review = r#"{"ids":[1],"cash_status":2}"#;
    let patch = r#"{"wallet_status":1}"#;
    for (rpc, field, method, target, body, attribute) in [
        ("request_withdrawal", "mobile", "POST", "/api/wallet/cash", cash, "cash_mobile"),
        (
            "review_withdrawals",
            "decision",
            "POST",
            "/api/wallet/cash/review",
            review,
            "cash_status",
        ),
        ("adjust_account", "note", "PATCH", "/api/wallet/user/7", patch, "operate_reason"),
    ] {
        stack.fakes.refuses(rpc, Failure::field(field, "a rule"));
        let answer = stack.call(method, target, &ADMIN, "", body).await?;
        let told = answer.json()?;
        let pointer = format!("/data/attributes/{attribute}");
        assert_eq!(told["errors"][0]["source"]["pointer"], pointer, "{}", answer.body);
        assert_eq!(told["errors"][0]["detail"][0], "a rule");
    }
    stack.stop().await;
    Ok(())
}
