//! What the operating system says that processes have used.

use std::fs;

/// A tick of `/proc/PID/stat`, everywhere on Linux.
pub(super) const TICKS_PER_SEC: f64 = 100.0;

/// Seconds of a core that the process and its children have used, user and system.
pub(super) fn cpu_secs(pid: u32) -> f64 {
    tree(pid).into_iter().filter_map(ticks).sum::<u64>() as f64 / TICKS_PER_SEC
}

/// The peak of the resident memory of each, added up.
pub(super) fn peak_kb(pid: u32) -> u64 {
    tree(pid).into_iter().filter_map(|pid| status_kb(pid, "VmHWM:")).sum()
}

/// A line of `/proc/PID/status` that is in KB.
pub(super) fn status_kb(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

fn tree(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        at += 1;
    }
    all
}

/// `utime` and `stime`, the 14th and 15th word; the second may hold spaces, and ends with the last `)`.
fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(words.get(11)?.parse::<u64>().ok()? + words.get(12)?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_uses_is_counted() {
        let me = std::process::id();
        let before = cpu_secs(me);
        let mut sum = 0_u64;
        while cpu_secs(me) < before + 0.02 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(peak_kb(me) > 0 && ticks(u32::MAX).is_none());
    }
}
