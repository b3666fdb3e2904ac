//! The gateway's settings. Must not know: what they are used for beyond their rules.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cashout_common::local::Zone;
use cashout_common::settings::{Setting, Values, duration};

use crate::identity::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, KeyConfig, read_set, url_rule};

/// The gateway's own settings.
pub const SETTINGS: &[Setting] = &[
    Setting::new("GATEWAY_LISTEN", "127.0.0.1:8080", "Address of the public JSON gateway."),
    Setting::new("ACCOUNT_ADDRESS", "http://127.0.0.1:50051", "Where the account service answers."),
    Setting::new(
        "WITHDRAW_ADDRESS",
        "http://127.0.0.1:50052",
        "Where the withdraw service answers.",
    ),
    Setting::secret("JWT_SECRET", "Shared secret of HS256 tokens, at least 32 bytes."),
    Setting::new("JWT_SECRET_FILE", "", "File with the shared secret, instead of JWT_SECRET."),
    Setting::new(
        "JWKS_FILE",
        "",
        "File with the public keys (JWKS) of RS256, ES256, EdDSA tokens.",
    ),
    Setting::new("JWKS_URL", "", "URL of the public keys (JWKS), instead of JWKS_FILE."),
    Setting::new("JWT_ISSUER", DEFAULT_ISSUER, "The `iss` a token must have."),
    Setting::new("JWT_AUDIENCE", DEFAULT_AUDIENCE, "The `aud` a token must have."),
    Setting::new(
        "GATEWAY_TOKEN_PARAMETER",
        "false",
        "Also take the token from the query parameter `token`, as the original systems did.",
    ),
    Setting::new(
        "GATEWAY_REQUEST_TIMEOUT",
        "15s",
        "How long one request may take before it is answered 503.",
    ),
    Setting::new(
        "GATEWAY_HEADER_TIMEOUT",
        "10s",
        "How long a client may take to send its headers.",
    ),
    Setting::new("GATEWAY_CONNECTIONS", "4096", "Connections at a time; more wait."),
    Setting::new("GATEWAY_REQUESTS", "1024", "Requests in flight; more are answered 429."),
    Setting::new(
        "CASH_FEE_RATE",
        "0",
        "Part of the amount kept as fee, a decimal from 0 to 1, rounded up to the cent.",
    ),
];

/// What the gateway needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The account service, `http://host:port`.
    pub account_address: String,
    /// The withdraw service, `http://host:port`.
    pub withdraw_address: String,
    /// What tokens are checked with.
    pub keys: KeyConfig,
    /// Whether `?token=` is taken too.
    pub token_parameter: bool,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long headers may take.
    pub header_timeout: Duration,
    /// Connections at a time.
    pub connections: usize,
    /// Requests in flight.
    pub requests: usize,
    /// The zone of local times.
    pub zone: Zone,
    /// The fee rate as configured: shown, never reckoned with.
    pub fee_rate: String,
}

impl Config {
    /// Reads the settings; `None` after a mistake, which is noted in `values`.
    pub fn read(values: &mut Values) -> Option<Self> {
        let listen: Option<SocketAddr> =
            values.read("GATEWAY_LISTEN", |text| text.parse().map_err(|_| LISTEN_RULE.to_owned()));
        let account_address = values.read("ACCOUNT_ADDRESS", address);
        let withdraw_address = values.read("WITHDRAW_ADDRESS", address);
        let keys = keys(values, listen);
        let token_parameter = values.parse("GATEWAY_TOKEN_PARAMETER");
        let request_timeout = values.read("GATEWAY_REQUEST_TIMEOUT", positive_duration);
        let header_timeout = values.read("GATEWAY_HEADER_TIMEOUT", positive_duration);
        let connections = values.read("GATEWAY_CONNECTIONS", count);
        let requests = values.read("GATEWAY_REQUESTS", count);
        let zone = values.read("CASHOUT_TIME_ZONE", Zone::named);
        let fee_rate = values.read("CASH_FEE_RATE", rate);
        Some(Self {
            listen: listen?,
            account_address: account_address?,
            withdraw_address: withdraw_address?,
            keys: keys?,
            token_parameter: token_parameter?,
            request_timeout: request_timeout?,
            header_timeout: header_timeout?,
            connections: connections?,
            requests: requests?,
            zone: zone?,
            fee_rate: fee_rate?,
        })
    }
}

const LISTEN_RULE: &str = "must be an address and a port, like 127.0.0.1:8080";

fn address(text: &str) -> Result<String, String> {
    let url: Option<axum::http::Uri> = text.parse().ok();
    let fits = url.is_some_and(|u| u.scheme_str() == Some("http") && u.host().is_some());
    fits.then(|| text.to_owned()).ok_or_else(|| "must be http://host:port".to_owned())
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|d| if d.is_zero() { Err("must not be 0".to_owned()) } else { Ok(d) })
}

fn count(text: &str) -> Result<usize, String> {
    let rule = || "must be a whole number from 1 to 1000000".to_owned();
    text.parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(rule)
}

/// A decimal from 0 to 1, in the grammar of a JSON number, because it is shown as one.
fn rate(text: &str) -> Result<String, String> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = !decimals.is_empty() && decimals.bytes().all(|b| b.is_ascii_digit());
    let fits = match whole {
        "0" => true,
        "1" => decimals.bytes().all(|b| b == b'0'),
        _ => false,
    };
    if digits && fits {
        Ok(text.to_owned())
    } else {
        Err("must be a decimal from 0 to 1, like 0.006".to_owned())
    }
}

fn keys(values: &mut Values, listen: Option<SocketAddr>) -> Option<KeyConfig> {
    for (one, other) in [("JWT_SECRET", "JWT_SECRET_FILE"), ("JWKS_FILE", "JWKS_URL")] {
        if values.is_set(one) && values.is_set(other) {
            values.mistake(other, &format!("must not be set together with {one}"));
            return None;
        }
    }
    let none = ["JWT_SECRET", "JWT_SECRET_FILE", "JWKS_FILE", "JWKS_URL"]
        .iter()
        .all(|name| !values.is_set(name));
    if none && listen.is_some_and(|at| !at.ip().is_loopback()) {
        let rule = "needs JWT_SECRET, JWT_SECRET_FILE, JWKS_FILE or JWKS_URL: the development key \
                    is for loopback addresses only";
        values.mistake("GATEWAY_LISTEN", rule);
        return None;
    }
    let secret = secret(values)?;
    let jwks_file = optional(values, "JWKS_FILE", |path| {
        let text = std::fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
        read_set(&text).map(|_| PathBuf::from(path)).map_err(|e| format!("{e:#}"))
    })?;
    let jwks_url = optional(values, "JWKS_URL", url_rule)?;
    let named = |text: &str| {
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
    };
    let issuer = values.read("JWT_ISSUER", named);
    let audience = values.read("JWT_AUDIENCE", named);
    let development = none.then(|| PathBuf::from(values.text("CASHOUT_DATA_DIR")));
    Some(KeyConfig {
        issuer: issuer?,
        audience: audience?,
        secret,
        jwks_file,
        jwks_url,
        development,
    })
}

fn secret(values: &mut Values) -> Option<Option<Vec<u8>>> {
    let long = |secret: &[u8]| {
        if secret.len() < 32 {
            return Err("must have at least 32 bytes".to_owned());
        }
        Ok(secret.to_vec())
    };
    let file = optional(values, "JWT_SECRET_FILE", |path| {
        let text = std::fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
        // The newline an editor leaves at the end is not part of the secret.
        long(text.trim_ascii_end())
    })?;
    let given = optional(values, "JWT_SECRET", |text| long(text.as_bytes()))?;
    Some(given.or(file))
}

/// A setting that may be absent: `Some(None)`; `None` after a mistake.
fn optional<T>(
    values: &mut Values,
    name: &'static str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Option<T>> {
    if values.is_set(name) { values.read(name, parse).map(Some) } else { Some(None) }
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

    const SECRET: (&str, &str) = ("JWT_SECRET", "0123456789abcdef0123456789abcdef");

    #[test]
    fn defaults_are_the_development_key_on_loopback() -> Result<(), String> {
        let config = read(&[("CASHOUT_DATA_DIR", "/d")])?;
        assert_eq!(config.keys.development, Some(PathBuf::from("/d")));
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        let config = read(&[("GATEWAY_LISTEN", "0.0.0.0:80"), SECRET])?;
        assert_eq!(config.keys.development, None);
        assert!(!format!("{config:?}").contains("0123456789abcdef"), "secrets are never printed");
        Ok(())
    }

    #[test]
    fn each_mistake_names_its_setting() {
        for (set, name) in [
            (vec![("GATEWAY_LISTEN", "0.0.0.0:80")], "GATEWAY_LISTEN"),
            (vec![("GATEWAY_LISTEN", "localhost")], "GATEWAY_LISTEN"),
            (vec![("JWT_SECRET", "short")], "JWT_SECRET"),
            (vec![SECRET, ("JWT_SECRET_FILE", "/x")], "JWT_SECRET_FILE"),
            (vec![("JWT_SECRET_FILE", "/no/such/file")], "JWT_SECRET_FILE"),
            (vec![("JWKS_FILE", "/no/such/file")], "JWKS_FILE"),
            (vec![("JWKS_URL", "http://example.com/jwks")], "JWKS_URL"),
            (vec![("JWKS_URL", "file:///etc/passwd")], "JWKS_URL"),
            (vec![("JWT_ISSUER", "")], "JWT_ISSUER"),
            (vec![("ACCOUNT_ADDRESS", "127.0.0.1:1")], "ACCOUNT_ADDRESS"),
            (vec![("GATEWAY_REQUEST_TIMEOUT", "15")], "GATEWAY_REQUEST_TIMEOUT"),
            (vec![("GATEWAY_HEADER_TIMEOUT", "0s")], "GATEWAY_HEADER_TIMEOUT"),
            (vec![("GATEWAY_CONNECTIONS", "0")], "GATEWAY_CONNECTIONS"),
            (vec![("GATEWAY_TOKEN_PARAMETER", "yes")], "GATEWAY_TOKEN_PARAMETER"),
            (vec![("CASHOUT_TIME_ZONE", "Mars/Olympus")], "CASHOUT_TIME_ZONE"),
            (vec![("CASH_FEE_RATE", "1.1")], "CASH_FEE_RATE"),
            (vec![("CASH_FEE_RATE", ".5")], "CASH_FEE_RATE"),
            (vec![("CASH_FEE_RATE", "1e-2")], "CASH_FEE_RATE"),
        ] {
            let told = read(&set).err().unwrap_or_default();
            assert!(told.starts_with(name), "{name}: {told:?}");
        }
        let both = read(&[("JWT_SECRET", "short"), ("CASH_FEE_RATE", "x")]).err();
        assert_eq!(both.unwrap_or_default().lines().count(), 2);
    }
}
