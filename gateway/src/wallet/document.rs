//! JSON:API documents of the wallet family, members in the documented order.
//!
//! Must not know: where what it shows comes from.

use cashout_common::local::Zone;
use cashout_common::money::format_fixed;
use cashout_common::text::masked_mobile;
use cashout_proto::account::v1::{Account, Holder, PayeeMethod};
use cashout_proto::withdraw::v1::{AccountAfter, Applicant, Confirmation, Withdrawal};
use serde::Serialize;

use crate::json::{Literal, Number};

/// `links`, `data`, `included`, `meta`: each only when there is one.
#[derive(Serialize)]
pub(super) struct Document<D, L = (), M = ()> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) links: Option<L>,
    pub(super) data: D,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) included: Vec<Included>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) meta: Option<M>,
}

impl<D> Document<D> {
    /// One resource and what is included with it.
    pub(super) fn of(data: D, included: Vec<Included>) -> Self {
        Self { links: None, data, included, meta: None }
    }
}

/// One resource.
#[derive(Clone, Serialize)]
pub(super) struct Resource<A> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) id: String,
    pub(super) attributes: A,
    #[serde(skip_serializing_if = "Relationships::is_empty")]
    pub(super) relationships: Relationships,
}

impl<A> Resource<A> {
    /// A resource that stands alone.
    pub(super) fn new(kind: &'static str, id: i64, attributes: A) -> Self {
        Self { kind, id: id.to_string(), attributes, relationships: Relationships::default() }
    }
}

/// What a resource is related to.
#[derive(Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Relationships {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_wallet: Option<Linkage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Linkage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) wechat: Option<Linkage>,
}

impl Relationships {
    fn is_empty(&self) -> bool {
        self.user_wallet.is_none() && self.user.is_none() && self.wechat.is_none()
    }
}

/// A link to a resource.
#[derive(Clone, Serialize)]
pub(super) struct Linkage {
    data: Identifier,
}

#[derive(Clone, Serialize)]
struct Identifier {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
}

/// A resource that comes along.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Included {
    Wallet(Resource<WalletAttributes>),
    User(Resource<UserAttributes>),
    Wechat(Resource<WechatAttributes>),
}

impl Included {
    /// The link to it.
    pub(super) fn linkage(&self) -> Linkage {
        let (kind, id) = match self {
            Self::Wallet(resource) => (resource.kind, &resource.id),
            Self::User(resource) => (resource.kind, &resource.id),
            Self::Wechat(resource) => (resource.kind, &resource.id),
        };
        Linkage { data: Identifier { kind, id: id.clone() } }
    }
}

/// `user_wallet_cash`: a cash-out.
#[derive(Clone, Serialize)]
pub(super) struct CashAttributes {
    id: i64,
    user_id: i64,
    cash_sn: String,
    cash_charge: String,
    cash_actual_amount: Number,
    cash_apply_amount: String,
    cash_status: i32,
    cash_type: i32,
    cash_mobile: String,
    remark: Option<String>,
    updated_at: String,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<Confirm>,
}

/// What the owner's app hands to WeChat's client, under the names that it has there.
#[derive(Clone, Serialize)]
struct Confirm {
    #[serde(rename = "mchId")]
    mch_id: String,
    #[serde(rename = "appId")]
    app_id: String,
    package: String,
}

impl From<&Confirmation> for Confirm {
    fn from(asked: &Confirmation) -> Self {
        let Confirmation { mch_id, app_id, package } = asked.clone();
        Self { mch_id, app_id, package }
    }
}

/// A cash-out as `viewer` sees it. A reviewer's remark stands in for the applicant's, as in the
/// original. The owner alone sees what a confirmation takes: nobody confirms for somebody else.
pub(super) fn cash(withdrawal: &Withdrawal, viewer: i64, zone: &Zone) -> Resource<CashAttributes> {
    let confirmation = withdrawal.confirmation.as_ref();
    let remarks = [&withdrawal.review_remark, &withdrawal.remark];
    let attributes = CashAttributes {
        id: withdrawal.id,
        user_id: withdrawal.user_id,
        cash_sn: withdrawal.cash_sn.clone(),
        cash_charge: format_fixed(withdrawal.fee_minor),
        cash_actual_amount: Number(withdrawal.actual_minor),
        cash_apply_amount: format_fixed(withdrawal.apply_minor),
        cash_status: withdrawal.cash_status,
        cash_type: withdrawal.method,
        cash_mobile: masked_mobile(&withdrawal.mobile),
        remark: remarks.into_iter().find(|text| !text.is_empty()).cloned(),
        updated_at: zone.rfc3339(withdrawal.updated_at_us),
        created_at: zone.rfc3339(withdrawal.created_at_us),
        confirm: confirmation.filter(|_| viewer == withdrawal.user_id).map(Confirm::from),
    };
    Resource::new("user_wallet_cash", withdrawal.id, attributes)
}

/// `user_wallet`: a balance.
#[derive(Clone, Serialize)]
pub(super) struct WalletAttributes {
    user_id: i64,
    available_amount: String,
    freeze_amount: String,
    wallet_status: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cash_tax_ratio: Option<Literal>,
}

/// A balance as it is shown.
pub(super) fn wallet(user_id: i64, balance: &AccountAfter) -> Resource<WalletAttributes> {
    let attributes = WalletAttributes {
        user_id,
        available_amount: format_fixed(balance.available_minor),
        freeze_amount: format_fixed(balance.frozen_minor),
        wallet_status: u8::from(balance.locked),
        cash_tax_ratio: None,
    };
    Resource::new("user_wallet", user_id, attributes)
}

/// What a wallet shows of an account.
pub(super) fn balance(account: &Account) -> AccountAfter {
    AccountAfter {
        available_minor: account.available_minor,
        frozen_minor: account.frozen_minor,
        locked: account.locked,
    }
}

/// `users`: a person, as far as the document shows one.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserAttributes {
    username: String,
    mobile: String,
    last_login_ip: &'static str,
    created_at: String,
    updated_at: String,
}

/// `wechats`: a bound WeChat.
#[derive(Clone, Serialize)]
pub(super) struct WechatAttributes {
    mp_openid: String,
    dev_openid: String,
    min_openid: String,
    nickname: String,
    sex: i32,
}

/// A person and, when bound, their WeChat.
pub(super) type Person = (Resource<UserAttributes>, Option<Resource<WechatAttributes>>);

/// A person of a request just made.
pub(super) fn applicant(user_id: i64, applicant: &Applicant, zone: &Zone) -> Person {
    let user = UserAttributes {
        username: applicant.username.clone(),
        mobile: masked(&applicant.mobile),
        last_login_ip: "",
        created_at: zone.rfc3339(applicant.created_at_us),
        updated_at: zone.rfc3339(applicant.updated_at_us),
    };
    let wechat = applicant.wechat.clone().map(|bound| WechatAttributes {
        mp_openid: bound.mp_openid,
        dev_openid: bound.dev_openid,
        min_openid: bound.min_openid,
        nickname: bound.nickname,
        sex: bound.sex,
    });
    person(user_id, user, wechat)
}

/// A person as the account service knows them.
pub(super) fn holder(holder: &Holder, zone: &Zone) -> Person {
    let user = UserAttributes {
        username: holder.username.clone(),
        mobile: masked(&holder.mobile),
        last_login_ip: "",
        created_at: zone.rfc3339(holder.created_at_us),
        updated_at: zone.rfc3339(holder.updated_at_us),
    };
    let bound = holder.payees.iter().find(|payee| payee.method() == PayeeMethod::Wechat);
    let wechat = bound.cloned().map(|payee| WechatAttributes {
        mp_openid: payee.mp_openid,
        dev_openid: payee.dev_openid,
        min_openid: payee.min_openid,
        nickname: payee.nickname,
        sex: payee.sex,
    });
    person(holder.user_id, user, wechat)
}

fn person(user_id: i64, user: UserAttributes, wechat: Option<WechatAttributes>) -> Person {
    let wechat = wechat.map(|bound| Resource::new("wechats", user_id, bound));
    (Resource::new("users", user_id, user), wechat)
}

/// A number is shown masked, whether or not it came masked.
fn masked(mobile: &str) -> String {
    if mobile.contains('*') { mobile.to_owned() } else { masked_mobile(mobile) }
}
