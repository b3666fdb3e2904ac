//! Where a person is paid: the texts of a binding, and what each method takes for an id.
//!
//! Must not know: how bindings are stored or sealed, what a provider is asked with them.

use std::fmt;
use std::time::Duration;

/// Most characters of a WeChat openid (providers.md 2.5).
const OPENID: usize = 64;
/// Most characters of an Alipay identity (providers.md 1.6).
const IDENTITY: usize = 128;

/// A rail that people are bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// WeChat, number 1.
    Wechat,
    /// Alipay, number 2.
    Alipay,
}

impl Method {
    /// Its number, as stored and on the wire.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Wechat => 1,
            Self::Alipay => 2,
        }
    }

    /// The method of a number.
    #[must_use]
    pub fn of(number: i64) -> Option<Self> {
        [Self::Wechat, Self::Alipay].into_iter().find(|method| method.number() == number)
    }
}

/// A binding, opened. Its texts are personal data: they are sealed where they are stored, and `Debug`
/// does not tell them.
#[derive(Clone, PartialEq, Eq)]
pub struct Payee {
    /// Who.
    pub user_id: i64,
    /// By which rail.
    pub method: Method,
    /// The id that money is sent to.
    pub payee_id: String,
    /// The name the provider checks; may be empty.
    pub real_name: String,
    /// WeChat's ids per app, as document 3 shows them; empty when unknown.
    pub mp_openid: String,
    /// See `mp_openid`.
    pub dev_openid: String,
    /// See `mp_openid`.
    pub min_openid: String,
    /// As shown.
    pub nickname: String,
    /// 0 unknown, 1 male, 2 female.
    pub sex: i64,
    /// Since when money would go there, UTC microseconds.
    pub bound_at_us: i64,
}

impl fmt::Debug for Payee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payee({}, {:?}, ..)", self.user_id, self.method)
    }
}

impl Payee {
    /// Bound over `before`: the time of the binding stays when money goes to the same place as before.
    #[must_use]
    pub fn over(mut self, before: Option<&Self>) -> Self {
        let same = |b: &&Self| b.payee_id == self.payee_id && b.real_name == self.real_name;
        if let Some(before) = before.filter(same) {
            self.bound_at_us = before.bound_at_us;
        }
        self
    }

    /// From when on it can be paid, UTC microseconds: whoever took over somebody's login has to wait,
    /// and their victim has time to notice.
    #[must_use]
    pub fn payable_from_us(&self, cooling: Duration) -> i64 {
        let cooling_us = i64::try_from(cooling.as_micros()).unwrap_or(i64::MAX);
        self.bound_at_us.saturating_add(cooling_us)
    }
}

/// What is wrong with a WeChat openid; one that is not known may be left out with `optional`. WeChat's
/// own have no dot; the test providers' scripts may.
#[must_use]
pub fn openid_rule(id: &str, optional: bool) -> Option<&'static str> {
    let right = id.len() <= OPENID && id.bytes().all(plain) && (optional || !id.is_empty());
    (!right).then_some("must be 1 to 64 letters, digits, `_`, `-` or `.`")
}

/// What is wrong with the id that money is sent to by this method.
#[must_use]
pub fn payee_id_rule(method: Method, id: &str) -> Option<&'static str> {
    match method {
        Method::Wechat => openid_rule(id, false),
        Method::Alipay => {
            let rule = "must be an Alipay user id (2088 and 12 digits), an open id, an e-mail \
                        address or a mobile number";
            AlipayId::of(id).is_none().then_some(rule)
        }
    }
}

/// Whether this id says so little of its owner that the real name has to go with it.
#[must_use]
pub fn needs_name(method: Method, id: &str) -> bool {
    method == Method::Alipay && AlipayId::of(id) == Some(AlipayId::Logon)
}

/// What an Alipay identity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AlipayId {
    /// 2088 and twelve digits.
    User,
    /// One app's name of a user.
    Open,
    /// What the person logs in with: an e-mail address or a mobile number.
    Logon,
}

impl AlipayId {
    fn of(id: &str) -> Option<Self> {
        if id.is_empty() || id.len() > IDENTITY {
            return None;
        }
        if let Some((name, domain)) = id.split_once('@') {
            let named = !name.is_empty() && name.bytes().all(|b| plain(b) || b == b'+');
            let labels = || domain.split('.');
            let label = |l: &str| {
                !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            };
            return (named && labels().count() > 1 && labels().all(label)).then_some(Self::Logon);
        }
        if id.bytes().all(|b| b.is_ascii_digit()) {
            let mobile = cashout_common::text::mobile(id).is_ok();
            let user = id.len() == 16 && id.starts_with("2088");
            return if user { Some(Self::User) } else { mobile.then_some(Self::Logon) };
        }
        id.bytes().all(plain).then_some(Self::Open)
    }
}

fn plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alipay_ids_are_told_apart() {
        use AlipayId::{Logon, Open, User};
        for (id, kind) in [
            ("2088123456789012", Some(User)),
            ("074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5", Some(Open)),
            ("unknown-paid-7", Some(Open)),
            ("ann.b+c@example.com", Some(Logon)),
            ("13800138000", Some(Logon)),
            // Digits that are neither are a slip, not an open id.
            ("208812345678901", None),
            ("20881234567890123", None),
            ("1088123456789012", None),
            ("23800138000", None),
            ("２０８８123456789012", None),
            ("", None),
            ("@example.com", None),
            ("ann@", None),
            ("ann@example", None),
            ("ann@example..com", None),
            ("a@b@example.com", None),
            ("ann b@example.com", None),
            ("安@example.com", None),
            ("open id", None),
            ("open\nid", None),
            ("x'; DROP TABLE payee", None),
        ] {
            assert_eq!(AlipayId::of(id), kind, "{id:?}");
            assert_eq!(payee_id_rule(Method::Alipay, id).is_none(), kind.is_some(), "{id:?}");
            assert_eq!(needs_name(Method::Alipay, id), kind == Some(Logon), "{id:?}");
        }
        assert!(AlipayId::of(&"x".repeat(IDENTITY)).is_some());
        assert!(AlipayId::of(&"x".repeat(IDENTITY + 1)).is_none());
    }

    #[test]
    fn openids_are_plain_and_short() {
        for id in ["o-MYE42l80oelYMDE34nYD456Xoy", "delay-3s.7_a", &"x".repeat(64)] {
            assert_eq!(openid_rule(id, false), None, "{id}");
        }
        for id in ["a b", "a@b", "开", "a\0", "a/b", &"x".repeat(65)] {
            assert!(openid_rule(id, true).is_some(), "{id:?}");
        }
        assert!(openid_rule("", false).is_some() && openid_rule("", true).is_none());
        assert!(!needs_name(Method::Wechat, "13800138000"));
    }

    #[test]
    fn only_a_new_place_for_money_cools_down() {
        let bound = |payee_id: &str, real_name: &str, nickname: &str, bound_at_us| Payee {
            user_id: 7,
            method: Method::Wechat,
            payee_id: payee_id.to_owned(),
            real_name: real_name.to_owned(),
            mp_openid: String::new(),
            dev_openid: String::new(),
            min_openid: String::new(),
            nickname: nickname.to_owned(),
            sex: 0,
            bound_at_us,
        };
        let before = bound("a", "n", "x", 10);
        for (again, expected) in [
            (bound("a", "n", "y", 20), 10),
            (bound("b", "n", "x", 20), 20),
            (bound("a", "m", "x", 20), 20),
        ] {
            assert_eq!(again.over(Some(&before)).bound_at_us, expected);
        }
        assert_eq!(bound("a", "n", "x", 20).over(None).bound_at_us, 20);
        assert_eq!(before.payable_from_us(Duration::from_secs(1)), 1_000_010);
        assert_eq!(before.payable_from_us(Duration::MAX), i64::MAX);
        assert_eq!(format!("{before:?}"), "Payee(7, Wechat, ..)");
    }
}
