//! Rows that are read one by one by key share statements: whoever asks while a statement is under way is
//! answered by the next one, which asks for all that came meanwhile. Nobody waits for company: who comes
//! first is asked for alone. A read begins after it was asked for, so it sees what was committed before.
//!
//! It has a connection of its own: a pool asks each connection whether it is still there before and after
//! every use, which makes three trips of one. On SQLite a read is no trip at all and takes a reader.
//! Must not know: what is read.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use cashout_proto::{Failure, Reason};
use tokio::sync::{mpsc, oneshot};

use crate::db::{Conn, Database, Engine, bounded, close, connection_lost};
use crate::writer::database_failure;

/// Most keys of one statement.
const MOST: usize = 256;
/// Most reads that wait; more are refused as overload.
const QUEUE: usize = 4096;

/// Rows of one sort, found by key.
pub trait Rows: Send + Sync + 'static {
    /// What a row is asked for by.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;
    /// What is found.
    type Row: Clone + Send + Sync + 'static;

    /// The rows of these keys; those that are not there are left out. No key comes twice.
    ///
    /// # Errors
    /// The database's.
    fn read(
        conn: &mut Conn,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Row>, sqlx::Error>> + Send;
}

type Reply<T> = oneshot::Sender<Result<Option<T>, Failure>>;

/// Reads rows of one sort.
#[derive(Debug)]
pub struct Gather<R: Rows> {
    wanted: mpsc::Sender<(R::Key, Reply<R::Row>)>,
}

impl<R: Rows> Clone for Gather<R> {
    fn clone(&self) -> Self {
        Self { wanted: self.wanted.clone() }
    }
}

impl<R: Rows> Gather<R> {
    /// On PostgreSQL; it connects when it is first asked, and ends with its last clone.
    #[must_use]
    pub fn on(database: &Database) -> Option<Self> {
        if matches!(database.readers(), Engine::Sqlite(_)) {
            return None;
        }
        let (wanted, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(work::<R>(database.clone(), waiting));
        Some(Self { wanted })
    }

    /// The row of a key, if there is one.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the database does not answer, `OVERLOADED` when too many wait.
    pub async fn find(&self, key: R::Key) -> Result<Option<R::Row>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.wanted.try_send((key, reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Failure::new(Reason::Overloaded, "too many requests are waiting")
            }
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn stopped() -> Failure {
    Failure::new(Reason::Unavailable, "the service is stopping")
}

async fn work<R: Rows>(database: Database, mut waiting: mpsc::Receiver<(R::Key, Reply<R::Row>)>) {
    let (mut conn, mut wanted) = (None, Vec::new());
    while waiting.recv_many(&mut wanted, MOST).await > 0 {
        let keys: HashSet<R::Key> = wanted.iter().map(|(key, _)| key.clone()).collect();
        let keys: Vec<R::Key> = keys.into_iter().collect();
        let found = answers::<R>(&database, &mut conn, keys).await;
        for (key, reply) in wanted.drain(..) {
            // A caller that went away is not told.
            let _ = reply.send(found.get(&key).cloned().unwrap_or(Ok(None)));
        }
    }
    if let Some(conn) = conn {
        close(conn).await;
    }
}

type Answer<R> = Result<Option<<R as Rows>::Row>, Failure>;

/// What each key is answered. A row that cannot be read is a matter of those alone who ask for it.
async fn answers<R: Rows>(
    database: &Database,
    conn: &mut Option<Conn>,
    keys: Vec<R::Key>,
) -> HashMap<R::Key, Answer<R>> {
    let read_all = read::<R>(database, conn, &keys).await;
    if keys.len() == 1 || !matches!(&read_all, Err(error) if !connection_lost(error)) {
        let mut rows = read_all.map_err(|error| database_failure(&error));
        let mut row = |key| rows.as_mut().map(|rows| rows.remove(key)).map_err(|e| e.clone());
        return keys.iter().map(|key| (key.clone(), row(key))).collect();
    }
    let mut answers = HashMap::with_capacity(keys.len());
    for key in keys {
        let row = read::<R>(database, conn, std::slice::from_ref(&key)).await;
        let row = row.map(|mut rows| rows.remove(&key)).map_err(|error| database_failure(&error));
        answers.insert(key, row);
    }
    answers
}

/// Reads; once more over a new connection when the one that was kept is lost.
async fn read<R: Rows>(
    database: &Database,
    kept: &mut Option<Conn>,
    keys: &[R::Key],
) -> Result<HashMap<R::Key, R::Row>, sqlx::Error> {
    if let Some(mut conn) = kept.take() {
        match bounded(R::read(&mut conn, keys)).await {
            Err(error) if connection_lost(&error) => {}
            Err(error) => return Err(error),
            Ok(found) => {
                *kept = Some(conn);
                return Ok(found);
            }
        }
    }
    let mut conn = bounded(database.connect_to_read()).await?;
    let found = bounded(R::read(&mut conn, keys)).await?;
    *kept = Some(conn);
    Ok(found)
}
