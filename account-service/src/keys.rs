//! Keys that payee bindings are sealed with, from files: the ones an operator names, or a development
//! key beside the SQLite file that is made at first start.
//!
//! Must not know: what is sealed. Nothing here tells a key, not even half of one.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cashout_common::number::hex;
use cashout_common::random::Random;

use crate::sealing::{KEY_BYTES, Key, Keyring};

/// Name of the development key in its directory.
const DEVELOPMENT: &str = "payee-key";

/// Where the keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// Read from the files of the setting.
    Given(Keyring),
    /// A development key in this directory.
    Development(PathBuf),
}

impl KeySource {
    /// The keys; a development key is made when it is not there yet.
    ///
    /// # Errors
    /// When the development key cannot be made or read, is no key, or others may read it.
    pub fn open(&self, random: &Random) -> anyhow::Result<Keyring> {
        match self {
            Self::Given(keys) => Ok(keys.clone()),
            Self::Development(directory) => development(directory, random),
        }
    }
}

/// Reads `file,file`: the first key seals, all open.
///
/// # Errors
/// The rule that is broken, for the setting.
pub fn read_files(list: &str) -> Result<Keyring, String> {
    let mut keys = Vec::new();
    for (at, path) in list.split(',').map(str::trim).enumerate() {
        let text = fs::read(path).map_err(|e| format!("file {} cannot be read: {e}", at + 1))?;
        let key = parse(&text).ok_or_else(|| format!("file {} {RULE}", at + 1))?;
        keys.push(key);
    }
    Keyring::new(keys).ok_or_else(|| "names the same key twice".to_owned())
}

const RULE: &str = "must hold 32 bytes, as 64 hex characters or 44 of base64";

/// A key as text; the newline an editor leaves at the end is not part of it.
fn parse(text: &[u8]) -> Option<Key> {
    let text = text.trim_ascii_end();
    let bytes: Vec<u8> = if text.len() == 2 * KEY_BYTES {
        let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let byte = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
        text.chunks(2).map(byte).collect::<Option<_>>()?
    } else {
        STANDARD.decode(text).ok()?
    };
    Key::new(bytes.as_slice().try_into().ok()?).ok()
}

/// The development key of a directory, readable by its owner alone. It lies beside what it seals,
/// so it guards copies of the database file and nothing more.
fn development(directory: &Path, random: &Random) -> anyhow::Result<Keyring> {
    let path = directory.join(DEVELOPMENT);
    let told = || format!("the development key {}", path.display());
    if !path.exists() {
        fs::create_dir_all(directory).with_context(told)?;
        make(directory, &path, random).with_context(told)?;
    }
    let mode = fs::metadata(&path).with_context(told)?.permissions().mode();
    anyhow::ensure!(mode & 0o077 == 0, "{} must be readable by its owner alone", told());
    let key = parse(&fs::read(&path).with_context(told)?);
    let ring = key.and_then(|key| Keyring::new(vec![key]));
    ring.with_context(|| format!("{} {RULE}", told()))
}

/// Written under a name of its own and then linked: whoever makes it at the same moment, all read one
/// whole key.
fn make(directory: &Path, path: &Path, random: &Random) -> anyhow::Result<()> {
    let draft = directory.join(format!("{DEVELOPMENT}.{}", hex(&random.bytes::<8>())));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(hex(&random.bytes::<KEY_BYTES>()).as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    // Without the key what it sealed is lost, so its name must be as durable as its bytes.
    fs::File::open(directory)?.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hex_or_base64_of_32_bytes() {
        let base64 = STANDARD.encode([0xff; 32]);
        let same = ["ff".repeat(32), "FF".repeat(32), format!("{}\n", "ff".repeat(32)), base64];
        let ids: Vec<_> = same
            .iter()
            .map(|t| parse(t.as_bytes()).and_then(|k| Keyring::new(vec![k])))
            .map(|ring| ring.map(|r| r.sealing_id().to_owned()))
            .collect();
        assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        for bad in [
            String::new(),
            "ff".repeat(31),
            "fg".repeat(32),
            format!("{} ", "f".repeat(62)),
            STANDARD.encode([0; 31]),
            STANDARD.encode([0; 33]),
            "\u{00e9}".repeat(32),
        ] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn files_are_read_in_order_and_mistakes_tell_no_content() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let file = |name: &str, text: &str| -> anyhow::Result<String> {
            fs::write(dir.path().join(name), text)?;
            Ok(dir.path().join(name).display().to_string())
        };
        let (a, b) = (file("a", &"0a".repeat(32))?, file("b", &"0b".repeat(32))?);
        let short = file("short", "0c0c0c")?;
        let read = |list: &str| read_files(list).map(|ring| ring.sealing_id().to_owned());
        assert_eq!(read(&format!("{a}, {b}")), read(&a));
        assert_ne!(read(&a), read(&b));
        for (list, told) in [
            (format!("{a},{a}"), "twice"),
            (format!("{a},"), "file 2"),
            (format!("{a},{short}"), "file 2 must hold"),
            (format!("{a},/no/such/file"), "file 2 cannot"),
        ] {
            let rule = read(&list).err().unwrap_or_default();
            assert!(rule.contains(told) && !rule.contains("0c0c"), "{rule}");
        }
        Ok(())
    }

    #[test]
    fn the_development_key_is_made_once_and_is_its_owners_alone() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let data = dir.path().join("data");
        let source = KeySource::Development(data.clone());
        let first = source.open(&Random::seeded(1))?;
        assert_eq!(source.open(&Random::seeded(2))?.sealing_id(), first.sealing_id());
        let path = data.join(DEVELOPMENT);
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&data)?.count(), 1, "the draft is gone");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640))?;
        assert!(source.open(&Random::seeded(1)).is_err(), "others may read it");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        fs::write(&path, "0d0d0d")?;
        let told = source.open(&Random::seeded(1)).map_err(|e| format!("{e:#}")).err();
        let told = told.unwrap_or_default();
        assert!(told.contains("must hold") && !told.contains("0d0d"), "{told}");
        Ok(())
    }

    #[test]
    fn many_at_once_all_get_the_same_key() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let source = KeySource::Development(dir.path().to_owned());
        let ids: Vec<Option<String>> = std::thread::scope(|scope| {
            let one = |n| {
                let source = &source;
                let open = move || source.open(&Random::seeded(n)).ok();
                scope.spawn(move || open().map(|ring| ring.sealing_id().to_owned()))
            };
            let started: Vec<_> = (0..8).map(one).collect();
            started.into_iter().map(|thread| thread.join().ok().flatten()).collect()
        });
        assert!(ids[0].is_some() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        Ok(())
    }
}
