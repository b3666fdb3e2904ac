//! Calls of many that go out together: whoever asks while enough calls are under way is asked for by the
//! next one, with all who came meanwhile. Nobody waits for company: who comes first goes alone.
//!
//! Must not know: what is asked.

use std::sync::Arc;

use cashout_proto::{Failure, Reason};
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Most questions of one call.
const MOST: usize = 256;
/// Most calls under way at once.
const AT_ONCE: usize = 1;
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

    /// The answer to one question.
    ///
    /// # Errors
    /// Its own, that of the call it went out with, `OVERLOADED` when too many wait.
    pub(super) async fn ask(&self, question: Q) -> Result<A, Failure> {
        let (reply, answer) = oneshot::channel();
        self.wanted.try_send((question, reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Failure::new(Reason::Overloaded, "too many requests are waiting")
            }
            mpsc::error::TrySendError::Closed(_) => unanswered(),
        })?;
        answer.await.unwrap_or_else(|_| Err(unanswered()))
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
        && waiting.recv_many(&mut wanted, MOST).await > 0
    {
        // Who went away is not asked for.
        let wanted = wanted.drain(..).filter(|(_, reply)| !reply.is_closed());
        let (questions, replies): (Vec<Q>, Vec<Reply<A>>) = wanted.unzip();
        if questions.is_empty() {
            continue;
        }
        let answers = call(questions);
        tokio::spawn(async move {
            tell(replies, answers.await);
            drop(place);
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
