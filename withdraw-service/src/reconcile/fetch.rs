//! A bill from the provider itself, through its adapter. Must not know: any provider's protocol.

use anyhow::{Context, anyhow};
use cashout_common::world::World;

use super::{Day, Source};
use crate::config::Config;
use crate::providers::Providers;
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
    let clock = world.clock.clone();
    let providers = Providers::new(config.wechat, config.alipay, store.clone(), clock);
    let provider = providers.named(source.name());
    let provider = provider.with_context(|| format!("{} is not set up here", source.name()));
    let fetched = match provider {
        Ok(provider) => provider.bill(day.name()).await.map_err(|why| anyhow!(why)),
        Err(error) => Err(error),
    };
    store.close().await;
    fetched
}
