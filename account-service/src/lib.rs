//! The account service: balances, holds, statements and holders on a double-entry ledger.
//!
//! Owns money. Must not know: cash-outs, providers, JSON. Inside, dependencies point one way:
//! `grpc → service → store → domain`.

pub mod domain;
mod grpc;
pub mod service;
pub mod store;

use std::net::SocketAddr;

use anyhow::Context;
use cashout_common::report::Report;
use cashout_common::serve::{Limits, Running, grpc as serve_grpc};
use cashout_common::settings::{Setting, Values};
use cashout_common::world::World;
use cashout_common::writer::Writer;
use cashout_proto::account::v1::DESCRIPTORS;
use cashout_proto::account::v1::account_service_server::AccountServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::service::poster::Poster;
use crate::store::{LOCK, Store};

/// The service's full name, for health.
pub const NAME: &str = "cashout.account.v1.AccountService";

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
];

/// What the service needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// `sqlite://…` or `postgres://…`.
    pub database_url: String,
}

impl Config {
    /// Reads the settings; mistakes stay in `values`.
    pub fn read(values: &mut Values) -> Option<Self> {
        let listen = values.parse("ACCOUNT_LISTEN");
        let database_url = values.read("ACCOUNT_DATABASE_URL", cashout_common::db::address);
        Some(Self { listen: listen?, database_url: database_url? })
    }
}

/// Starts the service: binds, migrates, serves. Stops by draining: calls first, then the poster.
///
/// # Errors
/// When the address is taken or the database cannot be opened.
pub async fn start(config: Config, world: World) -> anyhow::Result<Running> {
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("ACCOUNT_LISTEN: cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let store = Store::open(&config.database_url).await.context("ACCOUNT_DATABASE_URL")?;
    let stop = CancellationToken::new();
    let (poster, posting) = Poster::start(store.clone(), world.clock.clone());
    let writer = Writer::start(store.database().clone(), LOCK);
    let releasing = tokio::spawn(service::releases::run(
        store.clone(),
        poster.clone(),
        world.clock.clone(),
        stop.clone(),
    ));
    let is_ready = poster.healthy();
    let server = grpc::Server::new(store.clone(), poster, writer, world.clock, stop.clone());
    let mut routes = Routes::builder();
    routes.add_service(AccountServiceServer::new(server));
    let serving =
        serve_grpc(listener, NAME, DESCRIPTORS, routes, is_ready, Limits::default(), stop.clone());
    let task = tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the account service cannot serve");
        }
        // No call is left: the poster ends when everything it was given is committed.
        let _ = releasing.await;
        // Readers go first: the last connection of an SQLite file folds its log in, and only a writer can.
        store.database().close().await;
        let _ = posting.await;
    });
    tracing::info!(%address, "account service listens");
    Ok(Running::new(address, stop, task))
}

/// Runs G1 to G7 on a consistent snapshot of the ledger, also while it is in use.
///
/// # Errors
/// When the database cannot be read.
pub async fn verify(database_url: &str) -> anyhow::Result<Report> {
    let store = Store::open_read_only(database_url).await?;
    let report = store.verify().await?;
    store.database().close().await;
    Ok(report)
}

/// Every hold whose key begins with `prefix`, for a comparison with who placed them (G12).
///
/// # Errors
/// When the database cannot be read.
pub async fn holds_found(
    database_url: &str,
    prefix: &str,
) -> anyhow::Result<Vec<store::standing::FoundHold>> {
    let store = Store::open_read_only(database_url).await?;
    let found = store.holds_under(prefix).await?;
    store.database().close().await;
    Ok(found)
}

/// Everything that left to a counter-account since a moment, by the hold it left from, for a comparison
/// with a provider's bill.
///
/// # Errors
/// When the database cannot be read.
pub async fn payouts_found(
    database_url: &str,
    counter: &str,
    currency: &str,
    since_us: i64,
) -> anyhow::Result<Vec<store::payouts::FoundPayout>> {
    let store = Store::open_read_only(database_url).await?;
    let found = store.paid_out(counter, currency, since_us).await?;
    store.database().close().await;
    Ok(found)
}
