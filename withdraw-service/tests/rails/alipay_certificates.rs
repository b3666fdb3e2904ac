//! Alipay signs with a certificate we do not have yet: it is asked for, and believed only when it comes
//! from the configured roots.

use std::time::Duration;

use rails::certificate::Certificate;
use rails::key::base64;
use serde_json::json;
use withdraw_service::ports::{Answer, Provider};

use crate::alipay_calls::{QUERY, SEND};
use crate::keys::{Certified, channels, keys, rails_of};
use crate::peer::{Act, Peer, Seen, http, order, request};

/// The outcomes of two questions, and how often a certificate was asked for.
type Told = (Vec<&'static str>, usize);

/// Alipay signing with `signer`, and telling `content` when it is asked for a certificate.
async fn outcomes(
    signer: &'static Certified,
    content: String,
    cert_file: &str,
) -> anyhow::Result<Told> {
    outcomes_after(Duration::ZERO, signer, content, cert_file).await
}

/// The same, with a pause before the second question.
async fn outcomes_after(
    pause: Duration,
    signer: &'static Certified,
    content: String,
    cert_file: &str,
) -> anyhow::Result<Told> {
    let sn = Certificate::read(&signer.pem)?.alipay_sn();
    let script = move |seen: &Seen| {
        let ok = |body: String| Act::Say(http(200, &[], body.as_bytes()));
        if seen.target.contains("alipaycert.download") {
            let node = json!({ "code": "10000", "alipay_cert_content": content });
            return ok(format!(r#"{{"alipay_open_app_alipaycert_download_response":{node}}}"#));
        }
        let root = if seen.target.contains("uni.transfer") { SEND } else { QUERY };
        let node = json!({
            "code": "10000", "out_biz_no": "P20260303000000000001", "order_id": "1",
            "status": "SUCCESS", "trans_amount": "3000.00",
        })
        .to_string();
        let sign = signer.key.sign(node.as_bytes()).unwrap_or_default();
        ok(format!(r#"{{"{root}":{node},"alipay_cert_sn":"{sn}","sign":"{sign}"}}"#))
    };
    let peer = Peer::start(script).await?;
    let mut set = keys()?.settings(&peer.url);
    set.push(("ALIPAY_CERT_FILES", keys()?.path(cert_file).display().to_string()));
    let rails = rails_of(&channels(&set)?)?;
    let order = order("2088123456781234");
    let request = request(&order, rails.alipay.prepare(&order)?);
    let mut told: Vec<Answer> = Vec::new();
    for _ in 0..2 {
        told.push(rails.alipay.query(request.clone()).await);
        rails.clock.advance(pause);
    }
    let downloads = peer.seen().iter().filter(|s| s.target.contains("alipaycert")).count();
    Ok((told.iter().map(Answer::outcome).collect(), downloads))
}

#[tokio::test]
async fn a_new_certificate_of_alipay_is_fetched_once() -> anyhow::Result<()> {
    let keys = keys()?;
    let next = &keys.alipay_next;
    let chain = base64(format!("{}{}", next.pem, keys.issuer_pem).as_bytes());
    let alone = base64(next.pem.as_bytes());
    let paid = (vec!["paid", "paid"], 1);
    assert_eq!(outcomes(next, chain, "alipay_cert.pem").await?, paid);
    // What stood behind the configured certificate may close the chain.
    assert_eq!(outcomes(next, alone, "alipay_chain.pem").await?, paid);
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_is_believed_until_it_or_one_behind_it_ends() -> anyhow::Result<()> {
    let keys = keys()?;
    let (brief, next) = (&keys.alipay_brief, &keys.alipay_next);
    let chain = |own: &str, issuer: &str| base64(format!("{own}{issuer}").as_bytes());
    for (case, signer, content) in [
        ("itself", brief, chain(&brief.pem, &keys.issuer_pem)),
        ("its issuer", next, chain(&next.pem, &keys.issuer_brief_pem)),
    ] {
        // Their midnight is twenty hours after noon.
        for (hours, expected) in
            [(19, (vec!["paid", "paid"], 1)), (21, (vec!["paid", "unknown"], 2))]
        {
            let pause = Duration::from_secs(hours * 3600);
            let told = outcomes_after(pause, signer, content.clone(), "alipay_cert.pem").await?;
            assert_eq!(told, expected, "{case} after {hours} hours");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_does_not_come_from_the_roots_is_refused_and_not_asked_for_again()
-> anyhow::Result<()> {
    let keys = keys()?;
    let (next, false_one) = (&keys.alipay_next, &keys.alipay_false);
    let pem = |parts: &[&str]| base64(parts.concat().as_bytes());
    let refused = (vec!["unknown", "unknown"], 1);
    for (case, signer, content) in [
        ("its issuer is not known", next, pem(&[&next.pem])),
        ("another certificate", next, pem(&[&keys.alipay.pem, &keys.issuer_pem])),
        (
            "its issuer may issue nothing",
            false_one,
            pem(&[&false_one.pem, &keys.app.pem, &keys.issuer_pem]),
        ),
        (
            "a merchant's, from another authority under the same root",
            &keys.sister,
            pem(&[&keys.sister.pem, &keys.sister_issuer_pem]),
        ),
        ("not a certificate", next, pem(&["hello"])),
        ("not base64", next, "?".to_owned()),
        ("nothing", next, String::new()),
    ] {
        assert_eq!(outcomes(signer, content, "alipay_cert.pem").await?, refused, "{case}");
    }
    Ok(())
}
