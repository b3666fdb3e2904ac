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

/// Who a token speaks for, and when. Nothing else of it is needed once it is known to be ours.
#[derive(Debug, Clone)]
pub(super) struct Good {
    who: Identity,
    /// From when on and until when, by our clock with the leeway, UTC microseconds.
    from_us: i64,
    until_us: i64,
}

impl Good {
    /// The person, when the token is valid now; otherwise which claim does not hold.
    pub(super) fn at(&self, now_us: i64) -> Result<Identity, &'static str> {
        if now_us >= self.until_us {
            return Err("exp");
        }
        if now_us < self.from_us {
            return Err("nbf");
        }
        Ok(self.who.clone())
    }
}

impl Claims {
    /// Whom it speaks for, when it is for us; otherwise which claim does not hold.
    pub(super) fn good(&self, issuer: &str, audience: &str) -> Result<Good, &'static str> {
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
        let user_id = parse_id(&self.sub).ok_or("sub")?;
        let us = |seconds: i64| seconds.saturating_mul(SECOND_US);
        Ok(Good {
            who: Identity::new(user_id, &self.roles, &self.permissions),
            from_us: self.nbf.map_or(i64::MIN, |nbf| us(nbf.saturating_sub(LEEWAY_S))),
            until_us: us(self.exp.saturating_add(LEEWAY_S)),
        })
    }
}
