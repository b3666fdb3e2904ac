//! How long anybody waits for a provider: nothing goes out for a call that nobody waits for any more.

use std::time::{Duration, Instant};

use cashout_common::clock::Clock;
use cashout_common::random::Random;
use cashout_common::world::World;
use serde_json::json;
use withdraw_service::ports::Provider;
use withdraw_service::providers::Providers;
use withdraw_service::store::Store;

use crate::keys::{APP_ID, MCH_ID, NOON_US, channels, keys, rails_in};
use crate::peer::{Act, Peer, Seen, Signed, order, request};

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

#[tokio::test]
async fn asking_for_the_package_again_ends_with_the_question_it_belongs_to() -> anyhow::Result<()> {
    let bill = json!({
        "mch_id": MCH_ID, "out_bill_no": "P20260303000000000001", "transfer_bill_no": "1330000071",
        "appid": APP_ID, "state": "WAIT_USER_CONFIRM", "transfer_amount": 300_000, "openid": "o-1",
    });
    let answer = Signed::right(&keys()?.platform).answer(200, &bill.to_string());
    let script = move |seen: &Seen| match seen.method.as_str() {
        "GET" => Act::Late(Duration::from_millis(1_500), answer.clone()),
        _ => Act::Hang,
    };
    let peer = Peer::start(script).await?;
    let world = world();
    let clock = world.clock.clone();
    let wait = Duration::from_secs(2);
    let rails = rails_in(&channels(&keys()?.settings(&peer.url))?, (world, clock), wait)?;
    let order = order("o-1");
    let request = request(&order, rails.wechat.prepare(&order)?);
    let began = Instant::now();
    assert_eq!(rails.wechat.query(request).await.outcome(), "pending");
    // A sending with a time of its own would end after three and a half seconds.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(peer.seen().len(), 2);
    Ok(())
}
