//! Lists, visibility, the stream of changes, and readiness.

use std::time::Duration;

use anyhow::{Context, ensure};
use cashout_common::random::Random;
use cashout_common::world::World;
use cashout_proto::Reason;
use cashout_proto::withdraw::v1::{
    GetHistoryRequest, GetWithdrawalRequest, ListWithdrawalsRequest, RequestWithdrawalRequest,
    Sort, Status, StreamStatusChangesRequest,
};
use cashout_testing::databases;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{ALICE, BOB, Service, config, failure, manual, reason, wechat};
use crate::store::{execute, unlock};

#[tokio::test]
async fn lists_follow_every_filter() -> anyhow::Result<()> {
    for database in databases("lists").await? {
        let service = Service::fresh(&database).await?;
        service.ledger.person(BOB, 1000, "bob");
        let mut sns = Vec::new();
        for n in 0..6 {
            let mut request = if n % 2 == 0 { manual(100) } else { wechat(100, "") };
            request.user_id = if n < 4 { ALICE } else { BOB };
            sns.push(service.ask(request).await?.0.cash_sn);
            service.clock.advance(Duration::from_secs(1));
        }
        service.approve(1, BOB).await?;
        // A request that was never frozen is nobody's business.
        service.ledger.set_down(true);
        ensure!(reason(service.ask(wechat(100, "")).await)? == Reason::Unavailable);
        let noon = crate::harness::NOON_US;
        let all = ListWithdrawalsRequest::default;
        let sn = sns.get(2).cloned().context("six requests")?;
        for (case, request, ids, total) in [
            ("all, newest first", all(), vec![6, 5, 4, 3, 2, 1], 6),
            (
                "oldest first",
                ListWithdrawalsRequest { sort: Sort::CreatedAsc.into(), limit: 2, ..all() },
                vec![1, 2],
                6,
            ),
            (
                "changed last",
                ListWithdrawalsRequest { sort: Sort::UpdatedDesc.into(), limit: 1, ..all() },
                vec![1],
                6,
            ),
            ("a person", ListWithdrawalsRequest { user_ids: vec![BOB], ..all() }, vec![6, 5], 2),
            (
                "two persons",
                ListWithdrawalsRequest { user_ids: vec![BOB, ALICE], offset: 4, ..all() },
                vec![2, 1],
                6,
            ),
            ("a number", ListWithdrawalsRequest { cash_sn: sn, ..all() }, vec![3], 1),
            ("approved", ListWithdrawalsRequest { cash_status: Some(2), ..all() }, vec![1], 1),
            ("no such status", ListWithdrawalsRequest { cash_status: Some(9), ..all() }, vec![], 0),
            ("manual", ListWithdrawalsRequest { cash_type: Some(0), ..all() }, vec![5, 3, 1], 3),
            (
                "mobile",
                ListWithdrawalsRequest { mobile: "13800138000".into(), ..all() },
                vec![5, 3, 1],
                3,
            ),
            (
                "from",
                ListWithdrawalsRequest { created_from_us: noon + 4_000_000, ..all() },
                vec![6, 5],
                2,
            ),
            (
                "until, inclusive",
                ListWithdrawalsRequest { created_until_us: noon + 1_000_000, ..all() },
                vec![2, 1],
                2,
            ),
            ("cursor", ListWithdrawalsRequest { before_id: 3, ..all() }, vec![2, 1], 6),
            ("nobody", ListWithdrawalsRequest { nobody: true, ..all() }, vec![], 0),
        ] {
            let answer = service.client.clone().list_withdrawals(request).await?.into_inner();
            let found: Vec<i64> = answer.withdrawals.iter().map(|w| w.id).collect();
            ensure!((&found, answer.total) == (&ids, total), "{case}: {found:?} {}", answer.total);
        }
        for bad in [
            ListWithdrawalsRequest { limit: 501, ..all() },
            ListWithdrawalsRequest { limit: -1, ..all() },
            ListWithdrawalsRequest { offset: -1, ..all() },
            ListWithdrawalsRequest { sort: 9, ..all() },
            ListWithdrawalsRequest { mobile: "\0".into(), ..all() },
        ] {
            let bad = service.client.clone().list_withdrawals(bad).await.map_err(failure);
            ensure!(reason(bad)? == Reason::InvalidArgument);
        }
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_person_sees_only_what_is_theirs_and_frozen() -> anyhow::Result<()> {
    for database in databases("visible").await? {
        let service = Service::fresh(&database).await?;
        let w = service.request(100).await?;
        service.ledger.set_down(true);
        ensure!(reason(service.ask(wechat(100, "")).await)? == Reason::Unavailable);
        let mut client = service.client.clone();
        for (id, user_id, there) in [
            (w.id, ALICE, true),
            (w.id, BOB, false),
            (2, ALICE, false),
            (2, 0, true),
            (3, 0, false),
        ] {
            let got = client.get_withdrawal(GetWithdrawalRequest { id, user_id }).await;
            let told = client.get_history(GetHistoryRequest { id, user_id }).await;
            ensure!(got.is_ok() == there && told.is_ok() == there, "{id} for {user_id}");
            if !there {
                ensure!(reason(got.map_err(failure))? == Reason::WithdrawalNotFound);
            }
        }
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_applicant_without_a_profile_is_left_out_of_the_answer() -> anyhow::Result<()> {
    for database in databases("nameless").await? {
        let service = Service::fresh(&database).await?;
        service.ledger.nameless(99, 1000);
        let asked = |user_id, key: &str| RequestWithdrawalRequest {
            user_id,
            key: key.to_owned(),
            ..manual(100)
        };
        let mut client = service.client.clone();
        let answer = client.request_withdrawal(asked(ALICE, "")).await?.into_inner();
        let applicant = answer.applicant.context("ALICE has a profile")?;
        ensure!(applicant.username == "user7" && applicant.wechat.is_some());
        let answer = client.request_withdrawal(asked(99, "")).await?.into_inner();
        ensure!(answer.applicant.is_none(), "{:?}", answer.applicant);
        // Also when somebody else finishes the request, and when the answer is told again.
        service.ledger.lose_replies(1);
        ensure!(reason(service.ask(asked(99, "k")).await)? == Reason::Unavailable);
        for _ in 0..2 {
            let answer = client.request_withdrawal(asked(99, "k")).await?.into_inner();
            ensure!(answer.applicant.is_none() && answer.withdrawal.is_some());
        }
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_stream_tells_every_change_once_and_in_order_over_two_instances() -> anyhow::Result<()>
{
    for database in databases("stream").await? {
        let first = Service::fresh(&database).await?;
        let second = first.sibling().await?;
        let w = first.request(100).await?;
        let live = StreamStatusChangesRequest::default();
        let mut live = second.client.clone().stream_status_changes(live).await?.into_inner();
        first.approve(w.id, BOB).await?;
        first.until(w.id, Status::Paid).await?;
        let other = first.request(100).await?;
        let mut told = Vec::new();
        while told.len() < 8 {
            let next = tokio::time::timeout(Duration::from_secs(20), live.message()).await??;
            told.push(next.context("the stream ended")?);
        }
        let sequences: Vec<i64> = told.iter().map(|c| c.sequence).collect();
        ensure!(sequences == (1..=8).collect::<Vec<i64>>(), "{sequences:?}");
        let of = |id| told.iter().filter(move |c| c.withdrawal_id == id).map(|c| c.event.as_str());
        let paid: Vec<&str> = of(w.id).collect();
        ensure!(
            paid == [
                "request",
                "hold_placed",
                "approve",
                "attempt_written",
                "provider_paid",
                "settled"
            ]
        );
        let request = StreamStatusChangesRequest {
            after_sequence: 0,
            withdrawal_id: other.id,
            catch_up_only: true,
        };
        let mut rest = first.client.clone().stream_status_changes(request).await?.into_inner();
        let mut events = Vec::new();
        while let Some(change) = rest.message().await? {
            events.push(change.event);
        }
        ensure!(events == ["request", "hold_placed"]);
        // A live stream does not keep a service from stopping.
        second.stop().await;
        first.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_follows_an_instance_live_is_told_what_both_write_in_turn() -> anyhow::Result<()> {
    for database in databases("turns").await? {
        let first = Service::fresh(&database).await?;
        let second = first.sibling().await?;
        let live = StreamStatusChangesRequest::default();
        let mut live = first.client.clone().stream_status_changes(live).await?.into_inner();
        let mut sequences = Vec::new();
        for turn in 0..6 {
            let writer = if turn % 2 == 0 { &first } else { &second };
            writer.request(100).await?;
            // Some are told one by one, some when several are there.
            while turn % 3 == 2 && sequences.len() < 2 * (turn + 1) {
                let next = tokio::time::timeout(Duration::from_secs(20), live.message()).await??;
                sequences.push(next.context("the stream ended")?.sequence);
            }
        }
        ensure!(sequences == (1..=12).collect::<Vec<i64>>(), "{sequences:?}");
        second.stop().await;
        first.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_an_instance_has_just_written_it_tells_without_a_look_at_the_table()
-> anyhow::Result<()> {
    for database in databases("recent").await? {
        let writer = Service::fresh(&database).await?;
        let other = writer.sibling().await?;
        let w = writer.request(100).await?;
        // So it shows who looks.
        unlock(&database).await?;
        execute(&database.url, "UPDATE history SET actor = 'user:1'").await?;
        let told = async |service: &Service, after_sequence, withdrawal_id| {
            let request =
                StreamStatusChangesRequest { after_sequence, withdrawal_id, catch_up_only: true };
            let mut client = service.client.clone();
            let mut changes = client.stream_status_changes(request).await?.into_inner();
            let mut actors = Vec::new();
            while let Some(change) = changes.message().await? {
                actors.push(change.actor);
            }
            anyhow::Ok(actors)
        };
        ensure!(told(&writer, 0, 0).await? == ["user:7", "system"], "{}", database.engine);
        ensure!(told(&writer, 1, 0).await? == ["system"]);
        ensure!(told(&writer, 2, 0).await?.is_empty());
        ensure!(told(&writer, 0, w.id).await? == ["user:1", "user:1"], "of one they are read");
        ensure!(told(&other, 0, 0).await? == ["user:1", "user:1"], "the other wrote nothing");
        // What the other writes comes after what this one remembers, and is read.
        other.request(100).await?;
        let all = told(&writer, 0, 0).await?;
        ensure!(all == ["user:7", "system", "user:7", "system"], "{all:?} on {}", database.engine);
        other.stop().await;
        writer.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn it_starts_without_its_peer_says_so_and_recovers() -> anyhow::Result<()> {
    let database = cashout_testing::sqlite("ready").await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let peer = listener.local_addr()?;
    drop(listener);
    let mut settings = config(&database)?;
    settings.account_address = format!("http://{peer}");
    let world = World { random: Random::seeded(1), ..World::real() };
    let running = withdraw_service::start(settings, world).await?;
    let address = format!("http://{}", running.address);
    let channel = tonic::transport::Endpoint::from_shared(address)?.connect_lazy();
    let mut health = HealthClient::new(channel);
    let mut status = async || {
        let service = withdraw_service::SERVICE.to_owned();
        anyhow::Ok(health.check(HealthCheckRequest { service }).await?.into_inner().status())
    };
    ensure!(status().await? == ServingStatus::NotServing);
    let (reporter, service) = tonic_health::server::health_reporter();
    let serving = tonic_health::ServingStatus::Serving;
    reporter.set_service_status("cashout.account.v1.AccountService", serving).await;
    let account = tonic::transport::Server::builder().add_service(service).serve(peer);
    let account = tokio::spawn(account);
    for _ in 0..400 {
        if status().await? == ServingStatus::Serving {
            account.abort();
            running.stop().await;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    anyhow::bail!("it did not recover")
}
