//! AES-GCM as WeChat Pay uses it for notifications and certificates: key and nonce are texts.

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::Wrong;
use crate::key::{base64, from_base64};

/// A merchant's APIv3 key: the 32 ASCII characters set at the provider. Never printed.
pub struct ApiKey(LessSafeKey);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

impl ApiKey {
    /// An APIv3 key of 32 characters.
    ///
    /// # Errors
    /// When it has another length.
    pub fn read(text: &str) -> Result<Self, Wrong> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Wrong("an APIv3 key has 32 letters and digits"));
        }
        Self::of_any_length(text.as_bytes())
    }

    /// A key of 16 or 32 bytes: a published vector has 16.
    ///
    /// # Errors
    /// When it has another length.
    pub fn of_any_length(key: &[u8]) -> Result<Self, Wrong> {
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let key = UnboundKey::new(algorithm, key).map_err(|_| Wrong("a key of a wrong length"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Opens base64 of ciphertext and tag.
    ///
    /// # Errors
    /// When anything of it was changed, or the nonce has not 12 bytes.
    pub fn open(&self, nonce: &str, aad: &str, ciphertext: &str) -> Result<Vec<u8>, Wrong> {
        let mut bytes = from_base64(ciphertext)?;
        let opened = self.0.open_in_place(nonce_of(nonce)?, Aad::from(aad), &mut bytes);
        let length = opened.map_err(|_| Wrong("not sealed with this key"))?.len();
        bytes.truncate(length);
        Ok(bytes)
    }

    /// What the provider does; here for a simulator.
    ///
    /// # Errors
    /// When the nonce has not 12 bytes.
    pub fn seal(&self, nonce: &str, aad: &str, plaintext: &[u8]) -> Result<String, Wrong> {
        let mut bytes = plaintext.to_vec();
        self.0
            .seal_in_place_append_tag(nonce_of(nonce)?, Aad::from(aad), &mut bytes)
            .map_err(|_| Wrong("could not seal"))?;
        Ok(base64(&bytes))
    }
}

fn nonce_of(text: &str) -> Result<Nonce, Wrong> {
    Nonce::try_assume_unique_for_key(text.as_bytes()).map_err(|_| Wrong("a nonce has 12 bytes"))
}
