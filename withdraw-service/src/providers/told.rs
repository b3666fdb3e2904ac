//! What a written attempt asks for, read back from its bytes (guarantee G10). `verify` looks at attempts
//! without any provider set up, so the provider's name alone says how they are read.
//!
//! Must not know: settings, calls, withdrawals.

use super::{alipay, sandbox, wechat};

/// What the bytes of an attempt say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Our number.
    pub number: String,
    /// Who is to be paid.
    pub payee_id: String,
    /// What the payee gets.
    pub amount_minor: i64,
}

/// What an attempt at the provider of that name asks for; `None` when it cannot be read.
#[must_use]
pub fn told(provider: &str, attempt: &[u8]) -> Option<Told> {
    match provider {
        wechat::NAME => wechat::told(attempt),
        alipay::NAME => alipay::told(attempt),
        sandbox::NAME => sandbox::told(attempt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WECHAT: &str = r#"1900000001 wx1 KEY
{"appid":"wx1","out_bill_no":"N1","openid":"o-1","transfer_amount":100,"transfer_remark":"x"}"#;
    const ALIPAY: &str = r#"2021000000000001
{"out_biz_no":"N1","trans_amount":"1.00","payee_info":{"identity":"o-1","identity_type":"X"}}"#;
    const SANDBOX: &str = "number=N1\npayee_id=o-1\npayee_name=a=b\namount_minor=100\ncurrency=CNY";

    #[test]
    fn an_attempt_is_read_by_its_providers_name_alone() {
        let one = |payee_id: &str| {
            Some(Told { number: "N1".into(), payee_id: payee_id.into(), amount_minor: 100 })
        };
        let all = [("wechat", WECHAT), ("alipay", ALIPAY), ("sandbox", SANDBOX)];
        for (provider, attempt) in all {
            assert_eq!(told(provider, attempt.as_bytes()), one("o-1"), "{provider}");
            let other = attempt.replace("o-1", "o-2");
            assert_eq!(told(provider, other.as_bytes()), one("o-2"), "{provider}");
            for (name, _) in all.iter().filter(|(name, _)| *name != provider) {
                assert_eq!(told(name, attempt.as_bytes()), None, "{provider} as {name}");
            }
            assert_eq!(told("manual", attempt.as_bytes()), None);
        }
    }

    #[test]
    fn what_is_not_written_as_we_write_it_is_not_read() {
        let twice = |text: &str, what: &str| text.replacen(what, &format!("{what},{what}"), 1);
        for (provider, attempt) in [
            ("wechat", WECHAT.replace('\n', "")),
            ("wechat", WECHAT.replace("100", "100.0")),
            ("wechat", WECHAT.replace("100", r#""100""#)),
            ("wechat", WECHAT.replace("openid", "open_id")),
            ("wechat", twice(WECHAT, r#""transfer_amount":100"#)),
            ("wechat", twice(WECHAT, r#""openid":"o-1""#)),
            ("wechat", format!("{WECHAT}{{}}")),
            ("alipay", ALIPAY.replace('\n', "")),
            ("alipay", ALIPAY.replace("1.00", "1e2")),
            ("alipay", ALIPAY.replace(r#""1.00""#, "1.00")),
            ("alipay", twice(ALIPAY, r#""out_biz_no":"N1""#)),
            ("alipay", twice(ALIPAY, r#""identity":"o-1""#)),
            ("alipay", ALIPAY.replace("payee_info", "payee")),
            ("sandbox", SANDBOX.replace("100", "1.00")),
            ("sandbox", SANDBOX.replace("number=N1\n", "")),
            ("sandbox", format!("number=N2\n{SANDBOX}")),
            ("sandbox", format!("{SANDBOX}\nnumber=N2")),
            ("sandbox", String::new()),
        ] {
            assert_eq!(told(provider, attempt.as_bytes()), None, "{attempt}");
        }
        for provider in ["wechat", "alipay", "sandbox"] {
            assert_eq!(told(provider, b"\xff\n\xff"), None);
        }
    }
}
