//! `GET /api/wallet/cash`: one's own cash-outs, or everybody's with `cash.viewList`.

use axum::response::Response;
use cashout_proto::Failure;
use cashout_proto::withdraw::v1::{ListWithdrawalsRequest, Sort};
use serde::Serialize;

use super::document::{Document, cash};
use super::filter::{People, people, text, times};
use super::include::{Include, Related};
use super::{Paging, answered, known_parameters, pages};
use crate::http::{Call, Parameters, Refusal, malformed};
use crate::identity::Permission;

const PATH: &str = "/api/wallet/cash";
const FILTERS: &[&str] = &[
    "user",
    "cash_sn",
    "cash_status",
    "cash_type",
    "cash_mobile",
    "username",
    "start_time",
    "end_time",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    // The document mixes its spellings.
    total: i64,
    page_count: i64,
}

/// The list.
pub(super) async fn show(call: Call) -> Result<Response, Refusal> {
    known_parameters(&call.query, FILTERS)?;
    let include = Include::read(&call.query)?.unwrap_or_default();
    let paging = Paging::read(&call.query)?;
    let asked = read(&call, &paging)?;
    let asked = match people(&call, call.who.may(Permission::CashViewList)).await? {
        People::All => asked,
        People::Only(user_ids) => {
            ListWithdrawalsRequest { nobody: user_ids.is_empty(), user_ids, ..asked }
        }
    };
    let found = call.upstream().list_withdrawals(&call.caller, asked).await?;
    let owners = found.withdrawals.iter().map(|withdrawal| withdrawal.user_id);
    let related = Related::of(&call, include, owners).await?;
    let shown = found.withdrawals.iter().map(|withdrawal| {
        let mut resource = cash(withdrawal, call.who.user_id, &call.app.zone);
        resource.relationships = related.relationships(withdrawal.user_id);
        resource
    });
    let document = Document {
        links: Some(paging.links(PATH, &call, found.total)),
        data: shown.collect::<Vec<_>>(),
        included: related.included(),
        meta: Some(Meta { total: found.total, page_count: pages(found.total, paging.limit) }),
    };
    answered(&document, false)
}

fn read(call: &Call, paging: &Paging) -> Result<ListWithdrawalsRequest, Failure> {
    let query = &call.query;
    let number = |name| -> Result<Option<i32>, Failure> {
        let number = query.number(name, 0..=i64::from(i32::MAX))?;
        Ok(number.and_then(|n| i32::try_from(n).ok()))
    };
    let (created_from_us, created_until_us) = times(call)?;
    Ok(ListWithdrawalsRequest {
        cash_sn: text(query, "filter[cash_sn]")?.unwrap_or_default(),
        cash_status: number("filter[cash_status]")?,
        cash_type: number("filter[cash_type]")?,
        mobile: text(query, "filter[cash_mobile]")?.unwrap_or_default(),
        created_from_us,
        created_until_us,
        sort: sort(query)?.into(),
        limit: i32::try_from(paging.limit).unwrap_or(i32::MAX),
        offset: paging.offset(),
        ..Default::default()
    })
}

fn sort(query: &Parameters) -> Result<Sort, Failure> {
    Ok(match query.filled("sort")? {
        None | Some("-created_at") => Sort::CreatedDesc,
        Some("created_at") => Sort::CreatedAsc,
        Some("-updated_at") => Sort::UpdatedDesc,
        Some("updated_at") => Sort::UpdatedAsc,
        Some(_) => {
            return Err(malformed("sort must be created_at or updated_at, `-` for descending"));
        }
    })
}
