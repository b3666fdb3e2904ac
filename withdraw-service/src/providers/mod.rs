//! Who pays: which provider carries out which method.

pub mod manual;
pub mod sandbox;

use std::sync::Arc;

use cashout_common::clock::Clock;

use crate::domain::method::Method;
use crate::ports::Provider;
use crate::store::Store;

/// Who carries a method out; a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channel {
    /// Nobody: requests are refused. What was requested before goes on.
    Off,
    /// The provider in this process.
    #[default]
    Sandbox,
}

impl std::str::FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "sandbox" => Ok(Self::Sandbox),
            _ => Err("must be `sandbox` or `off`".to_owned()),
        }
    }
}

/// All providers, and the channel of each method.
pub struct Providers {
    wechat: Channel,
    alipay: Channel,
    sandbox: Arc<sandbox::Sandbox>,
    others: Vec<Other>,
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

impl Providers {
    /// The providers of a service.
    #[must_use]
    pub fn new(wechat: Channel, alipay: Channel, store: Store, clock: Clock) -> Self {
        for (method, channel) in [("wechat", wechat), ("alipay", alipay)] {
            if channel == Channel::Sandbox {
                tracing::warn!(method, "payouts are simulated: nobody receives money");
            }
        }
        Self {
            wechat,
            alipay,
            sandbox: Arc::new(sandbox::Sandbox::new(store, clock)),
            others: Vec::new(),
        }
    }

    /// Adds a provider, and has it carry out its method from now on.
    pub fn add(&mut self, other: Other) {
        self.others.push(other);
    }

    /// The names of all providers, by name.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let others = self.others.iter().map(|other| other.name);
        let mut names: Vec<String> = others.chain([sandbox::NAME]).map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    /// The name of who carries a new request out; `None` when the method is switched off.
    #[must_use]
    pub fn for_method(&self, method: Method) -> Option<&'static str> {
        if let Some(other) = self.others.iter().find(|other| other.method == method) {
            return Some(other.name);
        }
        let channel = match method {
            Method::Manual => return Some(manual::NAME),
            Method::Wechat => self.wechat,
            Method::Alipay => self.alipay,
        };
        match channel {
            Channel::Off => None,
            Channel::Sandbox => Some(sandbox::NAME),
        }
    }

    /// The provider of that name: also of requests made before a channel was switched off.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Arc<dyn Provider>> {
        match name {
            sandbox::NAME => Some(self.sandbox.clone()),
            _ => {
                let other = self.others.iter().find(|other| other.name == name);
                other.map(|other| other.provider.clone())
            }
        }
    }
}
