//! The one table of failures: every reason, its gRPC code, its HTTP status and what each documented
//! family of JSON endpoints calls it (docs/http.md sections 1 to 3).
//!
//! Exhaustive by construction: a new reason does not compile until it has a row.

use tonic::Code;

/// What document 3 calls a failure (`errors[0].code`).
pub type WalletCode = &'static str;

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The stable name, carried as `ErrorInfo.reason`.
    pub name: &'static str,
    /// gRPC status code.
    pub grpc: Code,
    /// HTTP status where the family tells the truth by status (document 3).
    pub http: u16,
    /// `code` of document 1; note the inversion: 401 permission denied, 403 login required.
    pub settlement: i32,
    /// `code` of document 2.
    pub capital: i32,
    /// `code` of document 3.
    pub wallet: WalletCode,
    /// Whether the same request may succeed later without being changed.
    pub retry: bool,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $grpc:ident, $http:literal, $sett:literal, $capital:literal, $wallet:literal, $retry:literal;)*) => {
        /// Why a request was not carried out. Names are stable: clients and dashboards may rely on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $variant,)* }

        impl Reason {
            /// Every reason, in table order.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The row of this reason.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $(Reason::$variant => Row {
                        name: $name, grpc: Code::$grpc, http: $http, settlement: $sett,
                        capital: $capital, wallet: $wallet, retry: $retry,
                    },)*
                }
            }

            /// The reason of that name, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Reason> {
                match name { $($name => Some(Reason::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    // variant = name, gRPC code, HTTP, document 1, document 2, document 3, may be retried as it is
    /// A field is missing or malformed.
    InvalidArgument = "INVALID_ARGUMENT", InvalidArgument, 422, 4, -1, "validation_error", false;
    /// The body is not what it claims to be (broken JSON, duplicate keys, unknown include).
    MalformedRequest = "MALFORMED_REQUEST", InvalidArgument, 400, 4, -1, "malformed_request", false;
    /// Nobody is logged in, or the token is not valid.
    NotAuthenticated = "NOT_AUTHENTICATED", Unauthenticated, 401, 403, 99, "not_authenticated", false;
    /// The call needs a person in its metadata.
    ActorRequired = "ACTOR_REQUIRED", Unauthenticated, 401, 403, 99, "not_authenticated", false;
    /// Logged in, but without the right to do this.
    PermissionDenied = "PERMISSION_DENIED", PermissionDenied, 403, 401, -1, "permission_denied", false;
    /// No such route.
    RouteNotFound = "ROUTE_NOT_FOUND", Unimplemented, 404, 404, -1, "route_not_found", false;
    /// The route exists, not with this method.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", Unimplemented, 405, 405, -1, "method_not_allowed", false;
    /// The body is over the limit.
    BodyTooLarge = "BODY_TOO_LARGE", ResourceExhausted, 413, 413, -1, "body_too_large", false;
    /// No such account.
    AccountNotFound = "ACCOUNT_NOT_FOUND", NotFound, 404, 404, -1, "model_not_found", false;
    /// No such person.
    HolderNotFound = "HOLDER_NOT_FOUND", NotFound, 404, 404, -1, "model_not_found", false;
    /// No such entry, or not the caller's.
    EntryNotFound = "ENTRY_NOT_FOUND", NotFound, 404, 404, -1, "model_not_found", false;
    /// No such hold.
    HoldNotFound = "HOLD_NOT_FOUND", NotFound, 404, 404, -1, "model_not_found", false;
    /// No such withdrawal, or not the caller's.
    WithdrawalNotFound = "WITHDRAWAL_NOT_FOUND", NotFound, 404, 404, -1, "model_not_found", false;
    /// No such case.
    CaseNotFound = "CASE_NOT_FOUND", NotFound, 404, 404, -1, "model_not_found", false;
    /// The key was used before with another request.
    IdempotencyConflict = "IDEMPOTENCY_CONFLICT", AlreadyExists, 409, 409, -1, "idempotency_conflict", false;
    /// Available is less than the amount.
    InsufficientFunds = "INSUFFICIENT_FUNDS", FailedPrecondition, 422, 4, -1, "available_amount_error", false;
    /// The account is locked for cash-outs.
    AccountLocked = "ACCOUNT_LOCKED", FailedPrecondition, 422, 4, -1, "status_cash_freeze", false;
    /// A balance or total would leave the range of exact JSON numbers.
    BalanceOverflow = "BALANCE_OVERFLOW", FailedPrecondition, 422, 4, -1, "validation_error", false;
    /// The kind does not fit the direction of the movement.
    KindMismatch = "KIND_MISMATCH", InvalidArgument, 422, 4, -1, "operate_type_error", false;
    /// The two sides are in different currencies.
    CurrencyMismatch = "CURRENCY_MISMATCH", FailedPrecondition, 422, 4, -1, "validation_error", false;
    /// The balance is already below the new overdraft limit.
    OverdraftInUse = "OVERDRAFT_IN_USE", FailedPrecondition, 422, 4, -1, "available_amount_error", false;
    /// The hold has left already.
    HoldAlreadySettled = "HOLD_ALREADY_SETTLED", FailedPrecondition, 409, 409, -1, "operate_forbidden", false;
    /// The hold has returned already.
    HoldAlreadyReleased = "HOLD_ALREADY_RELEASED", FailedPrecondition, 409, 409, -1, "operate_forbidden", false;
    /// The parts of a settlement are more than the hold.
    HoldAmountExceeded = "HOLD_AMOUNT_EXCEEDED", FailedPrecondition, 422, 4, -1, "operate_forbidden", false;
    /// Another item of an all-or-nothing batch was refused.
    BatchAborted = "BATCH_ABORTED", Aborted, 409, 409, -1, "operate_forbidden", false;
    /// The cash-out method is none of the documented ones.
    MethodUnknown = "METHOD_UNKNOWN", InvalidArgument, 422, 4, -1, "cash_type_error", false;
    /// The method is switched off.
    ChannelDisabled = "CHANNEL_DISABLED", FailedPrecondition, 422, 4, -1, "cash_mch_invalid", false;
    /// No WeChat is bound.
    WechatNotBound = "WECHAT_NOT_BOUND", FailedPrecondition, 422, 4, -1, "unbind_wechat", false;
    /// No Alipay is bound.
    AlipayNotBound = "ALIPAY_NOT_BOUND", FailedPrecondition, 422, 4, -1, "unbind_alipay", false;
    /// Too soon after the person's last request.
    IntervalLimit = "INTERVAL_LIMIT", FailedPrecondition, 422, 4, -1, "cash_interval_time", false;
    /// Over the sum a person may request per local day.
    DailyLimit = "DAILY_LIMIT", FailedPrecondition, 422, 4, -1, "cash_sum_limit", false;
    /// Below the minimum, above the maximum, or nothing left after the fee.
    AmountLimit = "AMOUNT_LIMIT", InvalidArgument, 422, 4, -1, "validation_error", false;
    /// The status table does not allow this now.
    IllegalTransition = "ILLEGAL_TRANSITION", FailedPrecondition, 422, 4, -1, "operate_forbidden", false;
    /// The operation does not fit the method of this withdrawal.
    MethodMismatch = "METHOD_MISMATCH", FailedPrecondition, 422, 4, -1, "operate_forbidden", false;
    /// A reviewer cannot decide on their own request.
    SelfReview = "SELF_REVIEW", PermissionDenied, 403, 401, -1, "operate_forbidden", false;
    /// This person has approved it already; another one is needed.
    AlreadyReviewed = "ALREADY_REVIEWED", FailedPrecondition, 422, 4, -1, "operate_forbidden", false;
    /// What the reviewer saw is no longer what would be paid.
    ReviewedContentChanged = "REVIEWED_CONTENT_CHANGED", FailedPrecondition, 409, 409, -1, "operate_forbidden", false;
    /// The case was decided already.
    CaseAlreadyResolved = "CASE_ALREADY_RESOLVED", FailedPrecondition, 409, 409, -1, "operate_forbidden", false;
    /// An operation type the documents do not name.
    OperationUnknown = "OPERATION_UNKNOWN", InvalidArgument, 422, 4, -1, "operate_type_error", false;
    /// Over capacity: nothing was done, come back later.
    Overloaded = "OVERLOADED", ResourceExhausted, 429, 429, -1, "too_many_requests", true;
    /// A part of the system does not answer; what was asked may or may not have happened.
    Unavailable = "UNAVAILABLE", Unavailable, 503, 503, -1, "unavailable", true;
    /// The caller's deadline passed; what was asked may or may not have happened.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded, 503, 503, -1, "unavailable", true;
    /// A defect of ours. The operator's log has the story.
    Internal = "INTERNAL", Internal, 500, 500, -1, "internal_error", false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.row().name), Some(*reason));
        }
    }

    #[test]
    fn login_and_permission_are_inverted_in_document_1_only() {
        assert_eq!(Reason::NotAuthenticated.row().settlement, 403);
        assert_eq!(Reason::PermissionDenied.row().settlement, 401);
        assert_eq!(Reason::NotAuthenticated.row().http, 401);
        assert_eq!(Reason::PermissionDenied.row().http, 403);
    }
}
