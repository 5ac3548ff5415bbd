//! What the machine is, for those who read the figures elsewhere.

use std::fs;

use serde::{Deserialize, Serialize};

use super::cpus::Cpus;

/// A machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many CPUs a run may use.
    pub cpus: usize,
    /// Memory in GiB.
    pub memory_gib: f64,
    /// The kernel's name and release.
    pub kernel: String,
    /// The distribution.
    pub system: String,
    /// How many files a process may open.
    pub files: u64,
    /// Which CPUs were used, and for what.
    pub placement: String,
}

impl Machine {
    /// This one.
    pub fn this(cpus: &Cpus, files: u64) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let names = || processors.lines().filter_map(|line| line.strip_prefix("model name"));
        let release = read("/etc/os-release");
        let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        let memory = read("/proc/meminfo");
        let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib: Option<f64> =
            memory.and_then(|memory| memory.split_whitespace().next()?.parse().ok());
        let shared = if cpus.share_a_core() { ", two threads of one core" } else { "" };
        Self {
            processor: names()
                .next()
                .unwrap_or("?")
                .trim_start_matches([' ', '\t', ':'])
                .to_owned(),
            cpus: cpus.count,
            memory_gib: kib.unwrap_or_default() / 1024.0 / 1024.0,
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            system: system.unwrap_or("?").trim_matches('"').to_owned(),
            files,
            placement: format!(
                "gateway on CPU {}, origin and load generator on CPU {}{shared}",
                cpus.gateway, cpus.load
            ),
        }
    }
}
