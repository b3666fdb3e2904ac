//! The description that clients are given: whole, of every route there is, and a judge that notices what is not in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cashout_common::kind::{Direction, Kind};
use cashout_proto::Reason;
use serde_json::{Value, json};

use crate::judge::{Asked, Judge};
use crate::stack::{Answer, Person, Stack};

const NOW_S: i64 = 1_600_000_000;

async fn served() -> anyhow::Result<Judge> {
    let stack = Stack::at(NOW_S).await?;
    let answer = stack.get(&Person::Nobody, "/openapi.json").await?;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    stack.stop().await;
    Judge::of(&answer.body)
}

/// Every `$ref` in it.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn routes(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
    document["paths"].as_object().into_iter().flatten()
}

#[tokio::test]
async fn the_description_is_whole_and_says_nothing_that_nobody_refers_to() -> anyhow::Result<()> {
    let document = served().await?.document;
    let (mut referred, mut there) = (BTreeSet::new(), BTreeSet::new());
    references(&document, &mut referred);
    for (kind, all) in document["components"].as_object().into_iter().flatten() {
        let all = all.as_object().into_iter().flatten().filter(|_| kind != "securitySchemes");
        there.extend(all.map(|(name, _)| format!("#/components/{kind}/{name}")));
    }
    assert_eq!(referred, there);
    let operations = routes(&document).flat_map(|(_, methods)| methods.as_object()).flatten();
    let ids: Vec<&Value> = operations.map(|(_, operation)| &operation["operationId"]).collect();
    let unique: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!((ids.len(), unique.contains("null")), (unique.len(), false));
    Ok(())
}

#[tokio::test]
async fn routes_take_the_methods_that_are_described_and_no_others() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let document = stack.get(&Person::Nobody, "/openapi.json").await?.json()?;
    for (route, described) in routes(&document) {
        let path = route.replace("{id}", "1").replace("{user_id}", "1");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer = stack.call(method, &path, &Person::Nobody, "", "").await?;
            let there = described.get(method.to_lowercase()).is_some();
            assert_eq!(answer.status != 405, there, "{method} {path}");
            assert_ne!(answer.status, 404, "{method} {path}");
        }
    }
    stack.stop().await;
    Ok(())
}

/// Rust files under a folder.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.to_string_lossy().ends_with(".rs")
            && !path.to_string_lossy().ends_with("_tests.rs")
        {
            found.push(path);
        }
    }
    Ok(found)
}

#[tokio::test]
async fn every_route_of_the_source_is_described() -> anyhow::Result<()> {
    let document = served().await?.document;
    let described: BTreeSet<&str> = routes(&document).map(|(route, _)| route.as_str()).collect();
    let mut found = BTreeSet::new();
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))? {
        let text = std::fs::read_to_string(file)?;
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        // A route is a text between quotes that begins with a slash and goes on below it.
        let texts = code.split('"').skip(1).step_by(2);
        let path = |text: &&str| {
            text.starts_with('/') && text.bytes().all(|b| b" :".iter().all(|no| b != *no))
        };
        found.extend(texts.filter(path).map(str::to_owned));
    }
    // What a path begins with in a family, and a pointer into a body.
    for other in ["/", "/sett", "/user/capital-account", "/data/attributes/{field}"] {
        found.remove(other);
    }
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, described);
    Ok(())
}

#[tokio::test]
async fn every_word_for_a_failure_is_described() -> anyhow::Result<()> {
    let document = served().await?.document;
    let schema = &document["components"]["schemas"]["WalletFailure"]["properties"]["errors"];
    let words = schema["items"]["properties"]["code"]["enum"].as_array();
    let described: BTreeSet<&str> = words.into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(described, Reason::ALL.iter().map(|reason| reason.row().wallet).collect());
    Ok(())
}

#[tokio::test]
async fn every_kind_of_entry_is_described() -> anyhow::Result<()> {
    let document = served().await?.document;
    let schemas = &document["components"]["schemas"];
    let one = &schemas["EntryDetail"]["properties"]["data"]["properties"]["process_type"]["enum"];
    let numbers: Vec<i32> = Kind::ALL.iter().map(|kind| i32::from(kind.row().number)).collect();
    assert_eq!(*one, json!(numbers));
    // A statement has what moves the available balance.
    let rows = &schemas["StatementRow"]["properties"]["process_type"]["enum"];
    let moving =
        Kind::ALL.iter().map(|kind| kind.row()).filter(|row| row.direction != Direction::Still);
    let numbers: Vec<String> = moving.map(|row| row.number.to_string()).collect();
    assert_eq!(*rows, json!(numbers));
    Ok(())
}

fn answer(status: u16, media: &str, headers: &str, body: &Value) -> anyhow::Result<Answer> {
    Answer::read(&format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {media}\r\nx-request-id: r\r\n{headers}\r\n{body}"
    ))
}

#[tokio::test]
async fn what_is_not_described_is_noticed() -> anyhow::Result<()> {
    const API: &str = "application/vnd.api+json";
    const JSON: &str = "application/json";
    let judge = served().await?;
    let reviewed = json!({"type": "cash-review", "data": {"result": {"3": "success"}}});
    let review = |body: &str| {
        format!("POST /api/wallet/cash/review HTTP/1.1\r\nIdempotency-Key: k\r\n\r\n{body}")
    };
    let fine = r#"{"ids":[3],"cash_status":2}"#;
    let list = |query: &str| format!("GET /sett/withdrawList?{query} HTTP/1.1\r\n\r\n");
    let rows = json!({"code": 0, "data": {"count": 0, "ts": 1, "items": []}});
    let replayed = "idempotency-replayed: true\r\n";
    for (request, status, media, headers, body, described) in [
        (review(fine), 200, API, replayed, reviewed.clone(), true),
        // A status, a media type, a header, a value of one, a word, a member too many, one too few, another type.
        (review(fine), 201, API, "", reviewed.clone(), false),
        (review(fine), 200, JSON, "", reviewed.clone(), false),
        (review(fine), 200, API, "retry-after: 1\r\n", reviewed.clone(), false),
        (review(fine), 200, API, "idempotency-replayed: yes\r\n", reviewed.clone(), false),
        (
            review(fine),
            200,
            API,
            "",
            json!({"type": "cash-review", "data": {"result": {"3": "so"}}}),
            false,
        ),
        (
            review(fine),
            200,
            API,
            "",
            json!({"type": "cash-review", "data": {"result": {}}, "x": 1}),
            false,
        ),
        (review(fine), 200, API, "", json!({"type": "cash-review"}), false),
        (review(fine), 200, API, "", json!({"type": 7, "data": {"result": {}}}), false),
        // A request that should not have succeeded, or is not described.
        (review(r#"{"cash_status":2}"#), 200, API, "", reviewed.clone(), false),
        (review(fine).replace(": k", ": é"), 200, API, "", reviewed.clone(), false),
        (review(fine).replace("/review", "/other/x"), 200, API, "", reviewed, false),
        (list("page_size=5"), 200, JSON, "", rows.clone(), true),
        (list("page_size=501"), 200, JSON, "", rows.clone(), false),
        (list("filter[x]=1"), 200, JSON, "", rows, false),
        (list("page_size=501"), 200, JSON, "", json!({"code": 4, "err_desc": ""}), true),
        (list(""), 200, JSON, "", json!({"code": 0, "err_desc": ""}), false),
        (list(""), 503, JSON, "retry-after: 1\r\n", json!({"code": 503, "err_desc": ""}), true),
        (list(""), 422, JSON, "", json!({"code": 4, "err_desc": ""}), false),
    ] {
        let asked = Asked::read(request.as_bytes()).ok_or_else(|| anyhow::anyhow!("no request"))?;
        let found = judge.judge(asked, &answer(status, media, headers, &body)?);
        assert_eq!(found.is_ok(), described, "{request} {status} {body}: {found:?}");
    }
    Ok(())
}
