//! Rows that are read by key share statements: whoever asks while a statement is under way is
//! answered by the next one, which asks for all that came meanwhile. Nobody waits for company, see `batch`. A read
//! begins after it was asked for, so it sees what was committed before, and what one caller asks for is never split over
//! two reads.
//!
//! It has a connection of its own: a pool asks each connection whether it is still there before and after
//! every use, which makes three trips of one. On SQLite a read is no trip at all and takes a reader.
//! Must not know: what is read.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::panic::AssertUnwindSafe;

use cashout_proto::{Failure, Reason};
use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};

use crate::batch::{self, First};
use crate::db::{Conn, Database, Engine, bounded, close, connection_lost};
use crate::writer::database_failure;

/// Most keys of callers who share a statement; one caller may bring more.
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

type Reply<T> = oneshot::Sender<Result<T, Failure>>;

/// What somebody asks for.
enum Wanted<R: Rows> {
    One(R::Key, Reply<Option<R::Row>>),
    Many(Vec<R::Key>, Reply<HashMap<R::Key, R::Row>>),
}

/// Reads rows of one sort.
#[derive(Debug)]
pub struct Gather<R: Rows> {
    wanted: mpsc::Sender<Wanted<R>>,
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
        self.ask(Wanted::One(key, reply))?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// The rows of these keys; those that are not there are left out.
    ///
    /// # Errors
    /// As [`Gather::find`]; when one of the rows cannot be read, for all of them.
    pub async fn find_all(&self, keys: Vec<R::Key>) -> Result<HashMap<R::Key, R::Row>, Failure> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let (reply, answer) = oneshot::channel();
        self.ask(Wanted::Many(keys, reply))?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn ask(&self, wanted: Wanted<R>) -> Result<(), Failure> {
        self.wanted.try_send(wanted).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Failure::new(Reason::Overloaded, "too many requests are waiting")
            }
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })
    }
}

fn stopped() -> Failure {
    Failure::new(Reason::Unavailable, "the service is stopping")
}

async fn work<R: Rows>(database: Database, mut waiting: mpsc::Receiver<Wanted<R>>) {
    let (mut conn, mut wanted) = (None, Vec::new());
    while batch::next(&mut waiting, &mut wanted, MOST, First::Tasks).await {
        // Who went away is not read for.
        let mut rest = wanted.drain(..).filter(|one: &Wanted<R>| !one.gone()).peekable();
        while let Some(first) = rest.next() {
            let mut keys = first.keys().len();
            let mut some = vec![first];
            // What one asks for is never split: rows that belong together are of one moment.
            while let Some(one) = rest.next_if(|one| keys + one.keys().len() <= MOST) {
                keys += one.keys().len();
                some.push(one);
            }
            if let Err(failure) = answer(&database, &mut conn, some).await {
                rest.by_ref().for_each(|one| one.tell(&Err(failure.clone())));
            }
        }
    }
    if let Some(conn) = conn {
        close(conn).await;
    }
}

type Found<R> = Result<HashMap<<R as Rows>::Key, <R as Rows>::Row>, Failure>;

impl<R: Rows> Wanted<R> {
    fn keys(&self) -> &[R::Key] {
        match self {
            Self::One(key, _) => std::slice::from_ref(key),
            Self::Many(keys, _) => keys,
        }
    }

    fn gone(&self) -> bool {
        match self {
            Self::One(_, reply) => reply.is_closed(),
            Self::Many(_, reply) => reply.is_closed(),
        }
    }

    /// Answers who asked. A caller that went away is not told.
    fn tell(self, found: &Found<R>) {
        let found = found.as_ref().map_err(Failure::clone);
        match self {
            Self::One(key, reply) => drop(reply.send(found.map(|rows| rows.get(&key).cloned()))),
            Self::Many(keys, reply) => drop(reply.send(found.map(|rows| {
                let row = |key: R::Key| rows.get(&key).cloned().map(|row| (key, row));
                keys.into_iter().filter_map(row).collect()
            }))),
        }
    }
}

/// Answers these together, or each alone when that cannot be read: a row that spoils a statement is a matter
/// of those who ask for it. Fails when the database is away.
async fn answer<R: Rows>(
    database: &Database,
    conn: &mut Option<Conn>,
    wanted: Vec<Wanted<R>>,
) -> Result<(), Failure> {
    let keys: HashSet<R::Key> = wanted.iter().flat_map(Wanted::keys).cloned().collect();
    let keys: Vec<R::Key> = keys.into_iter().collect();
    let found = read::<R>(database, conn, &keys).await;
    let away = matches!(&found, Err(error) if connection_lost(error));
    if found.is_err() && !away && wanted.len() > 1 {
        for one in wanted {
            let found = read::<R>(database, conn, one.keys()).await;
            one.tell(&found.map_err(|error| database_failure(&error)));
        }
        return Ok(());
    }
    let found = found.map_err(|error| database_failure(&error));
    wanted.into_iter().for_each(|one| one.tell(&found));
    found.map(drop).or_else(|failure| if away { Err(failure) } else { Ok(()) })
}

/// Reads; once more over a new connection when the one that was kept is lost. A read that panics is a defect, of
/// those alone who ask for what it cannot read.
async fn read<R: Rows>(
    database: &Database,
    kept: &mut Option<Conn>,
    keys: &[R::Key],
) -> Result<HashMap<R::Key, R::Row>, sqlx::Error> {
    if let Some(mut conn) = kept.take() {
        match bounded(whole::<R>(&mut conn, keys)).await {
            Err(error) if connection_lost(&error) => {}
            Err(error) => return Err(error),
            Ok(found) => {
                *kept = Some(conn);
                return Ok(found);
            }
        }
    }
    let mut conn = bounded(database.connect_to_read()).await?;
    let found = bounded(whole::<R>(&mut conn, keys)).await?;
    *kept = Some(conn);
    Ok(found)
}

async fn whole<R: Rows>(
    conn: &mut Conn,
    keys: &[R::Key],
) -> Result<HashMap<R::Key, R::Row>, sqlx::Error> {
    let read = AssertUnwindSafe(R::read(conn, keys)).catch_unwind().await;
    read.unwrap_or_else(|_| Err(sqlx::Error::Decode("a read ended badly".into())))
}
