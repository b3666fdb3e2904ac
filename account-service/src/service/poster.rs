//! The posting pipeline: the one path on which balances change.
//!
//! Handlers enqueue commands. The worker (`posting`) takes what is waiting (nobody waits for a batch to
//! fill), computes it in memory, writes it in a few statements, commits once, then answers everybody.
//! It works in a thread of its own, so a caller that goes away cancels nothing.

use cashout_common::clock::Clock;
use cashout_common::run::apart;
use cashout_proto::{Failure, Reason};
use tokio::sync::{mpsc, oneshot, watch};

use super::posting::Worker;
use crate::domain::{Command, Outcome, Refusal};
use crate::store::Store;

/// Most commands that wait; more are refused as overload.
const QUEUE: usize = 16 * 1024;

/// Why a command was not carried out.
#[derive(Debug)]
pub enum PostError {
    /// A rule of the ledger said no; nothing was changed.
    Refused(Refusal),
    /// The database or the pipeline said no.
    Failed(Failure),
}

/// Where the answer to a command goes.
pub(super) type Reply = oneshot::Sender<Result<Outcome, PostError>>;

/// A command that waits.
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) reply: Reply,
}

/// A handle on the pipeline.
#[derive(Debug, Clone)]
pub struct Poster {
    queue: mpsc::Sender<Request>,
    newest: watch::Receiver<i64>,
    scheduled: watch::Receiver<()>,
    healthy: watch::Receiver<bool>,
}

impl Poster {
    /// Starts the pipeline. It ends when the last handle is dropped and everything waiting is done, which
    /// the second value tells.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(store: Store, clock: Clock) -> std::io::Result<(Self, oneshot::Receiver<()>)> {
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        let (announce, newest) = watch::channel(0);
        let (schedule, scheduled) = watch::channel(());
        let (health, healthy) = watch::channel(true);
        let news = (announce, schedule, health);
        let ended = apart("ledger", async move || {
            Worker::new(store.clone(), clock.clone(), news.clone()).run(&mut waiting).await;
        })?;
        Ok((Self { queue, newest, scheduled, healthy }, ended))
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
        let answer = self.enqueue(command);
        async move { answer?.await.unwrap_or_else(|_| Err(stopping())) }
    }

    /// Carries independent commands out in this order, together, and answers each.
    pub async fn post_each(&self, commands: Vec<Command>) -> Vec<Result<Outcome, PostError>> {
        let waiting: Vec<_> = commands.into_iter().map(|command| self.enqueue(command)).collect();
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(match answer {
                Ok(answer) => answer.await.unwrap_or_else(|_| Err(stopping())),
                Err(refused) => Err(refused),
            });
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

    fn enqueue(
        &self,
        command: Command,
    ) -> Result<oneshot::Receiver<Result<Outcome, PostError>>, PostError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Request { command, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                PostError::Failed(Failure::new(Reason::Overloaded, "too many commands are waiting"))
            }
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })?;
        Ok(answer)
    }
}

pub(super) fn stopping() -> PostError {
    PostError::Failed(Failure::new(Reason::Unavailable, "the service is stopping"))
}
