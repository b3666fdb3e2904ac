//! Filling a book with what its jobs need, in a few statements however many jobs there are.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use cashout_common::db::{Conn, Engine, begin_write};
use cashout_common::on_engine;
use sqlx::{Error, FromRow};

use super::answers::Stored;
use super::book::{Book, Head, Needs};
use super::memory::Memory;
use super::sandbox::Payout;
use super::set::{Cell, Kind, Statement};
use super::withdrawals::{Row, Usage, all, columns, usage_sql};
use crate::domain::status::Status;
use crate::domain::withdrawal::Withdrawal;

/// The last numbers given and the paused providers, under the write lock.
macro_rules! head {
    () => {
        "SELECT version, last_sequence, (SELECT coalesce(max(id), 0) FROM withdrawal), \
         (SELECT coalesce(max(id), 0) FROM provider_call), \
         (SELECT string_agg(provider, ',') FROM channel WHERE paused = 1) \
         FROM stream_head WHERE id = 1"
    };
}

/// What a batch knows from its beginning.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) head: Head,
    pub(super) paused: Vec<String>,
}

type HeadRow = (i64, i64, i64, i64, Option<String>);

impl From<HeadRow> for Begun {
    fn from(row: HeadRow) -> Self {
        let (version, sequence, withdrawal_id, call_id, paused) = row;
        let paused = paused.unwrap_or_default();
        let paused = paused.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
        let head = Head { version, sequence, withdrawal_id, call_id };
        Self { head, paused: paused.collect() }
    }
}

/// Begins a transaction with the write lock and gives the last numbers, on PostgreSQL in one trip: each
/// statement sees what was committed before it, so the numbers are those after the lock was had.
///
/// # Errors
/// The database's.
pub(super) async fn begin(conn: &mut Conn) -> Result<Begun, Error> {
    const BEGIN: &str =
        concat!("BEGIN; SELECT last_sequence FROM stream_head WHERE id = 1 FOR UPDATE; ", head!());
    match conn {
        Engine::Postgres(c) => {
            let rows = sqlx::raw_sql(BEGIN).fetch_all(&mut *c).await?;
            let row = rows.last().ok_or(Error::RowNotFound)?;
            let row: HeadRow = FromRow::from_row(row)?;
            Ok(row.into())
        }
        Engine::Sqlite(_) => {
            begin_write(conn, "").await?;
            head(conn).await
        }
    }
}

/// The last numbers given, inside a transaction with the write lock.
///
/// # Errors
/// The database's.
pub(super) async fn head(conn: &mut Conn) -> Result<Begun, Error> {
    let row: HeadRow = on_engine!(conn, c =>
        sqlx::query_as(head!()).fetch_one(&mut *c).await?);
    Ok(row.into())
}

/// The version of the head.
///
/// # Errors
/// The database's.
pub(super) async fn version(conn: &mut Conn) -> Result<i64, Error> {
    const SQL: &str = "SELECT version FROM stream_head WHERE id = 1";
    on_engine!(conn, c => sqlx::query_scalar(SQL).fetch_one(&mut *c).await)
}

/// By id, and by person and key; the one leaves out what the other takes. Uses `withdrawal_by_key`: looked
/// up row by row, because a join may be planned to read the whole index first.
pub(super) static ROWS: LazyLock<Statement<3>> = LazyLock::new(|| {
    let then = concat!(
        "SELECT ",
        columns!(),
        " FROM d JOIN withdrawal_now w ON w.id = coalesce(d.id, (SELECT k.id FROM withdrawal k \
          WHERE k.user_id = d.user_id AND k.request_key = d.request_key))"
    );
    let keys = [("user_id", Kind::MaybeInt), ("request_key", Kind::MaybeText)];
    Statement::new([("id", Kind::MaybeInt), keys[0], keys[1]], then)
});

static USAGE: LazyLock<Statement<2>> = LazyLock::new(|| {
    let then = format!("SELECT d.user_id, {} FROM d", usage_sql("d.user_id", "d.day_us"));
    Statement::new([("user_id", Kind::Int), ("day_us", Kind::Int)], &then)
});

static ANSWERS: LazyLock<Statement<2>> = LazyLock::new(|| {
    let then = "SELECT a.scope, a.key, a.digest, a.reply FROM d \
        JOIN answer a ON a.scope = d.scope AND a.key = d.key";
    Statement::new([("scope", Kind::Text), ("key", Kind::Text)], then)
});

static REVIEWS: LazyLock<Statement<1>> = LazyLock::new(|| {
    let then = "SELECT r.withdrawal_id, r.content_digest, r.reviewer FROM d \
        JOIN review r ON r.withdrawal_id = d.id";
    Statement::new([("id", Kind::Int)], then)
});

static PAYOUTS: LazyLock<Statement<1>> = LazyLock::new(|| {
    let then = "SELECT s.* FROM d JOIN sandbox_payout s ON s.number = d.number";
    Statement::new([("number", Kind::Text)], then)
});

/// Withdrawals by id.
///
/// # Errors
/// The database's.
pub(super) async fn rows(conn: &mut Conn, ids: &[i64]) -> Result<Vec<Withdrawal>, Error> {
    let wanted: Vec<_> = ids.iter().map(|id| by_id(*id)).collect();
    all(ROWS.fetch::<Row>(conn, &wanted).await?)
}

pub(super) fn by_id<'c>(id: i64) -> [Cell<'c>; 3] {
    [Cell::MaybeInt(Some(id)), Cell::MaybeInt(None), Cell::MaybeText(None)]
}

pub(super) fn by_key(user_id: i64, key: &str) -> [Cell<'_>; 3] {
    [Cell::MaybeInt(None), Cell::MaybeInt(Some(user_id)), Cell::MaybeText(Some(key))]
}

type Keyed = (String, String, Vec<u8>, Vec<u8>);

impl Book {
    /// What jobs with these needs have to know. The caller holds the write lock, or has a memory that is
    /// checked when the book is written: what jobs and it know already is not read then.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn load(
        conn: &mut Conn,
        begun: Begun,
        needs: &[&Needs],
        memory: Option<&Memory>,
    ) -> Result<Self, Error> {
        let Begun { head, paused } = begun;
        let mut book = Self::default();
        (book.stored, book.head, book.paused) = (head, head, paused);

        let believed = needs.iter().filter_map(|n| n.claimed.as_ref());
        for w in believed.filter(|_| memory.is_some()) {
            book.rows.insert(w.id, w.clone());
        }
        let wanted = needs.iter().flat_map(|n| &n.ids);
        for w in wanted.filter_map(|id| memory?.waiting(*id)) {
            book.rows.entry(w.id).or_insert_with(|| w.clone());
        }
        book.load_rows(conn, needs, memory.is_none()).await?;

        let mut people: Vec<(i64, i64)> = needs.iter().filter_map(|n| n.usage).collect();
        people.sort_unstable();
        people.dedup_by_key(|(user_id, _)| *user_id);
        people.retain(|(user_id, day_us)| {
            let known = memory.and_then(|memory| memory.usage(*user_id, *day_us));
            book.usage.extend(known.map(|usage| (*user_id, usage)));
            known.is_none()
        });
        let people: Vec<_> = people.iter().map(|(u, d)| [Cell::Int(*u), Cell::Int(*d)]).collect();
        for (user_id, day_minor, last_us) in USAGE.fetch::<(i64, i64, i64)>(conn, &people).await? {
            book.usage.insert(user_id, Usage { day_minor, last_us });
        }

        let keys = needs.iter().filter_map(|n| n.answer.as_ref());
        let keys: Vec<_> = keys.map(|(s, k)| [Cell::Text(s), Cell::Text(k)]).collect();
        for (scope, key, digest, reply) in ANSWERS.fetch::<Keyed>(conn, &keys).await? {
            book.answers.insert((scope, key), Stored { digest, reply });
        }

        let new = |n: &&Needs| n.new_payout.clone().filter(|_| memory.is_none());
        let numbers: BTreeSet<String> =
            needs.iter().filter_map(|n| n.payout.clone().or_else(|| new(n))).collect();
        let numbers = numbers.iter();
        let numbers: Vec<_> = numbers.map(|n| [Cell::Text(n)]).collect();
        for payout in PAYOUTS.fetch::<Payout>(conn, &numbers).await? {
            book.payouts.insert(payout.number.clone(), payout);
        }
        Ok(book)
    }

    /// Rows, and those under a key if they matter; approvals only of those that wait for another one.
    async fn load_rows(
        &mut self,
        conn: &mut Conn,
        needs: &[&Needs],
        keys_too: bool,
    ) -> Result<(), Error> {
        let mut ids: Vec<i64> = needs.iter().flat_map(|n| n.ids.iter().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| !self.rows.contains_key(id));
        let keys = needs.iter().filter_map(|n| n.request.as_ref().filter(|_| keys_too));
        let keys = keys.map(|(user_id, key)| by_key(*user_id, key));
        let wanted = ids.into_iter().map(by_id).chain(keys);
        let mut reviewed = Vec::new();
        for w in all(ROWS.fetch::<Row>(conn, &wanted.collect::<Vec<_>>()).await?)? {
            if w.status == Status::InReview && w.reviewers > 0 {
                reviewed.push([Cell::Int(w.id)]);
            }
            if !w.request_key.is_empty() {
                self.requests.insert((w.user_id, w.request_key.clone()), w.id);
            }
            self.rows.insert(w.id, w);
        }
        let found = REVIEWS.fetch::<(i64, String, i64)>(conn, &reviewed).await?;
        self.reviews.extend(found);
        Ok(())
    }
}
