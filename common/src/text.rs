//! Texts as callers may send them: keys, mobile numbers, free text. Each rule stands once.

/// Why a text is refused, as told to the caller.
pub type Rule = String;

/// A key: 1 to `max` printable ASCII characters.
///
/// # Errors
/// The rule, when it is broken.
pub fn key(text: &str, max: usize) -> Result<&str, Rule> {
    let printable = text.bytes().all(|b| (0x20..=0x7e).contains(&b));
    if text.is_empty() || text.len() > max || !printable {
        return Err(format!("must be 1 to {max} printable ASCII characters"));
    }
    Ok(text)
}

/// Free text of at most `max` characters, without control characters (a database may refuse NUL, and a
/// log must not be forged by line breaks).
///
/// # Errors
/// The rule, when it is broken.
pub fn free(text: &str, max: usize) -> Result<String, Rule> {
    if text.chars().count() > max {
        return Err(format!("must be at most {max} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// A mainland mobile number: `1[3-9]` and nine digits.
///
/// # Errors
/// The rule, when it is broken.
pub fn mobile(text: &str) -> Result<String, Rule> {
    let bytes = text.as_bytes();
    let right = bytes.len() == 11
        && bytes.iter().all(u8::is_ascii_digit)
        && bytes[0] == b'1'
        && (b'3'..=b'9').contains(&bytes[1]);
    if right {
        Ok(text.to_owned())
    } else {
        Err("must be a mobile number like 13800138000".to_owned())
    }
}

/// `138****8000`; anything that is not a mobile number is hidden whole.
#[must_use]
pub fn masked_mobile(text: &str) -> String {
    match mobile(text) {
        Ok(full) => format!("{}****{}", &full[..3], &full[7..]),
        Err(_) if text.is_empty() => String::new(),
        Err(_) => "****".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mobiles_are_checked_and_masked() {
        assert_eq!(masked_mobile("13800138000"), "138****8000");
        assert_eq!(masked_mobile("16612345678"), "166****5678");
        assert_eq!(masked_mobile("secret"), "****");
        for bad in
            ["12800138000", "1380013800", "138001380000", "１3800138000", "+8613800138000", ""]
        {
            assert!(mobile(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_and_free_texts_have_their_limits() {
        assert!(key("a b~", 4).is_ok());
        for bad in ["", "abcde", "a\n", "é"] {
            assert!(key(bad, 4).is_err(), "{bad:?}");
        }
        assert!(free("余额余额", 4).is_ok());
        for bad in ["余额余额余", "a\0", "a\nb"] {
            assert!(free(bad, 4).is_err(), "{bad:?}");
        }
    }
}
