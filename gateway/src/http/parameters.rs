//! Parameters of a request, from the query string, a form or a flat JSON body, as text.
//!
//! Brackets work raw and percent-encoded, because names are compared after decoding. Must not know:
//! which parameters an endpoint takes.

use cashout_proto::{Failure, Reason};

use crate::json::{Json, read};

/// Names and values in the order they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `a=1&b=2`, a query string or a form body.
    ///
    /// # Errors
    /// `MALFORMED_REQUEST` when something in it is not UTF-8.
    pub fn of_form(text: &[u8]) -> Result<Self, Failure> {
        let broken = || malformed("parameters must be percent-encoded UTF-8");
        let pairs: Vec<(String, String)> = form_urlencoded::parse(text).into_owned().collect();
        // The decoder puts U+FFFD in place of what is not UTF-8; nobody means to send one.
        if pairs.iter().any(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}'))
        {
            return Err(broken());
        }
        Ok(Self(pairs))
    }

    /// Reads a flat JSON object of strings, numbers and booleans.
    ///
    /// # Errors
    /// `MALFORMED_REQUEST` when it is anything else.
    pub fn of_json(body: &[u8]) -> Result<Self, Failure> {
        let Json::Object(members) = read(body)? else {
            return Err(malformed("the body must be a JSON object"));
        };
        let text = |(name, value)| match value {
            Json::Null => None,
            Json::Text(text) | Json::Number(text) => Some(Ok((name, text))),
            Json::Bool(on) => Some(Ok((name, on.to_string()))),
            Json::List(_) | Json::Object(_) => {
                Some(Err(malformed("the body must be a flat JSON object")))
            }
        };
        Ok(Self(members.into_iter().filter_map(text).collect::<Result<_, _>>()?))
    }

    /// These and those.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The value of a parameter, when it was given.
    ///
    /// # Errors
    /// `MALFORMED_REQUEST` when it was given twice with different values: whoever checks one and uses
    /// the other would be fooled.
    pub fn one(&self, name: &str) -> Result<Option<&str>, Failure> {
        let mut values = self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.any(|other| Some(other) != first) {
            return Err(malformed(&format!("{name} is given twice with different values")));
        }
        Ok(first)
    }

    /// The value of a parameter; an empty one counts as not given.
    ///
    /// # Errors
    /// As [`Parameters::one`].
    pub fn filled(&self, name: &str) -> Result<Option<&str>, Failure> {
        Ok(self.one(name)?.filter(|value| !value.is_empty()))
    }

    /// A whole number of a parameter within bounds, when it was given and is not empty.
    ///
    /// # Errors
    /// `MALFORMED_REQUEST` when it is none.
    pub fn number(
        &self,
        name: &str,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, Failure> {
        let Some(text) = self.filled(name)? else { return Ok(None) };
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|n| plain && bounds.contains(n));
        number.map(Some).ok_or_else(|| {
            let (from, to) = (bounds.start(), bounds.end());
            malformed(&format!("{name} must be a whole number from {from} to {to}"))
        })
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A request that is not what it claims to be.
pub fn malformed(message: &str) -> Failure {
    Failure::new(Reason::MalformedRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_work_raw_and_encoded() -> anyhow::Result<()> {
        for query in ["page[cur_page]=3&x=1", "page%5Bcur_page%5D=3", "page%5bcur_page]=3"] {
            let read = Parameters::of_form(query.as_bytes())?;
            assert_eq!(read.number("page[cur_page]", 1..=9)?, Some(3), "{query}");
        }
        Ok(())
    }

    #[test]
    fn two_different_values_are_refused_and_the_same_twice_is_not() -> anyhow::Result<()> {
        let read = Parameters::of_form(b"a=1&a=2&b=1&b=1&c=")?;
        assert!(read.one("a").is_err());
        assert_eq!(read.one("b")?, Some("1"));
        assert_eq!((read.one("c")?, read.filled("c")?), (Some(""), None));
        assert!(
            Parameters::of_form(b"id=7")?.and(Parameters::of_form(b"id=8")?).one("id").is_err()
        );
        Ok(())
    }

    #[test]
    fn numbers_are_plain_and_within_bounds() -> anyhow::Result<()> {
        for bad in ["0", "10", "-1", "%2B1", "1.0", "1e1", "x", "%EF%BC%91", "99999999999999999999"]
        {
            let read = Parameters::of_form(format!("n={bad}").as_bytes())?;
            assert!(read.number("n", 1..=9).is_err(), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn a_flat_json_body_is_read_as_parameters() -> anyhow::Result<()> {
        let read = Parameters::of_json(br#"{"id":7,"page":"2","x":null}"#)?;
        assert_eq!(
            (read.one("id")?, read.one("page")?, read.one("x")?),
            (Some("7"), Some("2"), None)
        );
        for bad in [&b"[]"[..], b"7", b"{\"id\":{}}", b"{\"id\":[7]}", b"{\"id\":7,\"id\":7}"] {
            assert!(Parameters::of_json(bad).is_err());
        }
        assert!(Parameters::of_form(b"a=%ff").is_err());
        Ok(())
    }
}
