//! How many CPUs this process may use: its affinity and its cgroup's quota, whichever is less.
//!
//! The standard library rounds a quota down (1.5 CPUs would be one worker); here it is rounded up.
//! Outside Linux, and where nothing can be read, the standard library's answer is taken.

use std::path::Path;

/// The number of workers that can run at the same time; at least 1.
pub fn usable() -> usize {
    let affinity = read("/proc/self/status").as_deref().and_then(affinity);
    let Some(affinity) = affinity else {
        return std::thread::available_parallelism().map_or(1, usize::from);
    };
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    match quota(&groups, &|path| read(path)) {
        Some(quota) => affinity.min(quota).max(1),
        None => affinity,
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Counts the CPUs of `Cpus_allowed_list: 0-3,8` (proc(5)); `None` when the line is not there.
fn affinity(status: &str) -> Option<usize> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let mut count = 0;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
    }
    Some(count)
}

/// The smallest quota of the process's cgroup and its ancestors, in CPUs rounded up; `None`: no quota.
///
/// `groups` is the text of `/proc/self/cgroup`: `0::/path` for version 2, `4:cpu,cpuacct:/path` for
/// version 1 (cgroups(7)). In a container the path may be that of the host; the root is tried as well.
fn quota(groups: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<usize> {
    let mut smallest: Option<usize> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let limit_of = |group: &str| match controllers {
            "" => version_2(&read(&format!("/sys/fs/cgroup{group}/cpu.max"))?),
            _ if controllers.split(',').any(|name| name == "cpu") => version_1(
                &read(&format!("/sys/fs/cgroup/cpu{group}/cpu.cfs_quota_us"))?,
                &read(&format!("/sys/fs/cgroup/cpu{group}/cpu.cfs_period_us"))?,
            ),
            _ => None,
        };
        let mut group = path.trim_end_matches('/');
        loop {
            if let Some(limit) = limit_of(group) {
                smallest = Some(smallest.map_or(limit, |least| least.min(limit)));
            }
            let Some(slash) = group.rfind('/') else { break };
            group = &group[..slash];
        }
    }
    smallest
}

/// `150000 100000` is 1.5 CPUs, `max 100000` is no quota (the kernel's cgroup-v2 document, cpu.max).
fn version_2(text: &str) -> Option<usize> {
    let (quota, period) = text.trim().split_once(' ')?;
    rounded_up(quota.parse().ok()?, period.parse().ok()?)
}

/// A quota of -1 is none.
fn version_1(quota: &str, period: &str) -> Option<usize> {
    rounded_up(quota.trim().parse().ok()?, period.trim().parse().ok()?)
}

fn rounded_up(quota: u64, period: u64) -> Option<usize> {
    if period == 0 {
        return None;
    }
    usize::try_from(quota.div_ceil(period)).ok().map(|cpus| cpus.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_affinity_list_is_counted() {
        for (list, count) in
            [("0-3", Some(4)), ("0", Some(1)), ("0-1,4,6-7", Some(5)), ("x", None), ("3-1", None)]
        {
            assert_eq!(
                affinity(&format!("Name:\tegret\nCpus_allowed_list:\t{list}\n")),
                count,
                "{list}"
            );
        }
        assert_eq!(affinity("Name:\tegret\n"), None);
    }

    #[test]
    fn the_smallest_quota_counts_rounded_up() {
        let files = |table: &'static [(&str, &str)]| {
            move |path: &str| {
                table.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
            }
        };
        type Case = (&'static str, &'static [(&'static str, &'static str)], Option<usize>);
        let cases: [Case; 6] = [
            ("0::/", &[("/sys/fs/cgroup/cpu.max", "150000 100000\n")], Some(2)),
            ("0::/", &[("/sys/fs/cgroup/cpu.max", "max 100000\n")], None),
            (
                "0::/a/b",
                &[
                    ("/sys/fs/cgroup/a/b/cpu.max", "400000 100000"),
                    ("/sys/fs/cgroup/a/cpu.max", "50000 100000"),
                ],
                Some(1),
            ),
            (
                "4:cpu,cpuacct:/x",
                &[
                    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000"),
                    ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"),
                ],
                Some(3),
            ),
            (
                "4:cpu:/",
                &[
                    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1"),
                    ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"),
                ],
                None,
            ),
            ("nonsense", &[], None),
        ];
        for (groups, table, expected) in cases {
            assert_eq!(quota(groups, &files(table)), expected, "{groups} {table:?}");
        }
    }

    #[test]
    fn this_machine_has_at_least_one() {
        assert!(usable() >= 1);
    }
}
