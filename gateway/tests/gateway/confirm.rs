//! A payout that the payee must confirm at the provider: the owner's app gets what its client needs,
//! nobody else does, and nothing changes for cash-outs without one.

use cashout_proto::withdraw::v1::{Confirmation, ListWithdrawalsResponse, Status, Withdrawal};

use crate::stack::{ADMIN, Person, Stack, user};

const NOW_S: i64 = 1_600_000_000;
const CONFIRM: &str =
    r#","confirm":{"mchId":"1900000001","appId":"wx0000000000000001","package":"a+b/c\"="}}"#;

fn waiting(user_id: i64) -> Withdrawal {
    let confirmation = Confirmation {
        mch_id: "1900000001".to_owned(),
        app_id: "wx0000000000000001".to_owned(),
        package: "a+b/c\"=".to_owned(),
    };
    Withdrawal {
        id: 3,
        user_id,
        cash_sn: "202009130000000003".to_owned(),
        status: Status::Paying.into(),
        cash_status: 4,
        pay_status: 1,
        confirmation: Some(confirmation),
        ..Default::default()
    }
}

fn list(withdrawals: Vec<Withdrawal>) -> ListWithdrawalsResponse {
    let total = i64::try_from(withdrawals.len()).unwrap_or_default();
    ListWithdrawalsResponse { withdrawals, total }
}

#[tokio::test]
async fn only_the_owner_gets_what_a_confirmation_takes() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let viewer = Person::Known(9, &[], &["cash.viewList"]);
    let bare = Withdrawal { confirmation: None, ..waiting(7) };
    for (found, person, shown) in [
        (waiting(7), user(7), true),
        (waiting(7), viewer, false),
        (waiting(7), ADMIN, false),
        (waiting(1000), ADMIN, true),
        (bare, user(7), false),
    ] {
        stack.fakes.answers("get_withdrawal", found.clone());
        stack.fakes.answers("list_withdrawals", list(vec![found]));
        for path in ["/api/wallet/cash/3", "/api/wallet/cash"] {
            let answer = stack.get(&person, path).await?;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.body.contains(CONFIRM), shown, "{path}: {}", answer.body);
            assert_eq!(answer.body.contains("confirm"), shown, "{path}: {}", answer.body);
            assert!(answer.body.contains(r#""cash_status":4"#), "{}", answer.body);
        }
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_blocked_payout_shows_as_one_that_is_under_way() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let blocked = Withdrawal {
        status: Status::Blocked.into(),
        confirmation: None,
        trade_no: "2026".to_owned(),
        ..waiting(7)
    };
    stack.fakes.answers("get_withdrawal", blocked.clone());
    stack.fakes.answers("list_withdrawals", list(vec![blocked]));
    let answer = stack.get(&user(7), "/api/wallet/cash/3").await?;
    assert_eq!(answer.json()?["data"]["attributes"]["cash_status"], 4);
    let answer = stack.get(&crate::stack::teacher(7), "/sett/withdrawList").await?;
    assert_eq!(answer.json()?["data"]["items"][0]["pay_status"], "1");
    stack.stop().await;
    Ok(())
}
