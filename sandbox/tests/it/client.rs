//! A merchant of both providers, made of `rails` and a plain HTTP client: signs what it sends and
//! believes no answer that is not signed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use cashout_common::clock::Clock;
use cashout_common::local::Zone;
use cashout_common::random::Random;
use cashout_common::world::World;
use rails::alipay::signed_text;
use rails::certificate::{Certificate, alipay_root_sn};
use rails::key::{PrivateKey, PublicKey};
use rails::wechat::{Authorization, answer_text, request_text};
use sandbox::{Config, Sandbox};
use serde_json::{Value, json};

pub const BILLS: &str = "/v3/fund-app/mch-transfer/transfer-bills";
pub const TRANSFER: &str = "alipay.fund.trans.uni.transfer";
pub const QUERY: &str = "alipay.fund.trans.common.query";
/// 2026-03-15 12:00:00 in China.
pub const NOW_US: i64 = 1_773_547_200_000_000;

/// A simulator in a directory of its own, and a merchant.
pub struct Bench {
    pub sandbox: Option<Sandbox>,
    pub config: Config,
    pub clock: Clock,
    pub http: reqwest::Client,
    directory: tempfile::TempDir,
}

/// An answer as it came in.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

/// Keys are made once for all tests of this process: making them is what takes long.
static KEYS: tokio::sync::OnceCell<tempfile::TempDir> = tokio::sync::OnceCell::const_new();

/// A key directory of its own, with keys that were made before.
pub async fn keys_in(directory: &Path) -> anyhow::Result<()> {
    let made = async {
        let made = tempfile::tempdir()?;
        sandbox::keys::prepare(made.path())?;
        anyhow::Ok(made)
    };
    let made = KEYS.get_or_try_init(|| made).await?;
    for part in ["wechat", "alipay"] {
        std::fs::create_dir_all(directory.join(part))?;
        for entry in std::fs::read_dir(made.path().join(part))? {
            let entry = entry?;
            std::fs::copy(entry.path(), directory.join(part).join(entry.file_name()))?;
        }
    }
    Ok(())
}

impl Heard {
    pub fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Bench {
    pub async fn new() -> anyhow::Result<Self> {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        keys_in(&directory.path().join("sandbox/keys")).await?;
        let mut config = Config::in_directory(directory.path().join("sandbox"));
        change(&mut config);
        let clock = Clock::set_at(NOW_US);
        let http =
            reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().build()?;
        let mut bench = Self { sandbox: None, config, clock, http, directory };
        bench.start().await?;
        Ok(bench)
    }

    pub async fn start(&mut self) -> anyhow::Result<()> {
        let world = World { clock: self.clock.clone(), random: Random::seeded(7) };
        self.sandbox = Some(sandbox::start(self.config.clone(), world).await?);
        Ok(())
    }

    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.sandbox.take().context("it runs")?.stop().await;
        self.start().await
    }

    pub fn file(&self, name: &str) -> anyhow::Result<String> {
        let path: PathBuf = self.directory.path().join("sandbox/keys").join(name);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    pub fn url(&self, path: &str) -> anyhow::Result<String> {
        let sandbox = self.sandbox.as_ref().context("it runs")?;
        Ok(format!("http://{}{path}", sandbox.running.address))
    }

    async fn sent(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Heard> {
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Heard { status, headers, body: answer.bytes().await?.to_vec() })
    }

    /// The control API.
    pub async fn control(&self, method: &str, path: &str, body: Value) -> anyhow::Result<Value> {
        let url = self.url(&format!("/sandbox/{path}"))?;
        let request = self.http.request(method.parse()?, url);
        let request = if body.is_null() { request } else { request.json(&body) };
        let heard = self.sent(request).await?;
        ensure!(heard.status == 200, "{path}: {} {}", heard.status, heard.json());
        Ok(heard.json())
    }

    pub async fn fault(&self, fault: Value) -> anyhow::Result<()> {
        self.control("POST", "faults", fault).await.map(drop)
    }

    pub async fn plain(&self, path: &str) -> anyhow::Result<Heard> {
        self.sent(self.http.get(self.url(path)?)).await
    }

    /// One payout as it is in the books.
    pub async fn booked(&self, number: &str) -> anyhow::Result<Option<Value>> {
        let books = self.control("GET", &format!("books?number={number}"), Value::Null).await?;
        Ok(books["payouts"].as_array().and_then(|rows| rows.first()).cloned())
    }

    /// What is right for WeChat Pay.
    pub fn authorization(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> anyhow::Result<Authorization> {
        let key = PrivateKey::read(&self.file("wechat/merchant_key.pem")?)?;
        let serial = Certificate::read(&self.file("wechat/merchant_cert.pem")?)?.serial_hex();
        let timestamp = (self.clock.now_us() / 1_000_000).to_string();
        let nonce = "593BEC0C930BF1AFEB40B4A08C8FB242".to_owned();
        let text = request_text(method, target, &timestamp, &nonce, body);
        let signature = key.sign(&text)?;
        Ok(Authorization { mchid: "1900000001".to_owned(), nonce, timestamp, serial, signature })
    }

    /// One call, properly signed; the answer as it came.
    pub async fn wechat_raw(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
        serial: &str,
    ) -> anyhow::Result<Heard> {
        let authorization = self.authorization(method, target, body)?.to_string();
        self.wechat_as(method, target, body, serial, &authorization).await
    }

    pub async fn wechat_as(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
        serial: &str,
        authorization: &str,
    ) -> anyhow::Result<Heard> {
        let mut request = self.http.request(method.parse()?, self.url(target)?);
        request = request.header("authorization", authorization);
        request = request.header("accept", "application/json").body(body.to_vec());
        if !serial.is_empty() {
            request = request.header("wechatpay-serial", serial);
        }
        self.sent(request).await
    }

    /// One call, properly signed; the answer only if it is properly signed too.
    pub async fn wechat(
        &self,
        method: &str,
        target: &str,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let serial = self.file("wechat/platform_key_id")?;
        let heard = self.wechat_raw(method, target, &body, &serial).await?;
        ensure!(self.wechat_signed(&heard)?, "{target}: not signed: {heard:?}");
        Ok((heard.status, heard.json()))
    }

    /// Whether a key of the platform signed it just now.
    pub fn wechat_signed(&self, heard: &Heard) -> anyhow::Result<bool> {
        let serial = heard.header("wechatpay-serial");
        let certificate = Certificate::read(&self.file("wechat/platform_cert.pem")?)?;
        let key = if serial == self.file("wechat/platform_key_id")? {
            PublicKey::read(&self.file("wechat/platform_public_key.pem")?)?
        } else if serial == certificate.serial_hex() {
            certificate.public_key()?
        } else {
            return Ok(false);
        };
        let at = heard.header("wechatpay-timestamp");
        let fresh = at == (self.clock.now_us() / 1_000_000).to_string();
        let text = answer_text(&at, &heard.header("wechatpay-nonce"), &heard.body);
        Ok(fresh && key.verifies(&text, &heard.header("wechatpay-signature")))
    }

    pub fn bill(number: &str, openid: &str, amount_minor: i64) -> Value {
        json!({
            "appid": "wx0000000000000001", "out_bill_no": number, "transfer_scene_id": "1005",
            "openid": openid, "transfer_amount": amount_minor, "transfer_remark": "提现",
            "transfer_scene_report_infos": [
                {"info_type": "岗位类型", "info_content": "作者"},
                {"info_type": "报酬说明", "info_content": "稿费"},
            ],
        })
    }

    pub async fn pay_wechat(&self, number: &str, openid: &str) -> anyhow::Result<(u16, Value)> {
        self.wechat("POST", BILLS, &Self::bill(number, openid, 100)).await
    }

    pub async fn ask_wechat(&self, number: &str) -> anyhow::Result<(u16, Value)> {
        self.wechat("GET", &format!("{BILLS}/out-bill-no/{number}"), &Value::Null).await
    }

    pub fn order(number: &str, identity: &str, amount: &str) -> Value {
        json!({
            "out_biz_no": number, "trans_amount": amount, "product_code": "TRANS_ACCOUNT_NO_PWD",
            "biz_scene": "DIRECT_TRANSFER", "order_title": "提现",
            "payee_info": {"identity": identity, "identity_type": "ALIPAY_OPEN_ID"},
        })
    }

    /// The parameters of a call, unsigned.
    pub fn alipay_parameters(
        &self,
        method: &str,
        biz: &Value,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let app = Certificate::read(&self.file("alipay/app_cert.pem")?)?;
        let roots = Certificate::read_all(&self.file("alipay/root_cert.pem")?)?;
        let zone = Zone::named("Asia/Shanghai").map_err(anyhow::Error::msg)?;
        let all = [
            ("app_id", "2021000000000001".to_owned()),
            ("method", method.to_owned()),
            ("format", "JSON".to_owned()),
            ("charset", "utf-8".to_owned()),
            ("sign_type", "RSA2".to_owned()),
            ("timestamp", zone.datetime(self.clock.now_us())),
            ("version", "1.0".to_owned()),
            ("app_cert_sn", app.alipay_sn()),
            ("alipay_root_cert_sn", alipay_root_sn(&roots)),
            ("biz_content", biz.to_string()),
        ];
        Ok(all.map(|(name, value)| (name.to_owned(), value)).to_vec())
    }

    pub fn alipay_sign(&self, all: &mut Vec<(String, String)>) -> anyhow::Result<()> {
        let key = PrivateKey::read(&self.file("alipay/app_key.pem")?)?;
        let bytes: Vec<(Vec<u8>, Vec<u8>)> =
            all.iter().map(|(k, v)| (k.clone().into_bytes(), v.clone().into_bytes())).collect();
        all.push(("sign".to_owned(), key.sign(&signed_text(&bytes, &["sign"]))?));
        Ok(())
    }

    /// Sends parameters as a form body; the answer as it came.
    pub async fn alipay_form(&self, all: &[(String, String)]) -> anyhow::Result<Heard> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(all);
        let request = self.http.post(self.url("/gateway.do")?);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.sent(request.body(form.finish())).await
    }

    pub async fn alipay_raw(&self, method: &str, biz: &Value) -> anyhow::Result<Heard> {
        let mut all = self.alipay_parameters(method, biz)?;
        self.alipay_sign(&mut all)?;
        self.alipay_form(&all).await
    }

    /// One call, properly signed; the answer only if it is properly signed too.
    pub async fn alipay(&self, method: &str, biz: &Value) -> anyhow::Result<Value> {
        let heard = self.alipay_raw(method, biz).await?;
        self.alipay_node(method, &heard)
    }

    pub fn alipay_node(&self, method: &str, heard: &Heard) -> anyhow::Result<Value> {
        let text = std::str::from_utf8(&heard.body)?;
        let answer = rails::alipay::answer(text, method)?;
        let certificate = Certificate::read(&self.file("alipay/alipay_cert.pem")?)?;
        ensure!(answer.cert_sn == certificate.alipay_sn(), "signed by {:?}", answer.cert_sn);
        let signed = certificate.public_key()?.verifies(answer.node.as_bytes(), answer.sign);
        ensure!(signed, "not signed: {text}");
        Ok(serde_json::from_str(answer.node)?)
    }

    pub async fn pay_alipay(&self, number: &str, identity: &str) -> anyhow::Result<Value> {
        self.alipay(TRANSFER, &Self::order(number, identity, "1.00")).await
    }

    pub async fn ask_alipay(&self, number: &str) -> anyhow::Result<Value> {
        let biz = json!({
            "out_biz_no": number, "product_code": "TRANS_ACCOUNT_NO_PWD",
            "biz_scene": "DIRECT_TRANSFER",
        });
        self.alipay(QUERY, &biz).await
    }
}
