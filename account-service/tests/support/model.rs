//! A naive ledger, written from the rules and not from the code.

use std::collections::BTreeMap;

use account_service::domain::{Outcome, Refusal};
use cashout_common::kind::Kind;

use super::operations::Op;

const MAX: i128 = (1 << 53) - 1;

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
                // An operator opens the account of a person who has none.
                self.people.entry(*user).or_default();
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
