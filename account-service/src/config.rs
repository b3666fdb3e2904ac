//! The account service's settings. Must not know: what they are used for beyond their rules.

use std::net::SocketAddr;
use std::time::Duration;

use cashout_common::settings::{Setting, Values, duration};

use crate::keys::{KeySource, read_files};
use crate::store::directory;

/// Settings of this service.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "ACCOUNT_LISTEN",
        "127.0.0.1:50051",
        "Address the account service listens on; port 0 takes a free one.",
    ),
    Setting::new(
        "ACCOUNT_DATABASE_URL",
        "sqlite://{data}/account.db",
        "Database of the account service: `sqlite://path` or `postgres://…`.",
    ),
    Setting::new(
        "ACCOUNT_PAYEE_KEY_FILES",
        "",
        "Files with the keys that seal payee bindings, `new,old`: 32 bytes each, in hex or base64; the \
         first seals, all open. Without it SQLite gets a development key, `payee-key` beside its \
         file; PostgreSQL needs it.",
    ),
    Setting::new(
        "PAYEE_COOLING",
        "24h",
        "How long after a payee is bound or changed nothing is paid there; `0s` for no wait.",
    ),
];

/// What the service needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// `sqlite://…` or `postgres://…`.
    pub database_url: String,
    /// What payee bindings are sealed with.
    pub payee_keys: KeySource,
    /// How long a new payee waits.
    pub payee_cooling: Duration,
}

impl Config {
    /// Reads the settings; mistakes stay in `values`.
    pub fn read(values: &mut Values) -> Option<Self> {
        let listen = values.parse("ACCOUNT_LISTEN");
        let database_url = values.read("ACCOUNT_DATABASE_URL", cashout_common::db::address);
        let payee_keys = payee_keys(values);
        let payee_cooling = values.read("PAYEE_COOLING", cooling);
        Some(Self {
            listen: listen?,
            database_url: database_url?,
            payee_keys: payee_keys?,
            payee_cooling: payee_cooling?,
        })
    }
}

/// A development key is for one machine, like the file it lies beside: several instances may share a
/// PostgreSQL server, and each would make a key of its own.
fn payee_keys(values: &mut Values) -> Option<KeySource> {
    const NAME: &str = "ACCOUNT_PAYEE_KEY_FILES";
    if values.is_set(NAME) {
        return values.read(NAME, read_files).map(KeySource::Given);
    }
    let url = values.text("ACCOUNT_DATABASE_URL");
    let beside = directory(&url);
    // What is neither engine's address is a mistake of that setting.
    if url.starts_with("postgres") {
        let rule = "must name a file with a key when the database is PostgreSQL (make one with \
                    `openssl rand -hex 32`): the development key is for SQLite only";
        values.mistake(NAME, rule);
    }
    beside.map(KeySource::Development)
}

/// At most a year: more is a slip.
fn cooling(text: &str) -> Result<Duration, String> {
    let read = duration(text)?;
    if read > Duration::from_secs(366 * 86_400) {
        return Err("must be at most 366d".to_owned());
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use cashout_common::settings::SHARED;

    use super::*;

    fn read(set: &[(&'static str, &str)]) -> Result<Config, String> {
        let table: Vec<Setting> = SHARED.iter().chain(SETTINGS).copied().collect();
        let mut values = Values::given(&table, set);
        let config = Config::read(&mut values);
        values.finish(config).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn defaults_are_a_day_and_the_development_key() -> Result<(), String> {
        assert_eq!(read(&[])?.payee_cooling, Duration::from_secs(86_400));
        for (setting, directory) in [
            (("CASHOUT_DATA_DIR", "/d"), "/d"),
            (("ACCOUNT_DATABASE_URL", "sqlite:///e/f/a.db?mode=rwc"), "/e/f"),
            (("ACCOUNT_DATABASE_URL", "sqlite://a.db"), "."),
        ] {
            let source = format!("{:?}", read(&[setting])?.payee_keys);
            assert_eq!(source, format!("Development({directory:?})"), "{setting:?}");
        }
        assert_eq!(read(&[("PAYEE_COOLING", "0s")])?.payee_cooling, Duration::ZERO);
        Ok(())
    }

    #[test]
    fn each_mistake_names_its_setting() {
        let postgres = ("ACCOUNT_DATABASE_URL", "postgres://localhost/a");
        for (set, name) in [
            (vec![postgres], "ACCOUNT_PAYEE_KEY_FILES"),
            (vec![postgres, ("ACCOUNT_PAYEE_KEY_FILES", "")], "ACCOUNT_PAYEE_KEY_FILES"),
            (vec![("ACCOUNT_PAYEE_KEY_FILES", "/no/such/file")], "ACCOUNT_PAYEE_KEY_FILES"),
            (vec![("ACCOUNT_PAYEE_KEY_FILES", "/etc/hostname")], "ACCOUNT_PAYEE_KEY_FILES"),
            (vec![("PAYEE_COOLING", "24")], "PAYEE_COOLING"),
            (vec![("PAYEE_COOLING", "367d")], "PAYEE_COOLING"),
            (vec![("PAYEE_COOLING", "-1s")], "PAYEE_COOLING"),
            (vec![("ACCOUNT_LISTEN", "here")], "ACCOUNT_LISTEN"),
            (vec![("ACCOUNT_DATABASE_URL", "mysql://x")], "ACCOUNT_DATABASE_URL"),
        ] {
            let told = read(&set).err().unwrap_or_default();
            assert!(told.starts_with(name) && told.lines().count() == 1, "{name}: {told:?}");
        }
    }

    #[test]
    fn a_key_of_a_file_is_never_printed() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("key");
        std::fs::write(&path, "5e".repeat(32))?;
        let path = path.display().to_string();
        let config = read(&[
            ("ACCOUNT_DATABASE_URL", "postgres://localhost/a"),
            ("ACCOUNT_PAYEE_KEY_FILES", &path),
        ])
        .map_err(anyhow::Error::msg)?;
        assert!(!format!("{config:?}").contains("5e5e"));
        Ok(())
    }
}
