//! A written attempt of a real provider: a first line that says for whom it was made and what its header
//! needs, then the request as it goes out. A number that one merchant sent is unknown to every other, so
//! an attempt is neither sent nor asked about in another one's name: that could pay it twice.
//!
//! Must not know: any provider.

use crate::ports::Answer;

/// An attempt: the words of its first line, and the bytes that are sent.
#[must_use]
pub fn attempt(words: &[&str], request: &[u8]) -> Vec<u8> {
    [words.join(" ").as_bytes(), b"\n", request].concat()
}

/// The words after `account`, and the bytes that are sent, if the attempt was made for that account.
///
/// # Errors
/// What is known of it otherwise: nothing, and somebody should look.
pub fn parts<'a>(attempt: &'a [u8], account: &[&str]) -> Result<(Vec<&'a str>, &'a [u8]), Answer> {
    let at = attempt.iter().position(|byte| *byte == b'\n');
    let halves = at.and_then(|at| attempt.split_at_checked(at));
    let line = halves.and_then(|(line, _)| std::str::from_utf8(line).ok()).unwrap_or_default();
    let request = halves.and_then(|(_, rest)| rest.get(1..)).unwrap_or_default();
    let words: Vec<&str> = line.split(' ').collect();
    let ours = words.len() >= account.len() && words.iter().zip(account).all(|(a, b)| a == b);
    if ours && halves.is_some() {
        return Ok((words.into_iter().skip(account.len()).collect(), request));
    }
    tracing::error!(alarm = "foreign_attempt", "an attempt was made for another account");
    Err(Answer::unknown("made for another account at the provider than the one set up now"))
}

/// The bytes that are sent, whoever the attempt was made for; `None` when it has no first line.
#[must_use]
pub fn request(attempt: &[u8]) -> Option<&[u8]> {
    let at = attempt.iter().position(|byte| *byte == b'\n')?;
    attempt.get(at + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_read_for_the_account_it_was_made_for_and_for_no_other() {
        let written = attempt(&["1900000001", "wx1", "SERIAL"], b"{\n}");
        let read = parts(&written, &["1900000001", "wx1"]);
        assert_eq!(read, Ok((vec!["SERIAL"], &b"{\n}"[..])));
        for other in [&["1900000002", "wx1"][..], &["1900000001", "wx2"], &["190000000", "1 wx1"]] {
            assert!(parts(&written, other).is_err(), "{other:?}");
        }
        for strange in [&b""[..], b"{}", b"1900000001 wx1", b"\xff\n{}", b"1900000001\n{}", b"\n{}"]
        {
            assert!(parts(strange, &["1900000001", "wx1"]).is_err());
        }
    }
}
