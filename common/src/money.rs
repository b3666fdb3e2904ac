//! Money at the edges: the one grammar it is read by and the two ways it is written.
//!
//! Inside the system an amount is an `i64` of minor units (fen). Must not know: currencies' rules,
//! fees, JSON. Never a binary float.

/// The largest amount and balance: 2^53 - 1, the last integer a JavaScript client reads exactly.
pub const MAX_MINOR: i64 = (1 << 53) - 1;

/// Why a text is not an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not of the form `12`, `12.3` or `12.34`.
    #[error("must be digits with at most two decimals, like 12.34")]
    Malformed,
    /// Zero.
    #[error("must be more than 0")]
    NotPositive,
    /// Over 2^53 - 1 minor units.
    #[error("must be at most 90071992547409.91")]
    TooLarge,
}

/// Reads an amount of more than zero from its literal text, exactly: `0|[1-9][0-9]*`, then at most two
/// decimals, ASCII only. Gives minor units.
///
/// # Errors
/// [`AmountError`] names the broken rule.
pub fn parse_amount(text: &str) -> Result<i64, AmountError> {
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) => (whole, decimals),
        None if !text.is_empty() => (text, "0"),
        None => return Err(AmountError::Malformed),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    if !digits(whole) || leading_zero || !digits(decimals) || decimals.len() > 2 {
        return Err(AmountError::Malformed);
    }
    let whole: i64 = whole.parse().map_err(|_| AmountError::TooLarge)?;
    let cents: i64 = format!("{decimals:0<2}").parse().map_err(|_| AmountError::Malformed)?;
    let minor = whole.checked_mul(100).and_then(|m| m.checked_add(cents));
    match minor {
        Some(0) => Err(AmountError::NotPositive),
        Some(minor) if minor <= MAX_MINOR => Ok(minor),
        _ => Err(AmountError::TooLarge),
    }
}

/// Writes minor units with two decimals: `-11.00`.
#[must_use]
pub fn format_fixed(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let abs = minor.unsigned_abs();
    format!("{sign}{}.{:02}", abs / 100, abs % 100)
}

/// Writes minor units without trailing zeros, as a JSON number prints: `0.99`, `18.8`, `1`.
#[must_use]
pub fn format_short(minor: i64) -> String {
    let fixed = format_fixed(minor);
    fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, minor) in [
            ("0.01", 1),
            ("0.1", 10),
            ("1", 100),
            ("100.10", 10_010),
            ("90071992547409.91", MAX_MINOR),
        ] {
            assert_eq!(parse_amount(text), Ok(minor), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let malformed = [
            "",
            " ",
            "-1",
            "+1",
            ".5",
            "1.",
            "01",
            "00",
            "1_000",
            "1,000",
            "1e2",
            "1E2",
            "0x1",
            "NaN",
            "Infinity",
            "inf",
            "1.001",
            "0.001",
            "1.0.0",
            "1 ",
            " 1",
            "1\n",
            "１００",
            "١٢",
            "1.２",
            "\u{feff}1",
            "1\0",
            "--1",
            "1-",
            "$1",
            "¥1",
            "1.-1",
            "1.+1",
            "½",
        ];
        for text in malformed {
            assert_eq!(parse_amount(text), Err(AmountError::Malformed), "{text:?}");
        }
        for text in ["0", "0.0", "0.00"] {
            assert_eq!(parse_amount(text), Err(AmountError::NotPositive), "{text}");
        }
        for text in
            ["90071992547409.92", "90071992547410", "9223372036854775807", "9".repeat(400).as_str()]
        {
            assert_eq!(parse_amount(text), Err(AmountError::TooLarge), "{text}");
        }
    }

    #[test]
    fn numbers_print_as_they_would_be_written() {
        for (minor, fixed, short) in [
            (99, "0.99", "0.99"),
            (1, "0.01", "0.01"),
            (100, "1.00", "1"),
            (1880, "18.80", "18.8"),
            (0, "0.00", "0"),
            (-1100, "-11.00", "-11"),
            (-5, "-0.05", "-0.05"),
            (10_000, "100.00", "100"),
            (i64::MIN, "-92233720368547758.08", "-92233720368547758.08"),
        ] {
            assert_eq!(format_fixed(minor), fixed);
            assert_eq!(format_short(minor), short);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_again(minor in 1..=MAX_MINOR) {
            proptest::prop_assert_eq!(parse_amount(&format_fixed(minor)), Ok(minor));
            proptest::prop_assert_eq!(parse_amount(&format_short(minor)), Ok(minor));
        }
    }
}
