//! `/api/wallet/*` beyond the documented request.

use cashout_proto::account::v1::*;
use cashout_proto::withdraw::v1::{
    Decision, ListWithdrawalsRequest, ListWithdrawalsResponse, ReviewResult,
    ReviewWithdrawalsRequest, ReviewWithdrawalsResponse, Sort, Withdrawal,
};
use cashout_proto::{Failure, Reason};

use crate::stack::{ADMIN, Person, Stack, user};

const NOW_S: i64 = 1_600_000_000;
const LONG_MOBILE: &str =
    "filter[cash_mobile]=11111111111111111111111111111111111111111111111111111111111111111";
const LONG_NAME: &str =
    "filter[username]=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn withdrawals() -> ListWithdrawalsResponse {
    let one = |id, user_id, review_remark: &str| Withdrawal {
        id,
        user_id,
        cash_sn: format!("20200913{id:010}"),
        cash_status: 3,
        review_remark: review_remark.to_owned(),
        remark: "please".to_owned(),
        ..Default::default()
    };
    ListWithdrawalsResponse {
        withdrawals: vec![one(3, 8, "no"), one(2, 7, ""), one(1, 7, "")],
        total: 45,
    }
}

#[tokio::test]
async fn a_list_has_links_data_included_and_meta_in_this_order() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    stack.fakes.answers("list_withdrawals", withdrawals());
    let accounts = vec![Account { user_id: 7, available_minor: 5, ..Default::default() }];
    stack
        .fakes
        .answers("batch_get_accounts", BatchGetAccountsResponse { accounts, ..Default::default() });
    let wechat = Payee {
        method: PayeeMethod::Wechat.into(),
        nickname: "n".to_owned(),
        ..Default::default()
    };
    let holder = Holder {
        user_id: 7,
        username: "ann".to_owned(),
        mobile: "13800138000".to_owned(),
        payees: vec![wechat],
        ..Default::default()
    };
    stack.fakes.answers("batch_get_holders", BatchGetHoldersResponse { holders: vec![holder] });
    let target = "/api/wallet/cash?page[number]=2&page[limit]=20&sort=-updated_at\
                  &include=user,userWallet,wechat&filter[cash_status]=3";
    let answer = stack.get(&ADMIN, target).await?;
    let rest = "page%5Blimit%5D=20&sort=-updated_at&include=user%2CuserWallet%2Cwechat&filter%5Bcash_status%5D=3";
    let links = format!(
        "{{\"links\":{{\"first\":\"/api/wallet/cash?{rest}\",\"prev\":\"/api/wallet/cash?{rest}\",\
         \"next\":\"/api/wallet/cash?{rest}&page%5Bnumber%5D=3\",\
         \"last\":\"/api/wallet/cash?{rest}&page%5Bnumber%5D=3\"}},\"data\":[{{\"type\":\"user_wallet_cash\",\"id\":\"3\""
    );
    assert!(answer.body.starts_with(&links), "{}", answer.body);
    assert!(answer.body.ends_with(r#""meta":{"total":45,"pageCount":3}}"#), "{}", answer.body);
    let told = answer.json()?;
    let kinds: Vec<_> =
        told["included"].as_array().into_iter().flatten().map(|i| &i["type"]).collect();
    assert_eq!(kinds, ["user_wallet", "users", "wechats"], "each once, for two rows of one person");
    assert_eq!(told["included"][1]["attributes"]["mobile"], "138****8000");
    assert_eq!(told["data"][0]["attributes"]["remark"], "no", "the reviewer's");
    assert_eq!(told["data"][1]["attributes"]["remark"], "please", "the applicant's");
    assert!(told["data"][0].get("relationships").is_none(), "person 8 is unknown");
    let asked: ListWithdrawalsRequest = stack.fakes.last()?;
    assert_eq!((asked.limit, asked.offset, asked.sort()), (20, 20, Sort::UpdatedDesc));
    assert_eq!(asked.cash_status, Some(3));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn filters_of_the_list_reach_the_service_and_unknown_ones_are_refused() -> anyhow::Result<()>
{
    let stack = Stack::at(NOW_S).await?;
    stack.fakes.answers("list_withdrawals", ListWithdrawalsResponse::default());
    let holders = vec![
        Holder { user_id: 7, ..Default::default() },
        Holder { user_id: 9, ..Default::default() },
    ];
    stack.fakes.answers("batch_get_holders", BatchGetHoldersResponse { holders });
    let target = "/api/wallet/cash?filter[cash_sn]=201911228652521021&filter[cash_type]=0\
                  &filter[cash_mobile]=13800138000&filter[username]=ann&page[limit]=999\
                  &filter[start_time]=2020-04-26-00-00-00&filter[end_time]=2020-04-26-24-00-00";
    let answer = stack.get(&ADMIN, target).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let expected = ListWithdrawalsRequest {
        user_ids: vec![7, 9],
        cash_sn: "201911228652521021".to_owned(),
        cash_type: Some(0),
        mobile: "13800138000".to_owned(),
        created_from_us: 1_587_830_400_000_000,
        created_until_us: 1_587_916_800_999_999,
        limit: 200,
        ..Default::default()
    };
    assert_eq!(stack.fakes.last::<ListWithdrawalsRequest>()?, expected);
    assert!(
        answer.body.contains(r#""data":[],"meta":{"total":0,"pageCount":0}"#),
        "{}",
        answer.body
    );
    let before = stack.fakes.calls().len();
    for bad in [
        "filter[usr]=7",
        "filter=7",
        "filter[user]=07",
        "filter[cash_status]=x",
        "filter[start_time]=now",
        "filter[start_time]=1969-12-31",
        "filter[end_time]=1969-12-31T23:59:59Z",
        "filter[cash_mobile]=1%00",
        "filter[cash_mobile]=1380013800%0A",
        "filter[cash_sn]=%1B",
        "filter[username]=ann%00",
        LONG_MOBILE,
        LONG_NAME,
        "page[number]=0",
        "page[limit]=-1",
        "page[cursor]=1",
        "sort=amount",
        "sort=created_at,updated_at",
        "include=everything",
    ] {
        let answer = stack.get(&ADMIN, &format!("/api/wallet/cash?{bad}")).await?;
        assert_eq!(
            (answer.status, answer.wallet_code()?.as_str()),
            (400, "malformed_request"),
            "{bad}"
        );
        let filter = bad.split('=').next().unwrap_or_default();
        if filter.starts_with("filter[cash_") {
            let told = answer.json()?;
            let detail = told["errors"][0]["detail"].as_str().unwrap_or_default();
            assert!(detail.starts_with(filter), "{}", answer.body);
        }
        assert!(!answer.body.contains("pointer"), "{}", answer.body);
    }
    assert_eq!(stack.fakes.calls().len(), before, "nothing was asked");
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_review_answers_in_the_order_asked() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let result = |id, success| ReviewResult { id, success, reason: String::new() };
    let results = vec![result(40, true), result(3, false)];
    stack
        .fakes
        .answers("review_withdrawals", ReviewWithdrawalsResponse { results, replayed: true });
    let body = r#"{"ids":[40,3,40,"7"],"cash_status":5,"remark":"paid"}"#;
    let key = "Idempotency-Key: r1\r\n";
    let answer = stack.call("POST", "/api/wallet/cash/review", &ADMIN, key, body).await?;
    let expected =
        r#"{"type":"cash-review","data":{"result":{"40":"success","3":"failure","7":"failure"}}}"#;
    assert_eq!((answer.status, answer.body.as_str()), (200, expected));
    assert_eq!(answer.header("idempotency-replayed"), Some("true"));
    let asked: ReviewWithdrawalsRequest = stack.fakes.last()?;
    assert_eq!((asked.decision(), asked.key.as_str()), (Decision::MarkPaid, "r1"));
    assert_eq!((asked.ids, asked.remark.as_str()), (vec![40, 3, 7], "paid"));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_cancel_that_comes_too_late_is_forbidden() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    stack
        .fakes
        .refuses("cancel_withdrawal", Failure::new(Reason::IllegalTransition, "not in review"));
    let answer = stack.call("DELETE", "/api/wallet/cash/3", &user(7), "", "").await?;
    assert_eq!((answer.status, answer.wallet_code()?.as_str()), (422, "operate_forbidden"));
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_wallet_log_is_a_view_of_the_statement() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let entry = |id, kind: EntryKind, available, frozen, note: &str| Entry {
        id,
        user_id: 7,
        kind: kind.into(),
        available_delta_minor: available,
        frozen_delta_minor: frozen,
        created_at_us: 1_574_392_052_000_000,
        facts: Some(Facts { note: note.to_owned(), ..Default::default() }.into()),
        ..Default::default()
    };
    let entries = vec![
        entry(6, EntryKind::Adjustment, -50, 0, "mistake"),
        entry(5, EntryKind::WithdrawalReturned, 100, -100, ""),
        entry(4, EntryKind::Withdrawal, -100, 100, ""),
    ];
    let sum_available_minor = -123_456_789;
    let found =
        ListStatementResponse { entries, total: 41, sum_available_minor, ..Default::default() };
    stack.fakes.answers("list_statement", found);
    let answer = stack.get(&user(7), "/api/wallet/log").await?;
    let first = concat!(
        r#""data":[{"type":"user_wallet_log","id":"6","attributes":{"id":6,"user_id":7,"source_user_id":0,"#,
        r#""change_available_amount":"-0.50","change_freeze_amount":"0.00","change_type":50,"change_desc":"mistake","#,
        r#""updated_at":"2019-11-22T11:07:32+08:00","created_at":"2019-11-22T11:07:32+08:00"}}"#
    );
    assert!(answer.body.contains(first), "{}", answer.body);
    let meta = r#""meta":{"total":41,"pageCount":3,"sumChangeAvailableAmount":"-1234567.89"}}"#;
    assert!(answer.body.ends_with(meta), "{}", answer.body);
    let told = answer.json()?;
    assert_eq!(told["data"][1]["attributes"]["change_type"], 12);
    assert_eq!(told["data"][2]["attributes"]["change_desc"], "提现冻结");
    let (up, down, still) = (1, 2, 3);
    for (filter, selected) in [
        ("?filter[change_type]=10", vec![(4, down)]),
        ("?filter[change_type]=11", vec![(4, still), (26, still)]),
        ("?filter[change_type]=32,12", vec![(5, up), (4, up), (18, up), (24, up)]),
        (
            "",
            vec![
                (4, down),
                (4, still),
                (26, still),
                (4, up),
                (18, up),
                (24, up),
                (5, up),
                (5, down),
            ],
        ),
    ] {
        stack.get(&user(7), &format!("/api/wallet/log{filter}")).await?;
        let asked = stack.fakes.last::<ListStatementRequest>()?.filter.unwrap_or_default();
        let asked: Vec<_> = asked.any_of.iter().map(|one| (one.kind, one.direction)).collect();
        assert_eq!(asked, selected, "{filter}");
    }
    for bad in ["filter[change_type]=x", "filter[desc]=x", "sort=created_at"] {
        let answer = stack.get(&user(7), &format!("/api/wallet/log?{bad}")).await?;
        assert_eq!(answer.status, 400, "{bad}");
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_paid_cash_out_with_a_fee_has_two_rows_each_with_its_own_text() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let entry = |id, kind: EntryKind, frozen, note: &str| Entry {
        id,
        user_id: 7,
        kind: kind.into(),
        frozen_delta_minor: frozen,
        facts: Some(Facts { note: note.to_owned(), ..Default::default() }.into()),
        ..Default::default()
    };
    for (paid, fee, texts) in [
        ("提现成功", "提现手续费", ["提现手续费", "提现成功"]),
        ("", "", ["提现手续费", "提现成功，扣除"]),
    ] {
        let entries = vec![
            entry(6, EntryKind::WithdrawalFee, -1, fee),
            entry(5, EntryKind::Withdrawal, -99, paid),
        ];
        let found = ListStatementResponse { entries, total: 2, ..Default::default() };
        stack.fakes.answers("list_statement", found);
        let told = stack.get(&user(7), "/api/wallet/log").await?.json()?;
        for (row, (text, amount)) in texts.into_iter().zip(["-0.01", "-0.99"]).enumerate() {
            let shown = &told["data"][row]["attributes"];
            assert_eq!((&shown["change_type"], &shown["change_desc"]), (&11.into(), &text.into()));
            assert_eq!(shown["change_freeze_amount"], amount);
        }
        assert_eq!(told["data"].as_array().map(Vec::len), Some(2));
    }
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_wallet_shows_the_fee_rate_as_it_was_configured() -> anyhow::Result<()> {
    let stack = Stack::with(NOW_S, &[("CASH_FEE_RATE", "0.010")]).await?;
    let account =
        Account { user_id: 7, available_minor: 1_234, frozen_minor: 5, ..Default::default() };
    let found = GetAccountResponse { account: Some(account), ..Default::default() };
    stack.fakes.answers("get_account", found);
    let answer = stack.get(&user(7), "/api/wallet/user/7").await?;
    let expected = concat!(
        r#"{"data":{"type":"user_wallet","id":"7","attributes":{"user_id":7,"available_amount":"12.34","#,
        r#""freeze_amount":"0.05","wallet_status":0,"cash_tax_ratio":0.010}}}"#
    );
    assert_eq!(answer.body, expected);
    stack.stop().await;
    Ok(())
}

#[tokio::test]
async fn an_operator_changes_a_wallet_under_a_key_of_their_own() -> anyhow::Result<()> {
    let stack = Stack::at(NOW_S).await?;
    let account = Account { user_id: 7, available_minor: 150, locked: true, ..Default::default() };
    let done = AdjustAccountResponse { account: Some(account), replayed: true };
    stack.fakes.answers("adjust_account", done);
    let body = r#"{"operate_type":2,"operate_amount":"1.50","wallet_status":1}"#;
    let mut keys = Vec::new();
    let operator = |id| Person::Known(id, &[], &["wallet.update"]);
    for (person, key) in [
        (operator(9), "Idempotency-Key: k\r\n"),
        (operator(9), "Idempotency-Key: k\r\n"),
        (operator(10), "Idempotency-Key: k\r\n"),
        (operator(9), ""),
        (operator(9), ""),
    ] {
        let answer = stack.call("PATCH", "/api/wallet/user/7", &person, key, body).await?;
        let expected = concat!(
            r#"{"data":{"type":"user_wallet","id":"7","attributes":{"user_id":7,"available_amount":"1.50","#,
            r#""freeze_amount":"0.00","wallet_status":1}}}"#
        );
        assert_eq!(
            (answer.body.as_str(), answer.header("idempotency-replayed")),
            (expected, Some("true"))
        );
        let asked: AdjustAccountRequest = stack.fakes.last()?;
        assert_eq!(
            (asked.amount_minor, asked.locked, asked.note.as_str()),
            (-150, Some(true), "人工支出")
        );
        assert!(asked.key.len() <= 128);
        keys.push(asked.key);
    }
    assert_eq!(keys[0], keys[1], "the same key of the same person");
    keys.remove(0);
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4, "all others differ");
    stack.stop().await;
    Ok(())
}
