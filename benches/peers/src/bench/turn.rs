//! One gateway's turn in one round of an experiment: what experiments are written with.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::Bench;
use super::generator::Generator;
use super::origins::{Kind, Origin};
use super::results::Sample;
use super::started::Started;
use super::strace::Strace;
use crate::gateways::{Clients, Gateway, Routes, Setup, Upstream};
use crate::machine::conditions::{Clocks, Conditions};
use crate::machine::process::{CpuTime, Tree};
use crate::work::{HOST, Payload, Protocol, Shape, Summary, Until, Work};

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// All of it in minutes.
    Quick,
    /// Enough for figures to be told.
    Full,
}

/// A gateway's turn.
pub struct Turn<'b> {
    /// The run.
    pub bench: &'b Bench,
    /// Whose turn it is.
    pub gateway: &'b dyn Gateway,
    /// The experiment's name.
    pub experiment: &'static str,
    /// Which round it is.
    pub round: u32,
    /// All samples so far, of earlier turns too.
    pub samples: &'b RefCell<Vec<Sample>>,
    /// What was left out so far.
    pub omissions: &'b RefCell<Vec<String>>,
}

/// What was measured of a piece of work.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What the load generator saw.
    pub summary: Summary,
    /// What the gateway used.
    pub cpu: CpuTime,
    /// The share of it that its busiest thread used, in percent.
    pub busiest: f64,
    /// What the origin and the load generator used, in seconds.
    pub load: f64,
    /// What the machine was like.
    pub conditions: Conditions,
}

impl Turn<'_> {
    /// `quick` or `full`, whichever is asked for.
    pub fn either<T>(&self, quick: T, full: T) -> T {
        match self.bench.scale {
            Scale::Quick => quick,
            Scale::Full => full,
        }
    }

    /// How long a loop at full speed runs, in seconds.
    pub fn seconds(&self) -> f64 {
        self.either(1.5, 4.0)
    }

    /// The origin of a kind.
    ///
    /// Errors: it cannot be started.
    pub fn origin(&self, kind: Kind) -> io::Result<Rc<Origin>> {
        self.bench.origins.of(kind, &self.bench.children, &self.bench.pki)
    }

    /// One worker, one host, HTTP/1.1, no access log: what experiments change from.
    ///
    /// Errors: no port is free, or files cannot be written.
    pub fn setup(&self, origin: &Origin) -> io::Result<Setup> {
        Ok(Setup {
            port: self.bench.ports.free()?,
            admin: self.bench.ports.free()?,
            workers: 1,
            origin: origin.port,
            ca: self.bench.pki.ca.clone(),
            routes: Routes::One,
            upstream: Upstream::Http1,
            clients: Clients::Http1,
            access_log: false,
            dns: None,
            files: self.bench.files,
            directory: self.bench.fresh_directory()?,
        })
    }

    /// Starts the gateway, and waits until it reaches the origin.
    ///
    /// Errors: it does not.
    pub fn start(&self, setup: Setup) -> io::Result<Started> {
        let started = self.start_cold(setup)?;
        if started.setup.clients == Clients::Http1 {
            started.reach_origin()?;
        }
        Ok(started)
    }

    /// Starts the gateway, which has sent nothing to the origin then.
    ///
    /// Errors: it does not start.
    pub fn start_cold(&self, setup: Setup) -> io::Result<Started> {
        Started::start(self.gateway, setup, &self.bench.children)
    }

    /// The gateway as most experiments want it: [`setup`](Self::setup), started.
    ///
    /// Errors: it cannot be.
    pub fn usual(&self) -> io::Result<Started> {
        self.start(self.setup(&*self.origin(Kind::default())?)?)
    }

    /// Starts a load generator and waits until it is ready.
    ///
    /// Errors: it cannot connect.
    pub fn generator(&self, work: &Work) -> io::Result<Generator> {
        Generator::ready(work, &self.bench.children)
    }

    /// Counts the gateway's system calls from now on.
    ///
    /// Errors: strace cannot be attached.
    pub fn strace(&self, started: &Started) -> io::Result<Strace> {
        Strace::attach(started, &self.bench.children)
    }

    /// Does a piece of work, and measures what the gateway used for it.
    ///
    /// Errors: it does not come to an end.
    pub fn measure(&self, started: &Started, work: &Work) -> io::Result<Measured> {
        let generator = self.generator(work)?;
        let tree = Tree::of(started.pid())?;
        let (clocks, cpu, threads) = (Clocks::now(), tree.cpu_time(), tree.threads());
        let origins = self.bench.origins.cpu_time();
        let summary = generator.go()?;
        let tree = Tree::of(started.pid())?; // after a reload, it is others
        let cpu = tree.cpu_time().since(cpu);
        let busiest = busiest(&threads, &tree.threads());
        let load = self.bench.origins.cpu_time().since(origins).total() + summary.cpu_seconds;
        let cpus = &self.bench.cpus;
        let conditions = Clocks::now().conditions(&clocks, cpus.gateway, cpus.load);
        Ok(Measured { summary, cpu, busiest, load, conditions })
    }

    /// Keeps what was measured under a name, with further figures.
    pub fn record(&self, case: &str, measured: &Measured, more: &[(&str, f64)]) {
        let mut values = measured.values();
        values.extend(more.iter().map(|(name, value)| ((*name).to_owned(), *value)));
        self.keep(Sample {
            case: case.to_owned(),
            values,
            failures: measured.summary.failures,
            summary: Some(measured.summary.clone()),
            conditions: Some(measured.conditions),
            ..Sample::default()
        });
    }

    /// Keeps figures that no load was measured for.
    pub fn record_values(&self, case: &str, values: &[(&str, f64)]) {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.keep(Sample { case: case.to_owned(), values, ..Sample::default() });
    }

    /// Keeps figures with words.
    pub fn record_note(&self, case: &str, values: &[(&str, f64)], note: String) {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        self.keep(Sample { case: case.to_owned(), values, note: Some(note), ..Sample::default() });
    }

    /// A part of the experiment that this gateway has no turn in.
    pub fn leave_out(&self, case: &str, why: &str) {
        let omission = format!("{} {case}: {} {why}", self.experiment, self.gateway.name());
        let mut omissions = self.omissions.borrow_mut();
        if !omissions.contains(&omission) {
            omissions.push(omission);
        }
    }

    fn keep(&self, sample: Sample) {
        self.samples.borrow_mut().push(Sample {
            experiment: self.experiment.to_owned(),
            gateway: self.gateway.name().to_owned(),
            round: self.round,
            at: self.bench.began.elapsed().as_secs_f64(),
            ..sample
        });
    }

    /// Lets time pass, for what needs it to settle.
    pub fn settle(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl Measured {
    fn values(&self) -> BTreeMap<String, f64> {
        let Summary { requests, seconds, .. } = self.summary;
        let each = 1e6 / (requests.max(1) as f64);
        let mut values = BTreeMap::from([
            ("cpu_us", self.cpu.total() * each),
            ("user_us", self.cpu.user * each),
            ("system_us", self.cpu.system * each),
            ("load_us", self.load * each),
            ("rps", requests as f64 / seconds.max(1e-9)),
            ("requests", requests as f64),
            ("busiest", self.busiest),
            ("unsent", self.summary.unsent as f64),
            ("mean_us", self.summary.mean_us),
        ]);
        for (name, percent) in [("p50_us", 50.0), ("p99_us", 99.0), ("p999_us", 99.9)] {
            values.extend(self.summary.latency_us(percent).map(|value| (name, value)));
        }
        values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The share in percent of the CPU time between two looks at threads that the busiest one used.
fn busiest(before: &HashMap<u32, f64>, after: &HashMap<u32, f64>) -> f64 {
    let used = after.iter().map(|(thread, now)| now - before.get(thread).copied().unwrap_or(0.0));
    let (most, total) = used.fold((0.0, 0.0), |(most, total), used| (used.max(most), total + used));
    if total > 0.0 { 100.0 * most / total } else { 0.0 }
}

/// A closed loop of 1 KiB GETs on 64 kept connections, after a warm-up.
pub fn work(started: &Started) -> Work {
    Work {
        to: started.address,
        host: HOST.to_owned(),
        hosts: 1,
        path: "/1k".to_owned(),
        payload: Payload::None,
        expect: 200,
        protocol: Protocol::Http1,
        connections: 64,
        warm_up: 0.4,
        shape: Shape::Closed(Until::Seconds(2.0)),
    }
}
