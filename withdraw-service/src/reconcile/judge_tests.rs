//! Each kind of difference and each reason why there is none, on facts made by hand.

use std::collections::{BTreeSet, HashMap};

use rails::bill::{Bill, Direction, Kind as LineKind, Line};

use super::super::LedgerPayout;
use super::super::day::Day;
use super::*;
use crate::domain::withdrawal::hold_key;

/// 2020-03-03 in China, and noon of it.
const DAY: Day = Day { from_us: 1_583_164_800_000_000 };
const NOON_US: i64 = DAY.from_us + 12 * HOUR_US;
const HOUR_US: i64 = 3_600_000_000;

/// One of our numbers, sent and paid at noon, and settled.
fn one(number: &str, state: &str, amount_minor: i64) -> Known {
    Known {
        number: number.to_owned(),
        withdrawal_id: i64::from(number.as_bytes()[1]),
        provider: "wechat".to_owned(),
        amount_minor,
        state: state.to_owned(),
        created_at_us: NOON_US,
        cash_sn: number.to_owned(),
        status: Status::Paid.number(),
        paid_at_us: if state == "paid" { NOON_US } else { 0 },
    }
}

fn line(number: &str, direction: Direction, amount_minor: i64) -> Line {
    let kind = if direction == Direction::Out { LineKind::Payout } else { LineKind::Return };
    Line {
        row: 2,
        number: number.to_owned(),
        provider_number: format!("P{number}"),
        flow_number: format!("F{number}{amount_minor}"),
        business: "转账".to_owned(),
        kind,
        direction,
        amount_minor,
        at_us: NOON_US,
    }
}

fn out(number: &str, amount_minor: i64) -> Line {
    line(number, Direction::Out, amount_minor)
}

fn back(number: &str, amount_minor: i64) -> Line {
    line(number, Direction::In, amount_minor)
}

fn bill(lines: Vec<Line>) -> Bill {
    Bill { lines, ..Bill::default() }
}

fn settled(known: &[Known]) -> HashMap<String, LedgerPayout> {
    let paid = known.iter().filter(|one| one.state == "paid");
    let payout = |one: &Known| LedgerPayout {
        hold_key: hold_key(&one.cash_sn),
        amount_minor: one.amount_minor,
        at_us: one.paid_at_us,
    };
    paid.map(|one| (hold_key(&one.cash_sn), payout(one))).collect()
}

fn facts<'a>(bill: &'a Bill, known: &[Known]) -> Facts<'a> {
    Facts {
        provider: "wechat",
        day: DAY,
        now_us: DAY.until_us() + 9 * HOUR_US,
        bill,
        known: known.iter().map(|one| (one.number.clone(), one.clone())).collect(),
        elsewhere: Vec::new(),
        days: BTreeSet::new(),
        ledger: settled(known),
        left: HashMap::new(),
    }
}

/// What was found, as `kind number`.
fn kinds(judged: &Judged) -> Vec<String> {
    let mut all: Vec<String> =
        judged.differences.iter().map(|found| format!("{} {}", found.kind, found.number)).collect();
    all.sort();
    all
}

fn on(billed_day: Day, number: &str, out_minor: i64, in_minor: i64) -> Billed {
    Billed {
        bill_day: billed_day.name(),
        number: number.to_owned(),
        withdrawal_id: i64::from(number.as_bytes()[1]),
        out_count: i64::from(out_minor > 0),
        out_minor,
        in_minor,
    }
}

#[test]
fn every_state_of_an_attempt_against_what_the_bill_says_of_it() {
    let cases: &[(&str, &[Line], &[&str])] = &[
        ("paid", &[out("T1", 400)], &[]),
        ("paid", &[out("T1", 400), out("T1", 400), back("T1", 400)], &[]),
        ("paid", &[], &["paid_not_in_bill T1"]),
        ("paid", &[out("T1", 401)], &["amount_differs T1"]),
        ("paid", &[out("T1", 399)], &["amount_differs T1"]),
        ("paid", &[out("T1", 400), out("T1", 400)], &["paid_twice T1"]),
        ("paid", &[out("T1", 400), back("T1", 400)], &["returned T1"]),
        ("paid", &[out("T1", 400), back("T1", 1)], &["returned T1"]),
        ("paid", &[back("T1", 400)], &["returned T1"]),
        ("failed", &[], &[]),
        ("failed", &[out("T1", 400)], &["in_bill_not_paid T1"]),
        ("failed", &[out("T1", 400), back("T1", 400)], &[]),
        ("failed", &[out("T1", 400), back("T1", 399)], &["in_bill_not_paid T1"]),
        ("failed", &[back("T1", 400)], &[]),
        ("live", &[], &[]),
        ("live", &[out("T1", 400)], &["in_bill_not_paid T1"]),
        ("live", &[out("T1", 400), out("T1", 400)], &["in_bill_not_paid T1", "paid_twice T1"]),
        ("paid", &[out("T1", 400), out("X9", 5)], &["in_bill_not_ours X9"]),
        ("paid", &[out("T1", 400), back("X9", 5)], &["in_bill_not_ours X9"]),
        ("paid", &[out("T1", 400), out("", 5)], &["in_bill_not_ours flow:F5"]),
    ];
    for (state, lines, expected) in cases {
        let bill = bill(lines.to_vec());
        let known = [one("T1", state, 400)];
        let judged = judge(&facts(&bill, &known));
        assert_eq!(kinds(&judged), *expected, "{state} {lines:?}");
        let matched = u64::from(*state == "paid" && expected.iter().all(|e| !e.contains("T1")));
        assert_eq!(judged.matched.count, matched, "{state} {lines:?}");
    }
}

#[test]
fn fees_and_what_is_no_payout_are_listed_and_no_cases() {
    let mut fee = out("T1", 10);
    fee.kind = LineKind::Fee;
    let mut sale = back("S1", 900);
    sale.kind = LineKind::Other;
    let mut top_up = back("", 5_000);
    top_up.kind = LineKind::TopUp;
    let bill = bill(vec![out("T1", 400), fee, sale, top_up]);
    let judged = judge(&facts(&bill, &[one("T1", "paid", 400)]));
    assert_eq!(kinds(&judged), Vec::<String>::new());
    let sums: Vec<i64> = judged.listed.values().map(|total| total.amount_minor).collect();
    assert_eq!(sums, [10, 5_000, 900]);
}

#[test]
fn a_number_of_another_provider_is_not_ours_here() {
    let mut other = one("T1", "paid", 400);
    other.provider = "alipay".to_owned();
    let bill = bill(vec![out("T1", 400)]);
    let mut facts = facts(&bill, &[other]);
    facts.ledger.clear();
    let judged = judge(&facts);
    assert_eq!(kinds(&judged), ["in_bill_not_ours T1"]);
    assert!(judged.differences[0].evidence.contains("alipay"));
}

#[test]
fn near_midnight_the_neighbouring_bill_may_have_it() {
    let yesterday = Day { from_us: DAY.from_us - 24 * HOUR_US };
    let none = bill(Vec::new());
    for (created_us, paid_us, read, elsewhere, expected) in [
        // Minutes from midnight: the other day's bill decides, once it was read.
        (DAY.from_us + 1, DAY.from_us + 2, None, None, (0, 1)),
        (DAY.from_us + 1, DAY.from_us + 2, Some(yesterday), None, (1, 0)),
        (DAY.from_us + 1, DAY.from_us + 2, Some(yesterday), Some(yesterday), (0, 0)),
        (DAY.from_us + 1, DAY.from_us + 2, None, Some(yesterday), (0, 0)),
        (DAY.until_us() - 2, DAY.until_us() - 1, None, None, (0, 1)),
        (DAY.until_us() - 2, DAY.until_us() - 1, Some(DAY.next()), None, (1, 0)),
        // Sent the day before and confirmed by the payee today.
        (yesterday.from_us + HOUR_US, NOON_US, None, None, (0, 1)),
        (yesterday.from_us + HOUR_US, NOON_US, Some(yesterday), None, (1, 0)),
        // Far enough from both midnights.
        (DAY.from_us + MARGIN_US, DAY.from_us + MARGIN_US, None, None, (1, 0)),
        (NOON_US, NOON_US, None, None, (1, 0)),
    ] {
        let mut known = one("T1", "paid", 400);
        (known.created_at_us, known.paid_at_us) = (created_us, paid_us);
        let mut facts = facts(&none, std::slice::from_ref(&known));
        facts.days.extend(read);
        facts.elsewhere.extend(elsewhere.map(|day| on(day, "T1", 400, 0)));
        let judged = judge(&facts);
        let told = (judged.differences.len(), judged.not_yet_due.count);
        assert_eq!(told, expected, "{created_us} {paid_us} {read:?} {elsewhere:?}");
    }
}

#[test]
fn other_days_bills_count_with_this_one() {
    let before = Day { from_us: DAY.from_us - 24 * HOUR_US };
    for (state, here, elsewhere, expected) in [
        ("paid", out("T1", 400), on(before, "T1", 400, 0), vec!["paid_twice T1"]),
        ("paid", back("T1", 400), on(before, "T1", 400, 0), vec!["returned T1"]),
        ("failed", back("T1", 400), on(before, "T1", 400, 0), vec![]),
        ("failed", out("T1", 400), on(DAY.next(), "T1", 0, 400), vec![]),
        ("paid", out("T1", 200), on(before, "T1", 200, 0), vec![]),
    ] {
        let bill = bill(vec![here]);
        let known = [one("T1", state, 400)];
        let mut facts = facts(&bill, &known);
        facts.elsewhere.push(elsewhere);
        assert_eq!(kinds(&judge(&facts)), expected, "{state}");
    }
}

#[test]
fn two_numbers_of_one_cash_out_that_both_kept_money_are_paid_twice() {
    let (mut first, mut second) = (one("T1", "failed", 400), one("T2", "paid", 400));
    (first.withdrawal_id, second.withdrawal_id) = (1, 1);
    second.created_at_us += 1;
    let known = [first, second];
    let both = bill(vec![out("T1", 400), out("T2", 400)]);
    let told = judge(&facts(&both, &known));
    assert_eq!(kinds(&told), ["in_bill_not_paid T1", "paid_twice T2"]);
    let twice = told.differences.iter().find(|found| found.kind == "paid_twice");
    assert_eq!(twice.and_then(|found| found.theirs_minor), Some(800));
    let returned = bill(vec![out("T1", 400), back("T1", 400), out("T2", 400)]);
    assert_eq!(kinds(&judge(&facts(&returned, &known))), Vec::<String>::new());
    // The first number's money went out another day, and it is in no list of today.
    let later = bill(vec![out("T2", 400)]);
    let mut facts = facts(&later, &known[1..]);
    facts.elsewhere.push(Billed { withdrawal_id: 1, ..on(DAY, "T1", 400, 0) });
    assert_eq!(kinds(&judge(&facts)), ["paid_twice T2"]);
}

#[test]
fn the_ledger_must_have_let_leave_what_was_paid_and_nothing_else() {
    let bill = bill(vec![out("T1", 400)]);
    let known = [one("T1", "paid", 400)];
    let left = |key: &str, amount_minor, at_us| {
        (key.to_owned(), LedgerPayout { hold_key: key.to_owned(), amount_minor, at_us })
    };
    let cash_out = |key: &str, provider: &str, paid: &str| {
        let left = Left {
            cash_sn: key.trim_start_matches("cash:").to_owned(),
            withdrawal_id: 5,
            provider: provider.to_owned(),
            paid_number: paid.to_owned(),
            paid_minor: 0,
        };
        (key.to_owned(), left)
    };
    let late = DAY.until_us() + 9 * HOUR_US;
    let cases = [
        (vec![left("cash:T1", 400, NOON_US)], vec![], late, vec![]),
        (vec![left("cash:T1", 400, late)], vec![], late, vec![]),
        (vec![], vec![], late, vec!["paid_not_settled T1"]),
        (vec![], vec![], NOON_US + GRACE_US, vec![]),
        (vec![left("cash:T1", 399, NOON_US)], vec![], late, vec!["ledger_amount_differs T1"]),
        (
            vec![left("cash:T1", 400, NOON_US), left("cash:T5", 7, NOON_US)],
            vec![],
            late,
            vec!["settled_not_paid cash:T5"],
        ),
        (
            vec![left("cash:T1", 400, NOON_US), left("cash:T5", 7, NOON_US)],
            vec![cash_out("cash:T5", "wechat", "")],
            late,
            vec!["settled_not_paid cash:T5"],
        ),
        (
            vec![left("cash:T1", 400, NOON_US), left("cash:T5", 7, NOON_US)],
            vec![cash_out("cash:T5", "wechat", "T5")],
            late,
            vec![],
        ),
        (
            vec![left("cash:T1", 400, NOON_US), left("cash:T5", 7, NOON_US)],
            vec![cash_out("cash:T5", "sandbox", "")],
            late,
            vec![],
        ),
        (vec![left("cash:T1", 400, NOON_US), left("cash:T5", 7, late)], vec![], late, vec![]),
    ];
    for (ledger, left, now_us, expected) in cases {
        let mut facts = facts(&bill, &known);
        facts.ledger = ledger.into_iter().collect();
        facts.left = left.into_iter().collect();
        facts.now_us = now_us;
        let told = judge(&facts);
        assert_eq!(kinds(&told), expected, "{:?} {:?}", facts.ledger, facts.left);
    }
}
