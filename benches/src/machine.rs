//! What a run ran on, so that its figures can be placed. Nothing in here names a person or a path.

use std::process::Command;

use serde::Serialize;

/// The machine and the version.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub processors: usize,
    /// What they call themselves.
    pub model: String,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// From when on the kernel writes back what files have in memory: while it does, nothing else is durable soon.
    pub writes_back: String,
    /// Whether the kernel shares the processors among sessions before it does among threads, outside of control groups
    /// (`kernel.sched_autogroup_enabled`). PostgreSQL makes a session of each of its processes.
    pub autogroup: &'static str,
    /// Of this workspace.
    pub version: &'static str,
    /// Of its source, if it is known; `+` when it was changed since.
    pub revision: String,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
            value.unwrap_or("unknown").to_owned()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let memory_kib: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        Self {
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            model: field(&read("/proc/cpuinfo"), "model name"),
            memory_mib: memory_kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            writes_back: writes_back(),
            autogroup: autogroup(&read("/proc/sys/kernel/sched_autogroup_enabled")),
            version: env!("CARGO_PKG_VERSION"),
            revision: revision().unwrap_or_else(|| "unknown".to_owned()),
        }
    }
}

/// `vm.dirty_background_bytes`, or the share of memory that holds where that is 0; and `vm.dirty_expire_centisecs`.
fn writes_back() -> String {
    let setting = |name| read(&format!("/proc/sys/vm/dirty_{name}")).trim().parse::<u64>().ok();
    let (bytes, percent) = (setting("background_bytes"), setting("background_ratio"));
    let (Some(bytes), Some(percent), Some(old)) = (bytes, percent, setting("expire_centisecs"))
    else {
        return "nobody knows when".to_owned();
    };
    let from = if bytes == 0 { format!("{percent} % of memory") } else { format!("{bytes} bytes") };
    format!("from {from} on, or after {} ms", old * 10)
}

/// What `kernel.sched_autogroup_enabled` says.
fn autogroup(setting: &str) -> &'static str {
    match setting.trim() {
        "0" => "off",
        "1" => "on",
        _ => "not there",
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn revision() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    Some(if changed { format!("{head}+") } else { head })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_whether_sessions_share_the_processors() {
        let told = ["0\n", "1\n", ""].map(autogroup);
        assert_eq!(told, ["off", "on", "not there"]);
    }
}
