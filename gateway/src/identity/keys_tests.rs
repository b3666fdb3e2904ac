//! Good tokens and bad ones, each bad one in one way only.

use std::time::Duration;

use cashout_common::clock::{Clock, SECOND_US};
use cashout_common::random::Random;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::identity::{DevelopmentToken, Permission};

pub(super) const NOW_S: i64 = 1_600_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
pub(super) const RSA: &[u8] = include_bytes!("../../tests/keys/rs256.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../tests/keys/rs256.pub.pem");
const EC: &[u8] = include_bytes!("../../tests/keys/es256.pem");
pub(super) const ED: &[u8] = include_bytes!("../../tests/keys/eddsa.pem");

pub(super) fn world() -> World {
    World { clock: Clock::set_at(NOW_S * SECOND_US), random: Random::seeded(1) }
}

pub(super) fn config() -> KeyConfig {
    KeyConfig {
        issuer: "cashout-dev".to_owned(),
        audience: "cashout".to_owned(),
        secret: Some(SECRET.to_vec()),
        jwks_file: None,
        jwks_url: None,
        development: None,
    }
}

/// The public keys of the tests as a set, named `rsa`, `ec` and `ed`.
pub(super) fn published() -> anyhow::Result<String> {
    let mut keys = vec![json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": "c2VjcmV0"})];
    for (id, key, algorithm) in [
        ("rsa", EncodingKey::from_rsa_pem(RSA)?, Algorithm::RS256),
        ("ec", EncodingKey::from_ec_pem(EC)?, Algorithm::ES256),
        ("ed", EncodingKey::from_ed_pem(ED)?, Algorithm::EdDSA),
    ] {
        let mut jwk = Jwk::from_encoding_key(&key, algorithm)?;
        jwk.common.key_id = Some(id.to_owned());
        keys.push(serde_json::to_value(jwk)?);
    }
    keys.push(json!({"kty": "future", "kid": "x"}));
    Ok(json!({ "keys": keys }).to_string())
}

fn both(dir: &tempfile::TempDir) -> anyhow::Result<KeyConfig> {
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, published()?)?;
    Ok(KeyConfig { jwks_file: Some(path), ..config() })
}

/// The claims of a good token, some of them replaced; a replacement by null takes the claim away.
fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "sub": "7", "iss": "cashout-dev", "aud": "cashout", "exp": NOW_S + 60,
        "roles": ["teacher"], "permissions": ["cash.review"],
    });
    if let (Some(claims), Some(changes)) = (claims.as_object_mut(), changes.as_object()) {
        for (name, value) in changes {
            claims.insert(name.clone(), value.clone());
        }
        claims.retain(|_, value| !value.is_null());
    }
    claims
}

pub(super) fn signed(
    header: &Header,
    changes: &Value,
    key: &EncodingKey,
) -> anyhow::Result<String> {
    Ok(jsonwebtoken::encode(header, &claims(changes), key)?)
}

fn hs256(changes: &Value) -> anyhow::Result<String> {
    signed(&Header::new(Algorithm::HS256), changes, &EncodingKey::from_secret(SECRET))
}

pub(super) fn named(algorithm: Algorithm, id: &str) -> Header {
    Header { kid: Some(id.to_owned()), ..Header::new(algorithm) }
}

fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, b| (bits << 8) | u32::from(*b));
        let bits = bits << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(LETTERS[((bits >> (18 - 6 * place)) & 63) as usize]));
        }
    }
    text
}

fn unsigned(header: &str) -> String {
    format!(
        "{}.{}.",
        base64url(header.as_bytes()),
        base64url(claims(&json!({})).to_string().as_bytes())
    )
}

#[tokio::test]
async fn good_tokens_speak_for_their_person() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let verifier = Verifier::open(&both(&dir)?, &world())?;
    let rsa = EncodingKey::from_rsa_pem(RSA)?;
    for (name, token) in [
        ("plain", hs256(&json!({}))?),
        ("one of several audiences", hs256(&json!({"aud": ["other", "cashout"]}))?),
        ("no roles", hs256(&json!({"roles": null, "permissions": ["cash.review", "fly"]}))?),
        ("expired within the leeway", hs256(&json!({"exp": NOW_S - 4}))?),
        ("not yet valid within the leeway", hs256(&json!({"nbf": NOW_S + 5}))?),
        ("RS256", signed(&named(Algorithm::RS256, "rsa"), &json!({}), &rsa)?),
        (
            "RS256, the only key of its kind",
            signed(&Header::new(Algorithm::RS256), &json!({}), &rsa)?,
        ),
        (
            "ES256",
            signed(&named(Algorithm::ES256, "ec"), &json!({}), &EncodingKey::from_ec_pem(EC)?)?,
        ),
        (
            "EdDSA",
            signed(&named(Algorithm::EdDSA, "ed"), &json!({}), &EncodingKey::from_ed_pem(ED)?)?,
        ),
    ] {
        let who = verifier.verify(&token).await.map_err(|f| anyhow::anyhow!("{name}: {f}"))?;
        assert_eq!(who.user_id, 7, "{name}");
        assert!(who.may(Permission::CashReview), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn bad_tokens_speak_for_nobody() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let verifier = Verifier::open(&both(&dir)?, &world())?;
    let good = hs256(&json!({}))?;
    let (body, _) = good.rsplit_once('.').unwrap_or_default();
    let rsa = EncodingKey::from_rsa_pem(RSA)?;
    let crit = Header { crit: Some(vec!["exp".to_owned()]), ..Header::new(Algorithm::HS256) };
    let mut bad: Vec<(String, String)> = [
        ("empty", String::new()),
        ("not a token", "token".to_owned()),
        ("two parts", body.to_owned()),
        ("no signature", format!("{body}.")),
        ("another token's signature", format!("{body}.{}", base64url(&[7; 32]))),
        ("algorithm none", unsigned(r#"{"alg":"none","typ":"JWT"}"#)),
        ("algorithm None", unsigned(r#"{"alg":"None"}"#)),
        ("algorithm nOnE", unsigned(r#"{"alg":"nOnE"}"#)),
        ("no algorithm", unsigned("{}")),
        (
            "HS384",
            signed(&Header::new(Algorithm::HS384), &json!({}), &EncodingKey::from_secret(SECRET))?,
        ),
        (
            "another secret",
            signed(&Header::default(), &json!({}), &EncodingKey::from_secret(&[9; 32]))?,
        ),
        (
            "the RSA public key as secret",
            signed(
                &named(Algorithm::HS256, "rsa"),
                &json!({}),
                &EncodingKey::from_secret(RSA_PUBLIC),
            )?,
        ),
        (
            "a published secret",
            signed(
                &named(Algorithm::HS256, "oct"),
                &json!({}),
                &EncodingKey::from_secret(b"secret"),
            )?,
        ),
        (
            "RS256 under the name of another key",
            signed(&named(Algorithm::RS256, "ec"), &json!({}), &rsa)?,
        ),
        ("RS256 under no known name", signed(&named(Algorithm::RS256, "gone"), &json!({}), &rsa)?),
        ("PS256", signed(&named(Algorithm::PS256, "rsa"), &json!({}), &rsa)?),
        ("a critical extension", signed(&crit, &json!({}), &EncodingKey::from_secret(SECRET))?),
        ("huge", hs256(&json!({"x": "x".repeat(10_000)}))?),
    ]
    .map(|(name, token)| (name.to_owned(), token))
    .into();
    for changes in [
        json!({"iss": "other"}),
        json!({"iss": null}),
        json!({"iss": ["cashout-dev"]}),
        json!({"aud": "other"}),
        json!({"aud": []}),
        json!({"aud": null}),
        json!({"exp": null}),
        json!({"exp": NOW_S - 5}),
        json!({"exp": 0}),
        json!({"exp": "9999999999"}),
        json!({"exp": i64::MIN}),
        json!({"nbf": NOW_S + 6}),
        json!({"nbf": i64::MAX}),
        json!({"sub": null}),
        json!({"sub": 7}),
        json!({"sub": ""}),
        json!({"sub": "0"}),
        json!({"sub": "07"}),
        json!({"sub": "-1"}),
        json!({"sub": "1.0"}),
        json!({"sub": "７"}),
        json!({"sub": "7 "}),
        json!({"sub": "9007199254740992"}),
        json!({"sub": "admin"}),
        json!({"roles": "admin"}),
        json!({"roles": [1]}),
        json!({"permissions": {"cash.review": true}}),
    ] {
        bad.push((changes.to_string(), hs256(&changes)?));
    }
    for (name, token) in bad {
        let refused = verifier.verify(&token).await.map_err(|f| f.reason);
        assert_eq!(refused, Err(Reason::NotAuthenticated), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn with_published_keys_alone_no_secret_is_good() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let verifier = Verifier::open(&KeyConfig { secret: None, ..both(&dir)? }, &world())?;
    for secret in [SECRET, RSA_PUBLIC, b"secret", b""] {
        let key = EncodingKey::from_secret(secret);
        let token = signed(&named(Algorithm::HS256, "rsa"), &json!({}), &key)?;
        assert!(verifier.verify(&token).await.is_err());
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_was_verified_is_judged_again_every_time() -> anyhow::Result<()> {
    let world = world();
    let verifier = Verifier::open(&config(), &world)?;
    let token = hs256(&json!({}))?;
    for _ in 0..2 {
        assert_eq!(verifier.verify(&token).await?.user_id, 7);
    }
    let (body, signature) = token.rsplit_once('.').unwrap_or_default();
    let other: String = signature.chars().rev().collect();
    for bad in [format!("{body}.{other}"), body.to_owned(), format!("{token} ")] {
        assert!(verifier.verify(&bad).await.is_err(), "{bad}");
    }
    // What is remembered is what counts: put under another name, it speaks for that one too.
    let known = verifier.known.get(&digest(&[token.as_bytes()]));
    verifier.known.put(digest(&[b"no token"]), known.ok_or_else(|| anyhow::anyhow!("forgotten"))?);
    assert_eq!(verifier.verify("no token").await?.user_id, 7);
    world.clock.advance(Duration::from_secs(65));
    assert!(verifier.verify(&token).await.is_err(), "it has expired since");
    Ok(())
}

#[tokio::test]
async fn development_tokens_are_good_where_the_key_was_made() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let world = world();
    let config = KeyConfig { secret: None, development: Some(dir.path().to_owned()), ..config() };
    let verifier = Verifier::open(&config, &world)?;
    let key = development_key(dir.path(), &world.random)?;
    let roles = ["teacher".to_owned()];
    let minute = Duration::from_secs(60);
    let token = DevelopmentToken {
        issuer: "cashout-dev",
        audience: "cashout",
        user_id: 7,
        roles: &roles,
        permissions: &[],
        now_us: world.clock.now_us(),
        ttl: minute,
    }
    .signed(&key)?;
    assert!(verifier.verify(&token).await?.is_teacher());
    world.clock.advance(Duration::from_secs(65));
    assert!(verifier.verify(&token).await.is_err(), "expired by the set clock");
    Ok(())
}

#[tokio::test]
async fn development_tokens_name_the_issuer_and_audience_they_are_given() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let world = world();
    let (issuer, audience) = ("our issuer", "our audience");
    let config = KeyConfig {
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        secret: None,
        development: Some(dir.path().to_owned()),
        ..config()
    };
    let verifier = Verifier::open(&config, &world)?;
    let key = development_key(dir.path(), &world.random)?;
    let (now_us, ttl) = (world.clock.now_us(), Duration::from_secs(60));
    let given = |issuer, audience| {
        let (roles, permissions) = (&[][..], &[][..]);
        DevelopmentToken { issuer, audience, user_id: 7, roles, permissions, now_us, ttl }
    };
    assert_eq!(verifier.verify(&given(issuer, audience).signed(&key)?).await?.user_id, 7);
    for other in [given("cashout-dev", audience), given(issuer, "cashout")] {
        assert!(verifier.verify(&other.signed(&key)?).await.is_err(), "{other:?}");
    }
    Ok(())
}
