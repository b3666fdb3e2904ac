//! The providers' bills: read as published, refused when anything of them is not as published.

mod writing;

use rails::bill::{Direction, Fault, Kind, alipay, china_us, wechat};
use writing::{alipay_summary, alipay_text, gbk, gzipped, wechat_text, zipped};

const DAY: &str = "2020-03-03";

fn wechat_rows() -> Vec<String> {
    [
        ("10:00:01", "W1", "F1", "商家转账", "商家转账", "支出", "3.00", "T1"),
        ("11:00:00", "W1", "F2", "商家转账", "转账退回", "收入", "3.00", "T1"),
        ("12:00:00", "W2", "F3", "充值", "充值", "收入", "500.00", ""),
        ("13:00:00", "W3", "F4", "手续费", "扣除手续费", "支出", "0.00", ""),
        ("14:00:00", "W4", "F5", "提现", "提现", "支出", "20.50", "X9"),
        ("23:59:59", "W5", "F6", "没见过", "没见过", "支出", "1.01", "T2"),
    ]
    .map(|(time, business, flow, name, kind, way, amount, number)| {
        format!(
            "`{DAY} {time},`{business},`{flow},`{name},`{kind},`{way},`{amount},`1.00,`system,`a,b,`{number}"
        )
    })
    .to_vec()
}

#[test]
fn a_fund_flow_is_read_packed_or_not() -> Result<(), Fault> {
    let text = wechat_text(&wechat_rows());
    for packed in [
        text.clone().into_bytes(),
        gzipped(text.as_bytes()),
        text.trim_start_matches('\u{feff}').as_bytes().to_vec(),
        text.replace('\n', "\r\n").into_bytes(),
        text.replace("(元)", "（元）").into_bytes(),
        text.replace("`6,`2,`503.00,`4,`24.51", "`6.0,`2.0,`503.00,`4.0,`24.51").into_bytes(),
    ] {
        let bill = wechat::read(&packed)?;
        let kinds: Vec<Kind> = bill.lines.iter().map(|line| line.kind).collect();
        use Kind::{Fee, Other, Payout, Return, TopUp};
        assert_eq!(kinds, [Payout, Return, TopUp, Fee, Other, Payout]);
        assert_eq!((bill.spend.count, bill.spend.amount_minor), (4, 2_451));
        assert_eq!((bill.income.count, bill.income.amount_minor), (2, 50_300));
        let first = &bill.lines[0];
        assert_eq!((first.row, first.amount_minor, first.direction), (2, 300, Direction::Out));
        let numbers = (first.number.as_str(), first.provider_number.as_str(), &*first.flow_number);
        assert_eq!(numbers, ("T1", "W1", "F1"));
        assert_eq!(Some(first.at_us), china_us("2020-03-03 10:00:01"));
    }
    let empty = wechat::read(wechat_text(&[]).as_bytes())?;
    assert!(empty.lines.is_empty());
    Ok(())
}

#[test]
fn a_fund_flow_that_is_not_as_published_is_refused_with_its_line() {
    let good = wechat_text(&wechat_rows());
    let cases: &[(&str, &str, &str)] = &[
        ("`2020-03-03 10:00:01,", "2020-03-03 10:00:01,", "line 2: a field without its back-tick"),
        ("`2020-03-03 10:00:01", "`2020/03/03 10:00:01", "line 2: not a time"),
        ("`3.00,`1.00,`system", "`3,`1.00,`system", "line 2: not an amount"),
        ("`3.00,`1.00,`system", "`-3.00,`1.00,`system", "line 2: not an amount"),
        ("`3.00,`1.00,`system", "`3.001,`1.00,`system", "line 2: not an amount"),
        ("`支出,`3.00", "`出,`3.00", "line 2: neither income nor spend"),
        ("`T1\n", "`T1,`x\n", "line 2: not as many fields"),
        ("`F1,", "", "line 2: not as many fields"),
        ("`T1\n", "`T\u{7}1\n", "line 2: a field is too long or holds control"),
        ("`支出,`3.00", "`支出,`4.00", "line 9: the totals are not those of the lines"),
        ("`6,`2,", "`7,`2,", "line 9: the totals are not those of the lines"),
        ("`503.00,", "`503.01,", "line 9: the totals are not those of the lines"),
        ("`503.00,", "`many,", "line 9: totals that are no numbers"),
        ("`24.51\n", "`24.51\n`more\n", "line 10: something follows the totals"),
        ("业务凭证号", "业务", "line 1: a column that is needed is missing"),
        ("备注", "业务类型", "line 1: a column is there twice"),
        ("资金流水总笔数", "总笔数", "line 8: a field without its back-tick"),
    ];
    for (from, to, told) in cases {
        assert!(good.contains(from), "{from}");
        let said = wechat::read(good.replacen(from, to, 1).as_bytes()).map_err(|f| f.to_string());
        let said = said.err().unwrap_or_default();
        assert!(said.starts_with(told), "{from} {to}: {said}");
    }
}

#[test]
fn a_fund_flow_cut_off_anywhere_is_refused() {
    let text = wechat_text(&wechat_rows());
    let text = text.trim_end();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        assert!(wechat::read(&text.as_bytes()[..end]).is_err(), "{end} bytes of {}", text.len());
    }
    let packed = gzipped(text.as_bytes());
    for end in 2..packed.len() {
        assert!(wechat::read(&packed[..end]).is_err(), "{end} packed bytes of {}", packed.len());
    }
    for at in 10..packed.len() {
        let mut broken = packed.clone();
        broken[at] ^= 0x55;
        assert!(wechat::read(&broken).is_err(), "packed byte {at}");
    }
}

fn alipay_rows() -> Vec<String> {
    [
        ("A1\t", "B1\t", "T1\t", "10:00:01", "", "-3.00", "转账"),
        ("A2", "B1", "T1", "11:00:00", "3.00", "", "转账退回"),
        ("A3", "B3", "", "12:00:00", "+500.00", "0.00", "充值"),
        ("A4", "B4", "", "13:00:00", "0.00", "-0.10", "收费"),
        ("A5", "B5", "订单5", "14:00:00", "", "20.50", "交易退款"),
        ("A6", "B6", "T2", "23:59:59", "", "-1.01", "没见过"),
    ]
    .map(|(flow, business, number, time, came, went, kind)| {
        format!(
            "{flow},{business},{number},张三的货,{DAY} {time},张三(a@b.c),{came},{went},1.00,支付宝,{kind},\"a,b\""
        )
    })
    .to_vec()
}

#[test]
fn a_statement_is_read_in_any_order_of_files_and_columns() -> Result<(), Fault> {
    let text = alipay_text(&alipay_rows());
    let summary = gbk(&alipay_summary(&alipay_rows()));
    let newer = text
        .replace("业务类型,备注", "业务类型,备注,业务基础订单号,业务订单号,业务账单来源,业务描述")
        .replace("\"a,b\"", "\"a,b\",,,,");
    for files in [
        vec![("明细.csv", gbk(&text)), ("汇总.csv", summary.clone())],
        vec![("汇总.csv", summary.clone()), ("x/y.csv", gbk(&text.replace('\n', "\r\n")))],
        vec![("a", gbk(&newer))],
        vec![("a", format!("\u{feff}{text}").into_bytes())],
        vec![("a", gbk(&text.replace("（+元）", "(+元)")))],
        vec![("a", gbk(&text.replace("共-24.61元", "共24.61元")))],
    ] {
        let bill = alipay::read(&zipped(&files))?;
        let kinds: Vec<Kind> = bill.lines.iter().map(|line| line.kind).collect();
        use Kind::{Fee, Other, Payout, Return, TopUp};
        assert_eq!(kinds, [Payout, Return, TopUp, Fee, Other, Payout]);
        assert_eq!((bill.spend.count, bill.spend.amount_minor), (4, 2_461));
        assert_eq!((bill.income.count, bill.income.amount_minor), (2, 50_300));
        assert_eq!(bill.account.as_deref(), Some("20887******0156"));
        let period = china_us("2020-03-03 00:00:00").zip(china_us("2020-03-04 00:00:00"));
        assert_eq!(bill.period_us, period);
        let first = &bill.lines[0];
        let numbers = (first.number.as_str(), first.provider_number.as_str(), &*first.flow_number);
        assert_eq!(numbers, ("T1", "B1", "A1"));
        assert_eq!((first.amount_minor, first.direction), (300, Direction::Out));
    }
    let halves = [alipay_text(&alipay_rows()[..2]), alipay_text(&alipay_rows()[2..])];
    let files = [("1.csv", gbk(&halves[0])), ("2.csv", gbk(&halves[1]))];
    assert_eq!(alipay::read(&zipped(&files))?.lines.len(), 6);
    let files = [files.as_slice(), &[("3.csv", summary)]].concat();
    assert_eq!(alipay::read(&zipped(&files))?.lines.len(), 6);
    let nothing = ("b", gbk(&alipay_summary(&[])));
    assert!(alipay::read(&zipped(&[("a", gbk(&alipay_text(&[]))), nothing]))?.lines.is_empty());
    let empty = alipay::read(&zipped(&[("a", gbk(&alipay_text(&[])))]))?;
    assert!(empty.lines.is_empty());
    Ok(())
}

#[test]
fn a_statement_that_is_not_as_published_is_refused_with_its_line() {
    let good = alipay_text(&alipay_rows());
    let cases: &[(&str, &str, &str)] = &[
        ("2020-03-03 10:00:01", "2020-03-03", "file 1, line 6: not a time"),
        ("-3.00,", "-3.0,", "file 1, line 6: not an amount"),
        ("-3.00,", "--3.00,", "file 1, line 6: not an amount"),
        (",-3.00,", ",,", "file 1, line 6: not an amount"),
        (",,-3.00,", ",2.00,-3.00,", "file 1, line 6: both income and spend"),
        (",张三的货,2020-03-03 10", ",,,2020-03-03 10", "file 1, line 6: not as many fields"),
        ("T1\t", "T\u{7}1\t", "file 1, line 6: a field is too long or holds control"),
        ("-3.00,", "-4.00,", "file 1, line 13: the totals are not those of the lines"),
        ("4笔", "5笔", "file 1, line 13: the totals are not those of the lines"),
        ("500.00", "500.01", "file 1, line 13: the totals are not those of the lines"),
        ("4笔，共-24.61", "四笔，共-24.61", "file 1, line 13: totals that are no numbers"),
        ("#支出合计", "#支出", "file 1: the totals at its end are missing"),
        ("#收入合计", "#收入", "file 1: the totals at its end are missing"),
        ("#导出时间", "A7,B7\n#导出时间", "file 1, line 15: a line after the totals"),
        (
            "#导出时间",
            "#支出合计：0笔，共0.00元\n#",
            "file 1, line 15: totals that are there twice",
        ),
        ("商户订单号", "订单号", "file 1, line 5: a column that is needed is missing"),
        ("商品名称", "商户订单号", "file 1, line 5: a column is there twice"),
        ("账务流水号", "流水", "none of its files is a statement"),
    ];
    for (from, to, told) in cases {
        assert!(good.contains(from), "{from}");
        let text = gbk(&good.replacen(from, to, 1));
        let said = alipay::read(&zipped(&[("a.csv", text)])).map_err(|fault| fault.to_string());
        let said = said.err().unwrap_or_default();
        assert!(said.starts_with(told), "{from} {to}: {said}");
        assert!(!said.contains("张三"), "{said}");
    }
}

#[test]
fn a_summary_that_does_not_fit_the_statements_is_refused_and_one_nobody_understands_is_not_there() {
    let (rows, good) = (alipay_rows(), alipay_summary(&alipay_rows()));
    let whole = gbk(&alipay_text(&rows));
    // The totals are not those of its lines; no numbers; another form.
    let strange: &[(&str, &str)] = &[
        ("合计,2,503.00", "合计,3,503.00"),
        ("合计,2,503.00", "合计,2,503.01"),
        ("3,-21.61", "3,-21.60"),
        ("3,-21.61", "三,-21.61"),
        ("3,-21.61", "3,--21.61"),
        ("3,-21.61", "3"),
        ("合计,", "总计,"),
        ("#导出时间", "其它,0,0.00,0,0.00,0.00\n#"),
        ("支出笔数", "笔数"),
        ("支出笔数", "收入笔数"),
    ];
    let said = |files: &[(&str, Vec<u8>)]| {
        let said = alipay::read(&zipped(files)).map_err(|fault| fault.to_string());
        said.err().unwrap_or_default()
    };
    for (from, to) in strange {
        assert!(good.contains(from), "{from} {good}");
        let summary = gbk(&good.replacen(from, to, 1));
        assert_eq!(said(&[("a.csv", whole.clone()), ("b.csv", summary)]), "", "{from} {to}");
    }
    // Said in other words, it is still understood.
    let other = "the summary is not that of the statements";
    let half = || gbk(&alipay_text(&rows[..2]));
    for (from, to) in [("合计,", "合计：,"), (",0,0.00,", ",,,")] {
        assert!(good.contains(from), "{from} {good}");
        let summary = gbk(&good.replace(from, to));
        assert_eq!(said(&[("a", whole.clone()), ("b", summary.clone())]), "", "{from}");
        assert_eq!(said(&[("a", half()), ("b", summary)]), format!("file 2: {other}"), "{from}");
    }
    // One of two statements did not come along; or the summary is another day's.
    let summary = gbk(&good);
    assert_eq!(said(&[("a", half()), ("b", summary.clone())]), format!("file 2: {other}"));
    let another = gbk(&alipay_summary(&rows[1..]));
    assert_eq!(said(&[("b", another), ("a", whole.clone())]), format!("file 1: {other}"));
    let nothing = gbk(&alipay_summary(&[]).replace("合计,0,0.00,0,-0.00,0.00\n", ""));
    assert_eq!(said(&[("b", nothing), ("a", whole.clone())]), format!("file 1: {other}"));
    let twice = said(&[("a", whole), ("b", summary.clone()), ("c", summary)]);
    assert_eq!(twice, "file 3: a second summary");
}

#[test]
fn what_is_no_statement_in_a_zip_is_refused() {
    let good = gbk(&alipay_text(&alipay_rows()));
    let whole = zipped(&[("a.csv", good.clone())]);
    for end in 0..whole.len() {
        assert!(alipay::read(&whole[..end]).is_err(), "{end} bytes of {}", whole.len());
    }
    let two_accounts = alipay_text(&[]).replace("0156", "0157");
    let many: Vec<(String, Vec<u8>)> = (0..40).map(|n| (n.to_string(), Vec::new())).collect();
    let many: Vec<(&str, Vec<u8>)> = many.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "not a zip"),
        (good.clone(), "not a zip"),
        (zipped(&[]), "none of its files is a statement"),
        (zipped(&[("a.csv", b"\x81\xFF\xFF".to_vec())]), "file 1: not GBK"),
        (zipped(&[("a", good.clone()), ("b", gbk(&two_accounts))]), "file 2: its files are of two"),
        (zipped(&many), "more files than a bill has"),
    ];
    for (packed, told) in cases {
        let said = alipay::read(&packed).map_err(|fault| fault.to_string());
        let said = said.err().unwrap_or_default();
        assert!(said.starts_with(told), "{said}");
    }
}
