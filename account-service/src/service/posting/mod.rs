//! The work behind the poster: batches of commands, each computed in memory and written at once.
//!
//! Two ways to run a batch: *trusting* what is remembered, guarded by the head's version; and, when
//! that guard or a unique key says no, *careful*: under the write lock, with everything read again.
//!
//! While a long queue waits, the next batch is computed while the database writes this one. It rests on
//! what this one left, which is not committed yet, so it is only done when nothing has to be read, and
//! thrown away with everything remembered when this one is not written after all. Nobody is answered
//! before the commit of their own batch. Must not know: who asks, what a command means.

mod ahead;
#[cfg(test)]
mod defect_tests;
mod measured;
mod scribe;
#[cfg(test)]
mod scribe_tests;
mod tries;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cashout_common::clock::Clock;
use cashout_common::db::{Conn, close};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use self::measured::LEDGER;
use self::scribe::Scribe;
use super::poster::{PostError, Reply, Request, Waiting};
use crate::domain::{Book, Command, Outcome, Refusal};
use crate::store::Store;
use crate::store::write::Written;

/// Most movements that share a commit, but for the batch call that goes over it. Chosen when a task sent a statement
/// and a local socket took that much at once (decision 0027); others have not been tried with the scribe.
const BATCH: usize = 768;
/// As many are taken at once whatever else waits; of more, one half is left for the next batch. Callers
/// who wait for each other's answers would otherwise move in step, all of them in one batch: the
/// processors would wait while the database works, and the database while callers are answered.
const AT_ONCE: usize = 128;
/// So many movements are worth computing while a batch is under way: who comes after them waits for the next one.
pub(super) const AHEAD: usize = 96;
/// Batches of at least so many movements are given to the scribe. Being told by another thread costs more than smaller
/// ones gain.
const APART: usize = 256;
/// So many batches are under way at most: one that the database has in hand, and one that it is given right after.
const UNDER_WAY: usize = 2;
/// Most accounts that are remembered between batches (about 300 bytes each).
const REMEMBERED: usize = 100_000;
/// How soon a database that was away is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What becomes of a command: [`crate::domain::apply`], but where a test wants a defect.
pub(super) type Apply = fn(&mut Book, &Command, i64) -> Result<Outcome, Refusal>;
type Results = Vec<Result<Outcome, Refusal>>;
/// How writing a batch ended: badly in a panic, or as the database said.
type Ended = std::thread::Result<Result<(Option<Conn>, Written), sqlx::Error>>;
type Writing = BoxFuture<'static, Ended>;

/// Who is to be told of a batch.
struct Batch {
    commands: Vec<Command>,
    replies: Vec<Reply>,
    taken: Instant,
}

/// Movements of all commands.
fn movements(commands: &[Command]) -> usize {
    commands.iter().map(Command::movements).sum()
}

/// A batch that is computed and being written.
struct UnderWay {
    batch: Batch,
    results: Results,
    /// What to announce once it is there.
    news: News,
    writing: Writing,
    /// Whether the scribe writes it, after all it was given before.
    apart: bool,
}

/// What others are told when a batch is there.
struct News {
    newest: i64,
    schedules: bool,
}

/// A batch that was written, whose callers are still to be told.
struct Told {
    replies: Vec<Reply>,
    results: Results,
    news: News,
}

/// The one who moves money.
pub(super) struct Worker {
    store: Store,
    clock: Clock,
    apply: Apply,
    announce: watch::Sender<i64>,
    schedule: watch::Sender<()>,
    healthy: watch::Sender<bool>,
    book: Book,
    conn: Option<Conn>,
    scribe: Option<Scribe>,
    /// What the scribe is given under the same number rests on each other.
    chain: u64,
    /// Oldest first.
    under_way: VecDeque<UnderWay>,
    told: Vec<Told>,
    queue: Arc<Waiting>,
}

/// Where it is told that something is there: the newest entry, a hold to be released by itself, whether the
/// database takes what it is given.
pub(super) type Announced = (watch::Sender<i64>, watch::Sender<()>, watch::Sender<bool>);

impl Worker {
    /// Remembers nothing yet.
    pub(super) fn new(
        store: Store,
        (clock, apply): (Clock, Apply),
        (announce, schedule, healthy): Announced,
        queue: Arc<Waiting>,
    ) -> Self {
        Self {
            store,
            clock,
            apply,
            announce,
            schedule,
            healthy,
            book: Book::default(),
            conn: None,
            scribe: None,
            chain: 0,
            under_way: VecDeque::new(),
            told: Vec::new(),
            queue,
        }
    }

    /// Works until nobody can ask any more and everything that waits is done.
    pub(super) async fn run(mut self, waiting: &mut mpsc::Receiver<Request>) {
        let mut taken = Vec::new();
        while self.receive(waiting, &mut taken).await {
            let (commands, replies): (Vec<_>, Vec<_>) =
                taken.drain(..).map(|r: Request| (r.command, r.reply)).unzip();
            let batch = Batch { commands, replies, taken: Instant::now() };
            let turn = self.store.database().write_turn().await;
            match self.start(&batch.commands).await {
                // First the database has something to do again, then callers are told.
                Some(computed) => {
                    self.write_on(batch, computed).await;
                    self.answer();
                }
                None => {
                    self.settle().await;
                    self.answer();
                    self.carry_out(batch).await;
                }
            }
            drop(turn);
        }
        self.settle().await;
        self.answer();
        if let Some(scribe) = self.scribe {
            scribe.end().await;
        }
        if let Some(conn) = self.conn {
            close(conn).await;
        }
    }

    /// Takes what is waiting; false at the end. While a batch is under way only so much that computing
    /// it meanwhile is worth it, or what there is when that batch is there.
    async fn receive(
        &mut self,
        waiting: &mut mpsc::Receiver<Request>,
        taken: &mut Vec<Request>,
    ) -> bool {
        loop {
            let more = self.under_way.len() < UNDER_WAY;
            let Some(oldest) = self.under_way.front_mut() else { break };
            if more && self.queue.movements() >= AHEAD {
                break;
            }
            tokio::select! {
                written = &mut oldest.writing => {
                    self.written(written).await;
                    self.answer();
                }
                () = self.queue.enough(), if more => {}
            }
        }
        // What is counted is there in a moment, if it is not there yet.
        if !self.wait(waiting, taken).await {
            return false;
        }
        self.take(waiting, taken);
        true
    }

    /// Takes more of what is waiting, as much as one batch should have.
    fn take(&self, waiting: &mut mpsc::Receiver<Request>, taken: &mut Vec<Request>) {
        let mut movements = taken.iter().map(|request| request.command.movements()).sum::<usize>();
        let most = ((self.queue.movements() + movements) / 2).clamp(AT_ONCE, BATCH);
        while movements < most
            && let Ok(request) = waiting.try_recv()
        {
            self.queue.remove(&request.command);
            movements += request.command.movements();
            taken.push(request);
        }
        LEDGER.left(self.queue.movements());
    }

    /// Waits for a command and takes it; false at the end. While the database is away it is asked again and again,
    /// so that readiness returns by itself, also when nobody calls an instance that is not ready.
    async fn wait(
        &mut self,
        waiting: &mut mpsc::Receiver<Request>,
        taken: &mut Vec<Request>,
    ) -> bool {
        let request = loop {
            if *self.healthy.borrow() {
                break waiting.recv().await;
            }
            tokio::select! {
                request = waiting.recv() => break request,
                () = tokio::time::sleep(ASK_AGAIN) => {
                    // Nothing to carry out: only whether the database answers.
                    let _ = self.persist(&[]).await;
                }
            }
        };
        let Some(request) = request else { return false };
        self.queue.remove(&request.command);
        taken.push(request);
        true
    }

    async fn connection(&mut self) -> Result<Conn, sqlx::Error> {
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => self.store.database().connect().await,
        }
    }

    /// What becomes of commands, one after the other. `None` after a defect: then nothing that is remembered can be
    /// relied on, and it is forgotten.
    fn compute(&mut self, commands: &[Command]) -> Option<Results> {
        let (now_us, apply) = (self.clock.now_us(), self.apply);
        let book = &mut self.book;
        let all = || commands.iter().map(|command| apply(book, command, now_us)).collect();
        let computed = catch_unwind(AssertUnwindSafe(all)).ok();
        if computed.is_none() {
            tracing::error!(commands = commands.len(), "a defect in carrying out a command");
            self.book.forget(Default::default());
        }
        computed
    }

    /// What is told once the present changes are written.
    fn news(&self) -> News {
        let mut holds = self.book.changes.holds.iter().filter_map(|key| self.book.hold(key));
        let schedules = holds.any(|hold| hold.release_at > 0);
        News { newest: self.book.head.last_entry_id, schedules }
    }

    /// Tells the callers of what was written last, if they are not told yet.
    fn answer(&mut self) {
        for Told { replies, results, news } in std::mem::take(&mut self.told) {
            self.tell(&news);
            answer(replies, results.into_iter().map(|r| r.map_err(PostError::Refused)).collect());
        }
    }

    fn tell(&self, news: &News) {
        if news.schedules {
            self.schedule.send_replace(());
        }
        self.announce.send_replace(news.newest);
    }
}

/// A caller that went away is not told; what was decided stands.
fn answer(replies: Vec<Reply>, answers: Vec<Result<Outcome, PostError>>) {
    for (reply, answer) in replies.into_iter().zip(answers) {
        let _ = reply.send(answer);
    }
}
