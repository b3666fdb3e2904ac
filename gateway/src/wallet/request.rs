//! `POST /api/wallet/cash`: a person asks for a cash-out.
//!
//! The answer is made of the service's answer alone, which is stored with the effect: a repeated
//! request therefore gets the same bytes.

use axum::response::Response;
use cashout_proto::withdraw::v1::{RequestWithdrawalRequest, RequestWithdrawalResponse};
use cashout_proto::{Failure, Reason};

use super::answered;
use super::attributes::Attributes;
use super::document::{Document, Included, applicant, cash, wallet};
use super::include::Include;
use crate::http::{Call, Refusal};

/// The documented number of the method where a person is paid by hand.
const MANUAL: i32 = 0;
/// A number of no method, for numbers the service cannot be told: it decides when to say so.
const UNKNOWN: i32 = -1;

/// Asks for a cash-out.
pub(super) async fn create(call: Call) -> Result<Response, Refusal> {
    let key = call.idempotency_key()?;
    let include = Include::read(&call.query)?.unwrap_or(Include::DEFAULT);
    let asked = read(&call.body)?;
    // Another include is another answer, so under one key it is another request.
    let variant = include.canonical();
    let asked = RequestWithdrawalRequest { user_id: call.who.user_id, key, variant, ..asked };
    let made = call.upstream().request_withdrawal(&call.caller, asked).await?;
    let document = document(&call, include, &made)?;
    answered(&document, made.replayed)
}

fn read(body: &[u8]) -> Result<RequestWithdrawalRequest, Failure> {
    let mut attributes = Attributes::of_document(body)?;
    attributes.require("cash_apply_amount");
    let apply_minor = attributes.amount("cash_apply_amount");
    attributes.require("cash_type");
    let method = attributes.integer("cash_type");
    let mobile = attributes.mobile("cash_mobile");
    if method == Some(Some(MANUAL)) && attributes.is_blank("cash_mobile") {
        attributes.broken("cash_mobile", "is required for cash_type 0");
    }
    let remark = attributes.text("remark");
    attributes.checked()?;
    Ok(RequestWithdrawalRequest {
        apply_minor: apply_minor.unwrap_or_default(),
        method: method.flatten().unwrap_or(UNKNOWN),
        mobile: mobile.unwrap_or_default(),
        remark,
        ..Default::default()
    })
}

fn document(
    call: &Call,
    include: Include,
    made: &RequestWithdrawalResponse,
) -> Result<impl serde::Serialize + use<>, Failure> {
    let zone = &call.app.zone;
    let withdrawal = made.withdrawal.as_ref().ok_or_else(|| {
        tracing::error!("the withdraw service answered without a withdrawal");
        Failure::new(Reason::Internal, "internal error")
    })?;
    // Who has no profile is shown as none, as in lists.
    let person = made.applicant.as_ref().map(|p| applicant(withdrawal.user_id, p, zone));
    let (user, wechat) = person.map_or((None, None), |(user, wechat)| (Some(user), wechat));
    let balance = made.account.unwrap_or_default();
    let wallet = Included::Wallet(wallet(withdrawal.user_id, &balance));
    let parts = [
        include.user_wallet.then_some(wallet),
        user.filter(|_| include.user).map(Included::User),
        wechat.filter(|_| include.wechat).map(Included::Wechat),
    ];
    let mut resource = cash(withdrawal, call.who.user_id, zone);
    let [of_wallet, of_user, of_wechat] =
        parts.each_ref().map(|p| p.as_ref().map(Included::linkage));
    resource.relationships.user_wallet = of_wallet;
    resource.relationships.user = of_user;
    resource.relationships.wechat = of_wechat;
    Ok(Document::of(resource, parts.into_iter().flatten().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(attributes: &str) -> String {
        format!("{{\"data\":{{\"attritbutes\":{attributes}}}}}")
    }

    #[test]
    fn the_documented_request_is_read_in_both_spellings() -> anyhow::Result<()> {
        let attributes =
            r#"{"cash_apply_amount":100,"cash_type":0,"cash_mobile":"13800138000","id":9}"#;
        for body in [body(attributes), body(attributes).replace("attritbutes", "attributes")] {
            let read = read(body.as_bytes())?;
            assert_eq!((read.apply_minor, read.method, read.user_id), (10_000, 0, 0));
            assert_eq!((read.mobile.as_str(), read.remark.as_str()), ("13800138000", ""));
        }
        Ok(())
    }

    #[test]
    fn broken_fields_are_told_all_at_once() {
        let cases: &[(&str, &[&str])] = &[
            ("{}", &["cash_apply_amount", "cash_type"]),
            (r#"{"cash_apply_amount":0,"cash_type":1}"#, &["cash_apply_amount"]),
            (r#"{"cash_apply_amount":null,"cash_type":null}"#, &["cash_apply_amount", "cash_type"]),
            (r#"{"cash_apply_amount":[1],"cash_type":1}"#, &["cash_apply_amount"]),
            (r#"{"cash_apply_amount":1e2,"cash_type":1}"#, &["cash_apply_amount"]),
            (r#"{"cash_apply_amount":1.001,"cash_type":1}"#, &["cash_apply_amount"]),
            (r#"{"cash_apply_amount":"１","cash_type":1}"#, &["cash_apply_amount"]),
            (r#"{"cash_apply_amount":1,"cash_type":"1"}"#, &["cash_type"]),
            (r#"{"cash_apply_amount":1,"cash_type":1.0}"#, &["cash_type"]),
            (r#"{"cash_apply_amount":1,"cash_type":true}"#, &["cash_type"]),
            (r#"{"cash_apply_amount":1,"cash_type":0}"#, &["cash_mobile"]),
            (r#"{"cash_apply_amount":1,"cash_type":0,"cash_mobile":""}"#, &["cash_mobile"]),
            (
                r#"{"cash_apply_amount":1,"cash_type":0,"cash_mobile":"12800138000"}"#,
                &["cash_mobile"],
            ),
            (r#"{"cash_apply_amount":1,"cash_type":1,"cash_mobile":"x"}"#, &["cash_mobile"]),
            (
                r#"{"cash_apply_amount":1,"cash_type":0,"cash_mobile":13800138000}"#,
                &["cash_mobile"],
            ),
            (r#"{"cash_apply_amount":1,"cash_type":1,"remark":7}"#, &["remark"]),
            (r#"{"cash_apply_amount":1,"cash_type":1,"remark":"a\u0000"}"#, &["remark"]),
            (
                r#"{"cash_apply_amount":-1,"cash_type":"x","cash_mobile":1,"remark":[]}"#,
                &["cash_apply_amount", "cash_type", "cash_mobile", "remark"],
            ),
        ];
        for (attributes, fields) in cases {
            let failure = read(body(attributes).as_bytes()).err();
            let broken = failure.map(|f| f.fields).unwrap_or_default();
            let named: Vec<&str> = broken.iter().map(|v| v.field.as_str()).collect();
            assert_eq!(named, *fields, "{attributes}");
        }
        let long =
            format!(r#"{{"cash_apply_amount":1,"cash_type":1,"remark":"{}"}}"#, "余".repeat(256));
        assert!(read(body(&long).as_bytes()).is_err());
        assert!(read(body(&long.replacen('余', "", 1)).as_bytes()).is_ok());
    }

    #[test]
    fn both_spellings_together_are_refused_whatever_they_hold() {
        for (body, reason) in [
            (r#"{"data":{"attributes":{},"attritbutes":{}}}"#, Reason::InvalidArgument),
            (
                r#"{"data":{"attributes":null,"attritbutes":{"cash_apply_amount":1,"cash_type":1}}}"#,
                Reason::InvalidArgument,
            ),
            (
                r#"{"data":{"attributes":{"cash_apply_amount":1,"cash_type":1},"attritbutes":null}}"#,
                Reason::InvalidArgument,
            ),
            (r#"{"data":{"attributes":[]}}"#, Reason::MalformedRequest),
            (r#"{"data":{"attributes":{"cash_type":1,"cash_type":1}}}"#, Reason::MalformedRequest),
            (r#"[]"#, Reason::InvalidArgument),
        ] {
            assert_eq!(read(body.as_bytes()).map_err(|f| f.reason).err(), Some(reason), "{body}");
        }
    }

    #[test]
    fn a_type_that_nobody_documented_goes_to_the_service_as_a_number_of_none() -> anyhow::Result<()>
    {
        for (number, method) in
            [("7", 7), ("-3", -3), ("2147483648", -1), ("99999999999999999999", -1)]
        {
            let attributes = format!(r#"{{"cash_apply_amount":1,"cash_type":{number}}}"#);
            assert_eq!(read(body(&attributes).as_bytes())?.method, method, "{number}");
        }
        Ok(())
    }
}
