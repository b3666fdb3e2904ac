//! Whatever goes wrong between WeChat Pay and us is unknown: never paid, never refused, never not found.

use std::time::Duration;

use rails::key::PrivateKey;
use serde_json::json;
use withdraw_service::ports::{Answer, Provider, SendRequest};

use crate::keys::{NOON_S, PUB_KEY_ID, Rails, channels, keys, rails, rails_of};
use crate::peer::{Act, Peer, Signed, http, order, request};

const OPENID: &str = "o-MYE42l80oelYMDE34nYD456Xoy";

fn success() -> String {
    json!({
        "mch_id": "1900000001", "appid": "wx0000000000000001", "transfer_amount": 300_000,
        "out_bill_no": "P20260303000000000001", "transfer_bill_no": "133", "state": "SUCCESS",
    })
    .to_string()
}

fn sending(rails: &Rails) -> anyhow::Result<SendRequest> {
    let order = order(OPENID);
    Ok(request(&order, rails.wechat.prepare(&order)?))
}

/// The outcomes of all calls when the peer does that.
async fn outcomes(act: Act) -> anyhow::Result<[&'static str; 3]> {
    let peer = Peer::saying(act).await?;
    let rails = rails(&peer.url)?;
    let request = sending(&rails)?;
    let answers = [
        rails.wechat.send(request.clone()).await,
        rails.wechat.query(request.clone()).await,
        rails.wechat.cancel(request).await,
    ];
    Ok(answers.each_ref().map(Answer::outcome))
}

/// A right answer with one header changed, removed or doubled.
fn headers(key: &PrivateKey, change: impl Fn(&mut Vec<(String, String)>)) -> Act {
    let body = success();
    let mut headers = Signed::right(key).headers(body.as_bytes());
    change(&mut headers);
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    Act::Say(http(200, &headers, body.as_bytes()))
}

#[tokio::test]
async fn the_same_answer_without_a_fault_is_paid() -> anyhow::Result<()> {
    let right = Act::Say(Signed::right(&keys()?.platform).answer(200, &success()));
    assert_eq!(outcomes(right).await?, ["paid", "paid", "pending"]);
    let cert = &keys()?.platform_cert;
    let by_certificate = Signed { serial: "5157F09EFDC096DE", ..Signed::right(&cert.key) };
    let right = Act::Say(by_certificate.answer(200, &success()));
    assert_eq!(outcomes(right).await?, ["paid", "paid", "pending"]);
    for at_s in [NOON_S - 300, NOON_S + 300] {
        let near = Signed { at_s, ..Signed::right(&keys()?.platform) }.answer(200, &success());
        assert_eq!(outcomes(Act::Say(near)).await?, ["paid", "paid", "pending"]);
    }
    Ok(())
}

#[tokio::test]
async fn whatever_the_connection_does_is_unknown() -> anyhow::Result<()> {
    let right = Signed::right(&keys()?.platform).answer(200, &success());
    let cut = |by: usize| Act::Say(right[..right.len() - by].to_vec());
    let long = Signed::right(&keys()?.platform).answer(200, &" ".repeat((1 << 20) + 1));
    let redirect = String::from_utf8(right.clone())?.replacen(
        "HTTP/1.1 200 Word\r\n",
        "HTTP/1.1 302 Word\r\nlocation: /elsewhere\r\n",
        1,
    );
    for (fault, act) in [
        ("reply lost", Act::Close),
        ("late", Act::Hang),
        ("truncated", cut(1)),
        ("truncated more", cut(60)),
        ("only the head", cut(success().len())),
        ("too long", Act::Say(long)),
        ("redirect", Act::Say(redirect.into_bytes())),
        ("not HTTP", Act::Say(b"hello\r\n\r\n".to_vec())),
        ("nothing", Act::Say(Vec::new())),
    ] {
        assert_eq!(outcomes(act).await?, ["unknown"; 3], "{fault}");
    }
    Ok(())
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_nothing_is_sent_twice() -> anyhow::Result<()> {
    for act in [
        Act::Say(http(307, &[("location", "/v3/elsewhere")], b"")),
        Act::Close,
        Act::Say(http(503, &[("retry-after", "0")], b"")),
    ] {
        let peer = Peer::saying(act).await?;
        let rails = rails(&peer.url)?;
        assert_eq!(rails.wechat.send(sending(&rails)?).await.outcome(), "unknown");
        assert_eq!(peer.seen().len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn nothing_listens_and_that_is_unknown_too() -> anyhow::Result<()> {
    let rails = rails("http://127.0.0.1:9")?;
    assert_eq!(rails.wechat.send(sending(&rails)?).await, Answer::unknown("could not connect"));
    Ok(())
}

#[tokio::test]
async fn whatever_is_not_rightly_signed_is_unknown() -> anyhow::Result<()> {
    let (own, other) = (&keys()?.platform, &keys()?.stranger);
    let signed = |with: Signed<'_>| Act::Say(with.answer(200, &success()));
    let set = |name: &'static str, value: &'static str| {
        headers(own, move |all| {
            all.iter_mut().filter(|(n, _)| n == name).for_each(|(_, v)| *v = value.to_owned());
        })
    };
    let gone = |name: &'static str| headers(own, move |all| all.retain(|(n, _)| n != name));
    let twice = |name: &'static str| {
        headers(own, move |all| {
            let again = all.iter().find(|(n, _)| n == name).cloned();
            all.extend(again);
        })
    };
    let unsigned = Act::Say(http(200, &[], success().as_bytes()));
    let not_found = br#"{"code":"NOT_FOUND","message":""}"#;
    let other_body = headers(own, |_| {});
    let Act::Say(bytes) = other_body else { anyhow::bail!("no bytes") };
    let changed = String::from_utf8(bytes)?.replace("300000", "300001").into_bytes();
    for (fault, act) in [
        ("unsigned", unsigned),
        ("unsigned not found", Act::Say(http(404, &[], not_found))),
        ("another's key", signed(Signed::right(other))),
        ("an unknown serial", signed(Signed { serial: "PUB_KEY_ID_X", ..Signed::right(own) })),
        (
            "the certificate's serial",
            signed(Signed { serial: "5157F09EFDC096DE", ..Signed::right(own) }),
        ),
        ("too old", signed(Signed { at_s: NOON_S - 301, ..Signed::right(own) })),
        ("from the future", signed(Signed { at_s: NOON_S + 301, ..Signed::right(own) })),
        ("another body", Act::Say(changed)),
        ("another time", set("wechatpay-timestamp", "1772510401")),
        ("no time", set("wechatpay-timestamp", "noon")),
        ("another nonce", set("wechatpay-nonce", "x")),
        ("not base64", set("wechatpay-signature", "not base64!")),
        ("a test", set("wechatpay-signature", "WECHATPAY/SIGNTEST/abc")),
        ("another scheme", set("wechatpay-signature-type", "WECHATPAY2-SM2-WITH-SM3")),
        ("signature missing", gone("wechatpay-signature")),
        ("serial missing", gone("wechatpay-serial")),
        ("time missing", gone("wechatpay-timestamp")),
        ("nonce missing", gone("wechatpay-nonce")),
        ("signature twice", twice("wechatpay-signature")),
        ("time twice", twice("wechatpay-timestamp")),
    ] {
        assert_eq!(outcomes(act).await?, ["unknown"; 3], "{fault}");
    }
    Ok(())
}

#[tokio::test]
async fn an_attempt_keeps_the_key_it_was_written_with() -> anyhow::Result<()> {
    let right = Signed::right(&keys()?.platform).answer(200, &success());
    let peer = Peer::saying(Act::Say(right)).await?;
    let request = sending(&rails(&peer.url)?)?;
    // A new key comes first, the old one stays: the attempt still goes out under the old one.
    let mut set = keys()?.settings(&peer.url);
    let file = keys()?.path("platform_key.pem").display().to_string();
    let next = "PUB_KEY_ID_NEXT";
    set.push(("WECHAT_PUBLIC_KEYS", format!("{next}={file},{PUB_KEY_ID}={file}")));
    let rails = rails_of(&channels(&set)?)?;
    assert_eq!(rails.wechat.send(request.clone()).await.outcome(), "paid");
    rails.wechat.query(request.clone()).await;
    let serials: Vec<String> =
        peer.seen().iter().map(|seen| seen.header("wechatpay-serial").to_owned()).collect();
    assert_eq!(serials, [PUB_KEY_ID, next]);
    // Without the old one nothing is sent: the answer could not be believed.
    set.push(("WECHAT_PUBLIC_KEYS", format!("{next}={file}")));
    let rails = rails_of(&channels(&set)?)?;
    assert_eq!(rails.wechat.send(request.clone()).await.outcome(), "unknown");
    let strange = SendRequest { body: b"{}".to_vec(), ..request };
    assert_eq!(rails.wechat.send(strange).await.outcome(), "unknown");
    assert_eq!(peer.seen().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_clock_that_runs_away_believes_nothing() -> anyhow::Result<()> {
    let right = Signed::right(&keys()?.platform).answer(200, &success());
    let peer = Peer::saying(Act::Say(right)).await?;
    let rails = rails(&peer.url)?;
    rails.clock.advance(Duration::from_secs(301));
    assert_eq!(rails.wechat.query(sending(&rails)?).await.outcome(), "unknown");
    Ok(())
}
