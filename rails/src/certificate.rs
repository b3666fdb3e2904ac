//! X.509 certificates as far as the providers use them: a public key, a serial number in two forms, and
//! whether one signed another.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use md5::{Digest, Md5};
use num_bigint::BigUint;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::BasicConstraints;

use crate::Wrong;
use crate::key::{PublicKey, base64, der};

/// Signature algorithms of RSA begin with this; the others of Alipay's root file are left out.
const RSA: &str = "1.2.840.113549.1.1";
/// sha256WithRSAEncryption.
const RSA_SHA256: &str = "1.2.840.113549.1.1.11";

/// One certificate.
#[derive(Debug, Clone)]
pub struct Certificate(x509_cert::Certificate);

impl Certificate {
    /// The first certificate of a PEM text.
    ///
    /// # Errors
    /// When there is none.
    pub fn read(text: &str) -> Result<Self, Wrong> {
        Self::read_all(text)?.into_iter().next().ok_or(Wrong("there is no certificate"))
    }

    /// All certificates of a PEM text, in its order.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn read_all(text: &str) -> Result<Vec<Self>, Wrong> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        let blocks = text.split(BEGIN).skip(1);
        let bodies = blocks.map(|block| block.split_once(END).map_or(block, |(body, _)| body));
        bodies
            .map(|body| {
                let read = x509_cert::Certificate::from_der(&der(body)?);
                read.map(Self).map_err(|_| Wrong("not a certificate"))
            })
            .collect()
    }

    /// The key it certifies.
    ///
    /// # Errors
    /// When it is not an RSA key.
    pub fn public_key(&self) -> Result<PublicKey, Wrong> {
        let spki = self.0.tbs_certificate().subject_public_key_info().to_der();
        PublicKey::from_der(&spki.map_err(|_| Wrong("a certificate without a key"))?)
    }

    /// The serial number in upper-case hex, two digits for each byte: WeChat Pay's `serial_no`.
    #[must_use]
    pub fn serial_hex(&self) -> String {
        self.serial().to_bytes_be().iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// Alipay's SN: MD5 of issuer and serial number, lower-case hex.
    #[must_use]
    pub fn alipay_sn(&self) -> String {
        let text = format!("{}{}", self.0.tbs_certificate().issuer(), self.serial());
        Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Not valid before and after, seconds since 1970.
    #[must_use]
    pub fn validity_s(&self) -> (i64, i64) {
        let validity = self.0.tbs_certificate().validity();
        let seconds = |time: &x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
        };
        (seconds(&validity.not_before), seconds(&validity.not_after))
    }

    /// Whether it may issue others: what it signed is worth something only then.
    #[must_use]
    pub fn is_authority(&self) -> bool {
        let constraints = self.0.tbs_certificate().get_extension::<BasicConstraints>();
        constraints.is_ok_and(|found| found.is_some_and(|(_, constraints)| constraints.ca))
    }

    /// Whether `issuer` signed it: the names fit and the signature is right.
    #[must_use]
    pub fn issued_by(&self, issuer: &Self) -> bool {
        let (own, theirs) = (self.0.tbs_certificate(), issuer.0.tbs_certificate());
        let algorithm = self.0.signature_algorithm().oid.to_string();
        // A merchant's certificate issues nothing. What stands outside the signed part is what is inside.
        let signed_as = own.signature() == self.0.signature_algorithm();
        let named = own.issuer() == theirs.subject();
        if !issuer.is_authority() || !named || !signed_as || algorithm != RSA_SHA256 {
            return false;
        }
        let (Ok(text), Ok(key)) = (own.to_der(), issuer.public_key()) else { return false };
        self.0.signature().as_bytes().is_some_and(|s| key.verifies(&text, &base64(s)))
    }

    /// Whether the same authority issued both. Alipay's own certificates and those it gives to merchants
    /// have one root and different authorities, so a chain to the root alone makes none Alipay's: the
    /// keys of merchants' certificates are in merchants' hands.
    #[must_use]
    pub fn shares_issuer_with(&self, other: &Self) -> bool {
        self.0.tbs_certificate().issuer() == other.0.tbs_certificate().issuer()
    }

    fn serial(&self) -> BigUint {
        BigUint::from_bytes_be(self.0.tbs_certificate().serial_number().as_bytes())
    }
}

/// Alipay's SN of a root file: the SNs of its RSA certificates, joined by `_`.
#[must_use]
pub fn alipay_root_sn(roots: &[Certificate]) -> String {
    let rsa = |c: &&Certificate| c.0.signature_algorithm().oid.to_string().starts_with(RSA);
    roots.iter().filter(rsa).map(Certificate::alipay_sn).collect::<Vec<_>>().join("_")
}

/// SHA-1 in hex: WeChat Pay's hash of a bill.
#[must_use]
pub fn sha1_hex(bytes: &[u8]) -> String {
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
