//! A batch is computed while the one before it is being written. Whatever becomes of that one (its
//! connection is lost, another instance wrote in between, a key comes twice), each command counts once.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use account_service::domain::{Account, Book, Currency, Owner, apply};
use account_service::store::load::at_hand;
use anyhow::{Context, ensure};
use cashout_common::kind::Kind;
use cashout_common::random::Random;
use cashout_proto::account::v1 as pb;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use support::operations::{Op, Place};
use support::{Stack, credit, place, reason, release, settle};
use tokio::sync::Mutex;
use tonic::transport::Channel;

type Client = AccountServiceClient<Channel>;

const PEOPLE: i64 = 20;
/// So many at a time that batches are computed ahead.
const CALLERS: i64 = 1500;

/// Repeats a call under its key until it is answered for good.
async fn insist<T, F>(mut call: impl FnMut() -> F) -> anyhow::Result<Result<T, tonic::Status>>
where
    F: Future<Output = Result<T, tonic::Status>>,
{
    for _ in 0..100 {
        match call().await {
            Err(status) if status.code() == tonic::Code::Unavailable => {}
            answer => return Ok(answer),
        }
    }
    anyhow::bail!("never answered")
}

/// What gets in the way while callers are at it.
struct Trouble {
    /// Another instance on the same database.
    other: Client,
    /// Of the database; whoever loses its connections holds it, or they would lose each other's.
    url: Mutex<String>,
    random: Random,
    lost: AtomicU64,
}

impl Trouble {
    /// Now and then loses all connections, or has the other instance write.
    async fn strike(&self) -> anyhow::Result<()> {
        match self.random.below(300) {
            0 => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                cashout_testing::lose_connections(&self.url.lock().await).await?;
            }
            1..=6 => {
                let key = format!("other{}", self.random.below(u64::MAX));
                let answer = insist(|| async {
                    self.other.clone().post_transfer(credit(&key, 99, 1)).await
                });
                answer.await?.context("the other instance")?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// A person gets 10, twice under one key, and a third of them have 5 held and then paid out or returned.
async fn caller(client: Client, trouble: Arc<Trouble>, i: i64) -> anyhow::Result<()> {
    let user = i % PEOPLE + 1;
    let key = format!("c{i}");
    let twice = [0, 1]
        .map(|_| insist(|| async { client.clone().post_transfer(credit(&key, user, 10)).await }));
    for answer in futures::future::join_all(twice).await {
        answer?.with_context(|| key.clone())?;
    }
    trouble.strike().await?;
    if i % 3 == 0 {
        let hold = format!("h{i}");
        insist(|| async { client.clone().place_hold(place(&hold, user, 5)).await }).await??;
        trouble.strike().await?;
        let (end, other) = (format!("e{i}"), format!("o{i}"));
        let ended = if i % 2 == 0 {
            insist(|| async { client.clone().settle_hold(settle(&end, &hold, &[5])).await }).await?
        } else {
            insist(|| async { client.clone().release_hold(release(&end, &hold)).await }).await?
        };
        ended.with_context(|| end.clone())?;
        // It ends once, also when the second ending is computed before the first is there.
        let again =
            insist(|| async { client.clone().release_hold(release(&other, &hold)).await }).await?;
        ensure!(reason(&again).starts_with("HOLD_ALREADY"), "{again:?}");
    }
    Ok(())
}

#[test]
fn only_what_is_remembered_and_plain_is_computed_ahead() {
    let place = Place(0);
    let mut book = Book::default();
    let hand = |book: &Book, op: &Op| at_hand(book, &[place.command(op)]);
    let credit = |user| Op::Credit { user, amount: 10, kind: Kind::Task, frozen: false, key: 1 };
    let settle = Op::Settle { hold: 1, parts: vec![5], key: 2 };
    let release = Op::Release { hold: 1, key: 3 };
    let counter = |id, name: &str| Account::new(id, Owner::Counter(name.into()), Currency::CNY, 0);

    assert!(!hand(&book, &credit(0)), "neither account");
    book.load_account(Account::new(1, Owner::Person(place.user(0)), Currency::CNY, 0));
    assert!(!hand(&book, &credit(0)), "the person's account alone");
    book.load_account(counter(2, "test:0"));
    let held = Op::Place { user: 0, amount: 5, hold: 1 };
    for (op, expected) in [
        (credit(0), true),
        (Op::Debit { user: 0, amount: 1, key: 4 }, true),
        (held.clone(), true),
        (credit(1), false),
        (Op::Between { from: 0, to: 1, amount: 1, key: 5 }, false),
        (Op::All(vec![credit(0), credit(1)]), false),
        (settle.clone(), false),
        (release.clone(), false),
        (Op::Abandon { user: 0, hold: 9 }, false),
        (Op::Adjust { user: 0, amount: 1, locked: None, key: 6 }, false),
        (Op::Lock { user: 0, locked: true }, false),
        (Op::Overdraft { user: 0, limit: 1 }, false),
    ] {
        assert_eq!(hand(&book, &op), expected, "{op:?}");
    }
    let run = |book: &mut Book, op: &Op| {
        book.begin_batch();
        assert!(apply(book, &place.command(op), 1).is_ok(), "{op:?}");
        book.end_batch(100, true);
    };
    run(&mut book, &credit(0));
    run(&mut book, &held);
    assert!(hand(&book, &release) && !hand(&book, &settle), "where it would leave to is not known");
    book.load_account(counter(3, "payout:test"));
    assert!(hand(&book, &settle));
    run(&mut book, &release);
    assert!(!hand(&book, &release) && !hand(&book, &settle), "it has ended: read it first");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_counts_once_whatever_becomes_of_the_batch_before_it() -> anyhow::Result<()> {
    let Some(database) = cashout_testing::postgres("ahead").await? else { return Ok(()) };
    let seed = Random::from_os().below(u64::MAX);
    println!("seed {seed}");
    let mut s = Stack::start(&database.url).await?;
    let other = Stack::start(&database.url).await?;
    let people: Vec<i64> = (1..=PEOPLE).chain([99]).collect();
    s.open(&people).await?;
    let trouble = Arc::new(Trouble {
        other: other.client.clone(),
        url: Mutex::new(database.url.clone()),
        random: Random::seeded(seed),
        lost: AtomicU64::new(0),
    });
    let callers: Vec<_> =
        (0..CALLERS).map(|i| tokio::spawn(caller(s.client.clone(), trouble.clone(), i))).collect();
    for caller in callers {
        caller.await??;
    }
    println!("connections were lost {} times", trouble.lost.load(Ordering::Relaxed));
    for user in 1..=PEOPLE {
        let of_user = || (0..CALLERS).filter(|i| i % PEOPLE + 1 == user);
        let paid_out = of_user().filter(|i| i % 3 == 0 && i % 2 == 0).count();
        let expected = i64::try_from(of_user().count() * 10 - paid_out * 5)?;
        let found = loop {
            // The readers' connections were lost too.
            if let Ok(found) = s.balance(user).await {
                break found;
            }
        };
        ensure!(found == (expected, 0), "person {user}: {found:?} instead of {expected}");
    }
    other.running.stop().await;
    s.stop_and_verify().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_was_computed_ahead_is_right_when_it_is_told() -> anyhow::Result<()> {
    let Some(database) = cashout_testing::postgres("refusedahead").await? else { return Ok(()) };
    let mut s = Stack::start(&database.url).await?;
    s.open(&[7, 8]).await?;
    s.client.post_transfer(credit("seed", 7, 500)).await?;
    // 1,000 holds of 1 where 500 fit, half of them asked for twice: a repetition that is refused for lack
    // of money would be the refusal of what was done.
    let calls = (0..1000).flat_map(|i| vec![i; 1 + usize::from(i % 2 == 0)]).map(|i| {
        let mut client = s.client.clone();
        tokio::spawn(async move {
            let request: pb::PlaceHoldRequest = place(&format!("h{i}"), 7, 1);
            (i, client.place_hold(request).await)
        })
    });
    let mut told = std::collections::HashMap::<i32, Vec<bool>>::new();
    for call in futures::future::join_all(calls).await {
        let (i, answer) = call?;
        ensure!(["", "INSUFFICIENT_FUNDS"].contains(&reason(&answer)), "{answer:?}");
        told.entry(i).or_default().push(answer.is_ok());
    }
    let torn = told.values().find(|answers| answers.windows(2).any(|two| two[0] != two[1]));
    ensure!(torn.is_none(), "a hold was placed, and its repetition refused");
    let placed = told.values().filter(|answers| answers.contains(&true)).count();
    ensure!(placed == 500, "{placed} were placed");
    ensure!(s.balance(7).await? == (0, 500));
    // Asked again among calls that change something: no money is left, and what was done was done.
    let again = told.into_iter().map(|(i, answers)| {
        let (mut client, mut other) = (s.client.clone(), s.client.clone());
        tokio::spawn(async move {
            let more = credit(&format!("c{i}"), 8, 1);
            let request = place(&format!("h{i}"), 7, 1);
            let (answer, credited) =
                tokio::join!(client.place_hold(request), other.post_transfer(more));
            (answers.first() == Some(&answer.is_ok()), credited.is_ok())
        })
    });
    for same in futures::future::join_all(again).await {
        ensure!(same? == (true, true), "a repetition was answered otherwise");
    }
    ensure!(s.balance(8).await? == (1000, 0));
    s.stop_and_verify().await
}
