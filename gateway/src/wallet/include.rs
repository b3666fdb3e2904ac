//! `include`: which related resources come along, and getting them for rows of a list.

use std::collections::{BTreeMap, BTreeSet};

use cashout_proto::Failure;
use cashout_proto::account::v1::{BatchGetAccountsRequest, BatchGetHoldersRequest};

use super::document::{Included, Relationships, balance, holder, wallet};
use crate::http::{Call, Parameters, malformed};
use crate::upstream::account_of;

/// What is asked to come along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Include {
    pub(super) user: bool,
    pub(super) user_wallet: bool,
    pub(super) wechat: bool,
}

impl Include {
    /// What comes along with a new cash-out when nothing is asked for.
    pub(super) const DEFAULT: Self = Self { user: true, user_wallet: true, wechat: false };

    /// Reads `include=user,userWallet,wechat`, also in the braces the document shows; `None` when the
    /// parameter is absent. A given list replaces the default, an empty one asks for nothing.
    pub(super) fn read(query: &Parameters) -> Result<Option<Self>, Failure> {
        let Some(text) = query.one("include")? else { return Ok(None) };
        let bare = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
        let mut include = Self::default();
        for name in bare.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "user" => include.user = true,
                "userWallet" => include.user_wallet = true,
                "wechat" => include.wechat = true,
                _ => return Err(malformed("include may list user, userWallet and wechat")),
            }
        }
        Ok(Some(include))
    }

    /// The list in one order whatever order it was given in: `user,userWallet,wechat`.
    pub(super) fn canonical(self) -> String {
        let names =
            [(self.user, "user"), (self.user_wallet, "userWallet"), (self.wechat, "wechat")];
        let asked = names.into_iter().filter(|(asked, _)| *asked).map(|(_, name)| name);
        asked.collect::<Vec<_>>().join(",")
    }
}

/// Related resources of several persons, by id.
#[derive(Default)]
pub(super) struct Related {
    wallets: BTreeMap<i64, Included>,
    users: BTreeMap<i64, Included>,
    wechats: BTreeMap<i64, Included>,
}

impl Related {
    /// Gets what is asked for of these persons, in one call to each side.
    pub(super) async fn of(
        call: &Call,
        include: Include,
        user_ids: impl Iterator<Item = i64>,
    ) -> Result<Self, Failure> {
        let user_ids: BTreeSet<i64> = user_ids.collect();
        let mut related = Self::default();
        if user_ids.is_empty() {
            return Ok(related);
        }
        if include.user_wallet {
            let accounts = user_ids.iter().copied().map(account_of).collect();
            let asked = BatchGetAccountsRequest { accounts, ..Default::default() };
            let found = call.upstream().batch_get_accounts(&call.caller, asked).await?;
            for account in found.accounts {
                let shown = Included::Wallet(wallet(account.user_id, &balance(&account)));
                related.wallets.insert(account.user_id, shown);
            }
        }
        if include.user || include.wechat {
            let asked = BatchGetHoldersRequest {
                user_ids: user_ids.into_iter().collect(),
                username: String::new(),
            };
            let found = call.upstream().batch_get_holders(&call.caller, asked).await?;
            for person in found.holders {
                let (user, wechat) = holder(&person, &call.app.zone);
                if include.user {
                    related.users.insert(person.user_id, Included::User(user));
                }
                if let Some(wechat) = wechat.filter(|_| include.wechat) {
                    related.wechats.insert(person.user_id, Included::Wechat(wechat));
                }
            }
        }
        Ok(related)
    }

    /// Links of one person's row.
    pub(super) fn relationships(&self, user_id: i64) -> Relationships {
        let link = |found: Option<&Included>| found.map(Included::linkage);
        Relationships {
            user_wallet: link(self.wallets.get(&user_id)),
            user: link(self.users.get(&user_id)),
            wechat: link(self.wechats.get(&user_id)),
        }
    }

    /// Every resource once: wallets, then users, then WeChats.
    pub(super) fn included(self) -> Vec<Included> {
        let parts = [self.wallets, self.users, self.wechats];
        parts.into_iter().flat_map(BTreeMap::into_values).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_with_and_without_braces() -> anyhow::Result<()> {
        let all = Include { user: true, user_wallet: true, wechat: true };
        for (query, expected) in [
            ("", None),
            ("include=", Some(Include::default())),
            ("include=user,userWallet,wechat", Some(all)),
            ("include={user,userWallet,wechat}", Some(all)),
            ("include=%7Buser%2CuserWallet%2Cwechat%7D", Some(all)),
            ("include=userWallet", Some(Include { user_wallet: true, ..Include::default() })),
        ] {
            assert_eq!(
                Include::read(&Parameters::of_form(query.as_bytes())?)?,
                expected,
                "{query}"
            );
        }
        assert_eq!(all.canonical(), "user,userWallet,wechat");
        assert_eq!(Include::DEFAULT.canonical(), "user,userWallet");
        assert_eq!(Include::default().canonical(), "");
        for bad in
            ["include=users", "include=user;wechat", "include=user&include=wechat", "include={user"]
        {
            assert!(Include::read(&Parameters::of_form(bad.as_bytes())?).is_err(), "{bad}");
        }
        Ok(())
    }
}
