//! The settings of this service and what they make. Must not know: what they are used for.

use std::net::SocketAddr;
use std::time::Duration;

use cashout_common::local::Zone;
use cashout_common::money::parse_amount;
use cashout_common::settings::{Setting, Values, duration};
use rust_decimal::Decimal;

use crate::domain::policy::Policy;
use crate::ports::LEDGER_TIMEOUT;
use crate::providers::Channels;
use crate::providers::settings::{ALIPAY, WECHAT};
use crate::service::Timing;
use crate::service::float::FloatGuard;

/// The settings of this service; those of every process are `cashout_common::settings::SHARED`.
pub const SETTINGS: &[Setting] =
    &joined::<{ OWN.len() + WECHAT.len() + ALIPAY.len() }>([OWN, WECHAT, ALIPAY]);

const fn joined<const ALL: usize>(tables: [&[Setting]; 3]) -> [Setting; ALL] {
    let mut all = [tables[0][0]; ALL];
    let (mut filled, mut table, mut at) = (0, 0, 0);
    while filled < ALL {
        if at == tables[table].len() {
            (table, at) = (table + 1, 0);
            continue;
        }
        all[filled] = tables[table][at];
        (filled, at) = (filled + 1, at + 1);
    }
    all
}

const OWN: &[Setting] = &[
    Setting::new("WITHDRAW_LISTEN", "127.0.0.1:50052", "Address the withdraw service listens on."),
    Setting::new(
        "WITHDRAW_DATABASE_URL",
        "sqlite://{data}/withdraw.db",
        "Database of the withdraw service, `sqlite://…` or `postgres://…`.",
    ),
    Setting::new("ACCOUNT_ADDRESS", "http://127.0.0.1:50051", "Where the account service answers."),
    Setting::new("CASH_MIN", "0.01", "Least amount of one cash-out."),
    Setting::new("CASH_MAX", "5000.00", "Most of one cash-out."),
    Setting::new(
        "CASH_DAILY_LIMIT",
        "5000.00",
        "Most a person may request per local day; equal is allowed.",
    ),
    Setting::new("CASH_INTERVAL_DAYS", "0", "Days between two requests of a person, 0 for none."),
    Setting::new(
        "CASH_FEE_RATE",
        "0",
        "Part of the amount kept as fee, a decimal from 0 to 1, rounded up to the cent.",
    ),
    Setting::new(
        "CASH_TWO_REVIEWERS_ABOVE",
        "",
        "Amount above which two reviewers must approve; empty for never.",
    ),
    Setting::new(
        "PAYOUT_CALL_TIMEOUT",
        "5s",
        "How long one call to a provider may take, 1ms to 15s.",
    ),
    Setting::new(
        "PAYOUTS_AT_ONCE",
        "64",
        "Most payouts of one method that an instance carries out at a time, 1 to 1024.",
    ),
    Setting::new("PAYOUT_BACKOFF_MIN", "200ms", "Pause before the first repetition; it doubles."),
    Setting::new("PAYOUT_BACKOFF_MAX", "60s", "The longest pause between repetitions."),
    Setting::new(
        "PAYOUT_CONFIRM_BACKOFF_MAX",
        "10m",
        "The longest pause between repetitions while a payee has yet to confirm, at most 1h; \
         PAYOUT_BACKOFF_MAX when that is longer.",
    ),
    Setting::new(
        "PAYOUT_LEASE",
        "10s",
        "How long an instance may work on one step before another one takes over; at least 1s more \
         than PAYOUT_CALL_TIMEOUT, and 6s.",
    ),
    Setting::new(
        "PAYOUT_UNKNOWN_LIMIT",
        "24h",
        "How long an outcome may stay unknown before it becomes a case for a person.",
    ),
    Setting::new(
        "PAYOUT_PENDING_LIMIT",
        "72h",
        "How long a provider may work on a payout before it becomes a case for a person.",
    ),
    Setting::new(
        "FLOAT_CHECK_EVERY",
        "60s",
        "How often a provider's balance is compared with what waits for it; at least 1s.",
    ),
    Setting::new(
        "FLOAT_RESERVE",
        "0",
        "Amount that is to be left at each provider: payouts pause before it is used.",
    ),
];

/// What the service needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes any.
    pub listen: SocketAddr,
    /// The database.
    pub database_url: String,
    /// The account service, `http://host:port`.
    pub account_address: String,
    /// Where a day begins.
    pub zone: Zone,
    /// The rules of cash-outs.
    pub policy: Policy,
    /// Who pays by WeChat and by Alipay.
    pub channels: Channels,
    /// How patient payouts are.
    pub timing: Timing,
    /// Most payouts of one method at a time.
    pub payouts_at_once: usize,
    /// How providers' balances are watched.
    pub float: FloatGuard,
}

impl Config {
    /// Reads the configuration; mistakes stay in `values`.
    pub fn read(values: &mut Values) -> Option<Self> {
        // Everything is read before anything is given up, so that every mistake is told.
        let listen = values.parse("WITHDRAW_LISTEN");
        let database_url = values.read("WITHDRAW_DATABASE_URL", cashout_common::db::address);
        let zone = values.read("CASHOUT_TIME_ZONE", Zone::named);
        let account_address = values.read("ACCOUNT_ADDRESS", address);
        let policy = read_policy(values);
        let channels = Channels::read(values);
        let timing = read_timing(values);
        let payouts_at_once = values.read("PAYOUTS_AT_ONCE", |text| {
            let number: Option<usize> = text.parse().ok();
            let rule = || "must be a number from 1 to 1024".to_owned();
            number.filter(|n| (1..=1024).contains(n)).ok_or_else(rule)
        });
        let float = read_float(values);
        Some(Self {
            listen: listen?,
            database_url: database_url?,
            account_address: account_address?,
            zone: zone?,
            policy: policy?,
            channels: channels?,
            timing: timing?,
            payouts_at_once: payouts_at_once?,
            float: float?,
        })
    }
}

fn address(text: &str) -> Result<String, String> {
    if text.starts_with("http://") && text.len() > "http://".len() {
        return Ok(text.to_owned());
    }
    Err("must be an address like http://127.0.0.1:50051".to_owned())
}

fn amount(text: &str) -> Result<i64, String> {
    parse_amount(text).map_err(|e| e.to_string())
}

fn rate(text: &str) -> Result<Decimal, String> {
    let rule = "must be a decimal from 0 to 1, like 0.006";
    // The library reads more than we write: signs, underscores, exponents.
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.len() <= 14;
    let digits = text.bytes().next().is_some_and(|b| b.is_ascii_digit());
    let rate: Option<Decimal> = text.parse().ok().filter(|_| plain && digits);
    rate.filter(|r| *r <= Decimal::ONE).ok_or_else(|| rule.to_owned())
}

fn read_policy(values: &mut Values) -> Option<Policy> {
    let min = values.read("CASH_MIN", amount);
    let max = values.read("CASH_MAX", amount);
    let daily = values.read("CASH_DAILY_LIMIT", amount);
    let interval = values.read("CASH_INTERVAL_DAYS", |text| {
        let days: Option<i64> = text.parse().ok();
        days.filter(|d| (0..=3650).contains(d))
            .ok_or_else(|| "must be a number of days, 0 to 3650".to_owned())
    });
    let fee_rate = values.read("CASH_FEE_RATE", rate);
    let two = values.read("CASH_TWO_REVIEWERS_ABOVE", |text| {
        if text.is_empty() { Ok(None) } else { amount(text).map(Some) }
    });
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        values.mistake("CASH_MIN", "must not be more than CASH_MAX");
    }
    Some(Policy {
        min_minor: min?,
        max_minor: max?,
        daily_minor: daily?,
        interval_days: interval?,
        fee_rate: fee_rate?,
        two_reviewers_above_minor: two?,
    })
}

fn read_timing(values: &mut Values) -> Option<Timing> {
    let call_timeout = values.read("PAYOUT_CALL_TIMEOUT", |text| {
        let (least, most) = (Duration::from_millis(1), Duration::from_secs(15));
        duration(text).and_then(|d| {
            Some(d)
                .filter(|d| (least..=most).contains(d))
                .ok_or_else(|| "must be 1ms to 15s".into())
        })
    });
    let backoff_min = values.read("PAYOUT_BACKOFF_MIN", positive);
    let backoff_max = values.read("PAYOUT_BACKOFF_MAX", positive);
    let confirm_backoff_max = values.read("PAYOUT_CONFIRM_BACKOFF_MAX", |text| {
        // Times so far ahead are believed, so a clock that was set back by less is not noticed.
        let most = Duration::from_secs(3600);
        positive(text)
            .and_then(|d| Some(d).filter(|d| *d <= most).ok_or_else(|| "must be at most 1h".into()))
    });
    let unknown_limit = values.read("PAYOUT_UNKNOWN_LIMIT", positive);
    let pending_limit = values.read("PAYOUT_PENDING_LIMIT", positive);
    let lease = values.read("PAYOUT_LEASE", positive);
    // The longest step and its bookkeeping, so that nobody takes over while a call is under way.
    if let (Some(call_timeout), Some(lease)) = (call_timeout, lease)
        && lease < call_timeout.max(LEDGER_TIMEOUT) + Duration::from_secs(1)
    {
        let rule = "must be at least 1s more than PAYOUT_CALL_TIMEOUT, and at least 6s";
        values.mistake("PAYOUT_LEASE", rule);
    }
    Some(Timing {
        call_timeout: call_timeout?,
        ledger_timeout: LEDGER_TIMEOUT,
        backoff_min: backoff_min?,
        backoff_max: backoff_max?,
        confirm_backoff_max: confirm_backoff_max?,
        unknown_limit: unknown_limit?,
        pending_limit: pending_limit?,
        lease: lease?,
    })
}

fn read_float(values: &mut Values) -> Option<FloatGuard> {
    let check_every = values.read("FLOAT_CHECK_EVERY", |text| {
        let short = || "must be at least 1s".to_owned();
        duration(text).and_then(|d| Some(d).filter(|d| d.as_secs() >= 1).ok_or_else(short))
    });
    let reserve_minor = values.read("FLOAT_RESERVE", |text| {
        if matches!(text, "0" | "0.0" | "0.00") { Ok(0) } else { amount(text) }
    });
    Some(FloatGuard { check_every: check_every?, reserve_minor: reserve_minor? })
}

fn positive(text: &str) -> Result<Duration, String> {
    let zero = || "must be more than 0".to_owned();
    duration(text).and_then(|d| Some(d).filter(|d| !d.is_zero()).ok_or_else(zero))
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
    fn defaults_are_the_contracts() -> Result<(), String> {
        let config = read(&[])?;
        assert_eq!((config.policy.min_minor, config.policy.max_minor), (1, 500_000));
        assert_eq!(config.policy.daily_minor, 500_000);
        assert_eq!(config.policy.two_reviewers_above_minor, None);
        assert_eq!(config.database_url, "sqlite://./data/withdraw.db");
        let (timing, own) = (config.timing, Timing::default());
        assert_eq!((timing.lease, timing.pending_limit), (own.lease, own.pending_limit));
        assert_eq!(timing.confirm_backoff_max, own.confirm_backoff_max);
        assert_eq!(config.float, FloatGuard::default());
        // What a killed instance had begun is taken over and finished within half a minute.
        assert_eq!(timing.lease, Duration::from_secs(10));
        Ok(())
    }

    #[test]
    fn every_mistake_is_told_with_its_setting() {
        let wrong = [
            ("WITHDRAW_LISTEN", "here"),
            ("ACCOUNT_ADDRESS", "127.0.0.1:1"),
            ("CASH_MIN", "0"),
            ("CASH_MAX", "1e3"),
            ("CASH_INTERVAL_DAYS", "-1"),
            ("CASH_FEE_RATE", "1.01"),
            ("CASH_TWO_REVIEWERS_ABOVE", "many"),
            ("WECHAT_PROVIDER", "alipay"),
            ("PAYOUT_CALL_TIMEOUT", "60s"),
            ("PAYOUTS_AT_ONCE", "0"),
            ("PAYOUT_BACKOFF_MIN", "0s"),
            ("PAYOUT_CONFIRM_BACKOFF_MAX", "10"),
            ("PAYOUT_LEASE", "30"),
            ("PAYOUT_PENDING_LIMIT", "0s"),
            ("FLOAT_CHECK_EVERY", "999ms"),
            ("FLOAT_RESERVE", "-1"),
            ("CASHOUT_TIME_ZONE", "Mars/Base"),
        ];
        let told = read(&wrong).err().unwrap_or_default();
        for (name, _) in wrong {
            assert!(told.contains(name), "{name} is missing in: {told}");
        }
        for (call_timeout, lease, right) in [
            ("5s", "6s", true),
            ("5s", "5999ms", false),
            ("1ms", "5s", false),
            ("15s", "15s", false),
        ] {
            let set = [("PAYOUT_CALL_TIMEOUT", call_timeout), ("PAYOUT_LEASE", lease)];
            assert_eq!(read(&set).is_ok(), right, "{set:?}");
        }
        for bad in ["+0.1", "1e-2", ".5", "0_1", "", "-0.1", "2"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }
}
