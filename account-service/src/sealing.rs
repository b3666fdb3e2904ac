//! Sealing texts that are stored: AES-256-GCM, a fresh nonce for every text, each bound to the one place
//! where it belongs, so that a text that was moved or changed does not open.
//!
//! A sealed text is nonce, ciphertext and tag; which key sealed it is stored beside it. The first key
//! seals, every key opens: that is how keys are rotated. Must not know: databases, what the texts say,
//! where keys come from.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use cashout_common::number::{digest, hex};
use cashout_common::random::Random;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Sets these seals apart from everything else that one might seal with the same key.
const DOMAIN: &[u8] = b"cashout payee 1\0";

/// One key. Neither it nor its bytes can be printed.
pub struct Key {
    id: String,
    aead: LessSafeKey,
}

impl Key {
    /// A key of 32 random bytes. Its id is made of it one way: it tells whether two keys are the same
    /// and nothing else, and so is what a stored row is checked with at start.
    ///
    /// # Errors
    /// When the cipher does not take the key, which would be a defect.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Result<Self, Unsealed> {
        let id = hex(&digest(&[b"cashout payee key id", bytes])[..8]);
        let unbound = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| Unsealed::Broken)?;
        Ok(Self { id, aead: LessSafeKey::new(unbound) })
    }
}

/// Where a sealed text belongs. What is sealed for one place opens nowhere else; so neither a payee of
/// another person, nor an old one, nor an earlier time of binding can be put into a row.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Whose binding.
    pub user_id: i64,
    /// The method's number.
    pub method: i64,
    /// When it was bound, UTC microseconds.
    pub bound_at_us: i64,
}

impl Place {
    fn aad(&self, field: &str) -> Aad<Vec<u8>> {
        let mut text = DOMAIN.to_vec();
        for number in [self.user_id, self.method, self.bound_at_us] {
            text.extend(number.to_be_bytes());
        }
        // The numbers have a fixed length and the field comes last: no two places look alike.
        text.extend(field.as_bytes());
        Aad::from(text)
    }
}

/// Why a sealed text stays closed. It never says anything of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// Sealed with a key that is not among ours.
    #[error("sealed with the key {0}, which is not among ACCOUNT_PAYEE_KEY_FILES")]
    UnknownKey(String),
    /// Not sealed for this place with this key, or changed since.
    #[error("not sealed for this place, or changed since")]
    Broken,
}

/// The keys: the first one seals, all of them open.
#[derive(Clone)]
pub struct Keyring(Arc<[Key]>);

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.ids().join(", "))
    }
}

impl Keyring {
    /// A ring of one key or more; `None` of none, or when one of them comes twice.
    #[must_use]
    pub fn new(keys: Vec<Key>) -> Option<Self> {
        let mut ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let fine = !keys.is_empty() && ids.len() == keys.len();
        fine.then(|| Self(keys.into()))
    }

    /// The ids, the sealing key's first.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|key| key.id.as_str()).collect()
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn sealing_id(&self) -> &str {
        self.0.first().map_or("", |key| &key.id)
    }

    /// Seals a text for one field of a place.
    ///
    /// # Errors
    /// When the cipher fails, which would be a defect.
    pub fn seal(
        &self,
        place: &Place,
        field: &str,
        text: &str,
        random: &Random,
    ) -> Result<Vec<u8>, Unsealed> {
        let key = self.0.first().ok_or(Unsealed::Broken)?;
        let nonce = random.bytes::<NONCE_LEN>();
        let mut sealed = text.as_bytes().to_vec();
        key.aead
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                place.aad(field),
                &mut sealed,
            )
            .map_err(|_| Unsealed::Broken)?;
        sealed.splice(0..0, nonce);
        Ok(sealed)
    }

    /// Opens a text that was sealed for this field of this place.
    ///
    /// # Errors
    /// When its key is not here, or it is not what was sealed for this place.
    pub fn open(
        &self,
        key_id: &str,
        place: &Place,
        field: &str,
        sealed: &[u8],
    ) -> Result<String, Unsealed> {
        let key = self.0.iter().find(|key| key.id == key_id);
        let key = key.ok_or_else(|| Unsealed::UnknownKey(key_id.to_owned()))?;
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unsealed::Broken)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut rest = rest.to_vec();
        let opened = key.aead.open_in_place(nonce, place.aad(field), &mut rest);
        let length = opened.map_err(|_| Unsealed::Broken)?.len();
        rest.truncate(length);
        String::from_utf8(rest).map_err(|_| Unsealed::Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = Place { user_id: 7, method: 1, bound_at_us: 5 };

    fn ring(keys: &[u8]) -> anyhow::Result<Keyring> {
        let keys: Result<Vec<Key>, _> = keys.iter().map(|k| Key::new(&[*k; KEY_BYTES])).collect();
        Keyring::new(keys?).ok_or_else(|| anyhow::anyhow!("no ring"))
    }

    #[test]
    fn a_text_opens_only_where_it_belongs() -> anyhow::Result<()> {
        let (ring, random) = (ring(&[1])?, Random::seeded(1));
        let id = ring.sealing_id().to_owned();
        let sealed = ring.seal(&PLACE, "payee_id", "openid-1", &random)?;
        assert_eq!(ring.open(&id, &PLACE, "payee_id", &sealed), Ok("openid-1".to_owned()));
        for (place, field) in [
            (Place { user_id: 8, ..PLACE }, "payee_id"),
            (Place { method: 2, ..PLACE }, "payee_id"),
            (Place { bound_at_us: 4, ..PLACE }, "payee_id"),
            (PLACE, "real_name"),
            (PLACE, "payee_i"),
            (PLACE, ""),
        ] {
            let refused = ring.open(&id, &place, field, &sealed);
            assert_eq!(refused, Err(Unsealed::Broken), "{place:?} {field}");
        }
        Ok(())
    }

    #[test]
    fn a_text_with_any_bit_changed_or_cut_does_not_open() -> anyhow::Result<()> {
        let (ring, random) = (ring(&[1])?, Random::seeded(1));
        let id = ring.sealing_id().to_owned();
        for text in ["", "张三"] {
            let sealed = ring.seal(&PLACE, "real_name", text, &random)?;
            assert_eq!(ring.open(&id, &PLACE, "real_name", &sealed).as_deref(), Ok(text));
            for bit in 0..sealed.len() * 8 {
                let mut changed = sealed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let refused = ring.open(&id, &PLACE, "real_name", &changed);
                assert_eq!(refused, Err(Unsealed::Broken), "bit {bit}");
            }
            for length in 0..sealed.len() {
                let refused = ring.open(&id, &PLACE, "real_name", &sealed[..length]);
                assert_eq!(refused, Err(Unsealed::Broken), "cut to {length}");
            }
        }
        Ok(())
    }

    #[test]
    fn the_same_text_never_looks_the_same() -> anyhow::Result<()> {
        let (ring, random) = (ring(&[1])?, Random::seeded(1));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            assert!(seen.insert(ring.seal(&PLACE, "payee_id", "openid-1", &random)?));
        }
        Ok(())
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() -> anyhow::Result<()> {
        let random = Random::seeded(1);
        let (old, both, new) = (ring(&[1])?, ring(&[2, 1])?, ring(&[2])?);
        let (old_id, new_id) = (old.sealing_id().to_owned(), new.sealing_id().to_owned());
        let sealed = old.seal(&PLACE, "payee_id", "a", &random)?;
        assert_eq!(both.open(&old_id, &PLACE, "payee_id", &sealed), Ok("a".to_owned()));
        let unknown = new.open(&old_id, &PLACE, "payee_id", &sealed);
        assert_eq!(unknown, Err(Unsealed::UnknownKey(old_id)));
        // The id of another key does not help.
        let wrong = new.open(&new_id, &PLACE, "payee_id", &sealed);
        assert_eq!(wrong, Err(Unsealed::Broken));
        let sealed = both.seal(&PLACE, "payee_id", "b", &random)?;
        assert_eq!(new.open(&new_id, &PLACE, "payee_id", &sealed), Ok("b".to_owned()));
        Ok(())
    }

    #[test]
    fn a_ring_has_keys_that_differ_and_never_prints_them() -> anyhow::Result<()> {
        assert!(Keyring::new(vec![]).is_none());
        assert!(ring(&[1, 2, 1]).is_err());
        let told = format!("{:?}", ring(&[0xab, 2])?);
        assert!(!told.contains("abab"), "{told}");
        assert_eq!(told.matches(", ").count(), 1, "two ids: {told}");
        Ok(())
    }
}
