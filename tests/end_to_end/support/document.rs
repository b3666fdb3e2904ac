//! JSON with the order of its members and the text of its numbers kept: what a golden test compares.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One value of a document: where it is, its JSON type, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// `/data/items/0/id`.
    pub path: String,
    /// `object`, `array`, `string`, `number`, `boolean` or `null`.
    pub kind: &'static str,
    /// As written.
    pub text: String,
}

/// Members in the order in which they stand.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Every value of a document in order. Of a list of objects only the first: the others look alike.
pub fn members(json: &str) -> anyhow::Result<Vec<Member>> {
    let raw: Box<RawValue> = serde_json::from_str(json)?;
    let mut found = Vec::new();
    walk("", raw.get(), &mut found)?;
    Ok(found)
}

fn walk(path: &str, text: &str, found: &mut Vec<Member>) -> anyhow::Result<()> {
    let kind = match text.as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    };
    let leaf = kind != "object" && kind != "array";
    let shown = if leaf { text.to_owned() } else { String::new() };
    found.push(Member { path: path.to_owned(), kind, text: shown });
    if kind == "object" {
        for (name, value) in serde_json::from_str::<Members>(text)?.0 {
            walk(&format!("{path}/{name}"), value.get(), found)?;
        }
    } else if kind == "array" {
        let items: Vec<Box<RawValue>> = serde_json::from_str(text)?;
        let objects = items.first().is_some_and(|item| item.get().starts_with('{'));
        let shown = if objects && !path.ends_with("included") { 1 } else { items.len() };
        for (at, item) in items.iter().take(shown).enumerate() {
            walk(&format!("{path}/{at}"), item.get(), found)?;
        }
    }
    Ok(())
}

/// Compares an answer with a documented body: the same members in the same order with the same JSON
/// types. `different` lists paths whose type differs, each explained by the test's set-up.
pub fn same_shape(documented: &str, answer: &str, different: &[&str]) -> anyhow::Result<()> {
    let shape = |json: &str| -> anyhow::Result<Vec<String>> {
        let all = members(json)?;
        let shown = all.iter().map(|m| {
            let kind = if different.contains(&m.path.as_str()) { "explained" } else { m.kind };
            format!("{} {kind}", m.path)
        });
        Ok(shown.collect())
    };
    let (expected, got) = (shape(documented)?, shape(answer)?);
    for (at, expected) in expected.iter().enumerate() {
        let got = got.get(at).map_or("nothing", String::as_str);
        anyhow::ensure!(expected == got, "documented {expected:?}, answered {got:?}\n{answer}");
    }
    anyhow::ensure!(expected.len() == got.len(), "more than documented:\n{answer}");
    Ok(())
}

/// The text of one value of a document.
pub fn text_at(json: &str, path: &str) -> anyhow::Result<String> {
    let found = members(json)?.into_iter().find(|m| m.path == path);
    found.map(|m| m.text).ok_or_else(|| anyhow::anyhow!("no {path} in {json}"))
}
