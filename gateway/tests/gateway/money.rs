//! Amounts as clients write them: what is exact is understood, everything else is refused before any
//! service is asked.

use cashout_proto::account::v1::{AdjustAccountRequest, AdjustAccountResponse};
use cashout_proto::withdraw::v1::RequestWithdrawalRequest;

use crate::golden::requested;
use crate::stack::{ADMIN, Stack, user};

/// Good amounts, as JSON, and the cents they are.
const GOOD: &[(&str, i64)] = &[
    ("1", 100),
    ("\"1\"", 100),
    ("0.01", 1),
    ("0.1", 10),
    ("\"0.10\"", 10),
    ("7.00", 700),
    ("0.07", 7),
    ("0.29", 29),
    ("1.13", 113),
    ("4999.99", 499_999),
    ("90071992547409.91", 9_007_199_254_740_991),
    ("\"\\u0031.5\"", 150),
];

/// Amounts that are JSON, but no money.
const BAD: &[&str] = &[
    // Not more than nothing.
    "0",
    "0.0",
    "0.00",
    "-0",
    "-0.00",
    "-1",
    "-0.01",
    "\"0\"",
    "\"-1\"",
    "\"-0.00\"",
    // More than cents.
    "0.001",
    "1.001",
    "1.000",
    "0.010",
    "\"0.005\"",
    "1.00000000000000000000001",
    "0.1e1",
    "1e-2",
    // Exponents.
    "1e2",
    "1E2",
    "1e+2",
    "1e0",
    "1e-400",
    "1e400",
    "1e999999999",
    "\"1e2\"",
    "12e1",
    // Beyond 2^53-1 cents.
    "90071992547409.92",
    "90071992547410",
    "9007199254740993",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "\"90071992547409.92\"",
    "9223372036854775807",
    // Not a number at all.
    "\"NaN\"",
    "\"nan\"",
    "\"Infinity\"",
    "\"-Infinity\"",
    "\"inf\"",
    "\"\"",
    "\" \"",
    "\"one\"",
    "null",
    "true",
    "false",
    "[]",
    "[1]",
    "{}",
    "{\"amount\":1}",
    // Numbers of other grammars.
    "\"+1\"",
    "\" 1\"",
    "\"1 \"",
    "\"1\\n\"",
    "\"\\u00001\"",
    "\"1.\"",
    "\".5\"",
    "\".\"",
    "\"01\"",
    "\"00.1\"",
    "\"1,000\"",
    "\"1,5\"",
    "\"1_000\"",
    "\"1 000\"",
    "\"0x10\"",
    "\"0b1\"",
    "\"1.2.3\"",
    "\"1-\"",
    "\"--1\"",
    "\"1/2\"",
    "\"50%\"",
    "\"$1\"",
    "\"¥1\"",
    "\"1元\"",
    "\"1.00 CNY\"",
    // Digits of other scripts, and look-alikes.
    "\"１\"",
    "\"١\"",
    "\"१\"",
    "\"1．5\"",
    "\"½\"",
    "\"²\"",
    "\"O\"",
    "\"l\"",
    "\"\\ufeff1\"",
    "\"1\\u200b\"",
];

/// What is not even JSON.
const BROKEN: &[&str] = &[
    "NaN",
    "Infinity",
    "-Infinity",
    "+1",
    ".5",
    "1.",
    "01",
    "0x1",
    "1_0",
    "'1'",
    "１",
    "--1",
    "-",
];

fn body(amount: &str) -> String {
    format!("{{\"data\":{{\"attributes\":{{\"cash_apply_amount\":{amount},\"cash_type\":1}}}}}}")
}

#[tokio::test]
async fn good_amounts_are_understood_to_the_cent() -> anyhow::Result<()> {
    let stack = Stack::at(1_600_000_000).await?;
    stack.fakes.answers("request_withdrawal", requested());
    stack.fakes.answers("adjust_account", AdjustAccountResponse::default());
    for (amount, minor) in GOOD {
        let answer = stack.call("POST", "/api/wallet/cash", &user(7), "", &body(amount)).await?;
        assert_eq!(answer.status, 200, "{amount}: {}", answer.body);
        assert_eq!(stack.fakes.last::<RequestWithdrawalRequest>()?.apply_minor, *minor, "{amount}");
        let patch = format!("{{\"operate_type\":2,\"operate_amount\":{amount}}}");
        stack.call("PATCH", "/api/wallet/user/7", &ADMIN, "", &patch).await?;
        assert_eq!(stack.fakes.last::<AdjustAccountRequest>()?.amount_minor, -minor, "{amount}");
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn everything_else_is_refused_and_nothing_is_asked() -> anyhow::Result<()> {
    let stack = Stack::at(1_600_000_000).await?;
    assert!(BAD.len() + BROKEN.len() >= 60);
    for amount in BAD {
        let answer = stack.call("POST", "/api/wallet/cash", &user(7), "", &body(amount)).await?;
        let told = answer.json()?;
        let error = &told["errors"][0];
        assert_eq!(answer.status, 422, "{amount}: {}", answer.body);
        assert_eq!(error["source"]["pointer"], "/data/attributes/cash_apply_amount", "{amount}");
        assert_eq!(told["errors"].as_array().map(Vec::len), Some(1), "{amount}");
        let patch = format!("{{\"operate_type\":1,\"operate_amount\":{amount}}}");
        let answer = stack.call("PATCH", "/api/wallet/user/7", &ADMIN, "", &patch).await?;
        assert_eq!(answer.status, 422, "{amount}: {}", answer.body);
    }
    for amount in BROKEN {
        let answer = stack.call("POST", "/api/wallet/cash", &user(7), "", &body(amount)).await?;
        let told = (answer.status, answer.wallet_code()?);
        assert_eq!(told, (400, "malformed_request".to_owned()), "{amount}");
    }
    assert!(stack.fakes.calls().is_empty());
    stack.stop().await;
    Ok(())
}
