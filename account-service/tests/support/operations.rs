//! Random operations for the naive ledger and the real one, and the commands that they mean.

use account_service::domain::command::{Key, Part};
use account_service::domain::{Command, Currency, Facts, Movement, Transfer, Which};
use cashout_common::kind::Kind;
use proptest::prelude::*;

/// One operation; people are 0 to 4, of whom 4 has no account.
#[derive(Debug, Clone)]
pub enum Op {
    Credit {
        user: i64,
        amount: i64,
        kind: Kind,
        frozen: bool,
        key: u16,
    },
    Debit {
        user: i64,
        amount: i64,
        key: u16,
    },
    Between {
        from: i64,
        to: i64,
        amount: i64,
        key: u16,
    },
    Place {
        user: i64,
        amount: i64,
        hold: u16,
    },
    Settle {
        hold: u16,
        parts: Vec<i64>,
        key: u16,
    },
    Release {
        hold: u16,
        key: u16,
    },
    Adjust {
        user: i64,
        amount: i64,
        locked: Option<bool>,
        key: u16,
    },
    Lock {
        user: i64,
        locked: bool,
    },
    Overdraft {
        user: i64,
        limit: i64,
    },
    Abandon {
        user: i64,
        hold: u16,
    },
    All(Vec<Op>),
    /// The operation that many places before, once more.
    Again(usize),
}

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 1..60_i64, 1 => Just(1_i64 << 52), 1 => Just((1_i64 << 53) - 1)]
}

fn movement() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![
        Just(Kind::Task),
        Just(Kind::Recharge),
        Just(Kind::Refund),
        Just(Kind::Purchase)
    ];
    let user = || 0..5_i64;
    let key = || 0..300_u16;
    prop_oneof![
        4 => (user(), amount(), kind, any::<bool>(), key()).prop_map(|(user, amount, kind, frozen, key)|
            Op::Credit { user, amount, kind, frozen: frozen && key % 3 == 0, key }),
        2 => (user(), amount(), key()).prop_map(|(user, amount, key)| Op::Debit { user, amount, key }),
        2 => (user(), user(), amount(), key()).prop_map(|(from, to, amount, key)| Op::Between { from, to, amount, key }),
    ]
}

/// One operation of any sort.
pub fn op() -> impl Strategy<Value = Op> {
    let user = || 0..5_i64;
    let key = || 0..300_u16;
    let hold = || 0..25_u16;
    prop_oneof![
        8 => movement(),
        3 => (user(), amount(), hold()).prop_map(|(user, amount, hold)| Op::Place { user, amount, hold }),
        3 => (hold(), prop::collection::vec(1..40_i64, 1..3), key()).prop_map(|(hold, parts, key)| Op::Settle { hold, parts, key }),
        2 => (hold(), key()).prop_map(|(hold, key)| Op::Release { hold, key }),
        1 => (user(), -40..60_i64, any::<Option<bool>>(), key()).prop_map(|(user, amount, locked, key)| Op::Adjust { user, amount, locked, key }),
        1 => (user(), any::<bool>()).prop_map(|(user, locked)| Op::Lock { user, locked }),
        1 => (user(), 0..50_i64).prop_map(|(user, limit)| Op::Overdraft { user, limit }),
        1 => (user(), hold()).prop_map(|(user, hold)| Op::Abandon { user, hold }),
        1 => prop::collection::vec(movement(), 1..5).prop_map(Op::All),
        2 => (1..30_usize).prop_map(Op::Again),
    ]
}

/// A sequence of 100 operations with repeats resolved.
pub fn sequence() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 100).prop_map(|ops| {
        let mut resolved: Vec<Op> = Vec::with_capacity(ops.len());
        for (i, op) in ops.into_iter().enumerate() {
            let same = if let Op::Again(back) = &op { i.checked_sub(*back) } else { None };
            let earlier = same.and_then(|i| resolved.get(i).cloned());
            let plain =
                if matches!(op, Op::Again(_)) { Op::Lock { user: 0, locked: false } } else { op };
            resolved.push(earlier.unwrap_or(plain));
        }
        resolved
    })
}

/// Where a sequence lives, so that many share a database: people's ids and keys are its own.
#[derive(Debug, Clone, Copy)]
pub struct Place(pub i64);

impl Place {
    pub fn user(self, user: i64) -> i64 {
        self.0 * 10 + user + 1
    }

    fn who(self, user: i64) -> Which {
        Which::Person(self.user(user), Currency::CNY)
    }

    fn key(self, prefix: &str, key: u16, op: &Op) -> Key {
        let digest = cashout_common::number::digest(&[format!("{op:?}").as_bytes()]);
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Key { text: format!("{}:{prefix}{key}", self.0).into(), digest: half }
    }

    /// The operation as a command.
    pub fn command(self, op: &Op) -> Command {
        let facts = Facts::default();
        match op {
            Op::Credit { .. } | Op::Debit { .. } | Op::Between { .. } => {
                Command::Post(self.transfer(op))
            }
            Op::All(ops) => Command::PostAll(ops.iter().map(|op| self.transfer(op)).collect()),
            Op::Place { user, amount, hold } => Command::Place {
                key: self.key("h", *hold, op),
                account: self.who(*user),
                amount: *amount,
                kind: Kind::Withdrawal,
                release_at: 0,
                facts,
            },
            Op::Settle { hold, parts, key } => {
                let part = |amount: &i64| Part {
                    amount: *amount,
                    counter: "payout:test".into(),
                    kind: Kind::Withdrawal,
                    facts: Facts::default(),
                };
                Command::Settle {
                    key: self.key("k", *key, op),
                    hold: self.key("h", *hold, op).text,
                    parts: parts.iter().map(part).collect(),
                    facts,
                }
            }
            Op::Release { hold, key } => Command::Release {
                key: self.key("k", *key, op),
                hold: self.key("h", *hold, op).text,
                kind: Some(Kind::WithdrawalReturned),
                facts,
            },
            Op::Adjust { user, amount, locked, key } => Command::Adjust {
                key: self.key("k", *key, op),
                account: self.who(*user),
                amount: *amount,
                locked: *locked,
                facts,
            },
            Op::Abandon { user, hold } => {
                let digest = [7; 16];
                let key =
                    |suffix| Key { text: format!("{}:h{hold}{suffix}", self.0).into(), digest };
                let account = self.who(*user);
                Command::Abandon { key: key(":abandon"), hold: key(""), account, facts }
            }
            Op::Lock { user, locked } => {
                Command::SetLock { account: self.who(*user), locked: *locked }
            }
            Op::Overdraft { user, limit } => {
                Command::SetOverdraft { account: self.who(*user), limit: *limit }
            }
            Op::Again(_) => Command::SetLock { account: self.who(0), locked: false },
        }
    }

    fn transfer(self, op: &Op) -> Transfer {
        // A counter-account of its own, so that huge amounts of many sequences do not add up.
        let counter = || format!("test:{}", self.0).into();
        let (amount, kind, movement, key) = match op {
            Op::Credit { user, amount, kind, frozen, key } => {
                let frozen_until = if *frozen { i64::MAX / 2 } else { 0 };
                (
                    amount,
                    *kind,
                    Movement::Credit { account: self.who(*user), counter: counter(), frozen_until },
                    key,
                )
            }
            Op::Between { from, to, amount, key } => (
                amount,
                Kind::Transfer,
                Movement::Between { from: self.who(*from), to: self.who(*to) },
                key,
            ),
            Op::Debit { user, amount, key } => (
                amount,
                Kind::Purchase,
                Movement::Debit { account: self.who(*user), counter: counter() },
                key,
            ),
            other => unreachable!("not a movement: {other:?}"),
        };
        Transfer {
            key: self.key("k", *key, op),
            amount: *amount,
            kind,
            movement,
            facts: Facts::default(),
        }
    }
}
