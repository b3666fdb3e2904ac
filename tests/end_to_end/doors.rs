//! The gRPC doors: health, reflection, deadlines, refusals that machines can read; and the gateway's
//! door: identity that callers cannot forge, clients that dawdle.

use std::time::Duration;

use anyhow::Context;
use cashout_common::actor::ACTOR;
use cashout_common::peer::channel;
use cashout_proto::account::v1 as account;
use cashout_proto::{Failure, Reason};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::people::{MANUAL, cash, income, of};
use crate::support::web::{self, user};
use crate::support::{every_engine, one};

const NAMES: [&str; 2] =
    ["cashout.account.v1.AccountService", "cashout.withdraw.v1.WithdrawService"];

#[tokio::test]
async fn both_services_tell_their_health_and_describe_themselves() -> anyhow::Result<()> {
    let stack = one("doors", &[]).await?;
    let (accounts, cash_outs) = stack.services();
    for (url, name) in [accounts, cash_outs].into_iter().zip(NAMES) {
        let mut health = HealthClient::new(channel(&url)?);
        let asked = HealthCheckRequest { service: name.to_owned() };
        assert_eq!(health.check(asked).await?.into_inner().status, 1, "{name} serves");
        let nobody = HealthCheckRequest { service: "nobody".to_owned() };
        let refused = health.check(nobody).await.map_err(|status| status.code());
        assert_eq!(refused.err(), Some(Code::NotFound));
        assert!(listed_v1(&url).await?.contains(&name.to_owned()), "{name} in v1");
        assert!(listed_v1alpha(&url).await?.contains(&name.to_owned()), "{name} in v1alpha");
    }
    stack.stop().await
}

macro_rules! listed {
    ($function:ident, $version:ident) => {
        /// What reflection lists.
        async fn $function(url: &str) -> anyhow::Result<Vec<String>> {
            use pb::server_reflection_request::MessageRequest::ListServices;
            use pb::server_reflection_response::MessageResponse::ListServicesResponse;
            use tonic_reflection::pb::$version as pb;
            let mut client =
                pb::server_reflection_client::ServerReflectionClient::new(channel(url)?);
            let request = pb::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(ListServices(String::new())),
            };
            let asked = futures::stream::iter([request]);
            let mut answers = client.server_reflection_info(asked).await?.into_inner();
            let answer = answers.message().await?.and_then(|a| a.message_response);
            let Some(ListServicesResponse(list)) = answer else {
                anyhow::bail!("reflection answered {answer:?}");
            };
            Ok(list.service.into_iter().map(|s| s.name).collect())
        }
    };
}
listed!(listed_v1, v1);
listed!(listed_v1alpha, v1alpha);

#[tokio::test]
async fn a_refusal_names_its_reason_and_what_was_wrong() -> anyhow::Result<()> {
    for stack in every_engine("refusals", &[]).await? {
        stack.rich(1, 500).await?;
        let mut accounts = stack.accounts()?;
        let hold = account::PlaceHoldRequest {
            key: "h".into(),
            account: of(1),
            amount_minor: 501,
            kind: account::EntryKind::Withdrawal.into(),
            release_at_us: 0,
            facts: None,
        };
        let refused = accounts.place_hold(hold).await.err().context("refused")?;
        assert_eq!(refused.code(), Code::FailedPrecondition);
        let read = Failure::from_status(&refused);
        assert_eq!(read.reason, Reason::InsufficientFunds);
        assert!(read.metadata.values().any(|value| value == "500"), "{:?}", read.metadata);

        let nonsense = account::PostTransferRequest {
            key: String::new(),
            amount_minor: -1,
            ..income("", 1, -1)
        };
        let refused = accounts.post_transfer(nonsense).await.err().context("refused")?;
        assert_eq!(refused.code(), Code::InvalidArgument);
        let fields = Failure::from_status(&refused).fields;
        let named: Vec<&str> = fields.iter().map(|f| f.field.as_str()).collect();
        assert!(named.contains(&"key") && named.contains(&"amount_minor"), "{named:?}");
        stack.stop().await?;
    }
    Ok(())
}

/// What a method answers to a message within a time: its `grpc-status`, if it stands at the head of the answer.
/// Our clients give up by themselves when a deadline passes, so this one is as plain as can be.
async fn told(url: &str, method: &str, timeout: &str, message: &str) -> anyhow::Result<String> {
    let stream = tokio::net::TcpStream::connect(url.replace("http://", "")).await?;
    let (executor, stream) = (TokioExecutor::new(), TokioIo::new(stream));
    let (mut send, connection) = hyper::client::conn::http2::handshake(executor, stream).await?;
    tokio::spawn(connection);
    let length = u8::try_from(message.len())?;
    let request = http::Request::post(format!("{url}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(format!("\0\0\0\0{}{message}", char::from(length)))?;
    let answer = send.send_request(request).await?;
    let status = answer.headers().get("grpc-status").and_then(|v| v.to_str().ok());
    Ok(status.unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_deadline_that_passes_is_told_as_such() -> anyhow::Result<()> {
    let stack = one("deadline", &[]).await?;
    let (accounts, cash_outs) = stack.services();
    let methods = ["GetAccount", "ListWithdrawals"];
    for ((url, name), method) in [accounts, cash_outs].into_iter().zip(NAMES).zip(methods) {
        for (timeout, code) in [("0n", "4"), ("99999999S", "3")] {
            // An empty message: not valid for an account, so the answer is quick.
            let got = told(&url, &format!("{name}/{method}"), timeout, "").await?;
            // A list without any filter is fine, and tells its status after the message.
            let fits = got == code || (code == "3" && method == "ListWithdrawals");
            assert!(fits, "{method} within {timeout}: {got:?}");
        }
    }
    stack.stop().await
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_is_not_begun() -> anyhow::Result<()> {
    let stack = one("late", &[]).await?;
    let ((url, _), open) = (stack.services(), format!("{}/OpenAccount", NAMES[0]));
    for (user_id, timeout, code) in [(7_u8, "0n", "4"), (8, "10S", "")] {
        // Field 1, a number: the person.
        let message = format!("\u{8}{}", char::from(user_id));
        assert_eq!(told(&url, &open, timeout, &message).await?, code, "{user_id}");
    }
    // What was begun before the second one would be there now: commands are carried out in turn.
    for (user_id, expected) in [(8, Ok(())), (7, Err(Code::NotFound))] {
        let look = account::GetAccountRequest { account: of(user_id), ..Default::default() };
        let found = stack.accounts()?.get_account(look).await.map(drop).map_err(|s| s.code());
        assert_eq!(found, expected, "{user_id}");
    }
    stack.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_writers_at_once_are_all_answered() -> anyhow::Result<()> {
    for stack in every_engine("writers", &[]).await? {
        stack.rich(1, 100).await?;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..64 {
            // A connection of its own each.
            let mut accounts = stack.accounts()?;
            writers.spawn(async move {
                for number in 0..20 {
                    accounts.post_transfer(income(&format!("w:{writer}:{number}"), 1, 1)).await?;
                    let open = account::OpenAccountRequest {
                        user_id: 1_000 + writer * 20 + number,
                        currency: String::new(),
                    };
                    accounts.open_account(open).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = writers.join_next().await {
            done??;
        }
        assert_eq!(stack.balance(1).await?, (100 + 64 * 20, 0), "on {}", stack.engine());
        stack.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn nobody_becomes_somebody_else_by_a_header() -> anyhow::Result<()> {
    let stack = one("forged", &[]).await?;
    stack.rich(1, 1_000).await?;
    let id = stack.requested(1, "1", MANUAL).await?;
    // The applicant claims to be the reviewer in every way a header can.
    let body = format!(r#"{{"ids":[{id}],"cash_status":2,"remark":""}}"#);
    for name in [ACTOR, "x-user-id", "grpc-metadata-cashout-actor", "x-forwarded-user"] {
        let request = stack.request(Method::POST, &web::admin(1), "/api/wallet/cash/review")?;
        let request = request.header(name, "9999").header("content-type", "application/json");
        let answer = web::send(request.body(body.clone())).await?;
        assert_eq!(answer.text(&format!("/data/result/{id}"))?, "failure", "{name}");
    }
    let request = stack.request(Method::POST, &user(1), "/api/wallet/cash")?;
    let request = request.header("grpc-timeout", "1n").header("content-type", "application/json");
    let answer = web::send(request.body(cash("1", MANUAL))).await?;
    assert_eq!(answer.status, 200, "a caller sets no deadline inside: {}", answer.body);
    stack.stop().await
}

#[tokio::test]
async fn a_client_that_dawdles_with_its_headers_is_sent_away() -> anyhow::Result<()> {
    let stack = one("dawdle", &[("GATEWAY_HEADER_TIMEOUT", "300ms")]).await?;
    let address = stack.gateway().replace("http://", "");
    let mut slow = tokio::net::TcpStream::connect(address).await?;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").await?;
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(20), slow.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection is still open");
    assert!(!String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 200"));
    stack.stop().await
}
