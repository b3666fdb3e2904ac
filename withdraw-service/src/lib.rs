//! The withdraw service: the cash-out from request to outcome.
//!
//! One row, one status, its history, payout attempts, providers. It never writes a balance: it asks the
//! account service. Must not know: JSON, the account service's database.

pub mod alarms;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod ledger;
pub mod ports;
pub mod providers;
pub mod reconcile;
pub mod service;
pub mod store;
pub mod verification;
pub mod worker;

use std::sync::Arc;

use anyhow::Context;
use cashout_common::peer;
use cashout_common::serve::{self, Limits, Running};
use cashout_common::telemetry;
use cashout_common::world::World;
use cashout_proto::withdraw::v1::DESCRIPTORS;
use cashout_proto::withdraw::v1::withdraw_service_server::WithdrawServiceServer;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::RoutesBuilder;

pub use config::{Config, SETTINGS};
pub use domain::policy::Policy;
pub use domain::withdrawal::HOLD_KEYS;
pub use providers::{Channel, Channels, Other};
pub use service::Timing;
pub use service::float::FloatGuard;
pub use verification::holds::{ExpectedHold, ExpectedHolds, ExpectedState};
pub use verification::verify;

use ports::Ledger;
use service::notifications::Forgeries;

/// Full name of the service, as health knows it.
pub const SERVICE: &str = "cashout.withdraw.v1.WithdrawService";
const ACCOUNT_SERVICE: &str = "cashout.account.v1.AccountService";

/// Starts the service: binds first, migrates, serves, works; stops by draining. It says that it is not
/// serving while the account service is not.
///
/// # Errors
/// When it cannot bind or open its database.
pub async fn start(config: Config, world: World) -> anyhow::Result<Running> {
    let stop = CancellationToken::new();
    let channel = peer::channel(&config.account_address).context("ACCOUNT_ADDRESS")?;
    let ready = peer::watch_health(channel.clone(), ACCOUNT_SERVICE, stop.clone());
    let ledger = Arc::new(ledger::RemoteLedger::new(channel));
    let running = launch(config, world, ledger, Vec::new(), ready, stop.clone()).await;
    if running.is_err() {
        stop.cancel();
    }
    running
}

/// Starts the service on any ledger, ready at once: for tests.
///
/// # Errors
/// When it cannot bind or open its database.
pub async fn start_on(
    config: Config,
    world: World,
    ledger: Arc<dyn Ledger>,
) -> anyhow::Result<Running> {
    start_with(config, world, ledger, Vec::new()).await
}

/// Starts the service on any ledger and with more providers, ready at once: for tests.
///
/// # Errors
/// When it cannot bind or open its database.
pub async fn start_with(
    config: Config,
    world: World,
    ledger: Arc<dyn Ledger>,
    others: Vec<Other>,
) -> anyhow::Result<Running> {
    let (_, ready) = watch::channel(true);
    launch(config, world, ledger, others, ready, CancellationToken::new()).await
}

async fn launch(
    config: Config,
    world: World,
    ledger: Arc<dyn Ledger>,
    others: Vec<Other>,
    ready: watch::Receiver<bool>,
    stop: CancellationToken,
) -> anyhow::Result<Running> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    telemetry::alarms(&alarms::ALARMS);
    let store = store::Store::open(&config.database_url).await?;
    let (channels, call_timeout) = (&config.channels, config.timing.call_timeout);
    let mut providers = providers::Providers::new(channels, store.clone(), &world, call_timeout)
        .map_err(anyhow::Error::msg)?;
    let wake = Arc::new(Notify::new());
    for other in others {
        providers.add(other);
    }
    let core = Arc::new(service::Core {
        providers,
        store,
        ledger,
        replies: Arc::new(grpc::convert::WireReplies),
        policy: config.policy,
        zone: config.zone,
        timing: config.timing,
        float: config.float,
        forgeries: Forgeries::default(),
        instance: service::instance_name(&world),
        world,
        places: service::places::Places::new(config.payouts_at_once, wake.clone()),
        wake,
        tasks: TaskTracker::new(),
    });
    let mut routes = RoutesBuilder::default();
    let server = grpc::server::Server::new(core.clone(), stop.clone());
    routes.add_service(WithdrawServiceServer::new(server));
    let working = tokio::spawn(worker::run(core.clone(), stop.clone()));
    let watching = tokio::spawn(service::float::run(core.clone(), stop.clone()));
    let until = stop.clone();
    let task = tokio::spawn(async move {
        let limits = Limits::default();
        if let Err(error) =
            serve::grpc(listener, SERVICE, DESCRIPTORS, routes, ready, limits, until.clone()).await
        {
            tracing::error!(%error, "cannot serve");
            until.cancel();
        }
        // No new work; what is in flight finishes and is recorded.
        let _ = working.await;
        let _ = watching.await;
        core.tasks.close();
        core.tasks.wait().await;
        core.store.close().await;
    });
    Ok(Running::new(address, stop, task))
}
