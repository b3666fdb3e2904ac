//! Who may see and do what: every endpoint against everybody, no cell untested (guarantee G19).

use reqwest::Method;

use crate::support::people::{MANUAL, cash};
use crate::support::web::{ANONYMOUS, Answer, Who, admin, reviewer, teacher};
use crate::support::{Stack, one};

/// What comes back, in the words of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Carried out.
    Ok,
    /// Log in first.
    Login,
    /// Not allowed.
    Denied,
    /// As if it did not exist.
    Absent,
    /// Allowed, and refused by a rule about money.
    Refused,
}
use Seen::{Absent, Denied, Login, Ok as Yes, Refused};

/// One endpoint, and what nobody, the owner, another teacher, a reviewer and an administrator get.
struct Row {
    method: &'static str,
    path: &'static str,
    body: &'static str,
    seen: [Seen; 5],
}

const fn row(method: &'static str, path: &'static str, body: &'static str, seen: [Seen; 5]) -> Row {
    Row { method, path, body, seen }
}

/// The owner is teacher 7; `{id}` is their cash-out, `{entry}` their first entry.
const MATRIX: &[Row] = &[
    row("GET", "/healthz", "", [Yes, Yes, Yes, Yes, Yes]),
    row("GET", "/readyz", "", [Yes, Yes, Yes, Yes, Yes]),
    row("GET", "/sett/sett", "", [Login, Yes, Yes, Denied, Yes]),
    row("POST", "/sett/sett", "", [Login, Yes, Yes, Denied, Yes]),
    row("GET", "/sett/sett?id=7", "", [Login, Yes, Denied, Denied, Yes]),
    row("POST", "/sett/sett", r#"{"id":"7"}"#, [Login, Yes, Denied, Denied, Yes]),
    row("GET", "/sett/withdrawList", "", [Login, Yes, Yes, Denied, Yes]),
    row("GET", "/sett/withdrawList?id=7", "", [Login, Yes, Denied, Denied, Yes]),
    row("POST", "/sett/withdrawList", r#"{"id":"7"}"#, [Login, Yes, Denied, Denied, Yes]),
    row("GET", "/user/capital-account/new-list", "", [Login, Yes, Yes, Yes, Yes]),
    // Own entries only, whoever asks.
    row("GET", "/user/capital-account/detail?id={entry}", "", [Login, Yes, Absent, Absent, Absent]),
    // Everybody may ask for their own money; only the owner has some.
    row("POST", "/api/wallet/cash", "{cash}", [Login, Yes, Refused, Refused, Refused]),
    row("GET", "/api/wallet/cash", "", [Login, Yes, Yes, Yes, Yes]),
    row("GET", "/api/wallet/cash/{id}", "", [Login, Yes, Absent, Absent, Yes]),
    row("GET", "/api/wallet/log", "", [Login, Yes, Yes, Yes, Yes]),
    row("GET", "/api/wallet/user/7", "", [Login, Yes, Absent, Absent, Yes]),
    row("PATCH", "/api/wallet/user/7", "{lock}", [Login, Denied, Denied, Denied, Yes]),
    row("POST", "/api/wallet/cash/review", "{review}", [Login, Denied, Denied, Yes, Yes]),
    // The owner alone cancels; not even an administrator in their place.
    row("DELETE", "/api/wallet/cash/{id}", "", [Login, Yes, Absent, Absent, Absent]),
];

const OWNER: usize = 1;

fn everybody() -> [Who; 5] {
    [ANONYMOUS, teacher(7), teacher(8), reviewer(50), admin(99)]
}

/// Reads an answer in the words of the table.
fn seen(path: &str, answer: &Answer) -> anyhow::Result<Seen> {
    if path.starts_with("/sett") || path.starts_with("/user") {
        assert_eq!(answer.status, 200, "business answers are 200: {}", answer.body);
        let code = answer.at("/code")?;
        return Ok(match code.as_i64() {
            Some(0) => Yes,
            Some(403 | 99) => Login,
            Some(401) => Denied,
            Some(404 | -1) => Absent,
            _ => anyhow::bail!("{path}: no answer of the table: {}", answer.body),
        });
    }
    Ok(match answer.status {
        200 => Yes,
        401 => Login,
        403 => Denied,
        404 => Absent,
        422 => Refused,
        _ => anyhow::bail!("{path}: no answer of the table: {} {}", answer.status, answer.body),
    })
}

#[tokio::test]
async fn everybody_sees_and_moves_what_the_table_says() -> anyhow::Result<()> {
    let stack = one("matrix", &[]).await?;
    stack.rich(7, 100_000).await?;
    for person in [8, 50, 99] {
        stack.person(person).await?;
    }
    for row in MATRIX {
        // A new cash-out for each row, so that no row lives off another.
        let taken = stack.cash_out(7, "1.23", MANUAL, "").await?;
        let (id, cash_sn) = (taken.text("/data/id")?, taken.text("/data/attributes/cash_sn")?);
        // The owner last: what they do may end it.
        let mut order = [0, 2, 3, 4, OWNER];
        if row.body == "{review}" {
            order = [0, OWNER, 2, 3, 4];
        }
        for column in order {
            let answer = ask(&stack, row, &everybody()[column], &id).await?;
            let what = format!("{} {} as column {column}: {}", row.method, row.path, answer.body);
            assert_eq!(seen(row.path, &answer)?, row.seen[column], "{what}");
            let own_or_admin = column == OWNER || column == 4;
            let decides = row.path.ends_with("review");
            assert!(own_or_admin || decides || !answer.body.contains(&cash_sn), "{what}");
        }
    }
    stack.stop().await
}

async fn ask(stack: &Stack, row: &Row, who: &Who, id: &str) -> anyhow::Result<Answer> {
    let entry =
        if row.path.contains("{entry}") { first_entry(stack).await? } else { String::new() };
    let path = row.path.replace("{id}", id).replace("{entry}", &entry);
    let body = match row.body {
        "{cash}" => cash("1", MANUAL),
        "{lock}" => r#"{"wallet_status":0}"#.to_owned(),
        "{review}" => format!(r#"{{"ids":[{id}],"cash_status":3,"remark":"no"}}"#),
        other => other.to_owned(),
    };
    stack.ask(row.method.parse::<Method>()?, who, &path, &body, "").await
}

async fn first_entry(stack: &Stack) -> anyhow::Result<String> {
    let list = stack.get(&teacher(7), "/user/capital-account/new-list").await?;
    list.text("/data/list/0/id")
}

#[tokio::test]
async fn somebody_elses_object_answers_exactly_like_one_that_does_not_exist() -> anyhow::Result<()>
{
    let stack = one("absent", &[]).await?;
    stack.rich(7, 1_000).await?;
    let id = stack.requested(7, "1", MANUAL).await?;
    for (method, theirs, nobodys) in [
        ("GET", format!("/api/wallet/cash/{id}"), "/api/wallet/cash/4999"),
        ("DELETE", format!("/api/wallet/cash/{id}"), "/api/wallet/cash/4999"),
        ("GET", "/api/wallet/user/7".to_owned(), "/api/wallet/user/4999"),
        (
            "GET",
            format!("/user/capital-account/detail?id={}", first_entry(&stack).await?),
            "/user/capital-account/detail?id=4999",
        ),
    ] {
        let method: Method = method.parse()?;
        let one = stack.ask(method.clone(), &teacher(8), &theirs, "", "").await?;
        let other = stack.ask(method, &teacher(8), nobodys, "", "").await?;
        assert_eq!(one, other, "{theirs}");
    }
    stack.stop().await
}
