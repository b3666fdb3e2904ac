//! The simulator's settings and their rules: it listens to this machine and tells nobody but this
//! machine. Must not know: what the settings are used for.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use cashout_common::settings::{Setting, Values};

/// The simulator's settings; those of every process are `cashout_common::settings::SHARED`.
pub const SETTINGS: &[Setting] = &[
    Setting::new(
        "SANDBOX_LISTEN",
        "127.0.0.1:8090",
        "Address the simulated providers listen on; this machine only.",
    ),
    Setting::new(
        "SANDBOX_DATA_DIR",
        "{data}/sandbox",
        "Directory of the simulated providers' books and of the keys made for them.",
    ),
    Setting::new(
        "SANDBOX_ALIPAY_NOTIFY_URL",
        "",
        "Where the simulated Alipay sends its messages, on this machine; empty for nowhere.",
    ),
    Setting::new(
        "SANDBOX_CONFIRM",
        "auto",
        "Whether simulated payees of WeChat Pay confirm by themselves: `auto` or `manual`.",
    ),
];

/// How long a payee who confirms by themselves takes, microseconds.
const MOMENT_US: i64 = 200_000;
/// Pauses before a notification is repeated, seconds.
const PAUSES_S: [i64; 15] =
    [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10_800, 10_800, 10_800, 21_600, 21_600];

/// What the simulator needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes any.
    pub listen: SocketAddr,
    /// Where books and keys are.
    pub directory: PathBuf,
    /// Where Alipay's messages go; nowhere when empty.
    pub alipay_notify_url: String,
    /// How long a payee takes to confirm, microseconds; `None`: until told to.
    pub confirm_us: Option<i64>,
    /// Pauses before a notification is repeated, seconds.
    pub pauses_s: Vec<i64>,
}

impl Config {
    /// A simulator on any port, with payees who confirm at once; for tests.
    #[must_use]
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            directory: directory.into(),
            alipay_notify_url: String::new(),
            confirm_us: Some(0),
            pauses_s: PAUSES_S.to_vec(),
        }
    }

    /// Reads the configuration; mistakes stay in `values`.
    pub fn read(values: &mut Values) -> Option<Self> {
        let listen = values.read("SANDBOX_LISTEN", loopback);
        let directory = values.text("SANDBOX_DATA_DIR");
        let alipay_notify_url = values.read("SANDBOX_ALIPAY_NOTIFY_URL", |text| {
            if !text.is_empty() && !loopback_url(text) {
                return Err("must be http:// on this machine".to_owned());
            }
            if text.trim_end_matches('/').ends_with("/wechat") {
                return Err("must be the address for Alipay, not the one for WeChat Pay".to_owned());
            }
            Ok(text.to_owned())
        });
        let confirm_us = values.read("SANDBOX_CONFIRM", |text| match text {
            "auto" => Ok(Some(MOMENT_US)),
            "manual" => Ok(None),
            _ => Err("must be `auto` or `manual`".to_owned()),
        });
        Some(Self {
            listen: listen?,
            directory: directory.into(),
            alipay_notify_url: alipay_notify_url?,
            confirm_us: confirm_us?,
            pauses_s: PAUSES_S.to_vec(),
        })
    }
}

/// An address of this machine alone: nothing that a simulator says may reach anybody else.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let rule = || "must be an address of this machine alone, like 127.0.0.1:8090".to_owned();
    let address: SocketAddr = text.parse().map_err(|_| rule())?;
    if address.ip().is_loopback() { Ok(address) } else { Err(rule()) }
}

/// Whether a URL leads to this machine and nowhere else: an address, as names may lead anywhere.
#[must_use]
pub fn loopback_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<axum::http::Uri>() else { return false };
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return false;
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let here = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    here && !authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;
    use cashout_common::settings::SHARED;

    fn read(set: &[(&'static str, &str)]) -> Result<Config, String> {
        let table: Vec<Setting> = SHARED.iter().chain(SETTINGS).copied().collect();
        let mut values = Values::given(&table, set);
        let config = Config::read(&mut values);
        values.finish(config).map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_but_this_machine_is_listened_to_or_told() {
        assert!(read(&[]).is_ok_and(|c| c.directory.ends_with("data/sandbox")));
        for (name, right, wrong) in [
            ("SANDBOX_LISTEN", "127.0.0.1:0", "0.0.0.0:8090"),
            ("SANDBOX_LISTEN", "[::1]:0", "[::]:8090"),
            ("SANDBOX_LISTEN", "127.9.9.9:1", "10.0.0.1:8090"),
            ("SANDBOX_LISTEN", "127.0.0.1:1", "localhost:8090"),
            ("SANDBOX_ALIPAY_NOTIFY_URL", "http://127.0.0.1/n", "http://example.com/n"),
            ("SANDBOX_ALIPAY_NOTIFY_URL", "http://[::1]:1/n", "http://127.0.0.1@example.com/"),
            ("SANDBOX_ALIPAY_NOTIFY_URL", "https://127.0.0.1/n", "http://127.0.0.1.example.com/"),
            ("SANDBOX_ALIPAY_NOTIFY_URL", "", "ftp://127.0.0.1/n"),
            ("SANDBOX_ALIPAY_NOTIFY_URL", "", "http://user@127.0.0.1/n"),
            (
                "SANDBOX_ALIPAY_NOTIFY_URL",
                "http://127.0.0.1/notify/alipay",
                "http://127.0.0.1/notify/wechat",
            ),
            ("SANDBOX_CONFIRM", "manual", "never"),
        ] {
            assert!(read(&[(name, right)]).is_ok(), "{name} {right}");
            let told = read(&[(name, wrong)]).err().unwrap_or_default();
            assert!(told.contains(name), "{name} {wrong}: {told}");
        }
    }
}
