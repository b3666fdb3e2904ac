//! The table `difference`: where ledger, attempts and bills do not agree, from when on, and what a
//! person says of it. Must not know: how a difference is found, or what its kinds mean.

use cashout_common::db::{Conn, Readers};
use cashout_common::on_engine;
use sqlx::Error;

/// The ids begin here, far above those of `open_case`, so that both can be told apart in one list.
pub const FIRST_ID: i64 = 1 << 40;

/// A difference as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Our number; the provider's with `flow:` before it, or the hold's key, when there is none.
    pub number: String,
    /// What kind, see docs/reconciliation.md.
    pub kind: &'static str,
    /// Which cash-out; 0 when it is none of ours.
    pub withdrawal_id: i64,
    /// The provider's number; may be empty.
    pub provider_number: String,
    /// What our side says, minor units, when it says something.
    pub ours_minor: Option<i64>,
    /// What the other side says.
    pub theirs_minor: Option<i64>,
    /// What is known, for the person who decides; no personal data.
    pub evidence: String,
}

/// A difference with its history.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Difference {
    /// Its number, from [`FIRST_ID`] on.
    pub id: i64,
    /// Whose bill.
    pub provider: String,
    /// As in [`Found`].
    pub number: String,
    /// As in [`Found`].
    pub kind: String,
    /// The day whose bill showed it first.
    pub bill_day: String,
    /// As in [`Found`].
    pub withdrawal_id: i64,
    /// As in [`Found`].
    pub provider_number: String,
    /// As in [`Found`].
    pub ours_minor: Option<i64>,
    /// As in [`Found`].
    pub theirs_minor: Option<i64>,
    /// As in [`Found`].
    pub evidence: String,
    /// When it was found first: its age.
    pub first_seen_us: i64,
    /// When it was found last.
    pub last_seen_us: i64,
    /// Empty while open; `vanished`: the same day compared again does not show it; `noted`: a person
    /// explained it.
    pub resolution: String,
    /// Who noted it, `user:9`.
    pub resolved_by: String,
    /// The explanation, in words.
    pub note: String,
    /// When it was resolved; 0 while open.
    pub resolved_at_us: i64,
}

const SEEN: &str = "INSERT INTO difference (id, provider, number, kind, bill_day, withdrawal_id, \
    provider_number, ours_minor, theirs_minor, evidence, first_seen_us, last_seen_us, \
    resolution, resolved_by, note, resolved_at_us) \
    VALUES ((SELECT coalesce(max(id) + 1, $11) FROM difference), \
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, '', '', '', 0) \
    ON CONFLICT (provider, number, kind) DO UPDATE SET \
    bill_day = CASE WHEN difference.resolution = 'vanished' THEN excluded.bill_day \
        ELSE difference.bill_day END, \
    resolution = CASE WHEN difference.resolution = 'noted' \
        AND coalesce(difference.ours_minor, -1) = coalesce(excluded.ours_minor, -1) \
        AND coalesce(difference.theirs_minor, -1) = coalesce(excluded.theirs_minor, -1) \
        THEN 'noted' ELSE '' END, \
    withdrawal_id = excluded.withdrawal_id, provider_number = excluded.provider_number, \
    ours_minor = excluded.ours_minor, theirs_minor = excluded.theirs_minor, \
    evidence = excluded.evidence, last_seen_us = excluded.last_seen_us";
const VANISHED: &str = "UPDATE difference SET resolution = 'vanished', resolved_at_us = $3 \
    WHERE provider = $1 AND bill_day = $2 AND resolution = '' AND last_seen_us < $3";

/// Records what comparing a day found. What was found before keeps its id, its age and the note of a
/// person, unless the amounts are others now; what had vanished is open again. What the day showed
/// before and does not show any more has vanished. Gives what was found, oldest first, with its
/// history, and how many have vanished.
///
/// # Errors
/// The database's.
pub async fn record(
    conn: &mut Conn,
    provider: &str,
    day: &str,
    found: &[Found],
    now_us: i64,
) -> Result<(Vec<Difference>, u64), Error> {
    const LAST: &str = "SELECT coalesce(max(last_seen_us), 0) FROM difference WHERE provider = $1";
    const NOW: &str = "SELECT * FROM difference WHERE provider = $1 AND last_seen_us = $2 \
        ORDER BY first_seen_us, id";
    on_engine!(conn, c => {
        // Every run has a moment of its own: it tells what this run saw from what another did.
        let last: i64 = sqlx::query_scalar(LAST).bind(provider).fetch_one(&mut *c).await?;
        let at_us = now_us.max(last + 1);
        for one in found {
            sqlx::query(SEEN)
                .bind(provider).bind(&one.number).bind(one.kind).bind(day)
                .bind(one.withdrawal_id).bind(&one.provider_number)
                .bind(one.ours_minor).bind(one.theirs_minor).bind(&one.evidence)
                .bind(at_us).bind(FIRST_ID)
                .execute(&mut *c).await?;
        }
        let gone = sqlx::query(VANISHED).bind(provider).bind(day).bind(at_us);
        let gone = gone.execute(&mut *c).await?.rows_affected();
        let all = sqlx::query_as(NOW).bind(provider).bind(at_us).fetch_all(&mut *c).await?;
        Ok((all, gone))
    })
}

/// Differences below an id, newest first; for a list of everything a person must look at.
///
/// # Errors
/// The database's.
pub async fn list(
    readers: &Readers,
    open_only: bool,
    before_id: i64,
    limit: i64,
) -> Result<Vec<Difference>, Error> {
    const ALL: &str = "SELECT * FROM difference WHERE id < $1 ORDER BY id DESC LIMIT $2";
    const OPEN: &str =
        "SELECT * FROM difference WHERE id < $1 AND resolution = '' ORDER BY id DESC LIMIT $2";
    let sql = if open_only { OPEN } else { ALL };
    on_engine!(readers, p => sqlx::query_as(sql).bind(before_id).bind(limit).fetch_all(p).await)
}

/// One difference, inside a job.
///
/// # Errors
/// The database's.
pub async fn get(conn: &mut Conn, id: i64) -> Result<Option<Difference>, Error> {
    on_engine!(conn, c => sqlx::query_as("SELECT * FROM difference WHERE id = $1").bind(id)
        .fetch_optional(&mut *c).await)
}

/// Keeps a person's explanation of an open difference, and nothing else: no money moves. Gives whether
/// it was open.
///
/// # Errors
/// The database's.
pub async fn note(
    conn: &mut Conn,
    id: i64,
    by: &str,
    note: &str,
    at_us: i64,
) -> Result<bool, Error> {
    const SQL: &str = "UPDATE difference SET resolution = 'noted', resolved_by = $2, note = $3, \
        resolved_at_us = $4 WHERE id = $1 AND resolution = ''";
    let changed = on_engine!(conn, c => sqlx::query(SQL)
        .bind(id).bind(by).bind(note).bind(at_us).execute(&mut *c).await?.rows_affected());
    Ok(changed == 1)
}
