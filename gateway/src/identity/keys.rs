//! Which key a token must be signed with, and the verdict on a token.
//!
//! HS256 is checked with the shared secret only, RS256, ES256 and EdDSA with published keys only: a
//! public key can therefore never serve as a secret. Must not know: requests, roles of endpoints.

use std::path::PathBuf;
use std::sync::Arc;

use cashout_common::number::digest;
use cashout_common::world::World;
use cashout_proto::{Failure, Reason};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::jwks::{Published, Source};
use super::known::{Known, Verified};
use super::token::Claims;
use super::{Identity, development_key};

/// Tokens longer than this are not looked at.
const TOKEN_BYTES: usize = 8 * 1024;

/// What tokens are checked with.
#[derive(Clone)]
pub struct KeyConfig {
    /// The issuer a token must name.
    pub issuer: String,
    /// The audience a token must name.
    pub audience: String,
    /// The shared secret of HS256, at least 32 bytes.
    pub secret: Option<Vec<u8>>,
    /// A file with public keys.
    pub jwks_file: Option<PathBuf>,
    /// Where public keys are published.
    pub jwks_url: Option<String>,
    /// The data directory whose development key is made and used; only on loopback.
    pub development: Option<PathBuf>,
}

impl std::fmt::Debug for KeyConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyConfig").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Tells who a token speaks for.
pub struct Verifier {
    issuer: String,
    audience: String,
    secret: Option<DecodingKey>,
    published: Option<Arc<Published>>,
    known: Known,
    world: World,
}

impl Verifier {
    /// Opens the keys. Published keys behind a URL are fetched when first needed.
    ///
    /// # Errors
    /// When a file cannot be read or the development key cannot be made.
    pub fn open(config: &KeyConfig, world: &World) -> anyhow::Result<Self> {
        let secret = match (&config.secret, &config.development) {
            (Some(secret), _) => Some(secret.clone()),
            (None, Some(data)) => {
                tracing::warn!("no key is configured: tokens of the development key are taken");
                Some(development_key(data, &world.random)?.into_bytes())
            }
            (None, None) => None,
        };
        let source = match (&config.jwks_file, &config.jwks_url) {
            (Some(path), _) => Some(Source::File(path.clone())),
            (None, Some(url)) => Some(Source::url(url)?),
            (None, None) => None,
        };
        let published = source.map(|s| Published::open(s, world.clock.clone())).transpose()?;
        Ok(Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            secret: secret.as_deref().map(DecodingKey::from_secret),
            published: published.map(Arc::new),
            known: Known::default(),
            world: world.clone(),
        })
    }

    /// The person a token speaks for.
    ///
    /// # Errors
    /// `NOT_AUTHENTICATED`, without telling a guesser what was wrong; the log has it.
    pub async fn verify(&self, token: &str) -> Result<Identity, Failure> {
        self.judge(token).await.map_err(|wrong| {
            tracing::debug!(wrong, "token refused");
            Failure::new(Reason::NotAuthenticated, "the token is not valid; log in again")
        })
    }

    async fn judge(&self, token: &str) -> Result<Identity, &'static str> {
        if token.len() > TOKEN_BYTES {
            return Err("length");
        }
        let name = digest(&[token.as_bytes()]);
        if let Some(known) = self.known.get(&name).filter(|known| self.still(known)) {
            return known.good.at(self.world.clock.now_us());
        }
        // Boxed: it happens once for a token.
        let verified = Box::pin(self.verified(token)).await?;
        // Only now: a publisher may have taken its time.
        let who = verified.good.at(self.world.clock.now_us())?;
        self.known.put(name, verified);
        Ok(who)
    }

    /// Whether a token would be verified by the same set of keys today.
    fn still(&self, known: &Verified) -> bool {
        match (&known.edition, &self.published) {
            (None, _) => true,
            (Some(edition), Some(published)) => published.still(edition),
            (Some(_), None) => false,
        }
    }

    /// Whom a token speaks for, when its signature is good and it is for us.
    async fn verified(&self, token: &str) -> Result<Verified, &'static str> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| "header")?;
        if header.crit.is_some() {
            // Extensions we do not know and would have to obey (RFC 7515, 4.1.11).
            return Err("crit");
        }
        let (key, edition) = match header.alg {
            Algorithm::HS256 => (self.secret.clone().ok_or("key")?, None),
            Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA => {
                let published = self.published.as_ref().ok_or("key")?;
                let found = published.find(header.kid.as_deref(), header.alg).await;
                let (key, edition) = found.ok_or("key")?;
                (key, Some(edition))
            }
            _ => return Err("alg"),
        };
        let mut validation = Validation::new(header.alg);
        // Signature and algorithm here; every claim by hand, against the clock that tests can set.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map_err(|_| "signature or claims")?
            .claims;
        Ok(Verified { good: claims.good(&self.issuer, &self.audience)?, edition })
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "published_tests.rs"]
mod published_tests;
