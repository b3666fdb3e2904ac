//! Money and counts as bills write them, exactly: no fraction of a cent, no other form.

/// Minor units of `12.34`: digits without needless zeros, a point, two decimals, ASCII.
#[must_use]
pub fn yuan(text: &str) -> Option<i64> {
    let (whole, cents) = text.split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let needless = whole.len() > 1 && whole.starts_with('0');
    if !digits(whole) || needless || !digits(cents) || cents.len() != 2 {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    whole.checked_mul(100)?.checked_add(cents.parse().ok()?)
}

/// A number of lines: `12`, or `12.0` as WeChat Pay's published example has it.
pub(super) fn count(text: &str) -> Option<u64> {
    let text = text.strip_suffix(".0").unwrap_or(text);
    let digits = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_two_decimals_and_one_form() {
        for (text, minor) in [("0.00", 0), ("0.01", 1), ("12.30", 1_230), ("90000.99", 9_000_099)] {
            assert_eq!(yuan(text), Some(minor), "{text}");
        }
        for wrong in [
            "",
            "1",
            "1.",
            ".10",
            "1.1",
            "1.001",
            "01.00",
            "+1.00",
            "-1.00",
            "1,000.00",
            "1e2.00",
            " 1.00",
            "1.00 ",
            "１.00",
            "1.0０",
            "NaN",
            "92233720368547758.08",
            "1.00元",
        ] {
            assert_eq!(yuan(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn counts_are_whole() {
        for (text, expected) in [("0", Some(0)), ("20.0", Some(20)), ("7", Some(7))] {
            assert_eq!(count(text), expected, "{text}");
        }
        for wrong in ["", ".0", "1.5", "-1", "1.00", "9999999999999", "一"] {
            assert_eq!(count(wrong), None, "{wrong}");
        }
    }
}
