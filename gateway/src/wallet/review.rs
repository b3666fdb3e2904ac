//! `POST /api/wallet/cash/review`: one decision on several cash-outs, each with its own result.

use std::collections::HashMap;

use axum::response::Response;
use cashout_common::number::{MAX_ID, parse_id};
use cashout_proto::withdraw::v1::{Decision, ReviewWithdrawalsRequest};
use cashout_proto::{Failure, Reason};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::answered;
use super::attributes::Attributes;
use crate::http::{Call, Refusal};
use crate::identity::Permission;
use crate::json::Json;

/// The most cash-outs of one decision.
const IDS_MAX: usize = 200;

#[derive(serde::Serialize)]
struct Reviewed {
    #[serde(rename = "type")]
    kind: &'static str,
    data: Results,
}

#[derive(serde::Serialize)]
struct Results {
    result: ByWithdrawal,
}

/// Results in the order that was asked for; a map would sort them.
struct ByWithdrawal(Vec<(i64, &'static str)>);

impl Serialize for ByWithdrawal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (id, word) in &self.0 {
            map.serialize_entry(&id.to_string(), word)?;
        }
        map.end()
    }
}

/// Decides.
pub(super) async fn decide(call: Call) -> Result<Response, Refusal> {
    call.require(Permission::CashReview)?;
    let key = call.idempotency_key()?;
    let asked = ReviewWithdrawalsRequest { key, ..read(&call.body)? };
    let ids = asked.ids.clone();
    let done = call.upstream().review_withdrawals(&call.caller, asked).await?;
    let found: HashMap<i64, bool> = done.results.iter().map(|r| (r.id, r.success)).collect();
    let word = |id: &i64| if found.get(id) == Some(&true) { "success" } else { "failure" };
    let result = ByWithdrawal(ids.iter().map(|id| (*id, word(id))).collect());
    let document = Reviewed { kind: "cash-review", data: Results { result } };
    answered(&document, done.replayed)
}

fn read(body: &[u8]) -> Result<ReviewWithdrawalsRequest, Failure> {
    let mut attributes = Attributes::of_object(body)?;
    attributes.require("ids");
    let ids = ids(&mut attributes);
    attributes.require("cash_status");
    let status = attributes.integer("cash_status");
    let remark = attributes.text("remark");
    attributes.checked()?;
    let decision = match status.flatten() {
        Some(2) => Decision::Approve,
        Some(3) => Decision::Refuse,
        Some(5) => Decision::MarkPaid,
        // The original's key for a status nobody may set.
        _ => return Err(Failure::new(Reason::IllegalTransition, "cash_status must be 2, 3 or 5")),
    };
    Ok(ReviewWithdrawalsRequest { ids, decision: decision.into(), remark, key: String::new() })
}

/// The ids, each once, in the order given; numbers or decimal strings.
fn ids(attributes: &mut Attributes) -> Vec<i64> {
    let Some(value) = attributes.get("ids") else { return Vec::new() };
    let one = |item: &Json| match item {
        Json::Number(_) => item.integer().filter(|id| (1..=MAX_ID).contains(id)),
        Json::Text(text) => parse_id(text),
        _ => None,
    };
    let read: Option<Vec<i64>> = match value {
        Json::List(items) => items.iter().map(one).collect(),
        _ => None,
    };
    let mut ids = read.unwrap_or_default();
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    if ids.is_empty() || ids.len() > IDS_MAX {
        attributes.broken("ids", format!("must be a list of 1 to {IDS_MAX} ids"));
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_read_and_repeats_count_once() -> anyhow::Result<()> {
        let asked = read(br#"{"ids":[3,"9",3,4],"cash_status":3,"remark":"no"}"#)?;
        assert_eq!(asked.ids, [3, 9, 4]);
        assert_eq!((asked.decision(), asked.remark.as_str()), (Decision::Refuse, "no"));
        Ok(())
    }

    #[test]
    fn what_is_no_decision_is_refused() {
        let many: Vec<String> = (1..=201).map(|n: i32| n.to_string()).collect();
        let many = format!("{{\"ids\":[{}],\"cash_status\":2}}", many.join(","));
        for (body, reason) in [
            (r#"{"ids":[3],"cash_status":4}"#, Reason::IllegalTransition),
            (r#"{"ids":[3],"cash_status":99999999999}"#, Reason::IllegalTransition),
            (r#"{"ids":[3],"cash_status":"2"}"#, Reason::InvalidArgument),
            (r#"{"ids":[],"cash_status":2}"#, Reason::InvalidArgument),
            (r#"{"ids":3,"cash_status":2}"#, Reason::InvalidArgument),
            (r#"{"ids":[3,-1],"cash_status":2}"#, Reason::InvalidArgument),
            (r#"{"ids":[1.5],"cash_status":2}"#, Reason::InvalidArgument),
            (r#"{"ids":["07"],"cash_status":2}"#, Reason::InvalidArgument),
            (r#"{"cash_status":2}"#, Reason::InvalidArgument),
            (r#"{"ids":[1]}"#, Reason::InvalidArgument),
            (r#"[]"#, Reason::MalformedRequest),
            (many.as_str(), Reason::InvalidArgument),
        ] {
            assert_eq!(read(body.as_bytes()).map_err(|f| f.reason).err(), Some(reason), "{body}");
        }
    }
}
