//! `GET /user/capital-account/detail?id=`: one entry of one's own.

use axum::response::Response;
use cashout_common::money::format_fixed;
use cashout_common::number::parse_id;
use cashout_proto::account::v1::GetEntryRequest;
use cashout_proto::{Failure, Reason};
use serde::Serialize;

use super::Envelope;
use super::row::{account_sn, original_amount, payment_name};
use crate::http::{Call, Family, Refusal, answer, malformed};

/// Field order and types as the original page shows them; `id` and `process_type` are numbers here.
#[derive(Serialize)]
struct Detail {
    account_sn: String,
    add_time: String,
    amount: String,
    goods_amount: String,
    id: i64,
    note: String,
    order_date: String,
    order_sn: String,
    payment_name: String,
    process_type: i32,
    recive_date: String,
    ys_amount: String,
}

/// Another person's entry is not found, like one that does not exist.
pub(super) async fn show(call: Call) -> Result<Response, Refusal> {
    let text = call.query.filled("id")?.ok_or_else(|| malformed("id is missing"))?;
    let missing = || Failure::new(Reason::EntryNotFound, "there is no such entry");
    let id = parse_id(text).ok_or_else(missing)?;
    let asked = GetEntryRequest { id, user_id: call.who.user_id };
    let entry = call.upstream().get_entry(&call.caller, asked).await.map_err(|failure| {
        // One text for every way not to exist.
        if failure.reason.row().http == 404 { missing() } else { failure }
    })?;
    let zone = &call.app.zone;
    let facts = entry.facts.clone().unwrap_or_default();
    let data = Detail {
        account_sn: account_sn(&entry, zone),
        add_time: zone.datetime(entry.created_at_us),
        amount: format_fixed(entry.available_delta_minor),
        id: entry.id,
        payment_name: payment_name(&facts),
        process_type: entry.kind,
        ys_amount: original_amount(&facts),
        goods_amount: facts.goods_amount,
        note: facts.note,
        order_date: facts.order_time,
        order_sn: facts.order_no,
        recive_date: facts.received_time,
    };
    answer(Family::Capital, &Envelope { code: 0, data, message: "成功!" })
}
