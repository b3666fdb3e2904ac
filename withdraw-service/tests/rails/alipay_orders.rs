//! What is sent to Alipay, byte by byte, and which orders are refused before anything is sent.

use cashout_proto::Reason;
use rails::alipay::{parameters, signed_text, value};
use rails::certificate::{Certificate, alipay_root_sn};
use withdraw_service::ports::{Order, Provider};
use withdraw_service::providers::told::told;

use crate::keys::{ALIPAY_APP_ID, keys, rails};
use crate::peer::{Act, Peer, Seen, asked, order, request};

const USER: &str = "2088123456781234";

/// All parameters of a call, and whether they are signed by us.
fn verified(seen: &Seen) -> anyhow::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let (path, query) = seen.target.split_once('?').unwrap_or_default();
    assert_eq!((seen.method.as_str(), path), ("POST", "/gateway.do"));
    let mut all = parameters(query.as_bytes());
    all.extend(parameters(&seen.body));
    let sign = String::from_utf8(value(&all, "sign").to_vec())?;
    let key = keys()?.app.key.public()?;
    assert!(key.verifies(&signed_text(&all, &["sign"]), &sign), "{}", seen.target);
    Ok(all)
}

#[tokio::test]
async fn a_sending_is_the_written_content_under_our_signature_every_time() -> anyhow::Result<()> {
    let peer = Peer::saying(Act::Close).await?;
    let rails = rails(&peer.url)?;
    let order = order(USER);
    let body = rails.alipay.prepare(&order)?;
    let request = request(&order, body.clone());
    let body = crate::peer::sent_part(&body).to_vec();
    rails.alipay.send(request.clone()).await;
    rails.clock.advance(std::time::Duration::from_secs(61));
    rails.alipay.send(request.clone()).await;
    rails.alipay.query(request).await;
    let roots = Certificate::read_all(&std::fs::read_to_string(keys()?.path("root_cert.pem"))?)?;
    let root_sn = alipay_root_sn(&roots);
    let app_sn = Certificate::read(&keys()?.app.pem)?.alipay_sn();
    let mut times = Vec::new();
    for seen in peer.seen() {
        let all = verified(&seen)?;
        let text = |name: &str| String::from_utf8_lossy(value(&all, name)).into_owned();
        for (name, expected) in [
            ("app_id", ALIPAY_APP_ID),
            ("format", "JSON"),
            ("charset", "utf-8"),
            ("sign_type", "RSA2"),
            ("version", "1.0"),
            ("app_cert_sn", &app_sn),
            ("alipay_root_cert_sn", &root_sn),
        ] {
            assert_eq!(text(name), expected, "{name}");
        }
        assert_eq!(seen.header("content-type"), "application/x-www-form-urlencoded;charset=utf-8");
        times.push((text("method"), text("timestamp"), text("biz_content")));
    }
    let (transfer, content) = ("alipay.fund.trans.uni.transfer", String::from_utf8(body)?);
    let query = r#"{"biz_scene":"DIRECT_TRANSFER","out_biz_no":"P20260303000000000001","product_code":"TRANS_ACCOUNT_NO_PWD"}"#;
    let at = |text: &str| text.to_owned();
    assert_eq!(
        times,
        [
            (at(transfer), at("2026-03-03 12:00:00"), content.clone()),
            (at(transfer), at("2026-03-03 12:01:01"), content),
            (at("alipay.fund.trans.common.query"), at("2026-03-03 12:01:01"), at(query)),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn the_content_is_as_documented() -> anyhow::Result<()> {
    let rails = rails("http://127.0.0.1:9")?;
    let with = |payee_id: &str, amount_minor, name: &str| -> anyhow::Result<String> {
        let order = Order { amount_minor, payee_name: name.to_owned(), ..order(payee_id) };
        let written = rails.alipay.prepare(&order)?;
        assert_eq!(told("alipay", &written), Some(asked(&order)));
        Ok(String::from_utf8(crate::peer::sent_part(&written).to_vec())?)
    };
    let scene = r#""transfer_scene_name":"佣金报酬","transfer_scene_report_infos":[{"info_type":"佣金报酬说明","info_content":"课程收入"}]}"#;
    let head = |amount: &str| {
        format!(
            r#"{{"out_biz_no":"P20260303000000000001","trans_amount":"{amount}","product_code":"TRANS_ACCOUNT_NO_PWD","biz_scene":"DIRECT_TRANSFER","order_title":"提现","payee_info":"#
        )
    };
    for (payee_id, amount_minor, name, payee) in [
        (USER, 10, "", r#"{"identity":"2088123456781234","identity_type":"ALIPAY_USER_ID"},"#),
        (
            USER,
            4_999_999,
            "张三",
            r#"{"identity":"2088123456781234","identity_type":"ALIPAY_USER_ID","name":"张三"},"#,
        ),
        (
            "a@b.cn",
            5_000_000,
            "张\"三",
            r#"{"identity":"a@b.cn","identity_type":"ALIPAY_LOGON_ID","name":"张\"三"},"remark":"提现","#,
        ),
        (
            "13800138000",
            100,
            "张三",
            r#"{"identity":"13800138000","identity_type":"ALIPAY_LOGON_ID","name":"张三"},"#,
        ),
        (
            "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5",
            100,
            "",
            r#"{"identity":"074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5","identity_type":"ALIPAY_OPEN_ID"},"#,
        ),
    ] {
        let amount = cashout_common::money::format_fixed(amount_minor);
        let golden = format!("{}{payee}{scene}", head(&amount));
        assert_eq!(with(payee_id, amount_minor, name)?, golden);
    }
    Ok(())
}

#[tokio::test]
async fn orders_that_alipay_would_refuse_are_refused_at_once() -> anyhow::Result<()> {
    let rails = rails("http://127.0.0.1:9")?;
    let good = order(USER);
    let with = |change: &dyn Fn(&mut Order)| {
        let mut order = good.clone();
        change(&mut order);
        order
    };
    let payee = |id: &str, name: &str| {
        with(&|o| (o.payee_id, o.payee_name) = (id.to_owned(), name.to_owned()))
    };
    let cases: [(Order, Reason); 15] = [
        (with(&|o| o.amount_minor = 9), Reason::AmountLimit),
        (with(&|o| o.amount_minor = -100), Reason::AmountLimit),
        (with(&|o| o.amount_minor = 10_000_000_001), Reason::AmountLimit),
        (with(&|o| o.currency = "HKD".into()), Reason::InvalidArgument),
        (payee("", "张三"), Reason::AlipayNotBound),
        (payee("a@b.cn", ""), Reason::AlipayNotBound),
        (payee("13800138000", ""), Reason::AlipayNotBound),
        (payee("2088", "张三"), Reason::AlipayNotBound),
        (payee("23800138000", "张三"), Reason::AlipayNotBound),
        (payee("@b.cn", "张三"), Reason::AlipayNotBound),
        (payee("a@b@c", "张三"), Reason::AlipayNotBound),
        (payee("a b@c", "张三"), Reason::AlipayNotBound),
        (payee("张三", "张三"), Reason::AlipayNotBound),
        (payee(&"x".repeat(129), ""), Reason::AlipayNotBound),
        (payee(USER, "张\u{0}三"), Reason::AlipayNotBound),
    ];
    for (order, reason) in cases {
        let refused = rails.alipay.check(&order).err();
        assert_eq!(refused.as_ref().map(|failure| failure.reason), Some(reason), "{order:?}");
        assert_eq!(rails.alipay.prepare(&order).err(), refused);
        let told = refused.map(|failure| failure.to_string()).unwrap_or_default();
        assert!(!told.contains("张三") && !told.contains("138"), "{told}");
    }
    let number = Order { number: "a-b".to_owned(), ..order(USER) };
    assert!(rails.alipay.prepare(&number).is_err());
    Ok(())
}
