//! A real notification of Alipay as published: read from a form, verified over its bytes, and worth
//! nothing with one byte of any parameter changed.

#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rails::alipay::{Parameters, parameters, signed_text, value};
use rails::key::PublicKey;

use support::{Failed, changes, text, vector};

const NAME: &str = "alipay_notify_trade_status_sync_v1";
/// What the signature leaves out ("V1").
const LEFT_OUT: &[&str] = &["sign", "sign_type"];

fn form(parameters: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let encoded = |bytes: &[u8]| percent_encode(bytes, NON_ALPHANUMERIC).to_string();
    let pairs =
        parameters.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value)));
    pairs.collect::<Vec<_>>().join("&").into_bytes()
}

/// The notification in the order of the vector, and the key.
fn given() -> Result<(Parameters, PublicKey), Failed> {
    let vector = vector(NAME)?;
    let fields = vector["form_params_decoded"].as_object().ok_or("no fields")?;
    let mut all = Parameters::new();
    for name in fields.keys() {
        let value = text(&vector["form_params_decoded"], name)?;
        all.push((name.clone().into_bytes(), value.into_bytes()));
    }
    Ok((all, PublicKey::read(&text(&vector, "alipay_public_key_spki_b64")?)?))
}

fn verifies(key: &PublicKey, parameters: &[(Vec<u8>, Vec<u8>)]) -> bool {
    let sign = String::from_utf8_lossy(value(parameters, "sign")).into_owned();
    key.verifies(&signed_text(parameters, LEFT_OUT), &sign)
}

#[test]
fn the_published_notification_verifies_over_its_bytes_in_any_order() -> Result<(), Failed> {
    let (given, key) = given()?;
    let mut read = parameters(&form(&given));
    assert_eq!(read, given);
    let expected = text(&vector(NAME)?, "signed_string")?;
    assert_eq!(String::from_utf8(signed_text(&read, LEFT_OUT))?, expected);
    assert!(verifies(&key, &read));
    read.reverse();
    assert!(verifies(&key, &read));
    assert!(
        !key.verifies(
            &signed_text(&read, &["sign"]),
            &String::from_utf8_lossy(value(&read, "sign"))
        )
    );
    Ok(())
}

#[test]
fn one_byte_of_any_parameter_changed_and_it_is_a_forgery() -> Result<(), Failed> {
    let (given, key) = given()?;
    for at in 0..given.len() {
        let name = String::from_utf8_lossy(&given[at].0).into_owned();
        if name == "sign_type" {
            continue;
        }
        for (byte, changed) in changes(&given[at].1) {
            let mut forged = given.clone();
            forged[at].1 = changed;
            assert!(!verifies(&key, &parameters(&form(&forged))), "{name}: byte {byte}");
        }
        let mut forged = given.clone();
        forged.remove(at);
        assert!(!verifies(&key, &forged), "without {name}");
    }
    let mut more = given;
    more.push((b"trade_status2".to_vec(), b"x".to_vec()));
    assert!(!verifies(&key, &more));
    Ok(())
}

#[test]
fn a_parameter_split_in_two_has_no_value() -> Result<(), Failed> {
    // The signed text of `a=1&b=2` is also that of one parameter `a` with the value `1&b=2`, so the
    // signature alone tells nothing about names.
    let (given, key) = given()?;
    let told = signed_text(&given, LEFT_OUT);
    let (name, rest) = (&told[..6], &told[7..]);
    assert_eq!(name, b"app_id");
    let sign = (b"sign".to_vec(), value(&given, "sign").to_vec());
    let merged = vec![(name.to_vec(), rest.to_vec()), sign.clone()];
    assert!(verifies(&key, &parameters(&form(&merged))), "the scheme itself is so");
    assert_ne!(value(&merged, "app_id"), value(&given, "app_id"), "and this is what is looked at");
    let twice = vec![sign.clone(), sign, (b"a".to_vec(), b"1".to_vec())];
    assert_eq!(value(&twice, "sign"), b"");
    Ok(())
}
