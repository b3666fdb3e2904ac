//! What a caller cannot do through the gateway: name an actor, set a deadline, slip a header through,
//! or be taken for somebody else.

use std::collections::BTreeSet;

use cashout_proto::account::v1::{Account, GetAccountResponse};

use crate::stack::{Person, Stack, user};

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
    }
    assert!(stack.fakes.calls().is_empty());
    stack.stop().await;
    Ok(())
}
