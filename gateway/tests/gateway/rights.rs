//! Who may do what: every endpoint for every kind of caller, no cell left out.

use cashout_proto::account::v1::{
    Account, AdjustAccountResponse, Entry, GetAccountResponse, ListStatementResponse,
};
use cashout_proto::withdraw::v1::{ListWithdrawalsResponse, ReviewWithdrawalsResponse, Withdrawal};

use crate::golden::requested;
use crate::stack::{ADMIN, Person, Stack, teacher, user};

const CASH: &str = r#"{"data":{"attributes":{"cash_apply_amount":1,"cash_type":1}}}"#;
const REVIEW: &str = r#"{"ids":[1],"cash_status":2}"#;
const PATCH: &str = r#"{"wallet_status":1}"#;

const REVIEWER: Person = Person::Known(9, &["user"], &["cash.review", "cash.viewList"]);
const OPERATOR: Person =
    Person::Known(9, &["user"], &["wallet.update", "wallet.viewList", "wallet.logs.viewList"]);

async fn full_house() -> anyhow::Result<Stack> {
    let stack = Stack::at(1_600_000_000).await?;
    let fakes = &stack.fakes;
    let account = Some(Account { id: 2, user_id: 7, ..Default::default() });
    fakes.answers(
        "get_account",
        GetAccountResponse { account: account.clone(), ..Default::default() },
    );
    fakes.answers("adjust_account", AdjustAccountResponse { account, replayed: false });
    fakes.answers("list_statement", ListStatementResponse::default());
    fakes.answers("get_entry", Entry { id: 3, user_id: 7, kind: 1, ..Default::default() });
    fakes.answers("request_withdrawal", requested());
    fakes.answers("list_withdrawals", ListWithdrawalsResponse::default());
    let cash_sn = "202009130000000001".to_owned();
    let withdrawal =
        Withdrawal { id: 1, user_id: 7, cash_sn, cash_status: 1, ..Default::default() };
    fakes.answers("get_withdrawal", withdrawal.clone());
    fakes.answers("cancel_withdrawal", withdrawal);
    fakes.answers("review_withdrawals", ReviewWithdrawalsResponse::default());
    Ok(stack)
}

/// What a caller is told: `code` of documents 1 and 2, the HTTP status of document 3.
#[tokio::test]
async fn every_endpoint_answers_every_kind_of_caller_as_it_should() -> anyhow::Result<()> {
    let people = [Person::Nobody, user(7), teacher(7), teacher(8), REVIEWER, OPERATOR, ADMIN];
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str, [i64; 7])] = &[
        // method, target, body,                            nobody user7 teacher7 teacher8 reviewer operator admin
        ("GET", "/sett/sett", "",                            [403, 401, 0, 0, 401, 401, 0]),
        ("GET", "/sett/sett?id=7", "",                       [403, 401, 0, 401, 401, 401, 0]),
        ("POST", "/sett/sett", "id=7",                       [403, 401, 0, 401, 401, 401, 0]),
        ("GET", "/sett/withdrawList", "",                    [403, 401, 0, 0, 401, 401, 0]),
        ("GET", "/sett/withdrawList?id=7", "",               [403, 401, 0, 401, 401, 401, 0]),
        ("POST", "/sett/withdrawList", r#"{"id":"7"}"#,      [403, 401, 0, 401, 401, 401, 0]),
        ("GET", "/user/capital-account/new-list", "",        [99, 0, 0, 0, 0, 0, 0]),
        ("GET", "/user/capital-account/detail?id=3", "",     [99, 0, 0, 0, 0, 0, 0]),
        ("POST", "/api/wallet/cash", CASH,                   [401, 200, 200, 200, 200, 200, 200]),
        ("GET", "/api/wallet/cash", "",                      [401, 200, 200, 200, 200, 200, 200]),
        ("GET", "/api/wallet/cash/1", "",                    [401, 200, 200, 200, 200, 200, 200]),
        ("DELETE", "/api/wallet/cash/1", "",                 [401, 200, 200, 200, 200, 200, 200]),
        ("POST", "/api/wallet/cash/review", REVIEW,          [401, 403, 403, 403, 200, 403, 200]),
        ("GET", "/api/wallet/log", "",                       [401, 200, 200, 200, 200, 200, 200]),
        ("GET", "/api/wallet/user/7", "",                    [401, 200, 200, 404, 404, 200, 200]),
        ("PATCH", "/api/wallet/user/7", PATCH,               [401, 403, 403, 403, 403, 200, 200]),
    ];
    let stack = full_house().await?;
    for (method, target, body, expected) in cases {
        for (person, expected) in people.iter().zip(expected) {
            let answer = stack.call(method, target, person, "", body).await?;
            let told = if target.starts_with("/api") {
                i64::from(answer.status)
            } else {
                assert_eq!(answer.status, 200, "{method} {target} {person:?}");
                answer.json()?["code"].as_i64().unwrap_or(-100)
            };
            assert_eq!(told, *expected, "{method} {target} {person:?}: {}", answer.body);
        }
    }
    stack.stop().await;
    Ok(())
}

/// Whose objects the services are asked for: 0 and an empty list stand for everybody's.
#[tokio::test]
async fn what_is_not_ones_own_is_asked_for_only_with_the_permission() -> anyhow::Result<()> {
    use cashout_proto::account::v1::{GetEntryRequest, ListStatementRequest, account_ref::By};
    use cashout_proto::withdraw::v1::{
        CancelWithdrawalRequest, GetWithdrawalRequest, ListWithdrawalsRequest,
    };
    let stack = full_house().await?;
    for (person, id, sees_cash, sees_log) in [
        (user(7), 7, false, false),
        (teacher(8), 8, false, false),
        (REVIEWER, 9, true, false),
        (OPERATOR, 9, false, true),
        (ADMIN, 1000, true, true),
    ] {
        stack.get(&person, "/api/wallet/cash/1").await?;
        let asked: GetWithdrawalRequest = stack.fakes.last()?;
        assert_eq!(asked.user_id, if sees_cash { 0 } else { id }, "{person:?}");

        stack.get(&person, "/api/wallet/cash").await?;
        let asked: ListWithdrawalsRequest = stack.fakes.last()?;
        assert_eq!(asked.user_ids, if sees_cash { vec![] } else { vec![id] }, "{person:?}");
        assert!(!asked.nobody);

        stack.get(&person, "/api/wallet/cash?filter[user]=55").await?;
        let asked: ListWithdrawalsRequest = stack.fakes.last()?;
        let expected = if sees_cash { (vec![55], false) } else { (vec![], true) };
        assert_eq!((asked.user_ids, asked.nobody), expected, "{person:?}");

        stack.get(&person, "/api/wallet/log").await?;
        let asked: ListStatementRequest = stack.fakes.last()?;
        let by = asked.filter.unwrap_or_default().account.and_then(|account| account.by);
        assert_eq!(by, if sees_log { None } else { Some(By::UserId(id)) }, "{person:?}");

        // Own, whatever the permissions.
        stack.call("DELETE", "/api/wallet/cash/1", &person, "", "").await?;
        assert_eq!(stack.fakes.last::<CancelWithdrawalRequest>()?.user_id, id);
        stack.get(&person, "/user/capital-account/detail?id=3").await?;
        assert_eq!(stack.fakes.last::<GetEntryRequest>()?.user_id, id);
        stack.get(&person, "/user/capital-account/new-list").await?;
        let asked: ListStatementRequest = stack.fakes.last()?;
        let by = asked.filter.unwrap_or_default().account.and_then(|account| account.by);
        assert_eq!(by, Some(By::UserId(id)));
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn another_persons_object_looks_exactly_like_none() -> anyhow::Result<()> {
    // Nothing is told to the fakes: nothing exists.
    let stack = Stack::at(1_600_000_000).await?;
    for target in
        ["/api/wallet/user/8", "/api/wallet/user/x", "/api/wallet/cash/8", "/api/wallet/cash/x"]
    {
        let answer = stack.get(&user(7), target).await?;
        let expected = r#"{"errors":[{"status":"404","code":"model_not_found","detail":"there is no such object"}]}"#;
        assert_eq!((answer.status, answer.body.as_str()), (404, expected), "{target}");
    }
    let unknown = stack.get(&ADMIN, "/api/wallet/user/8").await?;
    let hidden = stack.get(&user(7), "/api/wallet/user/8").await?;
    assert_eq!(unknown.body, hidden.body);
    let own = stack.get(&user(8), "/api/wallet/user/8").await?;
    assert_eq!(own.status, 200, "everybody has a wallet of their own");
    for target in ["/user/capital-account/detail?id=8", "/user/capital-account/detail?id=x"] {
        let answer = stack.get(&user(7), target).await?;
        let expected = r#"{"code":-1,"data":null,"message":"there is no such entry"}"#;
        assert_eq!(answer.body, expected, "{target}");
    }
    stack.stop().await;
    Ok(())
}
