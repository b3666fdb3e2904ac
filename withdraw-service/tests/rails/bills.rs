//! Balances and bills: a signed answer tells where the bill is, and WeChat's hash what it must be.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use rails::certificate::{Certificate, sha1_hex};
use serde_json::json;
use withdraw_service::ports::Provider;

use crate::keys::{channels, keys, rails, rails_of};
use crate::peer::{Act, Peer, Seen, Signed, http};

const BILL: &[u8] = "\u{feff}记账时间,微信支付业务单号\n`2026-03-02 10:00:00,`1\n".as_bytes();

fn packed() -> anyhow::Result<Vec<u8>> {
    let mut packing = GzEncoder::new(Vec::new(), Compression::default());
    packing.write_all(BILL)?;
    Ok(packing.finish()?)
}

/// WeChat Pay telling that hash and giving that file.
async fn wechat(
    hash: String,
    file: Vec<u8>,
) -> anyhow::Result<(Result<Vec<u8>, String>, Vec<Seen>)> {
    let keys = keys()?;
    let script = move |seen: &Seen| {
        if seen.target.starts_with("/v3/billdownload") {
            return Act::Say(http(200, &[], &file));
        }
        let url = format!("http://{}/v3/billdownload/file?token=a%2Bb", seen.header("host"));
        let body = json!({ "hash_type": "SHA1", "hash_value": hash, "download_url": url });
        Act::Say(Signed::right(&keys.platform).answer(200, &body.to_string()))
    };
    let peer = Peer::start(script).await?;
    let bill = rails(&peer.url)?.wechat.bill("2026-03-02".to_owned()).await;
    Ok((bill, peer.seen()))
}

#[tokio::test]
async fn wechats_bill_comes_packed_and_with_its_hash() -> anyhow::Result<()> {
    let (bill, seen) = wechat(sha1_hex(BILL), packed()?).await?;
    assert_eq!(bill, Ok(packed()?));
    let [asked, fetched] = seen.as_slice() else { anyhow::bail!("{} calls", seen.len()) };
    assert_eq!(
        asked.target,
        "/v3/bill/fundflowbill?bill_date=2026-03-02&account_type=OPERATION&tar_type=GZIP"
    );
    assert_eq!(fetched.target, "/v3/billdownload/file?token=a%2Bb");
    assert!(fetched.header("authorization").starts_with("WECHATPAY2-SHA256-RSA2048 "));
    for (hash, file) in [
        (sha1_hex(b"another"), packed()?),
        (sha1_hex(BILL), BILL.to_vec()),
        (sha1_hex(BILL), packed()?[..20].to_vec()),
        (sha1_hex(&packed()?), packed()?),
    ] {
        assert!(wechat(hash, file).await?.0.is_err());
    }
    Ok(())
}

#[tokio::test]
async fn a_day_that_is_none_is_not_asked_for() -> anyhow::Result<()> {
    let peer = Peer::saying(Act::Close).await?;
    let rails = rails(&peer.url)?;
    for day in ["", "2026-3-2", "2026-02-30", "2026-03-02&x=1", "20260302", "2026-03"] {
        assert!(rails.wechat.bill(day.to_owned()).await.is_err(), "{day}");
        assert!(rails.alipay.bill(day.to_owned()).await.is_err(), "{day}");
    }
    assert!(peer.seen().is_empty());
    Ok(())
}

#[tokio::test]
async fn wechats_balance_is_read_from_signed_answers_only() -> anyhow::Result<()> {
    let keys = keys()?;
    let body = r#"{"available_amount":12345,"pending_amount":1}"#;
    let right = Signed::right(&keys.platform).answer(200, body);
    let error = Signed::right(&keys.platform).answer(403, r#"{"code":"NO_AUTH"}"#);
    for (act, expected) in [
        (right, Ok(Some(12_345))),
        (error, Err("HTTP 403 NO_AUTH".to_owned())),
        (
            http(200, &[], body.as_bytes()),
            Err("a signature header is missing, or twice".to_owned()),
        ),
    ] {
        let peer = Peer::saying(Act::Say(act)).await?;
        assert_eq!(rails(&peer.url)?.wechat.balance().await, expected);
        assert_eq!(peer.seen()[0].target, "/v3/merchant/fund/balance/OPERATION");
    }
    Ok(())
}

/// Alipay answering one method with that node.
fn alipay(method: &'static str, node: String) -> anyhow::Result<Vec<u8>> {
    let keys = keys()?;
    let (sn, sign) =
        (Certificate::read(&keys.alipay.pem)?.alipay_sn(), keys.alipay.key.sign(node.as_bytes())?);
    let root = format!("{}_response", method.replace('.', "_"));
    let text = format!(r#"{{"{root}":{node},"alipay_cert_sn":"{sn}","sign":"{sign}"}}"#);
    Ok(http(200, &[], text.as_bytes()))
}

#[tokio::test]
async fn alipays_balance_is_yuan_and_only_asked_for_with_an_account() -> anyhow::Result<()> {
    for (node, expected) in [
        (r#"{"code":"10000","available_amount":"26.45"}"#, Ok(Some(2_645))),
        (r#"{"code":"10000","available_amount":"0.00"}"#, Ok(Some(0))),
        (r#"{"code":"10000","available_amount":"1e9"}"#, Err(())),
        (r#"{"code":"10000"}"#, Err(())),
        (r#"{"code":"40004","sub_code":"X","available_amount":"1.00"}"#, Err(())),
    ] {
        let answer = alipay("alipay.fund.account.query", node.to_owned())?;
        let peer = Peer::saying(Act::Say(answer)).await?;
        assert_eq!(rails(&peer.url)?.alipay.balance().await.map_err(|_| ()), expected, "{node}");
        assert!(peer.seen()[0].text().contains("2088000000000001"));
    }
    let mut set = keys()?.settings("http://127.0.0.1:9");
    set.push(("ALIPAY_USER_ID", String::new()));
    assert_eq!(rails_of(&channels(&set)?)?.alipay.balance().await, Ok(None));
    Ok(())
}

#[tokio::test]
async fn alipays_bill_is_a_zip_from_where_a_signed_answer_says() -> anyhow::Result<()> {
    const METHOD: &str = "alipay.data.dataservice.bill.downloadurl.query";
    let telling = |url: &'static str, file: &'static [u8]| {
        move |seen: &Seen| {
            if seen.method == "GET" {
                return Act::Say(http(200, &[], file));
            }
            let url = url.replace("HOST", seen.header("host"));
            let node = json!({ "code": "10000", "bill_download_url": url }).to_string();
            alipay(METHOD, node).map_or(Act::Close, Act::Say)
        }
    };
    let peer = Peer::start(telling("http://HOST/bill?a=1", b"PK\x03\x04rest")).await?;
    let bill = rails(&peer.url)?.alipay.bill("2026-03-02".to_owned()).await;
    assert_eq!(bill, Ok(b"PK\x03\x04rest".to_vec()));
    assert_eq!(peer.seen()[1].target, "/bill?a=1");
    for (url, file) in [
        ("http://HOST/bill", &b"<html>expired</html>"[..]),
        ("http://example.com/bill", b"PK"),
        ("file:///etc/passwd", b"PK"),
        ("", b"PK"),
    ] {
        let peer = Peer::start(telling(url, file)).await?;
        assert!(rails(&peer.url)?.alipay.bill("2026-03-02".to_owned()).await.is_err(), "{url}");
    }
    Ok(())
}
