//! What became of the requests so far.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::client::Answer;
use crate::statistics::Histogram;
use crate::work::{PERCENTILES, Summary};

/// Counts of one piece of work.
pub struct Tally {
    expect: u16,
    began: Instant,
    cpu_began: f64,
    counts: RefCell<Counts>,
}

struct Counts {
    times: Histogram,
    failures: u64,
    unsent: u64,
    reconnects: u64,
    bytes: u64,
    ended: Instant,
    statuses: BTreeMap<u16, u64>,
    first_failure: Option<String>,
}

impl Tally {
    /// An empty one, from now on; answers should have this status.
    pub fn new(expect: u16) -> Self {
        let began = Instant::now();
        let counts = Counts {
            times: Histogram::new(),
            failures: 0,
            unsent: 0,
            reconnects: 0,
            bytes: 0,
            ended: began,
            statuses: BTreeMap::new(),
            first_failure: None,
        };
        Self { expect, began, cpu_began: cpu_seconds(), counts: RefCell::new(counts) }
    }

    /// A request that should have been sent at `since` has this answer, or failed.
    pub fn record(&self, since: Instant, outcome: &io::Result<Answer>) {
        let now = Instant::now();
        let mut counts = self.counts.borrow_mut();
        counts.ended = now;
        match outcome {
            Ok(answer) => {
                *counts.statuses.entry(answer.status).or_default() += 1;
                counts.bytes += answer.bytes;
                if answer.status == self.expect {
                    counts.times.record((now - since).as_nanos() as u64);
                } else {
                    counts.fail(&format!("status {}", answer.status));
                }
            }
            Err(error) => counts.fail(&error.to_string()),
        }
    }

    /// So many requests have no answer, and nobody waits for them any more.
    pub fn gave_up(&self, requests: u64, waited: Duration) {
        if requests > 0 {
            let mut counts = self.counts.borrow_mut();
            counts.fail(&format!("no answer {} s after the end", waited.as_secs()));
            counts.failures += requests - 1;
        }
    }

    /// So many requests were due and could not be sent.
    pub fn unsent(&self, requests: u64) {
        self.counts.borrow_mut().unsent += requests;
    }

    /// A connection was replaced.
    pub fn reconnected(&self) {
        self.counts.borrow_mut().reconnects += 1;
    }

    /// Prints all of it.
    pub fn print(&self) -> io::Result<()> {
        println!("{}", serde_json::to_string(&self.summary())?);
        Ok(())
    }

    fn summary(&self) -> Summary {
        let counts = self.counts.borrow();
        Summary {
            requests: counts.times.count(),
            failures: counts.failures,
            unsent: counts.unsent,
            reconnects: counts.reconnects,
            seconds: (counts.ended - self.began).as_secs_f64(),
            cpu_seconds: cpu_seconds() - self.cpu_began,
            bytes: counts.bytes,
            statuses: counts.statuses.clone(),
            first_failure: counts.first_failure.clone(),
            mean_us: counts.times.mean() / 1e3,
            latency_us: PERCENTILES
                .iter()
                .map(|percent| counts.times.percentile(*percent) as f64 / 1e3)
                .collect(),
        }
    }
}

/// The CPU time of this process.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

impl Counts {
    fn fail(&mut self, why: &str) {
        self.failures += 1;
        self.first_failure.get_or_insert_with(|| why.to_owned());
    }
}
