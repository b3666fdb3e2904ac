//! Rows as PostgreSQL's own row types have them: all columns of a table, in its order. An array of them is one
//! parameter, and PostgreSQL makes one list of it; of an array per column it makes one each.
//!
//! Must not know: statements.

use sqlx::Postgres;
use sqlx::postgres::{PgHasArrayType, PgTypeInfo};

use super::rows::{facts_text, state_number};
use super::write::owner;
use crate::domain::{Account, Entry, Hold};

/// A row type and arrays of it, by the name of its table.
macro_rules! named {
    ($($type:ident $table:literal)*) => {$(
        impl sqlx::Type<Postgres> for $type<'_> {
            fn type_info() -> PgTypeInfo {
                PgTypeInfo::with_name($table)
            }
        }

        impl PgHasArrayType for $type<'_> {
            fn array_type_info() -> PgTypeInfo {
                PgTypeInfo::array_of($table)
            }
        }
    )*};
}
named! { AccountTuple "account" EntryTuple "entry" HoldTuple "hold" }

/// A row of the table `account`.
#[derive(sqlx::Encode)]
pub(super) struct AccountTuple<'a> {
    id: i64,
    user_id: Option<i64>,
    counter: Option<&'a str>,
    currency: &'a str,
    overdraft_limit: i64,
    locked_at: i64,
    created_at: i64,
    updated_at: i64,
}

impl<'a> From<&'a Account> for AccountTuple<'a> {
    fn from(a: &'a Account) -> Self {
        let (user_id, counter) = owner(a);
        Self {
            id: a.id,
            user_id,
            counter,
            currency: a.currency.code(),
            overdraft_limit: a.overdraft_limit,
            locked_at: a.locked_at,
            created_at: a.created_at,
            updated_at: a.updated_at,
        }
    }
}

/// A row of the table `entry`.
#[derive(sqlx::Encode)]
pub(super) struct EntryTuple<'e> {
    id: i64,
    account_id: i64,
    seq: i64,
    transfer_id: i64,
    key: Option<&'e str>,
    digest: Option<&'e [u8]>,
    kind: i64,
    available_delta: i64,
    frozen_delta: i64,
    available_after: i64,
    frozen_after: i64,
    income_total: i64,
    withdrawn_total: i64,
    last_income_at: i64,
    overdraft_limit: Option<i64>,
    counter_id: Option<i64>,
    counter_after: Option<i64>,
    hold_id: Option<i64>,
    facts: Option<String>,
    created_at: i64,
    hash: &'e [u8],
}

impl<'e> EntryTuple<'e> {
    /// With the balance that it tells of its counter-account, if it does.
    pub(super) fn of(e: &'e Entry, counter_after: Option<i64>) -> Self {
        Self {
            id: e.id,
            account_id: e.account_id,
            seq: e.seq,
            transfer_id: e.transfer_id,
            key: e.key.as_ref().map(|(key, _)| &**key),
            digest: e.key.as_ref().map(|(_, digest)| &digest[..]),
            kind: e.kind.row().number.into(),
            available_delta: e.available_delta,
            frozen_delta: e.frozen_delta,
            available_after: e.available_after,
            frozen_after: e.frozen_after,
            income_total: e.income_total,
            withdrawn_total: e.withdrawn_total,
            last_income_at: e.last_income_at,
            overdraft_limit: (e.overdraft_limit != 0).then_some(e.overdraft_limit),
            counter_id: e.side.account_id(),
            counter_after,
            hold_id: e.hold.as_ref().map(|(id, _)| *id),
            facts: facts_text(&e.facts),
            created_at: e.created_at,
            hash: &e.hash,
        }
    }
}

/// A row of the table `hold`.
#[derive(sqlx::Encode)]
pub(super) struct HoldTuple<'h> {
    id: i64,
    key: &'h str,
    account_id: i64,
    amount: i64,
    kind: i64,
    state: i64,
    settled: i64,
    released: i64,
    release_at: i64,
    created_at: i64,
    ended_at: i64,
    due_at: Option<i64>,
}

impl<'h> From<&'h Hold> for HoldTuple<'h> {
    fn from(h: &'h Hold) -> Self {
        Self {
            id: h.id,
            key: &h.key,
            account_id: h.account_id,
            amount: h.amount,
            kind: h.kind.row().number.into(),
            state: state_number(h.state),
            settled: h.settled,
            released: h.released,
            release_at: h.release_at,
            created_at: h.created_at,
            ended_at: h.ended_at,
            due_at: h.due_at(),
        }
    }
}

#[cfg(test)]
mod tests {
    use cashout_common::db::Engine;
    use serde_json::{Value, json};
    use sqlx::postgres::PgBindIterExt;
    use sqlx::{Encode, Type};

    use super::*;
    use crate::store::Store;

    /// A row, by the names of its columns, as PostgreSQL understands it.
    async fn understood<R>(store: &Store, sql: &'static str, row: R) -> anyhow::Result<Value>
    where
        R: for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType,
    {
        let Engine::Postgres(readers) = store.database().readers() else { anyhow::bail!("SQLite") };
        let mut arguments = sqlx::postgres::PgArguments::default();
        sqlx::Arguments::add(&mut arguments, [row].iter().bind_iter())
            .map_err(sqlx::Error::Encode)?;
        let text: String = sqlx::query_scalar_with(sql, arguments).fetch_one(readers).await?;
        Ok(serde_json::from_str(&text)?)
    }

    #[tokio::test]
    async fn a_row_has_the_columns_of_its_table_in_their_order() -> anyhow::Result<()> {
        let Some(database) = cashout_testing::postgres("tuples").await? else { return Ok(()) };
        let store = Store::open(&database.url).await?;
        let account = AccountTuple {
            id: 1,
            user_id: Some(2),
            counter: Some("c"),
            currency: "CNY",
            overdraft_limit: 4,
            locked_at: 5,
            created_at: 6,
            updated_at: 7,
        };
        assert_eq!(
            understood(&store, "SELECT to_json(d)::text FROM unnest($1::account[]) d", account)
                .await?,
            json!({"id": 1, "user_id": 2, "counter": "c", "currency": "CNY",
                "overdraft_limit": 4, "locked_at": 5, "created_at": 6, "updated_at": 7})
        );
        let entry = EntryTuple {
            id: 1,
            account_id: 2,
            seq: 3,
            transfer_id: 4,
            key: Some("k"),
            digest: Some(&[5]),
            kind: 6,
            available_delta: 7,
            frozen_delta: 8,
            available_after: 9,
            frozen_after: 10,
            income_total: 11,
            withdrawn_total: 12,
            last_income_at: 13,
            overdraft_limit: Some(14),
            counter_id: Some(15),
            counter_after: Some(19),
            hold_id: Some(16),
            facts: Some("f".to_owned()),
            created_at: 17,
            hash: &[18],
        };
        assert_eq!(
            understood(&store, "SELECT to_json(d)::text FROM unnest($1::entry[]) d", entry).await?,
            json!({"id": 1, "account_id": 2, "seq": 3, "transfer_id": 4, "key": "k",
                "digest": "\\x05", "kind": 6, "available_delta": 7, "frozen_delta": 8,
                "available_after": 9, "frozen_after": 10, "income_total": 11,
                "withdrawn_total": 12, "last_income_at": 13, "overdraft_limit": 14,
                "counter_id": 15, "counter_after": 19, "hold_id": 16, "facts": "f", "created_at": 17, "hash": "\\x12"})
        );
        let hold = HoldTuple {
            id: 1,
            key: "k",
            account_id: 2,
            amount: 3,
            kind: 4,
            state: 5,
            settled: 6,
            released: 7,
            release_at: 8,
            created_at: 9,
            ended_at: 10,
            due_at: Some(11),
        };
        assert_eq!(
            understood(&store, "SELECT to_json(d)::text FROM unnest($1::hold[]) d", hold).await?,
            json!({"id": 1, "key": "k", "account_id": 2, "amount": 3, "kind": 4, "state": 5,
                "settled": 6, "released": 7, "release_at": 8, "created_at": 9, "ended_at": 10,
                "due_at": 11})
        );
        store.database().close().await;
        Ok(())
    }
}
