//! What a batch of jobs works on: rows that were read under the write lock, or are believed to be as they
//! were (decision 0020), and the changes decided on them. A job decides in memory alone; what it changed is kept when it ends well and forgotten when it
//! is refused, so that it leaves nothing and spoils no neighbour.
//!
//! Must not know: SQL, which changes are right.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use cashout_common::db::Conn;
use cashout_common::writer::WriteError;
use cashout_proto::{Failure, Reason};

use super::answers::Stored;
use super::attempts::{Attempt, Call};
use super::history::Line;
use super::sandbox::Payout;
use super::withdrawals::{Usage, not_found};
use crate::domain::status::Status;
use crate::domain::withdrawal::Withdrawal;

/// What a job has to find in its book.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// Withdrawals by id.
    pub ids: Vec<i64>,
    /// One of them as the job knows it. It is believed as long as the tables agree when the batch is
    /// written, and read otherwise. Only for jobs that decide by its version and status, and leave
    /// nothing of when its effect is due.
    pub claimed: Option<Withdrawal>,
    /// Withdrawals by person and their key.
    pub request: Option<(i64, String)>,
    /// What a person requested lately, and since when a day counts.
    pub usage: Option<(i64, i64)>,
    /// Stored answer by scope and key.
    pub answer: Option<(String, String)>,
    /// The sandbox's payout by number.
    pub payout: Option<String>,
    /// A number that the sandbox has probably not booked yet. It is believed to be new as long as the tables
    /// agree when the batch is written, and read otherwise.
    pub new_payout: Option<String>,
}

impl Needs {
    /// One withdrawal.
    #[must_use]
    pub fn id(id: i64) -> Self {
        Self { ids: vec![id], ..Self::default() }
    }

    /// One withdrawal that is probably still as it is known.
    #[must_use]
    pub fn claimed(w: &Withdrawal) -> Self {
        Self { claimed: Some(w.clone()), ..Self::id(w.id) }
    }
}

/// The last numbers given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Head {
    /// Moves with every commit of a writer.
    pub version: i64,
    /// Of the history.
    pub sequence: i64,
    /// Of withdrawals.
    pub withdrawal_id: i64,
    /// Of calls to providers.
    pub call_id: i64,
}

/// A stored answer with its key.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) scope: String,
    pub(super) key: String,
    pub(super) stored: Stored,
    pub(super) at_us: i64,
}

/// An approval: which withdrawal and content, by whom, when.
#[derive(Debug, Clone)]
pub(super) struct Review {
    pub(super) withdrawal_id: i64,
    pub(super) content_digest: String,
    pub(super) reviewer: i64,
    pub(super) at_us: i64,
}

/// The answer to a call that was begun before.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) call: i64,
    pub(super) outcome: &'static str,
    pub(super) detail: String,
}

/// What is to be written.
#[derive(Debug, Clone, Default)]
pub(super) struct Changes {
    pub(super) rows: BTreeMap<i64, Withdrawal>,
    pub(super) new: BTreeSet<i64>,
    pub(super) lines: Vec<Line>,
    pub(super) reviews: Vec<Review>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) ended: Vec<(String, &'static str)>,
    pub(super) calls: Vec<Call>,
    pub(super) heard: Vec<Heard>,
    pub(super) answers: Vec<Answer>,
    /// Boxed: a map takes room for eleven at once, and most jobs have one.
    pub(super) payouts: BTreeMap<String, Box<Payout>>,
}

/// Everything a batch knows.
#[derive(Debug, Default)]
pub struct Book {
    pub(super) stored: Head,
    pub(super) head: Head,
    /// As they are stored.
    pub(super) rows: HashMap<i64, Withdrawal>,
    pub(super) requests: HashMap<(i64, String), i64>,
    pub(super) usage: HashMap<i64, Usage>,
    pub(super) answers: HashMap<(String, String), Stored>,
    pub(super) reviews: HashSet<(i64, String, i64)>,
    /// As they are stored.
    pub(super) payouts: HashMap<String, Payout>,
    /// Providers whose channels are paused.
    pub(super) paused: Vec<String>,
    /// Of the jobs that ended well.
    pub(super) changes: Changes,
    /// Of the job that is deciding now.
    job: Changes,
    before: Head,
}

impl Book {
    /// Lets a job decide: its changes stay only if it ends well. One that panics is a defect, of its caller
    /// alone: whoever decides goes on.
    ///
    /// # Errors
    /// The job's own; `INTERNAL` when it panicked.
    pub fn decide<T>(
        &mut self,
        job: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.before = self.head;
        let decided = catch_unwind(AssertUnwindSafe(|| job(self))).unwrap_or_else(|_| {
            tracing::error!("a job ended badly");
            Err(Failure::new(Reason::Internal, "internal error"))
        });
        let changes = std::mem::take(&mut self.job);
        match decided {
            Ok(_) => self.keep(changes),
            Err(_) => self.head = self.before,
        }
        decided
    }

    fn keep(&mut self, mut job: Changes) {
        for w in job.new.iter().filter_map(|id| job.rows.get(id)) {
            let usage = self.usage.entry(w.user_id).or_default();
            usage.day_minor = usage.day_minor.saturating_add(w.apply_minor);
            usage.last_us = usage.last_us.max(w.created_at_us);
            if !w.request_key.is_empty() {
                self.requests.insert((w.user_id, w.request_key.clone()), w.id);
            }
        }
        for answer in &job.answers {
            let key = (answer.scope.clone(), answer.key.clone());
            self.answers.insert(key, answer.stored.clone());
        }
        for review in &job.reviews {
            let content = review.content_digest.clone();
            self.reviews.insert((review.withdrawal_id, content, review.reviewer));
        }
        let all = &mut self.changes;
        // Not `append`: that makes the whole map anew for every job.
        all.rows.extend(job.rows);
        all.new.extend(job.new);
        all.lines.append(&mut job.lines);
        all.reviews.append(&mut job.reviews);
        all.attempts.append(&mut job.attempts);
        all.ended.append(&mut job.ended);
        all.calls.append(&mut job.calls);
        all.heard.append(&mut job.heard);
        all.answers.append(&mut job.answers);
        all.payouts.extend(job.payouts);
    }

    /// A withdrawal as it is now.
    ///
    /// # Errors
    /// `WITHDRAWAL_NOT_FOUND`
    pub fn get(&self, id: i64) -> Result<Withdrawal, Failure> {
        self.now(id).cloned().ok_or_else(not_found)
    }

    fn now(&self, id: i64) -> Option<&Withdrawal> {
        let changed = self.job.rows.get(&id).or_else(|| self.changes.rows.get(&id));
        changed.or_else(|| self.rows.get(&id))
    }

    /// The withdrawal as it is now, unless anything of it changed since `claimed` was read. What a worker
    /// learned meanwhile belongs to the state it had claimed: a pause that another worker began since
    /// then moves the version and leaves the status.
    ///
    /// # Errors
    /// `WITHDRAWAL_NOT_FOUND`
    pub fn unchanged(&self, claimed: &Withdrawal) -> Result<Option<Withdrawal>, Failure> {
        let now = self.get(claimed.id)?;
        let same = now.version == claimed.version && now.status == claimed.status;
        Ok(same.then_some(now))
    }

    /// The withdrawal that a person requested under a key.
    #[must_use]
    pub fn requested(&self, user_id: i64, key: &str) -> Option<Withdrawal> {
        let id = self.requests.get(&(user_id, key.to_owned()))?;
        self.now(*id).cloned()
    }

    /// What a person requested lately.
    #[must_use]
    pub fn usage(&self, user_id: i64) -> Usage {
        self.usage.get(&user_id).copied().unwrap_or_default()
    }

    /// The answer stored under a key.
    #[must_use]
    pub fn answer(&self, scope: &str, key: &str) -> Option<Stored> {
        self.answers.get(&(scope.to_owned(), key.to_owned())).cloned()
    }

    /// What the sandbox's books say of a number.
    #[must_use]
    pub fn payout(&self, number: &str) -> Option<Payout> {
        let changed = self.job.payouts.get(number).or_else(|| self.changes.payouts.get(number));
        changed.map(AsRef::as_ref).or_else(|| self.payouts.get(number)).cloned()
    }

    /// Whether no payout of this provider may be begun. A pause is committed under the write lock too, so
    /// no sending is noted after it.
    #[must_use]
    pub fn paused(&self, provider: &str) -> bool {
        self.paused.iter().any(|paused| paused == provider)
    }

    /// Adds a withdrawal and gives it the next id.
    pub fn insert(&mut self, w: &mut Withdrawal) {
        self.head.withdrawal_id += 1;
        w.id = self.head.withdrawal_id;
        w.version = 1;
        self.job.new.insert(w.id);
        self.job.rows.insert(w.id, w.clone());
    }

    /// Takes over what may change of a withdrawal, if it is still as it was read: `from` and `w.version`.
    ///
    /// # Errors
    /// `ILLEGAL_TRANSITION` when it changed meanwhile.
    pub fn save(&mut self, from: Status, w: &mut Withdrawal) -> Result<(), Failure> {
        let same = self.now(w.id).is_some_and(|now| now.version == w.version && now.status == from);
        if !same {
            return Err(Failure::new(Reason::IllegalTransition, "it changed meanwhile"));
        }
        w.version += 1;
        self.job.rows.insert(w.id, w.clone());
        Ok(())
    }

    /// Takes over when an effect is carried out and by whom. The version stays: what was learned of the
    /// withdrawal as it was can still be applied.
    pub fn schedule(&mut self, w: &Withdrawal) {
        self.job.rows.insert(w.id, w.clone());
    }

    /// Appends a line to the history under the next sequence: `line.id` is ignored. The write lock makes
    /// sequences dense and in commit order.
    pub fn append(&mut self, line: Line) {
        self.head.sequence += 1;
        self.job.lines.push(Line { id: self.head.sequence, ..line });
    }

    /// Adds an approval; false when this person had approved this content already.
    pub fn review(&mut self, w: &Withdrawal, reviewer: i64, at_us: i64) -> bool {
        let content_digest = w.content_digest.clone();
        if self.reviews.contains(&(w.id, content_digest.clone(), reviewer)) {
            return false;
        }
        self.job.reviews.push(Review { withdrawal_id: w.id, content_digest, reviewer, at_us });
        true
    }

    /// Adds an attempt. A second live one of the same withdrawal breaks a constraint.
    pub fn attempt(&mut self, attempt: Attempt) {
        self.job.attempts.push(attempt);
    }

    /// Ends the attempt of that number, if it is live.
    pub fn end_attempt(&mut self, number: &str, state: &'static str) {
        self.job.ended.push((number.to_owned(), state));
    }

    /// Notes that a call is about to be made; gives its id.
    pub fn begin_call(&mut self, number: &str, operation: &str, at_us: i64) -> i64 {
        self.head.call_id += 1;
        self.job.calls.push(Call {
            id: self.head.call_id,
            number: number.to_owned(),
            operation: operation.to_owned(),
            outcome: String::new(),
            detail: String::new(),
            at_us,
        });
        self.head.call_id
    }

    /// Notes the answer to a call.
    pub fn end_call(&mut self, call: i64, outcome: &'static str, detail: String) {
        self.job.heard.push(Heard { call, outcome, detail });
    }

    /// Stores an answer with its effect. A key that is taken breaks a constraint.
    pub fn put_answer(&mut self, scope: &str, key: &str, stored: Stored, at_us: i64) {
        let (scope, key) = (scope.to_owned(), key.to_owned());
        self.job.answers.push(Answer { scope, key, stored, at_us });
    }

    /// Books a payout of the sandbox, or how it stands now.
    pub fn put_payout(&mut self, payout: Payout) {
        self.job.payouts.insert(payout.number.clone(), Box::new(payout));
    }
}

/// Lets one job decide inside a transaction that holds the write lock, and writes what it decided.
///
/// # Errors
/// The job's own, or the database's.
pub async fn alone<T>(
    conn: &mut Conn,
    needs: Needs,
    job: impl FnOnce(&mut Book) -> Result<T, Failure>,
) -> Result<T, WriteError> {
    let begun = super::load::head(conn).await?;
    let mut book = Book::load(conn, begun, &[&needs], None).await?;
    let decided = book.decide(job)?;
    if book.changed() {
        book.write(conn).await?;
    }
    Ok(decided)
}
