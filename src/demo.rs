//! `cashout demo`: the people of the three documents in a running system, over gRPC.
//!
//! Every step is under a fixed key, so playing it again changes nothing. Must not know: how a
//! service keeps what it is told.

use std::time::Duration;

use anyhow::Context;
use cashout_common::peer::channel;
use cashout_common::settings::Values;
use cashout_proto::account::v1 as account;
use cashout_proto::withdraw::v1 as withdraw;
use tonic::transport::Channel;

use account::EntryKind as Kind;
use account::account_service_client::AccountServiceClient;
use account::post_transfer_request::Movement;
use withdraw::withdraw_service_client::WithdrawServiceClient;

use crate::settings::{address, reachable};
use crate::token::Signer;

/// The teacher of document 1.
const TEACHER: i64 = 7;
/// The shopper of document 2.
const SHOPPER: i64 = 32_630;
/// The author of document 3.
const AUTHOR: i64 = 1;
/// Who reviews.
const REVIEWER: i64 = 99;
/// The frozen amount of document 2 is released on 20 April at 23:58 in Shanghai, as documented, but
/// in a year still to come: 2099.
const RELEASE_AT_US: i64 = 4_080_383_880_000_000;

/// What was made that an answer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// The teacher's cash-out, paid by hand.
    pub paid: i64,
    /// The author's cash-out, in review.
    pub in_review: i64,
}

/// The command: plays the demo and tells what to ask.
pub async fn demo(values: Values) -> anyhow::Result<String> {
    let account = address(&values, "ACCOUNT_ADDRESS", "ACCOUNT_LISTEN");
    let withdraw = address(&values, "WITHDRAW_ADDRESS", "WITHDRAW_LISTEN");
    let listen = values.text("GATEWAY_LISTEN");
    let gateway = listen.parse().map_or_else(|_| format!("http://{listen}"), reachable);
    let signer = Signer::read(&values)?;
    values.finish(Some(()))?;
    let told = play(&account, &withdraw).await.context("is `cashout serve` running?")?;
    lines(&gateway, &signer, told)
}

/// Creates the people, their money and their cash-outs.
///
/// # Errors
/// When a service does not answer or refuses a step.
pub async fn play(account_url: &str, withdraw_url: &str) -> anyhow::Result<Told> {
    let mut stage = Stage {
        accounts: AccountServiceClient::new(channel(account_url)?),
        cash_outs: WithdrawServiceClient::new(channel(withdraw_url)?),
    };
    let paid = stage.teacher().await.context("teacher 7")?;
    stage.shopper().await.context("shopper 32630")?;
    let in_review = stage.author().await.context("author 1")?;
    Ok(Told { paid, in_review })
}

struct Stage {
    accounts: AccountServiceClient<Channel>,
    cash_outs: WithdrawServiceClient<Channel>,
}

impl Stage {
    /// Document 1: an income of 0.01 is left, a cash-out of 1.00 was paid.
    async fn teacher(&mut self) -> anyhow::Result<i64> {
        self.person(TEACHER, "teacher", "13800000007").await?;
        self.income("lesson-1", TEACHER, 100, Kind::Settlement, "课程收入", 0).await?;
        self.income("lesson-2", TEACHER, 1, Kind::Settlement, "课程收入", 0).await?;
        let id = self.request(TEACHER, 100, "13800000007").await?;
        let mut paid = tonic::Request::new(withdraw::ReviewWithdrawalsRequest {
            ids: vec![id],
            decision: withdraw::Decision::MarkPaid.into(),
            remark: "线下转账".into(),
            key: "demo".into(),
        });
        cashout_common::actor::Actor::Person(REVIEWER).write(paid.metadata_mut());
        let results = self.cash_outs.review_withdrawals(paid).await?.into_inner().results;
        anyhow::ensure!(results.iter().all(|r| r.success), "not paid: {results:?}");
        Ok(id)
    }

    /// Document 2: a purchase of 11.00 leaves 169.24, and 18.80 are frozen until a date.
    async fn shopper(&mut self) -> anyhow::Result<()> {
        self.person(SHOPPER, "shopper", "13800032630").await?;
        self.membership(SHOPPER).await?;
        self.income("recharge", SHOPPER, 17_000, Kind::Recharge, "充值", 0).await?;
        self.income("task", SHOPPER, 824, Kind::Task, "任务奖励", 0).await?;
        self.income("rebate", SHOPPER, 200, Kind::Rebate, "返钱", 0).await?;
        self.income("frozen", SHOPPER, 1_880, Kind::Rebate, "返钱", RELEASE_AT_US).await?;
        let purchase = account::Debit { account: of(SHOPPER), counter_account: String::new() };
        let facts = account::Facts {
            note: "购物消费".into(),
            order_no: "2020030323264001".into(),
            goods_amount: "11.00".into(),
            order_time: "2020-03-03 23:26:40".into(),
            received_time: "2020-03-03 23:26:40".into(),
            ..account::Facts::default()
        };
        self.post("purchase", SHOPPER, 1_100, Kind::Purchase, Movement::Debit(purchase), facts)
            .await
    }

    /// Document 3: after a request of 1.00, 1.00 is available and 33.00 are frozen.
    async fn author(&mut self) -> anyhow::Result<i64> {
        self.person(AUTHOR, "username", "13800000001").await?;
        self.payee(AUTHOR).await?;
        self.income("royalty", AUTHOR, 200, Kind::Settlement, "稿费", 0).await?;
        self.income("frozen", AUTHOR, 3_200, Kind::Settlement, "稿费", RELEASE_AT_US).await?;
        self.request(AUTHOR, 100, "13800000001").await
    }

    /// Opens the account, and writes the profile unless it stands already: writing it again would
    /// change when it was changed.
    async fn person(&mut self, user_id: i64, username: &str, mobile: &str) -> anyhow::Result<()> {
        let open = account::OpenAccountRequest { user_id, currency: String::new() };
        self.accounts.open_account(open).await?;
        let known = self.holder(user_id).await?;
        if known.is_none_or(|h| h.username != username || h.mobile != mobile) {
            let profile = account::SetProfileRequest {
                user_id,
                username: username.into(),
                mobile: mobile.into(),
            };
            self.accounts.set_profile(profile).await?;
        }
        Ok(())
    }

    async fn holder(&mut self, user_id: i64) -> anyhow::Result<Option<account::Holder>> {
        let asked =
            account::BatchGetHoldersRequest { user_ids: vec![user_id], username: String::new() };
        let known = self.accounts.batch_get_holders(asked).await?.into_inner();
        Ok(known.holders.into_iter().find(|h| h.user_id == user_id))
    }

    async fn membership(&mut self, user_id: i64) -> anyhow::Result<()> {
        let privileges =
            [("天天免邮", "免邮"), ("0元领好物", "实物实物副标题"), ("红包专区", "红包副标题")];
        let membership = account::Membership {
            is_member: false,
            privileges: privileges
                .map(|(title, subtitle)| account::Privilege {
                    title: title.into(),
                    subtitle: subtitle.into(),
                })
                .into(),
            saved_minor: 0,
        };
        let known = self.holder(user_id).await?.and_then(|h| h.membership);
        if known.as_ref() != Some(&membership) {
            let set = account::SetMembershipRequest { user_id, membership: Some(membership) };
            self.accounts.set_membership(set).await?;
        }
        Ok(())
    }

    async fn payee(&mut self, user_id: i64) -> anyhow::Result<()> {
        let known = self.holder(user_id).await?;
        if known.is_some_and(|h| !h.payees.is_empty()) {
            return Ok(());
        }
        let payee = account::Payee {
            method: account::PayeeMethod::Wechat.into(),
            payee_id: "demo-openid-1".into(),
            mp_openid: "demo-openid-1".into(),
            nickname: "nickname".into(),
            ..account::Payee::default()
        };
        let bind = account::BindPayeeRequest { user_id, payee: Some(payee) };
        self.accounts.bind_payee(bind).await?;
        Ok(())
    }

    async fn income(
        &mut self,
        step: &str,
        user_id: i64,
        amount_minor: i64,
        kind: Kind,
        note: &str,
        frozen_until_us: i64,
    ) -> anyhow::Result<()> {
        let credit = account::Credit {
            account: of(user_id),
            counter_account: String::new(),
            frozen_until_us,
        };
        let facts = account::Facts { note: note.into(), ..account::Facts::default() };
        self.post(step, user_id, amount_minor, kind, Movement::Credit(credit), facts).await
    }

    async fn post(
        &mut self,
        step: &str,
        user_id: i64,
        amount_minor: i64,
        kind: Kind,
        movement: Movement,
        facts: account::Facts,
    ) -> anyhow::Result<()> {
        let transfer = account::PostTransferRequest {
            key: format!("demo:{user_id}:{step}"),
            amount_minor,
            kind: kind.into(),
            movement: Some(movement),
            facts: Some(facts.into()),
        };
        self.accounts.post_transfer(transfer).await.with_context(|| step.to_owned())?;
        Ok(())
    }

    /// Requests a cash-out that a person pays by hand.
    async fn request(
        &mut self,
        user_id: i64,
        apply_minor: i64,
        mobile: &str,
    ) -> anyhow::Result<i64> {
        let request = withdraw::RequestWithdrawalRequest {
            user_id,
            apply_minor,
            method: withdraw::Method::Manual.into(),
            mobile: mobile.into(),
            key: "demo".into(),
            ..withdraw::RequestWithdrawalRequest::default()
        };
        let answer = self.cash_outs.request_withdrawal(request).await?.into_inner();
        Ok(answer.withdrawal.context("an answer without a withdrawal")?.id)
    }
}

fn of(user_id: i64) -> Option<account::AccountRef> {
    let by = Some(account::account_ref::By::UserId(user_id));
    Some(account::AccountRef { by, currency: String::new() })
}

/// What to ask, ready to be pasted into a shell.
fn lines(gateway: &str, signer: &Signer, told: Told) -> anyhow::Result<String> {
    let token = |user: i64, role: &str| {
        let hour = Duration::from_secs(3600);
        signer.sign(user, &[role.to_owned()], &[], hour)
    };
    let id = told.in_review;
    let json = "-H 'Content-Type: application/json'";
    Ok(format!(
        r#"TEACHER={teacher}
SHOPPER={shopper}
AUTHOR={author}
ADMIN={admin}

# The teacher's account, and their cash-outs
curl -H "Authorization: Bearer $TEACHER" {gateway}/sett/sett
curl -H "Authorization: Bearer $TEACHER" {gateway}/sett/withdrawList
# The shopper's statement
curl -g -H "Authorization: Bearer $SHOPPER" '{gateway}/user/capital-account/new-list?page[cur_page]=1&page[page_size]=10'
# The author's wallet, and their cash-out in review
curl -H "Authorization: Bearer $AUTHOR" {gateway}/api/wallet/user/{AUTHOR}
curl -H "Authorization: Bearer $AUTHOR" {gateway}/api/wallet/cash/{id}
# A reviewer marks it as paid by hand
curl -H "Authorization: Bearer $ADMIN" {json} {gateway}/api/wallet/cash/review -d '{{"ids":[{id}],"cash_status":5,"remark":"ok"}}'
# The author takes 0.50 out to WeChat; a reviewer approves it, with the id of the answer; then it is paid (cash_status 5)
curl -H "Authorization: Bearer $AUTHOR" {json} {gateway}/api/wallet/cash -d '{{"data":{{"attributes":{{"cash_apply_amount":"0.50","cash_type":1}}}}}}'
ID=3
curl -H "Authorization: Bearer $ADMIN" {json} {gateway}/api/wallet/cash/review -d '{{"ids":['$ID'],"cash_status":2}}'
curl -H "Authorization: Bearer $AUTHOR" {gateway}/api/wallet/cash/$ID"#,
        teacher = token(TEACHER, "teacher")?,
        shopper = token(SHOPPER, "user")?,
        author = token(AUTHOR, "user")?,
        admin = token(REVIEWER, "admin")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_date_reads_as_documented() -> anyhow::Result<()> {
        let zone =
            cashout_common::local::Zone::named("Asia/Shanghai").map_err(anyhow::Error::msg)?;
        assert_eq!(zone.datetime(RELEASE_AT_US), "2099-04-20 23:58:00");
        Ok(())
    }
}
