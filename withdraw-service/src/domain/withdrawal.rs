//! One withdrawal with everything that is known of it, and what a reviewer approves of it.
//! Must not know: rows, messages.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use cashout_common::number::{digest, hex};

use super::method::Method;
use super::status::{Effect, Status};

/// A cash-out as somebody knows it. Copies share what they know until one of them is changed, so a copy costs
/// nothing, and whoever waits for something carries a pointer and not the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal(Arc<Details>);

impl From<Details> for Withdrawal {
    fn from(details: Details) -> Self {
        Self(Arc::new(details))
    }
}

impl Withdrawal {
    /// What is known, to be taken apart.
    #[must_use]
    pub fn into_details(self) -> Details {
        Arc::unwrap_or_clone(self.0)
    }
}

impl Deref for Withdrawal {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Withdrawal {
    fn deref_mut(&mut self) -> &mut Details {
        Arc::make_mut(&mut self.0)
    }
}

/// What was asked for: the same from the request on, so everybody who knows of the cash-out shares it. Amounts in minor
/// units, times in UTC microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The proto message Withdrawal documents the fields people see.
pub struct Asked {
    pub cash_sn: String,
    pub user_id: i64,
    pub currency: String,
    pub apply_minor: i64,
    pub fee_minor: i64,
    pub actual_minor: i64,
    pub method: Method,
    pub provider: String,
    pub mobile: String,
    pub payee_id: String,
    /// The real name the provider checks, as bound at request time.
    pub payee_name: String,
    pub remark: String,
    pub reviewers_required: i64,
    pub created_at_us: i64,
    /// Not paid before this time, because the payee was bound only recently; 0 for none.
    pub payable_from_us: i64,
    /// Digest of the request under its key.
    pub request_digest: Vec<u8>,
}

/// What is known of a cash-out: what was asked for and how it stands. Times in UTC microseconds (0: not yet).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // The proto message Withdrawal documents the fields people see.
pub struct Details {
    pub id: i64,
    pub asked: Arc<Asked>,
    pub review_remark: String,
    pub status: Status,
    /// Counts every change; what was read is only written back when it is still the same.
    pub version: i64,
    /// What was asked to be approved, see [`Asked::content`].
    pub content_digest: String,
    /// Approvals of `content_digest` so far.
    pub reviewers: i64,
    pub trade_no: String,
    pub third_trade_no: String,
    pub pay_requested_at_us: i64,
    pub paid_at_us: i64,
    pub updated_at_us: i64,
    /// Who decided last, `user:7`; empty when nobody did. Shown in the statement.
    pub decided_by: String,
    /// When an answer first left the outcome unknown; kept until a final one, whatever comes between.
    pub unknown_since_us: i64,
    /// What the payee's app needs to ask for the confirmation; told once, so kept while it may matter.
    pub confirmation: Option<Confirmation>,
    /// What is due, and how its repetition stands.
    pub due: Due,
    /// The person's key of the request; empty for none, and emptied when the request was declined.
    pub request_key: String,
}

impl Deref for Details {
    type Target = Asked;

    fn deref(&self) -> &Asked {
        &self.asked
    }
}

/// The effect that is due and who carries it out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// What is to be done; `None` when nothing is.
    pub effect: Option<Effect>,
    /// Not before this time.
    pub next_run_at_us: i64,
    /// How often it was tried in vain; asking a provider counts on from answer to answer.
    pub tries: i64,
    /// The instance that works on it; empty when none.
    pub lease_owner: String,
    /// Until when the instance may work on it.
    pub lease_until_us: i64,
    /// Whether no worker looks at it before `next_run_at_us`, which may be far ahead or
    /// [`WHEN_RESUMED`]: then nobody is to be asked before something else happens.
    pub held: bool,
}

/// The time of a held effect that waits until its channel is resumed.
pub const WHEN_RESUMED: i64 = i64::MAX;

impl Due {
    /// Has it wait until `until_us`, or for a channel. Whoever works on it has given it back.
    pub fn hold(&mut self, until_us: i64) {
        self.held = true;
        self.next_run_at_us = until_us;
        self.lease_owner.clear();
        self.lease_until_us = 0;
    }
}

/// What the app needs to ask the payee to confirm a payout, in the provider's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The merchant.
    pub mch_id: String,
    /// The app the payee confirms in.
    pub app_id: String,
    /// What the app hands over.
    pub package: String,
}

impl Asked {
    /// Digest of what is to be paid, in hex: a reviewer approves exactly this, and nothing else is paid.
    #[must_use]
    pub fn content(&self) -> String {
        hex(&digest(&[
            self.cash_sn.as_bytes(),
            &self.user_id.to_be_bytes(),
            self.currency.as_bytes(),
            &self.apply_minor.to_be_bytes(),
            &self.fee_minor.to_be_bytes(),
            &self.actual_minor.to_be_bytes(),
            &self.method.number().to_be_bytes(),
            self.provider.as_bytes(),
            self.payee_id.as_bytes(),
            self.payee_name.as_bytes(),
            self.mobile.as_bytes(),
        ]))
    }

    /// Key of the hold in the ledger. Made of the cash_sn, not the id: ids begin anew when a database is
    /// made anew, the ledger remembers keys for ever.
    #[must_use]
    pub fn hold_key(&self) -> String {
        hold_key(&self.cash_sn)
    }
}

/// What the keys of all holds of withdrawals begin with.
pub const HOLD_KEYS: &str = "cash:";

/// Key of the hold of the withdrawal with that cash_sn.
#[must_use]
pub fn hold_key(cash_sn: &str) -> String {
    [HOLD_KEYS, cash_sn].concat()
}

/// The account right after the hold was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountAfter {
    /// What could be spent.
    pub available_minor: i64,
    /// What was held.
    pub frozen_minor: i64,
    /// Whether cash-outs were locked.
    pub locked: bool,
}

/// The person behind an account, as far as a cash-out needs to know them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Named as in the proto message Holder.
pub struct Holder {
    pub username: String,
    pub mobile: String,
    pub created_at_us: i64,
    pub updated_at_us: i64,
    pub wechat: Option<Payee>,
    pub alipay: Option<Payee>,
}

/// The applicant as just read, shared by those who tell of them; nobody inside: they have an account and no
/// profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applicant(pub Option<Arc<Holder>>);

impl From<Option<Holder>> for Applicant {
    fn from(found: Option<Holder>) -> Self {
        Self(found.map(Arc::new))
    }
}

/// Where a person is paid by one method.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // Named as in the proto message Payee.
pub struct Payee {
    pub payee_id: String,
    pub real_name: String,
    pub mp_openid: String,
    pub dev_openid: String,
    pub min_openid: String,
    pub nickname: String,
    pub sex: i32,
    /// Cannot be paid before; UTC microseconds, 0 for at once.
    pub payable_from_us: i64,
}

/// What the answer to a request tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// As it was right after the request.
    pub withdrawal: Withdrawal,
    /// The account right after the hold was placed.
    pub account: AccountAfter,
    /// The person as of then.
    pub applicant: Applicant,
}
