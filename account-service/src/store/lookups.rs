//! What every cash-out and every look at a balance asks for: one account, one person. On PostgreSQL those
//! who ask at the same time share a statement.
//!
//! Must not know: who asks.

use std::collections::HashMap;

use cashout_common::db::{Conn, Engine};
use cashout_common::gather::Rows;
use cashout_common::writer::database_failure;
use cashout_proto::Failure;
use sqlx::Error;

use super::holders::HolderRow;
use super::payees::PayeeRow;
use super::reads::{AccountView, ViewRow, view_sql};
use super::{Store, fetch_list, holders, payees};
use crate::domain::Which;

/// Accounts with their next release, without their holds.
#[derive(Debug)]
pub(super) struct Views;

/// Persons with their bindings as stored, by method.
#[derive(Debug)]
pub(super) struct People;

impl Store {
    /// One account with its next release.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn view(&self, which: &Which) -> Result<Option<AccountView>, Failure> {
        match &self.views {
            Some(views) => views.find(*which).await,
            None => self.account_view(which, false).await.map_err(|e| database_failure(&e)),
        }
    }

    /// One person and their bindings, by method.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn person(
        &self,
        user_id: i64,
    ) -> Result<Option<(HolderRow, Vec<PayeeRow>)>, Failure> {
        let found = match &self.people {
            Some(people) => return people.find(user_id).await,
            None => self.holders(&[user_id], "").await,
        };
        let found = found.map_err(|e| database_failure(&e))?;
        let Some(holder) = found.into_iter().next() else { return Ok(None) };
        let bound = self.payees_of(user_id).await.map_err(|e| database_failure(&e))?;
        Ok(Some((holder, bound)))
    }
}

/// Looked up one by one: no plan can read more than the accounts that are asked for.
const VIEWS_BY_ID: &str = view_sql!(
    "unnest($1::bigint[]) AS d (id) CROSS JOIN LATERAL \
     (SELECT * FROM account_now n WHERE n.id = d.id AND n.user_id IS NOT NULL OFFSET 0)"
);
const VIEWS_BY_PERSON: &str = view_sql!(
    "unnest($1::bigint[], $2::text[]) AS d (user_id, currency) CROSS JOIN LATERAL \
     (SELECT * FROM account_now n WHERE n.user_id = d.user_id AND n.currency = d.currency OFFSET 0)"
);

impl Rows for Views {
    type Key = Which;
    type Row = AccountView;

    async fn read(conn: &mut Conn, keys: &[Which]) -> Result<HashMap<Which, AccountView>, Error> {
        let Engine::Postgres(c) = conn else { return Ok(HashMap::new()) };
        let ids = keys.iter().filter_map(|which| match which {
            Which::Id(id) => Some(*id),
            Which::Person(..) => None,
        });
        let ids: Vec<i64> = ids.collect();
        let people = keys.iter().filter_map(|which| match which {
            Which::Person(user_id, currency) => Some((*user_id, currency.code())),
            Which::Id(_) => None,
        });
        let (people, currencies): (Vec<i64>, Vec<&str>) = people.unzip();
        let mut found = HashMap::with_capacity(keys.len());
        if !ids.is_empty() {
            let rows: Vec<ViewRow> =
                sqlx::query_as(VIEWS_BY_ID).bind(ids).fetch_all(&mut *c).await?;
            let views = rows.into_iter().map(|row| row.into_view(vec![]));
            found.extend(views.map(|view| (Which::Id(view.account.id), view)));
        }
        if !people.is_empty() {
            let query = sqlx::query_as(VIEWS_BY_PERSON).bind(people).bind(currencies);
            let rows: Vec<ViewRow> = query.fetch_all(&mut *c).await?;
            let views = rows.into_iter().map(|row| row.into_view(vec![]));
            found.extend(views.map(|view| {
                let account = &view.account;
                (Which::Person(account.user_id(), account.currency), view)
            }));
        }
        Ok(found)
    }
}

impl Rows for People {
    type Key = i64;
    type Row = (HolderRow, Vec<PayeeRow>);

    async fn read(conn: &mut Conn, ids: &[i64]) -> Result<HashMap<i64, Self::Row>, Error> {
        let persons =
            fetch_list!(&mut *conn, c => &mut *c, HolderRow, holders::of!("user_id"), ids)?;
        let mut bound: HashMap<i64, Vec<PayeeRow>> = HashMap::new();
        for row in fetch_list!(conn, c => &mut *c, PayeeRow, payees::select!("user_id"), ids)? {
            bound.entry(row.user_id).or_default().push(row);
        }
        Ok(persons
            .into_iter()
            .map(|person| {
                let mut payees = bound.remove(&person.user_id).unwrap_or_default();
                payees.sort_by_key(|row| row.method);
                (person.user_id, (person, payees))
            })
            .collect())
    }
}
