//! Bills as the providers give them.

use std::io::Read;

use rails::certificate::sha1_hex;
use serde_json::{Value, json};

use crate::client::Bench;

const STATEMENT: &str = "alipay.data.dataservice.bill.downloadurl.query";

fn target(url: &str) -> anyhow::Result<String> {
    let (_, path) = url.split_once("/v3/").ok_or_else(|| anyhow::anyhow!("{url}"))?;
    Ok(format!("/v3/{path}"))
}

#[tokio::test]
async fn the_fund_flow_of_a_day_is_there_the_next_morning() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    for number in ["N1", "N2", "N3", "N4"] {
        bench.pay_wechat(number, "payee").await?;
        bench.ask_wechat(number).await?;
    }
    bench.pay_wechat("N5", "refuse").await?;
    bench
        .control(
            "POST",
            "flows",
            json!({"provider": "wechat", "number": "STRAY", "amount_minor": -700}),
        )
        .await?;
    let ask = "/v3/bill/fundflowbill?bill_date=2026-03-15&account_type=OPERATION&tar_type=GZIP";
    let (_, told) = bench.wechat("GET", ask, &Value::Null).await?;
    assert_eq!(told["code"], "NO_STATEMENT_EXIST");
    bench.control("POST", "clock", json!({"ahead_s": 22 * 3600})).await?;
    for (fault, number) in [("hide_row", "N2"), ("double_row", "N3"), ("amount", "N4")] {
        bench.fault(json!({"fault": fault, "operation": "row", "match": number})).await?;
    }
    let (_, told) = bench.wechat("GET", ask, &Value::Null).await?;
    let url = told["download_url"].as_str().unwrap_or_default();
    let unsigned = bench.plain(&target(url)?).await?;
    assert_eq!(unsigned.status, 401, "it is asked for with a signature");
    let heard = bench.wechat_raw("GET", &target(url)?, b"", "").await?;
    assert!(heard.header("wechatpay-signature").is_empty(), "and answered without one");
    let mut bill = Vec::new();
    flate2::read::GzDecoder::new(heard.body.as_slice()).read_to_end(&mut bill)?;
    assert_eq!(told["hash_value"], sha1_hex(&bill));
    let text = String::from_utf8(bill)?;
    assert!(text.starts_with('\u{feff}'), "{text}");
    let rows: Vec<(&str, &str)> = text
        .lines()
        .filter(|line| line.starts_with("`2026"))
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (fields[10], fields[6])
        })
        .collect();
    let expected = [
        ("`N1", "`1.00"),
        ("`N3", "`1.00"),
        ("`N3", "`1.00"),
        ("`N4", "`1.01"),
        ("`STRAY", "`7.00"),
    ];
    assert_eq!(rows, expected, "{text}");
    assert!(text.trim_end().ends_with("`5,`0,`0.00,`5,`11.01"), "{text}");
    bench.control("POST", "clock", json!({"advance_s": 301})).await?;
    let late = bench.wechat_raw("GET", &target(url)?, b"", "").await?;
    assert_eq!(late.code(), "INVALID_REQUEST", "the address is good for five minutes");
    Ok(())
}

#[tokio::test]
async fn a_fund_flow_that_is_not_there_is_named() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    for (query, code) in [
        ("bill_date=2026-03-16&account_type=OPERATION", "NO_STATEMENT_EXIST"),
        ("bill_date=2026-3-1&account_type=OPERATION", "PARAM_ERROR"),
        ("bill_date=2026-03&account_type=OPERATION", "PARAM_ERROR"),
        ("bill_date=2026-03-01&account_type=ALL", "PARAM_ERROR"),
        ("bill_date=2026-03-01&tar_type=ZIP", "PARAM_ERROR"),
        ("bill_date=2025-11-01&account_type=OPERATION", "INVALID_REQUEST"),
    ] {
        let (_, told) =
            bench.wechat("GET", &format!("/v3/bill/fundflowbill?{query}"), &Value::Null).await?;
        assert_eq!(told["code"], code, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn alipays_statement_is_a_zip_of_two_files_in_gbk() -> anyhow::Result<()> {
    let bench = Bench::new().await?;
    bench.pay_alipay("N1", "payee").await?;
    bench
        .control("POST", "flows", json!({"provider": "alipay", "number": "", "amount_minor": 500}))
        .await?;
    for (kind, day, code) in [
        ("signcustomer", "2026-03-15", "INVAILID_ARGUMENTS"),
        ("signcustomer", "2026", "INVAILID_ARGUMENTS"),
        ("all", "2026-03-14", "INVAILID_ARGUMENTS"),
        ("trade", "2026-03-14", "BILL_NOT_EXIST"),
    ] {
        let told = bench.alipay(STATEMENT, &json!({"bill_type": kind, "bill_date": day})).await?;
        assert_eq!(told["sub_code"], code, "{kind} {day}");
    }
    bench.control("POST", "clock", json!({"ahead_s": 22 * 3600})).await?;
    let wanted = json!({"bill_type": "signcustomer", "bill_date": "2026-03-15"});
    let told = bench.alipay(STATEMENT, &wanted).await?;
    let url = told["bill_download_url"].as_str().unwrap_or_default();
    let (_, path) = url.split_once("/downloads").ok_or_else(|| anyhow::anyhow!("{url}"))?;
    let path = format!("/downloads{path}");
    let heard = bench.plain(&path).await?;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(heard.body))?;
    assert_eq!(zip.len(), 2);
    let mut detail = Vec::new();
    zip.by_index(1)?.read_to_end(&mut detail)?;
    let (text, broken) = encoding_rs::GBK.decode_without_bom_handling(&detail);
    assert!(!broken && text.starts_with("#支付宝"), "{text}");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(',').map(str::trim).collect())
        .collect();
    assert_eq!(rows[0][2], "商户订单号");
    assert_eq!((rows[1][2], rows[1][6], rows[1][7]), ("N1", "", "-1.00"));
    assert_eq!((rows[2][2], rows[2][6], rows[2][7]), ("", "5.00", ""));
    assert!(text.contains("#支出合计：1笔，共1.00元"), "{text}");
    let mut summary = Vec::new();
    zip.by_index(0)?.read_to_end(&mut summary)?;
    let (text, _) = encoding_rs::GBK.decode_without_bom_handling(&summary);
    let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).skip(1).collect();
    let expected =
        ["单笔转账,0,0.00,1,-1.00,-1.00", "其它,1,5.00,0,-0.00,5.00", "合计,1,5.00,1,-1.00,4.00"];
    assert_eq!(rows, expected);
    bench.control("POST", "clock", json!({"advance_s": 31})).await?;
    assert_eq!(bench.plain(&path).await?.status, 403, "the address is good for half a minute");
    Ok(())
}
