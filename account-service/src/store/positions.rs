//! Where a time or a cursor stands in a history: binary searches over dense sequences, whose times and
//! ids never go back. A day or a page deep in history is found like today's, and no index on time is
//! needed. What is found stays true: entries are only ever appended. Must not know: what is shown.

use cashout_common::db::Readers;
use cashout_common::on_engine;

type Read<T> = Result<T, sqlx::Error>;

/// A search over an account's sequences (its unique (account_id, seq)): the last one for which the
/// condition on `e` holds, 0 for none. It holds for the older ones and not for the newer.
macro_rules! last_seq {
    ($holds:literal) => {
        concat!(
            "WITH RECURSIVE s (lo, hi) AS (SELECT CAST(0 AS BIGINT), \
             COALESCE((SELECT MAX(seq) FROM entry WHERE account_id = $1), 0) UNION ALL \
             SELECT CASE WHEN ",
            $holds,
            " THEN e.seq ELSE s.lo END, CASE WHEN ",
            $holds,
            " THEN s.hi ELSE e.seq - 1 END \
             FROM s JOIN entry e ON e.account_id = $1 AND e.seq = (s.lo + s.hi + 1) / 2 \
             WHERE s.lo < s.hi) SELECT MAX(lo) FROM s WHERE lo >= hi"
        )
    };
}

const SEQ_BEFORE: &str = last_seq!("e.created_at < $2");
const SEQ_BELOW: &str = last_seq!("e.id < $2");

/// The same over the ids of the whole ledger.
const ID_BEFORE: &str = "WITH RECURSIVE s (lo, hi) AS ( \
    SELECT CAST(0 AS BIGINT), (SELECT last_entry_id FROM ledger_head WHERE id = 1) UNION ALL \
    SELECT CASE WHEN e.created_at < $1 THEN e.id ELSE s.lo END, \
      CASE WHEN e.created_at < $1 THEN s.hi ELSE e.id - 1 END \
    FROM s JOIN entry e ON e.id = (s.lo + s.hi + 1) / 2 WHERE s.lo < s.hi) \
    SELECT MAX(lo) FROM s WHERE lo >= hi";

const OWN: &str = "SELECT seq FROM entry WHERE id = $2 AND account_id = $1";
const LEFT: &str = "SELECT available_after, frozen_after, seq FROM entry \
    WHERE account_id = $1 AND seq = $2";

/// The sequence of an account's newest entry; 0 for none.
pub(super) async fn last_seq(readers: &Readers, account: i64) -> Read<i64> {
    const LAST: &str = "SELECT MAX(seq) FROM entry WHERE account_id = $1";
    let seq: Option<i64> = on_engine!(readers, p =>
        sqlx::query_scalar(LAST).bind(account).fetch_one(p).await?);
    Ok(seq.unwrap_or_default())
}

/// How many entries of an account are older than a time, which is the sequence of the last of them.
pub(super) async fn seq_before(readers: &Readers, account: i64, us: i64) -> Read<i64> {
    found(readers, SEQ_BEFORE, account, us).await
}

/// How many entries of the ledger are older than a time.
pub(super) async fn id_before(readers: &Readers, us: i64) -> Read<i64> {
    let id: Option<i64> = on_engine!(readers, p =>
        sqlx::query_scalar(ID_BEFORE).bind(us).fetch_one(p).await?);
    Ok(id.unwrap_or_default())
}

/// The sequence at which a page after a cursor begins, itself not on the page. A cursor is nearly
/// always an entry of the account; any other id stands between two of them.
pub(super) async fn of_cursor(
    readers: &Readers,
    account: i64,
    id: i64,
    oldest_first: bool,
) -> Read<i64> {
    let own: Option<i64> = on_engine!(readers, p =>
        sqlx::query_scalar(OWN).bind(account).bind(id).fetch_optional(p).await?);
    match own {
        Some(seq) => Ok(seq),
        None => {
            let below = found(readers, SEQ_BELOW, account, id).await?;
            Ok(if oldest_first { below } else { below + 1 })
        }
    }
}

/// Available, frozen and sequence after the entry at that sequence; zeros for none.
pub(super) async fn left_at(readers: &Readers, account: i64, seq: i64) -> Read<(i64, i64, i64)> {
    let left: Option<(i64, i64, i64)> = on_engine!(readers, p =>
        sqlx::query_as(LEFT).bind(account).bind(seq).fetch_optional(p).await?);
    Ok(left.unwrap_or_default())
}

async fn found(readers: &Readers, sql: &'static str, account: i64, bound: i64) -> Read<i64> {
    let seq: Option<i64> = on_engine!(readers, p =>
        sqlx::query_scalar(sql).bind(account).bind(bound).fetch_one(p).await?);
    Ok(seq.unwrap_or_default())
}
