//! The three-way match of one day: what the bill says of our numbers, what we say of them, and what the
//! ledger let leave. Pure: it reads nothing and moves nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cashout_common::money::format_fixed;
use rails::bill::{Bill, Direction, Kind as LineKind, Line, Total};

use super::LedgerPayout;
use super::day::Day;
use super::kind::Kind;
use super::settled;
use crate::domain::status::Status;
use crate::store::billed::{Billed, Known, Left};
use crate::store::differences::Found;

/// How far the provider's clock and ours may be apart, and how long a booking may take.
pub const MARGIN_US: i64 = 5 * 60 * 1_000_000;
/// What happened less than this ago may still be on its way from one side to the other.
pub const GRACE_US: i64 = 10 * 60 * 1_000_000;

/// All that is known, read before it is judged.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Whose bill.
    pub provider: &'static str,
    /// Of which day.
    pub day: Day,
    /// When it is judged.
    pub now_us: i64,
    /// The bill.
    pub bill: &'a Bill,
    /// Our numbers: those in the bill, and those that were paid near the day.
    pub known: HashMap<String, Known>,
    /// What bills of other days say of numbers of the same cash-outs.
    pub elsewhere: Vec<Billed>,
    /// The days whose bill was compared before.
    pub days: BTreeSet<Day>,
    /// What left for this provider since before the day, by the hold it left from.
    pub ledger: HashMap<String, LedgerPayout>,
    /// The cash-outs it left for, by hold.
    pub left: HashMap<String, Left>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Judged {
    /// What does not agree, each kind of a number once.
    pub differences: Vec<Found>,
    /// What the bill says of our numbers, to be kept.
    pub billed: Vec<Billed>,
    /// Paid, and in a bill with the same amount.
    pub matched: Total,
    /// Paid near midnight, and the neighbouring day's bill is still to come.
    pub not_yet_due: Total,
    /// Lines that are nobody's payout, by what they are: not cases.
    pub listed: BTreeMap<(LineKind, Direction, String), Total>,
    /// What the ledger let leave on the day.
    pub settled: Total,
}

/// Money under one number over all bills that were read.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    out_count: i64,
    out_minor: i64,
    in_minor: i64,
}

impl Flow {
    fn add(&mut self, other: &Self) {
        self.out_count += other.out_count;
        self.out_minor = self.out_minor.saturating_add(other.out_minor);
        self.in_minor = self.in_minor.saturating_add(other.in_minor);
    }

    fn book(&mut self, line: &Line) {
        match line.direction {
            Direction::Out => {
                self.out_count += 1;
                self.out_minor = self.out_minor.saturating_add(line.amount_minor);
            }
            Direction::In => self.in_minor = self.in_minor.saturating_add(line.amount_minor),
        }
    }

    const fn net(&self) -> i64 {
        self.out_minor.saturating_sub(self.in_minor)
    }
}

/// What bills say of one of our numbers.
#[derive(Debug, Default)]
struct Seen<'a> {
    withdrawal_id: i64,
    /// Its first line in this bill, when it is in this one.
    line: Option<&'a Line>,
    here: Flow,
    /// In all bills.
    all: Flow,
}

/// The match of one day.
#[must_use]
pub fn judge(facts: &Facts<'_>) -> Judged {
    let mut judged = Judged::default();
    let mut seen = read_lines(facts, &mut judged);
    for billed in &facts.elsewhere {
        let Billed { withdrawal_id, out_count, out_minor, in_minor, .. } = *billed;
        let place = seen.entry(&billed.number).or_default();
        place.withdrawal_id = withdrawal_id;
        place.all.add(&Flow { out_count, out_minor, in_minor });
    }
    let mut known: Vec<&Known> = facts.known.values().collect();
    known.sort_by(|a, b| a.number.cmp(&b.number));
    known.retain(|one| one.provider == facts.provider);
    for one in &known {
        match seen.get(one.number.as_str()) {
            Some(Seen { line: Some(line), here, all, .. }) => {
                judged.billed.push(billed(one, here, facts.day));
                compare(one, all, line, &mut judged);
            }
            // Another day's bill has it, and that day judged it.
            Some(_) => {}
            None if one.state == "paid" => missing(facts, one, &mut judged),
            None => {}
        }
    }
    twice_over(facts, &seen, &mut judged);
    settled::compare(facts, &known, &mut judged);
    judged
}

/// Sorts the lines: those of our numbers together, those of nobody as differences, the rest as listed.
fn read_lines<'a>(facts: &Facts<'a>, judged: &mut Judged) -> BTreeMap<&'a str, Seen<'a>> {
    let mut ours: BTreeMap<&str, Seen<'_>> = BTreeMap::new();
    let mut foreign: BTreeMap<String, (&Line, Flow)> = BTreeMap::new();
    for line in &facts.bill.lines {
        let known = facts.known.get(&line.number);
        match (line.kind, known.filter(|known| known.provider == facts.provider)) {
            (LineKind::Fee, _) => list(line, judged),
            (_, Some(known)) => {
                let place = ours.entry(&line.number).or_default();
                place.withdrawal_id = known.withdrawal_id;
                place.line.get_or_insert(line);
                place.here.book(line);
                place.all.book(line);
            }
            (LineKind::Payout | LineKind::Return, None) => {
                let number = if line.number.is_empty() {
                    format!("flow:{}", line.flow_number)
                } else {
                    line.number.clone()
                };
                foreign.entry(number).or_insert((line, Flow::default())).1.book(line);
            }
            (LineKind::TopUp | LineKind::Other, None) => list(line, judged),
        }
    }
    for (number, (line, flow)) in foreign {
        judged.differences.push(not_ours(number, line, &flow, facts.known.get(&line.number)));
    }
    ours
}

fn not_ours(number: String, line: &Line, flow: &Flow, other: Option<&Known>) -> Found {
    let whose = other.map_or_else(
        || "no attempt of ours has this number".to_owned(),
        |other| format!("the number was given to {}", other.provider),
    );
    Found {
        number,
        kind: Kind::InBillNotOurs.name(),
        withdrawal_id: other.map_or(0, |other| other.withdrawal_id),
        provider_number: line.provider_number.clone(),
        ours_minor: None,
        theirs_minor: Some(flow.net()),
        evidence: format!("{whose}; {}; {}", told(flow), line.business),
    }
}

fn list(line: &Line, judged: &mut Judged) {
    let key = (line.kind, line.direction, line.business.clone());
    add(judged.listed.entry(key).or_default(), line.amount_minor);
}

pub(super) fn add(total: &mut Total, minor: i64) {
    total.count += 1;
    total.amount_minor = total.amount_minor.saturating_add(minor);
}

fn billed(one: &Known, here: &Flow, day: Day) -> Billed {
    Billed {
        bill_day: day.name(),
        number: one.number.clone(),
        withdrawal_id: one.withdrawal_id,
        out_count: here.out_count,
        out_minor: here.out_minor,
        in_minor: here.in_minor,
    }
}

fn told(flow: &Flow) -> String {
    let Flow { out_count, out_minor, in_minor } = *flow;
    let (out, back) = (format_fixed(out_minor), format_fixed(in_minor));
    format!("bills say {out} out in {out_count} booking(s), {back} back")
}

/// What we say of a number, in words.
pub(super) fn ours(one: &Known) -> String {
    let status = Status::from_number(one.status).map_or("of another version", Status::name);
    let amount = format_fixed(one.amount_minor);
    format!("we say {} of {amount}, the cash-out is {status}", one.state)
}

fn found(kind: Kind, one: &Known, line: &Line, flow: &Flow) -> Found {
    Found {
        number: one.number.clone(),
        kind: kind.name(),
        withdrawal_id: one.withdrawal_id,
        provider_number: line.provider_number.clone(),
        ours_minor: Some(one.amount_minor),
        theirs_minor: Some(flow.net()),
        evidence: format!("{}; {}", ours(one), told(flow)),
    }
}

/// A number that is in this bill: what we say against what all bills say.
fn compare(one: &Known, flow: &Flow, line: &Line, judged: &mut Judged) {
    let net = flow.net();
    let kind = match one.state.as_str() {
        "paid" if net == one.amount_minor => {
            add(&mut judged.matched, one.amount_minor);
            return;
        }
        "paid" if net > one.amount_minor && flow.out_count > 1 => Kind::PaidTwice,
        "paid" if net < one.amount_minor && flow.in_minor > 0 => Kind::Returned,
        "paid" => Kind::AmountDiffers,
        // Went out and came back, or the bill in which it went out was never read.
        _ if net <= 0 => return,
        _ => Kind::InBillNotPaid,
    };
    judged.differences.push(found(kind, one, line, flow));
    if kind == Kind::InBillNotPaid && flow.out_count > 1 && net > one.amount_minor {
        judged.differences.push(found(Kind::PaidTwice, one, line, flow));
    }
}

/// A number that we hold for paid and that is in no bill read so far. It was booked between writing the
/// attempt and learning the answer; a difference only when every bill of that time was read.
fn missing(facts: &Facts<'_>, one: &Known, judged: &mut Judged) {
    let from = Day::of(one.created_at_us - MARGIN_US);
    let until = Day::of(one.paid_at_us.max(one.created_at_us) + MARGIN_US);
    let mut day = from;
    while day <= until {
        if day != facts.day && !facts.days.contains(&day) {
            add(&mut judged.not_yet_due, one.amount_minor);
            return;
        }
        day = day.next();
    }
    let (first, last) = (from.name(), until.name());
    judged.differences.push(Found {
        number: one.number.clone(),
        kind: Kind::PaidNotInBill.name(),
        withdrawal_id: one.withdrawal_id,
        provider_number: String::new(),
        ours_minor: Some(one.amount_minor),
        theirs_minor: None,
        evidence: format!("{}; in no bill from {first} to {last}", ours(one)),
    });
}

/// Cash-outs for which money went out, and stayed out, under more than one number: told of the newest
/// number that is in this bill.
fn twice_over(facts: &Facts<'_>, seen: &BTreeMap<&str, Seen<'_>>, judged: &mut Judged) {
    let mut kept: HashMap<i64, (u32, i64)> = HashMap::new();
    for one in seen.values().filter(|one| one.all.net() > 0) {
        let (count, minor) = kept.entry(one.withdrawal_id).or_default();
        (*count, *minor) = (*count + 1, minor.saturating_add(one.all.net()));
    }
    let mut newest: BTreeMap<i64, (&Known, &Line)> = BTreeMap::new();
    for (number, one) in seen.iter().filter(|(_, one)| one.all.net() > 0) {
        let twice = kept.get(&one.withdrawal_id).is_some_and(|(count, _)| *count > 1);
        if let (true, Some(line), Some(known)) = (twice, one.line, facts.known.get(*number)) {
            let place = newest.entry(one.withdrawal_id).or_insert((known, line));
            if place.0.created_at_us <= known.created_at_us {
                *place = (known, line);
            }
        }
    }
    for (id, (known, line)) in newest {
        let (count, minor) = kept.get(&id).copied().unwrap_or_default();
        let name = Kind::PaidTwice.name();
        if judged.differences.iter().any(|d| d.kind == name && d.number == known.number) {
            continue;
        }
        let sum = format_fixed(minor);
        let evidence =
            format!("{}; {count} numbers of this cash-out were paid, {sum} in all", ours(known));
        let theirs_minor = Some(minor);
        let flow = Flow::default();
        judged.differences.push(Found {
            theirs_minor,
            evidence,
            ..found(Kind::PaidTwice, known, line, &flow)
        });
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
