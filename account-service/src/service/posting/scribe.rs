//! Writes computed batches one after the other, in a thread of its own: the database is given the next one as soon
//! as it has answered the last.
//!
//! Among the tasks of all calls that answer would wait its turn to be seen, and the database with it. Batches of one
//! chain rest on each other: when one is not written, nor are those after it, for another instance may have written
//! what they would be taken to follow. Must not know: what is in a batch, or who is to be told.

use std::pin::pin;
use std::task::Poll;

use cashout_common::db::{Conn, Database, bounded, close};
use cashout_common::run::apart;
use futures::poll;
use tokio::sync::{mpsc, oneshot};

use crate::store::write::{Ready, Written};

/// How writing ended, as the database said.
pub(super) type Outcome = Result<Written, sqlx::Error>;

/// A batch to be written after all that were given before it.
struct Order {
    ready: Ready,
    chain: u64,
    reply: oneshot::Sender<Outcome>,
}

/// A handle on the thread; it ends with it, when all it was given is written.
pub(super) struct Scribe {
    orders: mpsc::UnboundedSender<Order>,
    ended: oneshot::Receiver<()>,
}

impl Scribe {
    /// Starts the thread. Its connection is made for the first batch.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start(database: Database) -> std::io::Result<Self> {
        // The worker gives two at a time.
        let (orders, given) = mpsc::unbounded_channel();
        let (end, ended) = oneshot::channel();
        let mut work = Some((database, given, end));
        apart("ledger-scribe", move || {
            // After a defect nothing is left to begin anew with: all it was given is answered by nobody, and
            // whoever asked starts another one.
            let work = work.take();
            async move {
                if let Some((database, given, end)) = work {
                    write_all(&database, given).await;
                    let _ = end.send(());
                }
            }
        })?;
        Ok(Self { orders, ended })
    }

    /// Has a batch written that rests on the one given before, if that is of the same chain. No answer means that
    /// nobody knows.
    pub(super) fn give(&self, ready: Ready, chain: u64) -> oneshot::Receiver<Outcome> {
        let (reply, outcome) = oneshot::channel();
        // Without a thread the reply is dropped: no answer.
        let _ = self.orders.send(Order { ready, chain, reply });
        outcome
    }

    /// Whether the thread is there.
    pub(super) fn works(&self) -> bool {
        !self.orders.is_closed()
    }

    /// Waits until everything is written and the connection is closed.
    pub(super) async fn end(self) {
        drop(self.orders);
        let _ = self.ended.await;
    }
}

/// Who waits for what became of a batch.
type Told = Option<(oneshot::Sender<Outcome>, Outcome)>;

fn tell(told: &mut Told) {
    if let Some((reply, outcome)) = told.take() {
        let _ = reply.send(outcome);
    }
}

async fn write_all(database: &Database, mut given: mpsc::UnboundedReceiver<Order>) {
    let (mut conn, mut broken, mut told) = (None, None, None);
    while let Some(Order { ready, chain, reply }) = next(&mut given, &mut told).await {
        // Whose worker ended of a defect is not waited for by anybody: the next one might have refused their callers.
        let outcome = if broken == Some(chain) || reply.is_closed() {
            Ok(Written::Stale)
        } else {
            let mut writing = pin!(bounded(write(database, &mut conn, ready)));
            // It is sent, as far as the socket takes it, before anybody is told of the last one.
            let begun = poll!(&mut writing);
            tell(&mut told);
            match begun {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => writing.await,
            }
        };
        if !matches!(outcome, Ok(Written::Done)) {
            broken = Some(chain);
        }
        if outcome.is_err() {
            conn = None;
        }
        tell(&mut told);
        told = Some((reply, outcome));
    }
    if let Some(conn) = conn {
        close(conn).await;
    }
}

/// The next batch; whoever is to be told of the last one is, when there is none yet.
async fn next(given: &mut mpsc::UnboundedReceiver<Order>, told: &mut Told) -> Option<Order> {
    match given.try_recv() {
        Ok(order) => Some(order),
        Err(_) => {
            tell(told);
            given.recv().await
        }
    }
}

async fn write(database: &Database, conn: &mut Option<Conn>, ready: Ready) -> Outcome {
    let mut open = match conn.take() {
        Some(open) => open,
        None => database.connect().await?,
    };
    let written = ready.write(&mut open).await?;
    *conn = Some(open);
    Ok(written)
}
