//! Bindings of payees for tests, with texts that can be looked for.

use cashout_proto::account::v1 as pb;

use super::Stack;

/// Every text of a binding, so that one can be looked for.
pub const CANARIES: [&str; 6] = [
    "canary-payee-id-1",
    "Canary Name 张三丰",
    "canary-mp-openid",
    "canary-dev-openid",
    "canary-min-openid",
    "Canary Nick 小丰",
];

/// A binding with all of them.
pub fn canary(method: pb::PayeeMethod) -> pb::Payee {
    let [payee_id, real_name, mp_openid, dev_openid, min_openid, nickname] =
        CANARIES.map(str::to_owned);
    pb::Payee {
        method: method.into(),
        payee_id,
        real_name,
        mp_openid,
        dev_openid,
        min_openid,
        nickname,
        sex: 1,
        ..Default::default()
    }
}

/// A binding with these two texts alone.
pub fn named(method: pb::PayeeMethod, payee_id: &str, real_name: &str) -> pb::Payee {
    let (payee_id, real_name) = (payee_id.to_owned(), real_name.to_owned());
    pb::Payee { method: method.into(), payee_id, real_name, ..Default::default() }
}

/// Asks to bind it.
pub fn bind(user_id: i64, payee: pb::Payee) -> pb::BindPayeeRequest {
    pb::BindPayeeRequest { user_id, payee: Some(payee) }
}

/// People with a profile each.
pub async fn known(s: &mut Stack, people: &[i64]) -> anyhow::Result<()> {
    for user_id in people {
        let (username, mobile) = (format!("visible-name-{user_id}"), String::new());
        let profile = pb::SetProfileRequest { user_id: *user_id, username, mobile };
        s.client.set_profile(profile).await?;
    }
    Ok(())
}

/// A person's bindings.
pub async fn payees(s: &mut Stack, user_id: i64) -> Result<Vec<pb::Payee>, tonic::Status> {
    let asked = pb::GetHolderRequest { user_id };
    Ok(s.client.get_holder(asked).await?.into_inner().payees)
}
