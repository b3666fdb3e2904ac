//! The ledger against a naive model: 2,000 random sequences of 100 operations on the pure core, and
//! as many through the poster on each engine, where sequences share batches.

mod support;

use account_service::domain::{Account, Book, Command, Currency, Owner, Which, apply};
use account_service::service::poster::{PostError, Poster};
use account_service::store::Store;
use cashout_common::clock::Clock;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use support::model::{Model, Person, verdict};
use support::operations::{Op, Place, sequence};

const SEQUENCES: u32 = 2_000;

/// What the model and the ledger both know of an account.
fn seen(account: &Account) -> Person {
    Person {
        available: account.available.into(),
        frozen: account.frozen.into(),
        income: account.income_total.into(),
        spend: account.spend_total.into(),
        withdrawn: account.withdrawn_total.into(),
        limit: account.overdraft_limit.into(),
        locked: account.locked_at != 0,
        entries: account.last_seq,
    }
}

fn open_all(place: Place) -> Vec<Command> {
    let open = |user| Command::Open { person: place.user(user), currency: Currency::CNY };
    (0..4).map(open).collect()
}

/// A book that knows that nothing else exists, as after loading from an empty database.
fn empty_book(place: Place, ops: &[Op]) -> Book {
    let mut book = Book::default();
    for user in 0..5 {
        book.load_absent(&Owner::Person(place.user(user)), Currency::CNY);
    }
    for command in ops.iter().map(|op| place.command(op)) {
        for counter in command.counters() {
            book.load_absent(&Owner::Counter(counter.into()), Currency::CNY);
        }
    }
    book
}

proptest! {
    #![proptest_config(Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_core_agrees_with_the_naive_model_after_every_operation(ops in sequence()) {
        let place = Place(1);
        let mut book = empty_book(place, &ops);
        let mut model = Model::default();
        for command in open_all(place) {
            prop_assert!(apply(&mut book, &command, 1).is_ok());
        }
        for (i, op) in ops.iter().enumerate() {
            let real = apply(&mut book, &place.command(op), 2);
            prop_assert_eq!(verdict(&real), model.apply(op), "operation {} {:?}", i, op);
            let mut sum = 0_i128;
            for (user, expected) in &model.people {
                let account = book.owned(&Owner::Person(place.user(*user)), Currency::CNY);
                prop_assert_eq!(&account.map(seen).unwrap_or_default(), expected, "operation {} {:?}", i, op);
                sum += expected.available + expected.frozen;
            }
            let counters = ["test:1", "payout:test", "platform:adjustment"];
            for counter in counters {
                let account = book.owned(&Owner::Counter(counter.into()), Currency::CNY);
                sum += account.map_or(0, |a| i128::from(a.available));
            }
            prop_assert_eq!(sum, 0, "money was made or lost by operation {} {:?}", i, op);
        }
    }
}

/// Sequences from a seed that is printed, so that a failure can be run again.
fn sequences(seed: u64) -> impl Iterator<Item = Vec<Op>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = sequence();
    std::iter::repeat_with(move || strategy.new_tree(&mut runner).map(|tree| tree.current()))
        .map_while(Result::ok)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_agree_with_the_naive_model() -> anyhow::Result<()> {
    let seed = match std::env::var("CASHOUT_TEST_SEED") {
        Ok(given) => given.parse()?,
        Err(_) => cashout_common::random::Random::from_os().below(u64::MAX),
    };
    println!("CASHOUT_TEST_SEED={seed}");
    for database in support::databases("model").await? {
        let store = Store::open(&database.url).await?;
        let (poster, posting) = Poster::start(store.clone(), Clock::set_at(support::NOON_US));
        let mut waiting: Vec<_> = sequences(seed).take(SEQUENCES as usize).enumerate().collect();
        anyhow::ensure!(waiting.len() == SEQUENCES as usize, "the generator stopped");
        let mut tasks = Vec::new();
        // Sixteen sequences at a time share the poster's batches.
        let share = waiting.len() / 16;
        while !waiting.is_empty() {
            let own = waiting.split_off(waiting.len().saturating_sub(share.max(1)));
            let (poster, store) = (poster.clone(), store.clone());
            tasks.push(tokio::spawn(async move {
                for (number, ops) in own {
                    let place = Place(i64::try_from(number)? + 1);
                    compare(&poster, &store, place, &ops)
                        .await
                        .map_err(|e| e.context(format!("seed {seed} sequence {number}")))?;
                }
                anyhow::Ok(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        drop(poster);
        posting.await?;
        support::verified(&database.url).await.map_err(|e| e.context(database.engine))?;
    }
    Ok(())
}

/// Runs one sequence through the poster in pieces and compares every verdict and the end.
async fn compare(poster: &Poster, store: &Store, place: Place, ops: &[Op]) -> anyhow::Result<()> {
    let mut model = Model::default();
    for answer in poster.post_each(open_all(place)).await {
        anyhow::ensure!(answer.is_ok(), "{answer:?}");
    }
    // Pieces of changing size, so that some keys come back in the same batch and some in a later one.
    let mut rest = ops;
    let mut size = 1;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(size.min(rest.len()));
        let answers = poster.post_each(piece.iter().map(|op| place.command(op)).collect()).await;
        for (op, answer) in piece.iter().zip(answers) {
            let real = match answer {
                Ok(outcome) => Ok(outcome),
                Err(PostError::Refused(refusal)) => Err(refusal),
                Err(PostError::Failed(failure)) => anyhow::bail!("{op:?}: {failure}"),
            };
            let (real, expected) = (verdict(&real), model.apply(op));
            anyhow::ensure!(real == expected, "{op:?}: {real:?} but the model says {expected:?}");
        }
        rest = later;
        size = size * 3 + 1;
    }
    for (user, expected) in &model.people {
        let which = Which::Person(place.user(*user), Currency::CNY);
        let account = store.account(&which).await?;
        anyhow::ensure!(
            account.as_ref().map(seen).as_ref() == Some(expected),
            "{account:?} but {expected:?}"
        );
    }
    Ok(())
}
