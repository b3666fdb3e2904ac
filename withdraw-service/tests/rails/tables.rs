//! The tables of both providers, printed whole: every word and what it is to us.

use withdraw_service::ports::{Answer, Repair};
use withdraw_service::providers::alipay::table as alipay;
use withdraw_service::providers::wechat::table as wechat;

use crate::peer::line;

#[test]
fn every_word_of_wechat_pay_and_what_it_means() {
    let mut told = String::new();
    for (of, status, code, ..) in wechat::ERRORS {
        let call = if *of == wechat::Of::Any { wechat::Of::Create } else { *of };
        let answer = wechat::error(call, *status, code);
        told.push_str(&format!("{of:?} {status} {code} -> {}\n", line(&answer)));
    }
    for (reason, _) in wechat::REASONS {
        let answer = wechat::failed("FAIL", Some(reason));
        told.push_str(&format!("FAIL {reason} -> {}\n", line(&answer)));
    }
    let unlisted = [Some("A_NEW_WORD"), Some("张三"), None];
    for reason in unlisted {
        told.push_str(&format!("FAIL -> {}\n", line(&wechat::failed("FAIL", reason))));
    }
    insta::assert_snapshot!("wechat_table", told);
}

#[test]
fn every_word_of_alipay_and_what_it_means() {
    let mut told = String::new();
    for (code, sub_code, ..) in alipay::CODES {
        let word = sub_code.replace('*', "X");
        told.push_str(&format!("{code} {sub_code} -> {}\n", line(&alipay::refused(code, &word))));
    }
    insta::assert_snapshot!("alipay_table", told);
}

/// The further sub-codes of the published list, which say nothing certain to us.
const FURTHER: &str = "AUTHOREE_IS_NOT_MATCH BLOCK_USER_FORBBIDEN_SEND CHECK_RECEIVER_CERT_NOT_ALLOW \
    CURRENCY_NOT_SUPPORT EXPAND_INDIRECT_VERIFY_FAIL IDENTITY_FUND_RELATION_NOT_FOUND \
    ILLEGAL_OPERATION INST_PAY_UNABLE INVALID_PAYER_ACCOUNT ISV_AUTH_ERROR MONEY_PAY_CLOSED \
    NOT_IN_WHITE_LIST NOT_SUPPORT_PAYER_ACCOUNT_TYPE NO_ACCOUNTBOOK_PERMISSION \
    NO_AVAILABLE_PAYMENT_TOOLS NO_ORDER_PERMISSION NO_PERMISSION_ACCOUNT ORDER_NOT_EXIST \
    ORDER_STATUS_INVALID OVERSEA_TRANSFER_CLOSE PAYCARD_UNABLE_PAYMENT PAYER_CERTIFY_CHECK_FAIL \
    PAYER_NOT_EQUAL_PAYEE_ERROR PAYER_NOT_EXIST PAYER_PERMLIMIT_CHECK_FAILURE \
    PAYER_REQUESTER_RELATION_INVALID PAYER_USERINFO_NOT_EXSIT PAYER_USER_INFO_ERROR \
    PAYMENT_TIME_EXPIRE PERMIT_CHECK_PERM_AML_CERT_EXPIRED PERMIT_CHECK_PERM_IDENTITY_THEFT \
    PERMIT_CHECK_PERM_LIMITED SIGN_AGREEMENT_NO_INCONSISTENT SIGN_INVALID \
    SIGN_INVOKE_PID_INCONSISTENT SIGN_NOT_ALLOW_SKIP SIGN_PARAM_INVALID USER_AGREEMENT_VERIFY_FAIL \
    CARD_BIN_ERROR PAYEE_CARD_INFO_ERROR INVALID_CARDNO isp.unknow-error aop.unknow-error \
    isv.missing-signature isv.invalid-app-id aop.invalid-auth-token PAYEE_NOT_EXIST_ XPAYEE_NOT_EXIST";

#[test]
fn what_is_in_no_table_is_unknown_whatever_the_gateway_says() {
    for sub_code in FURTHER.split_whitespace() {
        for code in ["20000", "20001", "40001", "40002", "40003", "40004", "40006", "", "10000"] {
            let answer = alipay::refused(code, sub_code);
            assert_eq!(answer.outcome(), "unknown", "{code} {sub_code}");
        }
    }
    for status in [200, 201, 301, 400, 401, 403, 404, 405, 409, 429, 500, 502, 503] {
        for call in [wechat::Of::Create, wechat::Of::Query, wechat::Of::Any] {
            let answer = wechat::error(call, status, "A_NEW_WORD");
            assert_eq!(answer.outcome(), "unknown", "{call:?} {status}");
        }
    }
}

#[test]
fn only_a_listed_word_with_its_own_code_decides_anything() {
    for (code, sub_code, ..) in alipay::CODES {
        let word = sub_code.replace('*', "X");
        for other in ["20000", "40001", "40003", "10000"] {
            assert_eq!(alipay::refused(other, &word).outcome(), "unknown", "{other} {word}");
        }
        // A sending that is turned down never proves that the number will not be paid.
        let answer = alipay::refused(code, &word);
        assert!(!matches!(answer, Answer::Refused { .. } | Answer::NotFound), "{sub_code}");
    }
    let repairs: Vec<Repair> = wechat::ERRORS
        .iter()
        .filter_map(|(of, status, code, ..)| match wechat::error(*of, *status, code) {
            Answer::Blocked { repair, .. } => Some(repair),
            _ => None,
        })
        .collect();
    assert_eq!(repairs, [Repair::Request, Repair::Channel, Repair::Channel, Repair::Balance]);
}
