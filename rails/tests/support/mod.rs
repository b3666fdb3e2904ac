//! Reading the published vectors, and changing one byte of something.

use std::fmt;

use serde_json::Value;

/// Why a test could not be carried out.
pub struct Failed(String);

impl fmt::Debug for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: fmt::Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// The published vector of that name.
pub fn vector(name: &str) -> Result<Value, Failed> {
    let files = [include_str!("../vectors/wechat.json"), include_str!("../vectors/alipay.json")];
    for file in files {
        let all: Vec<Value> = serde_json::from_str(file)?;
        if let Some(found) = all.into_iter().find(|one| one["name"] == name) {
            return Ok(found);
        }
    }
    Err(format!("there is no vector {name}").into())
}

/// A text inside a vector.
pub fn text(vector: &Value, name: &str) -> Result<String, Failed> {
    let found = vector[name].as_str().map(str::to_owned);
    found.ok_or_else(|| format!("{} has no {name}", vector["name"]).into())
}

/// The same with one byte changed, for every position: the lowest bit, the highest, and all of them.
pub fn changes(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len()).flat_map(move |at| {
        [0x01, 0x80, 0xFF].into_iter().map(move |mask| {
            let mut changed = bytes.to_vec();
            changed[at] ^= mask;
            (at, changed)
        })
    })
}

/// The same text with the letter at `at` replaced: by its neighbour, by another case, by a stranger.
pub fn shifted(text: &str, at: usize) -> Vec<String> {
    let letter = text.as_bytes()[at];
    let neighbour = if letter.is_ascii_alphanumeric() { letter ^ 1 } else { b'A' };
    let others = [neighbour, letter ^ 0x20, b'*', b'\n'];
    let others = others.into_iter().filter(|other| *other != letter && other.is_ascii());
    others
        .map(|other| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = other;
            String::from_utf8_lossy(&bytes).into_owned()
        })
        .collect()
}
