//! A strict reader (docs/http.md section 0): a member that stands twice is refused at any depth, a
//! number keeps the text it was written with, and nesting has a limit.
//!
//! The text of a number matters because a binary float would change it: `1e-400` would become 0 and
//! `0.1` something near it. Must not know: which members an endpoint takes.

use std::fmt;

use cashout_proto::{Failure, Reason};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How deep objects and lists may be nested.
const DEPTH: usize = 32;

/// A JSON value whose numbers are still text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string, unescaped.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object, in the order it was written, no name twice.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The member of an object; `null` counts as absent, as it does for the original systems.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let Self::Object(members) = self else { return None };
        let found = members.iter().find(|(n, _)| n == name).map(|(_, value)| value);
        found.filter(|value| **value != Json::Null)
    }

    /// Whether an object has this member, be it `null`.
    pub fn has(&self, name: &str) -> bool {
        matches!(self, Self::Object(members) if members.iter().any(|(n, _)| n == name))
    }

    /// The integer a number is written as: no fraction, no exponent.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether this is a number written without fraction and exponent, however large.
    pub fn is_integer(&self) -> bool {
        matches!(self, Self::Number(text)
            if text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit()))
    }
}

/// Reads a body.
///
/// # Errors
/// `MALFORMED_REQUEST`, without repeating what was sent.
pub fn read(body: &[u8]) -> Result<Json, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| malformed("the body must be UTF-8"))?;
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|_| malformed("the body must be JSON"))?;
    value(raw, DEPTH)
}

fn malformed(message: &str) -> Failure {
    Failure::new(Reason::MalformedRequest, message)
}

fn value(raw: &RawValue, depth: usize) -> Result<Json, Failure> {
    let text = raw.get().trim_ascii();
    let deeper = || {
        depth.checked_sub(1).ok_or_else(|| {
            malformed(&format!("the body must not be nested deeper than {DEPTH} levels"))
        })
    };
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let depth = deeper()?;
            let Members(members) = part(text)?;
            let members = members.into_iter().map(|(name, raw)| Ok((name, value(raw, depth)?)));
            Json::Object(members.collect::<Result<_, Failure>>()?)
        }
        Some(b'[') => {
            let depth = deeper()?;
            let items: Vec<&RawValue> = part(text)?;
            Json::List(items.into_iter().map(|raw| value(raw, depth)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Json::Text(part(text)?),
        Some(b't') => Json::Bool(true),
        Some(b'f') => Json::Bool(false),
        Some(b'n') => Json::Null,
        _ => Json::Number(text.to_owned()),
    })
}

fn part<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| {
        // Our own complaint about a duplicate is a data error; a lone surrogate is a syntax error.
        let told = if error.is_data() { DUPLICATE } else { "the body must be JSON" };
        malformed(told)
    })
}

const DUPLICATE: &str = "a member of an object must not stand twice";

/// The members of an object, each name once.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &RawValue>()? {
                    members.push(member);
                }
                let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
                names.sort_unstable();
                if names.windows(2).any(|pair| matches!(pair, [one, next] if one == next)) {
                    return Err(A::Error::custom(DUPLICATE));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_text_they_were_written_with() -> anyhow::Result<()> {
        for text in ["1", "0.10", "1e-400", "100000000000000000000", "-0", "7.00"] {
            let body = format!("{{\"a\":[{{\"b\": {text} }}]}}");
            let read = read(body.as_bytes())?;
            let Some(Json::List(items)) = read.get("a") else { anyhow::bail!("no list") };
            let number = items.first().and_then(|item| item.get("b"));
            assert_eq!(number, Some(&Json::Number(text.to_owned())));
        }
        Ok(())
    }

    #[test]
    fn null_counts_as_absent_and_order_is_kept() -> anyhow::Result<()> {
        let read = read(br#"{"z":1,"a":null,"m":"\u4f59"}"#)?;
        assert_eq!((read.get("a"), read.has("a"), read.has("b")), (None, true, false));
        assert_eq!(read.get("m"), Some(&Json::Text("余".to_owned())));
        let Json::Object(members) = read else { anyhow::bail!("no object") };
        assert_eq!(members.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["z", "a", "m"]);
        Ok(())
    }

    #[test]
    fn what_is_not_strict_json_is_refused() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let long = nested(20_000);
        let (deep, deepest) = (nested(DEPTH + 1), nested(DEPTH));
        for bad in [
            "",
            " ",
            "{",
            "{\"a\":1,}",
            "[1,]",
            "{'a':1}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":.5}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":1} 2",
            "\u{feff}{}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\n\"}",
            "// x\n{}",
            "{\"a\":1,\"a\":1}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\"x\":[{\"y\":{\"a\":1,\"b\":2,\"a\":3}}]}",
            deep.as_str(),
            long.as_str(),
        ] {
            let refused = read(bad.as_bytes()).map_err(|f| f.reason);
            assert_eq!(refused, Err(Reason::MalformedRequest), "{}", &bad[..bad.len().min(40)]);
        }
        assert!(read(b"{\"a\":\"\xff\"}").is_err());
        assert!(read(deepest.as_bytes()).is_ok());
    }

    #[test]
    fn integers_are_told_from_other_numbers() {
        for (text, integer, fits) in [
            ("0", true, Some(0)),
            ("-1", true, Some(-1)),
            ("1.0", false, None),
            ("1e0", false, None),
            ("99999999999999999999", true, None),
        ] {
            let number = Json::Number(text.to_owned());
            assert_eq!((number.is_integer(), number.integer()), (integer, fits), "{text}");
        }
        assert_eq!(Json::Text("1".to_owned()).integer(), None);
    }
}
