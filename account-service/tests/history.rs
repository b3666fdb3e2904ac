//! Reading the ledger on both engines: statements, past balances, streams, and proofs.

mod support;

use std::time::Duration;

use cashout_common::db::{Database, command};
use cashout_proto::account::v1 as pb;
use support::{NOON_US, Stack, credit, databases, debit, person, place, reason, release};

fn filter(user: i64) -> pb::StatementFilter {
    pb::StatementFilter { account: Some(person(user)), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_filters_counts_and_pages() -> anyhow::Result<()> {
    for database in databases("statement").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7, 8]).await?;
        let day = Duration::from_secs(86_400);
        for i in 0..10 {
            s.client.post_transfer(credit(&format!("c{i}"), 7, 10)).await?;
            s.client.post_transfer(debit(&format!("d{i}"), 7, 1)).await?;
            s.client.post_transfer(credit(&format!("other{i}"), 8, 5)).await?;
            s.clock.advance(day);
        }
        let base = filter(7);
        let expend = pb::Direction::Expend.into();
        let third_day = pb::StatementFilter {
            from_us: NOON_US + 2 * 86_400_000_000,
            until_us: NOON_US + 3 * 86_400_000_000,
            ..base.clone()
        };
        for (filter, total, sum) in [
            (base.clone(), 20, 90),
            (pb::StatementFilter { direction: expend, ..base.clone() }, 10, -10),
            (pb::StatementFilter { kinds: vec![35], ..base.clone() }, 10, 100),
            (only(35, pb::Direction::Income), 10, 100),
            (only(35, pb::Direction::Still), 0, 0),
            (only(8, pb::Direction::Expend), 10, -10),
            (third_day.clone(), 2, 9),
            (pb::StatementFilter { account: None, ..third_day.clone() }, 3, 14),
            (pb::StatementFilter { account: Some(person(99)), ..base.clone() }, 0, 0),
            (pb::StatementFilter { from_us: NOON_US + 99 * 86_400_000_000, ..base.clone() }, 0, 0),
        ] {
            let request =
                pb::ListStatementRequest { filter: Some(filter.clone()), page: 1, page_size: 3 };
            let page = s.client.list_statement(request).await?.into_inner();
            assert_eq!((page.total, page.sum_available_minor), (total, sum), "{filter:?}");
            assert!(page.entries.windows(2).all(|w| w[0].id > w[1].id), "newest first");
            // The account is of the same moment as its entries.
            let shown = page.account.map(|a| a.available_minor);
            let newest = page.entries.first().map(|e| e.available_after_minor);
            let whole = filter == base;
            assert!(!whole || shown == newest, "{shown:?} {newest:?}");
        }
        // By cursor, both ways, everything exactly once.
        for oldest_first in [false, true] {
            let (mut seen, mut after_id) = (Vec::new(), 0);
            loop {
                let filter = Some(base.clone());
                let request = pb::ScanStatementRequest { filter, after_id, oldest_first, limit: 7 };
                let page = s.client.scan_statement(request).await?.into_inner();
                seen.extend(page.entries.iter().map(|e| e.seq));
                after_id = page.next_after_id;
                if after_id == 0 {
                    break;
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, (1..=20).collect::<Vec<_>>());
        }
        for (at_us, expected) in
            [(NOON_US - 1, (0, 0)), (NOON_US, (9, 2)), (NOON_US + 86_400_000_000, (18, 4))]
        {
            let request = pb::GetBalanceAtRequest { account: Some(person(7)), at_us };
            let found = s.client.get_balance_at(request).await?.into_inner();
            assert_eq!((found.available_minor, found.seq), expected, "{at_us}");
        }
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_by_cursor_by_number_and_by_time_agree_however_deep() -> anyhow::Result<()> {
    for database in databases("deep").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7, 8]).await?;
        // The histories of two people are woven into each other, so that ids of one have gaps.
        for n in 0..60 {
            s.clock.advance(Duration::from_secs(60));
            s.client.post_transfer(credit(&format!("a{n}"), 7, 1 + n)).await?;
            s.client.post_transfer(credit(&format!("b{n}"), 8, 1)).await?;
        }
        let whole = pb::ScanStatementRequest {
            filter: Some(filter(7)),
            after_id: 0,
            oldest_first: true,
            limit: 1000,
        };
        let all = s.client.scan_statement(whole).await?.into_inner().entries;
        assert_eq!(all.len(), 60);
        let (from_us, until_us) = (all[20].created_at_us, all[50].created_at_us);
        let within = pb::StatementFilter { from_us, until_us, ..filter(7) };
        let page = |page, wanted: &pb::StatementFilter| pb::ListStatementRequest {
            filter: Some(wanted.clone()),
            page,
            page_size: 7,
        };
        for number in 1..=6_u16 {
            let found =
                s.client.list_statement(page(i32::from(number), &within)).await?.into_inner();
            let newest_first: Vec<_> = all[20..50].iter().rev().cloned().collect();
            let expected: Vec<_> =
                newest_first.chunks(7).nth(usize::from(number) - 1).unwrap_or(&[]).to_vec();
            assert_eq!(found.entries, expected, "page {number}");
            let sum: i64 = (21..=50).sum();
            assert_eq!((found.total, found.sum_available_minor), (30, sum));
        }
        // Every id is a cursor, also one of somebody else's entries and one that is nobody's.
        for after_id in 0..=all[59].id + 3 {
            for oldest_first in [true, false] {
                let request = pb::ScanStatementRequest {
                    filter: Some(filter(7)),
                    after_id,
                    oldest_first,
                    limit: 5,
                };
                let found = s.client.scan_statement(request).await?.into_inner().entries;
                let expected: Vec<_> = if oldest_first {
                    all.iter().filter(|e| e.id > after_id).take(5).cloned().collect()
                } else {
                    let below = |id| after_id == 0 || id < after_id;
                    all.iter().rev().filter(|e| below(e.id)).take(5).cloned().collect()
                };
                assert_eq!(found, expected, "{} after {after_id}", database.engine);
            }
        }
        s.stop_and_verify().await?;
    }
    Ok(())
}

fn only(kind: i32, direction: pb::Direction) -> pb::StatementFilter {
    let any_of = vec![pb::Selection { kind, direction: direction.into() }];
    pb::StatementFilter { any_of, ..filter(7) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_only_their_own_entry() -> anyhow::Result<()> {
    for database in databases("own_entry").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        let id = s.client.post_transfer(credit("c", 7, 1)).await?.into_inner().transfer_id;
        s.client.get_entry(pb::GetEntryRequest { id, user_id: 7 }).await?;
        let foreign = s.client.get_entry(pb::GetEntryRequest { id, user_id: 8 }).await;
        let absent = s.client.get_entry(pb::GetEntryRequest { id: 999, user_id: 8 }).await;
        assert_eq!(reason(&foreign), "ENTRY_NOT_FOUND");
        assert_eq!(
            foreign.err().map(|e| e.message().to_owned()),
            absent.err().map(|e| e.message().to_owned())
        );
        s.running.stop().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_income_is_released_on_time_once_and_after_downtime() -> anyhow::Result<()> {
    for database in databases("release").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        let hour = 3_600_000_000;
        // Nobody's key stands in the way of our own.
        let guess = credit("scheduled-release:1", 7, 1);
        s.client.post_transfer(guess).await?;
        s.client.post_transfer(debit("back", 7, 1)).await?;
        for (key, minor, hours) in [("a", 1_880, 1), ("b", 20, 1), ("c", 5, 2)] {
            let frozen_until_us = NOON_US + hours * hour;
            let to = pb::Credit { account: Some(person(7)), frozen_until_us, ..Default::default() };
            let movement = Some(pb::post_transfer_request::Movement::Credit(to));
            let request = pb::PostTransferRequest { movement, ..credit(key, 7, minor) };
            s.client.post_transfer(request).await?;
        }
        let request = pb::GetAccountRequest {
            account: Some(person(7)),
            with_open_holds: true,
            ..Default::default()
        };
        let view = s.client.get_account(request).await?.into_inner();
        assert_eq!(view.open_holds.len(), 3);
        assert_eq!((view.next_release_at_us, view.next_release_minor), (NOON_US + hour, 1_900));
        assert_eq!(s.balance(7).await?, (0, 1_905));
        assert_eq!(s.account(7).await?.last_income_at_us, NOON_US, "only the guess came in");
        s.clock.set(NOON_US + hour - 1);
        s.clock.set(NOON_US + hour);
        until(&mut s, (1_900, 5)).await?;
        assert_eq!(s.account(7).await?.last_income_at_us, NOON_US + hour);
        // The second one comes due while the service is down; two instances find it at once.
        s.running.stop().await;
        let mut s = Stack::start(&database.url).await?;
        s.clock.set(NOON_US + 50 * hour);
        if database.engine == "postgres" {
            let other = Stack::start(&database.url).await?;
            other.clock.set(NOON_US + 50 * hour);
            until(&mut s, (1_905, 0)).await?;
            other.stop_and_verify().await?;
        }
        until(&mut s, (1_905, 0)).await?;
        assert_eq!(s.account(7).await?.last_seq, 8);
        s.stop_and_verify().await?;
    }
    Ok(())
}

async fn until(s: &mut Stack, expected: (i64, i64)) -> anyhow::Result<()> {
    for _ in 0..400 {
        if s.balance(7).await? == expected {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    anyhow::bail!("still {:?}, not {expected:?}", s.balance(7).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_catches_up_and_then_sees_every_entry_live() -> anyhow::Result<()> {
    for database in databases("stream").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        for i in 0..700 {
            if i % 100 == 0 {
                s.open(&[1_000 + i]).await?;
            }
        }
        let old: Vec<_> = (0..700).map(|i| credit(&format!("old{i}"), 7, 1)).collect();
        let request = pb::PostTransfersRequest { transfers: old, all_or_nothing: false };
        s.client.post_transfers(request).await?;
        let request = pb::StreamEntriesRequest { after_id: 100, ..Default::default() };
        let mut stream = s.client.stream_entries(request).await?.into_inner();
        let mut client = s.client.clone();
        let writing = tokio::spawn(async move {
            for i in 0..300 {
                client.post_transfer(credit(&format!("live{i}"), 7, 1)).await?;
            }
            anyhow::Ok(())
        });
        for expected in 101..=1_000 {
            let next = tokio::time::timeout(Duration::from_secs(10), stream.message()).await??;
            assert_eq!(next.map(|e| e.id), Some(expected), "dense and in order");
        }
        writing.await??;
        let request = pb::StreamEntriesRequest {
            catch_up_only: true,
            account: Some(person(7)),
            ..Default::default()
        };
        let mut stream = s.client.stream_entries(request).await?.into_inner();
        let mut count = 0;
        while stream.message().await?.is_some() {
            count += 1;
        }
        assert_eq!(count, 1_000);
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_every_kind_of_tampering() -> anyhow::Result<()> {
    let tampering = [
        ("G1", "UPDATE entry SET counter_after = counter_after + 1 WHERE id = 1"),
        ("G1", "UPDATE entry SET counter_after = NULL WHERE counter_after IS NOT NULL"),
        ("G1", "UPDATE entry SET counter_after = 0 WHERE id = (SELECT MAX(id) FROM entry)"),
        (
            "G3",
            "UPDATE entry SET income_total = income_total + 1 WHERE id = (SELECT MAX(id) FROM entry)",
        ),
        ("G5", "UPDATE entry SET withdrawn_total = withdrawn_total + 1 WHERE id = 2"),
        ("G5", "UPDATE entry SET last_income_at = 1 WHERE id = 2"),
        ("G5", "UPDATE entry SET overdraft_limit = 1000000 WHERE id = 2"),
        (
            "G5",
            "UPDATE entry SET facts = '[\"x\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\"]' WHERE id = 1",
        ),
        ("G5", "UPDATE entry SET created_at = created_at + 1 WHERE id = 2"),
        ("G5", "DELETE FROM entry WHERE id = 1"),
        ("G5", "UPDATE entry SET account_id = 999 WHERE id = (SELECT MAX(id) FROM entry)"),
        ("G5", "UPDATE entry SET hash = digest WHERE id = 1"),
        ("G5", "UPDATE ledger_head SET hash = (SELECT hash FROM entry WHERE id = 1)"),
        ("G5", "DELETE FROM entry WHERE id = (SELECT MAX(id) FROM entry)"),
        ("G4", "UPDATE hold SET amount = amount + 1 WHERE state = 1"),
        ("G4", "UPDATE hold SET account_id = 999 WHERE state <> 1"),
        ("G6", "UPDATE hold SET due_at = 1 WHERE state = 1"),
        ("G6", "UPDATE hold SET due_at = 1 WHERE state <> 1"),
        ("G6", "UPDATE hold SET state = 3, released = amount WHERE state = 1"),
        ("G7", "UPDATE entry SET key = NULL, digest = NULL WHERE id = 1"),
        ("G2", "UPDATE entry SET frozen_after = -1 WHERE id = 1"),
    ];
    for (guarantee, sql) in tampering {
        for database in databases("tamper").await? {
            let mut s = Stack::start(&database.url).await?;
            s.open(&[7]).await?;
            s.client.post_transfer(credit("c", 7, 100)).await?;
            s.client.place_hold(place("gone", 7, 10)).await?;
            s.client.release_hold(release("r", "gone")).await?;
            s.client.place_hold(place("open", 7, 10)).await?;
            s.running.stop().await;
            support::verified(&database.url).await?;
            let raw = Database::open(&database.url, account_service::store::MIGRATIONS).await?;
            let mut conn = raw.connect().await?;
            let refused = sql.starts_with("UPDATE entry ")
                || sql.starts_with("DELETE FROM entry ")
                || sql.contains("due_at");
            assert_eq!(command(&mut conn, sql).await.is_err(), refused, "the tables and {sql}");
            if refused {
                let lift = if database.engine == "sqlite" {
                    "DROP TRIGGER entry_no_update; DROP TRIGGER entry_no_delete; \
                     PRAGMA ignore_check_constraints = ON"
                } else {
                    "ALTER TABLE entry DISABLE TRIGGER ALL; \
                     ALTER TABLE entry DROP CONSTRAINT entry_keeps_to_the_limit; \
                     ALTER TABLE hold DROP CONSTRAINT hold_adds_up"
                };
                command(&mut conn, lift).await?;
                command(&mut conn, sql).await?;
            }
            drop(conn);
            raw.close().await;
            let report = account_service::verify(&database.url).await?;
            let found = report.checks.iter().any(|c| c.id == guarantee && c.violations > 0);
            assert!(found, "{} did not see {sql}:\n{report}", database.engine);
        }
    }
    Ok(())
}
