//! What every request passes: limits, times, ids, health, and refusals in the family's envelope.

use std::time::Duration;

use cashout_proto::account::v1::GetAccountResponse;
use cashout_proto::{Failure, Reason};

use crate::stack::{ADMIN, Answer, Person, Stack, rest, teacher, user};

const NOW_S: i64 = 1_600_000_000;

/// One path of each family, and what its refusal with these codes looks like.
fn refusal(path: &str, reason: Reason, message: &str) -> String {
    let row = reason.row();
    if path.starts_with("/sett") {
        format!("{{\"code\":{},\"err_desc\":\"{message}\"}}", row.settlement)
    } else if path.starts_with("/user/capital-account") {
        format!("{{\"code\":{},\"data\":null,\"message\":\"{message}\"}}", row.capital)
    } else {
        let (http, code) = (row.http, row.wallet);
        let error =
            format!("{{\"status\":\"{http}\",\"code\":\"{code}\",\"detail\":\"{message}\"}}");
        format!("{{\"errors\":[{error}]}}")
    }
}

fn assert_refused(answer: &Answer, path: &str, reason: Reason, message: &str) {
    assert_eq!(answer.body, refusal(path, reason, message), "{path}");
    assert!(answer.header("x-request-id").is_some(), "{path}");
}

#[tokio::test]
async fn unknown_routes_wrong_methods_and_large_bodies_keep_their_envelope() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    for path in
        ["/sett/nothing", "/user/capital-account/x", "/api/wallet/x", "/", "/api/wallet/user"]
    {
        let answer = stack.get(&Person::Nobody, path).await?;
        assert_eq!(answer.status, 404);
        assert_refused(&answer, path, Reason::RouteNotFound, "there is no such route");
    }
    for (method, path, allow) in [
        ("DELETE", "/sett/sett", "GET,HEAD,POST"),
        ("POST", "/user/capital-account/new-list", "GET,HEAD"),
        ("PUT", "/api/wallet/cash", "GET,HEAD,POST"),
        ("PUT", "/api/wallet/user/7", "GET,HEAD,PATCH"),
        ("POST", "/healthz", "GET,HEAD"),
    ] {
        let answer = stack.call(method, path, &Person::Nobody, "", "").await?;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
        let told = "this route does not take this method";
        assert_refused(&answer, path, Reason::MethodNotAllowed, told);
    }
    let large = format!("{{\"x\":\"{}\"}}", "x".repeat(65_536));
    for path in ["/sett/sett", "/api/wallet/cash"] {
        let answer = stack.call("POST", path, &teacher(7), "", &large).await?;
        assert_eq!(answer.status, 413);
        assert_refused(&answer, path, Reason::BodyTooLarge, "the body is over 65536 bytes");
    }
    let chunk = "x".repeat(40_000);
    let chunked = format!(
        "POST /api/wallet/cash HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n9c40\r\n{chunk}\r\n9c40\r\n{chunk}\r\n0\r\n\r\n"
    );
    assert_eq!(stack.send(&chunked).await?.status, 413, "without a length in advance");
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_service_that_hangs_is_503_in_time_and_retryable() -> anyhow::Result<()> {
    let stack = Stack::with(NOW_S, &[("GATEWAY_REQUEST_TIMEOUT", "200ms")]).await?;
    stack.fakes.hangs("get_account");
    for (path, person) in [("/sett/sett", teacher(7)), ("/api/wallet/user/7", user(7))] {
        let answer = stack.get(&person, path).await?;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{path}");
        assert!(answer.body.contains("503"), "{}", answer.body);
    }
    stack.fakes.hangs("list_statement");
    let answer = stack.get(&user(7), "/user/capital-account/new-list").await?;
    assert_eq!((answer.status, answer.json()?["code"].as_i64()), (503, Some(-1)));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn more_requests_than_the_limit_are_429_and_the_rest_goes_on() -> anyhow::Result<()> {
    let settings = [("GATEWAY_REQUESTS", "1"), ("GATEWAY_REQUEST_TIMEOUT", "20s")];
    let stack = Stack::with(NOW_S, &settings).await?;
    stack.fakes.hangs("get_account");
    let hanging = async { stack.get(&user(7), "/api/wallet/user/7").await };
    let others = async {
        // The first request is in flight when its call arrives at the service.
        for _ in 0..1000 {
            if !stack.fakes.calls().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut told = Vec::new();
        for path in ["/sett/sett", "/user/capital-account/new-list", "/api/wallet/cash"] {
            let answer = stack.get(&teacher(7), path).await?;
            assert_refused(
                &answer,
                path,
                Reason::Overloaded,
                "too many requests are in flight; try again",
            );
            told.push((answer.status, answer.header("retry-after").map(str::to_owned)));
        }
        assert_eq!(stack.get(&Person::Nobody, "/healthz").await?.status, 200);
        let ready = stack.get(&Person::Nobody, "/readyz").await?;
        assert!(ready.body.contains("peers"), "{}", ready.body);
        anyhow::Ok(told)
    };
    let told = tokio::select! {
        told = others => told?,
        _ = hanging => anyhow::bail!("the hanging call was answered"),
    };
    assert_eq!(told, vec![(429, Some("1".to_owned())); 3]);
    Ok(())
}

#[tokio::test]
async fn half_sent_bodies_take_no_slot_of_others() -> anyhow::Result<()> {
    let settings = [("GATEWAY_REQUESTS", "1"), ("GATEWAY_REQUEST_TIMEOUT", "20s")];
    let stack = Stack::with(NOW_S, &settings).await?;
    let mut halves = Vec::new();
    for path in ["/sett/sett", "/api/wallet/cash", "/api/wallet/cash/review", "/nowhere"] {
        halves.push(stack.half("POST", path).await?);
    }
    for path in ["/healthz", "/sett/sett", "/api/wallet/user/7"] {
        let answer = stack.get(&teacher(7), path).await?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    drop(halves);
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_client_too_slow_with_its_own_body_is_told_so_and_nothing_is_asked() -> anyhow::Result<()>
{
    let stack = Stack::with(NOW_S, &[("GATEWAY_REQUEST_TIMEOUT", "200ms")]).await?;
    let told = "the body did not arrive in time; nothing was done";
    for (method, path, body) in [
        ("POST", "/sett/sett", format!("{{\"code\":4,\"err_desc\":\"{told}\"}}")),
        (
            "GET",
            "/user/capital-account/new-list",
            format!("{{\"code\":-1,\"data\":null,\"message\":\"{told}\"}}"),
        ),
        (
            "POST",
            "/api/wallet/cash",
            format!(
                "{{\"errors\":[{{\"status\":\"408\",\"code\":\"malformed_request\",\
                 \"detail\":\"{told}\"}}]}}"
            ),
        ),
    ] {
        let answer = rest(stack.half(method, path).await?).await?;
        assert_eq!((answer.status, answer.body.as_str()), (408, body.as_str()), "{path}");
        assert_eq!(
            (answer.header("connection"), answer.header("retry-after")),
            (Some("close"), None)
        );
        assert!(answer.header("x-request-id").is_some());
    }
    assert!(stack.fakes.calls().is_empty());
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_a_sane_one_is_the_callers() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    for (sent, kept) in [("my.request-1", true), ("with space", false), ("", false)] {
        let header = format!("X-Request-Id: {sent}\r\n");
        let answer = stack.call("GET", "/healthz", &Person::Nobody, &header, "").await?;
        let got = answer.header("x-request-id").unwrap_or_default();
        assert_eq!((got == sent, got.is_empty()), (kept, false), "{sent:?}: {got}");
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn readiness_follows_the_services_and_health_does_not() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    for (ready, status, word) in
        [(true, 200, "serving"), (false, 503, "unavailable"), (true, 200, "serving")]
    {
        stack.services_ready(ready);
        let mut answer = stack.get(&Person::Nobody, "/readyz").await?;
        for _ in 0..1000 {
            if answer.status == status && answer.body.matches(word).count() >= 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            answer = stack.get(&Person::Nobody, "/readyz").await?;
        }
        let state = if ready { "ok" } else { "unavailable" };
        let expected = format!(
            "{{\"status\":\"{state}\",\"peers\":{{\"account\":\"{word}\",\"withdraw\":\"{word}\"}}}}"
        );
        assert_eq!((answer.status, answer.body), (status, expected));
        let health = stack.get(&Person::Nobody, "/healthz").await?;
        assert_eq!((health.status, health.body.as_str()), (200, "{\"status\":\"ok\"}"));
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_gateway_without_its_services_starts_and_says_so() -> anyhow::Result<()> {
    let gone =
        [("ACCOUNT_ADDRESS", "http://127.0.0.1:1"), ("WITHDRAW_ADDRESS", "http://127.0.0.1:1")];
    let stack = Stack::with(NOW_S, &gone).await?;
    let ready = stack.get(&Person::Nobody, "/readyz").await?;
    assert_eq!((ready.status, ready.header("retry-after")), (503, Some("1")));
    let answer = stack.get(&user(7), "/api/wallet/user/7").await?;
    assert_eq!((answer.status, answer.wallet_code()?.as_str()), (503, "unavailable"));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_went_wrong_inside_is_not_told_outside() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    // Another type than the method's: the fake answers INTERNAL with a text of its own.
    stack.fakes.answers("get_account", ());
    let answer = stack.get(&user(7), "/api/wallet/user/7").await?;
    assert_eq!(answer.status, 500);
    assert_refused(&answer, "/api/wallet/user/7", Reason::Internal, "internal error");
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn each_refusal_of_a_service_reaches_the_client_as_the_table_says() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?.unjudged();
    let body = r#"{"data":{"attributes":{"cash_apply_amount":1,"cash_type":1}}}"#;
    for reason in Reason::ALL {
        stack.fakes.refuses("request_withdrawal", Failure::new(*reason, "no"));
        let answer = stack.call("POST", "/api/wallet/cash", &user(7), "", body).await?;
        let row = reason.row();
        let told = (answer.status, answer.wallet_code()?);
        assert_eq!(told, (row.http, row.wallet.to_owned()), "{reason:?}");
    }
    let limit = Failure::new(Reason::AmountLimit, "must be at most 5000.00");
    stack.fakes.refuses("request_withdrawal", limit);
    let answer = stack.call("POST", "/api/wallet/cash", &user(7), "", body).await?;
    let error = r#"{"errors":[{"status":"422","code":"validation_error","detail":["must be at most 5000.00"],"source":{"pointer":"/data/attributes/cash_apply_amount"}}]}"#;
    assert_eq!(answer.body, error);
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn slow_headers_end_the_connection() -> anyhow::Result<()> {
    let stack = Stack::with(NOW_S, &[("GATEWAY_HEADER_TIMEOUT", "100ms")]).await?;
    let mut slow = tokio::net::TcpStream::connect(stack.address).await?;
    tokio::io::AsyncWriteExt::write_all(&mut slow, b"GET /healthz HTTP/1.1\r\nHost: x\r\n").await?;
    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut slow, &mut rest);
    tokio::time::timeout(Duration::from_secs(10), read).await??;
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_stop_lets_requests_in_flight_finish() -> anyhow::Result<()> {
    let stack = Stack::with(NOW_S, &[("GATEWAY_REQUEST_TIMEOUT", "300ms")]).await?;
    stack.fakes.hangs("get_account");
    let (address, fakes) = (stack.address, stack.fakes.clone());
    let token = stack.token(1000, &["admin"], &[])?;
    let flying = tokio::spawn(async move {
        let head = "GET /api/wallet/user/7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let request = format!("{head}Authorization: Bearer {token}\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await?;
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await?;
        anyhow::Ok(text)
    });
    for _ in 0..1000 {
        if !fakes.calls().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fakes.answers("get_account", GetAccountResponse::default());
    stack.stop().await;
    assert!(flying.await??.starts_with("HTTP/1.1 503"), "answered, not cut off");
    Ok(())
}

#[tokio::test]
async fn a_head_request_has_no_body_and_admins_pass() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let answer = stack.call("HEAD", "/sett/sett", &ADMIN, "", "").await?;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_connection_that_idles_after_an_answer_is_ended() -> anyhow::Result<()> {
    let stack = Stack::with(NOW_S, &[("GATEWAY_HEADER_TIMEOUT", "100ms")]).await?;
    let mut idle = tokio::net::TcpStream::connect(stack.address).await?;
    let request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut idle, request).await?;
    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut idle, &mut rest);
    tokio::time::timeout(Duration::from_secs(10), read).await??;
    assert!(rest.starts_with(b"HTTP/1.1 200"));
    stack.stop().await;
    Ok(())
}
