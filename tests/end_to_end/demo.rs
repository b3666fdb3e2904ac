//! The demo: each documented request gives an answer of the documented kind, and playing it twice
//! changes nothing.

use cashout_proto::account::v1 as account;
use cashout_proto::withdraw::v1 as withdraw;

use crate::support::web::{teacher, user};
use crate::support::{Stack, every_engine};

/// Everything that the services know, in words.
async fn everything(stack: &Stack) -> anyhow::Result<String> {
    let asked = account::StreamEntriesRequest { after_id: 0, account: None, catch_up_only: true };
    let mut entries = stack.accounts()?.stream_entries(asked).await?.into_inner();
    let mut all = String::new();
    while let Some(entry) = entries.message().await? {
        all += &format!("{entry:?}\n");
    }
    let asked = withdraw::ListWithdrawalsRequest { limit: 500, ..Default::default() };
    let cash_outs = stack.cash_outs()?.list_withdrawals(asked).await?.into_inner();
    let asked =
        account::BatchGetHoldersRequest { user_ids: vec![1, 7, 32_630], username: String::new() };
    let holders = stack.accounts()?.batch_get_holders(asked).await?.into_inner();
    Ok(format!("{all}{cash_outs:?}\n{holders:?}"))
}

#[tokio::test]
async fn the_demo_shows_what_the_documents_show_and_twice_is_once() -> anyhow::Result<()> {
    for stack in every_engine("demo", &[]).await? {
        let (accounts, cash_outs) = stack.services();
        let told = cashout::play(&accounts, &cash_outs).await?;
        stack.until(told.paid, withdraw::Status::Paid).await?;
        let once = everything(&stack).await?;
        let again = cashout::play(&accounts, &cash_outs).await?;
        assert_eq!(again, told);
        assert_eq!(everything(&stack).await?, once, "the second time changed something");

        let account = stack.get(&teacher(7), "/sett/sett").await?;
        assert_eq!(account.text("/data/items/0/total_left")?, "0.01");
        assert_eq!(account.text("/data/items/0/total_withdraw")?, "1.00");
        let paid = stack.get(&teacher(7), "/sett/withdrawList").await?;
        assert_eq!(paid.text("/data/items/0/pay_status")?, "2");
        let statement = stack.get(&user(32_630), "/user/capital-account/new-list").await?;
        assert_eq!(statement.text("/data/list/0/amount")?, "-11.00");
        assert_eq!(statement.text("/data/list/0/cur_balance")?, "169.24");
        assert_eq!(statement.text("/data/list/0/goods_amount")?, "11.00");
        assert_eq!(
            statement.text("/data/new_user/unfreeze")?,
            "您有18.8元余额将于2099年4月20日23:58分解冻"
        );
        let wallet = stack.get(&user(1), "/api/wallet/user/1").await?;
        assert_eq!(wallet.text("/data/attributes/available_amount")?, "1.00");
        assert_eq!(wallet.text("/data/attributes/freeze_amount")?, "33.00");
        let path = format!("/api/wallet/cash/{}", told.in_review);
        assert_eq!(stack.get(&user(1), &path).await?.at("/data/attributes/cash_status")?, 1);
        stack.stop().await?;
    }
    Ok(())
}
