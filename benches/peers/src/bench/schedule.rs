//! The order of a run: experiments one after the other; within each, rounds in which every gateway has its
//! turn, another one first in each round. What disturbs the machine for a while so meets all of them.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use super::Bench;
use super::progress::Progress;
use super::results::{Results, Sample};
use super::turn::{Scale, Turn};
use crate::experiments::{Experiment, Step};
use crate::gateways::Gateway;

/// What is to be done.
pub struct Schedule<'s> {
    /// In this order.
    pub experiments: &'s [&'static Experiment],
    /// With these.
    pub gateways: &'s [Box<dyn Gateway>],
    /// So many rounds each, in place of each experiment's own number.
    pub rounds: Option<u32>,
}

impl Schedule<'_> {
    /// Does it; after each turn, all results are in the file.
    ///
    /// A turn that fails is told in [`Results::omissions`], and the run goes on.
    ///
    /// Errors: results cannot be written.
    pub fn run(&self, bench: &Bench, results: &mut Results, file: &Path) -> io::Result<()> {
        let mut turns = 0;
        let mut weight = 0.0;
        for experiment in self.experiments {
            let able = self.able(experiment).len();
            let count = able * self.rounds(experiment, bench.scale) as usize;
            turns += count * experiment.steps.len();
            weight += count as f64 * experiment.seconds(bench.scale);
        }
        let mut progress = Progress::new(turns, weight);
        for experiment in self.experiments {
            if let Err(why) = (experiment.possible)() {
                results.omissions.push(format!("{}: {why}", experiment.name));
                continue;
            }
            self.run_one(experiment, bench, &mut progress, results, file)?;
        }
        results.write(file)
    }

    fn run_one(
        &self,
        experiment: &'static Experiment,
        bench: &Bench,
        progress: &mut Progress,
        results: &mut Results,
        file: &Path,
    ) -> io::Result<()> {
        let able = self.able(experiment);
        for gateway in self.gateways {
            if !able.iter().any(|able| able.name() == gateway.name()) {
                let why = format!("{}: {} cannot do this", experiment.name, gateway.name());
                results.omissions.push(why);
            }
        }
        for round in 0..self.rounds(experiment, bench.scale) {
            let mut order: Vec<&dyn Gateway> = able.clone();
            order.rotate_left(round as usize % able.len().max(1));
            let each = experiment.seconds(bench.scale) / experiment.steps.len() as f64;
            for step in experiment.steps {
                for gateway in &order {
                    progress.begin(&format!("{} {}", experiment.name, gateway.name()));
                    take(*step, experiment, *gateway, round, bench, results);
                    results.write(file)?;
                    progress.end(each);
                }
            }
        }
        Ok(())
    }

    fn able(&self, experiment: &Experiment) -> Vec<&dyn Gateway> {
        let all = self.gateways.iter().map(|gateway| &**gateway);
        all.filter(|gateway| experiment.needs.iter().all(|need| gateway.has(*need))).collect()
    }

    fn rounds(&self, experiment: &Experiment, scale: Scale) -> u32 {
        self.rounds.unwrap_or_else(|| experiment.rounds(scale))
    }
}

fn take(
    step: Step,
    experiment: &'static Experiment,
    gateway: &dyn Gateway,
    round: u32,
    bench: &Bench,
    results: &mut Results,
) {
    let before = results.samples.len();
    let samples: RefCell<Vec<Sample>> = RefCell::new(std::mem::take(&mut results.samples));
    let omissions = RefCell::new(std::mem::take(&mut results.omissions));
    let outcome = step(&Turn {
        bench,
        gateway,
        experiment: experiment.name,
        round,
        samples: &samples,
        omissions: &omissions,
    });
    results.samples = samples.into_inner();
    results.omissions = omissions.into_inner();
    for sample in &results.samples[before..] {
        eprintln!("    {}", told(sample));
    }
    if let Err(error) = outcome {
        let why = format!("{} {} round {round}: {error}", experiment.name, gateway.name());
        eprintln!("    FAILED {why}");
        results.omissions.push(why);
    }
}

/// A sample in one line, for those who watch.
fn told(sample: &Sample) -> String {
    let mut line = sample.case.clone();
    for (name, value) in &sample.values {
        line += &format!(" {name}={}", crate::report::number(*value));
    }
    if let Some(conditions) = sample.conditions {
        line += &format!(
            " | load core {:.0} %, gateway core {:.0} %, load average {:.1}",
            conditions.load_cpu, conditions.gateway_cpu, conditions.load_average
        );
    }
    if let Some(failure) =
        sample.summary.as_ref().and_then(|summary| summary.first_failure.as_ref())
    {
        line += &format!(" | {} FAILED: {failure}", sample.failures);
    }
    line
}
