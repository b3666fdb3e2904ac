//! Asking an SDK: one process per question, a JSON command on its standard input and a JSON answer on
//! its standard output. Must not know: what is asked.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long an SDK may take, starting included: a machine of two cores starts many at once.
const PATIENCE: Duration = Duration::from_secs(90);

/// One SDK.
#[derive(Debug, Clone, Copy)]
pub struct Sdk {
    /// The name of its package, of its driver and, in Python, of its tree.
    name: &'static str,
    language: Language,
}

#[derive(Debug, Clone, Copy)]
enum Language {
    Node,
    Python,
}

/// npm `alipay-sdk`.
pub const ALIPAY_NODE: Sdk = Sdk { name: "alipay-sdk", language: Language::Node };
/// PyPI `alipay-sdk-python`.
pub const ALIPAY_PYTHON: Sdk = Sdk { name: "alipay-sdk-python", language: Language::Python };
/// PyPI `python-alipay-sdk`.
pub const PYTHON_ALIPAY: Sdk = Sdk { name: "python-alipay-sdk", language: Language::Python };
/// npm `wechatpay-axios-plugin`.
pub const WECHAT_NODE: Sdk = Sdk { name: "wechatpay-axios-plugin", language: Language::Node };
/// PyPI `wechatpayv3`.
pub const WECHAT_PYTHON: Sdk = Sdk { name: "wechatpayv3", language: Language::Python };

/// What an SDK says.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// What it was told, and believed.
    Ok(Value),
    /// What it refused to believe or to do, in its own words.
    Refused(String),
}

impl Told {
    /// What it was told.
    ///
    /// # Errors
    /// When it refused.
    pub fn ok(self) -> anyhow::Result<Value> {
        match self {
            Self::Ok(value) => Ok(value),
            Self::Refused(why) => anyhow::bail!("the SDK refused: {why}"),
        }
    }

    /// Why it refused.
    ///
    /// # Errors
    /// When it did not.
    pub fn refusal(self) -> anyhow::Result<String> {
        match self {
            Self::Ok(value) => anyhow::bail!("the SDK believed {value}"),
            Self::Refused(why) => Ok(why),
        }
    }
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/counterparties")
}

/// Whether the SDKs are installed.
pub fn installed() -> bool {
    home().join(".sdk/installed").exists()
}

impl Sdk {
    /// Lets the SDK do something.
    ///
    /// # Errors
    /// When its process fails, which no refusal of the SDK does.
    pub async fn ask(&self, command: &Value) -> anyhow::Result<Told> {
        let mut child =
            self.process().spawn().with_context(|| format!("starting {}", self.name))?;
        let mut input = child.stdin.take().context("no standard input")?;
        input.write_all(&serde_json::to_vec(command)?).await?;
        drop(input);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.with_context(|| format!("{} did not answer in time", self.name))??;
        let said = String::from_utf8_lossy(&output.stdout);
        let answer: Value = serde_json::from_str(&said).with_context(|| {
            format!("{}: {said}{}", self.name, String::from_utf8_lossy(&output.stderr))
        })?;
        match (answer.get("ok"), answer.get("error").and_then(Value::as_str)) {
            (Some(value), None) => Ok(Told::Ok(value.clone())),
            (None, Some(why)) => Ok(Told::Refused(why.to_owned())),
            _ => anyhow::bail!("{} answered {answer}", self.name),
        }
    }

    fn process(&self) -> Command {
        let (home, name) = (home(), self.name);
        let mut command = match self.language {
            Language::Node => {
                let mut node = Command::new("node");
                node.arg(home.join(format!("drivers/{name}.cjs")));
                node.env("NODE_PATH", home.join(".sdk/node/node_modules"));
                node.env("TZ", "Asia/Shanghai");
                node
            }
            Language::Python => {
                let mut python = Command::new("python3");
                python.arg(home.join(format!("drivers/{name}.py")));
                python.env("PYTHONPATH", home.join(".sdk/python").join(name));
                // Alipay's timestamps are China's; this form needs no table of time zones.
                python.env("TZ", "CST-8");
                python.env("PYTHONDONTWRITEBYTECODE", "1");
                python
            }
        };
        for proxy in ["http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(proxy).env_remove(proxy.to_uppercase());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        command
    }
}
