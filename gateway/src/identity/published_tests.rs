//! Published keys: new ones, withdrawn ones, and publishers that cannot be believed.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::tests::{ED, NOW_S, RSA, config, named, published, signed, world};
use super::*;

#[tokio::test]
async fn a_new_key_is_found_after_the_floor_and_a_broken_set_keeps_the_old_ones()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("jwks.json");
    let ed = EncodingKey::from_ed_pem(ED)?;
    let rsa = EncodingKey::from_rsa_pem(RSA)?;
    let only = json!({"keys": [Jwk::from_encoding_key(&ed, Algorithm::EdDSA)?]});
    std::fs::write(&path, only.to_string())?;
    let world = world();
    let config = KeyConfig { secret: None, jwks_file: Some(path.clone()), ..config() };
    let verifier = Verifier::open(&config, &world)?;
    let by_rsa = signed(&named(Algorithm::RS256, "rsa"), &json!({"exp": NOW_S + 999}), &rsa)?;
    let by_ed = signed(&Header::new(Algorithm::EdDSA), &json!({"exp": NOW_S + 999}), &ed)?;
    assert!(verifier.verify(&by_rsa).await.is_err(), "not published yet");
    std::fs::write(&path, published()?)?;
    assert!(verifier.verify(&by_rsa).await.is_err(), "asked a moment ago");
    world.clock.advance(Duration::from_secs(10));
    assert!(verifier.verify(&by_rsa).await.is_ok(), "found after the floor");
    std::fs::write(&path, "{}")?;
    world.clock.advance(Duration::from_secs(10));
    let unknown = signed(&named(Algorithm::RS256, "gone"), &json!({}), &rsa)?;
    assert!(verifier.verify(&unknown).await.is_err());
    assert!(verifier.verify(&by_rsa).await.is_ok() && verifier.verify(&by_ed).await.is_ok());
    Ok(())
}

#[tokio::test]
async fn who_was_verified_with_a_key_that_is_withdrawn_is_verified_again() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("jwks.json");
    std::fs::write(&path, published()?)?;
    let (world, rsa) = (world(), EncodingKey::from_rsa_pem(RSA)?);
    let config = KeyConfig { secret: None, jwks_file: Some(path.clone()), ..config() };
    let verifier = Verifier::open(&config, &world)?;
    let token = signed(&named(Algorithm::RS256, "rsa"), &json!({"exp": NOW_S + 9999}), &rsa)?;
    assert!(verifier.verify(&token).await.is_ok());
    assert!(verifier.known.get(&digest(&[token.as_bytes()])).is_some());
    let ed = Jwk::from_encoding_key(&EncodingKey::from_ed_pem(ED)?, Algorithm::EdDSA)?;
    std::fs::write(&path, json!({"keys": [ed]}).to_string())?;
    assert!(verifier.verify(&token).await.is_ok(), "nobody has looked yet");
    world.clock.advance(Duration::from_secs(901));
    // The set is old: whoever comes has it read, without waiting for it.
    let told = async {
        while verifier.verify(&token).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), told).await?;
    Ok(())
}

/// A publisher that answers every connection with this, and counts them.
async fn publisher(
    status: &str,
    body: String,
) -> anyhow::Result<(String, Arc<std::sync::atomic::AtomicUsize>)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/keys", listener.local_addr()?);
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nLocation: /elsewhere\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    Ok((url, asked))
}

#[tokio::test]
async fn keys_behind_a_url_are_fetched_when_needed_and_not_more_often() -> anyhow::Result<()> {
    let (url, asked) = publisher("200 OK", published()?).await?;
    let world = world();
    let config = KeyConfig { secret: None, jwks_url: Some(url), ..config() };
    let verifier = Verifier::open(&config, &world)?;
    let ed = EncodingKey::from_ed_pem(ED)?;
    let token = signed(&named(Algorithm::EdDSA, "ed"), &json!({}), &ed)?;
    let unknown = signed(&named(Algorithm::EdDSA, "gone"), &json!({}), &ed)?;
    for _ in 0..5 {
        assert!(verifier.verify(&token).await.is_ok());
        assert!(verifier.verify(&unknown).await.is_err());
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1, "within the floor");
    world.clock.advance(Duration::from_secs(10));
    assert!(verifier.verify(&unknown).await.is_err());
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2, "after the floor");
    Ok(())
}

#[tokio::test]
async fn a_publisher_that_redirects_fails_or_floods_gives_no_keys() -> anyhow::Result<()> {
    let set = published()?;
    let flood = set.replacen('{', &format!("{{{}", " ".repeat(300_000)), 1);
    for (status, body) in [
        ("302 Found", set.clone()),
        ("500 Oops", set),
        ("200 OK", flood),
        ("200 OK", "{}".to_owned()),
    ] {
        let (url, asked) = publisher(status, body).await?;
        let config = KeyConfig { secret: None, jwks_url: Some(url), ..config() };
        let verifier = Verifier::open(&config, &world())?;
        let ed = EncodingKey::from_ed_pem(ED)?;
        let token = signed(&named(Algorithm::EdDSA, "ed"), &json!({}), &ed)?;
        assert!(verifier.verify(&token).await.is_err(), "{status}");
        assert_eq!(
            asked.load(std::sync::atomic::Ordering::SeqCst),
            1,
            "{status}: no redirect followed"
        );
    }
    Ok(())
}
