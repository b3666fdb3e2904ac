//! The ledger over gRPC on both engines: what moves, what is refused, what a key repeats.

mod support;

use cashout_proto::account::v1 as pb;
use support::{Stack, between, credit, databases, debit, person, place, reason, release, settle};

#[tokio::test(flavor = "multi_thread")]
async fn money_moves_and_every_total_adds_up() -> anyhow::Result<()> {
    for database in databases("moves").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7, 8]).await?;
        s.client.post_transfer(credit("c1", 7, 10_000)).await?;
        s.client.post_transfer(debit("d1", 7, 1_100)).await?;
        s.client.post_transfer(between("b1", 7, 8, 900)).await?;
        s.client.place_hold(place("h1", 7, 5_000)).await?;
        assert_eq!(s.balance(7).await?, (3_000, 5_000));
        // Part of it leaves as payout and fee, the rest returns.
        let ended = s.client.settle_hold(settle("s1", "h1", &[4_000, 50])).await?.into_inner();
        assert_eq!(ended.entries.len(), 3);
        let hold = ended.hold.unwrap_or_default();
        assert_eq!((hold.settled_minor, hold.released_minor), (4_050, 950));
        let account = s.account(7).await?;
        assert_eq!((account.available_minor, account.frozen_minor), (3_950, 0));
        let totals =
            (account.income_total_minor, account.spend_total_minor, account.withdrawn_total_minor);
        assert_eq!(totals, (10_000, 2_000, 4_050));
        assert_eq!(s.balance(8).await?, (900, 0));
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_once_whoever_is_first() -> anyhow::Result<()> {
    for database in databases("ends_once").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        s.client.post_transfer(credit("c", 7, 1_000)).await?;
        for round in 0..20 {
            let hold = format!("h{round}");
            s.client.place_hold(place(&hold, 7, 10)).await?;
            let (mut one, mut two) = (s.client.clone(), s.client.clone());
            let (settled, released) = tokio::join!(
                one.settle_hold(settle(&format!("s{round}"), &hold, &[10])),
                two.release_hold(release(&format!("r{round}"), &hold)),
            );
            let reasons = [reason(&settled), reason(&released)];
            assert!(
                reasons == ["", "HOLD_ALREADY_SETTLED"] || reasons == ["HOLD_ALREADY_RELEASED", ""],
                "{reasons:?}"
            );
        }
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_shown_is_no_part_of_a_holds_key() -> anyhow::Result<()> {
    for database in databases("worded").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        s.client.post_transfer(credit("c", 7, 100)).await?;
        let facts =
            |note: &str| Some(pb::Facts { note: note.to_owned(), ..Default::default() }.into());
        let worded = |note| pb::PlaceHoldRequest { facts: facts(note), ..place("h", 7, 10) };
        s.client.place_hold(worded("old words")).await?;
        assert!(s.client.place_hold(worded("new words")).await?.into_inner().replayed);
        let worded = |note| pb::SettleHoldRequest { facts: facts(note), ..settle("s", "h", &[10]) };
        s.client.settle_hold(worded("old words")).await?;
        assert!(s.client.settle_hold(worded("new words")).await?.into_inner().replayed);
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_pay_or_lock_a_person_who_has_no_account_yet() -> anyhow::Result<()> {
    for database in databases("first").await? {
        let mut s = Stack::start(&database.url).await?;
        let adjust = |key: &str, user, amount_minor, locked| pb::AdjustAccountRequest {
            key: key.to_owned(),
            account: Some(person(user)),
            amount_minor,
            note: String::new(),
            locked,
        };
        s.client.adjust_account(adjust("pay", 7, 500, None)).await?;
        s.client.adjust_account(adjust("lock", 8, 0, Some(true))).await?;
        assert_eq!(s.balance(7).await?, (500, 0));
        assert!(s.account(8).await?.locked);
        let take = s.client.adjust_account(adjust("take", 9, -1, None)).await;
        assert_eq!(reason(&take), "INSUFFICIENT_FUNDS");
        assert!(s.account(9).await.is_err(), "a refusal leaves no account behind");
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_hold_does_not_stand_and_never_will() -> anyhow::Result<()> {
    for database in databases("abandon").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        s.client.post_transfer(credit("c", 7, 100)).await?;
        let abandon = |hold: &str| {
            let (hold_key, account) = (hold.to_owned(), Some(person(7)));
            pb::AbandonHoldRequest { hold_key, account, facts: None }
        };
        s.client.place_hold(place("stands", 7, 10)).await?;
        for replayed in [false, true] {
            let answer = s.client.abandon_hold(abandon("stands")).await?.into_inner();
            assert_eq!(answer.replayed, replayed);
            assert_eq!(answer.hold.unwrap_or_default().released_minor, 10);
        }
        for replayed in [false, true] {
            let answer = s.client.abandon_hold(abandon("never")).await?.into_inner();
            assert_eq!((answer.replayed, answer.hold), (replayed, None));
        }
        // The call that was on its way arrives.
        assert_eq!(
            reason(&s.client.place_hold(place("never", 7, 10)).await),
            "IDEMPOTENCY_CONFLICT"
        );
        s.client.place_hold(place("left", 7, 10)).await?;
        s.client.settle_hold(settle("s", "left", &[10])).await?;
        assert_eq!(reason(&s.client.abandon_hold(abandon("left")).await), "HOLD_ALREADY_SETTLED");
        assert_eq!(s.balance(7).await?, (90, 0));
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_one_effect_and_repeats_its_answer() -> anyhow::Result<()> {
    for database in databases("keys").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        let first = s.client.post_transfer(credit("k", 7, 500)).await?.into_inner();
        let placed = s.client.place_hold(place("h", 7, 200)).await?.into_inner();
        let ended = s.client.settle_hold(settle("s", "h", &[150])).await?.into_inner();
        // A restart forgets everything that was only in memory.
        s.running.stop().await;
        let mut s = Stack::start(&database.url).await?;
        let again = s.client.post_transfer(credit("k", 7, 500)).await?.into_inner();
        assert_eq!(again, pb::PostTransferResponse { replayed: true, ..first });
        let again = s.client.place_hold(place("h", 7, 200)).await?.into_inner();
        assert_eq!(again, pb::HoldResponse { replayed: true, ..placed });
        let again = s.client.settle_hold(settle("s", "h", &[150])).await?.into_inner();
        assert_eq!(again, pb::HoldResponse { replayed: true, ..ended });
        // The same key with anything else is refused, also across methods.
        assert_eq!(
            reason(&s.client.post_transfer(credit("k", 7, 501)).await),
            "IDEMPOTENCY_CONFLICT"
        );
        assert_eq!(reason(&s.client.place_hold(place("k", 7, 1)).await), "IDEMPOTENCY_CONFLICT");
        assert_eq!(reason(&s.client.release_hold(release("s", "h")).await), "IDEMPOTENCY_CONFLICT");
        assert_eq!(s.balance(7).await?, (350, 0));
        // A refused command leaves its key free.
        assert_eq!(
            reason(&s.client.post_transfer(debit("free", 7, 351)).await),
            "INSUFFICIENT_FUNDS"
        );
        s.client.post_transfer(debit("free", 7, 350)).await?;
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_sent_by_sixty_four_callers_at_once_moves_money_once() -> anyhow::Result<()> {
    for database in databases("storm").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        let mut calls = Vec::new();
        for caller in 0..64_i64 {
            let mut client = s.client.clone();
            // Half of them send another amount.
            let request = credit("same", 7, 100 + caller % 2);
            calls.push(tokio::spawn(async move { client.post_transfer(request).await }));
        }
        let mut refused = 0;
        for call in calls {
            match call.await? {
                Ok(_) => {}
                result => {
                    assert_eq!(reason(&result), "IDEMPOTENCY_CONFLICT");
                    refused += 1;
                }
            }
        }
        assert_eq!(refused, 32);
        let (available, _) = s.balance(7).await?;
        assert!(available == 100 || available == 101, "{available}");
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_independent_or_all_or_nothing() -> anyhow::Result<()> {
    for database in databases("batch").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7, 8]).await?;
        let transfers = |prefix: &str| {
            vec![
                credit(&format!("{prefix}1"), 7, 100),
                between(&format!("{prefix}2"), 7, 8, 60),
                debit(&format!("{prefix}3"), 7, 41),
                credit(&format!("{prefix}4"), 8, 1),
            ]
        };
        let batch = |prefix: &str, all_or_nothing| pb::PostTransfersRequest {
            transfers: transfers(prefix),
            all_or_nothing,
        };
        let answer = s.client.post_transfers(batch("a", true)).await?.into_inner();
        assert_eq!(
            outcomes(&answer),
            ["BATCH_ABORTED", "BATCH_ABORTED", "INSUFFICIENT_FUNDS", "BATCH_ABORTED"]
        );
        assert_eq!(s.balance(7).await?, (0, 0));
        let answer = s.client.post_transfers(batch("a", false)).await?.into_inner();
        assert_eq!(outcomes(&answer), ["", "", "INSUFFICIENT_FUNDS", ""]);
        assert_eq!(s.balance(7).await?, (40, 0));
        assert_eq!(s.balance(8).await?, (61, 0));
        // One thousand in one call, one of them malformed.
        let mut transfers: Vec<_> = (0..1000).map(|i| credit(&format!("m{i}"), 8, 1)).collect();
        transfers[500].amount_minor = 0;
        let request = pb::PostTransfersRequest { transfers, all_or_nothing: false };
        let answer = s.client.post_transfers(request.clone()).await?.into_inner();
        assert_eq!(outcomes(&answer).iter().filter(|r| r.is_empty()).count(), 999);
        assert_eq!(outcomes(&answer)[500], "INVALID_ARGUMENT");
        assert_eq!(s.balance(8).await?, (1_060, 0));
        let whole = pb::PostTransfersRequest { all_or_nothing: true, ..request };
        let refused = s.client.post_transfers(whole).await;
        assert!(
            refused.as_ref().is_err_and(|e| e.message().contains("transfers[500].amount_minor")),
            "{refused:?}"
        );
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_holds_are_carried_out_together_and_each_for_itself() -> anyhow::Result<()> {
    use pb::hold_command::Command;
    for database in databases("holds").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        s.client.post_transfer(credit("c", 7, 1_000)).await?;
        let ids = |n: i64| (format!("end{n}"), format!("h{n}"));
        let place = |n, amount| Command::Place(place(&ids(n).1, 7, amount));
        let release = |n: i64| Command::Release(release(&format!("back{n}"), &ids(n).1));
        let settle = |n| Command::Settle(settle(&ids(n).0, &ids(n).1, &[100]));
        let abandon = |n| {
            let (account, hold_key) = (Some(person(7)), ids(n).1);
            Command::Abandon(pb::AbandonHoldRequest { hold_key, account, facts: None })
        };
        // In this order: what ends a hold comes after what placed it.
        let commands = vec![
            (place(1, 100), ""),
            (place(2, 0), "INVALID_ARGUMENT"),
            (place(3, 2_000), "INSUFFICIENT_FUNDS"),
            (settle(1), ""),
            (release(1), "HOLD_ALREADY_SETTLED"),
            (place(4, 300), ""),
            (release(4), ""),
            (abandon(5), ""),
            (place(5, 1), "IDEMPOTENCY_CONFLICT"),
            (place(6, 50), ""),
            (abandon(6), ""),
            (settle(9), "HOLD_NOT_FOUND"),
            (place(8, 7), ""),
        ];
        for again in [false, true] {
            let all = commands.iter().map(|(c, _)| pb::HoldCommand { command: Some(c.clone()) });
            let nothing = pb::HoldCommand { command: None };
            let asked = pb::ChangeHoldsRequest { commands: all.chain([nothing]).collect() };
            let told = s.client.change_holds(asked).await?.into_inner().results;
            assert_eq!(told.len(), commands.len() + 1);
            for (result, expected) in told.iter().zip(commands.iter().map(|(_, e)| *e)) {
                let (reason, replayed) = hold_outcome(result);
                assert_eq!(reason, expected, "{}", database.engine);
                assert!(replayed == again || !reason.is_empty(), "{result:?}");
            }
            assert_eq!(told.last().map(|r| hold_outcome(r).0).as_deref(), Some("INVALID_ARGUMENT"));
            assert_eq!(s.balance(7).await?, (893, 7), "{}", database.engine);
        }
        for count in [0, 1001] {
            let commands = vec![pb::HoldCommand { command: Some(place(1, 100)) }; count];
            let refused = s.client.change_holds(pb::ChangeHoldsRequest { commands }).await;
            assert_eq!(reason(&refused), "INVALID_ARGUMENT", "{count}");
        }
        s.stop_and_verify().await?;
    }
    Ok(())
}

fn hold_outcome(result: &pb::HoldResult) -> (String, bool) {
    use pb::hold_result::Outcome;
    match &result.outcome {
        Some(Outcome::Refused(refusal)) => (refusal.reason.clone(), false),
        Some(Outcome::Done(held)) => (String::new(), held.replayed),
        None => ("NONE".to_owned(), false),
    }
}

fn outcomes(answer: &pb::PostTransfersResponse) -> Vec<String> {
    use pb::transfer_result::Outcome;
    let outcome = |r: &pb::TransferResult| match &r.outcome {
        Some(Outcome::Refused(refusal)) => refusal.reason.clone(),
        Some(Outcome::Posted(_)) => String::new(),
        None => "nothing".to_owned(),
    };
    answer.results.iter().map(outcome).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_stops_new_holds_and_nothing_else() -> anyhow::Result<()> {
    for database in databases("lock").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        s.client.post_transfer(credit("c", 7, 100)).await?;
        s.client.place_hold(place("before", 7, 10)).await?;
        let lock = |locked| pb::SetLockRequest { account: Some(person(7)), locked };
        let account = s.client.set_lock(lock(true)).await?.into_inner();
        assert_eq!((account.locked, account.locked_at_us), (true, support::NOON_US));
        assert_eq!(reason(&s.client.place_hold(place("h", 7, 10)).await), "ACCOUNT_LOCKED");
        s.client.post_transfer(debit("d", 7, 10)).await?;
        s.client.release_hold(release("r", "before")).await?;
        s.client.set_lock(lock(false)).await?;
        s.client.place_hold(place("h", 7, 10)).await?;
        assert_eq!(s.balance(7).await?, (80, 10));
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_adjusts_and_locks_in_one_step_under_one_key() -> anyhow::Result<()> {
    for database in databases("adjust").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        let adjust = |key: &str, amount_minor, locked| pb::AdjustAccountRequest {
            key: key.to_owned(),
            account: Some(person(7)),
            amount_minor,
            note: "correction".to_owned(),
            locked,
        };
        let first = s.client.adjust_account(adjust("a", 500, Some(true))).await?.into_inner();
        let account = first.account.clone().unwrap_or_default();
        assert_eq!((account.available_minor, account.locked), (500, true));
        s.client.adjust_account(adjust("b", -200, None)).await?;
        let again = s.client.adjust_account(adjust("a", 500, Some(true))).await?.into_inner();
        assert_eq!(again, pb::AdjustAccountResponse { replayed: true, ..first });
        assert_eq!(
            reason(&s.client.adjust_account(adjust("a", 0, Some(false))).await),
            "IDEMPOTENCY_CONFLICT"
        );
        assert_eq!(
            reason(&s.client.adjust_account(adjust("c", -301, Some(false))).await),
            "INSUFFICIENT_FUNDS"
        );
        let account = s.account(7).await?;
        assert_eq!((account.available_minor, account.locked), (300, true), "all or nothing");
        s.stop_and_verify().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn available_goes_below_zero_only_within_the_overdraft() -> anyhow::Result<()> {
    for database in databases("overdraft").await? {
        let mut s = Stack::start(&database.url).await?;
        s.open(&[7]).await?;
        let limit =
            |limit_minor| pb::SetOverdraftLimitRequest { account: Some(person(7)), limit_minor };
        assert_eq!(reason(&s.client.post_transfer(debit("d", 7, 1)).await), "INSUFFICIENT_FUNDS");
        s.client.set_overdraft_limit(limit(100)).await?;
        s.client.post_transfer(debit("d", 7, 100)).await?;
        assert_eq!(reason(&s.client.post_transfer(debit("e", 7, 1)).await), "INSUFFICIENT_FUNDS");
        assert_eq!(reason(&s.client.place_hold(place("h", 7, 1)).await), "INSUFFICIENT_FUNDS");
        assert_eq!(reason(&s.client.set_overdraft_limit(limit(99)).await), "OVERDRAFT_IN_USE");
        s.client.post_transfer(credit("c", 7, 100)).await?;
        s.client.set_overdraft_limit(limit(0)).await?;
        s.stop_and_verify().await?;
    }
    Ok(())
}
