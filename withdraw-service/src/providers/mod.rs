//! Who pays: which provider carries out which method.

pub mod alipay;
pub mod http;
pub mod manual;
mod observe;
pub mod sandbox;
pub mod settings;
pub mod told;
pub mod wechat;
mod written;

use std::sync::Arc;
use std::time::Duration;

use cashout_common::clock::SECOND_US;
use cashout_common::settings::Values;
use cashout_common::world::World;

use crate::domain::method::Method;
use crate::ports::Provider;
use crate::store::Store;
use alipay::Alipay;
use http::{Http, Patience};
use wechat::Wechat;

/// Who carries a method out; a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    /// Nobody: requests are refused. What was requested before goes on.
    #[default]
    Off,
    /// The provider in this process: nobody receives money.
    Sandbox,
    /// The provider the method is named after.
    Real,
}

impl Channel {
    /// Reads a setting; `real` is the word for the real provider.
    fn read(text: &str, real: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "sandbox" => Ok(Self::Sandbox),
            _ if text == real => Ok(Self::Real),
            _ => Err(format!("must be `{real}`, `sandbox` or `off`")),
        }
    }
}

/// Who carries out what, and how the real providers are reached. One that is configured goes on with what
/// it was asked to pay when its method is switched off or to the sandbox.
#[derive(Debug, Clone, Default)]
pub struct Channels {
    /// Who pays by WeChat.
    pub wechat: Channel,
    /// Who pays by Alipay.
    pub alipay: Channel,
    /// WeChat Pay, when it is configured.
    pub merchant: Option<Arc<wechat::Merchant>>,
    /// Alipay, when it is configured.
    pub application: Option<Arc<alipay::Application>>,
}

impl Channels {
    /// The provider in this process for both.
    #[must_use]
    pub fn sandbox() -> Self {
        Self { wechat: Channel::Sandbox, alipay: Channel::Sandbox, ..Self::default() }
    }

    /// Reads the settings; mistakes stay in `values`.
    pub fn read(values: &mut Values) -> Option<Self> {
        let wechat = values.read("WECHAT_PROVIDER", |text| Channel::read(text, wechat::NAME));
        let alipay = values.read("ALIPAY_PROVIDER", |text| Channel::read(text, alipay::NAME));
        let needed =
            |channel, values: &Values, name| channel == Some(Channel::Real) || values.is_set(name);
        // Both are read before anything is given up, so that every mistake is told.
        let merchant =
            needed(wechat, values, "WECHAT_MCH_ID").then(|| wechat::Merchant::read(values));
        let application =
            needed(alipay, values, "ALIPAY_APP_ID").then(|| alipay::Application::read(values));
        let merchant = merchant.map_or(Some(None), |read| read.map(Arc::new).map(Some))?;
        let application = application.map_or(Some(None), |read| read.map(Arc::new).map(Some))?;
        Some(Self { wechat: wechat?, alipay: alipay?, merchant, application })
    }
}

/// All providers, and the channel of each method.
pub struct Providers {
    wechat: Channel,
    alipay: Channel,
    all: Vec<Named>,
    /// Methods that a provider was added for.
    taken: Vec<(Method, &'static str)>,
}

/// A provider that is added to those of the settings.
#[derive(Clone)]
pub struct Other {
    /// Its name on a withdrawal.
    pub name: &'static str,
    /// What it carries out from now on.
    pub method: Method,
    /// It.
    pub provider: Arc<dyn Provider>,
}

/// A provider with its name.
pub type Named = (&'static str, Arc<dyn Provider>);

impl Providers {
    /// The providers of a service that waits for a call for so long.
    ///
    /// # Errors
    /// When a real provider is configured and HTTPS cannot be set up on this machine.
    pub fn new(
        channels: &Channels,
        store: Store,
        world: &World,
        call_timeout: Duration,
    ) -> Result<Self, String> {
        for (method, channel) in [("wechat", channels.wechat), ("alipay", channels.alipay)] {
            if channel == Channel::Sandbox {
                tracing::warn!(method, "payouts are simulated: nobody receives money");
            }
        }
        let sandbox = sandbox::Sandbox::new(store, world.clock.clone());
        let mut all = rails(channels, world, Patience::of_payouts(call_timeout))?;
        all.push((sandbox::NAME, Arc::new(sandbox)));
        Ok(Self { wechat: channels.wechat, alipay: channels.alipay, all, taken: Vec::new() })
    }

    /// Adds a provider, in place of one of the same name, and has it carry out its method from now on.
    pub fn add(&mut self, other: Other) {
        let Other { name, method, provider } = other;
        self.all.retain(|(known, _)| *known != name);
        self.all.push((name, provider));
        self.taken.push((method, name));
    }

    /// The names of all providers, by name.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.all.iter().map(|(name, _)| (*name).to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// The name of who carries a new request out; `None` when the method is switched off.
    #[must_use]
    pub fn for_method(&self, method: Method) -> Option<&'static str> {
        if let Some((_, name)) = self.taken.iter().find(|(taken, _)| *taken == method) {
            return Some(name);
        }
        let (channel, real) = match method {
            Method::Manual => return Some(manual::NAME),
            Method::Wechat => (self.wechat, wechat::NAME),
            Method::Alipay => (self.alipay, alipay::NAME),
        };
        match channel {
            Channel::Off => None,
            Channel::Sandbox => Some(sandbox::NAME),
            Channel::Real => Some(real),
        }
    }

    /// The provider of that name: also of requests made before a channel was switched off.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Arc<dyn Provider>> {
        let found = self.all.iter().find(|(known, _)| *known == name);
        found.map(|(_, provider)| provider.clone())
    }

    /// Every provider that is configured, with its name.
    #[must_use]
    pub fn all(&self) -> &[Named] {
        &self.all
    }
}

/// The real providers that are configured.
///
/// # Errors
/// When there is no TLS on this machine.
pub fn rails(channels: &Channels, world: &World, patience: Patience) -> Result<Vec<Named>, String> {
    let merchant = channels.merchant.as_ref().map(|merchant| (wechat::NAME, &merchant.url));
    let application = channels.application.as_ref().map(|own| (alipay::NAME, &own.url));
    let mut all: Vec<Named> = Vec::new();
    let urls: Vec<_> = merchant.into_iter().chain(application).collect();
    for (provider, _) in urls.iter().filter(|(_, url)| url.scheme() == "http") {
        tracing::warn!(provider, "payouts go to a simulator: nobody receives money");
    }
    if urls.is_empty() {
        return Ok(all);
    }
    let https = urls.iter().any(|(_, url)| url.scheme() == "https");
    let http = Http::new(patience, https)?;
    if let Some(merchant) = &channels.merchant {
        warn_of_end("WECHAT_MERCHANT_CERT_FILE", merchant.valid_until_s, world);
        let rail = Wechat::new(merchant.clone(), http.clone(), world.clone());
        all.push((wechat::NAME, Arc::new(rail)));
    }
    if let Some(application) = &channels.application {
        warn_of_end("ALIPAY_APP_CERT_FILE", application.valid_until_s, world);
        let rail = Alipay::new(application.clone(), http, world.clone());
        all.push((alipay::NAME, Arc::new(rail)));
    }
    Ok(all)
}

/// Warns a month before a certificate of ours ends: the provider refuses everything from then on.
fn warn_of_end(setting: &'static str, valid_until_s: i64, world: &World) {
    let days_left = (valid_until_s - world.clock.now_us() / SECOND_US) / 86_400;
    if days_left < 30 {
        tracing::warn!(setting, days_left, "this certificate ends soon; put a new one in place");
    }
}

/// Checks that a text is a day, `yyyy-MM-dd`.
fn is_day(text: &str) -> Result<(), String> {
    let day: Option<jiff::civil::Date> = text.parse().ok();
    let same = day.is_some_and(|day| day.to_string() == text);
    if same { Ok(()) } else { Err("must be a day like 2021-03-15".to_owned()) }
}
