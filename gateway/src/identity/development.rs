//! The development key: a secret in the data directory for trying things on one machine, and the
//! tokens made with it. Used only on loopback and only when no other key is configured (see config).
//!
//! Must not know: what tokens are good for.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use cashout_common::clock::SECOND_US;
use cashout_common::number::hex;
use cashout_common::random::Random;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

/// The development key of a data directory: 64 hex characters, used as they are as the HS256 secret.
/// Made at first use, readable by its owner alone.
///
/// # Errors
/// When the file cannot be made or read, is not such a key, or others may read it.
pub fn development_key(data_dir: &Path, random: &Random) -> anyhow::Result<String> {
    let path = data_dir.join("dev-key");
    let told = || format!("the development key {}", path.display());
    if !path.exists() {
        fs::create_dir_all(data_dir).with_context(told)?;
        make(data_dir, &path, random).with_context(told)?;
    }
    let mode = fs::metadata(&path).with_context(told)?.permissions().mode();
    anyhow::ensure!(mode & 0o077 == 0, "{} must be readable by its owner alone", told());
    let key = fs::read_to_string(&path).with_context(told)?.trim_ascii_end().to_owned();
    let plain = key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit());
    anyhow::ensure!(plain, "{} must hold 64 hex characters", told());
    Ok(key)
}

/// Written under a name of its own and then linked, so that another process making the key at the
/// same moment sees all of one key and never half of it.
fn make(data_dir: &Path, path: &Path, random: &Random) -> anyhow::Result<()> {
    let draft = data_dir.join(format!("dev-key.{}", hex(&random.bytes::<8>())));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(hex(&random.bytes::<32>()).as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// What a development token says. The issuer and the audience are those that the gateway it is
/// for is configured with.
#[derive(Debug, Clone, Copy)]
pub struct DevelopmentToken<'a> {
    /// The issuer, setting `JWT_ISSUER`.
    pub issuer: &'a str,
    /// The audience, setting `JWT_AUDIENCE`.
    pub audience: &'a str,
    /// Whose token it is.
    pub user_id: i64,
    /// `user`, `teacher`, `admin`.
    pub roles: &'a [String],
    /// Names of permissions.
    pub permissions: &'a [String],
    /// From when on it is valid, UTC microseconds.
    pub now_us: i64,
    /// For how long.
    pub ttl: Duration,
}

impl DevelopmentToken<'_> {
    /// The token, signed with a development key.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn signed(&self, key: &str) -> anyhow::Result<String> {
        #[derive(Serialize)]
        struct Claims<'a> {
            sub: String,
            roles: &'a [String],
            permissions: &'a [String],
            iss: &'a str,
            aud: &'a str,
            iat: i64,
            exp: i64,
        }
        let now_s = self.now_us / SECOND_US;
        let ttl_s = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            sub: self.user_id.to_string(),
            roles: self.roles,
            permissions: self.permissions,
            iss: self.issuer,
            aud: self.audience,
            iat: now_s,
            exp: now_s.saturating_add(ttl_s),
        };
        let key = EncodingKey::from_secret(key.as_bytes());
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_its_owners_alone() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let data = dir.path().join("data");
        let first = development_key(&data, &Random::seeded(1))?;
        assert_eq!(first.len(), 64);
        assert_eq!(development_key(&data, &Random::seeded(2))?, first);
        assert_eq!(fs::metadata(data.join("dev-key"))?.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data)?.count(), 1, "the draft is gone");
        Ok(())
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_none_is_refused() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("dev-key");
        development_key(dir.path(), &Random::seeded(1))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        assert!(development_key(dir.path(), &Random::seeded(1)).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        fs::write(&path, "too short")?;
        assert!(development_key(dir.path(), &Random::seeded(1)).is_err());
        Ok(())
    }

    #[test]
    fn many_at_once_all_get_the_same_key() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let keys: Vec<_> = std::thread::scope(|scope| {
            let made: Vec<_> = (0..8)
                .map(|n| {
                    scope.spawn({
                        let at = dir.path();
                        move || development_key(at, &Random::seeded(n))
                    })
                })
                .collect();
            made.into_iter().map(|thread| thread.join().ok().and_then(Result::ok)).collect()
        });
        assert!(keys.iter().all(|key| key.is_some() && *key == keys[0]));
        Ok(())
    }
}
