//! The claims of a token and what makes them good, against the clock that tests can set.
//!
//! Must not know: keys and signatures; a token that comes here is signed by somebody we trust.

use cashout_common::clock::SECOND_US;
use cashout_common::number::parse_id;
use serde::Deserialize;

use super::Identity;

/// How far two clocks may differ, in seconds.
const LEEWAY_S: i64 = 5;

/// What we read of a token. `exp`, `iss`, `aud` and `sub` are required.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    sub: String,
    exp: i64,
    nbf: Option<i64>,
    iss: String,
    aud: Audience,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    permissions: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// The person, when every claim holds now; otherwise which claim does not.
    pub(super) fn identity(
        &self,
        issuer: &str,
        audience: &str,
        now_us: i64,
    ) -> Result<Identity, &'static str> {
        let named = match &self.aud {
            Audience::One(name) => name == audience,
            Audience::Many(names) => names.iter().any(|name| name == audience),
        };
        if !named {
            return Err("aud");
        }
        if self.iss != issuer {
            return Err("iss");
        }
        let us = |seconds: i64| seconds.saturating_mul(SECOND_US);
        if now_us >= us(self.exp.saturating_add(LEEWAY_S)) {
            return Err("exp");
        }
        if self.nbf.is_some_and(|nbf| now_us < us(nbf.saturating_sub(LEEWAY_S))) {
            return Err("nbf");
        }
        let user_id = parse_id(&self.sub).ok_or("sub")?;
        Ok(Identity::new(user_id, &self.roles, &self.permissions))
    }
}
