//! Broken rules of a service, under the names that document 3 has for its fields (docs/http.md
//! section 3). A name that is in no table stays inside: it would tell a client nothing.
//!
//! Must not know: rules; why a service refuses.

use cashout_proto::{Failure, FieldViolation, Reason};

/// The services' names of a method's fields, and the documented attributes they come from.
pub(super) type Fields = &'static [(&'static str, &'static str)];

/// `POST /api/wallet/cash`.
pub(super) const REQUEST: Fields = &[
    ("apply_minor", APPLY),
    ("method", "cash_type"),
    ("mobile", "cash_mobile"),
    ("remark", "remark"),
];

/// `POST /api/wallet/cash/review`.
pub(super) const REVIEW: Fields =
    &[("ids", "ids"), ("decision", "cash_status"), ("remark", "remark")];

/// `PATCH /api/wallet/user/{user_id}`.
pub(super) const CHANGE: Fields =
    &[("amount_minor", "operate_amount"), ("note", "operate_reason"), ("locked", "wallet_status")];

/// No field of the request is one of the client's.
pub(super) const NONE: Fields = &[];

const APPLY: &str = "cash_apply_amount";
/// What is told of a field without a documented name.
const PLAIN: &str = "a part of the request is not valid";

/// The refusal as a client may see it. Unknown names are a defect of ours, which should have
/// refused before it asked: the log has them.
pub(super) fn documented(method: &str, mut failure: Failure, fields: Fields) -> Failure {
    let amount = fields.iter().any(|(_, attribute)| *attribute == APPLY);
    if failure.reason == Reason::AmountLimit && failure.fields.is_empty() && amount {
        let rule = failure.message.clone();
        failure.fields.push(FieldViolation { field: APPLY.to_owned(), rule });
        return failure;
    }
    if failure.fields.is_empty() {
        return failure;
    }
    let mut told: Vec<FieldViolation> = Vec::new();
    for FieldViolation { field, rule } in std::mem::take(&mut failure.fields) {
        let known = fields.iter().find(|(internal, _)| *internal == field);
        let violation = match known {
            Some((_, attribute)) => FieldViolation { field: (*attribute).to_owned(), rule },
            None => {
                tracing::warn!(method, field, rule, "a service refused a field of ours");
                FieldViolation { field: String::new(), rule: PLAIN.to_owned() }
            }
        };
        if !told.contains(&violation) {
            told.push(violation);
        }
    }
    if failure.reason == Reason::InvalidArgument {
        // The service's own message repeats its names.
        let one = |v: &FieldViolation| {
            if v.field.is_empty() { v.rule.clone() } else { format!("{}: {}", v.field, v.rule) }
        };
        failure.message = told.iter().map(one).collect::<Vec<_>>().join("; ");
    }
    failure.fields = told;
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(field: &str, rule: &str) -> FieldViolation {
        FieldViolation { field: field.to_owned(), rule: rule.to_owned() }
    }

    #[test]
    fn documented_names_replace_the_services_and_others_are_left_out() {
        let sent = Failure::fields(vec![
            broken("apply_minor", "must be more than 0"),
            broken("user_id", "must be an id"),
            broken("variant", "must be at most 255 characters"),
        ]);
        let told = documented("m", sent.clone(), REQUEST);
        assert_eq!(told.message, format!("{APPLY}: must be more than 0; {PLAIN}"));
        assert_eq!(told.fields, [broken(APPLY, "must be more than 0"), broken("", PLAIN)]);
        let told = documented("m", sent, NONE);
        assert_eq!((told.message.as_str(), told.fields), (PLAIN, vec![broken("", PLAIN)]));
    }

    #[test]
    fn a_limit_of_the_amount_belongs_to_the_amount_and_keeps_its_words() {
        let words = "must be 0.01 to 5000.00";
        let bare = Failure::new(Reason::AmountLimit, words);
        let with = Failure { fields: vec![broken("apply_minor", words)], ..bare.clone() };
        for sent in [bare.clone(), with] {
            let told = documented("m", sent, REQUEST);
            assert_eq!((told.message.as_str(), told.fields), (words, vec![broken(APPLY, words)]));
        }
        assert_eq!(documented("m", bare.clone(), NONE), bare);
    }

    #[test]
    fn a_refusal_without_fields_passes_as_it_is() {
        for reason in Reason::ALL {
            let sent = Failure::new(*reason, "what to change");
            assert_eq!(documented("m", sent.clone(), CHANGE), sent);
        }
    }
}
