//! Document 2, `/user/capital-account/*`: a person's own balance statement (docs/http.md section 2).
//!
//! Must not know: how entries come about; kinds and their names stand in the one table in common.

mod detail;
mod filter;
mod row;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use cashout_common::local::Zone;
use cashout_common::money::{format_fixed, format_short};
use cashout_proto::account::v1::{
    GetHolderRequest, ListStatementRequest, ListStatementResponse, Membership,
};
use cashout_proto::{Failure, Reason};
use serde::Serialize;

use crate::http::{App, Call, Family, Refusal, answer};
use row::Row;

/// The family's part of `/openapi.json`.
pub const DESCRIPTION: &str = include_str!("description.json");

/// The statement and one entry of it.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/user/capital-account/new-list", get(statement))
        .route("/user/capital-account/detail", get(detail::show))
}

#[derive(Serialize)]
struct Envelope<D> {
    code: i32,
    data: D,
    message: &'static str,
}

#[derive(Serialize)]
struct Statement {
    new_user: Person,
    page: Page,
    list: Vec<Row>,
    page_output: bool,
}

#[derive(Serialize)]
struct Person {
    vip_money_format: String,
    frozen_vip_money_format: String,
    unfreeze: String,
    is_vip: u8,
    vip_privilege: Vec<String>,
    economy_money: String,
}

#[derive(Serialize)]
struct Page {
    page_key: &'static str,
    page_id: &'static str,
    default_page_size: i64,
    cur_page: i64,
    page_size: i64,
    page_size_list: [i64; 3],
    record_count: i64,
    page_count: i64,
    offset: i64,
    url: (),
    sql: (),
}

async fn statement(call: Call) -> Result<Response, Refusal> {
    let asked = filter::read(&call)?;
    let entries = ListStatementRequest {
        filter: Some(asked.filter),
        page: i32::try_from(asked.page).unwrap_or(i32::MAX),
        page_size: i32::try_from(asked.page_size).unwrap_or(i32::MAX),
    };
    let holder = GetHolderRequest { user_id: call.who.user_id };
    // Balance and entries are one answer: from two they could contradict each other.
    let (holder, found) = tokio::join!(
        call.upstream().get_holder(&call.caller, holder),
        call.upstream().list_statement(&call.caller, entries),
    );
    // Who has no account or profile yet sees an empty one.
    let found: ListStatementResponse = or_default(found, Reason::AccountNotFound)?;
    let holder = or_default(holder, Reason::HolderNotFound)?;
    let zone = &call.app.zone;
    let data = Statement {
        new_user: person(&found, holder.membership.unwrap_or_default(), zone),
        page: Page {
            page_key: "page",
            page_id: "pagination",
            default_page_size: filter::PAGE_SIZE,
            cur_page: asked.page,
            page_size: asked.page_size,
            page_size_list: [10, 50, 500],
            record_count: found.total,
            page_count: crate::wallet::pages(found.total, asked.page_size),
            offset: (asked.page - 1).saturating_mul(asked.page_size),
            url: (),
            sql: (),
        },
        list: found.entries.iter().map(|entry| Row::of(entry, zone)).collect(),
        page_output: false,
    };
    answer(Family::Capital, &Envelope { code: 0, data, message: "" })
}

fn or_default<T: Default>(found: Result<T, Failure>, missing: Reason) -> Result<T, Failure> {
    match found {
        Err(failure) if failure.reason == missing => Ok(T::default()),
        other => other,
    }
}

fn person(found: &ListStatementResponse, membership: Membership, zone: &Zone) -> Person {
    let account = found.account.clone().unwrap_or_default();
    let privileges = membership.privileges.iter();
    Person {
        vip_money_format: format_fixed(account.available_minor),
        frozen_vip_money_format: format_fixed(account.frozen_minor),
        unfreeze: unfreeze(found.next_release_minor, found.next_release_at_us, zone),
        is_vip: u8::from(membership.is_member),
        vip_privilege: privileges.map(|p| format!("{},{}", p.title, p.subtitle)).collect(),
        economy_money: format_fixed(membership.saved_minor),
    }
}

/// The notice of the next scheduled release, in the documented words: no trailing zeros in the amount,
/// month and day unpadded.
fn unfreeze(minor: i64, at_us: i64, zone: &Zone) -> String {
    if at_us == 0 {
        return String::new();
    }
    let at = zone.at(at_us);
    format!(
        "您有{}元余额将于{}年{}月{}日{:02}:{:02}分解冻",
        format_short(minor),
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_reads_as_documented() -> Result<(), String> {
        let zone = Zone::named("Asia/Shanghai")?;
        let at_us = 1_650_470_280_000_000;
        for (minor, at_us, notice) in [
            (1880, at_us, "您有18.8元余额将于2022年4月20日23:58分解冻"),
            (100, 1_641_226_140_000_000, "您有1元余额将于2022年1月4日00:09分解冻"),
            (1234, at_us, "您有12.34元余额将于2022年4月20日23:58分解冻"),
            (0, 0, ""),
        ] {
            assert_eq!(unfreeze(minor, at_us, &zone), notice);
        }
        Ok(())
    }
}
