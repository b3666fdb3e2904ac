//! The account service: balances, holds, statements and holders on a double-entry ledger.
//!
//! Owns money. Must not know: cash-outs, providers, JSON. Inside, dependencies point one way:
//! `grpc → service → store → domain`.

mod config;
pub mod domain;
mod grpc;
mod keys;
mod sealing;
pub mod service;
pub mod store;

use anyhow::Context;
use cashout_common::report::Report;
use cashout_common::serve::{Limits, Running, grpc as serve_grpc};
use cashout_common::world::World;
use cashout_common::writer::Writer;
use cashout_proto::account::v1::DESCRIPTORS;
use cashout_proto::account::v1::account_service_server::AccountServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use config::{Config, SETTINGS};
pub use keys::KeySource;
pub use sealing::{Key, Keyring};

use crate::service::payees::Payees;
use crate::service::poster::Poster;
use crate::service::{releases, resealing};
use crate::store::standing::FoundHold;
use crate::store::{LOCK, Store};

/// The service's full name, for health.
pub const NAME: &str = "cashout.account.v1.AccountService";

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
    let writer = Writer::start(store.database().clone(), LOCK);
    let payees = payees(&config, &store, &writer, &world).await?;
    let (poster, posting) = Poster::start(store.clone(), world.clock.clone());
    let releasing = tokio::spawn(releases::run(
        store.clone(),
        poster.clone(),
        world.clock.clone(),
        stop.clone(),
    ));
    let resealing = tokio::spawn(resealing::run(payees.clone(), stop.clone()));
    let is_ready = poster.healthy();
    let server =
        grpc::Server::new(store.clone(), poster, writer, payees, world.clock, stop.clone());
    let mut routes = Routes::builder();
    routes.add_service(AccountServiceServer::new(server));
    let serving =
        serve_grpc(listener, NAME, DESCRIPTORS, routes, is_ready, Limits::default(), stop.clone());
    let task = tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the account service cannot serve");
        }
        // No call is left: the poster ends when everything it was given is committed.
        let _ = tokio::join!(releasing, resealing);
        // Readers go first: the last connection of an SQLite file folds its log in, and only a writer can.
        store.database().close().await;
        let _ = posting.await;
    });
    tracing::info!(%address, "account service listens");
    Ok(Running::new(address, stop, task))
}

/// Bindings of people, once every key that sealed one is found to be here.
async fn payees(
    config: &Config,
    store: &Store,
    writer: &Writer,
    world: &World,
) -> anyhow::Result<Payees> {
    let keys = config.payee_keys.open(&world.random)?;
    let World { clock, random } = world.clone();
    let (store, writer) = (store.clone(), writer.clone());
    let payees = Payees::new(store, writer, keys, random, clock, config.payee_cooling);
    payees.check_keys().await?;
    Ok(payees)
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

/// The holds of a ledger, for a comparison with who placed them (G12).
#[derive(Debug)]
pub struct FoundHolds(Store);

impl FoundHolds {
    /// Opens a database for reading alone.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(database_url: &str) -> anyhow::Result<Self> {
        Ok(Self(Store::open_read_only(database_url).await?))
    }

    /// See [`Store::holds_after`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn after(
        &self,
        prefix: &str,
        key: Option<&str>,
    ) -> anyhow::Result<(Vec<FoundHold>, Option<String>)> {
        Ok(self.0.holds_after(prefix, key).await?)
    }

    /// See [`Store::holds_of`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn of(&self, keys: &[String]) -> anyhow::Result<Vec<FoundHold>> {
        Ok(self.0.holds_of(keys).await?)
    }

    /// Ends reading.
    pub async fn close(self) {
        self.0.database().close().await;
    }
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
