//! `/user/capital-account/*` beyond the documented body.

use cashout_proto::account::v1::{
    Account, Direction, Entry, EntryKind, Facts, GetAccountResponse, ListStatementRequest,
    ListStatementResponse,
};

use crate::stack::{Stack, user};

const LIST: &str = "/user/capital-account/new-list";

#[tokio::test]
async fn who_has_nothing_yet_sees_an_empty_statement() -> anyhow::Result<()> {
    let stack = Stack::at(1_600_000_000).await?;
    stack.fakes.answers("list_statement", ListStatementResponse::default());
    let answer = stack.get(&user(7), LIST).await?;
    let expected = concat!(
        r#"{"code":0,"data":{"new_user":{"vip_money_format":"0.00","frozen_vip_money_format":"0.00","#,
        r#""unfreeze":"","is_vip":0,"vip_privilege":[],"economy_money":"0.00"},"#,
        r#""page":{"page_key":"page","page_id":"pagination","default_page_size":10,"cur_page":1,"#,
        r#""page_size":10,"page_size_list":[10,50,500],"record_count":0,"page_count":0,"offset":0,"#,
        r#""url":null,"sql":null},"list":[],"page_output":false},"message":""}"#
    );
    assert_eq!((answer.status, answer.body.as_str()), (200, expected));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn parameters_become_the_filter_and_bad_ones_are_refused() -> anyhow::Result<()> {
    let stack = Stack::at(1_600_000_000).await?;
    stack.fakes.answers("list_statement", ListStatementResponse::default());
    let day = (1_583_164_800_000_000, 1_583_251_200_000_000);
    for (query, page, direction, times) in [
        ("", (1, 10), Direction::Unspecified, (0, 0)),
        ("?page[cur_page]=3&page[page_size]=500", (3, 500), Direction::Unspecified, (0, 0)),
        ("?page%5Bcur_page%5D=2", (2, 10), Direction::Unspecified, (0, 0)),
        ("?trade_type=income&date_time=2020-03-03", (1, 10), Direction::Income, day),
        ("?date_time=1970-01-01", (1, 10), Direction::Unspecified, (0, 57_600_000_000)),
        ("?trade_type=&date_time=", (1, 10), Direction::Unspecified, (0, 0)),
    ] {
        let answer = stack.get(&user(7), &format!("{LIST}{query}")).await?;
        assert_eq!(answer.json()?["code"].as_i64(), Some(0), "{query}");
        let asked: ListStatementRequest = stack.fakes.last()?;
        let filter = asked.filter.unwrap_or_default();
        assert_eq!((asked.page, asked.page_size), page, "{query}");
        assert_eq!(
            (filter.direction(), (filter.from_us, filter.until_us)),
            (direction, times),
            "{query}"
        );
    }
    for query in [
        "?page[cur_page]=0",
        "?page[cur_page]=-1",
        "?page[cur_page]=x",
        "?page[cur_page]=2147483648",
        "?page[page_size]=501",
        "?page[page_size]=0",
        "?page[page_size]=10&page%5Bpage_size%5D=50",
        "?trade_type=both",
        "?date_time=2020-02-30",
        "?date_time=yesterday",
        "?date_time=1969-12-31",
        "?date_time=1969-12",
        "?date_time=0001-01-01",
    ] {
        let before = stack.fakes.calls().len();
        let answer = stack.get(&user(7), &format!("{LIST}{query}")).await?;
        let told = answer.json()?;
        assert_eq!((answer.status, told["code"].as_i64()), (200, Some(-1)), "{query}");
        let named = query.trim_start_matches('?').split(['=', '%']).next().unwrap_or_default();
        let message = told["message"].as_str().unwrap_or_default();
        assert!(told["data"].is_null() && message.starts_with(named), "{query}: {message}");
        assert_eq!(stack.fakes.calls().len(), before, "{query}: nothing was asked");
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn one_entry_has_numbers_where_the_list_has_strings() -> anyhow::Result<()> {
    let stack = Stack::at(1_600_000_000).await?;
    let facts = Facts {
        note: "n".to_owned(),
        original_amount: "12.00".to_owned(),
        payment_name: "支付宝".to_owned(),
        ..Default::default()
    };
    let entry = Entry {
        id: 158,
        user_id: 7,
        kind: EntryKind::Task.into(),
        available_delta_minor: 1100,
        created_at_us: 1_583_249_200_000_000,
        facts: Some(facts.into()),
        ..Default::default()
    };
    stack.fakes.answers("get_entry", entry);
    let answer = stack.get(&user(7), "/user/capital-account/detail?id=158").await?;
    let expected = concat!(
        r#"{"code":0,"data":{"account_sn":"3520200303232640000158","add_time":"2020-03-03 23:26:40","#,
        r#""amount":"11.00","goods_amount":"","id":158,"note":"n","order_date":"","order_sn":"","#,
        r#""payment_name":"支付宝","process_type":35,"recive_date":"","ys_amount":"12.00"},"message":"成功!"}"#
    );
    assert_eq!(answer.body, expected);
    let answer = stack.get(&user(7), "/user/capital-account/detail").await?;
    assert_eq!(answer.body, r#"{"code":-1,"data":null,"message":"id is missing"}"#);
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_balance_is_the_one_of_the_entries() -> anyhow::Result<()> {
    let stack = Stack::at(1_600_000_000).await?;
    let account = |available_minor| Account { available_minor, ..Default::default() };
    // What another call would say a moment later.
    let later = GetAccountResponse { account: Some(account(999)), ..Default::default() };
    stack.fakes.answers("get_account", later);
    let found = ListStatementResponse { account: Some(account(1100)), ..Default::default() };
    stack.fakes.answers("list_statement", found);
    let answer = stack.get(&user(7), LIST).await?;
    assert_eq!(answer.json()?["data"]["new_user"]["vip_money_format"], "11.00");
    stack.stop().await;
    Ok(())
}
