//! `cashout serve`: the three services in one process, over loopback gRPC, with simulated providers over
//! loopback HTTP unless somebody set who pays.
//!
//! They are started in the order in which they need each other (account, withdraw, gateway) and
//! stopped the other way round, so that nobody loses a peer while it still has calls in flight.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use cashout_common::run::block_on;
use cashout_common::serve::{Running, stop_signal};
use cashout_common::settings::Values;
use cashout_common::world::World;
use sandbox::Sandbox;

use crate::probe;
use crate::sandbox::{Simulated, notify};
use crate::settings::reachable;

/// How long the services may take until all of them answer.
const START: Duration = Duration::from_secs(60);

/// The configurations of the three. The addresses of peers in them are replaced by where the peers
/// really listen.
#[derive(Debug)]
pub struct Config {
    /// The account service's.
    pub account: account_service::Config,
    /// The withdraw service's.
    pub withdraw: withdraw_service::Config,
    /// The gateway's.
    pub gateway: gateway::Config,
    /// The simulated providers, when nobody else pays.
    pub simulated: Option<Simulated>,
}

impl Config {
    /// Reads all three, so that the mistakes of all are told at once.
    pub fn read(values: &mut Values) -> Option<Self> {
        let account = account_service::Config::read(values);
        let withdraw = withdraw_service::Config::read(values);
        let gateway = gateway::Config::read(values);
        Some(Self { account: account?, withdraw: withdraw?, gateway: gateway?, simulated: None })
    }
}

/// The three services, running.
#[derive(Debug)]
pub struct System {
    account: Running,
    withdraw: Running,
    gateway: Running,
    simulated: Option<Sandbox>,
}

impl System {
    /// Where the gateway listens.
    #[must_use]
    pub fn gateway(&self) -> SocketAddr {
        self.gateway.address
    }

    /// The account service's URL.
    #[must_use]
    pub fn account(&self) -> String {
        reachable(self.account.address)
    }

    /// The withdraw service's URL.
    #[must_use]
    pub fn withdraw(&self) -> String {
        reachable(self.withdraw.address)
    }

    /// Waits until all three answer.
    ///
    /// # Errors
    /// When one of them does not within a minute.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let all = async {
            probe::serving(&self.account(), probe::ACCOUNT).await?;
            probe::serving(&self.withdraw(), probe::WITHDRAW).await?;
            probe::ready(self.gateway()).await;
            anyhow::Ok(())
        };
        tokio::time::timeout(START, all).await.context("not all services answer")?
    }

    /// Stops the gateway first: calls in flight still find the services behind it.
    pub async fn stop(self) {
        self.gateway.stop().await;
        self.withdraw.stop().await;
        self.account.stop().await;
        if let Some(sandbox) = self.simulated {
            sandbox.stop().await;
        }
    }

    /// The simulated providers' URL, when they are what pays.
    #[must_use]
    pub fn simulated(&self) -> Option<String> {
        self.simulated.as_ref().map(|sandbox| reachable(sandbox.running.address))
    }

    /// The line that tells that everything answers.
    #[must_use]
    pub fn ready_line(&self) -> String {
        let simulated = self.simulated().map(|url| format!(" sandbox={url}")).unwrap_or_default();
        format!(
            "ready gateway={} account={} withdraw={}{simulated}",
            reachable(self.gateway.address),
            self.account(),
            self.withdraw()
        )
    }
}

/// Starts the services in this process, and the simulated providers when they are what pays.
///
/// # Errors
/// When one cannot start; the ones before it are stopped again.
pub async fn start(mut config: Config, world: World) -> anyhow::Result<System> {
    let simulated = match config.simulated.take() {
        Some(simulated) => Some(simulated.start(world.clone()).await.context("sandbox")?),
        None => None,
    };
    match start_services(config, world).await {
        Ok((account, withdraw, gateway)) => {
            if let Some(sandbox) = &simulated
                && let Err(error) = notify(sandbox, gateway.address)
            {
                tracing::warn!(error = format!("{error:#}"), "simulated messages go nowhere");
            }
            Ok(System { account, withdraw, gateway, simulated })
        }
        Err(error) => {
            if let Some(sandbox) = simulated {
                sandbox.stop().await;
            }
            Err(error)
        }
    }
}

async fn start_services(
    config: Config,
    world: World,
) -> anyhow::Result<(Running, Running, Running)> {
    let Config { account, mut withdraw, mut gateway, .. } = config;
    let account =
        account_service::start(account, world.clone()).await.context("account-service")?;
    withdraw.account_address = reachable(account.address);
    gateway.account_address = reachable(account.address);
    let withdraw = match withdraw_service::start(withdraw, world.clone()).await {
        Ok(withdraw) => withdraw,
        Err(error) => {
            account.stop().await;
            return Err(error.context("withdraw-service"));
        }
    };
    gateway.withdraw_address = reachable(withdraw.address);
    match gateway::start(gateway, world).await {
        Ok(gateway) => Ok((account, withdraw, gateway)),
        Err(error) => {
            withdraw.stop().await;
            account.stop().await;
            Err(error.context("gateway"))
        }
    }
}

/// The command: serves until SIGTERM.
pub fn command(mut values: Values) -> ExitCode {
    cashout_common::telemetry::start(&mut values);
    let listeners = ["GATEWAY_LISTEN", "ACCOUNT_LISTEN", "WITHDRAW_LISTEN", "SANDBOX_LISTEN"]
        .map(|name| (name, values.text(name)));
    let data = values.text("CASHOUT_DATA_DIR");
    if let Err(error) = private_directory(&data) {
        values.mistake("CASHOUT_DATA_DIR", &format!("cannot be made: {error}"));
    }
    let simulated = match Simulated::unless_set(&mut values) {
        Ok(simulated) => simulated,
        Err(error) => {
            let error = error.context("sandbox");
            eprintln!("cashout: cannot start: {error:#}{}", advice(&error, &listeners));
            return ExitCode::FAILURE;
        }
    };
    let metrics = cashout_common::metrics::address(&mut values);
    let config = Config::read(&mut values);
    let mut config = match values.finish(config) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("cashout: the settings are wrong:\n{mistakes}");
            return ExitCode::from(2);
        }
    };
    config.simulated = simulated;
    block_on(async {
        let stop = stop_signal();
        let metrics = match cashout_common::metrics::serve(metrics).await {
            Ok(metrics) => metrics,
            Err(error) => {
                eprintln!("cashout: cannot start: {error:#}");
                return ExitCode::FAILURE;
            }
        };
        let system = match start(config, World::real()).await {
            Ok(system) => system,
            Err(error) => {
                eprintln!("cashout: cannot start: {error:#}{}", advice(&error, &listeners));
                return ExitCode::FAILURE;
            }
        };
        tokio::select! {
            ready = system.ready() => {
                if let Err(error) = ready {
                    eprintln!("cashout: {error:#}");
                    system.stop().await;
                    return ExitCode::FAILURE;
                }
                tell(&system, metrics);
                stop.cancelled().await;
            }
            () = stop.cancelled() => {}
        }
        system.stop().await;
        ExitCode::SUCCESS
    })
}

fn tell(system: &System, metrics: Option<SocketAddr>) {
    if std::io::stdout().is_terminal() {
        let gateway = reachable(system.gateway());
        let me = std::env::args().next().unwrap_or_else(|| "cashout".to_owned());
        if let Some(simulated) = system.simulated() {
            println!(
                "Payouts are simulated and nobody receives money: {simulated} shows the books."
            );
        }
        println!("Try, in another terminal:");
        println!("  {me} demo    # the people of the documents, and what to ask");
        println!("  {me} token --user 7 --role teacher    # a token for one of them");
        let token = format!("$({me} token --user 7 --role teacher)");
        println!("  curl -H \"Authorization: Bearer {token}\" {gateway}/sett/sett");
    }
    let metrics =
        metrics.map(|at| format!(" metrics={}/metrics", reachable(at))).unwrap_or_default();
    println!("{}{metrics}", system.ready_line());
}

/// Makes the data directory for its owner alone: it holds a key and people's numbers.
fn private_directory(path: &str) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Which setting to change when an address is taken.
fn advice(error: &anyhow::Error, listeners: &[(&str, String); 4]) -> String {
    let taken = error.chain().any(|cause| {
        let cause = cause.downcast_ref::<std::io::Error>();
        cause.is_some_and(|io| io.kind() == std::io::ErrorKind::AddrInUse)
    });
    let service = error.chain().next().map(ToString::to_string).unwrap_or_default();
    let setting = match service.as_str() {
        "gateway" => "GATEWAY_LISTEN",
        "account-service" => "ACCOUNT_LISTEN",
        "sandbox" => "SANDBOX_LISTEN",
        _ => "WITHDRAW_LISTEN",
    };
    let at = listeners.iter().find(|(name, _)| *name == setting).map_or("", |(_, at)| at);
    if taken {
        format!("\n{setting}: {at} is taken by another program; set {setting} to a free address")
    } else {
        String::new()
    }
}
