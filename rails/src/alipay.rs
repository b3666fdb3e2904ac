//! The texts Alipay signs: of a request, of an answer, of a notification.
//!
//! All of it is bytes: a notification may be in GBK, and an answer is verified exactly as received.

use percent_encoding::percent_decode;

use crate::Wrong;

/// Parameters by name, as bytes in the charset they came in.
pub type Parameters = Vec<(Vec<u8>, Vec<u8>)>;

/// The parameters of a query or of a form body, percent-decoded to bytes.
#[must_use]
pub fn parameters(encoded: &[u8]) -> Parameters {
    let plus = |bytes: &[u8]| bytes.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    let decoded = |bytes: &[u8]| {
        let spaced: Vec<u8> = plus(bytes);
        percent_decode(&spaced).collect::<Vec<u8>>()
    };
    let pairs = encoded.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            (decoded(halves.next().unwrap_or_default()), decoded(halves.next().unwrap_or_default()))
        })
        .collect()
}

/// `key=value` of all parameters but the `left_out` and the empty ones, sorted by key, joined by `&`.
/// A request leaves out `sign`; a notification `sign` and, for most messages, `sign_type`.
#[must_use]
pub fn signed_text(parameters: &[(Vec<u8>, Vec<u8>)], left_out: &[&str]) -> Vec<u8> {
    let left_out = |key: &[u8]| left_out.iter().any(|name| name.as_bytes() == key);
    let mut kept: Vec<_> =
        parameters.iter().filter(|(k, v)| !v.is_empty() && !left_out(k)).collect();
    kept.sort();
    let pairs: Vec<Vec<u8>> =
        kept.iter().map(|(key, value)| [key.as_slice(), b"=", value].concat()).collect();
    pairs.join(&b'&')
}

/// The value of one parameter; empty when there is none, and when it is there twice: the signed text does
/// not tell `a=1&a=2` from one `a` of the value `1&a=2`, so a second one may have been made of the first.
#[must_use]
pub fn value<'a>(parameters: &'a [(Vec<u8>, Vec<u8>)], name: &str) -> &'a [u8] {
    let mut found = parameters.iter().filter(|(key, _)| key == name.as_bytes());
    match (found.next(), found.next()) {
        (Some((_, value)), None) => value,
        _ => &[],
    }
}

/// An answer of the gateway in its parts, exactly as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The object that is signed.
    pub node: &'a str,
    /// Whether it stood under `error_response`.
    pub error: bool,
    /// Base64; empty when there is none.
    pub sign: &'a str,
    /// Which certificate signed; empty in key mode.
    pub cert_sn: &'a str,
}

/// Takes an answer apart. `method` as asked, e.g. `alipay.fund.trans.uni.transfer`.
///
/// # Errors
/// When it is not one object with that node, or a key of its root is there twice.
pub fn answer<'a>(text: &'a str, method: &str) -> Result<Answer<'a>, Wrong> {
    let node_key = format!("{}_response", method.replace('.', "_"));
    let mut found = Answer { node: "", error: false, sign: "", cert_sn: "" };
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in root(text)? {
        if seen.contains(&key) {
            return Err(Wrong("a key of the answer is there twice"));
        }
        seen.push(key);
        let string = || {
            let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            inner.ok_or(Wrong("a signature that is not a text"))
        };
        match key {
            "sign" => found.sign = string()?,
            "alipay_cert_sn" => found.cert_sn = string()?,
            _ if key == node_key || key == "error_response" => {
                if !found.node.is_empty() || !value.starts_with('{') {
                    return Err(Wrong("not one answer"));
                }
                (found.node, found.error) = (value, key == "error_response");
            }
            _ => {}
        }
    }
    if found.node.is_empty() { Err(Wrong("the answer to another method")) } else { Ok(found) }
}

/// Keys and values of the outermost object, exactly as they stand.
fn root(text: &str) -> Result<Vec<(&str, &str)>, Wrong> {
    let wrong = Wrong("not a JSON object");
    let inside = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}'));
    let mut rest = inside.ok_or_else(|| wrong.clone())?.trim_start();
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_at(end_of_value(rest).ok_or_else(|| wrong.clone())?);
        let key = key.strip_prefix('"').and_then(|k| k.strip_suffix('"'));
        let value = after.trim_start().strip_prefix(':').ok_or_else(|| wrong.clone())?.trim_start();
        let (value, after) = value.split_at(end_of_value(value).ok_or_else(|| wrong.clone())?);
        pairs.push((key.ok_or_else(|| wrong.clone())?, value));
        rest = match after.trim_start().strip_prefix(',') {
            // A comma promises another pair.
            Some(more) if !more.trim_start().is_empty() => more.trim_start(),
            None if after.trim().is_empty() => "",
            _ => return Err(wrong),
        };
    }
    Ok(pairs)
}

/// Where the value that the text begins with ends: strings with their escapes, nested objects and lists,
/// and plain words.
fn end_of_value(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => continue,
            }
            if !in_string && depth == 0 {
                return Some(at + 1);
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b',' | b':' if depth == 0 => return (at > 0).then_some(at),
            _ => {}
        }
    }
    (depth == 0 && !in_string && !text.is_empty()).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: &str = "alipay.fund.trans.uni.transfer";

    #[test]
    fn an_answer_is_taken_apart_as_received() {
        let told = r#"{"alipay_fund_trans_uni_transfer_response": {"code":"10000","m":"}{\"\\","u":"http:\/\/x"} , "sign":"AA==","alipay_cert_sn":"ab"}"#;
        let expected = Answer {
            node: r#"{"code":"10000","m":"}{\"\\","u":"http:\/\/x"}"#,
            error: false,
            sign: "AA==",
            cert_sn: "ab",
        };
        assert_eq!(answer(told, METHOD), Ok(expected));
        let failed = answer(r#"{"error_response":{"code":"20000"}}"#, METHOD);
        assert_eq!(failed.map(|a| (a.error, a.sign)), Ok((true, "")));
    }

    #[test]
    fn what_is_not_one_answer_to_the_question_is_refused() {
        let node = r#""alipay_fund_trans_uni_transfer_response":{}"#;
        for wrong in [
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
            format!("{{{node},{node}}}"),
            format!("{{{node},\"error_response\":{{}}}}"),
            format!("{{{node},\"sign\":\"a\",\"sign\":\"b\"}}"),
            format!("{{{node},\"sign\":5}}"),
            format!("{{{node}"),
            format!("{{{node},}}"),
            format!("{{{node}}}}}"),
            r#"{"alipay_fund_trans_common_query_response":{}}"#.to_owned(),
            r#"{"alipay_fund_trans_uni_transfer_response":"{}"}"#.to_owned(),
        ] {
            assert!(answer(&wrong, METHOD).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parameters_are_bytes_and_the_signed_text_is_sorted_and_without_the_empty() {
        let given = parameters(b"b=%C4%E3+x&a=1&sign=zz&empty=&c=%2B");
        assert_eq!(value(&given, "b"), b"\xC4\xE3 x");
        assert_eq!(signed_text(&given, &["sign"]), b"a=1&b=\xC4\xE3 x&c=+");
        assert_eq!(value(&given, "none"), b"");
        assert_eq!(value(&parameters(b"a=1&b=2&a=3"), "a"), b"", "which one?");
    }
}
