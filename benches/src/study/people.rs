//! What a ledger holds for many people, read over its own API in batches. Must not know: why.

use anyhow::Context;
use cashout_proto::account::v1 as pb;

use crate::load::Client;

/// The most that the service answers at once.
const BATCH: usize = 1000;

/// Sums over many accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Accounts that exist.
    pub accounts: u64,
    /// Available and frozen, minor units.
    pub money_minor: i64,
    /// Entries of their histories.
    pub entries: u64,
}

/// What people from 1 on hold.
pub async fn holdings(client: &Client, people: i64) -> anyhow::Result<Holdings> {
    let all: Vec<i64> = (1..=people).collect();
    let mut client = client.clone();
    let mut sum = Holdings::default();
    for some in all.chunks(BATCH) {
        let accounts = some.iter().map(|user| person(*user)).collect();
        let asked = pb::BatchGetAccountsRequest { accounts, ..Default::default() };
        let answer = client.batch_get_accounts(asked).await.context("reading accounts")?;
        for account in answer.into_inner().accounts {
            sum.accounts += 1;
            sum.money_minor += account.available_minor + account.frozen_minor;
            sum.entries += u64::try_from(account.last_seq)?;
        }
    }
    Ok(sum)
}

/// The account of a person.
pub fn person(user: i64) -> pb::AccountRef {
    pb::AccountRef { by: Some(pb::account_ref::By::UserId(user)), currency: String::new() }
}
