//! The documented bodies, byte for byte: same members, same order, same JSON types, same values, where
//! the test's set-up explains them.

use cashout_proto::account::v1::*;
use cashout_proto::withdraw::v1::{
    AccountAfter, Applicant, ListWithdrawalsResponse, RequestWithdrawalRequest,
    RequestWithdrawalResponse, WechatBinding, Withdrawal,
};

use crate::stack::{Stack, teacher, user};

/// The text of a JSON file without the whitespace between its tokens; order and literals stay.
pub fn compact(json: &str) -> String {
    let (mut text, mut inside, mut escaped) = (String::new(), false, false);
    for c in json.chars() {
        if inside {
            inside = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_whitespace() {
            continue;
        } else {
            inside = c == '"';
        }
        text.push(c);
    }
    text
}

#[tokio::test]
async fn the_settlement_is_the_documented_one() -> anyhow::Result<()> {
    let stack = Stack::at(1_533_894_838).await?;
    let account = Account {
        id: 2,
        user_id: 7,
        available_minor: 1,
        income_total_minor: 1,
        ..Default::default()
    };
    let found = GetAccountResponse { account: Some(account), ..Default::default() };
    stack.fakes.answers("get_account", found);
    let answer = stack.get(&teacher(7), "/sett/sett").await?;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.body, compact(include_str!("../golden/sett.json")));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_list_of_withdrawals_is_the_documented_one() -> anyhow::Result<()> {
    let stack = Stack::at(1_533_895_178).await?;
    let row =
        Withdrawal { id: 1, user_id: 7, apply_minor: 100, pay_status: 2, ..Default::default() };
    let found = ListWithdrawalsResponse { withdrawals: vec![row], total: 1 };
    stack.fakes.answers("list_withdrawals", found);
    let answer = stack.get(&teacher(7), "/sett/withdrawList?id=7").await?;
    assert_eq!(answer.body, compact(include_str!("../golden/withdraw_list.json")));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_statement_is_the_documented_one() -> anyhow::Result<()> {
    let stack = Stack::at(1_600_000_000).await?;
    let privilege = |title: &str, subtitle: &str| Privilege {
        title: title.to_owned(),
        subtitle: subtitle.to_owned(),
    };
    let privileges = vec![
        privilege("天天免邮", "免邮"),
        privilege("0元领好物", "实物实物副标题"),
        privilege("红包专区", "红包副标题"),
    ];
    let membership = Membership { is_member: false, privileges, saved_minor: 0 };
    stack.fakes.answers(
        "get_holder",
        Holder { user_id: 32_630, membership: Some(membership), ..Default::default() },
    );
    let found = ListStatementResponse {
        entries: vec![purchase()],
        total: 15,
        account: Some(Account::default()),
        next_release_at_us: 1_650_470_280_000_000,
        next_release_minor: 1880,
        ..Default::default()
    };
    stack.fakes.answers("list_statement", found);
    let target = "/user/capital-account/new-list?page[cur_page]=1&page%5Bpage_size%5D=10\
                  &trade_type=expend&date_time=2020-03";
    let answer = stack.get(&user(32_630), target).await?;
    // The last six digits of our account_sn are the entry's id.
    let golden = compact(include_str!("../golden/capital_account_new_list.json"))
        .replace("8020200303232640877210", "8020200303232640000158");
    assert_eq!(answer.body, golden);
    let asked: ListStatementRequest = stack.fakes.last()?;
    let filter = asked.filter.unwrap_or_default();
    assert_eq!((asked.page, asked.page_size, filter.direction()), (1, 10, Direction::Expend));
    assert!(filter.moves_available && filter.account.is_some());
    assert!(
        stack.fakes.last::<GetAccountRequest>().is_err(),
        "one answer tells balance and entries"
    );
    stack.stop().await;
    Ok(())
}

fn purchase() -> Entry {
    Entry {
        id: 158,
        user_id: 32_630,
        kind: EntryKind::Purchase.into(),
        available_delta_minor: -1100,
        available_after_minor: 16_924,
        created_at_us: 1_583_249_200_000_000,
        facts: Some(Box::new(Facts {
            note: "购物消费".to_owned(),
            received_time: "到账时间".to_owned(),
            order_time: "下单时间".to_owned(),
            order_no: "订单号".to_owned(),
            goods_amount: "商品金额".to_owned(),
            ..Default::default()
        })),
        ..Default::default()
    }
}

/// What the services answer to the documented request.
pub fn requested() -> RequestWithdrawalResponse {
    let at_us = 1_574_392_052_000_000;
    let person_at_us = 1_573_879_665_000_000;
    RequestWithdrawalResponse {
        withdrawal: Some(Withdrawal {
            id: 40,
            user_id: 1,
            cash_sn: "201911228652521021".to_owned(),
            apply_minor: 100,
            fee_minor: 1,
            actual_minor: 99,
            cash_status: 1,
            mobile: "13800138000".to_owned(),
            created_at_us: at_us,
            updated_at_us: at_us,
            ..Default::default()
        }),
        account: Some(AccountAfter { available_minor: 100, frozen_minor: 3300, locked: false }),
        applicant: Some(Applicant {
            username: "username".to_owned(),
            mobile: "138****8000".to_owned(),
            created_at_us: person_at_us,
            updated_at_us: person_at_us,
            wechat: None,
        }),
        replayed: false,
    }
}

/// The documented answer; numbers of the person masked as ours are.
fn documented() -> String {
    compact(include_str!("../golden/wallet_cash_response.json"))
        .replace("\"**********\"", "\"138****8000\"")
        .replace("\"mobile\":\"mobile\"", "\"mobile\":\"138****8000\"")
}

#[tokio::test]
async fn the_documented_request_gets_the_documented_answer() -> anyhow::Result<()> {
    let stack = Stack::at(1_574_392_052).await?;
    stack.fakes.answers("request_withdrawal", requested());
    let body =
        include_str!("../golden/wallet_cash_request.json").replace("**********", "13800138000");
    let target = "/api/wallet/cash?include=user,userWallet,wechat";
    let answer = stack.call("POST", target, &user(1), "", &body).await?;
    assert_eq!((answer.status, answer.header("idempotency-replayed")), (200, None));
    assert_eq!(answer.header("content-type"), Some("application/vnd.api+json"));
    assert_eq!(answer.body, documented());
    let asked: RequestWithdrawalRequest = stack.fakes.last()?;
    let expected = RequestWithdrawalRequest {
        user_id: 1,
        apply_minor: 10_000,
        method: 0,
        mobile: "13800138000".to_owned(),
        variant: "user,userWallet,wechat".to_owned(),
        ..Default::default()
    };
    assert_eq!(asked, expected);
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_replay_is_the_same_bytes_and_says_so() -> anyhow::Result<()> {
    let stack = Stack::at(1_574_392_052).await?;
    let replayed = RequestWithdrawalResponse { replayed: true, ..requested() };
    stack.fakes.answers("request_withdrawal", replayed);
    let body = r#"{"data":{"attributes":{"cash_apply_amount":"100","cash_type":1}}}"#;
    let key = "Idempotency-Key: a key\r\n";
    let answer = stack.call("POST", "/api/wallet/cash", &user(1), key, body).await?;
    assert_eq!(answer.header("idempotency-replayed"), Some("true"));
    assert_eq!(answer.body, documented());
    assert_eq!(stack.fakes.last::<RequestWithdrawalRequest>()?.key, "a key");
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_bound_wechat_comes_along_when_it_is_asked_for() -> anyhow::Result<()> {
    let stack = Stack::at(1_574_392_052).await?;
    let mut made = requested();
    if let Some(applicant) = &mut made.applicant {
        applicant.wechat =
            Some(WechatBinding { mp_openid: "o1".to_owned(), sex: 1, ..Default::default() });
    }
    stack.fakes.answers("request_withdrawal", made);
    let body = r#"{"data":{"attributes":{"cash_apply_amount":"100","cash_type":1}}}"#;
    let answer =
        stack.call("POST", "/api/wallet/cash?include={wechat}", &user(1), "", body).await?;
    let wechat = r#""included":[{"type":"wechats","id":"1","attributes":{"mp_openid":"o1","dev_openid":"","min_openid":"","nickname":"","sex":1}}]"#;
    assert!(answer.body.contains(wechat), "{}", answer.body);
    let links = r#""relationships":{"wechat":{"data":{"type":"wechats","id":"1"}}}"#;
    assert!(answer.body.contains(links), "{}", answer.body);
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn another_include_under_the_same_key_is_another_request() -> anyhow::Result<()> {
    let stack = Stack::at(1_574_392_052).await?;
    stack.fakes.answers("request_withdrawal", requested());
    let body = r#"{"data":{"attributes":{"cash_apply_amount":"100","cash_type":1}}}"#;
    for (query, variant) in [
        ("", "user,userWallet"),
        ("?include=userWallet,user", "user,userWallet"),
        ("?include={userWallet,user,user}", "user,userWallet"),
        ("?include=wechat,userWallet,user", "user,userWallet,wechat"),
        ("?include=wechat", "wechat"),
        ("?include=", ""),
    ] {
        let target = format!("/api/wallet/cash{query}");
        let key = "Idempotency-Key: k\r\n";
        assert_eq!(stack.call("POST", &target, &user(1), key, body).await?.status, 200);
        assert_eq!(stack.fakes.last::<RequestWithdrawalRequest>()?.variant, variant, "{query}");
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn who_has_no_profile_is_left_out_of_the_answer() -> anyhow::Result<()> {
    let stack = Stack::at(1_574_392_052).await?;
    let made = RequestWithdrawalResponse { applicant: None, ..requested() };
    stack.fakes.answers("request_withdrawal", made);
    let body = r#"{"data":{"attributes":{"cash_apply_amount":"100","cash_type":1}}}"#;
    for (include, kinds) in
        [("user,userWallet,wechat", &["user_wallet"][..]), ("user", &[]), ("wechat", &[])]
    {
        let target = format!("/api/wallet/cash?include={include}");
        let answer = stack.call("POST", &target, &user(1), "", body).await?;
        let told = answer.json()?;
        let included = told["included"].as_array();
        let included: Vec<_> = included.into_iter().flatten().map(|i| &i["type"]).collect();
        assert_eq!(included, kinds, "{}", answer.body);
        let links = told["data"]["relationships"].as_object();
        assert_eq!(links.map_or(0, |links| links.len()), kinds.len(), "{}", answer.body);
        assert!(!answer.body.contains("\"users\""), "{}", answer.body);
    }
    stack.stop().await;
    Ok(())
}
