//! The baseline keeps the promises it is compared on, on both engines: a comparison with a ledger that
//! forgets keys or loses money would prove nothing.

use cashout_common::clock::Clock;
use cashout_proto::Reason;
use cashout_proto::account::v1 as pb;

use super::Textbook;
use crate::load::request::{accounts, between, credit, page, place, release, settle};

async fn servers(name: &str) -> anyhow::Result<Vec<(cashout_testing::TestDatabase, Textbook)>> {
    let mut servers = Vec::new();
    for database in cashout_testing::databases(name).await? {
        let server = Textbook::open(&database.url, Clock::set_at(7)).await?;
        for user_id in [1, 2] {
            let request = pb::OpenAccountRequest { user_id, currency: String::new() };
            anyhow::ensure!(server.open_account(request.clone()).await?.created);
            anyhow::ensure!(!server.open_account(request).await?.created);
        }
        servers.push((database, server));
    }
    Ok(servers)
}

async fn balance(server: &Textbook, user: i64) -> anyhow::Result<(i64, i64, i64)> {
    let answer = server.get_account(crate::load::request::account(user)).await?;
    let account = answer.account.unwrap_or_default();
    Ok((account.available_minor, account.frozen_minor, account.last_seq))
}

#[tokio::test]
async fn a_key_has_one_effect_and_the_same_answer_again() -> anyhow::Result<()> {
    for (_database, server) in servers("baseline_keys").await? {
        let first = server.post_transfer(credit("a".into(), 1, 500)).await?;
        let again = server.post_transfer(credit("a".into(), 1, 500)).await?;
        assert_eq!(again, pb::PostTransferResponse { replayed: true, ..first });
        let other = server.post_transfer(credit("a".into(), 1, 501)).await;
        assert_eq!(other.map_err(|f| f.reason), Err(Reason::IdempotencyConflict));
        assert_eq!(balance(&server, 1).await?, (500, 0, 1));
    }
    Ok(())
}

#[tokio::test]
async fn money_moves_whole_or_not_at_all() -> anyhow::Result<()> {
    for (_database, server) in servers("baseline_moves").await? {
        server.post_transfer(credit("a".into(), 1, 500)).await?;
        let moved = server.post_transfer(between("b".into(), 1, 2, 200)).await?;
        let deltas: Vec<i64> = moved.entries.iter().map(|e| e.available_delta_minor).collect();
        assert_eq!(deltas, [-200, 200]);
        for (refused, reason) in [
            (between("c".into(), 1, 2, 301), Reason::InsufficientFunds),
            (between("c".into(), 1, 3, 1), Reason::AccountNotFound),
            (between("c".into(), 1, 1, 1), Reason::InvalidArgument),
            (credit("c".into(), 1, 0), Reason::InvalidArgument),
        ] {
            let refused = server.post_transfer(refused).await;
            assert_eq!(refused.map_err(|f| f.reason), Err(reason));
        }
        assert_eq!(balance(&server, 1).await?, (300, 0, 2));
        assert_eq!(balance(&server, 2).await?, (200, 0, 1));
        // A refusal has freed its key.
        server.post_transfer(between("c".into(), 1, 2, 1)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_hold_ends_once() -> anyhow::Result<()> {
    for (_database, server) in servers("baseline_holds").await? {
        server.post_transfer(credit("a".into(), 1, 500)).await?;
        server.place_hold(place("h".into(), 1, 300)).await?;
        assert_eq!(balance(&server, 1).await?, (200, 300, 2));
        let too_much = server.settle_hold(settle("s".into(), "h".into(), 301)).await;
        assert_eq!(too_much.map_err(|f| f.reason), Err(Reason::HoldAmountExceeded));
        let settled = server.settle_hold(settle("s".into(), "h".into(), 250)).await?;
        assert_eq!(settled.entries.len(), 2);
        assert_eq!(balance(&server, 1).await?, (250, 0, 4));
        let again = server.settle_hold(settle("t".into(), "h".into(), 250)).await;
        assert_eq!(again.map_err(|f| f.reason), Err(Reason::HoldAlreadySettled));
        assert!(server.settle_hold(settle("s".into(), "h".into(), 250)).await?.replayed);
    }
    Ok(())
}

#[tokio::test]
async fn transfers_in_both_directions_at_once_neither_stick_nor_lose() -> anyhow::Result<()> {
    for (_database, server) in servers("baseline_crossing").await? {
        server.post_transfer(credit("a".into(), 1, 100)).await?;
        server.post_transfer(credit("b".into(), 2, 100)).await?;
        let server = &server;
        let crossing = (0..100).map(|n| async move {
            let (from, to) = if n % 2 == 0 { (1, 2) } else { (2, 1) };
            server.post_transfer(between(format!("k{n}"), from, to, 1)).await
        });
        for done in futures::future::join_all(crossing).await {
            done?;
        }
        assert_eq!(balance(server, 1).await?, (100, 0, 101));
        assert_eq!(balance(server, 2).await?, (100, 0, 101));
    }
    Ok(())
}

#[tokio::test]
async fn a_released_hold_returns_everything_once() -> anyhow::Result<()> {
    for (_database, server) in servers("baseline_releases").await? {
        server.post_transfer(credit("a".into(), 1, 500)).await?;
        server.place_hold(place("h".into(), 1, 300)).await?;
        let released = server.release_hold(release("r".into(), "h".into())).await?;
        assert_eq!(released.hold.map(|h| h.state), Some(pb::HoldState::Released.into()));
        assert_eq!(balance(&server, 1).await?, (500, 0, 3));
        let again = server.settle_hold(settle("s".into(), "h".into(), 1)).await;
        assert_eq!(again.map_err(|f| f.reason), Err(Reason::HoldAlreadyReleased));
        assert!(server.release_hold(release("r".into(), "h".into())).await?.replayed);
    }
    Ok(())
}

#[tokio::test]
async fn reads_show_what_was_written() -> anyhow::Result<()> {
    for (_database, server) in servers("baseline_reads").await? {
        for n in 1..=25 {
            server.post_transfer(credit(format!("k{n}"), 1, n)).await?;
        }
        let found = server.list_statement(page(1)).await?;
        assert_eq!((found.total, found.sum_available_minor), (25, 325));
        let lines: Vec<(i64, i64)> =
            found.entries.iter().map(|e| (e.seq, e.available_after_minor)).collect();
        assert_eq!((lines.len(), lines.first()), (20, Some(&(25, 325))));
        assert_eq!(server.list_statement(page(3)).await?, pb::ListStatementResponse::default());
        let found = server.batch_get_accounts(accounts(1..=3)).await?;
        let mut users: Vec<i64> = found.accounts.iter().map(|a| a.user_id).collect();
        users.sort_unstable();
        assert_eq!(users, [1, 2]);
    }
    Ok(())
}

#[tokio::test]
async fn everybodys_account_is_opened_at_once() -> anyhow::Result<()> {
    for database in cashout_testing::databases("baseline_everybody").await? {
        let server = Textbook::open(&database.url, Clock::set_at(7)).await?;
        server.open_everybody(0).await?;
        assert!(balance(&server, 1).await.is_err());
        server.open_everybody(3).await?;
        assert_eq!(balance(&server, 3).await?, (0, 0, 0));
        assert!(balance(&server, 4).await.is_err());
    }
    Ok(())
}
