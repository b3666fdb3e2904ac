//! `/openapi.json`: what the gateway takes and answers, for programs. Each family describes its endpoints in a
//! `description.json` beside their code; here those become one document.
//!
//! Written by hand, for the contract is older than the code, and held to it by the tests: see decision 0034. Must not
//! know: any endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::App;

/// What stands around the families: security, tags, and what operators ask.
pub const COMMON: &str = include_str!("description.json");

const PATH: &str = "/openapi.json";

/// By name. What is named stays as it was written: the order of fields is the documents'.
type Named<'a> = BTreeMap<&'a str, &'a RawValue>;

/// What stands once in a document, in its order.
#[derive(Deserialize, Serialize)]
struct Whole<'a> {
    #[serde(borrow)]
    openapi: &'a RawValue,
    info: &'a RawValue,
    servers: &'a RawValue,
    security: &'a RawValue,
    tags: &'a RawValue,
    paths: Named<'a>,
    components: BTreeMap<&'a str, Named<'a>>,
}

/// What every part may have.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    paths: Named<'a>,
    components: BTreeMap<&'a str, Named<'a>>,
}

/// The document that a common part and others make together, as JSON.
///
/// # Errors
/// When a part is none, or two describe the same.
pub fn joined(common: &str, parts: &[&str]) -> anyhow::Result<Bytes> {
    let mut whole: Whole<'_> = serde_json::from_str(common).context("the common part")?;
    for part in parts {
        let part: Part<'_> = serde_json::from_str(part).context("a part")?;
        join(&mut whole.paths, part.paths)?;
        for (kind, named) in part.components {
            join(whole.components.entry(kind).or_default(), named)?;
        }
    }
    Ok(Bytes::from(serde_json::to_vec(&whole)?))
}

fn join<'a>(whole: &mut Named<'a>, part: Named<'a>) -> anyhow::Result<()> {
    for (name, described) in part {
        ensure!(whole.insert(name, described).is_none(), "{name} is described twice");
    }
    Ok(())
}

/// The route of a document, open to everybody.
pub fn routes(document: Bytes) -> Router<Arc<App>> {
    let answer = async move || {
        let mut response = Response::new(Body::from(document));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    };
    Router::new().route(PATH, get(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_one_and_nothing_is_described_twice() -> anyhow::Result<()> {
        let common = r#"{"openapi":1,"info":2,"servers":3,"security":4,"tags":5,"paths":{"/b":{"y":1,"x":2}},
            "components":{"schemas":{"B":{}}}}"#;
        let part = r#"{"paths":{"/a":{}},"components":{"schemas":{"A":{}},"headers":{"B":{}}}}"#;
        let whole = r#"{"openapi":1,"info":2,"servers":3,"security":4,"tags":5,"paths":{"/a":{},"/b":{"y":1,"x":2}},"components":{"headers":{"B":{}},"schemas":{"A":{},"B":{}}}}"#;
        assert_eq!(joined(common, &[part])?, whole);
        for (parts, told) in [
            ([part, part], "/a is described twice"),
            ([r#"{"paths":{},"components":{"schemas":{"B":{}}}}"#, part], "B is described twice"),
            ([part, "[]"], "a part"),
        ] {
            let error = joined(common, &parts).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(told));
        }
        Ok(())
    }
}
