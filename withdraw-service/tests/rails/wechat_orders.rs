//! What is sent to WeChat Pay, byte by byte, and which orders are refused before anything is sent.

use cashout_proto::Reason;
use rails::wechat::{Authorization, request_text};
use serde_json::Value;
use withdraw_service::ports::{Order, Provider};
use withdraw_service::providers::told::told;

use crate::keys::{APP_ID, MCH_ID, NOON_S, PUB_KEY_ID, keys, rails};
use crate::peer::{Act, Peer, asked, order, request};

const OPENID: &str = "o-MYE42l80oelYMDE34nYD456Xoy";

#[tokio::test]
async fn a_sending_is_the_written_body_under_our_signature_every_time() -> anyhow::Result<()> {
    let peer = Peer::saying(Act::Close).await?;
    let rails = rails(&peer.url)?;
    let order = order(OPENID);
    let body = rails.wechat.prepare(&order)?;
    let request = request(&order, body.clone());
    rails.wechat.send(request.clone()).await;
    rails.wechat.send(request.clone()).await;
    rails.wechat.query(request).await;
    let seen = peer.seen();
    let [first, second, query] = seen.as_slice() else { anyhow::bail!("{} calls", seen.len()) };
    let json = crate::peer::sent_part(&body);
    assert!(body.starts_with(format!("{MCH_ID} {APP_ID} {PUB_KEY_ID}\n").as_bytes()));
    for sent in [first, second] {
        assert_eq!((sent.method.as_str(), &sent.body[..]), ("POST", json));
        assert_eq!(sent.target, "/v3/fund-app/mch-transfer/transfer-bills");
        assert_eq!(sent.header("content-type"), "application/json");
    }
    assert_eq!((query.method.as_str(), query.text()), ("GET", String::new()));
    assert!(query.target.ends_with("/transfer-bills/out-bill-no/P20260303000000000001"));
    let merchant = keys()?.merchant.key.public()?;
    let mut nonces = Vec::new();
    for sent in &seen {
        assert_eq!(sent.header("wechatpay-serial"), PUB_KEY_ID);
        assert_eq!(sent.header("accept"), "application/json");
        assert!(sent.header("user-agent").starts_with("cashout/"));
        let told: Authorization = sent.header("authorization").parse()?;
        assert_eq!((told.mchid.as_str(), told.timestamp.as_str()), (MCH_ID, &*NOON_S.to_string()));
        assert_eq!(told.serial, "1DDE55AD98ED71D6");
        let text =
            request_text(&sent.method, &sent.target, &told.timestamp, &told.nonce, &sent.body);
        assert!(merchant.verifies(&text, &told.signature));
        nonces.push(told.nonce);
    }
    nonces.dedup();
    assert_eq!(nonces.len(), 3, "every call has a nonce of its own");
    Ok(())
}

#[tokio::test]
async fn the_body_is_as_documented_and_the_name_is_for_wechat_alone() -> anyhow::Result<()> {
    let rails = rails("http://127.0.0.1:9")?;
    let body = rails.wechat.prepare(&order(OPENID))?;
    assert_eq!(told("wechat", &body), Some(asked(&order(OPENID))));
    let text = String::from_utf8(body)?;
    assert!(!text.contains("张三"));
    let (_, json) = text.split_once('\n').ok_or_else(|| anyhow::anyhow!("one line"))?;
    let mut value: Value = serde_json::from_str(json)?;
    let name = value["user_name"].take();
    let name = keys()?.platform.decrypt(name.as_str().unwrap_or_default())?;
    assert_eq!(name, "张三".as_bytes());
    let golden = format!(
        "{{\"appid\":\"{APP_ID}\",\"out_bill_no\":\"P20260303000000000001\",\
         \"transfer_scene_id\":\"1005\",\"openid\":\"{OPENID}\",\"user_name\":NAME,\
         \"transfer_amount\":300000,\"transfer_remark\":\"提现\",\
         \"notify_url\":\"https://pay.example.com/notify/wechat\",\
         \"user_recv_perception\":\"劳务报酬\",\"transfer_scene_report_infos\":[\
         {{\"info_type\":\"岗位类型\",\"info_content\":\"讲师\"}},\
         {{\"info_type\":\"报酬说明\",\"info_content\":\"课程收入\"}}]}}"
    );
    let (before, after) = golden.split_once("NAME").unwrap_or_default();
    assert!(json.starts_with(before), "{json}\nis not\n{golden}");
    assert!(json.ends_with(after), "{json}\nis not\n{golden}");
    Ok(())
}

#[tokio::test]
async fn the_name_goes_along_from_30_fen_when_it_is_known() -> anyhow::Result<()> {
    let rails = rails("http://127.0.0.1:9")?;
    for (amount_minor, name, sent) in [
        (10, "张三", false),
        (29, "张三", false),
        (30, "张三", true),
        (30, "", false),
        (199_999, "", false),
        (200_000, "张三", true),
    ] {
        let order = Order { amount_minor, payee_name: name.to_owned(), ..order(OPENID) };
        let body = String::from_utf8(rails.wechat.prepare(&order)?)?;
        assert_eq!(body.contains("user_name"), sent, "{amount_minor} {name}");
    }
    Ok(())
}

#[tokio::test]
async fn orders_that_wechat_would_refuse_are_refused_at_once() -> anyhow::Result<()> {
    let rails = rails("http://127.0.0.1:9")?;
    let good = order(OPENID);
    let with = |change: &dyn Fn(&mut Order)| {
        let mut order = good.clone();
        change(&mut order);
        order
    };
    let cases: [(Order, Reason); 10] = [
        (with(&|o| o.amount_minor = 9), Reason::AmountLimit),
        (with(&|o| o.amount_minor = 0), Reason::AmountLimit),
        (with(&|o| o.amount_minor = -1), Reason::AmountLimit),
        (with(&|o| o.currency = "USD".into()), Reason::InvalidArgument),
        (with(&|o| o.payee_id.clear()), Reason::WechatNotBound),
        (with(&|o| o.payee_id = "a b".into()), Reason::WechatNotBound),
        (with(&|o| o.payee_id = "x".repeat(65)), Reason::WechatNotBound),
        (with(&|o| o.payee_name.clear()), Reason::WechatNotBound),
        (with(&|o| o.payee_name = "三".repeat(72)), Reason::WechatNotBound),
        (with(&|o| o.payee_name = "a\nb".into()), Reason::WechatNotBound),
    ];
    for (order, reason) in cases {
        let refused = rails.wechat.check(&order).err();
        assert_eq!(refused.as_ref().map(|failure| failure.reason), Some(reason), "{order:?}");
        assert_eq!(rails.wechat.prepare(&order).err(), refused);
        let told = refused.map(|failure| failure.to_string()).unwrap_or_default();
        assert!(!told.contains("张三") && !told.contains(OPENID), "{told}");
    }
    let amount = rails.wechat.check(&with(&|o| o.amount_minor = 9)).err();
    assert_eq!(amount.map(|f| f.fields[0].field.clone()), Some("apply_minor".to_owned()));
    for number in ["", "a-b", "A".repeat(33).as_str()] {
        let order = Order { number: number.to_owned(), ..order(OPENID) };
        assert!(rails.wechat.prepare(&order).is_err(), "{number}");
    }
    Ok(())
}

#[tokio::test]
async fn an_attempt_of_another_merchant_is_neither_sent_nor_asked_about() -> anyhow::Result<()> {
    let peer = Peer::saying(Act::Close).await?;
    let rails = rails(&peer.url)?;
    let (by_wechat, by_alipay) = (order(OPENID), order("2088123456781234"));
    let foreign = |body: Vec<u8>, own: &str| {
        let text = String::from_utf8_lossy(&body).replacen(own, "9999999999", 1);
        text.into_bytes()
    };
    let wechat = foreign(rails.wechat.prepare(&by_wechat)?, MCH_ID);
    let alipay = foreign(rails.alipay.prepare(&by_alipay)?, "2021000000000001");
    let requests = [
        (&rails.wechat as &dyn Provider, request(&by_wechat, wechat)),
        (&rails.alipay as &dyn Provider, request(&by_alipay, alipay)),
    ];
    for (provider, request) in requests {
        for answer in [
            provider.send(request.clone()).await,
            provider.query(request.clone()).await,
            provider.cancel(request.clone()).await,
        ] {
            assert_eq!(answer.outcome(), "unknown");
        }
    }
    assert_eq!(peer.seen().len(), 0);
    Ok(())
}
