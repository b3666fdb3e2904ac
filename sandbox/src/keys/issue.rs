//! Makes the keys and certificates of a key directory. Must not know: where they are kept, what for.

use cashout_common::random::Random;
use rails::key::PrivateKey;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    SerialNumber, date_time_ymd,
};

use super::MARK;

/// A certificate and its key, as PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Who issues: a root and what it signs with.
pub struct Authority {
    issued: Issued,
    params: CertificateParams,
}

impl Authority {
    /// A root of its own; `None` as issuer makes it sign itself.
    ///
    /// # Errors
    /// When the library fails.
    pub fn new(name: &str, random: &Random, issuer: Option<&Self>) -> anyhow::Result<Self> {
        let key = PrivateKey::generate()?.to_pem();
        let mut params = params(name, random)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = certify(&params, &key, issuer)?;
        Ok(Self { issued: Issued { certificate, key }, params })
    }

    /// Its certificate, as PEM.
    pub fn certificate(&self) -> &str {
        &self.issued.certificate
    }

    /// A certificate for `name` with a new key.
    ///
    /// # Errors
    /// When the library fails.
    pub fn issue(&self, name: &str, random: &Random) -> anyhow::Result<Issued> {
        let key = PrivateKey::generate()?.to_pem();
        let certificate = certify(&params(name, random)?, &key, Some(self))?;
        Ok(Issued { certificate, key })
    }
}

/// A root with an elliptic key, which an RSA client skips: the real root file has such ones.
///
/// # Errors
/// When the library fails.
pub fn elliptic_root(random: &Random) -> anyhow::Result<String> {
    let key = KeyPair::generate()?;
    Ok(params("Elliptic Root", random)?.self_signed(&key)?.pem())
}

fn params(name: &str, random: &Random) -> anyhow::Result<CertificateParams> {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CountryName, "CN");
    subject.push(DnType::OrganizationName, MARK);
    // The real ones have one, and some clients number certificates by exactly these four.
    subject.push(DnType::OrganizationalUnitName, "Certification Authority");
    subject.push(DnType::CommonName, name);
    let mut serial: [u8; 20] = random.bytes();
    // Positive, and of 40 hex digits as the real ones.
    serial[0] = (serial[0] & 0x3f) | 0x40;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = subject;
    params.serial_number = Some(SerialNumber::from(serial.to_vec()));
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    Ok(params)
}

fn certify(
    params: &CertificateParams,
    key: &str,
    issuer: Option<&Authority>,
) -> anyhow::Result<String> {
    let key = KeyPair::from_pem(key)?;
    let made = match issuer {
        None => params.self_signed(&key)?,
        Some(issuer) => {
            let signer = KeyPair::from_pem(&issuer.issued.key)?;
            params.signed_by(&key, &Issuer::from_params(&issuer.params, signer))?
        }
    };
    Ok(made.pem())
}
