//! The guarantees of this service, checked on a consistent snapshot: G7 to G11, G15, G17, and what
//! the ledger should hold for each withdrawal, so that both sides can be matched (G12).

mod rows;

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use cashout_common::db::Database;
use cashout_common::report::{Check, Report};

use crate::domain::status::{Event, REQUEST, Status, next};
use crate::domain::withdrawal::{Withdrawal, hold_key};
use crate::store::verification::{self as store, Facts};
use rows::Seen;

/// So many violations are told in words.
const EXAMPLES: usize = 5;

/// What the ledger should say of a withdrawal's hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedState {
    /// The hold is open.
    Open,
    /// The hold was settled with everything.
    Settled,
    /// The hold was released.
    Released,
    /// The request was declined: there is no hold, or one that was released again, when an earlier call
    /// to place it arrived before the request was given up. Never an open or a settled one.
    None,
    /// A command to the ledger is under way: either side of it may be true. Read both again.
    InFlight,
}

/// The hold a withdrawal should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedHold {
    /// The withdrawal.
    pub withdrawal_id: i64,
    /// Key of the hold in the ledger.
    pub hold_key: String,
    /// Whose money.
    pub user_id: i64,
    /// How much, minor units.
    pub apply_minor: i64,
    /// How it should stand.
    pub state: ExpectedState,
}

/// The holds that should exist, one per withdrawal, by id: the root's G12 matches them with the ledger.
/// Rows that are `InFlight` are to be read again after a while; a row that stays so is late, not wrong.
///
/// # Errors
/// When the database cannot be read.
pub async fn holds_expected(database_url: &str) -> anyhow::Result<Vec<ExpectedHold>> {
    let database = Database::open_read_only(database_url).await?;
    let withdrawals = store::withdrawals(&database).await;
    database.close().await;
    Ok(withdrawals?.iter().map(expected).collect())
}

fn expected(w: &Withdrawal) -> ExpectedHold {
    let state = match w.status {
        Status::Declined => ExpectedState::None,
        Status::InReview
        | Status::Approved
        | Status::Paying
        | Status::Unknown
        | Status::Blocked
        | Status::Unresolved => ExpectedState::Open,
        Status::Requested
        | Status::Refusing
        | Status::Cancelling
        | Status::Settling
        | Status::Failing => ExpectedState::InFlight,
        Status::Paid => ExpectedState::Settled,
        Status::Refused | Status::Cancelled | Status::Failed => ExpectedState::Released,
    };
    ExpectedHold {
        withdrawal_id: w.id,
        hold_key: hold_key(&w.cash_sn),
        user_id: w.user_id,
        apply_minor: w.apply_minor,
        state,
    }
}

/// Checks the guarantees of this service.
///
/// # Errors
/// When the database cannot be read.
pub async fn verify(database_url: &str) -> anyhow::Result<Report> {
    let database = Database::open_read_only(database_url).await?;
    let checks = checks(&database).await;
    database.close().await;
    Ok(Report { checks: checks? })
}

async fn checks(database: &Database) -> anyhow::Result<Vec<Check>> {
    let mut snapshot = database.snapshot().await?;
    let facts = store::read(&mut snapshot).await?;
    let mut asked = Seen::begun();
    store::attempts(&mut snapshot, |row| rows::asked(&mut asked, &row)).await?;
    let asked = asked.ended();
    let mut heard = Seen::begun();
    store::notifications(&mut snapshot, |row| rows::heard(&mut heard, &row)).await?;
    let heard = heard.ended();
    store::end(snapshot).await?;
    Ok(vec![
        checked("G7", "one key, one request", &facts, keys),
        checked("G8", "never pays twice", &facts, |f| rules(f, "G8", f.looked.calls)),
        checked("G9", "never returns what may still be paid", &facts, |f| {
            rules(f, "G9", f.looked.returned)
        }),
        asked.part_of(checked("G10", "what is paid is what was approved", &facts, contents)),
        checked("G11", "every withdrawal walks legal edges", &facts, walks),
        heard.part_of(checked("G15", "notifications are hints", &facts, |f| {
            rules(f, "G15", f.looked.notifications)
        })),
        checked("G17", "reviewers differ from the applicant and each other", &facts, reviewers),
    ])
}

/// Rows looked at and violations found.
type Findings = (usize, Vec<String>);

fn checked(
    id: &'static str,
    promise: &'static str,
    facts: &Facts,
    check: impl Fn(&Facts) -> Findings,
) -> Check {
    let started = Instant::now();
    let (rows, mut violations) = check(facts);
    let count = violations.len() as u64;
    violations.truncate(EXAMPLES);
    let ms = millis(started);
    Check { id, promise, rows: rows as u64, violations: count, examples: violations, ms }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// What the database found that breaks the rules of a guarantee.
fn rules(facts: &Facts, guarantee: &str, looked: i64) -> Findings {
    let broken = facts.broken.iter().filter(|b| b.guarantee == guarantee);
    let about = if guarantee == "G15" { "notification or withdrawal" } else { "withdrawal" };
    let told = broken.map(|b| format!("{about} {}: {}", b.about, b.told)).collect();
    (usize::try_from(looked).unwrap_or(0), told)
}

fn keys(facts: &Facts) -> Findings {
    let mut seen: HashMap<(&str, &str), usize> = HashMap::new();
    for key in &facts.keys {
        *seen.entry((&key.scope, &key.key)).or_default() += 1;
    }
    let twice = seen.values().filter(|n| **n > 1).map(|n| format!("a key has {n} effects"));
    (facts.keys.len(), twice.collect())
}

fn contents(facts: &Facts) -> Findings {
    let mut wrong = Vec::new();
    for w in &facts.withdrawals {
        let sum = w.actual_minor.checked_add(w.fee_minor);
        if sum != Some(w.apply_minor) {
            wrong.push(format!("withdrawal {}: apply is not actual + fee", w.id));
        }
        if w.content() != w.content_digest {
            wrong.push(format!("withdrawal {}: not what was asked to be approved", w.id));
        }
    }
    (facts.withdrawals.len(), wrong)
}

fn walks(facts: &Facts) -> Findings {
    let mut wrong = Vec::new();
    let mut at: HashMap<i64, i64> = HashMap::new();
    for (n, line) in facts.lines.iter().enumerate() {
        if i64::try_from(n + 1) != Ok(line.id) {
            wrong.push(format!("history {}: a gap in the sequence before it", line.id));
        }
        let before = at.insert(line.withdrawal_id, line.to_status).unwrap_or(0);
        let legal = if before == 0 {
            line.from_status == 0
                && line.event == REQUEST
                && line.to_status == Status::Requested.number()
        } else {
            let from = Status::from_number(line.from_status);
            let event = Event::from_name(&line.event);
            let to = from.zip(event).and_then(|(from, event)| next(from, event));
            line.from_status == before && to.is_some_and(|(to, _)| to.number() == line.to_status)
        };
        if !legal {
            let id = line.withdrawal_id;
            wrong.push(format!("history {}: no legal edge for withdrawal {id}", line.id));
        }
    }
    if i64::try_from(facts.lines.len()) != Ok(facts.last_sequence) {
        wrong.push("history: lines are missing at the end".to_owned());
    }
    for w in &facts.withdrawals {
        if at.get(&w.id) != Some(&w.status.number()) {
            wrong.push(format!("withdrawal {}: its status is not that of its history", w.id));
        }
    }
    let there: HashSet<i64> = facts.withdrawals.iter().map(|w| w.id).collect();
    let mut orphans: Vec<&i64> = at.keys().filter(|id| !there.contains(id)).collect();
    orphans.sort_unstable();
    wrong.extend(orphans.iter().map(|id| format!("withdrawal {id}: it has a history and is gone")));
    wrong.extend(rules(facts, "G11", 0).1);
    (facts.lines.len(), wrong)
}

fn reviewers(facts: &Facts) -> Findings {
    let mut wrong = Vec::new();
    let by_id: HashMap<i64, &Withdrawal> = facts.withdrawals.iter().map(|w| (w.id, w)).collect();
    // Rows of one withdrawal and content have different reviewers by their primary key.
    for review in &facts.reviews {
        let told = match by_id.get(&review.withdrawal_id) {
            Some(w) if w.user_id == review.reviewer => "reviewed by its applicant",
            Some(_) => continue,
            None => "reviewed, and it is not there",
        };
        wrong.push(format!("withdrawal {}: {told}", review.withdrawal_id));
    }
    for line in &facts.lines {
        let event = Event::from_name(&line.event);
        let decides = matches!(
            event,
            Some(Event::Approve | Event::ApproveFirst | Event::Refuse | Event::MarkPaid)
        );
        if decides && line.actor == format!("user:{}", line.user_id) {
            wrong.push(format!("withdrawal {}: decided by its applicant", line.withdrawal_id));
        }
    }
    for w in &facts.withdrawals {
        let passed = matches!(
            w.status,
            Status::Approved
                | Status::Paying
                | Status::Unknown
                | Status::Blocked
                | Status::Unresolved
                | Status::Settling
                | Status::Paid
                | Status::Failing
                | Status::Failed
        );
        if passed && w.reviewers < w.reviewers_required {
            let (has, needs) = (w.reviewers, w.reviewers_required);
            wrong.push(format!("withdrawal {}: {has} of {needs} reviewers", w.id));
        }
    }
    (facts.reviews.len(), wrong)
}
