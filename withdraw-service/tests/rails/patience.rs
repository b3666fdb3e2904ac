//! How long anybody waits for a provider: nothing goes out for a call that nobody waits for any more.

use std::time::{Duration, Instant};

use cashout_common::clock::Clock;
use cashout_common::random::Random;
use cashout_common::world::World;
use withdraw_service::providers::Providers;
use withdraw_service::store::Store;

use crate::keys::{NOON_US, channels, keys};
use crate::peer::{Act, Peer, order, request};

fn world() -> World {
    World { clock: Clock::set_at(NOON_US), random: Random::seeded(1) }
}

#[tokio::test]
async fn no_call_of_the_service_takes_longer_than_a_call_may_take() -> anyhow::Result<()> {
    let database = cashout_testing::sqlite("rails_patience").await?;
    let store = Store::open(&database.url).await?;
    let peer = Peer::saying(Act::Hang).await?;
    let channels = channels(&keys()?.settings(&peer.url))?;
    let call_timeout = Duration::from_millis(300);
    let providers = Providers::new(&channels, store.clone(), &world(), call_timeout);
    let providers = providers.map_err(anyhow::Error::msg)?;
    for name in ["wechat", "alipay"] {
        let order = order("2088123456781234");
        let Some(rail) = providers.named(name) else { anyhow::bail!("no {name}") };
        let request = request(&order, rail.prepare(&order)?);
        let began = Instant::now();
        for answer in [rail.send(request.clone()).await, rail.query(request).await] {
            assert_eq!(answer.detail(), "no answer in time", "{name}");
        }
        // Without the setting each would have ten seconds.
        assert!(began.elapsed() < Duration::from_secs(5), "{name}: {:?}", began.elapsed());
    }
    store.close().await;
    Ok(())
}
