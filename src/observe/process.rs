//! What the operating system says of this process and its machine, as far as `/proc` says it.
//!
//! Read at the start or at a scrape, never on a request's path. Elsewhere than on Linux every answer is `None`.

use std::fs;

/// Resident memory, in bytes (`VmRSS`: unlike `statm`, it needs no page size).
pub fn resident_bytes() -> Option<u64> {
    vm_rss(&fs::read_to_string("/proc/self/status").ok()?)
}

/// The name of this machine, or of the pod.
pub fn hostname() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

/// Open file descriptors, the one that looks included.
pub fn open_fds() -> Option<u64> {
    u64::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

fn vm_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        let status = "Name:\tegret\nVmHWM:\t  9000 kB\nVmRSS:\t    8124 kB\n";
        assert_eq!(vm_rss(status), Some(8124 * 1024));
        assert_eq!(vm_rss("Name:\tegret\n"), None);
        assert_eq!(vm_rss("VmRSS:\tlots kB\n"), None);
    }
}
