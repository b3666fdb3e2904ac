//! Reads of one account or person that share statements: everybody hears of their own, as it is now.

mod support;

use std::collections::HashMap;

use anyhow::{Context, ensure};
use cashout_common::db::{Conn, Database};
use cashout_common::gather::{Gather, Rows};
use cashout_proto::Reason;
use cashout_proto::account::v1 as pb;
use futures::future::try_join_all;
use futures::join;
use sqlx::{Connection, PgConnection};
use support::{Stack, between, credit, databases, person, reason};

const PEOPLE: i64 = 40;

fn of(account: pb::AccountRef, with_holder: bool) -> pb::GetAccountRequest {
    pb::GetAccountRequest { account: Some(account), with_holder, ..Default::default() }
}

fn by_id(id: i64) -> pb::AccountRef {
    pb::AccountRef { by: Some(pb::account_ref::By::AccountId(id)), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_who_ask_at_once_each_hear_of_their_own() -> anyhow::Result<()> {
    for database in databases("lookups").await? {
        let mut s = Stack::start(&database.url).await?;
        let people: Vec<i64> = (1..=PEOPLE).collect();
        s.open(&people).await?;
        for user in 1..=PEOPLE {
            s.client.post_transfer(credit(&format!("c{user}"), user, user * 10)).await?;
            let username = format!("name{user}");
            let profile = pb::SetProfileRequest { user_id: user, username, mobile: String::new() };
            s.client.set_profile(profile).await?;
        }
        let calls = (0..600).map(|n| {
            let (user, mut client) = (n % PEOPLE + 1, s.client.clone());
            tokio::spawn(async move {
                let named = client.get_account(of(person(user), n % 2 == 0)).await?.into_inner();
                let account = named.account.context("no account")?;
                ensure!((account.user_id, account.available_minor) == (user, user * 10));
                let holder = named.holder.map(|holder| holder.username);
                ensure!(holder == (n % 2 == 0).then(|| format!("name{user}")));
                let same = client.get_account(of(by_id(account.id), true)).await?.into_inner();
                ensure!(same.account.as_ref() == Some(&account));
                ensure!(same.holder.map(|holder| holder.user_id) == Some(user));
                let nobody = client.get_account(of(person(user + 1000), true)).await;
                ensure!(reason(&nobody) == "ACCOUNT_NOT_FOUND");
                anyhow::Ok(())
            })
        });
        for told in try_join_all(calls).await? {
            told.with_context(|| database.engine)?;
        }
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_many_are_told_with_those_behind_them() -> anyhow::Result<()> {
    for database in databases("behind").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[1, 2, 3]).await?;
        for (user_id, username) in [(1, "one"), (2, "two"), (4, "four")] {
            let (username, mobile) = (username.to_owned(), String::new());
            s.client.set_profile(pb::SetProfileRequest { user_id, username, mobile }).await?;
        }
        let own = s.client.get_account(of(person(2), false)).await?.into_inner().account;
        let own = by_id(own.context("opened")?.id);
        // 3 has an account and is nobody, 4 is somebody without an account, 5 neither.
        let accounts = vec![person(3), own, person(1), person(4), person(1), person(5)];
        for (with_holders, behind) in [(false, vec![]), (true, vec!["one", "two", "four"])] {
            let asked = pb::BatchGetAccountsRequest { accounts: accounts.clone(), with_holders };
            let told = s.client.batch_get_accounts(asked).await?.into_inner();
            let found: Vec<i64> = told.accounts.iter().map(|a| a.user_id).collect();
            ensure!(found == [3, 2, 1, 1], "{}: {found:?}", database.engine);
            let holders: Vec<&str> = told.holders.iter().map(|h| h.username.as_str()).collect();
            ensure!(holders == behind, "{}: {holders:?}", database.engine);
        }
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_one_call_are_of_one_moment_however_many_they_are_and_whoever_else_asks()
-> anyhow::Result<()> {
    for database in databases("moment").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[1, 2]).await?;
        s.client.post_transfer(credit("c", 1, 1000)).await?;
        let mut client = s.client.clone();
        let moving = tokio::spawn(async move {
            for n in 0..100 {
                let (from, to) = if n % 2 == 0 { (1, 2) } else { (2, 1) };
                client.post_transfer(between(&format!("b{n}"), from, to, 1000)).await?;
            }
            anyhow::Ok(())
        });
        let looking = (0..6).map(|_| {
            let mut client = s.client.clone();
            tokio::spawn(async move {
                // Nobody else has an account; all of them are looked for between the two who have.
                let names = std::iter::once(1).chain(10_000..10_700).chain([1, 2, 1]);
                let accounts: Vec<pb::AccountRef> = names.map(person).collect();
                for _ in 0..20 {
                    let with_holders = false;
                    let asked =
                        pb::BatchGetAccountsRequest { accounts: accounts.clone(), with_holders };
                    let told = client.batch_get_accounts(asked).await?.into_inner().accounts;
                    let found: Vec<i64> = told.iter().map(|a| a.user_id).collect();
                    ensure!(found == [1, 1, 2, 1], "{found:?}");
                    let sum: i64 = told.iter().skip(1).take(2).map(|a| a.available_minor).sum();
                    ensure!(sum == 1000, "{sum} was seen");
                    let alone = client.get_account(of(person(2), false)).await?.into_inner();
                    ensure!(alone.account.is_some_and(|account| account.user_id == 2));
                }
                anyhow::Ok(())
            })
        });
        for looked in try_join_all(looking).await? {
            looked.with_context(|| database.engine)?;
        }
        moving.await??;
        s.stop_and_verify().await?;
    }
    Ok(())
}

/// Rows that are their keys, but for one that no reader has thought of.
struct Odd;

const DEFECT: i64 = 13;

impl Rows for Odd {
    type Key = i64;
    type Row = i64;

    async fn read(_: &mut Conn, keys: &[i64]) -> Result<HashMap<i64, i64>, sqlx::Error> {
        assert!(!keys.contains(&DEFECT), "a defect");
        Ok(keys.iter().map(|key| (*key, *key)).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_panics_fails_for_those_alone_who_asked_for_it() -> anyhow::Result<()> {
    for database in databases("panics").await? {
        if database.engine != "postgres" {
            continue;
        }
        let opened = Database::open_read_only(&database.url).await?;
        let rows = Gather::<Odd>::on(&opened).context("reads share statements there")?;
        for _ in 0..20 {
            let (odd, both) = (rows.find(DEFECT), rows.find_all(vec![1, DEFECT]));
            let (odd, one, two, both) =
                join!(odd, rows.find(1), rows.find_all(vec![2, 3, 2]), both);
            ensure!(odd.is_err_and(|f| f.reason == Reason::Internal));
            ensure!(both.is_err_and(|f| f.reason == Reason::Internal));
            ensure!(one? == Some(1) && two? == HashMap::from([(2, 2), (3, 3)]));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_read_by_whoever_asks_next_also_after_a_lost_connection()
-> anyhow::Result<()> {
    const LOSE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for database in databases("lookuplost").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        for n in 1..=20 {
            s.client.post_transfer(credit(&format!("c{n}"), 7, 1)).await?;
            ensure!(s.balance(7).await? == (n, 0));
        }
        if database.engine == "postgres" {
            let mut admin = PgConnection::connect(&database.url).await?;
            let lost: i64 = sqlx::query_scalar(LOSE).fetch_one(&mut admin).await?;
            ensure!(lost > 0, "nobody was connected");
            ensure!(s.balance(7).await? == (20, 0));
        }
        let account = of(person(7), true);
        let holder = s.client.get_account(account).await?.into_inner().holder;
        ensure!(holder.is_none(), "nobody was introduced");
        s.stop_and_verify().await?;
    }
    Ok(())
}
