//! Methods on the person behind accounts.

use cashout_common::actor::Actor;
use cashout_common::db::Conn;
use cashout_common::money::MAX_MINOR;
use cashout_common::text;
use cashout_common::writer::WriteError;
use cashout_proto::account::v1 as pb;
use cashout_proto::{Failure, Reason};
use futures::future::BoxFuture;

use super::parse::Fields;
use super::{Server, read_failure};
use crate::domain::payee::{needs_name, openid_rule, payee_id_rule};
use crate::domain::{Method, Payee};
use crate::store::holders::{HolderRow, Membership, set_membership, set_profile};

impl Server {
    pub(super) async fn get_holder(
        &self,
        request: pb::GetHolderRequest,
    ) -> Result<pb::Holder, Failure> {
        let mut f = Fields::default();
        let user_id = f.user("user_id", request.user_id);
        let user_id = f.finish(user_id)?;
        self.holder(user_id).await
    }

    pub(super) async fn batch_get_holders(
        &self,
        request: pb::BatchGetHoldersRequest,
    ) -> Result<pb::BatchGetHoldersResponse, Failure> {
        let mut f = Fields::default();
        if request.user_ids.len() > 1000 {
            f.broken("user_ids", "must be at most 1000");
        }
        let name = f.free("username", &request.username, 64);
        let name = f.finish(name)?;
        let found = self.store.holders(&request.user_ids, &name).await.map_err(read_failure)?;
        let ids: Vec<i64> = found.iter().map(|row| row.user_id).collect();
        let mut payees = self.payees.of_people(&ids).await?;
        let holder = |row: HolderRow| {
            let bound = payees.remove(&row.user_id).unwrap_or_default();
            self.wire(row, bound)
        };
        Ok(pb::BatchGetHoldersResponse { holders: found.into_iter().map(holder).collect() })
    }

    pub(super) async fn set_profile(
        &self,
        request: pb::SetProfileRequest,
    ) -> Result<pb::Holder, Failure> {
        let mut f = Fields::default();
        let user_id = f.user("user_id", request.user_id);
        let username = f.free("username", &request.username, 64);
        let mobile = request.mobile;
        if !mobile.is_empty()
            && let Err(rule) = text::mobile(&mobile)
        {
            f.broken("mobile", rule);
        }
        f.finish(())?;
        let now_us = self.clock.now_us();
        self.write_holder(user_id, move |conn| {
            Box::pin(async move { set_profile(conn, user_id, &username, &mobile, now_us).await })
        })
        .await
    }

    pub(super) async fn set_membership(
        &self,
        request: pb::SetMembershipRequest,
    ) -> Result<pb::Holder, Failure> {
        let mut f = Fields::default();
        let user_id = f.user("user_id", request.user_id);
        let wanted = request.membership.unwrap_or_default();
        let saved_minor = f.range("membership.saved_minor", wanted.saved_minor, 0, MAX_MINOR);
        if wanted.privileges.len() > 20 {
            f.broken("membership.privileges", "must be at most 20");
        }
        let mut privileges = Vec::new();
        for (i, privilege) in wanted.privileges.iter().take(20).enumerate() {
            let field = |name| format!("membership.privileges[{i}].{name}");
            let title = f.free(field("title"), &privilege.title, 64);
            if title.contains(',') {
                f.broken(field("title"), "must not contain a comma");
            }
            privileges.push((title, f.free(field("subtitle"), &privilege.subtitle, 64)));
        }
        f.finish(())?;
        let membership = Membership { is_member: wanted.is_member, privileges, saved_minor };
        let now_us = self.clock.now_us();
        self.write_holder(user_id, move |conn| {
            Box::pin(async move { set_membership(conn, user_id, &membership, now_us).await })
        })
        .await
    }

    pub(super) async fn bind_payee(
        &self,
        request: pb::BindPayeeRequest,
        actor: Actor,
    ) -> Result<pb::Holder, Failure> {
        let mut f = Fields::default();
        let user_id = f.user("user_id", request.user_id);
        let wanted = request.payee.unwrap_or_default();
        let payee = payee(&mut f, user_id, wanted);
        // No method is a broken rule already, so this cannot be reached without a payee.
        let payee = f.finish(payee)?.ok_or_else(|| Failure::field("payee.method", METHOD))?;
        self.payees.bind(payee, actor).await?;
        self.holder(user_id).await
    }

    pub(super) async fn unbind_payee(
        &self,
        request: pb::UnbindPayeeRequest,
        actor: Actor,
    ) -> Result<pb::Holder, Failure> {
        let mut f = Fields::default();
        let user_id = f.user("user_id", request.user_id);
        let method = method(&mut f, "method", request.method);
        let method = f.finish(method)?.ok_or_else(|| Failure::field("method", METHOD))?;
        self.payees.unbind(user_id, method, actor).await?;
        self.holder(user_id).await
    }

    /// Runs a write and answers the holder as it is after it.
    async fn write_holder<F>(&self, user_id: i64, job: F) -> Result<pb::Holder, Failure>
    where
        F: for<'c> FnOnce(&'c mut Conn) -> Job<'c> + Send + 'static,
    {
        self.writer.write(job).await?;
        self.holder(user_id).await
    }

    async fn holder(&self, user_id: i64) -> Result<pb::Holder, Failure> {
        let missing = || Failure::new(Reason::HolderNotFound, "there is no such person");
        self.known_holder(user_id).await?.ok_or_else(missing)
    }

    /// A person with their payees; `None` when nobody is known under that id.
    pub(super) async fn known_holder(&self, user_id: i64) -> Result<Option<pb::Holder>, Failure> {
        let found = self.payees.person(user_id).await?;
        Ok(found.map(|(row, payees)| self.wire(row, payees)))
    }

    pub(super) fn wire(&self, row: HolderRow, payees: Vec<Payee>) -> pb::Holder {
        let privileges: Vec<(String, String)> =
            serde_json::from_str(&row.privileges).unwrap_or_default();
        let privilege = |(title, subtitle)| pb::Privilege { title, subtitle };
        let payee = |p: Payee| pb::Payee {
            payable_from_us: self.payees.payable_from_us(&p),
            method: i32::try_from(p.method.number()).unwrap_or_default(),
            payee_id: p.payee_id,
            real_name: p.real_name,
            mp_openid: p.mp_openid,
            dev_openid: p.dev_openid,
            min_openid: p.min_openid,
            nickname: p.nickname,
            sex: i32::try_from(p.sex).unwrap_or_default(),
            bound_at_us: p.bound_at_us,
        };
        pb::Holder {
            user_id: row.user_id,
            username: row.username,
            mobile: row.mobile,
            membership: Some(pb::Membership {
                is_member: row.is_member != 0,
                privileges: privileges.into_iter().map(privilege).collect(),
                saved_minor: row.saved_minor,
            }),
            payees: payees.into_iter().map(payee).collect(),
            created_at_us: row.created_at,
            updated_at_us: row.updated_at,
        }
    }
}

type Job<'c> = BoxFuture<'c, Result<(), WriteError>>;

const METHOD: &str = "must be WECHAT or ALIPAY";

fn method(f: &mut Fields, field: &str, number: i32) -> Option<Method> {
    let method = Method::of(i64::from(number));
    if method.is_none() {
        f.broken(field, METHOD);
    }
    method
}

/// A binding as asked for; its time is the service's to set.
fn payee(f: &mut Fields, user_id: i64, wanted: pb::Payee) -> Option<Payee> {
    let method = method(f, "payee.method", wanted.method);
    let real_name = f.free("payee.real_name", &wanted.real_name, 64);
    let nickname = f.free("payee.nickname", &wanted.nickname, 64);
    let sex = f.range("payee.sex", i64::from(wanted.sex), 0, 2);
    // Without a method there is no rule for the id but the general one.
    let rule = match method {
        Some(method) => payee_id_rule(method, &wanted.payee_id),
        None => wanted.payee_id.is_empty().then_some("must not be empty"),
    };
    let openids = [
        ("payee.mp_openid", &wanted.mp_openid),
        ("payee.dev_openid", &wanted.dev_openid),
        ("payee.min_openid", &wanted.min_openid),
    ];
    let broken = openids.into_iter().map(|(field, id)| (field, openid_rule(id, true)));
    for (field, rule) in std::iter::once(("payee.payee_id", rule)).chain(broken) {
        if let Some(rule) = rule {
            f.broken(field, rule);
        }
    }
    let method = method?;
    if real_name.trim().is_empty() && needs_name(method, &wanted.payee_id) {
        f.broken("payee.real_name", "must go with an e-mail address or mobile number");
    }
    let pb::Payee { payee_id, mp_openid, dev_openid, min_openid, .. } = wanted;
    let bound_at_us = 0;
    Some(Payee {
        user_id,
        method,
        payee_id,
        real_name,
        mp_openid,
        dev_openid,
        min_openid,
        nickname,
        sex,
        bound_at_us,
    })
}
