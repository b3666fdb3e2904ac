//! A naive ledger, written from the rules and not from the code, and random operations for both.

use std::collections::BTreeMap;

use account_service::domain::command::{Key, Part};
use account_service::domain::{
    Command, Currency, Facts, Movement, Outcome, Refusal, Transfer, Which,
};
use cashout_common::kind::Kind;
use proptest::prelude::*;

const MAX: i128 = (1 << 53) - 1;

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

/// What the naive ledger knows of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    pub available: i128,
    pub frozen: i128,
    pub income: i128,
    pub spend: i128,
    pub withdrawn: i128,
    pub limit: i128,
    pub locked: bool,
    pub entries: i64,
}

/// Open amount of a hold and whose it is; or how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    Open(i64, i128),
    Settled,
    Released,
}

/// The naive ledger.
#[derive(Debug, Clone)]
pub struct Model {
    pub people: BTreeMap<i64, Person>,
    holds: BTreeMap<String, Held>,
    keys: BTreeMap<String, String>,
}

impl Default for Model {
    fn default() -> Self {
        let people = (0..4).map(|user| (user, Person::default())).collect();
        Self { people, holds: BTreeMap::new(), keys: BTreeMap::new() }
    }
}

type Verdict = Result<(), &'static str>;

impl Model {
    /// Carries an operation out; the verdict names the refusal.
    pub fn apply(&mut self, op: &Op) -> Verdict {
        let before = self.clone();
        let verdict = self.run(op);
        if verdict.is_err() {
            *self = before;
        }
        verdict
    }

    fn run(&mut self, op: &Op) -> Verdict {
        let key = match op {
            Op::Credit { key, .. }
            | Op::Debit { key, .. }
            | Op::Between { key, .. }
            | Op::Settle { key, .. }
            | Op::Release { key, .. }
            | Op::Adjust { key, .. } => Some(format!("k{key}")),
            Op::Place { hold, .. } => Some(format!("h{hold}")),
            _ => None,
        };
        let text = format!("{op:?}");
        if let Some(key) = &key {
            match self.keys.get(key) {
                Some(known) if *known == text => return Ok(()),
                Some(_) => return Err("IdempotencyConflict"),
                None => {}
            }
        }
        self.effect(op)?;
        if let Some(key) = key {
            self.keys.insert(key, text);
        }
        Ok(())
    }

    fn effect(&mut self, op: &Op) -> Verdict {
        match op {
            Op::Credit { kind: Kind::Purchase, .. } => Err("KindMismatch"),
            Op::Credit { user, amount, kind, frozen, key } => {
                let amount = i128::from(*amount);
                let (available, held) = if *frozen { (0, amount) } else { (amount, 0) };
                self.entry(*user, available, held, *kind)?;
                if *frozen {
                    self.holds.insert(format!("k{key}"), Held::Open(*user, amount));
                }
                Ok(())
            }
            Op::Debit { user, amount, .. } => {
                self.enough(*user, *amount, true)?;
                self.entry(*user, -i128::from(*amount), 0, Kind::Purchase)
            }
            Op::Between { from, to, amount, .. } => {
                self.person(*from)?;
                self.person(*to)?;
                if from == to {
                    return Err("SameAccount");
                }
                self.enough(*from, *amount, true)?;
                self.entry(*from, -i128::from(*amount), 0, Kind::Transfer)?;
                self.entry(*to, i128::from(*amount), 0, Kind::Transfer)
            }
            Op::Place { user, amount, hold } => {
                if self.person(*user)?.locked {
                    return Err("AccountLocked");
                }
                self.enough(*user, *amount, false)?;
                let amount = i128::from(*amount);
                self.entry(*user, -amount, amount, Kind::Withdrawal)?;
                self.holds.insert(format!("h{hold}"), Held::Open(*user, amount));
                Ok(())
            }
            Op::Settle { hold, parts, .. } => self.settle(*hold, parts),
            Op::Release { hold, .. } => {
                let (user, amount) = self.open_hold(*hold)?;
                self.entry(user, amount, -amount, Kind::WithdrawalReturned)?;
                self.holds.insert(format!("h{hold}"), Held::Released);
                Ok(())
            }
            Op::Adjust { user, amount, locked, .. } => {
                self.person(*user)?;
                if *amount < 0 {
                    self.enough(*user, -*amount, true)?;
                }
                self.entry(*user, i128::from(*amount), 0, Kind::Adjustment)?;
                let person = self.person(*user)?;
                person.locked = locked.unwrap_or(person.locked);
                Ok(())
            }
            Op::Lock { user, locked } => self.person(*user).map(|p| p.locked = *locked),
            Op::Overdraft { user, limit } => {
                let person = self.person(*user)?;
                if person.available < -i128::from(*limit) {
                    return Err("OverdraftInUse");
                }
                person.limit = i128::from(*limit);
                Ok(())
            }
            Op::Abandon { user, hold } => {
                if self.keys.contains_key(&format!("a{hold}")) {
                    return Ok(());
                }
                if self.holds.contains_key(&format!("h{hold}")) {
                    let (owner, amount) = self.open_hold(*hold)?;
                    self.entry(owner, amount, -amount, Kind::WithdrawalReturned)?;
                    self.holds.insert(format!("h{hold}"), Held::Released);
                    self.keys.insert(format!("a{hold}"), String::new());
                    return Ok(());
                }
                if !self.keys.contains_key(&format!("h{hold}")) {
                    self.entry(*user, 0, 0, Kind::Adjustment)?;
                    self.keys.insert(format!("h{hold}"), "abandoned".to_owned());
                }
                Ok(())
            }
            Op::All(ops) => ops.iter().try_for_each(|op| self.run(op)),
            Op::Again(_) => Ok(()),
        }
    }

    fn settle(&mut self, hold: u16, parts: &[i64]) -> Verdict {
        let (user, amount) = self.open_hold(hold)?;
        let settled: i128 = parts.iter().map(|p| i128::from(*p)).sum();
        if settled > amount {
            return Err("HoldAmountExceeded");
        }
        for part in parts {
            self.entry(user, 0, -i128::from(*part), Kind::Withdrawal)?;
        }
        if settled < amount {
            self.entry(user, amount - settled, settled - amount, Kind::WithdrawalReturned)?;
        }
        self.holds.insert(format!("h{hold}"), Held::Settled);
        Ok(())
    }

    fn open_hold(&self, hold: u16) -> Result<(i64, i128), &'static str> {
        match self.holds.get(&format!("h{hold}")) {
            Some(Held::Open(user, amount)) => Ok((*user, *amount)),
            Some(Held::Settled) => Err("HoldAlreadySettled"),
            Some(Held::Released) => Err("HoldAlreadyReleased"),
            None => Err("HoldNotFound"),
        }
    }

    fn person(&mut self, user: i64) -> Result<&mut Person, &'static str> {
        self.people.get_mut(&user).ok_or("AccountNotFound")
    }

    fn enough(&mut self, user: i64, amount: i64, overdraft: bool) -> Verdict {
        let person = self.person(user)?;
        let below = if overdraft { person.limit } else { 0 };
        if person.available - i128::from(amount) < -below {
            Err("InsufficientFunds")
        } else {
            Ok(())
        }
    }

    fn entry(&mut self, user: i64, available: i128, frozen: i128, kind: Kind) -> Verdict {
        let person = self.person(user)?;
        person.available += available;
        person.frozen += frozen;
        person.entries += 1;
        let whole = available + frozen;
        match kind {
            Kind::Withdrawal => person.withdrawn -= whole,
            Kind::Refund => person.spend -= whole,
            _ if whole > 0 => person.income += whole,
            _ => person.spend -= whole,
        }
        let p = &person;
        let numbers =
            [p.available, p.frozen, p.available + p.frozen, p.income, p.spend, p.withdrawn];
        if numbers.iter().any(|n| n.abs() > MAX) { Err("BalanceOverflow") } else { Ok(()) }
    }
}

/// The verdict of the real ledger, in the model's words.
pub fn verdict(result: &Result<Outcome, Refusal>) -> Verdict {
    match result {
        Ok(Outcome::All(results)) => {
            let culprit = results
                .iter()
                .find_map(|r| r.as_ref().err().filter(|e| **e != Refusal::BatchAborted));
            culprit.map_or(Ok(()), |refusal| Err(name(refusal)))
        }
        Ok(_) => Ok(()),
        Err(refusal) => Err(name(refusal)),
    }
}

fn name(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::AccountNotFound => "AccountNotFound",
        Refusal::HoldNotFound => "HoldNotFound",
        Refusal::InsufficientFunds { .. } => "InsufficientFunds",
        Refusal::AccountLocked => "AccountLocked",
        Refusal::BalanceOverflow => "BalanceOverflow",
        Refusal::KindMismatch => "KindMismatch",
        Refusal::CurrencyMismatch => "CurrencyMismatch",
        Refusal::SameAccount => "SameAccount",
        Refusal::IdempotencyConflict => "IdempotencyConflict",
        Refusal::HoldAlreadySettled => "HoldAlreadySettled",
        Refusal::HoldAlreadyReleased => "HoldAlreadyReleased",
        Refusal::HoldAmountExceeded { .. } => "HoldAmountExceeded",
        Refusal::OverdraftInUse => "OverdraftInUse",
        Refusal::BatchAborted => "BatchAborted",
    }
}
