//! `/sett/withdrawList`: the cash-outs of a teacher, newest first.

use axum::response::Response;
use cashout_common::money::format_fixed;
use cashout_proto::Failure;
use cashout_proto::withdraw::v1::{ListWithdrawalsRequest, Method, Withdrawal};
use serde::Serialize;

use super::{Envelope, Rows, local, read};
use crate::http::{Call, Family, Refusal, answer};

/// Rows of one page when only a page is asked for.
const PAGE_SIZE: i64 = 100;
/// The largest page.
const PAGE_SIZE_MAX: i64 = 500;
/// Without paging all rows are answered, as the original did; this bounds what one answer may hold.
const ROWS_MAX: usize = 10_000;

/// Field order and types as documented.
#[derive(Serialize)]
struct Row {
    id: String,
    user_id: String,
    amount: String,
    servicer: Option<&'static str>,
    trade_no: Option<String>,
    third_trade_no: Option<String>,
    third_buyer_id: Option<String>,
    pay_status: String,
    add_time: Option<String>,
    pay_time: Option<String>,
}

#[derive(Serialize)]
struct Page {
    page: i64,
    page_size: i64,
    pages: i64,
    total: i64,
    #[serde(flatten)]
    rows: Rows<Row>,
}

/// Answers a page when one is asked for, else everything.
pub async fn show(call: Call) -> Result<Response, Refusal> {
    let (parameters, user_id) = read(&call)?;
    let page = parameters.number("page", 1..=i64::from(i32::MAX))?;
    let page_size = parameters.number("page_size", 1..=PAGE_SIZE_MAX)?;
    if page.is_none() && page_size.is_none() {
        let found = everything(&call, user_id).await?;
        let data = rows(&call, &found);
        return answer(Family::Settlement, &Envelope { code: 0, data });
    }
    let (page, page_size) = (page.unwrap_or(1), page_size.unwrap_or(PAGE_SIZE));
    let asked = ListWithdrawalsRequest {
        user_ids: vec![user_id],
        limit: i32::try_from(page_size).unwrap_or(i32::MAX),
        offset: (page - 1).saturating_mul(page_size),
        ..Default::default()
    };
    let found = call.upstream().list_withdrawals(&call.caller, asked).await?;
    let pages = crate::wallet::pages(found.total, page_size);
    let rows = rows(&call, &found.withdrawals);
    let data = Page { page, page_size, pages, total: found.total, rows };
    answer(Family::Settlement, &Envelope { code: 0, data })
}

async fn everything(call: &Call, user_id: i64) -> Result<Vec<Withdrawal>, Failure> {
    let mut all: Vec<Withdrawal> = Vec::new();
    loop {
        let asked = ListWithdrawalsRequest {
            user_ids: vec![user_id],
            limit: i32::try_from(PAGE_SIZE_MAX).unwrap_or(i32::MAX),
            before_id: all.last().map_or(0, |last| last.id),
            ..Default::default()
        };
        let found = call.upstream().list_withdrawals(&call.caller, asked).await?.withdrawals;
        let full = i64::try_from(found.len()).is_ok_and(|n| n >= PAGE_SIZE_MAX);
        all.extend(found);
        if !full || all.len() >= ROWS_MAX {
            return Ok(all);
        }
    }
}

fn rows(call: &Call, found: &[Withdrawal]) -> Rows<Row> {
    let items: Vec<Row> = found.iter().map(|withdrawal| row(call, withdrawal)).collect();
    Rows { count: items.len(), ts: call.now_s(), items }
}

fn row(call: &Call, withdrawal: &Withdrawal) -> Row {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Row {
        id: withdrawal.id.to_string(),
        user_id: withdrawal.user_id.to_string(),
        amount: format_fixed(withdrawal.apply_minor),
        servicer: match withdrawal.method() {
            Method::Alipay => Some("1"),
            Method::Wechat => Some("2"),
            Method::Manual => None,
        },
        trade_no: filled(&withdrawal.trade_no),
        third_trade_no: filled(&withdrawal.third_trade_no),
        third_buyer_id: filled(&withdrawal.payee_id),
        pay_status: withdrawal.pay_status.to_string(),
        add_time: local(call, withdrawal.pay_requested_at_us),
        pay_time: local(call, withdrawal.paid_at_us),
    }
}
