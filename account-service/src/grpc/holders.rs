//! Methods on the person behind accounts.

use cashout_common::db::Conn;
use cashout_common::money::MAX_MINOR;
use cashout_common::text;
use cashout_common::writer::WriteError;
use cashout_proto::account::v1 as pb;
use cashout_proto::{Failure, Reason};
use futures::future::BoxFuture;

use super::parse::Fields;
use super::{Server, read_failure};
use crate::store::holders::{
    HolderRow, Membership, PayeeRow, bind_payee, set_membership, set_profile, unbind_payee,
};

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
        Ok(pb::BatchGetHoldersResponse { holders: found.into_iter().map(wire).collect() })
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
            let title = f.free(&field("title"), &privilege.title, 64);
            if title.contains(',') {
                f.broken(&field("title"), "must not contain a comma");
            }
            privileges.push((title, f.free(&field("subtitle"), &privilege.subtitle, 64)));
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
    ) -> Result<pb::Holder, Failure> {
        let mut f = Fields::default();
        let user_id = f.user("user_id", request.user_id);
        let wanted = request.payee.unwrap_or_default();
        let row = PayeeRow {
            user_id,
            method: method(&mut f, "payee.method", wanted.method),
            payee_id: f.key("payee.payee_id", &wanted.payee_id).to_string(),
            real_name: f.free("payee.real_name", &wanted.real_name, 64),
            mp_openid: f.free("payee.mp_openid", &wanted.mp_openid, 128),
            dev_openid: f.free("payee.dev_openid", &wanted.dev_openid, 128),
            min_openid: f.free("payee.min_openid", &wanted.min_openid, 128),
            nickname: f.free("payee.nickname", &wanted.nickname, 64),
            sex: f.range("payee.sex", i64::from(wanted.sex), 0, 2),
            bound_at: self.clock.now_us(),
        };
        f.finish(())?;
        self.write_holder(user_id, move |conn| {
            Box::pin(async move { bind_payee(conn, &row).await })
        })
        .await
    }

    pub(super) async fn unbind_payee(
        &self,
        request: pb::UnbindPayeeRequest,
    ) -> Result<pb::Holder, Failure> {
        let mut f = Fields::default();
        let user_id = f.user("user_id", request.user_id);
        let method = method(&mut f, "method", request.method);
        f.finish(())?;
        let now_us = self.clock.now_us();
        self.write_holder(user_id, move |conn| {
            Box::pin(async move { unbind_payee(conn, user_id, method, now_us).await })
        })
        .await
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
        let found = self.store.holders(&[user_id], "").await.map_err(read_failure)?;
        let missing = || Failure::new(Reason::HolderNotFound, "there is no such person");
        found.into_iter().next().map(wire).ok_or_else(missing)
    }
}

type Job<'c> = BoxFuture<'c, Result<(), WriteError>>;

fn method(f: &mut Fields, field: &str, number: i32) -> i64 {
    match pb::PayeeMethod::try_from(number) {
        Ok(pb::PayeeMethod::Wechat | pb::PayeeMethod::Alipay) => {}
        _ => f.broken(field, "must be WECHAT or ALIPAY"),
    }
    i64::from(number)
}

fn wire((row, payees): (HolderRow, Vec<PayeeRow>)) -> pb::Holder {
    let privileges: Vec<(String, String)> =
        serde_json::from_str(&row.privileges).unwrap_or_default();
    let privilege = |(title, subtitle)| pb::Privilege { title, subtitle };
    let payee = |p: PayeeRow| pb::Payee {
        method: i32::try_from(p.method).unwrap_or_default(),
        payee_id: p.payee_id,
        real_name: p.real_name,
        mp_openid: p.mp_openid,
        dev_openid: p.dev_openid,
        min_openid: p.min_openid,
        nickname: p.nickname,
        sex: i32::try_from(p.sex).unwrap_or_default(),
        bound_at_us: p.bound_at,
        payable_from_us: 0,
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
