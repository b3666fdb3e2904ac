//! Calls of many that go out together: whoever asks while enough calls are under way is asked for by the
//! next one, with all who came meanwhile. Nobody waits for company, see `cashout_common::batch`.
//!
//! Must not know: what is asked.

use std::sync::Arc;
use std::time::Duration;

use cashout_common::batch::{self, First};
use cashout_proto::{Failure, Reason};
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::ports::LEDGER_TIMEOUT;

/// Most questions of one call.
const MOST: usize = 256;
/// Calls under way at once, as long as they are answered within [`PATIENCE`].
const AT_ONCE: usize = 1;
/// How long the next call waits for the one before it; a call that takes longer goes on beside it.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long anybody waits for an answer.
const LIMIT: Duration = LEDGER_TIMEOUT;
/// Most questions that wait; more are refused as overload.
const QUEUE: usize = 4096;

/// The answers to questions, as many and in the same order, or why there are none.
pub(super) type Answers<A> = BoxFuture<'static, Result<Vec<Result<A, Failure>>, Failure>>;

type Reply<A> = oneshot::Sender<Result<A, Failure>>;

/// Asks questions `Q` together and gives each its answer.
#[derive(Debug)]
pub(super) struct Together<Q, A> {
    wanted: mpsc::Sender<(Q, Reply<A>)>,
}

impl<Q, A> Clone for Together<Q, A> {
    fn clone(&self) -> Self {
        Self { wanted: self.wanted.clone() }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Together<Q, A> {
    /// Asks by `call`; ends with its last clone, when all that wait are answered.
    pub(super) fn by(call: impl Fn(Vec<Q>) -> Answers<A> + Send + 'static) -> Self {
        let (wanted, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(work(call, waiting));
        Self { wanted }
    }

    /// The answer to one question. It is handed over at once, so whoever waits carries nothing of it.
    ///
    /// # Errors
    /// Its own, that of the call it went out with, `OVERLOADED` when too many wait, `DEADLINE_EXCEEDED` when
    /// no answer came in time: then it may have been asked all the same.
    pub(super) fn ask(&self, question: Q) -> impl Future<Output = Result<A, Failure>> + use<Q, A> {
        let (reply, answer) = oneshot::channel();
        let full = match self.wanted.try_send((question, reply)) {
            Err(mpsc::error::TrySendError::Full(_)) => true,
            // Nobody is there to answer: the wait ends at once.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => false,
        };
        async move {
            if full {
                return Err(Failure::new(Reason::Overloaded, "too many requests are waiting"));
            }
            let late = |_| Err(Failure::new(Reason::DeadlineExceeded, "no answer in time"));
            let answer = tokio::time::timeout(LIMIT, answer).await;
            answer.map_or_else(late, |answer| answer.unwrap_or_else(|_| Err(unanswered())))
        }
    }
}

fn unanswered() -> Failure {
    Failure::new(Reason::Unavailable, "the service is stopping")
}

async fn work<Q, A>(call: impl Fn(Vec<Q>) -> Answers<A>, mut waiting: mpsc::Receiver<(Q, Reply<A>)>)
where
    A: Send + 'static,
{
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut wanted = Vec::new();
    // The place comes first: who asks until there is one is asked for with the others.
    while let Ok(place) = places.clone().acquire_owned().await
        && batch::next(&mut waiting, &mut wanted, MOST, First::Tasks).await
    {
        // Who went away is not asked for.
        let wanted = wanted.drain(..).filter(|(_, reply)| !reply.is_closed());
        let (questions, replies): (Vec<Q>, Vec<Reply<A>>) = wanted.unzip();
        if questions.is_empty() {
            continue;
        }
        let mut answers = call(questions);
        tokio::spawn(async move {
            let soon = tokio::time::timeout(PATIENCE, &mut answers).await;
            drop(place);
            let answers = match soon {
                Ok(answers) => answers,
                // Nobody waits for it longer.
                Err(_) => tokio::time::timeout(LIMIT, answers).await.unwrap_or_else(|_| {
                    Err(Failure::new(Reason::DeadlineExceeded, "no answer in time"))
                }),
            };
            tell(replies, answers);
        });
    }
}

/// Tells everybody; an answer that is missing is one nobody knows.
fn tell<A>(replies: Vec<Reply<A>>, answers: Result<Vec<Result<A, Failure>>, Failure>) {
    let missing = || Failure::new(Reason::Internal, "an answer is missing");
    let mut answers = answers.map(Vec::into_iter);
    for reply in replies {
        let answer = match &mut answers {
            Ok(answers) => answers.next().unwrap_or_else(|| Err(missing())),
            Err(failure) => Err(failure.clone()),
        };
        // Who went away meanwhile is not told.
        let _ = reply.send(answer);
    }
}
