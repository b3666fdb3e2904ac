//! Numbers that people, partners and JavaScript see. Must not know: where they are stored.

use sha2::{Digest, Sha256};

/// The largest id a JavaScript client reads exactly.
pub const MAX_ID: i64 = (1 << 53) - 1;

/// Reads a user or object id from decimal text: ASCII digits, no sign, no leading zero, 1 to 2^53-1.
#[must_use]
pub fn parse_id(text: &str) -> Option<i64> {
    let plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|id| plain && (1..=MAX_ID).contains(id))
}

/// SHA-256 over parts, each preceded by its length so that no two lists of parts look alike.
#[must_use]
pub fn digest(parts: &[&[u8]]) -> [u8; 32] {
    digest_of(parts.iter().copied())
}

/// [`digest`], of parts that are nowhere together.
#[must_use]
pub fn digest_of<'p>(parts: impl Iterator<Item = &'p [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_decimals_below_two_to_53() {
        assert_eq!(parse_id("7"), Some(7));
        assert_eq!(parse_id("9007199254740991"), Some(MAX_ID));
        for bad in [
            "",
            "0",
            "07",
            "-7",
            "+7",
            "7 ",
            "７",
            "9007199254740992",
            "1e3",
            "99999999999999999999",
        ] {
            assert_eq!(parse_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn digests_tell_where_parts_end() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_eq!(hex(&[0, 255]), "00ff");
    }
}
