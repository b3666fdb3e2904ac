//! The account service's messages as this service understands them, and the other way round.
//!
//! Must not know: calls.

use cashout_proto::account::v1::hold_command::Command;
use cashout_proto::account::v1::hold_result::Outcome;
use cashout_proto::account::v1::{
    self as wire, AbandonHoldRequest, AccountRef, EntryKind, Facts, HoldResponse, HoldResult,
    PayeeMethod, PlaceHoldRequest, ReleaseHoldRequest, SettleHoldRequest, SettlePart, account_ref,
};
use cashout_proto::{Failure, Reason};

use crate::domain::withdrawal::{Holder, Payee, Withdrawal};
use crate::ports::{Balance, ReleaseCause};

/// A person's account in a currency.
pub(super) fn reference(user_id: i64, currency: &str) -> AccountRef {
    AccountRef { by: Some(account_ref::By::UserId(user_id)), currency: currency.to_owned() }
}

fn facts(w: &Withdrawal, note: &str) -> Box<Facts> {
    Box::new(Facts {
        note: note.to_owned(),
        reference: w.cash_sn.clone(),
        // The statement shows the operator's id alone.
        operator: w.decided_by.trim_start_matches("user:").to_owned(),
        ..Facts::default()
    })
}

/// The hold of a withdrawal is placed.
pub(super) fn place(w: &Withdrawal) -> Command {
    Command::Place(PlaceHoldRequest {
        key: w.hold_key(),
        account: Some(reference(w.user_id, &w.currency)),
        amount_minor: w.apply_minor,
        kind: EntryKind::Withdrawal.into(),
        release_at_us: 0,
        facts: Some(facts(w, "提现冻结")),
    })
}

/// It is given up, whether it stands or not.
pub(super) fn abandon(w: &Withdrawal) -> Command {
    Command::Abandon(AbandonHoldRequest {
        hold_key: w.hold_key(),
        account: Some(reference(w.user_id, &w.currency)),
        facts: Some(facts(w, "提现未受理")),
    })
}

/// It leaves, to where the money was paid from and to the fees.
pub(super) fn settle(w: &Withdrawal) -> Command {
    let mut parts = vec![SettlePart {
        amount_minor: w.actual_minor,
        counter_account: w.method.counter_account().to_owned(),
        kind: EntryKind::Withdrawal.into(),
        facts: None,
    }];
    if w.fee_minor > 0 {
        parts.push(SettlePart {
            amount_minor: w.fee_minor,
            counter_account: "fee:income".to_owned(),
            kind: EntryKind::WithdrawalFee.into(),
            facts: Some(facts(w, "提现手续费")),
        });
    }
    Command::Settle(SettleHoldRequest {
        key: format!("{}:settle", w.hold_key()),
        hold_key: w.hold_key(),
        parts,
        facts: Some(facts(w, "提现成功")),
    })
}

/// It returns.
pub(super) fn release(w: &Withdrawal, cause: ReleaseCause) -> Command {
    let (kind, note) = match cause {
        ReleaseCause::Refused => (EntryKind::WithdrawalReturned, "审核不通过，退回"),
        ReleaseCause::Failed => (EntryKind::WithdrawalReturned, "提现失败，退回"),
        ReleaseCause::Cancelled => (EntryKind::WithdrawalCancelled, "取消提现，退回"),
    };
    Command::Release(ReleaseHoldRequest {
        key: format!("{}:release", w.hold_key()),
        hold_key: w.hold_key(),
        kind: kind.into(),
        facts: Some(facts(w, note)),
    })
}

/// Key of the hold that a command is about.
pub(super) fn hold_of(command: &Command) -> &str {
    match command {
        Command::Place(place) => &place.key,
        Command::Settle(settle) => &settle.hold_key,
        Command::Release(release) => &release.hold_key,
        Command::Abandon(abandon) => &abandon.hold_key,
    }
}

/// What the command on that hold came to. An answer about another hold, or with a reason of another version, is
/// one nobody knows.
pub(super) fn outcome(hold_key: &str, result: HoldResult) -> Result<HoldResponse, Failure> {
    match result.outcome {
        Some(Outcome::Done(done)) if done.hold.as_ref().is_some_and(|h| h.key != hold_key) => {
            let told = "the ledger answered about another hold";
            tracing::error!(hold_key, "{told}");
            Err(Failure::new(Reason::Internal, told))
        }
        Some(Outcome::Done(done)) => Ok(done),
        Some(Outcome::Refused(refused)) => {
            let reason = Reason::from_name(&refused.reason).unwrap_or(Reason::Internal);
            Err(Failure { metadata: refused.metadata, ..Failure::new(reason, refused.message) })
        }
        None => Err(Failure::new(Reason::Internal, "a command without an outcome")),
    }
}

/// What of an account matters here.
pub(super) fn balance(account: &wire::Account) -> Balance {
    Balance { available_minor: account.available_minor, locked: account.locked }
}

/// A person with their payees.
pub(super) fn holder(h: wire::Holder) -> Holder {
    let mut made = Holder {
        username: h.username,
        mobile: h.mobile,
        created_at_us: h.created_at_us,
        updated_at_us: h.updated_at_us,
        wechat: None,
        alipay: None,
    };
    for payee in h.payees {
        let method = payee.method();
        let payee = Payee {
            payee_id: payee.payee_id,
            real_name: payee.real_name,
            mp_openid: payee.mp_openid,
            dev_openid: payee.dev_openid,
            min_openid: payee.min_openid,
            nickname: payee.nickname,
            sex: payee.sex,
            payable_from_us: payee.payable_from_us,
        };
        match method {
            PayeeMethod::Wechat => made.wechat = Some(payee),
            PayeeMethod::Alipay => made.alipay = Some(payee),
            PayeeMethod::Unspecified => {}
        }
    }
    made
}
