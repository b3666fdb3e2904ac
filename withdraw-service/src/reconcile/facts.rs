//! Reads everything that judging a day needs, each table a few times however long the bill is. Must not
//! know: what a difference is.

use std::collections::{BTreeSet, HashMap};

use cashout_common::db::Readers;

use super::day::Day;
use super::judge::{Facts, MARGIN_US};
use super::{LedgerPayout, Reading};
use crate::domain::withdrawal::hold_key;
use crate::store::billed::{self, Known};

/// Reads it.
///
/// # Errors
/// The database's.
pub(super) async fn read<'a>(
    readers: &Readers,
    reading: &'a Reading,
    ledger: Vec<LedgerPayout>,
    now_us: i64,
) -> anyhow::Result<Facts<'a>> {
    let (provider, day, bill) = (reading.source.name(), reading.day, &reading.bill);
    let (from_us, until_us) = (day.from_us - MARGIN_US, day.until_us() + MARGIN_US);
    let near = billed::paid_between(readers, provider, from_us, until_us).await?;
    let mut known: HashMap<String, Known> = by_number(near);
    let missing: BTreeSet<&String> = bill.lines.iter().map(|line| &line.number).collect();
    let missing: Vec<String> = missing
        .into_iter()
        .filter(|number| !number.is_empty() && !known.contains_key(*number))
        .cloned()
        .collect();
    known.extend(by_number(billed::known(readers, &missing).await?));

    let ids: BTreeSet<i64> = known.values().map(|one| one.withdrawal_id).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    let mut elsewhere = billed::billed(readers, &ids).await?;
    let today = day.name();
    elsewhere.retain(|billed| billed.bill_day != today);

    let days = billed::days(readers, provider).await?;
    let days = days.iter().filter_map(|day| Day::read(day).ok()).collect();

    // What was paid is known already; of the rest only what left on the day is judged.
    let paid = known.values().filter(|one| one.state == "paid" && one.provider == provider);
    let told: BTreeSet<String> = paid.map(|one| hold_key(&one.cash_sn)).collect();
    let open = ledger.iter().filter(|payout| day.holds(payout.at_us));
    let sns: Vec<String> = open
        .filter_map(|payout| payout.hold_key.strip_prefix("cash:"))
        .filter(|sn| !told.contains(&hold_key(sn)))
        .map(str::to_owned)
        .collect();
    let left = billed::left(readers, &sns).await?;
    Ok(Facts {
        provider,
        day,
        now_us,
        bill,
        known,
        elsewhere,
        days,
        ledger: ledger.into_iter().map(|payout| (payout.hold_key.clone(), payout)).collect(),
        left: left.into_iter().map(|left| (hold_key(&left.cash_sn), left)).collect(),
    })
}

fn by_number(all: Vec<Known>) -> HashMap<String, Known> {
    all.into_iter().map(|one| (one.number.clone(), one)).collect()
}
