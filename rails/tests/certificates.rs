//! The published certificates: their serial numbers in both forms, and what a changed byte does.

#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use rails::certificate::{Certificate, alipay_root_sn};
use rails::key::from_base64;

use support::{Failed, changes, text, vector};

fn der(pem: &str) -> Result<Vec<u8>, Failed> {
    let lines = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    Ok(from_base64(&lines.collect::<String>())?)
}

fn pem(der: &[u8]) -> String {
    let body = rails::key::base64(der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

const ALIPAY: [&str; 2] = [
    "alipay_cert_sn_appCertPublicKey_2021001161683774.crt",
    "alipay_cert_sn_alipayCertPublicKey_RSA2.crt",
];

#[test]
fn certificates_have_the_published_serial_numbers() -> Result<(), Failed> {
    for name in ALIPAY {
        let vector = vector(name)?;
        let certificate = Certificate::read(&text(&vector, "pem")?)?;
        assert_eq!(certificate.alipay_sn(), text(&vector, "expected_sn")?, "{name}");
        certificate.public_key()?;
    }
    let vector_of = |name, pem: &str, serial: &str| -> Result<(Certificate, String), Failed> {
        let vector = vector(name)?;
        Ok((Certificate::read(&text(&vector, pem)?)?, text(&vector, serial)?))
    };
    for (name, pem, serial) in [
        ("wx_go_cert_verify", "certificate_pem", "serial_hex_upper"),
        ("wx_java_certificates_response", "plaintext", "expected_serial"),
    ] {
        let (certificate, expected) = vector_of(name, pem, serial)?;
        assert_eq!(certificate.serial_hex(), expected, "{name}");
        let (from, until) = certificate.validity_s();
        assert!(0 < from && from < until, "{name}");
    }
    let root = vector("alipay_root_cert_sn")?;
    let roots = Certificate::read_all(&text(&root, "pem")?)?;
    assert_eq!(roots.len(), 4);
    assert_eq!(alipay_root_sn(&roots), text(&root, "expected_root_sn")?);
    Ok(())
}

/// Where `part` stands in `whole`.
fn places(whole: &[u8], part: &[u8]) -> Vec<usize> {
    (0..whole.len()).filter(|at| whole[*at..].starts_with(part)).collect()
}

#[test]
fn a_changed_byte_of_issuer_or_serial_number_is_another_number() -> Result<(), Failed> {
    for name in ALIPAY {
        let vector = vector(name)?;
        let (bytes, sn) = (der(&text(&vector, "pem")?)?, text(&vector, "expected_sn")?);
        // The serial number of 16 bytes comes right after the version; the issuer's name ends in R1.
        let mut decisive: Vec<usize> = (15..31).collect();
        let issuer = places(&bytes, b"Ant Financial Certification Authority Class");
        let from = *issuer.first().ok_or("no issuer")?;
        decisive.extend(from..from + 40);
        for (at, changed) in changes(&bytes) {
            let Ok(certificate) = Certificate::read(&pem(&changed)) else { continue };
            let same = certificate.alipay_sn() == sn;
            assert!(!same || !decisive.contains(&at), "{name}: byte {at} of the certificate");
        }
    }
    Ok(())
}

#[test]
fn a_root_signed_itself_and_no_byte_of_it_can_change() -> Result<(), Failed> {
    let roots = Certificate::read_all(&text(&vector("alipay_root_cert_sn")?, "pem")?)?;
    let own: Vec<bool> = roots.iter().map(|root| root.issued_by(root)).collect();
    // The others are SM2, ECDSA and RSA with SHA-1.
    assert_eq!(own, [false, true, false, false]);
    let text = text(&vector("alipay_root_cert_sn")?, "pem")?;
    let blocks = text.split("-----END CERTIFICATE-----").nth(1).ok_or("no second one")?;
    let bytes = der(blocks)?;
    let root = Certificate::read(&pem(&bytes))?;
    assert!(root.issued_by(&root));
    for (at, changed) in changes(&bytes) {
        let Ok(changed) = Certificate::read(&pem(&changed)) else { continue };
        assert!(!changed.issued_by(&root), "byte {at}");
    }
    Ok(())
}

#[test]
fn who_is_not_the_issuer_did_not_issue() -> Result<(), Failed> {
    let root = text(&vector("alipay_root_cert_sn")?, "pem")?;
    let roots = Certificate::read_all(&root)?;
    for name in ALIPAY {
        let leaf = Certificate::read(&text(&vector(name)?, "pem")?)?;
        // Both were issued by an authority between them and the root.
        assert!(roots.iter().all(|root| !leaf.issued_by(root)), "{name}");
        assert!(!leaf.issued_by(&leaf), "{name}");
    }
    let [merchant, alipay] = ALIPAY.map(|name| vector(name).and_then(|v| text(&v, "pem")));
    let (merchant, alipay) = (Certificate::read(&merchant?)?, Certificate::read(&alipay?)?);
    assert!(alipay.shares_issuer_with(&alipay) && !alipay.shares_issuer_with(&merchant));
    for wrong in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "no armour"] {
        assert!(Certificate::read(wrong).is_err(), "{wrong}");
    }
    Ok(())
}

#[test]
fn a_certificate_that_may_not_issue_is_no_link_of_a_chain() -> Result<(), Failed> {
    let vector = vector("wx_go_cert_verify")?;
    let own = text(&vector, "certificate_pem")?;
    let certificate = Certificate::read(&own)?;
    // It signed itself; whether that counts depends on one flag.
    let flag = places(&der(&own)?, &[0x06, 0x03, 0x55, 0x1D, 0x13]);
    assert_eq!(certificate.issued_by(&certificate), !flag.is_empty());
    Ok(())
}
