//! Tokens whose signature was verified: people come with the same one again and again.
//!
//! What is kept of a token is its digest, who it speaks for and when, never the token. Whether it is valid is
//! judged every time, and what was verified with a published key counts only while the set that had the key
//! is the last one that was read. Must not know: what a token claims.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::jwks::Edition;
use super::token::Good;

/// Most tokens that are remembered (about 300 bytes each); then all are forgotten and verified again.
const TOKENS: usize = 10_000;

/// A token by its digest.
pub(super) type Name = [u8; 32];

/// A token with a good signature.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) good: Good,
    /// The published set that had its key; `None` for the shared secret, which does not change.
    pub(super) edition: Option<Edition>,
}

/// Verified tokens.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<Name, Verified>>);

impl Known {
    /// The token of that name, if it was verified.
    pub(super) fn get(&self, name: &Name) -> Option<Verified> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Remembers a token.
    pub(super) fn put(&self, name: Name, verified: Verified) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS {
            tokens.clear();
        }
        tokens.insert(name, verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_tokens_are_remembered_than_there_is_room_for() -> anyhow::Result<()> {
        let claims = r#"{"sub":"7","exp":1,"iss":"i","aud":"a"}"#;
        let claims: crate::identity::token::Claims = serde_json::from_str(claims)?;
        let good = claims.good("i", "a").map_err(anyhow::Error::msg)?;
        let known = Known::default();
        let name = |n: usize| cashout_common::number::digest(&[&n.to_be_bytes()]);
        for n in 0..=TOKENS {
            known.put(name(n), Verified { good: good.clone(), edition: None });
        }
        let there = (0..=TOKENS).filter(|n| known.get(&name(*n)).is_some()).count();
        assert_eq!(there, 1, "the one that came when there was no room");
        Ok(())
    }
}
