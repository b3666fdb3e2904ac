//! One simulator and one door for its notifications, of a test's own, and the keys of both sides as SDKs
//! take them. Must not know: any SDK.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::Context;
use rails::certificate::{Certificate, alipay_root_sn};
use rails::key::PrivateKey;
use sandbox::Sandbox;
use sandbox::keys::{ALIPAY_APP_ID, MCHID, WECHAT_APP_ID};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::listener::Listener;
use crate::sdk;

/// The simulator, as a test sees it.
pub struct World {
    /// Where it listens.
    pub url: String,
    /// Where its notifications come in.
    pub door: Listener,
    sandbox: Sandbox,
    client: reqwest::Client,
    directory: TempDir,
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
        let directory = tempfile::tempdir()?;
        copy(shared_keys().await?, &directory.path().join("keys"))?;
        let config = sandbox::Config {
            alipay_notify_url: format!("{}/notify/alipay", door.address),
            ..sandbox::Config::in_directory(directory.path())
        };
        let sandbox = sandbox::start(config, cashout_common::world::World::real()).await?;
        let url = format!("http://{}", sandbox.running.address);
        Ok(Some(Self { url, door, sandbox, client: reqwest::Client::new(), directory }))
    }

    /// The settings of a withdraw service that pays through this simulator.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.sandbox.settings()
    }

    /// Tells the simulator what to do: its control API.
    ///
    /// # Errors
    /// When it does not do it.
    pub async fn control(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        let call = self.client.post(format!("{}/sandbox/{path}", self.url));
        let answer = call.body(body.to_string()).send().await?.error_for_status()?;
        Ok(serde_json::from_str(&answer.text().await?)?)
    }

    /// A file of the key directory.
    pub fn file(&self, name: &str) -> anyhow::Result<String> {
        let path = self.directory.path().join("keys").join(name);
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
            "appid": WECHAT_APP_ID,
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
            "app_id": ALIPAY_APP_ID,
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
}

/// Keys that all simulators of a run share: making them takes longer than a test. Made anew in every
/// run, as how they are made may have changed.
async fn shared_keys() -> anyhow::Result<&'static Path> {
    static MADE: OnceCell<PathBuf> = OnceCell::const_new();
    let made = MADE.get_or_try_init(|| async {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("counterparties-keys");
        if directory.exists() {
            std::fs::remove_dir_all(&directory)?;
        }
        let made = directory.clone();
        tokio::task::spawn_blocking(move || sandbox::keys::prepare(&made)).await??;
        anyhow::Ok(directory)
    });
    Ok(made.await?)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &to)?
        } else {
            std::fs::copy(&path, to)?;
        }
    }
    Ok(())
}
