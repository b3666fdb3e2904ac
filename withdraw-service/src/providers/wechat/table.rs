//! What WeChat Pay's words mean: states, error codes and reasons of failure, one table each.
//!
//! What is in no table is unknown. Words of errors count only in the call and with the HTTP status they
//! are documented for. Source: the documentation of transfer bills (docs/providers/wechat.md). Must not
//! know: how an answer was got.

use crate::ports::{Answer, Repair};

/// What a state of a bill is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not finished.
    Pending,
    /// Not finished: the payee has to confirm.
    Confirm,
    /// Paid, finally.
    Paid,
    /// Not paid, finally.
    Failed,
}

/// Every documented state.
pub const STATES: &[(&str, State)] = &[
    ("ACCEPTED", State::Pending),
    ("PROCESSING", State::Pending),
    ("WAIT_USER_CONFIRM", State::Confirm),
    ("TRANSFERING", State::Pending),
    ("SUCCESS", State::Paid),
    ("FAIL", State::Failed),
    ("CANCELING", State::Pending),
    ("CANCELLED", State::Failed),
];

/// The meaning of a state.
#[must_use]
pub fn state(word: &str) -> Option<State> {
    STATES.iter().find(|(known, _)| *known == word).map(|(_, state)| *state)
}

/// Which call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Creating a bill.
    Create,
    /// Asking for one.
    Query,
    /// Any other call, and every word that means the same in all.
    Any,
}

/// What an error is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing is said about the payout: ask.
    Unknown,
    /// There is no such bill.
    NotFound,
    /// Not paid until somebody repairs it.
    Blocked(Repair),
}

/// An error: call, HTTP status, code, meaning, our words for it.
pub type Row = (Of, u16, &'static str, Meaning, &'static str);

/// Every documented error.
pub const ERRORS: &[Row] = &[
    (
        Of::Create,
        400,
        "PARAM_ERROR",
        Meaning::Blocked(Repair::Request),
        "a parameter is not accepted",
    ),
    (
        Of::Create,
        400,
        "INVALID_REQUEST",
        Meaning::Unknown,
        "not possible now, or another request had this number",
    ),
    (Of::Create, 400, "ALREADY_EXISTS", Meaning::Unknown, "this number is there already"),
    (
        Of::Create,
        401,
        "SIGN_ERROR",
        Meaning::Blocked(Repair::Channel),
        "our signature is not accepted",
    ),
    (Of::Create, 403, "NO_AUTH", Meaning::Blocked(Repair::Channel), "the merchant may not do this"),
    (
        Of::Create,
        403,
        "NOT_ENOUGH",
        Meaning::Blocked(Repair::Balance),
        "the merchant's account is short",
    ),
    (Of::Query, 404, "NOT_FOUND", Meaning::NotFound, "no such bill"),
    (Of::Any, 429, "FREQUENCY_LIMITED", Meaning::Unknown, "too many calls"),
    (Of::Any, 429, "FREQUENCY_LIMIT", Meaning::Unknown, "too many calls"),
    (Of::Any, 429, "FREQUENCY_LIMIT_EXCEED", Meaning::Unknown, "too many calls"),
    (Of::Any, 429, "RATELIMIT_EXCEEDED", Meaning::Unknown, "too many calls"),
    (Of::Any, 500, "SYSTEM_ERROR", Meaning::Unknown, "the provider does not know either"),
];

/// What an error in answer to a call means.
#[must_use]
pub fn error(of: Of, status: u16, code: &str) -> Answer {
    let row = ERRORS.iter().find(|(call, http, known, ..)| {
        (*call == of || *call == Of::Any) && *http == status && *known == code
    });
    match row {
        Some((_, _, code, Meaning::Blocked(repair), told)) => Answer::Blocked {
            code: (*code).to_owned(),
            message: (*told).to_owned(),
            repair: *repair,
        },
        Some((_, _, _, Meaning::NotFound, _)) => Answer::NotFound,
        Some((_, _, code, Meaning::Unknown, told)) => Answer::unknown(format!("{code}: {told}")),
        None => Answer::unknown(format!("HTTP {status} {}", shown(code))),
    }
}

/// Every documented reason of a failure, in our words.
pub const REASONS: &[(&str, &str)] = &[
    ("ACCOUNT_FROZEN", "the payee's account is frozen"),
    ("ACCOUNT_NOT_EXIST", "the payee's account does not exist"),
    ("BANK_CARD_ACCOUNT_ABNORMAL", "the payee's bank card cannot be paid"),
    ("BANK_CARD_BANK_INFO_WRONG", "the payee's bank card cannot be paid"),
    ("BANK_CARD_CARD_INFO_WRONG", "the payee's bank card cannot be paid"),
    ("BANK_CARD_COLLECTIONS_ABOVE_QUOTA", "the payee's bank card takes no more"),
    ("BANK_CARD_PARAM_ERROR", "the payee's bank card cannot be paid"),
    ("BANK_CARD_STATUS_ABNORMAL", "the payee's bank card cannot be paid"),
    ("BLOCK_B2C_USERLIMITAMOUNT_BSRULE_MONTH", "the payee's limit of the month is reached"),
    ("BLOCK_B2C_USERLIMITAMOUNT_MONTH", "the payee's limit of the month is reached"),
    ("BUDGET_NOT_ENOUGH", "the merchant's budget is used up"),
    ("DAY_RECEIVED_COUNT_EXCEED", "the payee's limit of the day is reached"),
    ("DAY_RECEIVED_QUOTA_EXCEED", "the payee's limit of the day is reached"),
    ("EXCEEDED_ESTIMATED_AMOUNT", "more than was announced"),
    ("ID_CARD_NOT_CORRECT", "the payee's identity card does not fit"),
    ("MCH_CANCEL", "the payout was cancelled"),
    ("MERCHANT_NOT_CONFIRM", "the merchant did not confirm"),
    ("MERCHANT_REJECT", "the merchant refused"),
    ("NAME_NOT_CORRECT", "the real name does not fit the payee's account"),
    ("OPENID_INVALID", "the payee's account is not one of this app"),
    ("OTHER_FAIL_REASON_TYPE", "the provider refused"),
    ("OVERDUE_CLOSE", "the payee did not confirm in time"),
    ("PAYEE_ACCOUNT_ABNORMAL", "the payee's account cannot be paid"),
    ("PAYER_ACCOUNT_ABNORMAL", "the merchant's account cannot pay"),
    ("PRODUCT_AUTH_CHECK_FAIL", "the merchant may not do this"),
    ("REALNAME_ACCOUNT_RECEIVED_QUOTA_EXCEED", "the payee's limit is reached"),
    ("REAL_NAME_CHECK_FAIL", "the payee has not given a real name"),
    ("RECEIVE_ACCOUNT_NOT_CONFIGURE", "the payee has no account to be paid on"),
    ("RELATED_ORDER_TRANSFER_AMOUNT_EXCEED", "more than the order allows"),
    ("RELATED_ORDER_TRANSFER_COUNT_EXCEED", "more often than the order allows"),
    ("RESERVATION_INFO_NOT_MATCH", "not as reserved"),
    ("RESERVATION_SCENE_NOT_MATCH", "not as reserved"),
    ("RESERVATION_STATE_INVALID", "not as reserved"),
    ("TRANSFER_QUOTA_EXCEED", "the payee's limit is reached"),
    ("TRANSFER_REMARK_SET_FAIL", "the remark is not accepted"),
    ("TRANSFER_RISK", "the provider sees a risk"),
    ("TRANSFER_SCENE_INVALID", "the transfer scene is not accepted"),
    ("TRANSFER_SCENE_UNAVAILABLE", "the transfer scene is not available"),
];

/// A final failure: the state says that it is one, the reason only why; so an unlisted reason is a
/// refusal too.
#[must_use]
pub fn failed(state: &str, reason: Option<&str>) -> Answer {
    let listed = reason.and_then(|word| REASONS.iter().find(|(known, _)| *known == word));
    let (code, told) = listed.copied().unwrap_or((
        if state == "CANCELLED" { "CANCELLED" } else { "FAIL" },
        if state == "CANCELLED" { "the payout was cancelled" } else { "the provider refused" },
    ));
    Answer::Refused { code: code.to_owned(), message: told.to_owned() }
}

/// A provider's word, if it is one: nobody's data may stand in what we keep.
#[must_use]
pub fn shown(word: &str) -> &str {
    let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let begins = word.bytes().next().is_some_and(|b| b.is_ascii_uppercase());
    if begins && word.len() <= 64 && word.bytes().all(plain) { word } else { "without a code" }
}
