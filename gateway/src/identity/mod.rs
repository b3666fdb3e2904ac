//! Who asks: a person known by a signed token, with roles and permissions (docs/http.md section 0).
//!
//! Must not know: which endpoint needs which right, or anything about money.

mod development;
mod jwks;
mod keys;
mod known;
mod token;

pub use development::{DevelopmentToken, development_key};
pub use jwks::{read_set, url_rule};
pub use keys::{KeyConfig, Verifier};

use std::collections::BTreeSet;

/// The issuer tokens must name unless set otherwise.
pub const DEFAULT_ISSUER: &str = "cashout-dev";
/// The audience tokens must name unless set otherwise.
pub const DEFAULT_AUDIENCE: &str = "cashout";

/// What somebody may do beyond what is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Decide on cash-outs.
    CashReview,
    /// See everybody's cash-outs.
    CashViewList,
    /// See everybody's wallet log.
    WalletLogs,
    /// See everybody's wallet.
    WalletViewList,
    /// Change a wallet.
    WalletUpdate,
}

impl Permission {
    /// The permission of a documented name. `cash.create` is everybody's and therefore no row here;
    /// names nobody documented give nothing.
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "cash.review" => Self::CashReview,
            "cash.viewList" => Self::CashViewList,
            "wallet.logs.viewList" => Self::WalletLogs,
            "wallet.viewList" => Self::WalletViewList,
            "wallet.update" => Self::WalletUpdate,
            _ => return None,
        })
    }
}

/// A verified person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The person's id.
    pub user_id: i64,
    teacher: bool,
    admin: bool,
    permissions: BTreeSet<Permission>,
}

impl Identity {
    fn new(user_id: i64, roles: &[String], permissions: &[String]) -> Self {
        let has = |role: &str| roles.iter().any(|r| r == role);
        let permissions = permissions.iter().filter_map(|name| Permission::named(name)).collect();
        Self { user_id, teacher: has("teacher"), admin: has("admin"), permissions }
    }

    /// Whether the person may do this. `admin` implies every permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.admin || self.permissions.contains(&permission)
    }

    /// Whether the person teaches.
    pub fn is_teacher(&self) -> bool {
        self.teacher
    }

    /// Whether the person administers everything.
    pub fn is_admin(&self) -> bool {
        self.admin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_implies_every_permission_and_unknown_names_give_none() {
        let person = |roles: &[&str], permissions: &[&str]| {
            let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
            Identity::new(7, &owned(roles), &owned(permissions))
        };
        assert!(person(&["admin"], &[]).may(Permission::WalletUpdate));
        assert!(person(&[], &["cash.review"]).may(Permission::CashReview));
        for (roles, permissions) in
            [(&["Admin", "user"], &["CASH.REVIEW"]), (&["teacher", ""], &["cash.create"])]
        {
            let person = person(roles, permissions);
            assert!(!person.may(Permission::CashReview) && !person.is_admin());
        }
    }
}
