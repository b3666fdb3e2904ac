//! `GET /api/wallet/log`: what happened to a wallet because of cash-outs and operators.
//!
//! A view on the statement: the documented change_type is told from an entry's kind and signs.

use axum::response::Response;
use cashout_common::money::format_fixed;
use cashout_proto::Failure;
use cashout_proto::account::v1::{
    Direction, Entry, EntryKind, ListStatementRequest, ListStatementResponse, Selection,
    StatementFilter,
};
use serde::Serialize;

use super::document::{Document, Resource};
use super::filter::{People, people, times};
use super::include::{Include, Related};
use super::{Links, Paging, answered, known_parameters, pages};
use crate::http::{Call, Parameters, Refusal, malformed};
use crate::identity::Permission;
use crate::upstream::account_of;

const PATH: &str = "/api/wallet/log";
const FILTERS: &[&str] = &["user", "username", "change_type", "start_time", "end_time"];

#[derive(Serialize)]
struct LogAttributes {
    id: i64,
    user_id: i64,
    source_user_id: i64,
    change_available_amount: String,
    change_freeze_amount: String,
    change_type: u8,
    change_desc: String,
    updated_at: String,
    created_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    total: i64,
    page_count: i64,
    // Two decimals, no thousands separators: it is a number to be read by programs.
    sum_change_available_amount: String,
}

/// The log, newest first.
pub(super) async fn show(call: Call) -> Result<Response, Refusal> {
    known_parameters(&call.query, FILTERS)?;
    let include = Include::read(&call.query)?.unwrap_or_default();
    let paging = Paging::read(&call.query)?;
    if !matches!(call.query.filled("sort")?, None | Some("-created_at")) {
        return Err(malformed("sort must be -created_at").into());
    }
    let found = entries(&call, &paging).await?;
    let related = Related::of(&call, include, found.entries.iter().map(|e| e.user_id)).await?;
    let shown = found.entries.iter().map(|entry| {
        let mut resource = resource(&call, entry);
        resource.relationships = related.relationships(entry.user_id);
        resource
    });
    let document: Document<_, Links, _> = Document {
        links: Some(paging.links(PATH, &call, found.total)),
        data: shown.collect::<Vec<_>>(),
        included: related.included(),
        meta: Some(Meta {
            total: found.total,
            page_count: pages(found.total, paging.limit),
            sum_change_available_amount: format_fixed(found.sum_available_minor),
        }),
    };
    answered(&document, false)
}

async fn entries(call: &Call, paging: &Paging) -> Result<ListStatementResponse, Failure> {
    let any_of = selections(&call.query)?;
    let (from_us, last_us) = times(call)?;
    let account = match people(call, call.who.may(Permission::WalletLogs)).await? {
        People::All => None,
        People::Only(ids) => match ids.as_slice() {
            [] => return Ok(ListStatementResponse::default()),
            [id] => Some(account_of(*id)),
            _ => return Err(malformed("several people have this name; use filter[user]")),
        },
    };
    let asked = ListStatementRequest {
        filter: Some(StatementFilter {
            account,
            any_of,
            from_us,
            // The service's bound is exclusive, the document's inclusive.
            until_us: if last_us == 0 { 0 } else { last_us.saturating_add(1) },
            ..StatementFilter::default()
        }),
        page: i32::try_from(paging.number).unwrap_or(i32::MAX),
        page_size: i32::try_from(paging.limit).unwrap_or(i32::MAX),
    };
    match call.upstream().list_statement(&call.caller, asked).await {
        // Nobody with an account: nothing has happened.
        Err(failure) if failure.reason.row().http == 404 => Ok(ListStatementResponse::default()),
        other => other,
    }
}

/// What `filter[change_type]` selects: a comma list of the documented numbers, all when it is absent.
fn selections(query: &Parameters) -> Result<Vec<Selection>, Failure> {
    use Direction::{Expend, Income, Still};
    use EntryKind::{
        Adjustment, Withdrawal, WithdrawalCancelled, WithdrawalFee, WithdrawalReturned,
    };
    let text = query.filled("filter[change_type]")?.unwrap_or("10,11,12,32,50");
    let mut selected = Vec::new();
    for number in text.split(',').map(str::trim) {
        let pairs: &[(EntryKind, Direction)] = match number {
            "10" => &[(Withdrawal, Expend)],
            "11" => &[(Withdrawal, Still), (WithdrawalFee, Still)],
            "12" => {
                &[(Withdrawal, Income), (WithdrawalReturned, Income), (WithdrawalCancelled, Income)]
            }
            "32" => &[(Adjustment, Income)],
            "50" => &[(Adjustment, Expend)],
            _ => return Err(malformed("filter[change_type] must list 10, 11, 12, 32 or 50")),
        };
        let one = |(kind, direction): &(EntryKind, Direction)| Selection {
            kind: (*kind).into(),
            direction: (*direction).into(),
        };
        selected.extend(pairs.iter().map(one));
    }
    Ok(selected)
}

fn resource(call: &Call, entry: &Entry) -> Resource<LogAttributes> {
    let (change_type, description) = change(entry);
    let note = entry.facts.as_ref().map_or("", |facts| facts.note.as_str());
    let at = call.app.zone.rfc3339(entry.created_at_us);
    let attributes = LogAttributes {
        id: entry.id,
        user_id: entry.user_id,
        source_user_id: entry.counter_user_id,
        change_available_amount: format_fixed(entry.available_delta_minor),
        change_freeze_amount: format_fixed(entry.frozen_delta_minor),
        change_type,
        change_desc: if note.is_empty() { description } else { note }.to_owned(),
        updated_at: at.clone(),
        created_at: at,
    };
    Resource::new("user_wallet_log", entry.id, attributes)
}

/// The documented change_type of an entry and what it is called when nobody noted anything.
fn change(entry: &Entry) -> (u8, &'static str) {
    match entry.kind() {
        EntryKind::Adjustment if entry.available_delta_minor < 0 => (50, "人工支出"),
        EntryKind::Adjustment => (32, "人工收入"),
        EntryKind::WithdrawalReturned => (12, "提现失败，退回"),
        EntryKind::WithdrawalCancelled => (12, "取消提现，退回"),
        // The second row of a paid cash-out; the first is what the person got.
        EntryKind::WithdrawalFee => (11, "提现手续费"),
        _ if entry.available_delta_minor > 0 => (12, "提现退回"),
        _ if entry.available_delta_minor < 0 && entry.frozen_delta_minor > 0 => (10, "提现冻结"),
        _ => (11, "提现成功，扣除"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_change_type_follows_from_kind_and_signs() {
        for (kind, available, frozen, change_type) in [
            (EntryKind::Withdrawal, -100, 100, 10),
            (EntryKind::Withdrawal, 0, -99, 11),
            (EntryKind::WithdrawalFee, 0, -1, 11),
            (EntryKind::Withdrawal, 5, -5, 12),
            (EntryKind::WithdrawalReturned, 100, -100, 12),
            (EntryKind::WithdrawalCancelled, 100, -100, 12),
            (EntryKind::Adjustment, 7, 0, 32),
            (EntryKind::Adjustment, -7, 0, 50),
        ] {
            let entry = Entry {
                kind: kind.into(),
                available_delta_minor: available,
                frozen_delta_minor: frozen,
                ..Default::default()
            };
            assert_eq!(change(&entry).0, change_type, "{kind:?} {available} {frozen}");
        }
    }
}
