//! Bills as the two providers write them, of what really came and went. Must not know: who fetches them.

use std::io::{Cursor, Write};

use cashout_common::money::format_fixed;
use encoding_rs::GBK;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::books::Flow;
use crate::faults::{Kind, Operation};
use crate::keys::ALIPAY_USER_ID;
use crate::payout::Provider;
use crate::sim::{Sim, locked};

const FUND_FLOW: &str = "\u{feff}记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,\
                         收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号\r\n";
const FUND_FLOW_TOTALS: &str = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n";
const DETAIL: &str = "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,\
                      支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注\r\n";
const SUMMARY: &str = "类型,收入笔数,收入金额（+元）,支出笔数,支出金额（-元）,总金额（元）\r\n";

/// What the scripted faults make of the rows of a bill.
pub fn distort(sim: &Sim, provider: Provider, flows: &mut Vec<Flow>) {
    let mut made = Vec::new();
    for mut flow in std::mem::take(flows) {
        let names = [flow.number.as_str(), flow.third_no.as_str()];
        let trouble = locked(&sim.faults).take(provider, Operation::Row, &names, &sim.world.random);
        if trouble.has(Kind::HideRow) {
            continue;
        }
        if trouble.has(Kind::Amount) {
            flow.amount_minor = flow.amount_minor.saturating_sub(1);
        }
        if trouble.has(Kind::DoubleRow) {
            made.push(flow.clone());
        }
        made.push(flow);
    }
    *flows = made;
}

/// How many came and went, and what they sum up to.
struct Totals {
    came: (usize, i64),
    went: (usize, i64),
}

impl Totals {
    fn of(flows: &[Flow]) -> Self {
        let sum = |came: bool| {
            let fits = flows.iter().filter(|flow| (flow.amount_minor > 0) == came);
            fits.fold((0, 0_i64), |(count, sum), flow| {
                (count + 1, sum.saturating_add(flow.amount_minor.saturating_abs()))
            })
        };
        Self { came: sum(true), went: sum(false) }
    }
}

/// WeChat Pay's bill of the operation account: every field of a row begins with a backtick.
#[must_use]
pub fn fund_flow(sim: &Sim, flows: &[Flow]) -> String {
    let mut bill = FUND_FLOW.to_owned();
    for flow in flows {
        let came = flow.amount_minor > 0;
        let (name, kind) = match flow.note.as_str() {
            "payout" => ("商家转账", "商家转账"),
            "refund" => ("商家转账退回", "退款"),
            _ => ("其他", "其他"),
        };
        let fields = [
            sim.zone.datetime(flow.at_us),
            flow.third_no.clone(),
            format!("10{:020}", flow.id),
            name.to_owned(),
            kind.to_owned(),
            if came { "收入" } else { "支出" }.to_owned(),
            format_fixed(flow.amount_minor.saturating_abs()),
            format_fixed(flow.balance_minor),
            "API".to_owned(),
            "提现".to_owned(),
            flow.number.clone(),
        ];
        bill += &fields.map(|field| format!("`{field}")).join(",");
        bill += "\r\n";
    }
    let totals = Totals::of(flows);
    bill += FUND_FLOW_TOTALS;
    let fields = [
        flows.len().to_string(),
        totals.came.0.to_string(),
        format_fixed(totals.came.1),
        totals.went.0.to_string(),
        format_fixed(totals.went.1),
    ];
    bill + &fields.map(|field| format!("`{field}")).join(",") + "\r\n"
}

/// Alipay's statement of a day or month: a zip of two files in GBK.
///
/// # Errors
/// When the library fails.
pub fn signcustomer(sim: &Sim, day: &str, flows: &[Flow]) -> anyhow::Result<Vec<u8>> {
    let totals = Totals::of(flows);
    let went = format!("#支出合计：{}笔，共{}元", totals.went.0, format_fixed(totals.went.1));
    let came = format!("#收入合计：{}笔，共{}元", totals.came.0, format_fixed(totals.came.1));
    let head = |title: &str| {
        format!(
            "#支付宝{title}查询\r\n#账号：[{ALIPAY_USER_ID}0156]\r\n#起始日期：[{day}]   \
             终止日期：[{day}]\r\n#-----------------------{title}列表-----------------------\r\n"
        )
    };
    let exported = sim.zone.datetime(sim.now_us());
    let foot = |title: &str, totals: &str| {
        format!(
            "#-----------------------{title}列表结束-----------------------\r\n{totals}\
             #导出时间：[{exported}]\r\n"
        )
    };
    let rows: String = flows.iter().map(|flow| detail_row(sim, flow)).collect();
    let foot_totals = format!("{went}\r\n{came}\r\n");
    let detail = [&head("账务明细"), DETAIL, &rows, &foot("账务明细", &foot_totals)].concat();
    let summary = [&head("账务汇总"), SUMMARY, &kinds(flows), &foot("账务汇总", "")].concat();
    let name = |title: &str| format!("{ALIPAY_USER_ID}0156_{}_{title}.csv", day.replace('-', ""));
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    // The order of the two is not fixed: the summary comes first here.
    for (title, text) in [("账务汇总", summary), ("账务明细", detail)] {
        zip.start_file(name(title), options)?;
        zip.write_all(&GBK.encode(&text).0)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// What a flow is called.
fn kind(flow: &Flow) -> &'static str {
    if flow.note == "payout" { "单笔转账" } else { "其它" }
}

/// The lines of the summary: one for each kind that is there, and one for all of them.
fn kinds(flows: &[Flow]) -> String {
    let row = |name: &str, totals: &Totals| {
        let ((came, income), (went, spend)) = (totals.came, totals.went);
        let all = format_fixed(income.saturating_sub(spend));
        let (income, spend) = (format_fixed(income), format_fixed(spend));
        format!("{name},{came},{income},{went},-{spend},{all}\r\n")
    };
    let of = |name: &str| -> Vec<Flow> {
        flows.iter().filter(|flow| kind(flow) == name).cloned().collect()
    };
    let kinds = ["单笔转账", "其它"].into_iter().map(|name| (name, of(name)));
    let there = kinds.filter(|(_, flows)| !flows.is_empty());
    let rows: String = there.map(|(name, flows)| row(name, &Totals::of(&flows))).collect();
    rows + &row("合计", &Totals::of(flows))
}

fn detail_row(sim: &Sim, flow: &Flow) -> String {
    let amount = format_fixed(flow.amount_minor);
    let (came, went) =
        if flow.amount_minor > 0 { (amount, String::new()) } else { (String::new(), amount) };
    let fields = [
        format!("{:020}\t", flow.id),
        format!("{}\t", flow.third_no),
        format!("{}\t", flow.number),
        "提现\t".to_owned(),
        sim.zone.datetime(flow.at_us),
        "(2088***)\t".to_owned(),
        came,
        went,
        format_fixed(flow.balance_minor),
        "支付宝".to_owned(),
        kind(flow).to_owned(),
        "{备注}\t".to_owned(),
    ];
    fields.join(",") + "\r\n"
}
