//! The ledger's side of the match: what left for this provider on the day against what was paid. What
//! happened a moment ago may still be on its way and is not judged. Pure.

use std::collections::{BTreeMap, HashSet};

use cashout_common::money::format_fixed;

use super::judge::{Facts, GRACE_US, Judged, MARGIN_US, add, ours};
use super::kind::Kind;
use crate::domain::withdrawal::hold_key;
use crate::store::billed::Known;
use crate::store::differences::Found;

/// Compares both ways.
pub(super) fn compare(facts: &Facts<'_>, known: &[&Known], judged: &mut Judged) {
    let old_enough = facts.now_us - GRACE_US;
    let paid = known.iter().filter(|one| one.state == "paid");
    for one in paid.filter(|one| facts.day.holds(one.paid_at_us) && one.paid_at_us < old_enough) {
        match facts.ledger.get(&hold_key(&one.cash_sn)) {
            None => judged.differences.push(not_settled(one)),
            Some(left) if left.amount_minor != one.amount_minor => {
                judged.differences.push(other_amount(one, left.amount_minor));
            }
            Some(_) => {}
        }
    }
    let told: HashSet<String> =
        known.iter().filter(|one| one.state == "paid").map(|one| hold_key(&one.cash_sn)).collect();
    let ledger: BTreeMap<_, _> = facts.ledger.iter().collect();
    for (key, payout) in ledger {
        let cash_out = facts.left.get(key);
        let ours = cash_out.is_none_or(|cash_out| cash_out.provider == facts.provider);
        if !ours || !facts.day.holds(payout.at_us) {
            continue;
        }
        add(&mut judged.settled, payout.amount_minor);
        let paid = told.contains(key) || cash_out.is_some_and(|c| !c.paid_number.is_empty());
        if !paid && payout.at_us < old_enough {
            let id = cash_out.map_or(0, |cash_out| cash_out.withdrawal_id);
            judged.differences.push(not_paid(key, id, payout.amount_minor));
        }
    }
}

/// How long before the day the ledger is asked about: what was paid on the day was settled after that.
pub(super) const fn since_us(from_us: i64) -> i64 {
    from_us - MARGIN_US
}

fn not_settled(one: &Known) -> Found {
    Found {
        number: one.number.clone(),
        kind: Kind::PaidNotSettled.name(),
        withdrawal_id: one.withdrawal_id,
        provider_number: String::new(),
        ours_minor: Some(one.amount_minor),
        theirs_minor: None,
        evidence: format!("{}; nothing left from its hold", ours(one)),
    }
}

fn other_amount(one: &Known, left_minor: i64) -> Found {
    let left = format_fixed(left_minor);
    Found {
        kind: Kind::LedgerAmountDiffers.name(),
        theirs_minor: Some(left_minor),
        evidence: format!("{}; {left} left from its hold", ours(one)),
        ..not_settled(one)
    }
}

fn not_paid(key: &str, withdrawal_id: i64, left_minor: i64) -> Found {
    let left = format_fixed(left_minor);
    let whose = if withdrawal_id == 0 {
        "no cash-out has this hold"
    } else {
        "no attempt of its cash-out is paid"
    };
    Found {
        number: key.to_owned(),
        kind: Kind::SettledNotPaid.name(),
        withdrawal_id,
        provider_number: String::new(),
        ours_minor: Some(left_minor),
        theirs_minor: None,
        evidence: format!("{left} left from the hold; {whose}"),
    }
}
