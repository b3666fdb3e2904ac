//! What the scribe writes and what it leaves, on PostgreSQL.

use std::sync::Arc;

use anyhow::{Context, ensure};
use cashout_common::clock::Clock;
use cashout_common::kind::Kind;

use super::scribe::Scribe;
use crate::domain::command::Key;
use crate::domain::{Book, Command, Currency, Facts, Movement, Outcome, Transfer, Which, apply};
use crate::service::poster::Poster;
use crate::store::write::{Ready, Written};
use crate::store::{Store, load};

const PERSON: Which = Which::Person(7, Currency::CNY);

fn credit(key: &str) -> Command {
    let counter = Arc::from(Kind::Task.row().counter);
    let movement = Movement::Credit { account: PERSON, counter, frozen_until: 0 };
    let key = Key { text: key.into(), digest: [0; 16] };
    Command::Post(Transfer { key, amount: 1, kind: Kind::Task, movement, facts: Facts::default() })
}

/// A batch of one credit as it follows what is stored, taken to be `later` batches later.
async fn ready(store: &Store, key: &str, later: i64) -> anyhow::Result<Ready> {
    let mut conn = store.database().connect().await?;
    let (mut book, command) = (Book::default(), [credit(key)]);
    book.forget(load::head(&mut conn).await?);
    load::touched(&mut conn, &mut book, &command).await?;
    book.head.version += later;
    book.begin_batch();
    ensure!(apply(&mut book, &command[0], 1).is_ok());
    Ready::of(&book)?.context("one statement")
}

/// A ledger with an account that has got its first money: batches are one statement then.
async fn ledger(url: &str) -> anyhow::Result<Store> {
    let store = Store::open(url).await?;
    let (poster, posting) = Poster::start(store.clone(), Clock::set_at(1));
    for command in [Command::Open { person: 7, currency: Currency::CNY }, credit("first")] {
        ensure!(poster.post(command).await.is_ok());
    }
    drop(poster);
    posting.await?;
    Ok(store)
}

#[tokio::test]
async fn what_rests_on_a_batch_that_was_not_written_is_not_written_either() -> anyhow::Result<()> {
    let Some(database) = cashout_testing::postgres("scribe").await? else { return Ok(()) };
    let store = ledger(&database.url).await?;
    let scribe = Scribe::start(store.database().clone())?;
    // The first is taken to follow what nobody has written; what comes after it would fit what is stored, as it
    // would if another instance had written in between.
    let given = [
        scribe.give(ready(&store, "a", 5).await?, 1),
        scribe.give(ready(&store, "b", 0).await?, 1),
        scribe.give(ready(&store, "b", 0).await?, 2),
    ];
    let mut outcomes = Vec::new();
    for outcome in given {
        outcomes.push(outcome.await??);
    }
    assert_eq!(outcomes, [Written::Stale, Written::Stale, Written::Done]);
    scribe.end().await;
    assert!(store.verify().await?.clean());
    store.database().close().await;
    Ok(())
}

#[tokio::test]
async fn batches_are_written_in_order_and_after_a_lost_connection_by_another() -> anyhow::Result<()>
{
    let Some(database) = cashout_testing::postgres("scribelost").await? else { return Ok(()) };
    let store = ledger(&database.url).await?;
    let scribe = Scribe::start(store.database().clone())?;
    assert_eq!(scribe.give(ready(&store, "a", 0).await?, 1).await??, Written::Done);
    let lost = [ready(&store, "b", 0).await?, ready(&store, "b", 0).await?];
    cashout_testing::lose_connections(&database.url).await?;
    let [first, second] = lost.map(|ready| scribe.give(ready, 1));
    assert!(first.await?.is_err(), "its connection is gone");
    assert_eq!(second.await??, Written::Stale, "nobody knows what it would rest on");
    assert_eq!(scribe.give(ready(&store, "b", 0).await?, 2).await??, Written::Done);
    assert!(scribe.works());
    scribe.end().await;
    assert!(store.verify().await?.clean());
    store.database().close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn large_batches_are_carried_out_anew_in_order_when_another_instance_wrote_before_them()
-> anyhow::Result<()> {
    let Some(database) = cashout_testing::postgres("scribeanew").await? else { return Ok(()) };
    let store = ledger(&database.url).await?;
    let instances = [0, 1].map(|_| Poster::start(store.clone(), Clock::set_at(1)));
    let mut seqs = Vec::new();
    for (round, (poster, _)) in instances.iter().cycle().take(6).enumerate() {
        // What this instance remembers is what the other has moved on from.
        let commands = (0..2_000).map(|i| credit(&format!("{round}-{i}"))).collect();
        for answer in poster.post_each(commands).await {
            let Ok(Outcome::Posted(posted)) = answer else { anyhow::bail!("{answer:?}") };
            seqs.extend(posted.entries.iter().map(|entry| entry.seq));
        }
    }
    // The first money was 1; each command counts once, in the order they were given.
    assert!(seqs.iter().copied().eq(2..=12_001), "carried out otherwise");
    // Each instance has its worker's connection and its scribe's: without one, nothing of this was tried.
    assert_eq!(cashout_testing::connections(&database.url).await?, 4);
    for (poster, posting) in instances {
        drop(poster);
        posting.await?;
    }
    assert!(store.verify().await?.clean());
    store.database().close().await;
    Ok(())
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_left() -> anyhow::Result<()> {
    let Some(database) = cashout_testing::postgres("scribeleft").await? else { return Ok(()) };
    let store = ledger(&database.url).await?;
    let scribe = Scribe::start(store.database().clone())?;
    let (first, left) = (ready(&store, "a", 5).await?, ready(&store, "b", 0).await?);
    // Whoever gave it is gone before it is begun: the thread is still connecting for what it was given first.
    let busy = scribe.give(first, 1);
    drop(scribe.give(left, 2));
    assert_eq!(busy.await??, Written::Stale);
    assert_eq!(scribe.give(ready(&store, "c", 0).await?, 3).await??, Written::Done);
    scribe.end().await;
    let mut conn = store.database().connect().await?;
    assert!(!load::any_known(&mut conn, &["b"]).await?, "it was written");
    store.database().close().await;
    Ok(())
}
