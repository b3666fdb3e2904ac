//! What Alipay's words mean: states and sub-codes, one table each.
//!
//! What is in no table is unknown, and so is every sub-code under another gateway code than it belongs to.
//! `*` in a sub-code stands for anything. The misspellings are Alipay's. Source: the documentation of
//! the transfer product (docs/providers/alipay.md). Must not know: how an answer was got.

use crate::ports::{Answer, Repair};

/// What a state of a transfer is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not finished.
    Pending,
    /// Paid, finally.
    Paid,
    /// Not paid, or paid back, finally.
    Failed,
}

/// Every documented state, of sending and of asking.
pub const STATES: &[(&str, State)] = &[
    ("SUCCESS", State::Paid),
    ("DEALING", State::Pending),
    ("WAIT_PAY", State::Pending),
    ("FAIL", State::Failed),
    ("CLOSED", State::Failed),
    ("REFUND", State::Failed),
];

/// The meaning of a state.
#[must_use]
pub fn state(word: &str) -> Option<State> {
    STATES.iter().find(|(known, _)| *known == word).map(|(_, state)| *state)
}

/// What a refusal of a sending is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing is said about the payout: ask.
    Unknown,
    /// As `Unknown`, and it shows a defect of ours.
    Alarm,
    /// Not paid because of the payee; asked once more before money returns.
    Payee,
    /// Not paid until somebody repairs it.
    Blocked(Repair),
}

use Meaning::{Alarm, Blocked, Payee, Unknown};
use Repair::{Balance, Channel, Request};

/// A sub-code: gateway code, sub-code, meaning, our words for it.
pub type Row = (&'static str, &'static str, Meaning, &'static str);

const PAYEE_GONE: &str = "the payee's account does not exist";
const PAYEE_SHUT: &str = "the payee's account cannot be paid";
const PAYEE_NAME: &str = "the real name does not fit the payee's account";
const PAYEE_UNNAMED: &str = "the payee has not given a real name";
const PAYEE_FULL: &str = "the payee's limit is reached";
const SHORT: &str = "the platform's account is short";
const LIMIT: &str = "a limit of the platform is reached";
const FORBIDDEN: &str = "the platform may not do this";
const AGAIN: &str = "the provider does not know either";
const REFUSED: &str = "the request is not accepted";

/// Every sub-code that says something about a sending; all others are unknown.
pub const CODES: &[Row] = &[
    ("40004", "SYSTEM_ERROR", Unknown, AGAIN),
    ("40004", "REQUEST_PROCESSING", Unknown, AGAIN),
    ("40004", "TRANS_ORDER_DEALING", Unknown, AGAIN),
    ("40004", "PROMO_TRANS_ORDER_DEALING", Unknown, AGAIN),
    ("40004", "BIZ_UNIQUE_EXCEPTION", Alarm, "the number is taken"),
    ("40004", "PAYMENT_INFO_INCONSISTENCY", Alarm, "another request had this number"),
    ("40004", "MRCHPROD_QUERY_ERROR", Unknown, AGAIN),
    ("40004", "SIGN_QUERY_AGGREMENT_ERROR", Unknown, AGAIN),
    ("40004", "SIGN_QUERY_APP_INFO_ERROR", Unknown, AGAIN),
    ("40004", "PROCESS_FAIL", Unknown, AGAIN),
    ("40004", "PAYMENT_FAIL", Unknown, AGAIN),
    ("40004", "RESOURCE_LIMIT_EXCEED", Unknown, "too many calls"),
    ("40004", "PAYER_BALANCE_NOT_ENOUGH", Blocked(Balance), SHORT),
    ("40004", "BALANCE_IS_NOT_ENOUGH", Blocked(Balance), SHORT),
    ("40004", "PAYMENT_MONEY_NOT_ENOUGH", Blocked(Balance), SHORT),
    ("40004", "EXCEED_LIMIT_DM_*", Blocked(Channel), LIMIT),
    ("40004", "EXCEED_LIMIT_MM_*", Blocked(Channel), LIMIT),
    ("40004", "PERM_PAY_*_QUOTA_*", Blocked(Channel), LIMIT),
    ("40004", "PRODUCT_NOT_SIGN", Blocked(Channel), FORBIDDEN),
    ("40004", "NO_ACCOUNT_PAYMENT_PERMISSION", Blocked(Channel), FORBIDDEN),
    ("40002", "isv.invalid-signature", Blocked(Channel), "our signature is not accepted"),
    ("40006", "isv.insufficient-isv-permissions", Blocked(Channel), FORBIDDEN),
    ("40004", "PAYER_STATUS_ERROR", Blocked(Channel), "the platform's account cannot pay"),
    ("40004", "PERMIT_PAYER_FORBIDDEN", Blocked(Channel), FORBIDDEN),
    ("40004", "SECURITY_CHECK_FAILED", Blocked(Channel), "the provider sees a risk"),
    ("40004", "PAYEE_NOT_EXIST", Payee, PAYEE_GONE),
    ("40004", "PAYEE_ACCOUNT_STATUS_ERROR", Payee, PAYEE_SHUT),
    ("40004", "PAYEE_ACCOUNT_NOT_EXSIT", Payee, PAYEE_GONE),
    ("40004", "PAYEE_USERINFO_STATUS_ERROR", Payee, PAYEE_SHUT),
    ("40004", "PAYEE_USER_INFO_ERROR", Payee, PAYEE_NAME),
    ("40004", "PAYEE_ACC_OCUPIED", Payee, "the payee's id belongs to several accounts"),
    ("40004", "PAYEE_USER_TYPE_ERROR", Payee, PAYEE_SHUT),
    ("40004", "PAYEE_CERT_INFO_ERROR", Payee, PAYEE_NAME),
    ("40004", "PAYEE_NOT_RELNAME_CERTIFY", Payee, PAYEE_UNNAMED),
    ("40004", "PERM_AML_NOT_REALNAME_REV", Payee, PAYEE_UNNAMED),
    ("40004", "PERMIT_NON_BANK_LIMIT_PAYEE", Payee, PAYEE_FULL),
    ("40004", "PERMIT_LIMIT_PAYEE", Payee, PAYEE_FULL),
    ("40004", "PERMIT_CHECK_RECEIVE_LIMIT", Payee, PAYEE_FULL),
    ("40004", "EXCEED_LIMIT_UNRN_DM_AMOUNT", Payee, PAYEE_FULL),
    ("40004", "EXCEED_LIMIT_DC_RECEIVED", Payee, PAYEE_FULL),
    ("40004", "RELEASE_USER_FORBBIDEN_RECIEVE", Payee, PAYEE_SHUT),
    ("40004", "BLOCK_USER_FORBBIDEN_RECIEVE", Payee, PAYEE_SHUT),
    ("40004", "NO_ACCOUNT_RECEIVE_PERMISSION", Payee, PAYEE_SHUT),
    ("40004", "NO_ACCOUNT_USER_FORBBIDEN_RECIEVE", Payee, PAYEE_SHUT),
    ("40004", "TRUSTEESHIP_RECIEVE_QUOTA_LIMIT", Payee, PAYEE_FULL),
    ("40004", "PAYEE_TRUSTEESHIP_ACC_OVER_LIMIT", Payee, PAYEE_FULL),
    ("40004", "TRUSTEESHIP_ACCOUNT_NOT_EXIST", Payee, PAYEE_GONE),
    ("40004", "USER_NOT_EXIST", Payee, PAYEE_GONE),
    ("40004", "USER_RISK_FREEZE", Payee, PAYEE_SHUT),
    ("40004", "PAYER_PAYEE_CANNOT_SAME", Payee, "the payee is the platform itself"),
    ("40004", "INVALID_PARAMETER", Blocked(Request), REFUSED),
    ("40004", "PARAM_ILLEGAL", Blocked(Request), REFUSED),
    ("40004", "REMARK_HAS_SENSITIVE_WORD", Blocked(Request), "the remark is not accepted"),
    ("40004", "MEMO_REQUIRED_IN_TRANSFER_ERROR", Blocked(Request), "a remark is missing"),
    ("40004", "EXCEED_LIMIT_SM_MIN_AMOUNT", Blocked(Request), "less than one transfer may be"),
    ("40004", "EXCEED_LIMIT_SM_AMOUNT", Blocked(Request), "more than one transfer may be"),
    ("40004", "EXCEED_LIMIT_PERSONAL_SM_AMOUNT", Blocked(Request), "more than one transfer may be"),
    ("40004", "EXCEED_LIMIT_ENT_SM_AMOUNT", Blocked(Request), "more than one transfer may be"),
    ("40004", "TRANSFER_SCENE_NAME_ILLEGAL", Blocked(Request), "the scene is not accepted"),
];

/// What a refused sending means.
#[must_use]
pub fn refused(code: &str, sub_code: &str) -> Answer {
    let row = CODES.iter().find(|(gateway, known, ..)| *gateway == code && fits(known, sub_code));
    // With a `*` in the table, what was told is the more exact word.
    let (told, message) = (|| shown(sub_code).to_owned(), |words: &str| words.to_owned());
    match row {
        Some((_, _, Payee, words)) => Answer::Rejected { code: told(), message: message(words) },
        Some((_, _, Blocked(repair), words)) => {
            Answer::Blocked { code: told(), message: message(words), repair: *repair }
        }
        Some((_, _, meaning @ (Unknown | Alarm), words)) => {
            if *meaning == Alarm {
                let sub_code = shown(sub_code);
                tracing::error!(alarm = "number_taken", provider = super::NAME, sub_code, "ours?");
            }
            Answer::unknown(format!("{}: {words}", shown(sub_code)))
        }
        None => Answer::unknown(format!("{} {}", shown(code), shown(sub_code))),
    }
}

/// What a question that was not answered with a state means: only that there is no such order is told.
#[must_use]
pub fn not_found(code: &str, sub_code: &str) -> Answer {
    if (code, sub_code) == ("40004", "ORDER_NOT_EXIST") {
        return Answer::NotFound;
    }
    Answer::unknown(format!("{} {}", shown(code), shown(sub_code)))
}

/// A final failure: the state says that it is one, the code only why.
#[must_use]
pub fn failed(state: &str, error_code: &str) -> Answer {
    let row = CODES.iter().find(|(_, known, ..)| fits(known, error_code));
    let told = row.map_or("the provider refused", |(.., words)| *words);
    let told = if state == "REFUND" { "the payout came back" } else { told };
    let code = if error_code.is_empty() { state } else { shown(error_code) };
    Answer::Refused { code: code.to_owned(), message: told.to_owned() }
}

/// Whether a word is that of the table, `*` standing for anything.
fn fits(pattern: &str, word: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == word,
        Some((before, after)) => word.strip_prefix(before).is_some_and(|rest| {
            after.is_empty()
                || (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|r| fits(after, r)))
        }),
    }
}

/// A provider's word, if it is one: nobody's data may stand in what we keep.
#[must_use]
pub fn shown(word: &str) -> &str {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    let one = word.len() <= 64 && word.bytes().all(plain);
    // A gateway code has five digits; what has more is nobody's code but may be somebody's number.
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if one && digits <= 5 { word } else { "(another word)" }
}
