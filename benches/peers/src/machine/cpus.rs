//! Which CPUs a benchmark uses, and keeping processes on them.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The two CPUs of a benchmark.
#[derive(Clone, Copy, Debug)]
pub struct Cpus {
    /// The gateway's.
    pub gateway: usize,
    /// The origin's and the load generator's.
    pub load: usize,
    /// How many there are.
    pub count: usize,
}

/// Where a process may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the gateway's CPU alone.
    Gateway,
    /// On the other one.
    Load,
    /// On both.
    Both,
}

impl Cpus {
    /// Two of those that this process may use, of different cores if there are any.
    ///
    /// Errors: there is only one.
    pub fn choose() -> io::Result<Self> {
        let allowed = sched_getaffinity(None)?;
        let mut usable = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        let few = || io::Error::other("two CPUs are needed: one for the gateway, one for the load");
        let load = usable.next().ok_or_else(few)?;
        let others: Vec<usize> = usable.collect();
        let siblings = siblings(load);
        let apart =
            others.iter().find(|cpu| siblings.as_deref() != self::siblings(**cpu).as_deref());
        let gateway = apart.or(others.first()).copied().ok_or_else(few)?;
        Ok(Self { gateway, load, count: others.len() + 1 })
    }

    /// Whether both are threads of one core, so that either slows the other down.
    pub fn share_a_core(&self) -> bool {
        let siblings = siblings(self.load);
        siblings.is_some() && siblings == self::siblings(self.gateway)
    }

    /// Runs this thread there from now on, and what it starts.
    pub fn go_to(&self, place: Place) -> io::Result<()> {
        let mut set = CpuSet::new();
        if place != Place::Load {
            set.set(self.gateway);
        }
        if place != Place::Gateway {
            set.set(self.load);
        }
        Ok(sched_setaffinity(None, &set)?)
    }
}

/// The CPUs of one core, as the kernel writes them; `None` where it does not say.
fn siblings(cpu: usize) -> Option<String> {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    fs::read_to_string(path).ok()
}

/// Lets this process, and what it starts, open as many files as it may: that many, at most a million.
pub fn allow_files() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(1 << 20);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum })?;
    Ok(most)
}
