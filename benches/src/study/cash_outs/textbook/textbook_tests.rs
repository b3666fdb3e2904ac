//! The textbook cash-outs keep the promises they are compared on, on both engines: what forgets keys,
//! pays twice or loses money would prove nothing.

use std::net::SocketAddr;
use std::time::Duration;

use cashout_common::clock::Clock;
use cashout_common::peer::channel;
use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use cashout_proto::withdraw::v1 as pb;
use tokio::sync::broadcast;
use tonic::Code;

use super::Steps;
use crate::baseline;
use crate::load::request::{account, credit, open};
use crate::surface;

/// Both services on one engine; the databases live as long as this value.
struct Stack {
    _databases: [cashout_testing::TestDatabase; 2],
    ledger: AccountServiceClient<tonic::transport::Channel>,
    steps: Steps,
}

impl Stack {
    async fn balance(&self, user: i64) -> anyhow::Result<(i64, i64)> {
        let answer = self.ledger.clone().get_account(account(user)).await?.into_inner();
        let account = answer.account.unwrap_or_default();
        Ok((account.available_minor, account.frozen_minor))
    }
}

/// One of each engine, with person 7 and 500 minor units.
async fn stacks(name: &str) -> anyhow::Result<Vec<Stack>> {
    let ledgers = cashout_testing::databases(&format!("{name}_ledger")).await?;
    let books = cashout_testing::databases(&format!("{name}_books")).await?;
    let mut stacks = Vec::new();
    for (ledger, books) in ledgers.into_iter().zip(books) {
        let listen: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let server = baseline::Textbook::open(&ledger.url, Clock::system()).await?;
        tokio::spawn(surface::serve("baseline", listen, server));
        let to = channel(&format!("http://{listen}"))?;
        let mut client = AccountServiceClient::new(to.clone());
        while client.open_account(open(7)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        client.post_transfer(credit("income".into(), 7, 500)).await?;
        let steps = Steps::open(&books.url, to, Clock::system()).await?;
        stacks.push(Stack { _databases: [ledger, books], ledger: client, steps });
    }
    Ok(stacks)
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
        for status in
            [pb::Status::InReview, pb::Status::Approved, pb::Status::Paying, pb::Status::Paid]
        {
            assert_eq!(next(&mut changes), Some(status));
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
