//! `/sett/*` beyond the documented bodies.

use cashout_proto::account::v1::{Account, GetAccountRequest, GetAccountResponse, account_ref::By};
use cashout_proto::withdraw::v1::{
    ListWithdrawalsRequest, ListWithdrawalsResponse, Method, Withdrawal,
};

use crate::stack::{ADMIN, Stack, teacher};

const NOW_S: i64 = 1_600_000_000;

#[tokio::test]
async fn the_parameter_comes_from_query_form_or_json_and_from_one_of_them_only()
-> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    for (method, target, body, expected) in [
        ("GET", "/sett/sett", "", Some(1000)),
        ("GET", "/sett/sett?id=7", "", Some(7)),
        ("POST", "/sett/sett", "id=7", Some(7)),
        ("POST", "/sett/sett", r#"{"id":7}"#, Some(7)),
        ("POST", "/sett/sett", r#"{"id":"7"}"#, Some(7)),
        ("POST", "/sett/sett?id=7", "id=7", Some(7)),
        ("POST", "/sett/sett?id=8", "id=7", None),
        ("POST", "/sett/sett", "[{}]", None),
        ("POST", "/sett/sett", r#"{"id":7,"id":7}"#, None),
        ("POST", "/sett/sett", r#"{"id":[7]}"#, None),
        ("POST", "/sett/sett", "[7]", None),
        ("GET", "/sett/sett?id=7&id=8", "", None),
        ("GET", "/sett/sett?id=", "", Some(1000)),
        ("POST", "/sett/sett", "id=", Some(1000)),
        ("POST", "/sett/sett", r#"{"id":""}"#, Some(1000)),
        ("GET", "/sett/sett?id=07", "", None),
        ("GET", "/sett/sett?id=1e3", "", None),
        ("GET", "/sett/sett?id=-7", "", None),
        ("GET", "/sett/sett?id=9007199254740992", "", None),
        ("GET", "/sett/sett?id=%ff", "", None),
        ("GET", "/sett/withdrawList?page=0", "", None),
        ("GET", "/sett/withdrawList?page_size=501", "", None),
        ("GET", "/sett/withdrawList?page=x", "", None),
    ] {
        let before = stack.fakes.calls().len();
        let answer = stack.call(method, target, &ADMIN, "", body).await?;
        assert_eq!(answer.status, 200);
        match expected {
            Some(id) => {
                let told = answer.json()?;
                assert_eq!(
                    (told["code"].as_i64(), told["data"]["count"].as_i64()),
                    (Some(0), Some(0))
                );
                let asked: GetAccountRequest = stack.fakes.last()?;
                assert_eq!(asked.account.and_then(|a| a.by), Some(By::UserId(id)), "{target}");
            }
            None => {
                assert_eq!(answer.json()?["code"].as_i64(), Some(4), "{target} {}", answer.body);
                assert_eq!(stack.fakes.calls().len(), before, "nothing was asked");
            }
        }
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_teacher_without_an_account_has_no_rows() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let answer = stack.get(&teacher(7), "/sett/sett").await?;
    assert_eq!(answer.body, r#"{"code":0,"data":{"count":0,"ts":1600000000,"items":[]}}"#);
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_locked_account_can_withdraw_nothing_and_says_since_when() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let account = Account {
        id: 2,
        user_id: 7,
        available_minor: 9_900,
        frozen_minor: 100,
        income_total_minor: 9_007_199_254_740_991,
        withdrawn_total_minor: 12_345,
        locked: true,
        locked_at_us: 1_533_894_838_000_000,
        last_income_at_us: 1_583_249_200_000_000,
        ..Default::default()
    };
    let found = GetAccountResponse { account: Some(account), ..Default::default() };
    stack.fakes.answers("get_account", found);
    let row = concat!(
        r#"{"id":"2","user_id":"7","total_income":90071992547409.91,"total_withdraw":"123.45","#,
        r#""total_left":"100.00","can_withdraw":"0.00","sett_time":"2020-03-03 23:26:40","#,
        r#""update_time":"2020-09-13 20:26:40","status":"1","lock_time":"2018-08-10 17:53:58"}"#
    );
    let answer = stack.get(&teacher(7), "/sett/sett").await?;
    assert!(answer.body.contains(row), "{}", answer.body);
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_overdraft_leaves_nothing_and_never_less() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    for (available_minor, frozen_minor, left, can) in [
        (-5_000, 0, "0.00", "0.00"),
        (-5_000, 3_000, "0.00", "0.00"),
        (-5_000, 8_000, "30.00", "0.00"),
        (5_000, 3_000, "80.00", "50.00"),
    ] {
        let account =
            Account { id: 2, user_id: 7, available_minor, frozen_minor, ..Default::default() };
        let found = GetAccountResponse { account: Some(account), ..Default::default() };
        stack.fakes.answers("get_account", found);
        let told = stack.get(&teacher(7), "/sett/sett").await?.json()?;
        let row = &told["data"]["items"][0];
        assert_eq!((&row["total_left"], &row["can_withdraw"]), (&left.into(), &can.into()));
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_page_has_the_paged_shape_and_rows_of_every_method() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let paid = Withdrawal {
        id: 9,
        user_id: 7,
        apply_minor: 12_345,
        method: Method::Alipay.into(),
        trade_no: "T1".to_owned(),
        third_trade_no: "A1".to_owned(),
        payee_id: "a@b".to_owned(),
        pay_status: 2,
        pay_requested_at_us: 1_533_894_838_000_000,
        paid_at_us: 1_533_894_839_000_000,
        ..Default::default()
    };
    let waiting =
        Withdrawal { id: 8, user_id: 7, method: Method::Wechat.into(), ..Default::default() };
    let found = ListWithdrawalsResponse { withdrawals: vec![paid, waiting], total: 12 };
    stack.fakes.answers("list_withdrawals", found);
    let answer = stack.get(&teacher(7), "/sett/withdrawList?page=2&page_size=5").await?;
    let expected = concat!(
        r#"{"code":0,"data":{"page":2,"page_size":5,"pages":3,"total":12,"count":2,"ts":1600000000,"items":["#,
        r#"{"id":"9","user_id":"7","amount":"123.45","servicer":"1","trade_no":"T1","third_trade_no":"A1","#,
        r#""third_buyer_id":"a@b","pay_status":"2","add_time":"2018-08-10 17:53:58","pay_time":"2018-08-10 17:53:59"},"#,
        r#"{"id":"8","user_id":"7","amount":"0.00","servicer":"2","trade_no":null,"third_trade_no":null,"#,
        r#""third_buyer_id":null,"pay_status":"0","add_time":null,"pay_time":null}]}}"#
    );
    assert_eq!(answer.body, expected);
    let asked: ListWithdrawalsRequest = stack.fakes.last()?;
    assert_eq!((asked.user_ids, asked.limit, asked.offset), (vec![7], 5, 5));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn json_that_calls_itself_a_form_is_read_as_json() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let token = stack.token(1000, &["admin"], &[])?;
    for (media, body, code) in [
        ("application/x-www-form-urlencoded", r#"{"id":"7"}"#, 0),
        ("application/x-www-form-urlencoded; charset=utf-8", "id=7", 0),
        ("application/vnd.api+json", r#"{"id":"7"}"#, 0),
        ("text/plain", "id=7", 4),
        ("application/json", "id=7", 4),
    ] {
        let length = body.len();
        let request = format!(
            "POST /sett/sett HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {media}\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let answer = stack.send(&request).await?;
        assert_eq!(answer.json()?["code"].as_i64(), Some(code), "{media} {body}");
        if code == 0 {
            let asked: GetAccountRequest = stack.fakes.last()?;
            assert_eq!(asked.account.and_then(|a| a.by), Some(By::UserId(7)), "{media} {body}");
        }
    }
    stack.stop().await;
    Ok(())
}
