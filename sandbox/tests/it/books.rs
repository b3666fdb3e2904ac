//! The books: an independent witness that survives whatever happens to everybody else.

use serde_json::{Value, json};

use crate::client::{BILLS, Bench};

#[tokio::test]
async fn a_restart_keeps_the_books() -> anyhow::Result<()> {
    let mut bench = Bench::with(|config| config.confirm_us = None).await?;
    bench.pay_wechat("N1", "payee").await?;
    bench.pay_alipay("N2", "payee").await?;
    bench.control("POST", "clock", json!({"ahead_s": 60})).await?;
    let before = bench.control("GET", "books", Value::Null).await?;
    bench.restart().await?;
    assert_eq!(bench.control("GET", "books", Value::Null).await?, before);
    bench.control("POST", "payouts/N1/confirm", Value::Null).await?;
    assert_eq!(bench.ask_wechat("N1").await?.1["state"], "SUCCESS");
    let requests = bench.control("GET", "requests?number=N1", Value::Null).await?;
    let words: Vec<&str> = requests["requests"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| row["operation"].as_str())
        .collect();
    assert_eq!(words, ["create", "confirm", "query"], "also what was asked before the restart");
    Ok(())
}

#[tokio::test]
async fn every_request_is_written_down_also_those_that_are_lost() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    bench.fault(json!({"fault": "lose_request", "times": 1})).await?;
    assert!(bench.pay_wechat("N1", "payee").await.is_err());
    bench.fault(json!({"fault": "lose_reply", "times": 1})).await?;
    assert!(bench.pay_wechat("N1", "payee").await.is_err());
    bench.pay_wechat("N1", "payee").await?;
    bench.wechat("POST", BILLS, &Bench::bill("N1", "payee", 999)).await?;
    let requests = bench.control("GET", "requests?provider=wechat", Value::Null).await?;
    let rows = requests["requests"].as_array().cloned().unwrap_or_default();
    let told: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            (text("outcome"), text("faults"))
        })
        .collect();
    let expected = [
        ("(lost)", "lose_request"),
        ("WAIT_USER_CONFIRM", "lose_reply"),
        ("SUCCESS", ""),
        ("INVALID_REQUEST", ""),
    ];
    assert_eq!(told, expected);
    assert_eq!(rows[0]["body_digest"], rows[2]["body_digest"], "the same bytes");
    assert_ne!(rows[2]["body_digest"], rows[3]["body_digest"], "other bytes");
    Ok(())
}

#[tokio::test]
async fn the_money_adds_up_whatever_becomes_of_the_payouts() -> anyhow::Result<()> {
    let bench = Bench::with(|config| config.confirm_us = None).await?;
    for (number, payee) in [("P1", "a"), ("P2", "a"), ("P3", "a"), ("P4", "refuse"), ("P5", "a")] {
        bench.pay_wechat(number, payee).await?;
    }
    bench.control("POST", "payouts/P1/confirm", Value::Null).await?;
    bench.control("POST", "payouts/P2/expire", Value::Null).await?;
    bench.control("POST", "payouts/P3/cancel", Value::Null).await?;
    let books = bench.control("GET", "books?provider=wechat", Value::Null).await?;
    let paid: i64 = books["payouts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            row["times_paid"].as_i64().unwrap_or(0) * row["amount_minor"].as_i64().unwrap_or(0)
        })
        .sum();
    let funds = &books["funds"]["wechat"];
    let (free, aside) = (funds["available_minor"].as_i64(), funds["locked_minor"].as_i64());
    assert_eq!((paid, free, aside), (100, Some(1_000_000_000 - 200), Some(100)));
    let flows = bench.control("GET", "flows", Value::Null).await?;
    assert_eq!(flows["flows"].as_array().map(Vec::len), Some(1), "what did not leave is no flow");
    Ok(())
}

#[tokio::test]
async fn many_at_once_are_each_booked_once() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    let calls = (0..40).map(|at| {
        let number = format!("M{}", at % 10);
        let bench = &bench;
        async move { bench.pay_wechat(&number, "payee").await }
    });
    for done in futures::future::join_all(calls).await {
        assert_eq!(done?.0, 200);
    }
    let books = bench.control("GET", "books", Value::Null).await?;
    assert_eq!(books["payouts"].as_array().map(Vec::len), Some(10));
    assert_eq!(books["totals"][0]["most_times_paid"].as_i64().unwrap_or(0).max(1), 1);
    Ok(())
}
