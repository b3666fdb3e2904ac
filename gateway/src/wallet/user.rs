//! `/api/wallet/user/{user_id}`: a wallet, and an operator's change of it.

use axum::response::Response;
use cashout_common::number::{digest, hex};
use cashout_proto::account::v1::{AdjustAccountRequest, GetAccountRequest};
use cashout_proto::{Failure, Reason};

use super::answered;
use super::attributes::Attributes;
use super::document::{Document, balance, wallet};
use super::include::{Include, Related};
use crate::http::{Call, Refusal};
use crate::identity::Permission;
use crate::json::Literal;
use crate::upstream::account_of;

/// The wallet: one's own, or anybody's with `wallet.viewList`.
pub(super) async fn show(call: Call) -> Result<Response, Refusal> {
    let user_id = call.path_id(Reason::AccountNotFound)?;
    let own = user_id == call.who.user_id;
    if !own && !call.who.may(Permission::WalletViewList) {
        return Err(missing().into());
    }
    let include = Include::read(&call.query)?.unwrap_or_default();
    let asked = GetAccountRequest { account: Some(account_of(user_id)), ..Default::default() };
    let account = match call.upstream().get_account(&call.caller, asked).await {
        Ok(found) => found.account.unwrap_or_default(),
        // Everybody has a wallet of their own; before the first movement it is empty.
        Err(failure) if failure.reason == Reason::AccountNotFound && own => Default::default(),
        Err(failure) if failure.reason == Reason::AccountNotFound => return Err(missing().into()),
        Err(failure) => return Err(failure.into()),
    };
    let mut resource = wallet(user_id, &balance(&account));
    resource.attributes.cash_tax_ratio = Some(Literal(call.app.fee_rate.clone()));
    // The wallet is the resource itself here.
    let include = Include { user_wallet: false, ..include };
    let related = Related::of(&call, include, std::iter::once(user_id)).await?;
    resource.relationships = related.relationships(user_id);
    answered(&Document::of(resource, related.included()), false)
}

/// An operator adds or takes money, or locks the wallet.
pub(super) async fn update(call: Call) -> Result<Response, Refusal> {
    call.require(Permission::WalletUpdate)?;
    let user_id = call.path_id(Reason::AccountNotFound)?;
    let asked = AdjustAccountRequest {
        key: key(&call)?,
        account: Some(account_of(user_id)),
        ..read(&call.body)?
    };
    let done = call.upstream().adjust_account(&call.caller, asked).await.map_err(|failure| {
        if failure.reason == Reason::AccountNotFound { missing() } else { failure }
    })?;
    let account = done.account.unwrap_or_default();
    answered(&Document::of(wallet(user_id, &balance(&account)), Vec::new()), done.replayed)
}

fn missing() -> Failure {
    Failure::new(Reason::AccountNotFound, "there is no such object")
}

/// The ledger's key for this change. The caller's key is scoped to the caller, and hashed because the
/// ledger's keys are shorter; without one the request is one of its own.
fn key(call: &Call) -> Result<String, Failure> {
    let given = call.idempotency_key()?;
    let actor = call.who.user_id;
    Ok(if given.is_empty() {
        format!("patch:{actor}::{}", hex(&call.app.world.random.bytes::<16>()))
    } else {
        format!("patch:{actor}:{}", hex(&digest(&[given.as_bytes()])))
    })
}

fn read(body: &[u8]) -> Result<AdjustAccountRequest, Failure> {
    let mut attributes = Attributes::of_object(body)?;
    let moves =
        attributes.get("operate_type").is_some() || attributes.get("operate_amount").is_some();
    if moves {
        attributes.require("operate_type");
        attributes.require("operate_amount");
    } else if attributes.get("wallet_status").is_none() {
        attributes.broken("operate_type", "is required unless wallet_status is given");
    }
    let operate_type = attributes.integer("operate_type");
    let amount = attributes.amount("operate_amount").unwrap_or_default();
    let reason = attributes.text("operate_reason");
    let status = attributes.integer("wallet_status");
    let locked = match status {
        None => None,
        Some(Some(0)) => Some(false),
        Some(Some(1)) => Some(true),
        Some(_) => {
            attributes.broken("wallet_status", "must be 0 or 1");
            None
        }
    };
    attributes.checked()?;
    let (amount_minor, default) = match operate_type {
        None => (0, ""),
        Some(Some(1)) => (amount, "人工收入"),
        Some(Some(2)) => (-amount, "人工支出"),
        Some(_) => {
            let rule = "operate_type must be 1 or 2";
            return Err(Failure::new(Reason::OperationUnknown, rule));
        }
    };
    let note = if reason.is_empty() { default.to_owned() } else { reason };
    Ok(AdjustAccountRequest { key: String::new(), account: None, amount_minor, note, locked })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_read_with_their_sign_and_default_reason() -> anyhow::Result<()> {
        for (body, amount_minor, note, locked) in [
            (r#"{"operate_type":1,"operate_amount":"1.50"}"#, 150, "人工收入", None),
            (r#"{"operate_type":2,"operate_amount":0.01}"#, -1, "人工支出", None),
            (
                r#"{"operate_type":2,"operate_amount":1,"operate_reason":"x","wallet_status":1}"#,
                -100,
                "x",
                Some(true),
            ),
            (r#"{"wallet_status":0}"#, 0, "", Some(false)),
        ] {
            let read = read(body.as_bytes())?;
            assert_eq!(
                (read.amount_minor, read.note.as_str(), read.locked),
                (amount_minor, note, locked)
            );
        }
        Ok(())
    }

    #[test]
    fn what_is_no_change_is_refused() {
        for (body, reason) in [
            ("{}", Reason::InvalidArgument),
            (r#"{"operate_type":1}"#, Reason::InvalidArgument),
            (r#"{"operate_amount":1}"#, Reason::InvalidArgument),
            (r#"{"operate_type":1,"operate_amount":0}"#, Reason::InvalidArgument),
            (r#"{"operate_type":1,"operate_amount":-1}"#, Reason::InvalidArgument),
            (r#"{"operate_type":"1","operate_amount":1}"#, Reason::InvalidArgument),
            (r#"{"operate_type":3,"operate_amount":1}"#, Reason::OperationUnknown),
            (r#"{"wallet_status":2}"#, Reason::InvalidArgument),
            (r#"{"wallet_status":true}"#, Reason::InvalidArgument),
            (r#"{"wallet_status":1,"wallet_status":0}"#, Reason::MalformedRequest),
        ] {
            assert_eq!(read(body.as_bytes()).map_err(|f| f.reason).err(), Some(reason), "{body}");
        }
    }
}
