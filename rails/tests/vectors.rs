//! Published vectors pass through the crate's own doors, and each of them with one byte changed fails.
//!
//! The vectors (`tests/vectors/*.json`) were published by the providers; each names its source. Two of
//! the keys in them have 16 bytes, as wechatpay-go's tests do.

mod support;

use rails::alipay;
use rails::certificate::Certificate;
use rails::key::{PublicKey, from_base64};
use rails::seal::ApiKey;
use rails::wechat::{Authorization, SCHEME, answer_text, request_text};
use serde_json::Value;

use support::{Failed, changes, shifted, text, vector};

/// One signature, by whom, over what.
struct Signed {
    name: &'static str,
    key: PublicKey,
    message: Vec<u8>,
    signature: String,
}

fn signed() -> Result<Vec<Signed>, Failed> {
    let mut all = Vec::new();
    for (name, key, message, signature) in [
        ("wx_request_sign_post", "public_key_spki_pem", "message", "expected_signature_b64"),
        ("wx_jsapi_paysign", "public_key_spki_pem", "message", "expected_signature_b64"),
        ("wx_app_paysign", "public_key_spki_pem", "message", "expected_signature_b64"),
        ("wx_response_verify", "public_key_pem", "message", "signature_b64"),
        ("wx_go_sha256rsa_sign", "public_key_spki_pem", "message", "expected_signature_b64"),
        ("wx_go_cert_verify", "certificate_pem", "message", "signature_b64"),
        ("alipay_gateway_response_real", "alipay_public_key_spki_b64", "signed_string", "sign"),
    ] {
        let vector = vector(name)?;
        let pem = text(&vector, key)?;
        let key = match Certificate::read(&pem) {
            Ok(certificate) => certificate.public_key()?,
            Err(_) => PublicKey::read(&pem)?,
        };
        let (message, signature) = (text(&vector, message)?, text(&vector, signature)?);
        all.push(Signed { name, key, message: message.into_bytes(), signature });
    }
    let vector = vector("wx_go_notification_full")?;
    let certificate = Certificate::read(&text(&vector, "certificate_pem")?)?;
    let header = |name: &str| text(&vector["headers"], name);
    let body = text(&vector, "body")?;
    assert_eq!(certificate.serial_hex(), header("Wechatpay-Serial")?);
    all.push(Signed {
        name: "wx_go_notification_full",
        key: certificate.public_key()?,
        message: answer_text(
            &header("Wechatpay-Timestamp")?,
            &header("Wechatpay-Nonce")?,
            body.as_bytes(),
        ),
        signature: header("Wechatpay-Signature")?,
    });
    Ok(all)
}

#[test]
fn every_published_signature_verifies_and_none_with_a_byte_of_its_text_changed()
-> Result<(), Failed> {
    for Signed { name, key, message, signature } in signed()? {
        assert!(key.verifies(&message, &signature), "{name}");
        for (at, changed) in changes(&message) {
            assert!(!key.verifies(&changed, &signature), "{name}: byte {at} of the text");
        }
        let shorter = message.split_last().map(|(_, rest)| rest).unwrap_or_default();
        assert!(!key.verifies(shorter, &signature), "{name}: a text that lost its end");
        assert!(!key.verifies(&[&message, &b"\n"[..]].concat(), &signature), "{name}: longer");
    }
    Ok(())
}

#[test]
fn every_published_signature_fails_with_a_byte_of_itself_changed() -> Result<(), Failed> {
    for Signed { name, key, message, signature } in signed()? {
        for (at, changed) in changes(&from_base64(&signature)?) {
            let changed = rails::key::base64(&changed);
            assert!(!key.verifies(&message, &changed), "{name}: byte {at} of the signature");
        }
        // The same in its written form: another letter, and letters that are none.
        for at in 0..signature.len() {
            for other in shifted(&signature, at) {
                assert!(!key.verifies(&message, &other), "{name}: letter {at} of the signature");
            }
        }
        for other in [String::new(), signature.clone() + "\n", signature.repeat(2)] {
            assert!(!key.verifies(&message, &other), "{name}: {} letters", other.len());
        }
    }
    Ok(())
}

#[test]
fn another_key_verifies_none_of_them() -> Result<(), Failed> {
    let all = signed()?;
    for one in &all {
        for other in all.iter().filter(|other| other.key.to_pem() != one.key.to_pem()) {
            assert!(
                !other.key.verifies(&one.message, &one.signature),
                "{} {}",
                one.name,
                other.name
            );
        }
    }
    Ok(())
}

#[test]
fn the_texts_that_wechat_pay_signs_are_made_as_published() -> Result<(), Failed> {
    let request = vector("wx_request_sign_post")?;
    let message = text(&request, "message")?;
    let body = message.lines().nth(4).ok_or("no body")?;
    let target = "/v3/pay/transactions/jsapi";
    let nonce = "593BEC0C930BF1AFEB40B4A08C8FB242";
    let made = request_text("POST", target, "1554208460", nonce, body.as_bytes());
    assert_eq!(String::from_utf8(made)?, message);

    let header = text(&request, "expected_authorization")?;
    let read: Authorization = header.parse()?;
    assert_eq!(read.signature, text(&request, "expected_signature_b64")?);
    assert_eq!((read.mchid.as_str(), read.nonce.as_str()), ("1900007291", nonce));
    assert_eq!(read.to_string(), header);

    let answer = vector("wx_response_verify")?;
    let part = |name: &str| text(&answer["headers"], name);
    let made = answer_text(
        &part("Wechatpay-Timestamp")?,
        &part("Wechatpay-Nonce")?,
        text(&answer, "body")?.as_bytes(),
    );
    assert_eq!(String::from_utf8(made)?, text(&answer, "message")?);
    Ok(())
}

#[test]
fn an_authorization_header_that_is_not_whole_is_refused() -> Result<(), Failed> {
    let header = text(&vector("wx_request_sign_post")?, "expected_authorization")?;
    let parts: Vec<&str> = header[SCHEME.len() + 1..].split(',').collect();
    for left_out in 0..parts.len() {
        let mut fewer = parts.clone();
        let part = fewer.remove(left_out);
        assert!(format!("{SCHEME} {}", fewer.join(",")).parse::<Authorization>().is_err());
        let twice = format!("{SCHEME} {},{part}", parts.join(","));
        assert!(twice.parse::<Authorization>().is_err(), "{part} twice");
        let name = part.split('=').next().unwrap_or_default();
        let empty = format!("{name}=\"\"");
        fewer.insert(left_out, &empty);
        let emptied = format!("{SCHEME} {}", fewer.join(","));
        assert!(emptied.parse::<Authorization>().is_err(), "{emptied}");
    }
    let mut turned = parts;
    turned.reverse();
    assert!(format!("{SCHEME} {}", turned.join(",")).parse::<Authorization>().is_ok());
    for wrong in [header.replace("SHA256", "SHA1"), header.replace('"', ""), String::new()] {
        assert!(wrong.parse::<Authorization>().is_err(), "{wrong}");
    }
    Ok(())
}

/// Something sealed, and what it says.
struct Sealed {
    name: &'static str,
    key: Vec<u8>,
    nonce: String,
    aad: String,
    ciphertext: String,
    plaintext: String,
}

fn sealed() -> Result<Vec<Sealed>, Failed> {
    let mut all = Vec::new();
    for name in ["wx_go_aes_gcm_16byte_key", "wx_java_aes256_gcm", "wx_java_certificates_response"]
    {
        let vector = vector(name)?;
        all.push(Sealed {
            name,
            key: text(&vector, "key")?.into_bytes(),
            nonce: text(&vector, "nonce")?,
            aad: text(&vector, "associated_data")?,
            ciphertext: text(&vector, "ciphertext_b64")?,
            plaintext: text(&vector, "plaintext")?,
        });
    }
    let vector = vector("wx_go_notification_full")?;
    let body: Value = serde_json::from_str(&text(&vector, "body")?)?;
    let resource = &body["resource"];
    all.push(Sealed {
        name: "wx_go_notification_full",
        // The vector says so in words: 16 bytes, then a remark.
        key: text(&vector, "apiv3_key")?.split(' ').next().unwrap_or_default().into(),
        nonce: text(resource, "nonce")?,
        aad: text(resource, "associated_data")?,
        ciphertext: text(resource, "ciphertext")?,
        plaintext: text(&vector, "plaintext")?,
    });
    Ok(all)
}

#[test]
fn everything_published_as_sealed_opens_and_seals_the_same_again() -> Result<(), Failed> {
    for Sealed { name, key, nonce, aad, ciphertext, plaintext } in sealed()? {
        let key = ApiKey::of_any_length(&key)?;
        assert_eq!(key.open(&nonce, &aad, &ciphertext)?, plaintext.as_bytes(), "{name}");
        assert_eq!(key.seal(&nonce, &aad, plaintext.as_bytes())?, ciphertext, "{name}");
    }
    Ok(())
}

#[test]
fn nothing_sealed_opens_with_a_byte_changed_anywhere() -> Result<(), Failed> {
    for Sealed { name, key: bytes, nonce, aad, ciphertext, .. } in sealed()? {
        let key = ApiKey::of_any_length(&bytes)?;
        for (at, changed) in changes(&from_base64(&ciphertext)?) {
            let changed = rails::key::base64(&changed);
            assert!(key.open(&nonce, &aad, &changed).is_err(), "{name}: ciphertext {at}");
        }
        for at in 0..ciphertext.len() {
            for other in shifted(&ciphertext, at) {
                assert!(key.open(&nonce, &aad, &other).is_err(), "{name}: letter {at}");
            }
        }
        for at in 0..nonce.len() {
            for other in shifted(&nonce, at) {
                assert!(key.open(&other, &aad, &ciphertext).is_err(), "{name}: nonce {at}");
            }
        }
        for at in 0..aad.len() {
            for other in shifted(&aad, at) {
                assert!(key.open(&nonce, &other, &ciphertext).is_err(), "{name}: aad {at}");
            }
        }
        for (at, changed) in changes(&bytes) {
            let other = ApiKey::of_any_length(&changed)?;
            assert!(other.open(&nonce, &aad, &ciphertext).is_err(), "{name}: key {at}");
        }
        let short = nonce.get(1..).unwrap_or_default();
        for other in ["", short, &format!("{nonce}0")] {
            assert!(key.open(other, &aad, &ciphertext).is_err(), "{name}: {} bytes", other.len());
        }
        for other in [String::new(), rails::key::base64(&[0; 15]), "?".to_owned()] {
            assert!(key.open(&nonce, &aad, &other).is_err(), "{name}: too short to be sealed");
        }
    }
    Ok(())
}

#[test]
fn only_a_key_of_32_letters_and_digits_is_an_apiv3_key() {
    for wrong in ["", "testAPIv3Key0000", &"k".repeat(31), &"k".repeat(33), &"\u{e9}".repeat(16)] {
        assert!(ApiKey::read(wrong).is_err(), "{wrong}");
    }
    assert!(ApiKey::read(&"k".repeat(32)).is_ok());
    for length in [0, 1, 15, 17, 24, 31, 33] {
        assert!(ApiKey::of_any_length(&vec![b'k'; length]).is_err(), "{length}");
    }
}

#[test]
fn a_real_answer_of_alipay_is_taken_apart_and_no_byte_of_it_can_change() -> Result<(), Failed> {
    let vector = vector("alipay_gateway_response_real")?;
    let key = PublicKey::read(&text(&vector, "alipay_public_key_spki_b64")?)?;
    let raw = text(&vector, "raw_response")?;
    let method = "alipay.open.file.upload";
    let answer = alipay::answer(&raw, method)?;
    assert_eq!(answer.node, text(&vector, "signed_string")?);
    assert_eq!((answer.sign, answer.cert_sn), (text(&vector, "sign")?.as_str(), ""));
    assert!(!answer.error && key.verifies(answer.node.as_bytes(), answer.sign));
    for (at, changed) in changes(raw.as_bytes()) {
        let Ok(changed) = String::from_utf8(changed) else { continue };
        let Ok(answer) = alipay::answer(&changed, method) else { continue };
        let verifies = key.verifies(answer.node.as_bytes(), answer.sign);
        assert!(!verifies, "byte {at}: {changed}");
    }
    Ok(())
}
