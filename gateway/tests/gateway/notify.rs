//! What providers send: passed on byte for byte, answered in the service's words, never mistaken for a
//! success when something went wrong.

use std::time::Duration;

use cashout_common::actor::ACTOR;
use cashout_proto::withdraw::v1::*;
use cashout_proto::{Failure, Reason};

use crate::stack::{Answer, Person, Stack};

const NOW_S: i64 = 1_600_000_000;
const WECHAT: &str = "/notify/wechat";
const ALIPAY: &str = "/notify/alipay";

fn says(http_status: i32, content_type: &str, body: &str) -> ReceiveNotificationResponse {
    let (content_type, body) = (content_type.to_owned(), body.to_owned());
    ReceiveNotificationResponse { http_status, content_type, body }
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

async fn sent(stack: &Stack, path: &str, headers: &str, body: &[u8]) -> anyhow::Result<Answer> {
    stack.send_bytes(&post(path, headers, body)).await
}

/// An answer that makes WeChat or Alipay send again.
fn assert_again(answer: &Answer, path: &str, reason: Reason, what: &str) {
    let told = (answer.status, answer.header("content-type"), answer.body.as_str());
    if path == WECHAT {
        let body = format!("{{\"code\":\"FAIL\",\"message\":\"{}\"}}", reason.row().wallet);
        assert_eq!(told, (500, Some("application/json"), body.as_str()), "{what}");
    } else {
        assert_eq!(told, (200, Some("text/plain"), "fail"), "{what}");
    }
}

#[tokio::test]
async fn a_notification_passes_byte_for_byte_with_what_it_was_signed_with() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?.unjudged();
    stack.fakes.answers("receive_notification", says(200, "text/plain", "success"));
    let signed = "Wechatpay-Serial: PUB_KEY_ID_1\r\nWECHATPAY-Signature: a+b/c==\r\n\
                  Request-ID: r-1\r\nContent-Type: application/json\r\n\
                  Authorization: Bearer nonsense\r\nCookie: a=b\r\ncashout-actor: 7\r\n";
    let bodies: [&[u8]; 5] = [
        b"{ \"id\" : 1,\r\n\t\"id\" : 2 }\n",
        b"app_id=1&biz_content=%C4%E3&sign=a%2Bb",
        b"\xc4\xe3\xba\xc3\x00\xff",
        b"",
        &[b'x'; 64 * 1024],
    ];
    for (path, provider) in [(WECHAT, "wechat"), (ALIPAY, "alipay")] {
        for body in bodies {
            let answer = sent(&stack, path, signed, body).await?;
            let told = (answer.status, answer.header("content-type"), answer.body.as_str());
            assert_eq!(told, (200, Some("text/plain"), "success"), "{path}");
            let asked: ReceiveNotificationRequest = stack.fakes.last()?;
            assert_eq!((asked.provider.as_str(), asked.body.as_slice()), (provider, body));
            let mut headers: Vec<_> =
                asked.headers.into_iter().map(|h| (h.name, h.value)).collect();
            headers.sort();
            let expected = [
                ("content-type", "application/json"),
                ("request-id", "r-1"),
                ("wechatpay-serial", "PUB_KEY_ID_1"),
                ("wechatpay-signature", "a+b/c=="),
            ];
            let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(headers, expected);
        }
    }
    for call in stack.fakes.calls() {
        assert!(call.metadata.get(ACTOR).is_none(), "nobody acts");
        assert!(call.metadata.get("x-request-id").is_some());
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_services_answer_is_given_as_it_is() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?.unjudged();
    let failed = r#"{"code":"FAIL","message":"签名错误"}"#;
    for (status, content_type, body) in [
        (200, "", ""),
        (204, "", ""),
        (401, "application/json", failed),
        (500, "application/json", failed),
        (200, "text/plain; charset=utf-8", "success"),
        (200, "text/plain", "fail"),
    ] {
        for path in [WECHAT, ALIPAY] {
            stack.fakes.answers("receive_notification", says(status, content_type, body));
            let answer = sent(&stack, path, "", b"x").await?;
            let media = Some(content_type).filter(|media| !media.is_empty());
            assert_eq!(i32::from(answer.status), status);
            assert_eq!((answer.header("content-type"), answer.body.as_str()), (media, body));
        }
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_same_notification_twice_is_the_services_to_recognise() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    stack.fakes.answers("receive_notification", says(204, "", ""));
    for _ in 0..3 {
        let answer = sent(&stack, WECHAT, "Idempotency-Key: k\r\n", b"{}").await?;
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (204, None));
    }
    assert_eq!(stack.fakes.calls().len(), 3);
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn whatever_fails_behind_the_gateway_is_sent_again() -> anyhow::Result<()> {
    let stack = Stack::with(NOW_S, &[("GATEWAY_REQUEST_TIMEOUT", "300ms")]).await?;
    for path in [WECHAT, ALIPAY] {
        for reason in Reason::ALL {
            let failure = Failure::new(*reason, "a secret detail");
            stack.fakes.refuses("receive_notification", failure);
            let answer = sent(&stack, path, "", b"x").await?;
            assert_again(&answer, path, *reason, &format!("{path} {reason:?}"));
        }
        stack.fakes.answers("receive_notification", says(0, "", ""));
        let answer = sent(&stack, path, "", b"x").await?;
        assert_again(&answer, path, Reason::Internal, "no answer at all");
        stack.fakes.hangs("receive_notification");
        let answer = sent(&stack, path, "", b"x").await?;
        assert_again(&answer, path, Reason::DeadlineExceeded, "too late");
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn services_that_are_away_make_a_provider_send_again() -> anyhow::Result<()> {
    let nowhere = [("WITHDRAW_ADDRESS", "http://127.0.0.1:1")];
    let stack = Stack::with(NOW_S, &nowhere).await?;
    for path in [WECHAT, ALIPAY] {
        let answer = sent(&stack, path, "", b"x").await?;
        assert_again(&answer, path, Reason::Unavailable, path);
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_request_itself_keeps_its_status() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let told = |path: &str, reason: Reason| match path {
        WECHAT => format!("{{\"code\":\"FAIL\",\"message\":\"{}\"}}", reason.row().wallet),
        _ => "fail".to_owned(),
    };
    for path in [WECHAT, ALIPAY] {
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            let answer = stack.call(method, path, &Person::Nobody, "", "").await?;
            let expected = (405, told(path, Reason::MethodNotAllowed));
            assert_eq!((answer.status, answer.body.clone()), expected, "{method} {path}");
            assert_eq!(answer.header("allow"), Some("POST"));
        }
        let answer = sent(&stack, path, "", &[b'x'; 64 * 1024 + 1]).await?;
        assert_eq!((answer.status, answer.body), (413, told(path, Reason::BodyTooLarge)));
    }
    for path in ["/notify", "/notify/", "/notify/other", "/notify/wechat/1"] {
        assert_eq!(sent(&stack, path, "", b"x").await?.status, 404, "{path}");
    }
    assert!(stack.fakes.calls().is_empty(), "nothing was asked");
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn notifications_count_among_the_requests_in_flight() -> anyhow::Result<()> {
    let stack = Stack::with(NOW_S, &[("GATEWAY_REQUESTS", "1")]).await?;
    stack.fakes.hangs("receive_notification");
    let hanging = async { sent(&stack, WECHAT, "", b"x").await };
    let others = async {
        // The first is in flight when its call arrives at the service.
        while stack.fakes.calls().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let wechat = sent(&stack, WECHAT, "", b"x").await?;
        let alipay = sent(&stack, ALIPAY, "", b"x").await?;
        anyhow::Ok([wechat, alipay].map(|answer| (answer.status, answer.body)))
    };
    let told = tokio::select! {
        told = others => told?,
        _ = hanging => anyhow::bail!("the hanging call was answered"),
    };
    let busy = r#"{"code":"FAIL","message":"too_many_requests"}"#.to_owned();
    assert_eq!(told, [(429, busy), (429, "fail".to_owned())]);
    Ok(())
}
