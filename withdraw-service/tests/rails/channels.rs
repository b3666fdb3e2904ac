//! Which provider carries out which method, as the settings say.

use std::time::Duration;

use cashout_common::clock::Clock;
use cashout_common::random::Random;
use cashout_common::world::World;
use withdraw_service::domain::method::Method;
use withdraw_service::providers::Providers;
use withdraw_service::store::Store;

use crate::keys::{NOON_US, channels, keys};

#[tokio::test]
async fn a_rail_that_is_switched_off_still_answers_for_what_it_was_asked_to_pay()
-> anyhow::Result<()> {
    let database = cashout_testing::sqlite("rails_channels").await?;
    let store = Store::open(&database.url).await?;
    let world = World { clock: Clock::set_at(NOON_US), random: Random::seeded(1) };
    let wait = Duration::from_secs(5);
    let of = |wechat: &str, alipay: &str| -> anyhow::Result<Providers> {
        let mut set = keys()?.settings("http://127.0.0.1:9");
        set.push(("WECHAT_PROVIDER", wechat.to_owned()));
        set.push(("ALIPAY_PROVIDER", alipay.to_owned()));
        Providers::new(&channels(&set)?, store.clone(), &world, wait).map_err(anyhow::Error::msg)
    };
    for (wechat, alipay, expected) in [
        ("wechat", "alipay", [Some("wechat"), Some("alipay")]),
        ("off", "sandbox", [None, Some("sandbox")]),
        ("sandbox", "off", [Some("sandbox"), None]),
    ] {
        let providers = of(wechat, alipay)?;
        let methods = [Method::Wechat, Method::Alipay].map(|method| providers.for_method(method));
        assert_eq!(methods, expected);
        assert_eq!(providers.for_method(Method::Manual), Some("manual"));
        for name in ["wechat", "alipay", "sandbox"] {
            assert!(providers.named(name).is_some(), "{name}");
        }
        assert!(providers.named("manual").is_none() && providers.all().len() == 3);
    }
    store.close().await;
    Ok(())
}
