//! People with money: what a test needs before it can begin, over gRPC.

use anyhow::Context;
use cashout_proto::account::v1 as account;
use cashout_proto::withdraw::v1 as withdraw;
use reqwest::Method;

use super::web::{Answer, Who, user};
use super::{Stack, until};

/// The mobile number of everybody in tests.
pub const MOBILE: &str = "13800138000";

/// Documented numbers of the ways a cash-out goes.
pub const MANUAL: i32 = 0;
/// WeChat.
pub const WECHAT: i32 = 1;
/// Alipay.
pub const ALIPAY: i32 = 2;

/// The account of a person.
pub fn of(user_id: i64) -> Option<account::AccountRef> {
    let by = Some(account::account_ref::By::UserId(user_id));
    Some(account::AccountRef { by, currency: String::new() })
}

/// A transfer into a person's account, as income.
pub fn income(key: &str, user_id: i64, amount_minor: i64) -> account::PostTransferRequest {
    let credit = account::Credit {
        account: of(user_id),
        counter_account: String::new(),
        frozen_until_us: 0,
    };
    account::PostTransferRequest {
        key: key.to_owned(),
        amount_minor,
        kind: account::EntryKind::Settlement.into(),
        movement: Some(account::post_transfer_request::Movement::Credit(credit)),
        facts: None,
    }
}

/// The body of a request for a cash-out.
pub fn cash(amount: &str, method: i32) -> String {
    format!(
        r#"{{"data":{{"attributes":{{"cash_apply_amount":{amount},"cash_type":{method},"cash_mobile":"{MOBILE}"}}}}}}"#
    )
}

impl Stack {
    /// A person with a profile and an account.
    pub async fn person(&self, user_id: i64) -> anyhow::Result<()> {
        let mut accounts = self.accounts()?;
        let open = account::OpenAccountRequest { user_id, currency: String::new() };
        accounts.open_account(open).await?;
        let profile = account::SetProfileRequest {
            user_id,
            username: format!("user{user_id}"),
            mobile: MOBILE.into(),
        };
        accounts.set_profile(profile).await?;
        Ok(())
    }

    /// A person with money.
    pub async fn rich(&self, user_id: i64, amount_minor: i64) -> anyhow::Result<()> {
        self.person(user_id).await?;
        let mut accounts = self.accounts()?;
        let key = format!("rich:{user_id}:{amount_minor}");
        accounts.post_transfer(income(&key, user_id, amount_minor)).await?;
        Ok(())
    }

    /// Binds where a person is paid by WeChat and Alipay; the sandbox reads its script in it.
    pub async fn bound(&self, user_id: i64, payee_id: &str) -> anyhow::Result<()> {
        let mut accounts = self.accounts()?;
        for method in [account::PayeeMethod::Wechat, account::PayeeMethod::Alipay] {
            let payee = account::Payee {
                method: method.into(),
                payee_id: payee_id.to_owned(),
                mp_openid: payee_id.to_owned(),
                nickname: "nickname".into(),
                ..account::Payee::default()
            };
            let bind = account::BindPayeeRequest { user_id, payee: Some(payee) };
            accounts.bind_payee(bind).await?;
        }
        Ok(())
    }

    /// Available and frozen of a person, minor units.
    pub async fn balance(&self, user_id: i64) -> anyhow::Result<(i64, i64)> {
        let asked = account::GetAccountRequest { account: of(user_id), ..Default::default() };
        let answer = self.accounts()?.get_account(asked).await?.into_inner();
        let account = answer.account.context("an answer without an account")?;
        Ok((account.available_minor, account.frozen_minor))
    }

    /// Requests a cash-out over the gateway.
    pub async fn cash_out(
        &self,
        user_id: i64,
        amount: &str,
        method: i32,
        key: &str,
    ) -> anyhow::Result<Answer> {
        self.post(&user(user_id), "/api/wallet/cash", &cash(amount, method), key).await
    }

    /// Requests a cash-out that must be taken, and gives its id.
    pub async fn requested(&self, user_id: i64, amount: &str, method: i32) -> anyhow::Result<i64> {
        let answer = self.cash_out(user_id, amount, method, "").await?;
        anyhow::ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        Ok(answer.text("/data/id")?.parse()?)
    }

    /// A decision on cash-outs; `decision` is the documented number 2, 3 or 5.
    pub async fn review(&self, who: &Who, ids: &[i64], decision: u8) -> anyhow::Result<Answer> {
        let body = format!(r#"{{"ids":{ids:?},"cash_status":{decision},"remark":"by test"}}"#);
        self.post(who, "/api/wallet/cash/review", &body, "").await
    }

    /// A decision that must succeed.
    pub async fn reviewed(&self, who: &Who, id: i64, decision: u8) -> anyhow::Result<()> {
        let answer = self.review(who, &[id], decision).await?;
        let result = answer.text(&format!("/data/result/{id}"))?;
        anyhow::ensure!(result == "success", "{}", answer.body);
        Ok(())
    }

    /// The owner takes a cash-out back.
    pub async fn cancelled(&self, user_id: i64, id: i64) -> anyhow::Result<Answer> {
        let path = format!("/api/wallet/cash/{id}");
        self.ask(Method::DELETE, &user(user_id), &path, "", "").await
    }

    /// A withdrawal as the service knows it.
    pub async fn withdrawal(&self, id: i64) -> anyhow::Result<withdraw::Withdrawal> {
        let asked = withdraw::GetWithdrawalRequest { id, user_id: 0 };
        Ok(self.cash_outs()?.get_withdrawal(asked).await?.into_inner())
    }

    /// Waits until a withdrawal has that status.
    pub async fn until(
        &self,
        id: i64,
        status: withdraw::Status,
    ) -> anyhow::Result<withdraw::Withdrawal> {
        until(&format!("withdrawal {id} is {status:?} on {}", self.engine()), || async {
            let now = self.withdrawal(id).await?;
            Ok((now.status() == status).then_some(now))
        })
        .await
    }
}
