//! A bill from the provider itself, through its adapter. Must not know: any provider's protocol.

use anyhow::{Context, anyhow};
use cashout_common::world::World;

use super::{Day, Source};
use crate::config::Config;
use crate::providers::http::Patience;
use crate::providers::rails;

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
    let all = rails(&config.channels, world, Patience::default()).map_err(anyhow::Error::msg)?;
    let found = all.into_iter().find(|(name, _)| *name == source.name());
    let (name, provider) =
        found.with_context(|| format!("{} is not set up here", source.name()))?;
    provider.bill(day.name()).await.map_err(|why| anyhow!("{name}: {why}"))
}
