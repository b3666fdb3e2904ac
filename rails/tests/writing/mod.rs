//! Writes bills as the providers do, for tests: a reader of its own, so that it can be wrong elsewhere.

use std::io::{Cursor, Write};

use encoding_rs::GBK;
use flate2::Compression;
use flate2::write::GzEncoder;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The lines as a fund flow with its totals, which are summed up here.
pub fn wechat_text(rows: &[String]) -> String {
    let sum = |way: &str| {
        let of = rows.iter().filter(|row| row.contains(&format!("`{way},`")));
        let amounts = of.clone().map(|row| cents(row, &format!("`{way},`")));
        (of.count(), amounts.sum::<i64>())
    };
    let ((came, came_sum), (went, went_sum)) = (sum("收入"), sum("支出"));
    format!(
        "\u{feff}记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),\
         账户结余(元),资金变更提交申请人,备注,业务凭证号\n{}\
         资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\n`{},`{came},`{},`{went},`{}\n",
        rows.iter().map(|row| format!("{row}\n")).collect::<String>(),
        rows.len(),
        yuan(came_sum),
        yuan(went_sum),
    )
}

/// How many of the lines have an amount in that column, and their sum.
fn alipay_sum(rows: &[String], at: usize) -> (usize, i64) {
    let column = |row: &str| {
        let text = row.split(',').nth(at).unwrap_or_default();
        text.trim_start_matches(['+', '-']).replace('.', "").parse::<i64>().unwrap_or(0)
    };
    let amounts = rows.iter().map(|row| column(row)).filter(|amount| *amount > 0);
    (amounts.clone().count(), amounts.sum::<i64>())
}

/// The summary of the lines, as if all but the first were of one kind.
pub fn alipay_summary(rows: &[String]) -> String {
    let line = |name: &str, rows: &[String]| {
        let ((came, income), (went, spend)) = (alipay_sum(rows, 6), alipay_sum(rows, 7));
        let all = yuan(income.saturating_sub(spend).abs());
        format!("{name},{came},{},{went},-{},{all}\n", yuan(income), yuan(spend))
    };
    let (first, others) = rows.split_at(rows.len().min(1));
    format!(
        "#支付宝账务汇总查询\n#账号：[20887******0156]\n\
         #起始日期：[2020年03月03日 00:00:00]   终止日期：[2020年03月04日 00:00:00]\n\
         #-----------------------------------------账务汇总列表----------------------------------------\n\
         类型,收入笔数,收入金额（+元）,支出笔数,支出金额（-元）,总金额（元）\n{}{}{}\
         #-----------------------------------------账务汇总列表结束------------------------------------\n\
         #导出时间：[2020年03月04日 09:00:00]\n",
        line("转账", first),
        line("其它", others),
        line("合计", rows),
    )
}

/// The lines as a statement with its head and totals.
pub fn alipay_text(rows: &[String]) -> String {
    let ((came, came_sum), (went, went_sum)) = (alipay_sum(rows, 6), alipay_sum(rows, 7));
    format!(
        "#支付宝账务明细查询\n#账号：[20887******0156]\n\
         #起始日期：[2020年03月03日 00:00:00]   终止日期：[2020年03月04日 00:00:00]\n\
         #-----------------------------------------账务明细列表----------------------------------------\n\
         账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,\
         账户余额（元）,交易渠道,业务类型,备注\n{}\
         #-----------------------------------------账务明细列表结束------------------------------------\n\
         #支出合计：{went}笔，共-{}元\n#收入合计：{came}笔，共{}元\n#导出时间：[2020年03月04日 09:00:00]\n",
        rows.iter().map(|row| format!("{row}\n")).collect::<String>(),
        yuan(went_sum),
        yuan(came_sum),
    )
}

fn cents(row: &str, after: &str) -> i64 {
    let amount = row.split(after).nth(1).and_then(|rest| rest.split(',').next());
    amount.unwrap_or_default().replace('.', "").parse().unwrap_or(0)
}

fn yuan(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// In GBK.
pub fn gbk(text: &str) -> Vec<u8> {
    GBK.encode(text).0.into_owned()
}

/// As gzip.
pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// As a zip of files by name.
pub fn zipped(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        if writer.start_file(*name, SimpleFileOptions::default()).is_ok() {
            let _ = writer.write_all(bytes);
        }
    }
    writer.finish().map(Cursor::into_inner).unwrap_or_default()
}
