//! The documented bodies against real answers: the same members in the same order with the same JSON
//! types, and values that the test's set-up explains (docs/http.md, `golden/`).

use anyhow::Context;
use cashout_common::clock::Clock;
use cashout_common::random::Random;
use cashout_common::world::World;
use cashout_proto::account::v1 as account;

use crate::support::document::{same_shape, text_at};
use crate::support::people::{MANUAL, cash, income, of};
use crate::support::web::{teacher, user};
use crate::support::{Stack, one_in};

/// 2018-08-10 17:53:58 in Shanghai, as documented.
const DOCUMENT_1_US: i64 = 1_533_894_838_000_000;
/// 2020-03-03 23:26:40 in Shanghai, as documented.
const DOCUMENT_2_US: i64 = 1_583_249_200_000_000;
/// 2019-11-22 11:07:32 in Shanghai, as documented.
const DOCUMENT_3_US: i64 = 1_574_392_052_000_000;
/// 2022-04-20 23:58 in Shanghai, as documented.
const RELEASE_US: i64 = 1_650_470_280_000_000;

async fn at(now_us: i64, name: &str, settings: &[(&'static str, &str)]) -> anyhow::Result<Stack> {
    let world = World { clock: Clock::set_at(now_us), random: Random::seeded(1) };
    one_in(name, settings, world).await
}

#[tokio::test]
async fn document_1_settlement_reads_as_documented() -> anyhow::Result<()> {
    let documented = include_str!("golden/sett.json");
    let stack = at(DOCUMENT_1_US, "golden1", &[]).await?;
    stack.rich(7, 1).await?;
    for path in ["/sett/sett", "/sett/sett?id=7"] {
        let answer = stack.get(&teacher(7), path).await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        // An income reached available, so there is a time of settlement.
        same_shape(documented, &answer.body, &["/data/items/0/sett_time"])?;
        for member in ["total_income", "total_withdraw", "total_left", "can_withdraw", "status"] {
            let path = format!("/data/items/0/{member}");
            assert_eq!(text_at(&answer.body, &path)?, text_at(documented, &path)?, "{member}");
        }
        assert_eq!(text_at(&answer.body, "/data/ts")?, "1533894838");
        assert_eq!(text_at(&answer.body, "/data/items/0/update_time")?, "\"2018-08-10 17:53:58\"");
    }
    stack.stop().await
}

#[tokio::test]
async fn document_1_cash_outs_read_as_documented() -> anyhow::Result<()> {
    let documented = include_str!("golden/withdraw_list.json");
    let stack = at(DOCUMENT_1_US, "golden1w", &[]).await?;
    stack.rich(7, 101).await?;
    let id = stack.requested(7, "\"1.00\"", MANUAL).await?;
    stack.reviewed(&crate::support::web::admin(99), id, 5).await?;
    let answer = stack.get(&teacher(7), "/sett/withdrawList").await?;
    // Paid by hand in this test, so there is a time of payment.
    same_shape(documented, &answer.body, &["/data/items/0/pay_time", "/data/items/0/add_time"])?;
    for member in ["user_id", "amount", "servicer", "third_trade_no", "pay_status"] {
        let path = format!("/data/items/0/{member}");
        assert_eq!(text_at(&answer.body, &path)?, text_at(documented, &path)?, "{member}");
    }
    stack.stop().await
}

#[tokio::test]
async fn document_2_statement_reads_as_documented() -> anyhow::Result<()> {
    let documented = include_str!("golden/capital_account_new_list.json");
    let stack = at(DOCUMENT_2_US, "golden2", &[]).await?;
    stack.rich(32_630, 18_024).await?;
    shopper(&stack).await?;
    let path = "/user/capital-account/new-list?page[cur_page]=1&page[page_size]=10";
    let answer = stack.get(&user(32_630), path).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    same_shape(documented, &answer.body, &[])?;
    let entry = [
        "user_id",
        "admin_user",
        "ys_amount",
        "amount",
        "cur_balance",
        "add_time_format",
        "add_time",
        "last_time",
        "note",
        "process_type",
        "payment_code",
        "payment_name",
        "recive_date",
        "order_date",
        "order_sn",
        "goods_amount",
        "trade_type",
    ];
    for member in entry {
        let path = format!("/data/list/0/{member}");
        assert_eq!(text_at(&answer.body, &path)?, text_at(documented, &path)?, "{member}");
    }
    for member in ["unfreeze", "is_vip", "economy_money", "vip_privilege/0", "vip_privilege/2"] {
        let path = format!("/data/new_user/{member}");
        assert_eq!(text_at(&answer.body, &path)?, text_at(documented, &path)?, "{member}");
    }
    let account_sn = answer.text("/data/list/0/account_sn")?;
    assert!(account_sn.starts_with("8020200303232640") && account_sn.len() == 22, "{account_sn}");
    stack.stop().await
}

/// What document 2's example shows: a purchase with the facts of its order, a membership, and 18.80
/// frozen until a date.
async fn shopper(stack: &Stack) -> anyhow::Result<()> {
    let mut accounts = stack.accounts()?;
    let mut frozen = income("frozen", 32_630, 1_880);
    frozen.movement = Some(account::post_transfer_request::Movement::Credit(account::Credit {
        account: of(32_630),
        counter_account: String::new(),
        frozen_until_us: RELEASE_US,
    }));
    accounts.post_transfer(frozen).await?;
    let mut purchase = income("purchase", 32_630, 1_100);
    purchase.kind = account::EntryKind::Purchase.into();
    purchase.movement = Some(account::post_transfer_request::Movement::Debit(account::Debit {
        account: of(32_630),
        counter_account: String::new(),
    }));
    purchase.facts = Some(Box::new(account::Facts {
        note: "购物消费".into(),
        order_no: "订单号".into(),
        goods_amount: "商品金额".into(),
        order_time: "下单时间".into(),
        received_time: "到账时间".into(),
        ..account::Facts::default()
    }));
    accounts.post_transfer(purchase).await?;
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
    let set = account::SetMembershipRequest { user_id: 32_630, membership: Some(membership) };
    accounts.set_membership(set).await?;
    Ok(())
}

#[tokio::test]
async fn document_3_request_is_answered_as_documented() -> anyhow::Result<()> {
    let documented = include_str!("golden/wallet_cash_response.json");
    let stack = at(DOCUMENT_3_US, "golden3", &[("CASH_FEE_RATE", "0.01")]).await?;
    stack.rich(1, 3_400).await?;
    let frozen = account::PlaceHoldRequest {
        key: "elsewhere".into(),
        account: of(1),
        amount_minor: 3_200,
        kind: account::EntryKind::Withdrawal.into(),
        release_at_us: 0,
        facts: None,
    };
    stack.accounts()?.place_hold(frozen).await?;
    let path = "/api/wallet/cash?include=user,userWallet,wechat";
    let answer = stack.post(&user(1), path, &cash("1", MANUAL), "key-1").await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.content_type, "application/vnd.api+json");
    same_shape(documented, &answer.body, &[])?;
    for path in [
        "/data/type",
        "/data/attributes/user_id",
        "/data/attributes/cash_charge",
        "/data/attributes/cash_actual_amount",
        "/data/attributes/cash_apply_amount",
        "/data/attributes/cash_status",
        "/data/attributes/cash_type",
        "/data/attributes/remark",
        "/data/attributes/updated_at",
        "/data/attributes/created_at",
        "/included/0/attributes/available_amount",
        "/included/0/attributes/freeze_amount",
        "/included/0/attributes/wallet_status",
        "/included/1/type",
    ] {
        assert_eq!(text_at(&answer.body, path)?, text_at(documented, path)?, "{path}");
    }
    let cash_sn = answer.text("/data/attributes/cash_sn")?;
    assert!(cash_sn.starts_with("20191122") && cash_sn.len() == 18, "{cash_sn}");
    assert_eq!(answer.text("/data/attributes/cash_mobile")?, "138****8000");
    assert_eq!(answer.text("/included/1/attributes/mobile")?, "138****8000");
    let replay = stack.post(&user(1), path, &cash("1", MANUAL), "key-1").await?;
    assert!(replay.replayed && replay.body == answer.body, "{}", replay.body);
    stack.stop().await
}

#[tokio::test]
async fn the_documented_request_body_is_taken_as_it_is_written() -> anyhow::Result<()> {
    let documented = include_str!("golden/wallet_cash_request.json");
    let stack = at(DOCUMENT_3_US, "golden3r", &[]).await?;
    stack.rich(1, 20_000).await?;
    // The document masks the number, and spells `attritbutes`; the spelling stays.
    let body = documented.replace("**********", "13800138000");
    anyhow::ensure!(body.contains("attritbutes"), "the documented spelling");
    let answer = stack.post(&user(1), "/api/wallet/cash", &body, "").await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.text("/data/attributes/cash_apply_amount")?, "100.00");
    let wallet = answer.at("/included/0/type")?;
    assert_eq!(wallet.as_str().context("a type")?, "user_wallet");
    stack.stop().await
}
