//! A bill from the provider itself, through its adapter. Must not know: any provider's protocol.

use anyhow::{Context, anyhow};
use cashout_common::world::World;

use super::{Day, Source};
use crate::config::Config;
use crate::providers::{Channels, Providers};
use crate::store::Store;

/// The bill of a finished day, as the provider gives it.
///
/// # Errors
/// When the provider is switched off here, or has no such bill, or does not answer.
pub async fn fetch(
    config: &Config,
    source: Source,
    day: Day,
    world: &World,
) -> anyhow::Result<Vec<u8>> {
    let store = Store::open(&config.database_url).await?;
    let fetched = ask(&config.channels, store.clone(), source, day, world).await;
    store.close().await;
    fetched
}

async fn ask(
    channels: &Channels,
    store: Store,
    source: Source,
    day: Day,
    world: &World,
) -> anyhow::Result<Vec<u8>> {
    let providers = Providers::new(channels, store, world).map_err(|why| anyhow!(why))?;
    let provider = providers.named(source.name());
    let provider = provider.with_context(|| format!("{} is not set up here", source.name()))?;
    provider.bill(day.name()).await.map_err(|why| anyhow!(why))
}
