//! The control API and the page.

use serde_json::{Value, json};

use crate::client::Bench;

#[tokio::test]
async fn commands_that_are_wrong_change_nothing_and_say_why() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    bench.pay_alipay("N1", "payee").await?;
    for (method, path, body, said) in [
        ("POST", "faults", json!({"fault": "burn"}), "400"),
        ("POST", "faults", json!({"fault": "late", "provider": "bank"}), "400"),
        ("POST", "balance", json!({"provider": "wechat"}), "400"),
        ("POST", "balance", json!({"provider": "bank", "amount_minor": 1}), "400"),
        ("POST", "balance", json!({"provider": "wechat", "amount_minor": -1}), "400"),
        ("POST", "clock", json!({}), "400"),
        ("POST", "clock", json!({"ahead_s": "soon"}), "400"),
        ("POST", "settings", json!({"alipay_notify_url": "http://example.com/"}), "400"),
        ("POST", "payouts/N1/confirm", Value::Null, "400"),
        ("POST", "payouts/N1/burn", Value::Null, "404"),
        ("POST", "payouts/N9/confirm", Value::Null, "404"),
        ("GET", "books?colour=red", Value::Null, "400"),
        ("GET", "secrets", Value::Null, "404"),
        ("PUT", "faults", Value::Null, "404"),
    ] {
        let told = bench.control(method, path, body.clone()).await;
        let told = told.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains(&format!("{path}: {said}")), "{method} {path} {body}: {told}");
    }
    let page =
        bench.http.post(bench.url("/sandbox/faults")?).header("origin", "http://evil.example");
    let status = page.json(&json!({"fault": "late"})).send().await?.status().as_u16();
    assert_eq!(status, 403, "a page of somebody else's is not heard");
    for path in ["/", "/sandbox/books"] {
        let named = bench.http.get(bench.url(path)?).header("host", "evil.example:80");
        assert_eq!(named.send().await?.status().as_u16(), 403, "a name of somebody else's: {path}");
    }
    assert_eq!(bench.control("GET", "faults", Value::Null).await?["faults"], json!([]));
    Ok(())
}

#[tokio::test]
async fn faults_are_listed_and_forgotten() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    bench.fault(json!({"fault": "late", "seconds": 3, "match": "N"})).await?;
    let told = bench.control("GET", "faults", Value::Null).await?;
    assert_eq!(
        (&told["faults"][0]["fault"], &told["faults"][0]["match"]),
        (&json!("late"), &json!("N"))
    );
    let told = bench.control("DELETE", "faults", Value::Null).await?;
    assert_eq!(told["faults"], json!([]));
    Ok(())
}

#[tokio::test]
async fn the_page_shows_the_books_and_nothing_of_it_comes_from_elsewhere() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    bench.pay_alipay("N1", "<script>alert(1)</script>").await?;
    bench.fault(json!({"fault": "late", "match": "</code>"})).await?;
    let heard = bench.plain("/").await?;
    let text = String::from_utf8(heard.body.clone())?;
    assert_eq!(heard.status, 200);
    for part in ["N1", "9999999.00", "paid", "late", "Simulated"] {
        assert!(text.contains(part), "{part} is missing");
    }
    for part in ["<script", "src=", "href=", "http://", "https://", "\"</code>\""] {
        assert!(!text.contains(part), "{part} is there");
    }
    assert_eq!(bench.plain("/favicon.ico").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn it_listens_to_this_machine_alone() -> anyhow::Result<()> {
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let told = sandbox::bind(listen.parse()?).err().map(|error| error.to_string());
        assert!(told.is_some_and(|told| told.contains("this machine alone")), "{listen}");
    }
    Ok(())
}
