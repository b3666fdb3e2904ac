//! A defect in carrying out one command: who hears what, and that everybody else is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cashout_common::clock::Clock;
use cashout_common::kind::Kind;
use cashout_proto::Reason;

use crate::domain::command::Key;
use crate::domain::{
    Book, Command, Currency, Facts, Movement, Outcome, Refusal, Transfer, Which, apply,
};
use crate::service::poster::{PostError, Poster};
use crate::store::Store;

/// A command with this amount is the defect.
const DEFECT: i64 = 13;
/// One with this amount is one when it is carried out for the first time.
const AT_FIRST: i64 = 17;
static FIRST: AtomicBool = AtomicBool::new(true);

fn defective(book: &mut Book, command: &Command, now_us: i64) -> Result<Outcome, Refusal> {
    let outcome = apply(book, command, now_us);
    // Half-way: what it did to the book is there already.
    let is = |amount| command.transfers().iter().any(|transfer| transfer.amount == amount);
    assert!(!is(DEFECT), "a defect");
    assert!(!is(AT_FIRST) || !FIRST.swap(false, Ordering::SeqCst), "a defect at first");
    outcome
}

fn credit(key: &str, amount: i64) -> Command {
    let movement = Movement::Credit {
        account: Which::Person(7, Currency::CNY),
        counter: Arc::from(Kind::Task.row().counter),
        frozen_until: 0,
    };
    let key = Key { text: key.into(), digest: [0; 16] };
    Command::Post(Transfer { key, amount, kind: Kind::Task, movement, facts: Facts::default() })
}

/// The balance after each command, or why there is none.
async fn balances(poster: &Poster, commands: &[(&str, i64)]) -> Vec<Result<i64, Option<Reason>>> {
    let commands = commands.iter().map(|(key, amount)| credit(key, *amount)).collect();
    let answers = poster.post_each(commands).await.into_iter();
    let balance = |answer| match answer {
        Ok(Outcome::Posted(posted)) => {
            posted.entries.first().map(|entry| entry.available_after).ok_or(None)
        }
        Err(PostError::Failed(failure)) => Err(Some(failure.reason)),
        _ => Err(None),
    };
    answers.map(balance).collect()
}

#[tokio::test]
async fn a_defect_fails_for_its_own_caller_and_leaves_nothing_behind() -> anyhow::Result<()> {
    for database in cashout_testing::databases("defect").await? {
        FIRST.store(true, Ordering::SeqCst);
        let store = Store::open(&database.url).await?;
        let (poster, posting) = Poster::start_with(store.clone(), Clock::set_at(1), defective);
        let open = Command::Open { person: 7, currency: Currency::CNY };
        assert!(poster.post(open).await.is_ok(), "{}", database.engine);
        assert_eq!(balances(&poster, &[("a", 1)]).await, [Ok(1)], "{}", database.engine);
        let defect = Err(Some(Reason::Internal));
        // Among others in its batch, alone, and again: a key that was never used.
        for (commands, expected) in [
            (vec![("b", 1), ("bad", DEFECT), ("c", 1)], vec![Ok(2), defect, Ok(3)]),
            (vec![("bad", DEFECT)], vec![defect]),
            (vec![("bad", 2)], vec![Ok(5)]),
            (vec![("b", 1)], vec![Ok(2)]),
            (vec![("d", 1), ("first", AT_FIRST), ("e", 1)], vec![Ok(6), Ok(23), Ok(24)]),
        ] {
            let found = balances(&poster, &commands).await;
            assert_eq!(found, expected, "{} {commands:?}", database.engine);
        }
        drop(poster);
        posting.await?;
        let report = store.verify().await?;
        assert!(report.clean(), "{}", database.engine);
        store.database().close().await;
    }
    Ok(())
}
