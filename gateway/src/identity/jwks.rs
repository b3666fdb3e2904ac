//! Published keys: a JWKS from a file or a URL, refreshed when a token names a key we do not know.
//!
//! A refresh that fails leaves the keys we have. Only asymmetric keys are taken, each for the one
//! algorithm of its type. Must not know: claims, requests.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use cashout_common::clock::{Clock, SECOND_US};
use cashout_common::number::digest;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Mutex;

/// Refreshes are at least this far apart, whatever tokens name.
const FLOOR_US: i64 = 10 * SECOND_US;
/// Keys older than this are refreshed in the background, so that a withdrawn key does not stay.
const AGE_US: i64 = 900 * SECOND_US;
/// How long the publisher may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest set we read.
const SET_BYTES: usize = 256 * 1024;
/// A 2048-bit modulus in base64url; shorter RSA keys are not taken.
const RSA_MODULUS_CHARS: usize = 342;

/// One public key and the only algorithm it is good for.
pub struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Where a set comes from.
pub(super) enum Source {
    File(PathBuf),
    Url(String, reqwest::Client),
}

impl Source {
    /// A URL: no redirects, a time limit, and no proxy that nobody configured here.
    pub(super) fn url(url: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(FETCH_TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self::Url(url.to_owned(), client))
    }

    async fn read(&self) -> anyhow::Result<Set> {
        match self {
            Self::File(path) => Set::of(&tokio::fs::read(path).await?),
            Self::Url(url, client) => {
                let mut answer = client.get(url).send().await?;
                anyhow::ensure!(answer.status().is_success(), "status {}", answer.status());
                let mut body = Vec::new();
                while let Some(chunk) = answer.chunk().await? {
                    body.extend_from_slice(&chunk);
                    anyhow::ensure!(body.len() <= SET_BYTES, "larger than {SET_BYTES} bytes");
                }
                Set::of(&body)
            }
        }
    }
}

/// A set by the digest of its text: the same text again is the same edition.
pub(super) type Edition = [u8; 32];

/// A set as it was read.
struct Set {
    edition: Edition,
    keys: Vec<Key>,
}

impl Set {
    fn of(text: &[u8]) -> anyhow::Result<Self> {
        Ok(Self { edition: digest(&[text]), keys: read_set(text)? })
    }
}

/// A set that heals itself.
pub(super) struct Published {
    source: Source,
    clock: Clock,
    set: RwLock<Set>,
    /// When it was last asked for; held while asking, so that one asks for all.
    asked_us: Mutex<Option<i64>>,
}

impl Published {
    /// A file is read now, a URL when first needed: the gateway starts while the publisher is away.
    pub(super) fn open(source: Source, clock: Clock) -> anyhow::Result<Self> {
        let (set, asked_us) = match &source {
            Source::File(path) => (Set::of(&std::fs::read(path)?)?, Some(clock.now_us())),
            Source::Url(..) => (Set { edition: digest(&[]), keys: Vec::new() }, None),
        };
        let (set, asked_us) = (RwLock::new(set), Mutex::new(asked_us));
        Ok(Self { source, clock, set, asked_us })
    }

    /// The key a token names, and the set it is in; without a name, the only key of the
    /// algorithm.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Option<(DecodingKey, Edition)> {
        if let Some(key) = self.known(id, algorithm) {
            self.renew();
            return Some(key);
        }
        self.refresh(|| self.known(id, algorithm).is_some()).await;
        self.known(id, algorithm)
    }

    /// Whether this set is still the last one that was read.
    pub(super) fn still(self: &Arc<Self>, edition: &Edition) -> bool {
        self.renew();
        self.set.read().unwrap_or_else(PoisonError::into_inner).edition == *edition
    }

    /// Reads old keys again, in the background.
    fn renew(self: &Arc<Self>) {
        if let Ok(asked) = self.asked_us.try_lock()
            && asked.is_some_and(|at| self.clock.now_us().saturating_sub(at) > AGE_US)
        {
            drop(asked);
            let published = Arc::clone(self);
            tokio::spawn(async move { published.refresh(|| false).await });
        }
    }

    fn known(&self, id: Option<&str>, algorithm: Algorithm) -> Option<(DecodingKey, Edition)> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let mut fitting = set.keys.iter().filter(|k| k.algorithm == algorithm);
        let key = match id {
            Some(_) => fitting.find(|k| k.id.as_deref() == id),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        };
        key.map(|k| (k.key.clone(), set.edition))
    }

    /// Asks the source again, unless somebody did while we waited or it was asked a moment ago.
    async fn refresh(&self, found: impl Fn() -> bool) {
        let mut asked = self.asked_us.lock().await;
        let now_us = self.clock.now_us();
        if found() || asked.is_some_and(|at| (0..FLOOR_US).contains(&now_us.saturating_sub(at))) {
            return;
        }
        *asked = Some(now_us);
        match self.source.read().await {
            Ok(set) => {
                tracing::info!(keys = set.keys.len(), "public keys read");
                *self.set.write().unwrap_or_else(PoisonError::into_inner) = set;
            }
            Err(error) => {
                tracing::warn!(%error, "public keys cannot be read; the ones we have stay");
            }
        }
    }
}

/// The usable keys of a set. Keys of other types or for other uses are left out.
///
/// # Errors
/// When it is no JWKS, or nothing in it can be used.
pub fn read_set(text: &[u8]) -> anyhow::Result<Vec<Key>> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(text).context("must be a JWKS")?;
    let read = |value| serde_json::from_value::<Jwk>(value).ok();
    let keys: Vec<Key> = set.keys.into_iter().filter_map(read).filter_map(|k| usable(&k)).collect();
    anyhow::ensure!(!keys.is_empty(), "must have a key for RS256, ES256 or EdDSA");
    Ok(keys)
}

fn usable(jwk: &Jwk) -> Option<Key> {
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa.n.len() >= RSA_MODULUS_CHARS => {
            (Algorithm::RS256, KeyAlgorithm::RS256)
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(ed) if ed.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|u| *u == PublicKeyUse::Signature);
    let fits = jwk.common.key_algorithm.as_ref().is_none_or(|a| *a == named);
    let key = DecodingKey::from_jwk(jwk).ok().filter(|_| signs && fits)?;
    Some(Key { id: jwk.common.key_id.clone(), algorithm, key })
}

/// A publisher must be reached over TLS, or be on this machine.
///
/// # Errors
/// The rule, when it is broken.
pub fn url_rule(text: &str) -> Result<String, String> {
    let rule = || "must be an https:// URL (http:// only to this machine)".to_owned();
    let url = reqwest::Url::parse(text).map_err(|_| rule())?;
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(text.to_owned()),
        "http" if local => Ok(text.to_owned()),
        _ => Err(rule()),
    }
}
