//! How the money goes out. Must not know: providers' protocols, settings.

/// Document 3's `cash_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// A person pays and marks it.
    Manual,
    /// WeChat change.
    Wechat,
    /// Alipay.
    Alipay,
}

impl Method {
    /// All of them, by number.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Wechat, Self::Alipay];

    /// The documented number.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Manual => 0,
            Self::Wechat => 1,
            Self::Alipay => 2,
        }
    }

    /// The method of that documented number.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Manual),
            1 => Some(Self::Wechat),
            2 => Some(Self::Alipay),
            _ => None,
        }
    }

    /// The ledger's counter-account the money leaves to.
    #[must_use]
    pub const fn counter_account(self) -> &'static str {
        match self {
            Self::Manual => "payout:manual",
            Self::Wechat => "payout:wechat",
            Self::Alipay => "payout:alipay",
        }
    }
}
