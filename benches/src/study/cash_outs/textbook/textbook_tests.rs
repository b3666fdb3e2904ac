//! The textbook cash-outs keep the promises they are compared on, on both engines: what forgets keys,
//! pays twice or loses money would prove nothing.

use std::net::SocketAddr;
use std::time::Duration;

use cashout_common::clock::Clock;
use cashout_common::peer::channel;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use cashout_proto::withdraw::v1 as pb;
use cashout_testing::TestDatabase;
use tokio::sync::broadcast;
use tonic::Code;

use super::Steps;
use crate::baseline;
use crate::load::request::{account, credit, open};
use crate::surface;

/// Both services on one engine; the databases live as long as this value.
struct Stack {
    _databases: [TestDatabase; 2],
    ledger: AccountServiceClient<tonic::transport::Channel>,
    steps: Steps,
    careful: bool,
}

impl Stack {
    async fn balance(&self, user: i64) -> anyhow::Result<(i64, i64)> {
        let answer = self.ledger.clone().get_account(account(user)).await?.into_inner();
        let account = answer.account.unwrap_or_default();
        Ok((account.available_minor, account.frozen_minor))
    }
}

/// Plain and careful on each engine, with person 7 and 500 minor units.
async fn stacks(name: &str) -> anyhow::Result<Vec<Stack>> {
    let mut stacks = Vec::new();
    for (how, people) in [("plain", None), ("careful", Some(9))] {
        let ledgers = cashout_testing::databases(&format!("{name}_{how}_ledger")).await?;
        let books = cashout_testing::databases(&format!("{name}_{how}_books")).await?;
        for (ledger, books) in ledgers.into_iter().zip(books) {
            stacks.push(stack(ledger, books, people).await?);
        }
    }
    Ok(stacks)
}

async fn stack(
    ledger: TestDatabase,
    books: TestDatabase,
    people: Option<i64>,
) -> anyhow::Result<Stack> {
    let listen: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let server = baseline::Textbook::open(&ledger.url, Clock::system()).await?;
    tokio::spawn(surface::serve("baseline", listen, server));
    let to = channel(&format!("http://{listen}"))?;
    let mut client = AccountServiceClient::new(to.clone());
    while client.open_account(open(7)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    client.post_transfer(credit("income".into(), 7, 500)).await?;
    let steps = Steps::open(&books.url, to, Clock::system(), people).await?;
    let careful = people.is_some();
    Ok(Stack { _databases: [ledger, books], ledger: client, steps, careful })
}

fn asked(key: &str, apply_minor: i64) -> pb::RequestWithdrawalRequest {
    let key = key.to_owned();
    pb::RequestWithdrawalRequest { user_id: 7, apply_minor, method: 1, key, ..Default::default() }
}

fn next(changes: &mut broadcast::Receiver<pb::StatusChange>) -> Option<pb::Status> {
    changes.try_recv().ok().map(|change| change.to())
}

#[tokio::test]
async fn a_cash_out_is_held_then_approved_then_paid_and_each_step_is_told() -> anyhow::Result<()> {
    for stack in stacks("textbook_whole").await? {
        let mut changes = stack.steps.follow();
        let (row, replayed) = stack.steps.request(&asked("a", 200)).await?;
        assert!(!replayed);
        assert_eq!(stack.balance(7).await?, (300, 200));
        let approved = stack.steps.approve(row.id, 9).await?;
        stack.steps.pay(approved.clone()).await?;
        assert_eq!(stack.balance(7).await?, (300, 0));
        let now = super::shown(&stack.steps.read(row.id).await?);
        assert_eq!(now.status(), pb::Status::Paid);
        assert!(now.paid_at_us > 0 && !now.trade_no.is_empty() && !now.third_trade_no.is_empty());
        use pb::Status::{Approved, InReview, Paid, Paying, Requested, Settling};
        let told: &[pb::Status] = if stack.careful {
            &[Requested, InReview, Approved, Paying, Settling, Paid]
        } else {
            &[InReview, Approved, Paying, Paid]
        };
        for status in told {
            assert_eq!(next(&mut changes), Some(*status));
        }
        // Paying again what was approved once changes nothing.
        assert!(stack.steps.pay(approved).await.is_err());
        assert_eq!(stack.balance(7).await?, (300, 0));
    }
    Ok(())
}

#[tokio::test]
async fn a_key_has_one_cash_out_and_the_same_answer_again() -> anyhow::Result<()> {
    for stack in stacks("textbook_keys").await? {
        let (first, _) = stack.steps.request(&asked("a", 200)).await?;
        let (again, replayed) = stack.steps.request(&asked("a", 200)).await?;
        assert_eq!((again.id, again.cash_sn, replayed), (first.id, first.cash_sn, true));
        let other = stack.steps.request(&asked("a", 201)).await;
        assert_eq!(other.map_err(|status| status.code()).err(), Some(Code::AlreadyExists));
        assert_eq!(stack.balance(7).await?, (300, 200));
    }
    Ok(())
}

#[tokio::test]
async fn nobody_takes_what_is_not_there_or_approves_their_own_or_twice() -> anyhow::Result<()> {
    for stack in stacks("textbook_rules").await? {
        assert!(stack.steps.request(&asked("a", 501)).await.is_err());
        let (row, _) = stack.steps.request(&asked("b", 500)).await?;
        assert!(stack.steps.approve(row.id, 7).await.is_err());
        stack.steps.approve(row.id, 9).await?;
        assert!(stack.steps.approve(row.id, 9).await.is_err());
        assert!(stack.steps.approve(row.id + 1, 9).await.is_err());
        assert_eq!(stack.balance(7).await?, (0, 500));
    }
    Ok(())
}

#[tokio::test]
async fn the_careful_one_has_on_record_what_it_asks_of_others_before_it_asks() -> anyhow::Result<()>
{
    for mut stack in stacks("textbook_records").await?.into_iter().filter(|stack| stack.careful) {
        let mut changes = stack.steps.follow();
        let (row, _) = stack.steps.request(&asked("a", 200)).await?;
        let approved = stack.steps.approve(row.id, 9).await?;
        // The ledger is away: nobody answers the request, and nobody settles.
        stack.steps.ledger = AccountServiceClient::new(channel("http://127.0.0.1:1")?);
        assert!(stack.steps.request(&asked("b", 100)).await.is_err());
        assert!(stack.steps.pay(approved).await.is_err());
        use pb::Status::{Approved, InReview, Paying, Requested, Settling};
        for status in [Requested, InReview, Approved, Paying, Requested, Settling] {
            assert_eq!(next(&mut changes), Some(status));
        }
        assert_eq!(next(&mut changes), None);
        let on_record = stack.steps.on_record(row.id).await?;
        assert_eq!(on_record, (1, "paid".to_owned(), "paid".to_owned()));
    }
    Ok(())
}

#[tokio::test]
async fn the_careful_one_has_the_attempt_and_the_call_on_record_with_the_approval()
-> anyhow::Result<()> {
    for stack in stacks("textbook_attempts").await?.into_iter().filter(|stack| stack.careful) {
        let (row, _) = stack.steps.request(&asked("a", 200)).await?;
        assert!(stack.steps.approve(row.id, 7).await.is_err());
        assert!(stack.steps.on_record(row.id).await.is_err(), "nothing of a refused approval");
        stack.steps.approve(row.id, 9).await?;
        // The provider was not asked yet.
        let on_record = stack.steps.on_record(row.id).await?;
        assert_eq!(on_record, (1, "live".to_owned(), String::new()));
    }
    Ok(())
}

#[tokio::test]
async fn the_careful_one_declines_what_the_ledger_refuses_and_keeps_the_days_limit()
-> anyhow::Result<()> {
    for stack in stacks("textbook_limits").await?.into_iter().filter(|stack| stack.careful) {
        let mut changes = stack.steps.follow();
        assert!(stack.steps.request(&asked("a", 501)).await.is_err(), "there are 500");
        assert_eq!(next(&mut changes), Some(pb::Status::Requested));
        assert_eq!(next(&mut changes), Some(pb::Status::Declined));
        assert!(stack.steps.request(&asked("a", 501)).await.is_err());
        assert!(stack.steps.request(&asked("b", 10_000_001)).await.is_err(), "over the limit");
        assert_eq!(next(&mut changes), None, "what is over the limit leaves nothing");
        let unbound = pb::RequestWithdrawalRequest { user_id: 10, ..asked("c", 1) };
        assert!(stack.steps.request(&unbound).await.is_err(), "nobody knows where to pay them");
        assert_eq!(next(&mut changes), None);
    }
    Ok(())
}
