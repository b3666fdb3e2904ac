//! What processes cost, read from the kernel. Must not know: whose they are.

use serde::Serialize;

/// Microseconds of one tick of the kernel's accounts: 100 a second on every Linux we know.
const TICK_US: u64 = 10_000;

/// CPU time of a process, its ended threads included, microseconds; 0 when it is gone.
pub fn cpu_us(pid: u32) -> u64 {
    stat(&pid.to_string()).map_or(0, |stat| stat.own)
}

/// CPU time of a process, of the children it has and of those that ended, microseconds.
pub fn family_cpu_us(pid: u32) -> u64 {
    let parent = stat(&pid.to_string()).map_or(0, |stat| stat.own + stat.ended_children);
    let Ok(processes) = std::fs::read_dir("/proc") else { return parent };
    let names = processes.flatten().filter_map(|p| p.file_name().into_string().ok());
    let names = names.filter(|name| name.bytes().all(|b| b.is_ascii_digit()));
    let children = names.filter_map(|name| stat(&name)).filter(|stat| stat.parent == pid);
    parent + children.map(|stat| stat.own).sum::<u64>()
}

/// Memory of a process, KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Resident now.
    pub resident_kib: u64,
    /// The most that ever was.
    pub peak_kib: u64,
}

/// What a process holds in memory.
pub fn memory(pid: u32) -> Memory {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches("kB").trim().parse().ok()
    };
    Memory {
        resident_kib: number("VmRSS:").unwrap_or_default(),
        peak_kib: number("VmHWM:").unwrap_or_default(),
    }
}

/// Time that the machine's processors were busy, and all time they had, microseconds.
pub fn machine_us() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    busy_and_all(text.lines().next().unwrap_or_default())
}

/// Fields: user nice system idle iowait irq softirq steal; what follows is contained in the first two.
fn busy_and_all(line: &str) -> (u64, u64) {
    let ticks = line.split_whitespace().skip(1).take(8).map(|t| t.parse().unwrap_or_default());
    let ticks: Vec<u64> = ticks.collect();
    let all: u64 = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    ((all - idle) * TICK_US, all * TICK_US)
}

struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

fn stat(pid: &str) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(text: &str) -> Option<Stat> {
    // The second field is a name in parentheses and may contain anything.
    let (_, after) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: (ticks(11)? + ticks(12)?) * TICK_US,
        ended_children: (ticks(13)? + ticks(14)?) * TICK_US,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let line = "7 (a) b) S 3 7 7 0 -1 4194560 10 0 0 0 21 4 6 5 20 0 1 0 9 1 2";
        let stat = parse(line).map(|s| (s.parent, s.own, s.ended_children));
        assert_eq!(stat, Some((3, 250_000, 110_000)));
        assert_eq!(busy_and_all("cpu  1 2 3 100 20 4 5 6 7 8"), (210_000, 1_410_000));
    }

    #[test]
    fn this_process_has_memory_and_strangers_cost_nothing() {
        let memory = memory(std::process::id());
        assert!(memory.resident_kib > 0 && memory.peak_kib >= memory.resident_kib);
        assert_eq!(cpu_us(0), 0);
        assert_eq!(family_cpu_us(0), family_cpu_us(0));
    }
}
