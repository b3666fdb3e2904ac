//! What every cash-out and every look at a balance asks for: accounts and persons. On PostgreSQL those
//! who ask at the same time share a statement.
//!
//! Must not know: who asks.

use std::collections::HashMap;
use std::sync::Arc;

use cashout_common::db::{Conn, Engine};
use cashout_common::gather::Rows;
use cashout_common::writer::database_failure;
use cashout_proto::Failure;
use sqlx::Error;

use super::holders::HolderRow;
use super::payees::PayeeRow;
use super::reads::{AccountView, ViewRow, view_sql};
use super::rows::{AccountRow, account_columns};
use super::{Store, fetch_list, holders, payees};
use crate::domain::{Account, Which};

/// A person and their bindings as stored, by method.
pub type Person = (HolderRow, Vec<PayeeRow>);

/// Accounts with their next release, without their holds.
#[derive(Debug)]
pub(super) struct Views;

/// Accounts by themselves.
#[derive(Debug)]
pub(super) struct Accounts;

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

    /// Accounts by id and by person, in the order of the names; those that do not exist are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts(&self, wanted: &[Which]) -> Result<Vec<Account>, Failure> {
        let found = match &self.accounts {
            Some(accounts) => accounts.find_all(wanted.to_vec()).await?,
            None => self.accounts_of(wanted).await.map_err(|e| database_failure(&e))?,
        };
        Ok(wanted.iter().filter_map(|which| found.get(which).cloned()).collect())
    }

    /// One person and their bindings, by method.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn person(&self, user_id: i64) -> Result<Option<Arc<Person>>, Failure> {
        match &self.people {
            Some(people) => people.find(user_id).await,
            None => Ok(self.people(&[user_id]).await?.pop()),
        }
    }

    /// Several persons and their bindings, by method; those nobody knows are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn people(&self, ids: &[i64]) -> Result<Vec<Arc<Person>>, Failure> {
        let found = match &self.people {
            Some(people) => people.find_all(ids.to_vec()).await?,
            None => {
                let persons = self.holders(ids, "").await.map_err(|e| database_failure(&e))?;
                let rows = self.payees(ids).await.map_err(|e| database_failure(&e))?;
                together(persons, rows)
            }
        };
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }
}

/// Persons, each with their bindings.
fn together(persons: Vec<HolderRow>, rows: Vec<PayeeRow>) -> HashMap<i64, Arc<Person>> {
    let mut bound: HashMap<i64, Vec<PayeeRow>> = HashMap::new();
    for row in rows {
        bound.entry(row.user_id).or_default().push(row);
    }
    let whole = |person: HolderRow| {
        let mut payees = bound.remove(&person.user_id).unwrap_or_default();
        payees.sort_by_key(|row| row.method);
        (person.user_id, Arc::new((person, payees)))
    };
    persons.into_iter().map(whole).collect()
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

const ACCOUNTS_BY_ID: &str = concat!(
    "SELECT ",
    account_columns!(),
    " FROM unnest($1::bigint[]) AS d (id) CROSS JOIN LATERAL \
     (SELECT * FROM account_now n WHERE n.id = d.id AND n.user_id IS NOT NULL OFFSET 0) a"
);
const ACCOUNTS_BY_PERSON: &str = concat!(
    "SELECT ",
    account_columns!(),
    " FROM unnest($1::bigint[], $2::text[]) AS d (user_id, currency) CROSS JOIN LATERAL \
     (SELECT * FROM account_now n WHERE n.user_id = d.user_id AND n.currency = d.currency OFFSET 0) a"
);

/// Names of accounts by how PostgreSQL takes them: ids, and persons with their currencies.
pub(super) fn apart(keys: &[Which]) -> (Vec<i64>, (Vec<i64>, Vec<&str>)) {
    let ids = keys.iter().filter_map(|which| match which {
        Which::Id(id) => Some(*id),
        Which::Person(..) => None,
    });
    let people = keys.iter().filter_map(|which| match which {
        Which::Person(user_id, currency) => Some((*user_id, currency.code())),
        Which::Id(_) => None,
    });
    (ids.collect(), people.unzip())
}

/// The name of an account by its owner.
pub(super) fn by_person(account: &Account) -> Which {
    Which::Person(account.user_id(), account.currency)
}

impl Rows for Accounts {
    type Key = Which;
    type Row = Account;

    async fn read(conn: &mut Conn, keys: &[Which]) -> Result<HashMap<Which, Account>, Error> {
        let Engine::Postgres(c) = conn else { return Ok(HashMap::new()) };
        let (ids, (people, currencies)) = apart(keys);
        let mut found = HashMap::with_capacity(keys.len());
        if !ids.is_empty() {
            let query = sqlx::query_as(ACCOUNTS_BY_ID).bind(ids);
            let rows: Vec<AccountRow> = query.fetch_all(&mut *c).await?;
            let accounts = rows.into_iter().map(Account::from);
            found.extend(accounts.map(|account| (Which::Id(account.id), account)));
        }
        if !people.is_empty() {
            let query = sqlx::query_as(ACCOUNTS_BY_PERSON).bind(people).bind(currencies);
            let rows: Vec<AccountRow> = query.fetch_all(&mut *c).await?;
            let accounts = rows.into_iter().map(Account::from);
            found.extend(accounts.map(|account| (by_person(&account), account)));
        }
        Ok(found)
    }
}

impl Rows for Views {
    type Key = Which;
    type Row = AccountView;

    async fn read(conn: &mut Conn, keys: &[Which]) -> Result<HashMap<Which, AccountView>, Error> {
        let Engine::Postgres(c) = conn else { return Ok(HashMap::new()) };
        let (ids, (people, currencies)) = apart(keys);
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
            found.extend(views.map(|view| (by_person(&view.account), view)));
        }
        Ok(found)
    }
}

impl Rows for People {
    type Key = i64;
    type Row = Arc<Person>;

    async fn read(conn: &mut Conn, ids: &[i64]) -> Result<HashMap<i64, Self::Row>, Error> {
        let persons =
            fetch_list!(&mut *conn, c => &mut *c, HolderRow, holders::of!("user_id"), ids)?;
        let rows = fetch_list!(conn, c => &mut *c, PayeeRow, payees::select!("user_id"), ids)?;
        Ok(together(persons, rows))
    }
}
