//! What is shown adds up, on every endpoint, after anything (guarantee G18); and scheduled releases
//! happen once, on time, also after downtime.

use std::time::Duration;

use cashout_common::clock::Clock;
use cashout_common::money::parse_amount;
use cashout_common::random::Random;
use cashout_common::world::World;
use cashout_proto::account::v1 as account;

use crate::support::people::{MANUAL, income, of};
use crate::support::web::{admin, teacher, user};
use crate::support::{Stack, every_engine, one_in, until};

/// Minor units of an amount as shown; zero is shown, and is no amount that anybody may ask for.
fn minor(shown: &str) -> anyhow::Result<i64> {
    if shown.trim_start_matches('-').bytes().all(|b| b == b'0' || b == b'.') {
        return Ok(0);
    }
    let unsigned = shown.trim_start_matches('-');
    let minor = parse_amount(unsigned).map_err(|e| anyhow::anyhow!("{shown}: {e}"))?;
    Ok(if shown.starts_with('-') { -minor } else { minor })
}

/// Everything that one person is shown, against each other.
async fn adds_up(stack: &Stack, person: i64) -> anyhow::Result<()> {
    let settlement = stack.get(&teacher(person), "/sett/sett").await?;
    let row = |name: &str| settlement.at(&format!("/data/items/0/{name}"));
    let shown = |value: serde_json::Value| value.as_str().map_or(value.to_string(), str::to_owned);
    let income = minor(&shown(row("total_income")?))?;
    let withdrawn = minor(&shown(row("total_withdraw")?))?;
    let left = minor(&shown(row("total_left")?))?;
    let can = minor(&shown(row("can_withdraw")?))?;
    let wallet = stack.get(&user(person), &format!("/api/wallet/user/{person}")).await?;
    let available = minor(&wallet.text("/data/attributes/available_amount")?)?;
    let frozen = minor(&wallet.text("/data/attributes/freeze_amount")?)?;
    assert_eq!((available, frozen), stack.balance(person).await?);
    assert_eq!(left, available + frozen, "{}", settlement.body);
    assert_eq!(can, available, "{}", settlement.body);
    assert_eq!(income - withdrawn, left, "nothing was bought: {}", settlement.body);
    let path = "/user/capital-account/new-list?page[page_size]=500";
    let statement = stack.get(&user(person), path).await?;
    let rows = statement.at("/data/list")?;
    let mut after = available;
    for row in rows.as_array().into_iter().flatten() {
        let text = |name: &str| row.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        assert_eq!(minor(text("cur_balance"))?, after, "{row}");
        after -= minor(text("amount"))?;
    }
    assert_eq!(after, 0, "the statement explains the whole balance");
    let paid = stack.get(&teacher(person), "/sett/withdrawList").await?;
    let mut sum = 0;
    for row in paid.at("/data/items")?.as_array().into_iter().flatten() {
        let text = |name: &str| row.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        if text("pay_status") == "2" {
            sum += minor(text("amount"))?;
        }
    }
    assert_eq!(sum, withdrawn, "{}", paid.body);
    Ok(())
}

#[tokio::test]
async fn whatever_happened_the_totals_shown_add_up() -> anyhow::Result<()> {
    for stack in every_engine("totals", &[("CASH_FEE_RATE", "0.013")]).await? {
        let random = Random::seeded(7);
        for person in [1, 2, 3] {
            stack.rich(person, 50_000).await?;
        }
        let mut open: Vec<(i64, i64)> = Vec::new();
        for step in 0..60 {
            let person = 1 + i64::try_from(random.below(3))?;
            match random.below(5) {
                0 => {
                    let amount = 1 + i64::try_from(random.below(9_999))?;
                    let key = format!("step:{step}");
                    stack.accounts()?.post_transfer(income(&key, person, amount)).await?;
                }
                1 | 2 => {
                    let amount = format!("{}.{:02}", 1 + random.below(30), random.below(100));
                    open.push((person, stack.requested(person, &amount, MANUAL).await?));
                }
                3 => {
                    if let Some((_, id)) = open.pop() {
                        let decision = if random.below(2) == 0 { 3 } else { 5 };
                        stack.reviewed(&admin(99), id, decision).await?;
                    }
                }
                _ => {
                    if let Some((owner, id)) = open.pop() {
                        assert_eq!(stack.cancelled(owner, id).await?.status, 200);
                    }
                }
            }
            if step % 10 == 9 {
                adds_up(&stack, person).await?;
            }
        }
        for person in [1, 2, 3] {
            adds_up(&stack, person).await?;
        }
        stack.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_scheduled_release_happens_once_on_time_and_after_downtime() -> anyhow::Result<()> {
    const START_US: i64 = 1_650_000_000_000_000;
    let world = World { clock: Clock::set_at(START_US), random: Random::seeded(1) };
    let mut stack = one_in("release", &[], world).await?;
    stack.person(1).await?;
    for (key, days) in [("one", 1_i64), ("two", 2)] {
        let mut frozen = income(key, 1, 1_000);
        let credit = account::Credit {
            account: of(1),
            counter_account: String::new(),
            frozen_until_us: START_US + days * 86_400_000_000,
        };
        frozen.movement = Some(account::post_transfer_request::Movement::Credit(credit));
        stack.accounts()?.post_transfer(frozen).await?;
    }
    assert_eq!(stack.balance(1).await?, (0, 2_000));
    stack.clock().advance(Duration::from_secs(86_399));
    assert_eq!(stack.balance(1).await?, (0, 2_000), "not a second early");
    stack.clock().advance(Duration::from_secs(1));
    until("the first release", || async {
        Ok((stack.balance(1).await? == (1_000, 1_000)).then_some(()))
    })
    .await?;
    // The second falls into a time when nobody is there.
    let clock = stack.clock().clone();
    stack = stack.restart_after(|| clock.advance(Duration::from_secs(10 * 86_400))).await?;
    until("the second release", || async {
        Ok((stack.balance(1).await? == (2_000, 0)).then_some(()))
    })
    .await?;
    stack = stack.restart().await?;
    assert_eq!(stack.balance(1).await?, (2_000, 0));
    let list = stack.get(&user(1), "/user/capital-account/new-list").await?;
    assert_eq!(list.at("/data/page/record_count")?, 2, "{}", list.body);
    stack.stop().await
}
