//! Where people are paid: binds, unbinds and opens bindings, which are stored sealed.
//!
//! What decides about money ([`Payees::person`]) fails when a binding does not open; what only shows
//! people ([`Payees::of_people`]) goes on without it, so that one damaged row hides nobody else. Nothing
//! a binding says goes into a log or an error. Must not know: gRPC, providers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use cashout_common::actor::Actor;
use cashout_common::clock::Clock;
use cashout_common::db::Conn;
use cashout_common::random::Random;
use cashout_common::writer::{WriteError, Writer, database_failure};
use cashout_proto::{Failure, Reason};

use crate::domain::{Method, Payee};
use crate::sealing::{Keyring, Place, Unsealed};
use crate::store::Store;
use crate::store::holders::{HolderRow, touch};
use crate::store::lookups::Person;
use crate::store::payees::{PayeeRow, payee, put_payee, remove_payee};

/// Bindings of people.
#[derive(Debug, Clone)]
pub struct Payees {
    pub(super) store: Store,
    pub(super) writer: Writer,
    pub(super) sealer: Sealer,
    clock: Clock,
    cooling: Duration,
}

/// Turns bindings into stored rows and back.
#[derive(Debug, Clone)]
pub(super) struct Sealer {
    pub(super) keys: Keyring,
    random: Random,
}

impl Payees {
    /// Bindings in this store, sealed with these keys; a new one can be paid after `cooling`.
    #[must_use]
    pub fn new(
        store: Store,
        writer: Writer,
        keys: Keyring,
        random: Random,
        clock: Clock,
        cooling: Duration,
    ) -> Self {
        Self { store, writer, sealer: Sealer { keys, random }, clock, cooling }
    }

    /// Goes on only when every stored binding was sealed with a key that is here.
    ///
    /// # Errors
    /// When a key is missing, and when the database does not answer.
    pub async fn check_keys(&self) -> anyhow::Result<()> {
        let ours = self.sealer.keys.ids();
        let mut used = self.store.payee_key_ids().await?;
        used.retain(|id| !ours.contains(&id.as_str()));
        anyhow::ensure!(
            used.is_empty(),
            "ACCOUNT_PAYEE_KEY_FILES: payee bindings in the database are sealed with the key {}, and \
             only {} is here; add the file of the missing key (the development key is `payee-key` \
             beside the SQLite file)",
            used.join(", "),
            ours.join(", "),
        );
        Ok(())
    }

    /// Binds, replacing the binding of the same method. The same place for money again keeps the time
    /// of its binding, whatever else changed.
    ///
    /// # Errors
    /// `HOLDER_NOT_FOUND`, or that the database does not answer.
    pub async fn bind(&self, mut wanted: Payee, actor: Actor) -> Result<(), Failure> {
        wanted.bound_at_us = self.clock.now_us();
        let (user_id, method, sealer) = (wanted.user_id, wanted.method, self.sealer.clone());
        let bound = self
            .writer
            .write(move |conn| Box::pin(async move { bind(conn, &sealer, wanted).await }));
        let new = bound.await?;
        tracing::info!(user_id, ?method, %actor, new, "payee bound");
        Ok(())
    }

    /// Removes a binding, if there is one.
    ///
    /// # Errors
    /// `HOLDER_NOT_FOUND`, or that the database does not answer.
    pub async fn unbind(&self, user_id: i64, method: Method, actor: Actor) -> Result<(), Failure> {
        let now_us = self.clock.now_us();
        let unbound = self.writer.write(move |conn| {
            Box::pin(async move {
                touch(conn, user_id, now_us).await?;
                remove_payee(conn, user_id, method.number()).await
            })
        });
        unbound.await?;
        tracing::info!(user_id, ?method, %actor, "payee unbound");
        Ok(())
    }

    /// One person with their bindings, by method.
    ///
    /// # Errors
    /// When a binding does not open, or the database does not answer.
    pub async fn person(&self, user_id: i64) -> Result<Option<(HolderRow, Vec<Payee>)>, Failure> {
        let Some(person) = self.store.person(user_id).await? else { return Ok(None) };
        let (holder, rows) = &*person;
        let opened = rows.iter().map(|row| self.sealer.opened_or_told(row).map_err(failure));
        Ok(Some((holder.clone(), opened.collect::<Result<_, _>>()?)))
    }

    /// Several people with their bindings, by method. Who has one that does not open is left out: what is not
    /// known whole decides about no money, and [`Payees::person`] says why.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn people(&self, ids: &[i64]) -> Result<Vec<(HolderRow, Vec<Payee>)>, Failure> {
        let known = |person: Arc<Person>| {
            let (holder, rows) = &*person;
            let opened = rows.iter().map(|row| self.sealer.opened_or_told(row));
            Some((holder.clone(), opened.collect::<Result<_, _>>().ok()?))
        };
        Ok(self.store.people(ids).await?.into_iter().filter_map(known).collect())
    }

    /// Bindings of several people, each by method; one that does not open is left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn of_people(&self, ids: &[i64]) -> Result<HashMap<i64, Vec<Payee>>, Failure> {
        let rows = self.store.payees(ids).await.map_err(|e| database_failure(&e))?;
        let mut found: HashMap<i64, Vec<Payee>> = HashMap::new();
        for payee in rows.iter().filter_map(|row| self.sealer.opened_or_told(row).ok()) {
            found.entry(payee.user_id).or_default().push(payee);
        }
        Ok(found)
    }

    /// From when on a binding can be paid, UTC microseconds.
    #[must_use]
    pub fn payable_from_us(&self, payee: &Payee) -> i64 {
        payee.payable_from_us(self.cooling)
    }
}

/// Binds at the time that `wanted` carries; whether money goes to a new place.
async fn bind(conn: &mut Conn, sealer: &Sealer, wanted: Payee) -> Result<bool, WriteError> {
    let now_us = wanted.bound_at_us;
    touch(conn, wanted.user_id, now_us).await?;
    let stored = payee(conn, wanted.user_id, wanted.method.number()).await?;
    // One that does not open counts as another: then the new one has to wait.
    let before = stored.and_then(|row| sealer.opened_or_told(&row).ok());
    let bound = wanted.over(before.as_ref());
    put_payee(conn, &sealer.row(&bound).map_err(failure)?).await?;
    Ok(bound.bound_at_us == now_us)
}

/// What a caller hears; the log has the reason.
fn failure(_: Unsealed) -> Failure {
    Failure::new(Reason::Internal, "internal error")
}

impl Sealer {
    /// A binding as it is stored, sealed with the first key.
    pub(super) fn row(&self, payee: &Payee) -> Result<PayeeRow, Unsealed> {
        let method = payee.method.number();
        let place = Place { user_id: payee.user_id, method, bound_at_us: payee.bound_at_us };
        let seal = |field, text: &str| self.keys.seal(&place, field, text, &self.random);
        Ok(PayeeRow {
            user_id: payee.user_id,
            method,
            payee_id: seal("payee_id", &payee.payee_id)?,
            real_name: seal("real_name", &payee.real_name)?,
            mp_openid: seal("mp_openid", &payee.mp_openid)?,
            dev_openid: seal("dev_openid", &payee.dev_openid)?,
            min_openid: seal("min_openid", &payee.min_openid)?,
            nickname: seal("nickname", &payee.nickname)?,
            sex: payee.sex,
            bound_at: payee.bound_at_us,
            key_id: self.keys.sealing_id().to_owned(),
        })
    }

    /// A stored binding, opened; when it stays closed the log tells whose and why.
    pub(super) fn opened_or_told(&self, row: &PayeeRow) -> Result<Payee, Unsealed> {
        self.opened(row).inspect_err(|error| {
            let (user_id, method) = (row.user_id, row.method);
            tracing::error!(user_id, method, %error, "a payee binding does not open");
        })
    }

    fn opened(&self, row: &PayeeRow) -> Result<Payee, Unsealed> {
        let PayeeRow { user_id, method, sex, bound_at, key_id, .. } = row;
        let place = Place { user_id: *user_id, method: *method, bound_at_us: *bound_at };
        let open = |field, sealed: &[u8]| self.keys.open(key_id, &place, field, sealed);
        Ok(Payee {
            user_id: *user_id,
            method: Method::of(*method).ok_or(Unsealed::Broken)?,
            payee_id: open("payee_id", &row.payee_id)?,
            real_name: open("real_name", &row.real_name)?,
            mp_openid: open("mp_openid", &row.mp_openid)?,
            dev_openid: open("dev_openid", &row.dev_openid)?,
            min_openid: open("min_openid", &row.min_openid)?,
            nickname: open("nickname", &row.nickname)?,
            sex: *sex,
            bound_at_us: *bound_at,
        })
    }
}
