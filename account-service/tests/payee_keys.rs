//! The keys that bindings are sealed with, on both engines: rotated, missed, made for development.

mod support;

use account_service::store::Store;
use account_service::{Config, KeySource};
use cashout_proto::account::v1 as pb;
use cashout_proto::account::v1::PayeeMethod::{Alipay, Wechat};
use support::payees::{bind, canary, known, payees};
use support::{COOLING, NOON_US, Stack, databases, reason};

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_without_losing_a_binding() -> anyhow::Result<()> {
    for database in databases("rotation").await? {
        let mut s = Stack::keyed(&database.url, &[1]).await?;
        let people: Vec<i64> = (1..=130).collect();
        known(&mut s, &people).await?;
        for user_id in &people {
            for method in [Wechat, Alipay] {
                s.client.bind_payee(bind(*user_id, canary(method))).await?;
            }
        }
        let before = payees(&mut s, 7).await?;
        s.stop_and_verify().await?;
        let first = support::ring(&[1])?.sealing_id().to_owned();
        let second = support::ring(&[2])?.sealing_id().to_owned();
        // An older key that is not here any more stops the start, and nothing is changed.
        let told = Stack::keyed(&database.url, &[2, 3]).await.err().map(|e| format!("{e:#}"));
        let told = told.unwrap_or_default();
        assert!(told.contains("ACCOUNT_PAYEE_KEY_FILES") && told.contains(&first), "{told}");
        assert!(told.contains(&second) && !told.contains("0202"), "ids, never keys: {told}");
        // Both keys: everything opens, and is sealed with the first of them before long.
        let mut s = Stack::keyed(&database.url, &[2, 1]).await?;
        assert_eq!(payees(&mut s, 7).await?, before);
        let store = Store::open(&database.url).await?;
        let started = std::time::Instant::now();
        while store.payee_key_ids().await? != [second.as_str()] {
            anyhow::ensure!(started.elapsed().as_secs() < 60, "the old key stays in use");
        }
        store.database().close().await;
        s.stop_and_verify().await?;
        // The old key can go.
        let mut s = Stack::keyed(&database.url, &[2]).await?;
        assert_eq!(payees(&mut s, 7).await?, before, "also the time of binding");
        assert_eq!(payees(&mut s, 130).await?.len(), 2);
        s.stop_and_verify().await?;
        assert!(Stack::keyed(&database.url, &[1]).await.is_err(), "the old key opens nothing");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_seals_with_the_first_key_and_the_next_write_reseals() -> anyhow::Result<()> {
    for database in databases("reseal").await? {
        let ids = |n: u8| support::ring(&[n]).map(|ring| ring.sealing_id().to_owned());
        let mut old = Stack::keyed(&database.url, &[1]).await?;
        // Started while nothing is bound: what is sealed with the old key comes only after it.
        let mut new = Stack::keyed(&database.url, &[2, 1]).await?;
        known(&mut old, &[7, 8]).await?;
        old.client.bind_payee(bind(7, canary(Wechat))).await?;
        let store = Store::open(&database.url).await?;
        assert_eq!(store.payee_key_ids().await?, [ids(1)?]);
        assert_eq!(payees(&mut new, 7).await?.len(), 1);
        new.clock.advance(COOLING);
        new.client.bind_payee(bind(7, canary(Wechat))).await?;
        assert_eq!(store.payee_key_ids().await?, [ids(2)?]);
        assert_eq!(payees(&mut new, 7).await?[0].bound_at_us, NOON_US, "the same as before");
        assert_eq!(reason(&payees(&mut old, 7).await), "INTERNAL", "it has no such key");
        let asked = pb::BatchGetAccountsRequest {
            accounts: vec![support::person(7), support::person(8)],
            with_holders: true,
        };
        let told = old.client.batch_get_accounts(asked).await?.into_inner();
        let people: Vec<i64> = told.holders.iter().map(|h| h.user_id).collect();
        assert_eq!(people, [8], "who cannot be read keeps nobody else waiting");
        store.database().close().await;
        old.stop_and_verify().await?;
        new.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_only_missed_where_it_sealed_something() -> anyhow::Result<()> {
    let database = cashout_testing::sqlite("unused_key").await?;
    let mut s = Stack::keyed(&database.url, &[1]).await?;
    known(&mut s, &[7]).await?;
    s.client.bind_payee(bind(7, canary(Wechat))).await?;
    s.client.unbind_payee(pb::UnbindPayeeRequest { user_id: 7, method: 1 }).await?;
    s.stop_and_verify().await?;
    Stack::keyed(&database.url, &[2]).await?.stop_and_verify().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_development_key_lasts_and_its_loss_is_told() -> anyhow::Result<()> {
    let (database, data) = (cashout_testing::sqlite("dev_key").await?, tempfile::tempdir()?);
    let config = || -> anyhow::Result<Config> {
        Ok(Config {
            listen: "127.0.0.1:0".parse()?,
            database_url: database.url.clone(),
            payee_keys: KeySource::Development(data.path().to_owned()),
            payee_cooling: COOLING,
        })
    };
    for _ in 0..2 {
        let mut s = Stack::with(config()?).await?;
        known(&mut s, &[7]).await?;
        s.client.bind_payee(bind(7, canary(Wechat))).await?;
        assert_eq!(payees(&mut s, 7).await?[0].bound_at_us, NOON_US);
        s.stop_and_verify().await?;
    }
    std::fs::remove_file(data.path().join("payee-key"))?;
    let told = Stack::with(config()?).await.err().map(|e| format!("{e:#}")).unwrap_or_default();
    assert!(told.contains("payee-key") && told.contains("beside the SQLite file"), "{told}");
    Ok(())
}
