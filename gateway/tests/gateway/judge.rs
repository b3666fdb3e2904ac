//! `/openapi.json` as the judge of every answer that a test gets: route, status, headers and body must be described, and
//! whatever succeeded must have been asked as described.
//!
//! It is stricter than the document: here no object of an answer has a member that is not described. Must not know: what
//! any test asks for.

use anyhow::{Context, bail, ensure};
use boon::{CompileError, Compiler, Schemas};
use serde_json::{Map, Value, json};

use crate::stack::Answer;

/// What may go wrong with any request, described once for each family.
const ANYWHERE: [u16; 5] = [408, 413, 429, 500, 503];

/// A request as it was sent.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The line and the headers.
    head: &'a str,
    body: &'a str,
}

impl<'a> Asked<'a> {
    /// From its bytes; `None` when they are no text, which no described request is.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (head, body) = std::str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?;
        Some(Self { head, body })
    }

    fn method(self) -> String {
        self.head.split(' ').next().unwrap_or_default().to_ascii_lowercase()
    }

    fn target(self) -> (&'a str, &'a str) {
        let target = self.head.split(' ').nth(1).unwrap_or_default();
        target.split_once('?').unwrap_or((target, ""))
    }

    fn header(self, name: &str) -> Option<&'a str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A document that answers are held to.
#[derive(Debug)]
pub struct Judge {
    /// As it is served.
    pub document: Value,
    /// Its components, where no object has a member that is not described.
    closed: Value,
}

/// An operation of a route, and what the route's parameters stand for in a request.
struct Operation<'a> {
    value: &'a Value,
    path: Vec<(&'a str, &'a str)>,
}

impl Judge {
    /// Of a document as it is served.
    pub fn of(document: &str) -> anyhow::Result<Self> {
        let document: Value = serde_json::from_str(document)?;
        let mut closed = document["components"].clone();
        close(&mut closed);
        Ok(Self { document, closed })
    }

    /// Whether a request and its answer are as described.
    pub fn judge(&self, asked: Asked<'_>, answer: &Answer) -> anyhow::Result<()> {
        let (path, _) = asked.target();
        let told = || format!("{} {path}, answered {}", asked.method(), answer.status);
        if answer.header("x-request-id").is_none() {
            // HTTP itself said no, before anything of ours was asked: nobody else answers without an id.
            let broken = matches!(answer.status, 400 | 408 | 414 | 431) && answer.body.is_empty();
            return broken.then_some(()).context("no X-Request-Id").with_context(told);
        }
        let Some(operation) = self.operation(&asked.method(), path) else {
            return self.undescribed(path, answer).with_context(told);
        };
        self.answered(operation.value, asked, answer).with_context(told)?;
        if answer.status < 300 && succeeded(answer) {
            self.was_asked(&operation, asked).with_context(told)?;
        }
        Ok(())
    }

    fn operation<'a>(&'a self, method: &str, path: &'a str) -> Option<Operation<'a>> {
        let routes = self.document["paths"].as_object()?;
        let (route, value) =
            routes.iter().find_map(|(route, value)| Some((parameters(route, path)?, value)))?;
        let method = if method == "head" { "get" } else { method };
        Some(Operation { value: value.get(method)?, path: route })
    }

    /// Where nothing is described there is nothing, and the path's family says so.
    fn undescribed(&self, path: &str, answer: &Answer) -> anyhow::Result<()> {
        let refused = matches!(answer.status, 404 | 405) || ANYWHERE.contains(&answer.status);
        ensure!(refused, "this route is not described");
        let failure = match path {
            "/notify/alipay" => return Ok(()),
            "/notify/wechat" => "NotificationFailure",
            _ if path.starts_with("/sett") => "SettlementFailure",
            _ if path.starts_with("/user/capital-account") => "CapitalFailure",
            _ => "WalletFailure",
        };
        if answer.body.is_empty() {
            return Ok(());
        }
        let schema = json!({ "$ref": format!("#/components/schemas/{failure}") });
        valid(&schema, &self.closed, &answer.json()?)
    }

    fn answered(&self, operation: &Value, asked: Asked<'_>, answer: &Answer) -> anyhow::Result<()> {
        let responses = &operation["responses"];
        let own = responses.get(answer.status.to_string());
        let other = responses.get("default").filter(|_| ANYWHERE.contains(&answer.status));
        let response = self.followed(own.or(other).context("this status is not described")?)?;
        for name in ["X-Request-Id", "Idempotency-Replayed", "Retry-After"] {
            let Some(value) = answer.header(name) else { continue };
            let header = response["headers"]
                .get(name)
                .with_context(|| format!("{name} is not described"))?;
            valid(&self.followed(header)?["schema"], &self.closed, &json!(value)).context(name)?;
        }
        if asked.method() == "head" {
            return Ok(());
        }
        let Some(content) = response.get("content") else {
            ensure!(answer.body.is_empty(), "a body is not described");
            return Ok(());
        };
        let media = media(answer.header("content-type"));
        let described =
            content.get(media).with_context(|| format!("{media:?} is not described"))?;
        let body = if media.ends_with("json") { answer.json()? } else { json!(answer.body) };
        for error in body["errors"].as_array().into_iter().flatten() {
            ensure!(
                error["status"] == json!(answer.status.to_string()),
                "it tells of another status"
            );
        }
        if matches!(answer.status, 429 | 503) {
            answer.header("retry-after").context("it does not tell when to come again")?;
        }
        valid(&described["schema"], &self.closed, &body)
    }

    /// What succeeded was asked as described: clients who keep to it, and only they, can rely on that.
    fn was_asked(&self, operation: &Operation<'_>, asked: Asked<'_>) -> anyhow::Result<()> {
        let open = &self.document["components"];
        let listed = operation.value["parameters"].as_array().into_iter().flatten();
        let listed: Vec<&Value> =
            listed.map(|one| self.followed(one)).collect::<anyhow::Result<_>>()?;
        let query: Vec<(String, String)> =
            form_urlencoded::parse(asked.target().1.as_bytes()).into_owned().collect();
        let query = query.iter().map(|(name, value)| ("query", name.as_str(), value.as_str()));
        let path = operation.path.iter().map(|(name, value)| ("path", *name, *value));
        let key = asked.header("idempotency-key").map(|key| ("header", "Idempotency-Key", key));
        for (place, name, value) in query.chain(path).chain(key) {
            let parameter = listed.iter().find(|p| p["in"] == place && p["name"] == name);
            let Some(parameter) = parameter else {
                // What nobody knows is ignored, but for filters and pages.
                ensure!(!name.contains('['), "{name} is not described");
                continue;
            };
            // An empty parameter is absent; an empty key is none.
            if place == "query" && value.is_empty() {
                continue;
            }
            let integer = parameter["schema"]["type"] == "integer";
            let value = if integer { serde_json::from_str(value)? } else { json!(value) };
            valid(&parameter["schema"], open, &value).with_context(|| name.to_owned())?;
        }
        let chunked = asked.header("transfer-encoding").is_some();
        let content = operation.value.get("requestBody").map(|body| &body["content"]);
        let Some(content) = content.filter(|_| !asked.body.is_empty() && !chunked) else {
            return Ok(());
        };
        let json = asked.body.trim_start().starts_with('{');
        let body = if json { serde_json::from_str(asked.body)? } else { form(asked.body) };
        let media = if json { "application/json" } else { "application/x-www-form-urlencoded" };
        let described = content.get(media).with_context(|| format!("{media} is not described"))?;
        valid(&described["schema"], open, &body).context("the body of the request")
    }

    /// What stands where a `$ref` points, or the value itself.
    fn followed<'a>(&'a self, value: &'a Value) -> anyhow::Result<&'a Value> {
        let Some(place) = value.get("$ref").and_then(Value::as_str) else { return Ok(value) };
        let place = place.strip_prefix('#').context("a reference out of the document")?;
        self.document.pointer(place).with_context(|| format!("nothing is at {place}"))
    }
}

/// What the parameters of a route stand for in a path, when it is a path of that route.
fn parameters<'a>(route: &'a str, path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let (mut route, mut path, mut found) = (route.split('/'), path.split('/'), Vec::new());
    loop {
        match (route.next(), path.next()) {
            (None, None) => return Some(found),
            (Some(name), Some(value)) => {
                match name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                    Some(name) => found.push((name, value)),
                    None if name == value => {}
                    None => return None,
                }
            }
            _ => return None,
        }
    }
}

/// Documents 1 and 2 say no with HTTP 200.
fn succeeded(answer: &Answer) -> bool {
    let code = answer.json().ok().and_then(|body| body.get("code").cloned());
    code.is_none_or(|code| code == 0)
}

fn media(header: Option<&str>) -> &str {
    header.unwrap_or_default().split(';').next().unwrap_or_default().trim()
}

fn form(body: &str) -> Value {
    let pairs = form_urlencoded::parse(body.as_bytes());
    Value::Object(
        pairs.map(|(name, value)| (name.into_owned(), json!(value))).collect::<Map<_, _>>(),
    )
}

/// Lets no object have a member that is not described.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn valid(schema: &Value, components: &Value, value: &Value) -> anyhow::Result<()> {
    const PLACE: &str = "judge:/schema";
    let whole = json!({ "components": components, "allOf": [schema] });
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    let broken = |error: CompileError| anyhow::anyhow!("{error}");
    compiler.add_resource(PLACE, whole).map_err(broken)?;
    let place = compiler.compile(PLACE, &mut schemas).map_err(broken)?;
    let wrong = schemas.validate(value, place).err().map(|error| error.to_string());
    wrong.map_or(Ok(()), |wrong| bail!("{wrong}\nin {value}"))
}
