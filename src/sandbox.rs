//! `cashout sandbox`: the simulated providers as a process of their own; and inside the all-in-one, as
//! long as nobody says who really pays.
//!
//! Must not know: what a provider says or keeps.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;

use cashout_common::run::block_on;
use cashout_common::serve::stop_signal;
use cashout_common::settings::Values;
use cashout_common::world::World;
use sandbox::{Config, Sandbox};

use crate::settings::{self, reachable};

/// The command: simulates until SIGTERM.
pub fn command(mut values: Values) -> ExitCode {
    cashout_common::telemetry::start(&mut values);
    let config = Config::read(&mut values);
    let config = match values.finish(config) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("cashout: the settings are wrong:\n{mistakes}");
            return ExitCode::from(2);
        }
    };
    block_on(async {
        let stop = stop_signal();
        let keys = config.directory.join("keys");
        match sandbox::start(config, World::real()).await {
            Ok(sandbox) => {
                let address = sandbox.running.address;
                println!("nobody receives money here; a merchant's keys are in {}", keys.display());
                println!("ready sandbox=http://{address}");
                stop.cancelled().await;
                sandbox.stop().await;
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("cashout: cannot start: {error:#}");
                ExitCode::FAILURE
            }
        }
    })
}

/// The simulator of an all-in-one: its address is taken and its keys are made before anything else is
/// configured, because the withdraw service's settings come from both.
#[derive(Debug)]
pub struct Simulated {
    listener: TcpListener,
    config: Config,
}

impl Simulated {
    /// The simulator, when nobody set who pays; what the withdraw service needs to pay through it is
    /// supposed in `values`.
    ///
    /// # Errors
    /// When its address is taken, or its keys cannot be made or were not made by it.
    pub fn unless_set(values: &mut Values) -> anyhow::Result<Option<Self>> {
        if is_for_real(values) {
            return Ok(None);
        }
        let Some(config) = Config::read(values) else { return Ok(None) };
        let listener = sandbox::bind(config.listen)?;
        let keys = sandbox::keys::prepare(&config.directory.join("keys"))?;
        for (name, value) in keys.settings(listener.local_addr()?) {
            values.suppose(name, value);
        }
        // Nothing is at stake, and a newcomer wants to see a payment now.
        values.suppose("PAYEE_COOLING", "0s");
        // With port 0 nobody knows yet where the gateway will listen: then it is not notified.
        let gateway: Option<SocketAddr> = values.text("GATEWAY_LISTEN").parse().ok();
        if let Some(gateway) = gateway.filter(|address| address.port() != 0) {
            let url = format!("{}/notify/wechat", reachable(gateway));
            values.suppose("WECHAT_NOTIFY_URL", url);
        }
        Ok(Some(Self { listener, config }))
    }

    /// Starts it.
    ///
    /// # Errors
    /// When its books cannot be opened.
    pub async fn start(self, world: World) -> anyhow::Result<Sandbox> {
        sandbox::start_on(self.listener, self.config, world).await
    }
}

/// Whether somebody said anything about who pays, who signs tokens, or listens for others: then nothing is
/// simulated, because what a simulator "pays" is settled in the same books.
fn is_for_real(values: &Values) -> bool {
    let set = settings::table().into_iter().any(|setting| {
        let about = ["WECHAT_", "ALIPAY_", "JWT_SECRET", "JWKS_"];
        about.iter().any(|about| setting.name.starts_with(about)) && values.is_set(setting.name)
    });
    let gateway: Option<SocketAddr> = values.text("GATEWAY_LISTEN").parse().ok();
    set || gateway.is_some_and(|gateway| !gateway.ip().is_loopback())
}

/// Supposes the settings of the simulator that an all-in-one with these settings runs, when there is one,
/// for a command that asks its providers.
pub fn suppose(values: &mut Values) {
    let keys = Path::new(&values.text("SANDBOX_DATA_DIR")).join("keys");
    let address = values.text("SANDBOX_LISTEN").parse();
    if is_for_real(values) || !keys.exists() {
        return;
    }
    if let (Ok(address), Ok(keys)) = (address, sandbox::keys::prepare(&keys)) {
        for (name, value) in keys.settings(address) {
            values.suppose(name, value);
        }
    }
}

/// Tells the simulated Alipay where its messages go, unless that was set.
///
/// # Errors
/// When the gateway does not listen on loopback.
pub fn notify(sandbox: &Sandbox, gateway: SocketAddr) -> anyhow::Result<()> {
    if sandbox.notifies_alipay() {
        return Ok(());
    }
    sandbox.notify_alipay_at(&format!("{}/notify/alipay", reachable(gateway)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(name: &'static str, value: &'static str) -> bool {
        is_for_real(&Values::given(&settings::table(), &[(name, value)]))
    }

    #[test]
    fn one_word_about_who_pays_or_listens_and_nothing_is_simulated() {
        for (name, value, expected) in [
            ("CASHOUT_DATA_DIR", "/var/lib/cashout", false),
            ("WITHDRAW_DATABASE_URL", "postgres://db/withdraw", false),
            ("CASH_MAX", "100.00", false),
            ("PAYEE_COOLING", "24h", false),
            ("SANDBOX_CONFIRM", "manual", false),
            ("GATEWAY_LISTEN", "127.0.0.1:8080", false),
            ("GATEWAY_LISTEN", "127.9.9.9:8080", false),
            ("GATEWAY_LISTEN", "[::1]:8080", false),
            ("GATEWAY_LISTEN", "0.0.0.0:8080", true),
            ("GATEWAY_LISTEN", "[::]:8080", true),
            ("GATEWAY_LISTEN", "10.0.0.1:8080", true),
            ("WECHAT_PROVIDER", "wechat", true),
            ("WECHAT_PROVIDER", "off", true),
            ("WECHAT_PROVIDER", "sandbox", true),
            ("ALIPAY_APP_ID", "2021000000000001", true),
            ("JWT_SECRET", "a secret of at least 32 bytes, really", true),
            ("JWT_SECRET_FILE", "/etc/cashout/secret", true),
            ("JWKS_FILE", "/etc/cashout/keys", true),
            ("JWKS_URL", "https://id.example.com/keys", true),
        ] {
            assert_eq!(real(name, value), expected, "{name}={value}");
        }
        assert!(!is_for_real(&Values::given(&settings::table(), &[])));
    }

    #[test]
    fn any_setting_of_a_provider_counts() {
        let table = settings::table();
        let of = |who: &str| table.iter().filter(|s| s.name.starts_with(who)).collect::<Vec<_>>();
        let (wechat, alipay) = (of("WECHAT_"), of("ALIPAY_"));
        assert!(wechat.len() > 10 && alipay.len() > 8, "{} {}", wechat.len(), alipay.len());
        for setting in wechat.into_iter().chain(alipay) {
            assert!(real(setting.name, "x"), "{}", setting.name);
        }
    }
}
