//! A process and all that it started: their CPU time, memory and threads, out of `/proc`.

use std::collections::HashMap;
use std::fs;
use std::io;

/// A process and its descendants, as they were when this was made.
#[derive(Clone, Debug)]
pub struct Tree(Vec<u32>);

/// CPU time in seconds. The kernel tells it in ticks of 10 ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// In the program.
    pub user: f64,
    /// In the kernel on the program's behalf. On loopback, that includes the other side's receiving.
    pub system: f64,
}

impl CpuTime {
    /// Both.
    pub fn total(self) -> f64 {
        self.user + self.system
    }

    /// What was added since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// Resident memory in KiB. What the kernel keeps for sockets is not part of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// All pages; those that several processes of the tree share count for each.
    pub resident: f64,
    /// Pages, divided among those who share them.
    pub proportional: f64,
}

/// Ticks of `/proc` in a second: the kernel's USER_HZ, the same on all architectures that matter.
const TICKS: f64 = 100.0;
/// Where a `stat` file has the time of a process itself, counted as [`stat`] does; system follows user.
const UTIME: usize = 11;
/// Where it has that of its children which ended.
const CUTIME: usize = 13;

impl Tree {
    /// The process and all its descendants.
    ///
    /// Errors: `/proc` cannot be read.
    pub fn of(root: u32) -> io::Result<Self> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            let Some(parent) = stat(&format!("/proc/{pid}/stat"), 1) else { continue };
            children.entry(parent as u32).or_default().push(pid);
        }
        let mut tree = vec![root];
        let mut at = 0;
        while at < tree.len() {
            tree.extend(children.remove(&tree[at]).unwrap_or_default());
            at += 1;
        }
        Ok(Self(tree))
    }

    /// A process that has started no other.
    pub fn one(pid: u32) -> Self {
        Self(vec![pid])
    }

    /// Their numbers, parents first.
    pub fn pids(&self) -> &[u32] {
        &self.0
    }

    /// The CPU time of all of them, and of those that one of them started and that have ended.
    pub fn cpu_time(&self) -> CpuTime {
        let mut sum = CpuTime::default();
        for pid in &self.0 {
            for at in [UTIME, CUTIME] {
                let time = cpu_time(&format!("/proc/{pid}/stat"), at);
                sum.user += time.user;
                sum.system += time.system;
            }
        }
        sum
    }

    /// The CPU time of every thread of all of them, by number.
    pub fn threads(&self) -> HashMap<u32, f64> {
        let mut threads = HashMap::new();
        for pid in &self.0 {
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for name in tasks.flatten().map(|task| task.file_name()) {
                let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                let time = cpu_time(&format!("/proc/{pid}/task/{thread}/stat"), UTIME);
                threads.insert(thread, time.total());
            }
        }
        threads
    }

    /// The memory of all of them.
    pub fn memory(&self) -> Memory {
        let mut sum = Memory::default();
        for pid in &self.0 {
            let rollup =
                fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let field = |name| {
                let line = rollup.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
            };
            sum.resident += field("Rss:");
            sum.proportional += field("Pss:");
        }
        sum
    }
}

/// A number of a `stat` file, counted from what follows the name: 0 is the state, 1 the parent.
fn stat(path: &str, at: usize) -> Option<u64> {
    fields(&fs::read_to_string(path).ok()?)?.get(at)?.parse().ok()
}

fn cpu_time(path: &str, at: usize) -> CpuTime {
    let text = fs::read_to_string(path).unwrap_or_default();
    let fields = fields(&text).unwrap_or_default();
    let ticks = |at: usize| {
        let ticks: Option<f64> = fields.get(at).and_then(|ticks| ticks.parse().ok());
        ticks.unwrap_or_default() / TICKS
    };
    CpuTime { user: ticks(at), system: ticks(at + 1) }
}

/// What follows the name, which is in parentheses and may contain anything.
fn fields(text: &str) -> Option<Vec<&str>> {
    Some(text.rsplit_once(')')?.1.split_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_only_a_name() {
        let text = "12 (a) b (c) S 7 1 1 0 -1 0 0 0 0 0 150 50 0 0";
        let fields = fields(text).expect("fields");
        assert_eq!((fields[0], fields[1], fields[11], fields[12]), ("S", "7", "150", "50"));
    }

    #[test]
    fn a_tree_has_its_root_and_what_the_root_started() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let tree = Tree::of(std::process::id()).expect("/proc");
        assert_eq!(tree.pids()[0], std::process::id());
        assert!(tree.pids().contains(&child.id()));
        assert!(tree.memory().resident > 100.0 && !tree.threads().is_empty());
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
}
