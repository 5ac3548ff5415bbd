//! How busy the machine is, and who with: the conditions under which something was measured.

use std::fs;

use serde::{Deserialize, Serialize};

/// Times since the start of the machine, in ticks.
#[derive(Clone, Debug)]
pub struct Clocks(Vec<Clock>);

#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    idle: u64,
    steal: u64,
    total: u64,
}

/// What it was like while something was measured.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Conditions {
    /// The load average of the last minute, afterwards.
    pub load_average: f64,
    /// The share of all CPU time that the hypervisor gave to others, in percent.
    pub steal: f64,
    /// How busy the gateway's CPU was, whoever with, in percent.
    pub gateway_cpu: f64,
    /// How busy the CPU of the origin and the load generator was.
    pub load_cpu: f64,
}

impl Clocks {
    /// As they are now.
    pub fn now() -> Self {
        Self::read(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn read(text: &str) -> Self {
        let clocks = text.lines().filter_map(|line| {
            let (name, times) = line.split_once(' ')?;
            name.starts_with("cpu").then_some(())?;
            let times: Vec<u64> = times.split_whitespace().flat_map(str::parse).collect();
            let at = |at: usize| times.get(at).copied().unwrap_or_default();
            // user, nice, system, idle, iowait, irq, softirq, steal; what guests use is in the first two.
            Some(Clock { idle: at(3) + at(4), steal: at(7), total: times.iter().take(8).sum() })
        });
        Self(clocks.collect())
    }

    /// What it was like since `earlier`, on these CPUs.
    pub fn conditions(&self, earlier: &Self, gateway: usize, load: usize) -> Conditions {
        let span = |at: usize| {
            let now = self.0.get(at).copied().unwrap_or_default();
            let then = earlier.0.get(at).copied().unwrap_or_default();
            let total = (now.total - then.total).max(1) as f64;
            let busy = total - (now.idle - then.idle) as f64;
            (100.0 * busy / total, 100.0 * (now.steal - then.steal) as f64 / total)
        };
        // The first line is that of all CPUs.
        Conditions {
            load_average: load_average(),
            steal: span(0).1,
            gateway_cpu: span(gateway + 1).0,
            load_cpu: span(load + 1).0,
        }
    }
}

/// The load average of the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_not_idle() {
        let then = Clocks::read("cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0\ncpu1 0 0 0 0\nintr 5\n");
        let now = Clocks::read(
            "cpu  60 0 60 60 0 0 0 20 0 0\ncpu0 40 0 40 10 10 0 0 0 0 0\ncpu1 20 0 20 40 0 0 0 20 0 0\n",
        );
        let conditions = now.conditions(&then, 1, 0);
        assert_eq!((conditions.gateway_cpu, conditions.load_cpu), (60.0, 80.0));
        assert_eq!(conditions.steal, 10.0);
    }
}
