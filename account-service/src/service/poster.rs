//! The posting pipeline: the one path on which balances change.
//!
//! Handlers enqueue commands. The worker (`posting`) takes what is waiting (nobody waits for a batch to
//! fill), computes it in memory, writes it in a few statements, commits once, then answers everybody.
//! It works in a task of its own, so a caller that goes away cancels nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cashout_common::clock::Clock;
use cashout_common::run::kept_up;
use cashout_proto::{Failure, Reason};
use futures::FutureExt;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};

use super::posting::{AHEAD, Apply, Worker};
use crate::domain::{Command, Outcome, Refusal, apply};
use crate::store::Store;

/// Most commands that wait; more are refused as overload.
const QUEUE: usize = 16 * 1024;

/// Why a command was not carried out.
#[derive(Debug)]
pub enum PostError {
    /// A rule of the ledger said no; nothing was changed.
    Refused(Refusal),
    /// The database or the pipeline said no.
    Failed(Box<Failure>),
}

/// Where the answer to a command goes.
pub(super) type Reply = oneshot::Sender<Result<Outcome, PostError>>;

/// A command that waits.
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) reply: Reply,
}

/// What is known of the queue besides what is in it.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Movements of the commands in it: of a batch call as many as it has transfers.
    movements: AtomicUsize,
    /// Told when there are so many that computing them ahead is worth it. The worker hears of no other while a
    /// batch is under way: being woken for each would cost more than computing it.
    enough: Notify,
}

impl Waiting {
    fn add(&self, command: &Command) {
        let more = command.movements();
        if self.movements.fetch_add(more, Ordering::Relaxed) + more >= AHEAD {
            self.enough.notify_one();
        }
    }

    /// A command was taken.
    pub(super) fn remove(&self, command: &Command) {
        self.movements.fetch_sub(command.movements(), Ordering::Relaxed);
    }

    /// Movements that wait.
    pub(super) fn movements(&self) -> usize {
        self.movements.load(Ordering::Relaxed)
    }

    /// Waits until somebody came when there were enough; there may be fewer again.
    pub(super) async fn enough(&self) {
        self.enough.notified().await;
    }
}

/// A handle on the pipeline.
#[derive(Debug, Clone)]
pub struct Poster {
    queue: mpsc::Sender<Request>,
    waiting: Arc<Waiting>,
    newest: watch::Receiver<i64>,
    scheduled: watch::Receiver<()>,
    healthy: watch::Receiver<bool>,
}

impl Poster {
    /// Starts the pipeline. It ends when the last handle is dropped and everything waiting is done.
    #[must_use]
    pub fn start(store: Store, clock: Clock) -> (Self, tokio::task::JoinHandle<()>) {
        Self::start_with(store, clock, apply)
    }

    /// The same, with what becomes of commands.
    pub(super) fn start_with(
        store: Store,
        clock: Clock,
        apply: Apply,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, requests) = mpsc::channel(QUEUE);
        let waiting = Arc::<Waiting>::default();
        let (announce, newest) = watch::channel(0);
        let (schedule, scheduled) = watch::channel(());
        let (health, healthy) = watch::channel(true);
        let (news, seen) = ((announce, schedule, health), waiting.clone());
        let requests = Arc::new(Mutex::new(requests));
        let task = tokio::spawn(kept_up("ledger", move || {
            let worker =
                Worker::new(store.clone(), (clock.clone(), apply), news.clone(), seen.clone());
            let requests = requests.clone();
            async move { worker.run(&mut *requests.lock().await).await }
        }));
        (Self { queue, waiting, newest, scheduled, healthy }, task)
    }

    /// Carries a command out and answers after its commit. It is handed over at once, so whoever waits carries
    /// nothing of it.
    ///
    /// # Errors
    /// Why not; after `UNAVAILABLE` the command may have been carried out, ask again with its key.
    pub fn post(
        &self,
        command: Command,
    ) -> impl Future<Output = Result<Outcome, PostError>> + Send + use<> {
        self.enqueue(command).map(answered)
    }

    /// Carries independent commands out in this order, together, and answers each.
    pub async fn post_each(&self, commands: Vec<Command>) -> Vec<Result<Outcome, PostError>> {
        let waiting: Vec<_> = commands.into_iter().map(|command| self.enqueue(command)).collect();
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(answered(answer.await));
        }
        answers
    }

    /// Tells when entries were appended by this instance, with the newest id.
    #[must_use]
    pub fn newest(&self) -> watch::Receiver<i64> {
        self.newest.clone()
    }

    /// Tells when this instance placed or ended holds that are to be released by themselves.
    #[must_use]
    pub fn scheduled(&self) -> watch::Receiver<()> {
        self.scheduled.clone()
    }

    /// Whether the database took what it was last given.
    #[must_use]
    pub fn healthy(&self) -> watch::Receiver<bool> {
        self.healthy.clone()
    }

    /// Hands a command over; one that is refused is answered the same way.
    fn enqueue(&self, command: Command) -> oneshot::Receiver<Result<Outcome, PostError>> {
        let (reply, answer) = oneshot::channel();
        let refused = match self.queue.try_reserve() {
            Ok(place) => {
                // Counted before it can be taken.
                self.waiting.add(&command);
                place.send(Request { command, reply });
                return answer;
            }
            Err(TrySendError::Full(())) => overloaded(),
            Err(TrySendError::Closed(())) => stopping(),
        };
        let _ = reply.send(Err(refused));
        answer
    }
}

fn failed(reason: Reason, message: &str) -> PostError {
    PostError::Failed(Box::new(Failure::new(reason, message)))
}

fn overloaded() -> PostError {
    failed(Reason::Overloaded, "too many commands are waiting")
}

/// No answer is a defect, or the end of the process, while it was carried out.
fn answered(answer: Result<Result<Outcome, PostError>, RecvError>) -> Result<Outcome, PostError> {
    answer.unwrap_or_else(|_| {
        let told = "nobody knows whether it was done; ask again with the same key";
        Err(failed(Reason::Unavailable, told))
    })
}

pub(super) fn stopping() -> PostError {
    failed(Reason::Unavailable, "the service is stopping")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Currency;

    const OPEN: Command = Command::Open { person: 7, currency: Currency::CNY };

    fn told(answer: Result<Outcome, PostError>) -> Result<bool, Option<Reason>> {
        match answer {
            Ok(Outcome::Account { created, .. }) => Ok(created),
            Err(PostError::Failed(failure)) => Err(Some(failure.reason)),
            _ => Err(None),
        }
    }

    // One thread: the worker takes nothing while commands are handed over.
    #[tokio::test]
    async fn what_the_queue_has_no_room_for_is_refused_and_the_rest_carried_out()
    -> anyhow::Result<()> {
        for database in cashout_testing::databases("full_queue").await? {
            let store = Store::open(&database.url).await?;
            let (poster, posting) = Poster::start(store.clone(), Clock::set_at(1));
            let asked: Vec<_> = (0..QUEUE + 2).map(|_| poster.post(OPEN)).collect();
            let mut answers = Vec::with_capacity(asked.len());
            for asked in asked {
                answers.push(told(asked.await));
            }
            let mut expected = vec![Ok(false); QUEUE];
            expected[0] = Ok(true);
            expected.extend([Err(Some(Reason::Overloaded)); 2]);
            assert!(answers == expected, "{}", database.engine);
            posting.abort();
            let _ = posting.await;
            let answer = told(poster.post(OPEN).await);
            assert_eq!(answer, Err(Some(Reason::Unavailable)), "{}", database.engine);
            store.database().close().await;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_command_is_handed_over_whether_its_answer_is_waited_for_or_not() -> anyhow::Result<()>
    {
        for database in cashout_testing::databases("handed_over").await? {
            let store = Store::open(&database.url).await?;
            let (poster, posting) = Poster::start(store.clone(), Clock::set_at(1));
            drop(poster.post(OPEN));
            assert_eq!(told(poster.post(OPEN).await), Ok(false), "{}", database.engine);
            drop(poster);
            posting.await?;
            store.database().close().await;
        }
        Ok(())
    }
}
