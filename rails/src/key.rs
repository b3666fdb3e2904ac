//! RSA keys: signing and verifying (SHA-256, PKCS#1 v1.5) and encrypting names (OAEP, SHA-1), as both
//! providers use them. A private key is never printed and never leaves but for `to_pem`.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeyPair, KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::Wrong;

/// Base64 in the standard alphabet with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of base64 in the standard alphabet.
///
/// # Errors
/// When it is not that.
pub fn from_base64(text: &str) -> Result<Vec<u8>, Wrong> {
    STANDARD.decode(text).map_err(|_| Wrong("not base64"))
}

/// The DER inside PEM, or inside base64 without any armour, as Alipay's key tool gives it.
pub(crate) fn der(text: &str) -> Result<Vec<u8>, Wrong> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    from_base64(&lines.collect::<String>())
}

/// A key of ours, or of a simulator: signs and decrypts.
pub struct PrivateKey {
    signing: KeyPair,
    decrypting: OaepPrivateDecryptingKey,
    pkcs8: Vec<u8>,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl PrivateKey {
    /// Reads PKCS#8 or PKCS#1, as PEM or as base64 without armour.
    ///
    /// # Errors
    /// When it is not an RSA private key of 2048 to 8192 bits.
    pub fn read(text: &str) -> Result<Self, Wrong> {
        let der = der(text)?;
        let pair = KeyPair::from_pkcs8(&der).or_else(|_| KeyPair::from_der(&der));
        Self::of(pair.map_err(|_| Wrong("not an RSA private key in PKCS#8 or PKCS#1"))?)
    }

    /// A new key of 2048 bits.
    ///
    /// # Errors
    /// When the machine has no randomness.
    pub fn generate() -> Result<Self, Wrong> {
        Self::of(KeyPair::generate(KeySize::Rsa2048).map_err(|_| Wrong("no key was generated"))?)
    }

    fn of(signing: KeyPair) -> Result<Self, Wrong> {
        let wrong = Wrong("not an RSA private key");
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&signing).map_err(|_| wrong.clone())?;
        let pkcs8 = pkcs8.as_ref().to_vec();
        let decrypting = PrivateDecryptingKey::from_pkcs8(&pkcs8).map_err(|_| wrong.clone())?;
        let decrypting = OaepPrivateDecryptingKey::new(decrypting).map_err(|_| wrong)?;
        Ok(Self { signing, decrypting, pkcs8 })
    }

    /// SHA256withRSA over the bytes, base64.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<String, Wrong> {
        let mut signature = vec![0; self.signing.public_modulus_len()];
        self.signing
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| Wrong("could not sign"))?;
        Ok(base64(&signature))
    }

    /// Decrypts base64 of RSAES-OAEP with SHA-1.
    ///
    /// # Errors
    /// When it was not encrypted for this key.
    pub fn decrypt(&self, ciphertext: &str) -> Result<Vec<u8>, Wrong> {
        let ciphertext = from_base64(ciphertext)?;
        let mut plaintext = vec![0; self.decrypting.min_output_size()];
        let plaintext = self
            .decrypting
            .decrypt(&OAEP_SHA1_MGF1SHA1, &ciphertext, &mut plaintext, None)
            .map_err(|_| Wrong("not encrypted for this key"))?;
        Ok(plaintext.to_vec())
    }

    /// The other half.
    ///
    /// # Errors
    /// When the library fails.
    pub fn public(&self) -> Result<PublicKey, Wrong> {
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(self.signing.public_key());
        PublicKey::from_der(spki.map_err(|_| Wrong("not a public key"))?.as_ref())
    }

    /// PKCS#8 as PEM: to be written into a file for its owner alone, and nowhere else.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem("PRIVATE KEY", &self.pkcs8)
    }
}

/// A key of the other side: verifies and encrypts.
pub struct PublicKey {
    verifying: ParsedPublicKey,
    encrypting: OaepPublicEncryptingKey,
    spki: Vec<u8>,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(..)")
    }
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo, as PEM or as base64 without armour.
    ///
    /// # Errors
    /// When it is not an RSA public key of 2048 to 8192 bits.
    pub fn read(text: &str) -> Result<Self, Wrong> {
        Self::from_der(&der(text)?)
    }

    /// A SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// As [`PublicKey::read`].
    pub fn from_der(spki: &[u8]) -> Result<Self, Wrong> {
        let wrong = Wrong("not an RSA public key of at least 2048 bits");
        let verifying = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, spki);
        let verifying = verifying.map_err(|_| wrong.clone())?;
        let encrypting = PublicEncryptingKey::from_der(spki).map_err(|_| wrong.clone())?;
        let encrypting = OaepPublicEncryptingKey::new(encrypting).map_err(|_| wrong)?;
        Ok(Self { verifying, encrypting, spki: spki.to_vec() })
    }

    /// Whether the base64 signature is one of this key over exactly these bytes.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let signature = from_base64(signature);
        signature.is_ok_and(|signature| self.verifying.verify_sig(message, &signature).is_ok())
    }

    /// RSAES-OAEP with SHA-1, base64: another text every time.
    ///
    /// # Errors
    /// When it is longer than 214 bytes (for 2048 bits).
    pub fn encrypt(&self, plaintext: &[u8]) -> Result<String, Wrong> {
        let mut ciphertext = vec![0; self.encrypting.ciphertext_size()];
        let ciphertext = self
            .encrypting
            .encrypt(&OAEP_SHA1_MGF1SHA1, plaintext, &mut ciphertext, None)
            .map_err(|_| Wrong("too long to be encrypted"))?;
        Ok(base64(ciphertext))
    }

    /// SubjectPublicKeyInfo as PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_again_in_every_form_and_prints_nothing() -> Result<(), Wrong> {
        let key = PrivateKey::generate()?;
        let bare: String = key.to_pem().lines().filter(|l| !l.starts_with('-')).collect();
        for text in [key.to_pem(), key.to_pem().replace('\n', "\r\n"), bare] {
            let again = PrivateKey::read(&text)?;
            assert!(key.public()?.verifies(b"text", &again.sign(b"text")?));
        }
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
        let public = PublicKey::read(&key.public()?.to_pem())?;
        assert_eq!(key.decrypt(&public.encrypt("张三".as_bytes())?)?, "张三".as_bytes());
        assert!(public.encrypt(&[b'x'; 215]).is_err());
        for wrong in ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
        {
            assert!(PrivateKey::read(wrong).is_err() && PublicKey::read(wrong).is_err());
        }
        Ok(())
    }
}
