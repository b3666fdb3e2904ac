//! Bad input over the public door: a clear refusal in the family's envelope, and nothing changed.

use anyhow::Context;
use reqwest::Method;

use crate::support::document::text_at;
use crate::support::people::{MANUAL, MOBILE, cash};
use crate::support::web::{admin, teacher, user};
use crate::support::{Stack, one};

/// Amounts as JSON texts that are no money: the grammar is `(0|[1-9][0-9]*)(\.[0-9]{1,2})?` in ASCII.
const NOT_MONEY: &[&str] = &[
    "",
    " ",
    "0",
    "0.0",
    "0.00",
    "00",
    "-1",
    "-0",
    "-0.01",
    "+1",
    "+0.01",
    "1.",
    ".5",
    ".",
    "1.000",
    "1.001",
    "0.001",
    "0.009",
    "1e2",
    "1E2",
    "1e0",
    "1e-2",
    "1e400",
    "0.1e1",
    "0x10",
    "0b1",
    "0o7",
    "1_000",
    "1,000",
    "1,00",
    "1 000",
    " 1",
    "1 ",
    "\\t1",
    "1\\n",
    "1\\u0000",
    "\\u00a01",
    "\\u200b1",
    "01",
    "00.10",
    "007",
    "1.1.1",
    "1..1",
    "--1",
    "1-",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    "null",
    "true",
    "one",
    "１",
    "１.００",
    "٣",
    "1٫5",
    "一",
    "¥1",
    "1元",
    "$1",
    "1%",
    "1/2",
    "1;2",
    "[1]",
    "{}",
    "90071992547409.92",
    "9007199254740992",
    "99999999999999999999999999",
    "1' or '1'='1",
];

/// Amounts as bare JSON that are JSON and no money.
const NOT_MONEY_BARE: &[&str] = &[
    "0",
    "0.0",
    "-1",
    "-0.01",
    "-0",
    "1.001",
    "1.000",
    "1e2",
    "1E0",
    "1.0e1",
    "1e-400",
    "1e400",
    "0.001",
    "90071992547409.92",
    "9007199254740993",
    "true",
    "false",
    "null",
    "[]",
    "[1]",
    "{}",
    "{\"amount\":1}",
];

/// Amounts that are not even JSON.
const NOT_JSON: &[&str] =
    &["NaN", "Infinity", ".5", "1.", "01", "+1", "0x10", "1_000", "'1'", "--1", "1,", ""];

#[tokio::test]
async fn nothing_that_is_not_money_is_taken_for_money() -> anyhow::Result<()> {
    let stack = one("money", &[]).await?;
    stack.rich(1, 100_000).await?;
    assert!(NOT_MONEY.len() + NOT_MONEY_BARE.len() >= 60);
    let texts = NOT_MONEY.iter().map(|text| format!("\"{text}\""));
    for amount in texts.chain(NOT_MONEY_BARE.iter().map(|text| (*text).to_owned())) {
        let answer = stack.cash_out(1, &amount, MANUAL, "").await?;
        assert_eq!(answer.status, 422, "{amount}: {}", answer.body);
        assert_eq!(answer.code(), "validation_error", "{amount}");
        let pointer = answer.text("/errors/0/source/pointer")?;
        assert_eq!(pointer, "/data/attributes/cash_apply_amount", "{amount}");
    }
    for amount in NOT_JSON {
        let answer = stack.cash_out(1, amount, MANUAL, "").await?;
        assert_eq!(answer.status, 400, "{amount}: {}", answer.body);
    }
    assert_eq!(stack.balance(1).await?, (100_000, 0));
    stack.stop().await
}

#[tokio::test]
async fn money_is_read_as_it_is_written() -> anyhow::Result<()> {
    let stack = one("written", &[]).await?;
    stack.rich(1, 100_000).await?;
    let mut left = 100_000;
    for (amount, minor, shown) in [
        ("0.01", 1, "0.01"),
        ("0.1", 10, "0.10"),
        ("\"0.10\"", 10, "0.10"),
        ("1", 100, "1.00"),
        ("1.0", 100, "1.00"),
        ("\"1.00\"", 100, "1.00"),
        ("0.29", 29, "0.29"),
        ("1.15", 115, "1.15"),
        ("\"4.35\"", 435, "4.35"),
        ("81.91", 8_191, "81.91"),
        ("\"100\"", 10_000, "100.00"),
    ] {
        let answer = stack.cash_out(1, amount, MANUAL, "").await?;
        assert_eq!(answer.status, 200, "{amount}: {}", answer.body);
        assert_eq!(answer.text("/data/attributes/cash_apply_amount")?, shown);
        let number = text_at(&answer.body, "/data/attributes/cash_actual_amount")?;
        assert_eq!(number, shown.trim_end_matches('0').trim_end_matches('.'), "{amount}");
        left -= minor;
        assert_eq!(stack.balance(1).await?, (left, 100_000 - left));
    }
    stack.stop().await
}

#[tokio::test]
async fn broken_bodies_are_refused_whole() -> anyhow::Result<()> {
    let stack = one("bodies", &[]).await?;
    stack.rich(1, 100_000).await?;
    let good = r#""cash_type":0,"cash_mobile":"13800138000""#;
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for (body, status, code) in [
        ("", 400, ""),
        ("[]", 0, ""),
        ("null", 0, ""),
        ("{}", 422, "validation_error"),
        (r#"{"data":{}}"#, 422, "validation_error"),
        (r#"{"data":{"attributes":[]}}"#, 0, ""),
        (deep.as_str(), 400, ""),
        (
            &format!(
                r#"{{"data":{{"attributes":{{"cash_apply_amount":1,"cash_apply_amount":1,{good}}}}}}}"#
            ),
            400,
            "",
        ),
        (
            &format!(r#"{{"data":{{"attributes":{{"cash_apply_amount":1,{good}}}}},"data":{{}}}}"#),
            400,
            "",
        ),
        (
            &format!(
                r#"{{"data":{{"attributes":{{"cash_apply_amount":1,{good},"x":{{"a":1,"a":2}}}}}}}}"#
            ),
            400,
            "",
        ),
        (
            &format!(
                r#"{{"data":{{"attributes":{{"cash_apply_amount":1,{good}}},"attritbutes":{{"cash_apply_amount":1,{good}}}}}}}"#
            ),
            422,
            "validation_error",
        ),
        (&format!(r#"{{"data":{{"attributes":{{"cash_apply_amount":1,{good}}}}}}} x"#), 400, ""),
        (&cash("1", MANUAL).replace(MOBILE, "1380013800"), 422, "validation_error"),
        (&cash("1", MANUAL).replace(MOBILE, "１3800138000"), 422, "validation_error"),
        (&cash("1", MANUAL).replace(MOBILE, "+8613800138000"), 422, "validation_error"),
        (
            &cash("1", MANUAL).replace("\"cash_type\":0", "\"cash_type\":\"0\""),
            422,
            "validation_error",
        ),
        (
            &cash("1", MANUAL).replace("\"cash_type\":0", "\"cash_type\":0.5"),
            422,
            "validation_error",
        ),
        (&cash("1", MANUAL).replace("\"cash_type\":0", "\"cash_type\":99"), 422, "cash_type_error"),
    ] {
        let answer = stack.post(&user(1), "/api/wallet/cash", body, "").await?;
        let fits =
            if status == 0 { [400, 422].contains(&answer.status) } else { answer.status == status };
        assert!(fits, "{body}: {} {}", answer.status, answer.body);
        assert!(code.is_empty() || answer.code() == code, "{body}: {}", answer.body);
    }
    assert_eq!(stack.balance(1).await?, (100_000, 0));
    stack.stop().await
}

#[tokio::test]
async fn unknown_attributes_are_ignored_and_never_stored() -> anyhow::Result<()> {
    let stack = one("mass", &[]).await?;
    stack.rich(1, 1_000).await?;
    stack.rich(2, 1_000).await?;
    let body = cash("1", MANUAL).replace(
        "\"cash_type\":0",
        r#""cash_type":0,"user_id":2,"cash_status":5,"cash_charge":"-9","id":77,"cash_sn":"1""#,
    );
    let answer = stack.post(&user(1), "/api/wallet/cash", &body, "").await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.at("/data/attributes/user_id")?, 1);
    assert_eq!(answer.at("/data/attributes/cash_status")?, 1);
    assert_eq!(answer.text("/data/attributes/cash_charge")?, "0.00");
    assert_eq!(stack.balance(2).await?, (1_000, 0));
    stack.stop().await
}

/// One path of each family, and how it says no.
async fn refusal(stack: &Stack, method: Method, path: &str, status: u16) -> anyhow::Result<()> {
    let answer = stack.ask(method.clone(), &admin(99), path, "", "").await?;
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    let json = answer.json()?;
    let member = match path {
        p if p.starts_with("/sett") => "/err_desc",
        p if p.starts_with("/user") => "/message",
        _ => "/errors/0/code",
    };
    let told = json.pointer(member).and_then(|v| v.as_str()).context("in the family's envelope")?;
    assert!(!told.is_empty(), "{method} {path}: {}", answer.body);
    Ok(())
}

#[tokio::test]
async fn routes_methods_and_sizes_are_refused_in_the_envelope_of_the_family() -> anyhow::Result<()>
{
    let stack = one("envelopes", &[]).await?;
    for path in
        ["/sett/nothing", "/user/capital-account/nothing", "/api/wallet/nothing", "/nothing"]
    {
        refusal(&stack, Method::GET, path, 404).await?;
    }
    for (method, path) in [
        (Method::DELETE, "/sett/sett"),
        (Method::PUT, "/sett/withdrawList"),
        (Method::POST, "/user/capital-account/new-list"),
        (Method::PUT, "/api/wallet/cash"),
        (Method::GET, "/api/wallet/cash/review"),
        (Method::DELETE, "/api/wallet/user/1"),
    ] {
        refusal(&stack, method, path, 405).await?;
    }
    let large = format!("{{\"data\":\"{}\"}}", "x".repeat(70_000));
    for path in ["/sett/sett", "/api/wallet/cash", "/api/wallet/cash/review"] {
        let answer = stack.post(&admin(99), path, &large, "").await?;
        assert_eq!(answer.status, 413, "{path}: {}", answer.body);
        answer.json()?;
    }
    for key in ["x".repeat(256), "schlüssel".to_owned()] {
        let request = stack.request(Method::POST, &user(1), "/api/wallet/cash")?;
        let request = request.header("idempotency-key", key.into_bytes()).body(cash("1", MANUAL));
        let answer = crate::support::web::send(request).await?;
        assert_eq!(answer.status, 400, "{}", answer.body);
    }
    stack.stop().await
}

#[tokio::test]
async fn brackets_work_raw_and_encoded_and_parameters_are_checked() -> anyhow::Result<()> {
    let stack = one("brackets", &[]).await?;
    stack.rich(7, 1_000).await?;
    let list = "/user/capital-account/new-list";
    for query in
        ["page[cur_page]=1&page[page_size]=50", "page%5Bcur_page%5D=1&page%5bpage_size%5d=50"]
    {
        let answer = stack.get(&teacher(7), &format!("{list}?{query}")).await?;
        assert_eq!(answer.at("/data/page/page_size")?, 50, "{query}: {}", answer.body);
    }
    for query in [
        "page[cur_page]=0",
        "page[cur_page]=-1",
        "page[cur_page]=x",
        "page[page_size]=0",
        "page[page_size]=501",
        "page[page_size]=1e1",
        "trade_type=both",
        "date_time=2020-13-01",
        "date_time=2020-02-30",
        "date_time=yesterday",
        "page[cur_page]=99999999999999999999",
    ] {
        let answer = stack.get(&teacher(7), &format!("{list}?{query}")).await?;
        assert_eq!((answer.status, answer.at("/code")?), (200, (-1).into()), "{query}");
        assert!(answer.at("/data")?.is_null(), "{query}");
    }
    for query in ["id=x", "id=-7", "id=07", "id=9007199254740992", "page=0", "page_size=501"] {
        let answer = stack.get(&admin(99), &format!("/sett/withdrawList?{query}")).await?;
        assert_eq!(
            (answer.status, answer.at("/code")?),
            (200, 4.into()),
            "{query}: {}",
            answer.body
        );
    }
    for query in [
        "include=nothing",
        "filter[nothing]=1",
        "filter[cash_status]=x",
        "sort=amount",
        "page[number]=0",
        "filter[start_time]=soon",
    ] {
        let answer = stack.get(&admin(99), &format!("/api/wallet/cash?{query}")).await?;
        assert!([400, 422].contains(&answer.status), "{query}: {}", answer.body);
    }
    stack.stop().await
}
