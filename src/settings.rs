//! All settings of the system in one table, and where the services are found.
//!
//! Each service declares its own; here they are put together. The README's table is printed from it
//! and a test compares. Must not know: what a service does with a setting.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cashout_common::settings::{SHARED, Setting, Values};

/// Every setting once, shared ones first, then by service.
#[must_use]
pub fn table() -> Vec<Setting> {
    let mut table: Vec<Setting> = Vec::new();
    for (_, settings) in sections() {
        for setting in settings {
            if !table.iter().any(|known| known.name == setting.name) {
                table.push(*setting);
            }
        }
    }
    table
}

/// Who reads which settings; one that several read stands in several.
#[must_use]
pub fn sections() -> [(&'static str, &'static [Setting]); 5] {
    [
        ("all", SHARED),
        ("account", account_service::SETTINGS),
        ("withdraw", withdraw_service::SETTINGS),
        ("gateway", gateway::SETTINGS),
        ("sandbox", sandbox::SETTINGS),
    ]
}

/// The table as it stands in the README.
#[must_use]
pub fn markdown() -> String {
    let mut text =
        "| setting | flag | default | read by | what it is |\n|---|---|---|---|---|\n".to_owned();
    for setting in table() {
        let default = match (setting.secret, setting.default) {
            (true, _) => "– (secret)".to_owned(),
            (false, "") => "–".to_owned(),
            (false, default) => format!("`{default}`"),
        };
        let readers: Vec<&str> = sections()
            .iter()
            .filter(|(_, settings)| settings.iter().any(|s| s.name == setting.name))
            .map(|(who, _)| *who)
            .collect();
        let doc = setting.doc.replace('|', "\\|");
        text += &format!(
            "| `{}` | `--{}` | {default} | {} | {doc} |\n",
            setting.name,
            setting.flag(),
            readers.join(", "),
        );
    }
    text
}

/// The address at which a service of this system is reached from this machine: `address` when it is
/// set, else where the service listens.
#[must_use]
pub fn address(values: &Values, address: &'static str, listen: &'static str) -> String {
    if values.is_set(address) || !values.is_set(listen) {
        return values.text(address);
    }
    let listen = values.text(listen);
    listen.parse().map_or_else(|_| format!("http://{listen}"), reachable)
}

/// The URL of a listener: one that listens everywhere is reached on loopback.
#[must_use]
pub fn reachable(mut listener: SocketAddr) -> String {
    if listener.ip().is_unspecified() {
        listener.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    format!("http://{listener}")
}
