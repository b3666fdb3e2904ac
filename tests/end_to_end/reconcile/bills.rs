//! Writes bills in the providers' formats. Knows nothing of how they are read.

use std::io::{Cursor, Write};

use encoding_rs::GBK;
use flate2::Compression;
use flate2::write::GzEncoder;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// One booking at noon.
#[derive(Debug, Clone)]
pub struct Row {
    /// The merchant's number.
    pub number: String,
    /// Out of the account or into it.
    out: bool,
    minor: i64,
    /// The word of WeChat Pay and of Alipay.
    words: [&'static str; 2],
}

impl Row {
    fn new(number: &str, out: bool, minor: i64, words: [&'static str; 2]) -> Self {
        Self { number: number.to_owned(), out, minor, words }
    }

    /// A payout.
    pub fn out(number: &str, minor: i64) -> Self {
        Self::new(number, true, minor, ["商家转账", "单笔转账"])
    }

    /// A payout that came back.
    pub fn back(number: &str, minor: i64) -> Self {
        Self::new(number, false, minor, ["转账退回", "转账退回"])
    }

    /// What the provider takes.
    pub fn fee(minor: i64) -> Self {
        Self::new("", true, minor, ["扣除手续费", "服务费"])
    }

    /// What the merchant puts in.
    pub fn top_up(minor: i64) -> Self {
        Self::new("", false, minor, ["充值", "充值"])
    }
}

/// Count and sum of one direction.
fn total(rows: &[Row], out: bool) -> (usize, String) {
    let of = rows.iter().filter(|row| row.out == out);
    (of.clone().count(), yuan(of.map(|row| row.minor).sum()))
}

fn yuan(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// A fund flow as gzip.
pub fn wechat(rows: &[Row]) -> Vec<u8> {
    let mut text = "\u{feff}记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,\
                    收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号\r\n"
        .to_owned();
    for (at, row) in rows.iter().enumerate() {
        let (word, way) = (row.words[0], if row.out { "支出" } else { "收入" });
        let (amount, number) = (yuan(row.minor), &row.number);
        text += &format!(
            "`2020-03-03 12:00:00,`W{at},`F{at},`{word},`{word},`{way},`{amount},`9.99,`API,`x,`{number}\r\n"
        );
    }
    let ((came, came_sum), (went, went_sum)) = (total(rows, false), total(rows, true));
    text += "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n";
    text += &format!("`{},`{came},`{came_sum},`{went},`{went_sum}\r\n", rows.len());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// A statement as a zip, the summary first, in GBK.
pub fn alipay(rows: &[Row]) -> Vec<u8> {
    let mut text = "#支付宝账务明细查询\r\n#账号：[20881111****0156]\r\n\
         #起始日期：[2020年03月03日 00:00:00]   终止日期：[2020年03月04日 00:00:00]\r\n\
         #-----账务明细列表-----\r\n账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,\
         收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注\r\n"
        .to_owned();
    for (at, row) in rows.iter().enumerate() {
        let (came, went) = if row.out {
            (String::new(), format!("-{}", yuan(row.minor)))
        } else {
            (yuan(row.minor), String::new())
        };
        let (number, word) = (&row.number, row.words[1]);
        text += &format!(
            "F{at}\t,W{at}\t,{number}\t,张三,2020-03-03 12:00:00,张三(a@b.c)\t,{came},{went},9.99,支付宝,{word},\t\r\n"
        );
    }
    let ((came, came_sum), (went, went_sum)) = (total(rows, false), total(rows, true));
    text += &format!(
        "#-----账务明细列表结束-----\r\n#支出合计：{went}笔，共-{went_sum}元\r\n\
         #收入合计：{came}笔，共{came_sum}元\r\n#导出时间：[2020年03月04日 09:00:00]\r\n"
    );
    // One kind of business, so that the line for all of them is the same.
    let line = format!("{came},{came_sum},{went},-{went_sum},0.00\r\n");
    let columns = "类型,收入笔数,收入金额（+元）,支出笔数,支出金额（-元）,总金额（元）";
    let summary =
        format!("#支付宝账务汇总查询\r\n{columns}\r\n转账,{line}合计,{line}#导出时间：[x]\r\n");
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [("汇总.csv", &summary), ("明细.csv", &text)] {
        if writer.start_file(name, SimpleFileOptions::default()).is_ok() {
            let _ = writer.write_all(&GBK.encode(text).0);
        }
    }
    writer.finish().map(Cursor::into_inner).unwrap_or_default()
}
