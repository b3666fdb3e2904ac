//! Fixed amounts of work that are counted in instructions: the pure core, and the path a posted command
//! takes below gRPC, on SQLite, where the database is a part of the process.
//!
//! The same work executes nearly the same instructions every time: everything is seeded, one thread
//! drives. Must not know: how it is counted.

use std::sync::Arc;

use account_service::domain::command::{Key, Part};
use account_service::domain::{
    Account, Book, Command, Currency, Facts, Movement, Owner, Transfer, Which, apply,
};
use account_service::service::poster::Poster;
use account_service::store::Store;
use anyhow::Context;
use cashout_common::clock::Clock;
use cashout_common::kind::Kind;
use cashout_common::number::digest;

/// Accounts that are there and remembered.
const PEOPLE: i64 = 10_000;
/// Commands that share a commit.
const BATCH: usize = 256;
/// What everybody has, minor units.
const FUNDS: i64 = 1_000_000;
const NOW_US: i64 = 1_700_000_000_000_000;

/// What is done again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Credits, in the pure core.
    CoreCredit,
    /// Transfers between two persons, in the pure core.
    CoreBetween,
    /// A hold, then its settlement in two parts, in the pure core; each counts as one.
    CoreHolds,
    /// One credit at a time in the pure core, each a batch of its own.
    CoreAlone,
    /// Credits through the poster into SQLite, in batches.
    PostCredit,
    /// One credit at a time through the poster into SQLite.
    PostAlone,
}

impl Work {
    /// Every work by its name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("core-credit", Self::CoreCredit),
        ("core-between", Self::CoreBetween),
        ("core-holds", Self::CoreHolds),
        ("core-alone", Self::CoreAlone),
        ("post-credit", Self::PostCredit),
        ("post-alone", Self::PostAlone),
    ];

    /// The work of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, work)| *work)
    }

    /// Operations whose instructions are counted: whole batches, and few enough to end soon under a
    /// machine that is simulated.
    pub fn operations(self) -> usize {
        match self {
            Self::PostAlone => BATCH,
            Self::PostCredit => 8 * BATCH,
            _ => 16 * BATCH,
        }
    }

    fn batch(self) -> usize {
        if matches!(self, Self::CoreAlone | Self::PostAlone) { 1 } else { BATCH }
    }

    fn command(self, number: usize) -> anyhow::Result<Command> {
        let number = i64::try_from(number)?;
        // A prime step spreads neighbours over the accounts.
        let person = |n: i64| Which::Person(1 + n * 7919 % PEOPLE, Currency::CNY);
        let key = |n: i64, what: &str| {
            let text: Arc<str> = format!("{what}-{n:024}").into();
            let mut half = [0; 16];
            half.copy_from_slice(&digest(&[text.as_bytes()])[..16]);
            Key { text, digest: half }
        };
        let post = |movement, kind| {
            let facts = Facts::default();
            Command::Post(Transfer { key: key(number, "key"), amount: 1, kind, movement, facts })
        };
        let counter = |kind: Kind| Arc::from(kind.row().counter);
        Ok(match self {
            Self::CoreCredit | Self::CoreAlone | Self::PostCredit | Self::PostAlone => {
                let (account, counter) = (person(number), counter(Kind::Task));
                post(Movement::Credit { account, counter, frozen_until: 0 }, Kind::Task)
            }
            Self::CoreBetween => {
                let (from, to) = (person(number), person(number + 1));
                post(Movement::Between { from, to }, Kind::Transfer)
            }
            Self::CoreHolds if number % 2 == 0 => Command::Place {
                key: key(number, "hold"),
                account: person(number),
                amount: 10,
                kind: Kind::Withdrawal,
                release_at: 0,
                facts: Facts::default(),
            },
            Self::CoreHolds => {
                let part = |amount, kind: Kind| Part {
                    amount,
                    counter: counter(kind),
                    kind,
                    facts: Facts::default(),
                };
                Command::Settle {
                    key: key(number, "settle"),
                    hold: key(number - 1, "hold").text,
                    parts: vec![part(9, Kind::Withdrawal), part(1, Kind::WithdrawalFee)],
                    facts: Facts::default(),
                }
            }
        })
    }

    /// Does it `operations` times, at most twice [`Self::operations`]; everything before the first of
    /// them is the same however many.
    ///
    /// # Errors
    /// When an operation is refused: then the count would mean nothing.
    pub fn run(self, operations: usize) -> anyhow::Result<()> {
        let most = 0..2 * self.operations();
        let mut commands = most.map(|n| self.command(n)).collect::<Result<Vec<_>, _>>()?;
        commands.truncate(operations);
        match self {
            Self::PostCredit | Self::PostAlone => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(posted(commands, self.batch()))
            }
            _ => computed(&commands, self.batch()),
        }
    }
}

/// In memory alone.
fn computed(commands: &[Command], batch: usize) -> anyhow::Result<()> {
    let mut book = Book::default();
    for id in 1..=PEOPLE {
        let mut account = Account::new(id, Owner::Person(id), Currency::CNY, NOW_US);
        account.available = FUNDS;
        account.income_total = FUNDS;
        book.load_account(account);
    }
    book.head.last_account_id = PEOPLE;
    for commands in commands.chunks(batch) {
        book.begin_batch();
        for command in commands {
            apply(&mut book, command, NOW_US).context("a command of the count was refused")?;
        }
        book.end_batch(usize::MAX, true);
    }
    Ok(())
}

/// Through the poster and the database.
async fn posted(commands: Vec<Command>, batch: usize) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(&format!("sqlite://{}/t.db", directory.path().display())).await?;
    let (poster, posting) = Poster::start(store.clone(), Clock::set_at(NOW_US));
    let people: Vec<Command> =
        (1..=PEOPLE).map(|person| Command::Open { person, currency: Currency::CNY }).collect();
    for commands in [(1024, people), (batch, commands)] {
        for some in commands.1.chunks(commands.0) {
            for answer in poster.post_each(some.to_vec()).await {
                answer.map_err(|error| anyhow::anyhow!("refused: {error:?}"))?;
            }
        }
    }
    drop(poster);
    posting.await?;
    store.database().close().await;
    Ok(())
}
