//! What is told of arrivals that did not wait is what became of them.

use super::*;

fn arrivals(took_us: impl Fn(u64) -> u32) -> Vec<Arrival> {
    let all = (0..100).map(|n| (n * 10_000, took_us(n)));
    all.map(|(due_us, took_us)| Arrival { stretch: 0, due_us, took_us, fate: Fate::Answered })
        .collect()
}

#[test]
fn latency_is_back_when_it_stays_back() {
    let length = Duration::from_secs(1);
    let stretch = Stretch { per_second: 100, length, patience: PATIENT };
    type Case = (&'static [(u64, u64)], Option<u64>);
    let cases: &[Case] = &[
        // Pieces of ten arrivals; half of a piece decides.
        (&[], Some(100)),
        (&[(0, 20)], Some(300)),
        (&[(0, 10), (20, 26)], Some(400)),
        (&[(0, 10), (20, 24)], Some(200)),
        (&[(50, 60)], Some(100)),
        (&[(30, 40), (80, 90)], None),
    ];
    for (slow, back) in cases {
        let is_slow = |n| slow.iter().any(|(from, to)| (*from..*to).contains(&n));
        let took = |n| if is_slow(n) { 2001 } else { 2000 };
        assert_eq!(back_ms(arrivals(took).iter(), &stretch, 2000), *back, "{slow:?}");
    }
    let few = arrivals(|_| 1);
    assert_eq!(back_ms(few.iter().take(80), &stretch, 2000), Some(100));
    assert_eq!(back_ms(few.iter().skip(56), &stretch, 2000), None);
}

#[test]
fn a_second_that_stood_still_is_not_the_median_one() -> anyhow::Result<()> {
    let stretch =
        Stretch { per_second: 10, length: Duration::from_millis(5_900), patience: PATIENT };
    let arrival = |n: u64| {
        let second = n / 100;
        let fate = if second == 0 { Fate::Refused(true) } else { Fate::Answered };
        let took_us = if second == 2 { 300_000 } else { 1_000 };
        Arrival { stretch: 0, due_us: n * 10_000, took_us, fate }
    };
    let all: Vec<Arrival> = (0..590).map(arrival).collect();
    let found = seconds(&all.iter().collect::<Vec<_>>(), &stretch)?;
    assert_eq!((found.len(), found.first()), (5, Some(&NEVER_US)), "nobody was answered");
    assert!(found.get(2).is_some_and(|took| *took >= 300_000));
    assert_eq!((found.get(1), middle(found.clone())), (Some(&1_000), 1_000));
    let half = Stretch { length: Duration::from_millis(500), ..stretch };
    assert_eq!(seconds(&all.iter().skip(100).collect::<Vec<_>>(), &half)?.len(), 1);
    assert_eq!((middle(vec![1, 9]), middle(vec![])), (9, NEVER_US));
    Ok(())
}

#[test]
fn overload_is_ten_times_the_peak_between_two_halves_of_it() {
    let rates = |open| -> Vec<u64> {
        course(open, 1000, Duration::from_secs(2)).iter().map(|s| s.1.per_second).collect()
    };
    assert_eq!(rates(Open::HalfPeak), [500, 500]);
    assert_eq!(rates(Open::Overload), [500, 500, 10_000, 500]);
}

#[test]
fn how_long_refusals_took_is_told_apart_from_answers() -> anyhow::Result<()> {
    let arrival = |took_us, fate| Arrival { stretch: 0, due_us: 0, took_us, fate };
    let arrivals = [
        arrival(300, Fate::Refused(true)),
        arrival(100, Fate::Refused(false)),
        arrival(900, Fate::Answered),
        arrival(700, Fate::Failed),
    ];
    let stretch = Stretch { per_second: 4, length: Duration::from_secs(1), patience: PATIENT };
    let spent = || Spent::default();
    let offered = Offered { arrivals: arrivals.to_vec(), not_sent: vec![0], ..Offered::default() };
    let course = [(OVERLOAD, stretch)];
    let told = told(&course, 1, offered, &[spent(), spent()], Memory::default())?;
    let over = told.of(OVERLOAD).context("the overload")?;
    assert_eq!((over.answered, over.p50_us, over.max_us), (1, 900, 900));
    assert_eq!((over.refused, over.told_when, over.failed), (2, 1, 1));
    assert_eq!((over.refused_p50_us, over.refused_p99_us), (100, 300));
    Ok(())
}
