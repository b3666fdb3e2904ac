//! Our own door for notifications, to which tests deliver what SDKs made: the gateway of a whole system
//! that pays through the simulator. Must not know: any SDK.

use anyhow::Context;
use cashout_common::settings::Values;
use serde_json::Value;
use tempfile::TempDir;

use crate::world::World;

/// What the door answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// HTTP status.
    pub status: u16,
    /// As it came.
    pub body: String,
}

/// The door, and the system behind it.
pub struct Endpoint {
    system: cashout::System,
    client: reqwest::Client,
    _data: TempDir,
}

impl Endpoint {
    /// Starts a system on SQLite with the keys that the simulator made for its merchant.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn open(world: &World) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let mut set = vec![
            ("CASHOUT_DATA_DIR", data.path().display().to_string()),
            ("GATEWAY_LISTEN", "127.0.0.1:0".to_owned()),
            ("ACCOUNT_LISTEN", "127.0.0.1:0".to_owned()),
            ("WITHDRAW_LISTEN", "127.0.0.1:0".to_owned()),
        ];
        set.extend(world.settings());
        let set: Vec<(&'static str, &str)> = set.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let mut values = Values::given(&cashout::settings::table(), &set);
        let config = cashout::Config::read(&mut values);
        let real = cashout_common::world::World::real();
        let system = cashout::start(values.finish(config)?, real).await?;
        system.ready().await?;
        Ok(Self { system, client: reqwest::Client::new(), _data: data })
    }

    /// Delivers a notification `{headers, body}` to `/notify/{provider}`, byte by byte.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn deliver(&self, provider: &str, made: &Value) -> anyhow::Result<Acknowledged> {
        let url = format!("http://{}/notify/{provider}", self.system.gateway());
        let body = made["body"].as_str().context("no body")?;
        let mut call = self.client.post(url).body(body.to_owned());
        for (name, value) in made["headers"].as_object().context("no headers")? {
            call = call.header(name, value.as_str().context("a header that is no text")?);
        }
        let answer = call.send().await?;
        Ok(Acknowledged { status: answer.status().as_u16(), body: answer.text().await? })
    }
}
