//! One row of the statement, in the documented order and types.

use cashout_common::clock::SECOND_US;
use cashout_common::kind::Kind;
use cashout_common::local::Zone;
use cashout_common::money::format_fixed;
use cashout_proto::account::v1::{Entry, Facts};
use serde::Serialize;

/// A row of `list`: every value is a string.
#[derive(Serialize)]
pub(super) struct Row {
    id: String,
    account_sn: String,
    user_id: String,
    admin_user: String,
    ys_amount: String,
    amount: String,
    cur_balance: String,
    add_time_format: String,
    add_time: String,
    last_time: &'static str,
    note: String,
    process_type: String,
    payment_code: String,
    payment_name: String,
    recive_date: String,
    order_date: String,
    order_sn: String,
    goods_amount: String,
    trade_type: &'static str,
}

impl Row {
    pub(super) fn of(entry: &Entry, zone: &Zone) -> Self {
        let facts = entry.facts.clone().unwrap_or_default();
        let kind = Kind::from_number(entry.kind).map(Kind::row);
        Self {
            id: entry.id.to_string(),
            account_sn: account_sn(entry, zone),
            user_id: entry.user_id.to_string(),
            admin_user: facts.operator.clone(),
            ys_amount: original_amount(&facts),
            amount: format_fixed(entry.available_delta_minor),
            cur_balance: format_fixed(entry.available_after_minor),
            add_time_format: zone.datetime(entry.created_at_us),
            add_time: entry.created_at_us.div_euclid(SECOND_US).to_string(),
            last_time: "0",
            process_type: entry.kind.to_string(),
            payment_code: or(&facts.payment_code, "0"),
            payment_name: payment_name(&facts),
            note: facts.note,
            recive_date: facts.received_time,
            order_date: facts.order_time,
            order_sn: facts.order_no,
            goods_amount: facts.goods_amount,
            trade_type: kind.map_or("", |row| row.name),
        }
    }
}

/// process_type padded right with `0` to two digits, the local time, and the last six digits of the
/// entry's id. Ids are dense, so two alike would need a million entries of one kind in one second.
pub(super) fn account_sn(entry: &Entry, zone: &Zone) -> String {
    let kind = entry.kind.to_string();
    let time = zone.compact_datetime(entry.created_at_us);
    format!("{kind:0<2}{time}{:06}", entry.id.rem_euclid(1_000_000))
}

pub(super) fn original_amount(facts: &Facts) -> String {
    or(&facts.original_amount, "0.00")
}

pub(super) fn payment_name(facts: &Facts) -> String {
    or(&facts.payment_name, "余额支付")
}

fn or(text: &str, default: &str) -> String {
    if text.is_empty() { default.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_have_22_digits_and_start_with_the_kind() -> Result<(), String> {
        let zone = Zone::named("Asia/Shanghai")?;
        for (id, kind, sn) in [
            (877_210, 8, "8020200303232640877210"),
            (158, 35, "3520200303232640000158"),
            (9_007_199_254_740_991, 4, "4020200303232640740991"),
        ] {
            let created_at_us = 1_583_249_200_000_000;
            let entry = Entry { id, kind, created_at_us, ..Default::default() };
            assert_eq!(account_sn(&entry, &zone), sn);
        }
        Ok(())
    }
}
