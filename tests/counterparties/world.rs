//! One simulator and one door for its notifications, of a test's own, and the keys of both sides as SDKs
//! take them. Must not know: any SDK.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::Context;
use rails::certificate::{Certificate, alipay_root_sn};
use rails::key::PrivateKey;
use serde_json::{Value, json};

use crate::listener::Listener;
use crate::sdk;
use crate::stand_in;

/// The merchant, the app of WeChat and the app of Alipay that the simulator knows.
pub const MCHID: &str = "1900000001";
/// See [`MCHID`].
pub const APPID: &str = "wx0000000000000001";
/// See [`MCHID`].
pub const ALIPAY_APP: &str = "2021000000000001";

/// The simulator, as a test sees it.
pub struct World {
    /// Where it listens.
    pub url: String,
    /// Where its notifications come in.
    pub door: Listener,
    directory: PathBuf,
}

impl World {
    /// Starts one. `None`, and a note, when the SDKs are not installed.
    ///
    /// # Errors
    /// When it does not start, and with `CI` set when the SDKs are not installed.
    pub async fn start() -> anyhow::Result<Option<Self>> {
        if !sdk::installed() {
            const WHY: &str = "NOT RUN: the SDKs as counterparties. To run them, install them: \
                               tests/counterparties/install";
            anyhow::ensure!(!cashout_testing::under_ci(), "CI is set: {WHY}");
            static ONCE: Once = Once::new();
            // Past the harness, which swallows what tests print.
            ONCE.call_once(|| drop(writeln!(std::io::stderr(), "\n{WHY}")));
            return Ok(None);
        }
        let door = Listener::open().await?;
        let directory = PathBuf::from("/tmp/tkeys");
        let url = stand_in::start(&directory, &door.address).await?;
        Ok(Some(Self { url, door, directory }))
    }

    /// A file of the key directory.
    pub fn file(&self, name: &str) -> anyhow::Result<String> {
        let path = self.directory.join(name);
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(text.trim_end().to_owned())
    }

    /// What an SDK needs for WeChat Pay.
    pub fn wechat_keys(&self) -> anyhow::Result<Value> {
        let merchant = Certificate::read(&self.file("wechat/merchant_cert.pem")?)?;
        let certificate = self.file("wechat/platform_cert.pem")?;
        let platform = Certificate::read(&certificate)?;
        let key_id = self.file("wechat/platform_key_id")?;
        Ok(json!({
            "mchid": MCHID,
            "appid": APPID,
            "merchant_key": self.file("wechat/merchant_key.pem")?,
            "merchant_serial": merchant.serial_hex(),
            "platform": {
                key_id.as_str(): self.file("wechat/platform_public_key.pem")?,
                platform.serial_hex(): platform.public_key()?.to_pem(),
            },
            "platform_key_id": key_id,
            "platform_cert_serial": platform.serial_hex(),
            "api_v3_key": self.file("wechat/api_v3_key")?,
        }))
    }

    /// What an SDK needs for Alipay.
    pub fn alipay_keys(&self) -> anyhow::Result<Value> {
        let (app, root) = (self.file("alipay/app_cert.pem")?, self.file("alipay/root_cert.pem")?);
        Ok(json!({
            "app_id": ALIPAY_APP,
            "app_key": self.file("alipay/app_key.pem")?,
            "app_cert_sn": Certificate::read(&app)?.alipay_sn(),
            "app_cert": app,
            "alipay_cert": self.file("alipay/alipay_cert.pem")?,
            "root_cert_sn": alipay_root_sn(&Certificate::read_all(&root)?),
            "root_cert": root,
        }))
    }

    /// A key that nobody knows.
    pub fn foreign_key() -> anyhow::Result<PrivateKey> {
        Ok(PrivateKey::generate()?)
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}
