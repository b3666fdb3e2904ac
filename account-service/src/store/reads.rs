//! Reading accounts, holds and entries: always what is committed, never the poster's cache.

use std::collections::HashMap;

use cashout_common::db::{Engine, Snapshot};
use cashout_common::on_engine;
use sqlx::FromRow;

use super::lookups::{apart, by_person};
use super::rows::{AccountRow, EntryRow, HoldRow, account_columns, entry_select, hold_columns};
use super::{Store, fetch_list};
use crate::domain::{Account, Entry, Hold, Which};

/// An account, and what is read at the same moment.
#[derive(Debug, Clone)]
pub struct AccountView {
    /// The account.
    pub account: Account,
    /// Its open holds, oldest first; only when asked for.
    pub open_holds: Vec<Hold>,
    /// The next scheduled release: when, and how much at that time; zeros for none.
    pub next_release: (i64, i64),
}

const BY_ID: &str = concat!(
    "SELECT ",
    account_columns!(),
    " FROM account_now a WHERE a.id = $1 AND a.user_id IS NOT NULL"
);
const BY_PERSON: &str = concat!(
    "SELECT ",
    account_columns!(),
    " FROM account_now a WHERE a.user_id = $1 AND a.currency = $2"
);
/// Accounts `a` of a source, each with its next scheduled release, in one statement and so of one moment.
macro_rules! view_sql {
    ($source:literal) => {
        concat!(
            "SELECT ",
            $crate::store::rows::account_columns!(),
            ", COALESCE((SELECT MIN(h.due_at) FROM hold h WHERE h.account_id = a.id \
             AND h.due_at IS NOT NULL), 0) AS release_at, \
             COALESCE((SELECT CAST(SUM(h.amount) AS BIGINT) FROM hold h WHERE h.account_id = a.id \
             AND h.due_at = (SELECT MIN(m.due_at) FROM hold m WHERE m.account_id = a.id \
             AND m.due_at IS NOT NULL)), 0) \
             AS release_amount FROM ",
            $source,
            " a"
        )
    };
}
pub(super) use view_sql;
const VIEW_BY_ID: &str =
    concat!(view_sql!("account_now"), " WHERE a.id = $1 AND a.user_id IS NOT NULL");
const VIEW_BY_PERSON: &str =
    concat!(view_sql!("account_now"), " WHERE a.user_id = $1 AND a.currency = $2");
const OPEN_HOLDS: &str = concat!(
    "SELECT ",
    hold_columns!(),
    " FROM hold h WHERE h.account_id = $1 AND h.state = 1 ORDER BY h.id LIMIT 1000"
);
const HOLD: &str = concat!("SELECT ", hold_columns!(), " FROM hold h WHERE h.key = $1");
const HOLDS: &str = concat!(
    "SELECT ",
    hold_columns!(),
    " FROM hold h WHERE h.account_id = $1 AND h.id < $2 AND (h.state = 1 OR NOT $3) ",
    "ORDER BY h.id DESC LIMIT $4"
);
/// Uses hold_due.
const DUE: &str = concat!(
    "SELECT ",
    hold_columns!(),
    " FROM hold h WHERE h.due_at <= $1 AND h.state = 1 ORDER BY h.due_at LIMIT $2"
);
const NEXT_DUE: &str = "SELECT MIN(due_at) FROM hold WHERE due_at IS NOT NULL";
const ENTRY: &str = concat!(entry_select!(), "WHERE e.id = $1");
const ENTRIES_AFTER: &str =
    concat!(entry_select!(), "WHERE e.id > $1 AND e.id <= $1 + $2 ORDER BY e.id");
const LAST_ENTRY_ID: &str = "SELECT last_entry_id FROM ledger_head WHERE id = 1";

type Read<T> = Result<T, sqlx::Error>;

/// The row of an account's view, by whichever name the account goes.
macro_rules! view_of {
    ($which:expr, $on:expr) => {{
        let row: Option<ViewRow> = match $which {
            Which::Id(id) => sqlx::query_as(VIEW_BY_ID).bind(id).fetch_optional($on).await?,
            Which::Person(user, currency) => {
                let query = sqlx::query_as(VIEW_BY_PERSON).bind(user).bind(currency.code());
                query.fetch_optional($on).await?
            }
        };
        row
    }};
}

impl Store {
    /// One account of a person.
    ///
    /// # Errors
    /// When the database does not answer; so for every read here.
    pub async fn account(&self, which: &Which) -> Read<Option<Account>> {
        let row: Option<AccountRow> = on_engine!(self.database().readers(), p => match which {
            Which::Id(id) => sqlx::query_as(BY_ID).bind(id).fetch_optional(p).await?,
            Which::Person(user, currency) => {
                sqlx::query_as(BY_PERSON).bind(user).bind(currency.code()).fetch_optional(p).await?
            }
        });
        Ok(row.map(Account::from))
    }

    /// One account with its next release and, if asked for, its open holds, all of one moment.
    pub async fn account_view(&self, which: &Which, with_holds: bool) -> Read<Option<AccountView>> {
        if !with_holds {
            let row = on_engine!(self.database().readers(), p => view_of!(which, p));
            return Ok(row.map(|row| row.into_view(vec![])));
        }
        let mut snapshot = self.database().snapshot().await?;
        let found = with_open_holds(&mut snapshot, which).await;
        on_engine!(snapshot, tx => tx.rollback().await?);
        found
    }

    /// Accounts by id and by person; those that do not exist are left out, and of persons there may be more
    /// than were asked for, in other currencies.
    pub(super) async fn accounts_of(&self, wanted: &[Which]) -> Read<HashMap<Which, Account>> {
        let (ids, (people, _)) = apart(wanted);
        let readers = self.database().readers();
        let rows: Vec<AccountRow> = fetch_list!(readers, p => p, AccountRow,
            concat!("SELECT ", account_columns!(), " FROM account_now a WHERE a.user_id IS NOT NULL AND a.id"), &ids)?;
        let mut found: HashMap<Which, Account> =
            rows.into_iter().map(Account::from).map(|a| (Which::Id(a.id), a)).collect();
        let rows: Vec<AccountRow> = fetch_list!(readers, p => p, AccountRow,
            concat!("SELECT ", account_columns!(), " FROM account_now a WHERE a.user_id"), &people)?;
        found.extend(rows.into_iter().map(Account::from).map(|a| (by_person(&a), a)));
        Ok(found)
    }

    /// One hold by key, and its account.
    pub async fn hold(&self, key: &str) -> Read<Option<(Hold, Account)>> {
        let row: Option<HoldRow> = on_engine!(self.database().readers(), p => sqlx::query_as(HOLD).bind(key).fetch_optional(p).await?);
        let Some(hold) = row.map(Hold::from) else { return Ok(None) };
        let account = self.account(&Which::Id(hold.account_id)).await?;
        Ok(account.map(|account| (hold, account)))
    }

    /// Holds of one account with a smaller id, newest first.
    pub async fn holds(
        &self,
        account_id: i64,
        before_id: i64,
        open_only: bool,
        limit: i64,
    ) -> Read<Vec<Hold>> {
        let rows: Vec<HoldRow> = on_engine!(self.database().readers(), p => sqlx::query_as(HOLDS)
            .bind(account_id).bind(before_id).bind(open_only).bind(limit).fetch_all(p).await?);
        Ok(rows.into_iter().map(Hold::from).collect())
    }

    /// Holds that are to be released by `now_us`, oldest first.
    pub async fn due_holds(&self, now_us: i64, limit: i64) -> Read<Vec<Hold>> {
        let rows: Vec<HoldRow> = on_engine!(self.database().readers(), p => sqlx::query_as(DUE).bind(now_us).bind(limit).fetch_all(p).await?);
        Ok(rows.into_iter().map(Hold::from).collect())
    }

    /// When the next hold is to be released.
    pub async fn next_due_us(&self) -> Read<Option<i64>> {
        on_engine!(self.database().readers(), p => sqlx::query_scalar(NEXT_DUE).fetch_one(p).await)
    }

    /// One entry by id.
    pub async fn entry(&self, id: i64) -> Read<Option<Entry>> {
        let row: Option<EntryRow> = on_engine!(self.database().readers(), p => sqlx::query_as(ENTRY).bind(id).fetch_optional(p).await?);
        Ok(row.map(Entry::from))
    }

    /// Entries of the whole ledger after an id, oldest first.
    pub async fn entries_after(&self, id: i64, limit: i64) -> Read<Vec<Entry>> {
        let rows: Vec<EntryRow> = on_engine!(self.database().readers(), p => sqlx::query_as(ENTRIES_AFTER).bind(id).bind(limit).fetch_all(p).await?);
        Ok(rows.into_iter().map(Entry::from).collect())
    }

    /// Id of the newest entry.
    pub async fn last_entry_id(&self) -> Read<i64> {
        on_engine!(self.database().readers(), p => sqlx::query_scalar(LAST_ENTRY_ID).fetch_one(p).await)
    }

    /// Whether the database is PostgreSQL, where other instances may write too.
    #[must_use]
    pub fn shared(&self) -> bool {
        matches!(self.database().readers(), Engine::Postgres(_))
    }
}

async fn with_open_holds(snapshot: &mut Snapshot, which: &Which) -> Read<Option<AccountView>> {
    let row = on_engine!(&mut *snapshot, tx => view_of!(which, &mut **tx));
    let Some(row) = row else { return Ok(None) };
    let holds: Vec<HoldRow> = on_engine!(&mut *snapshot, tx =>
        sqlx::query_as(OPEN_HOLDS).bind(row.account.id).fetch_all(&mut **tx).await?);
    Ok(Some(row.into_view(holds.into_iter().map(Hold::from).collect())))
}

/// A row of [`VIEW_BY_ID`] or [`VIEW_BY_PERSON`].
#[derive(Debug, FromRow)]
pub(super) struct ViewRow {
    #[sqlx(flatten)]
    account: AccountRow,
    release_at: i64,
    release_amount: i64,
}

impl ViewRow {
    pub(super) fn into_view(self, open_holds: Vec<Hold>) -> AccountView {
        let next_release = (self.release_at, self.release_amount);
        AccountView { account: Account::from(self.account), open_holds, next_release }
    }
}
