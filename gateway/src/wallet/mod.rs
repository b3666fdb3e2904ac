//! Document 3, `/api/wallet/*`: cash-outs, their review, the wallet and its log, as JSON:API
//! (docs/http.md section 3).
//!
//! Must not know: limits, fees, balances, which status may follow which; the services decide.

mod attributes;
mod cash;
mod document;
mod filter;
mod include;
mod list;
mod log;
mod request;
mod review;
mod user;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use cashout_proto::Failure;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use crate::http::{App, Call, Family, Parameters, Refusal, answer, malformed};

/// The family's part of `/openapi.json`.
pub const DESCRIPTION: &str = include_str!("description.json");

/// All routes of the family.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/wallet/cash", get(list::show).post(request::create))
        .route("/api/wallet/cash/review", post(review::decide))
        .route("/api/wallet/cash/{id}", get(cash::show).delete(cash::cancel))
        .route("/api/wallet/log", get(log::show))
        .route("/api/wallet/user/{user_id}", get(user::show).patch(user::update))
}

/// How many pages `total` rows make.
pub fn pages(total: i64, page_size: i64) -> i64 {
    let size = page_size.max(1);
    total.max(0) / size + i64::from(total.max(0) % size != 0)
}

/// A success, marked when it is the stored answer of an earlier request.
fn answered<T: Serialize>(document: &T, replayed: bool) -> Result<Response, Refusal> {
    let mut response = answer(Family::Wallet, document)?;
    if replayed {
        let name = HeaderName::from_static("idempotency-replayed");
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Which page of a list is asked for.
struct Paging {
    number: i64,
    limit: i64,
}

impl Paging {
    /// `page[number]` from 1, `page[limit]` (or, as the original took too, `page[size]`) 20 unless
    /// asked otherwise and never more than 200.
    fn read(query: &Parameters) -> Result<Self, Failure> {
        let any = || 1..=i64::from(i32::MAX);
        let number = query.number("page[number]", any())?.unwrap_or(1);
        let size = query.number("page[size]", any())?;
        let limit = query.number("page[limit]", any())?.or(size).unwrap_or(20);
        Ok(Self { number, limit: limit.min(200) })
    }

    fn offset(&self) -> i64 {
        (self.number - 1).saturating_mul(self.limit)
    }

    /// Links to other pages of the same list, relative to this server. The token, if one was a
    /// parameter, does not go into them.
    fn links(&self, path: &str, call: &Call, total: i64) -> Links {
        let to = |number: i64| {
            let mut query = form_urlencoded::Serializer::new(String::new());
            for (name, value) in call.query.iter() {
                if name != "token" && name != "page[number]" {
                    query.append_pair(name, value);
                }
            }
            if number > 1 {
                query.append_pair("page[number]", &number.to_string());
            }
            let query = query.finish();
            if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
        };
        let last = pages(total, self.limit);
        Links {
            first: to(1),
            prev: (self.number > 1).then(|| to((self.number - 1).min(last.max(1)))),
            next: (self.number < last).then(|| to(self.number + 1)),
            last: (total > 0).then(|| to(last)),
        }
    }
}

/// Links of a list; one that leads nowhere is left out.
#[derive(Serialize)]
struct Links {
    first: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

/// Refuses filters and page parameters that nobody documented: a filter that is silently ignored
/// shows more than was asked for.
fn known_parameters(query: &Parameters, filters: &[&str]) -> Result<(), Failure> {
    for (name, _) in query.iter() {
        let known = match name.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']')) {
            Some(filter) => filters.contains(&filter),
            None if name.starts_with("page[") => {
                matches!(name, "page[number]" | "page[limit]" | "page[size]")
            }
            None => !name.starts_with("filter"),
        };
        if !known {
            let told = filters.join(", ");
            return Err(malformed(&format!("unknown filter or page parameter; filters: {told}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_rounded_up() {
        for (total, size, expected) in
            [(15, 10, 2), (20, 10, 2), (0, 10, 0), (1, 500, 1), (5, 0, 5)]
        {
            assert_eq!(pages(total, size), expected);
        }
    }
}
