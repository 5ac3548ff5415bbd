//! The order of a run: experiments one after the other; within each, rounds in which every gateway has its
//! turn, another one first in each round. What disturbs the machine for a while so meets all of them.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use super::Bench;
use super::progress::Progress;
use super::results::{Results, Sample};
use super::turn::Turn;
use crate::experiments::{Experiment, Step};
use crate::gateways::Gateway;

/// What is to be done.
pub struct Schedule<'s> {
    /// With what.
    pub bench: &'s Bench,
    /// In this order.
    pub experiments: &'s [&'static Experiment],
    /// With these.
    pub gateways: &'s [Box<dyn Gateway>],
    /// So many rounds each, in place of each experiment's own number.
    pub rounds: Option<u32>,
    /// Where results are written to.
    pub file: &'s Path,
}

impl Schedule<'_> {
    /// Does it; after each turn, all results are in the file.
    ///
    /// A turn that fails is told in [`Results::omissions`], and the run goes on.
    ///
    /// Errors: results cannot be written.
    pub fn run(&self, results: &mut Results) -> io::Result<()> {
        let (mut turns, mut seconds) = (0, 0.0);
        for experiment in self.experiments {
            let each = self.able(experiment).len() * self.rounds(experiment) as usize;
            turns += each * experiment.steps.len();
            seconds += each as f64 * experiment.seconds(self.bench.scale);
        }
        let mut progress = Progress::new(turns, seconds);
        for experiment in self.experiments {
            match (experiment.possible)() {
                Ok(()) => self.rounds_of(experiment, &mut progress, results)?,
                Err(why) => results.omissions.push(format!("{}: {why}", experiment.name)),
            }
        }
        results.write(self.file)
    }

    fn rounds_of(
        &self,
        experiment: &'static Experiment,
        progress: &mut Progress,
        results: &mut Results,
    ) -> io::Result<()> {
        let able = self.able(experiment);
        for gateway in self.gateways {
            if !able.iter().any(|able| able.name() == gateway.name()) {
                let why = format!("{}: {} cannot do this", experiment.name, gateway.name());
                results.omissions.push(why);
            }
        }
        let each = experiment.seconds(self.bench.scale) / experiment.steps.len() as f64;
        for round in 0..self.rounds(experiment) {
            let mut order = able.clone();
            order.rotate_left(round as usize % able.len().max(1));
            for step in experiment.steps {
                for gateway in &order {
                    progress.begin(&format!("{} {}", experiment.name, gateway.name()));
                    self.turn(experiment, *step, (*gateway, round), results);
                    results.write(self.file)?;
                    progress.end(each);
                }
            }
        }
        Ok(())
    }

    fn turn(
        &self,
        experiment: &'static Experiment,
        step: Step,
        (gateway, round): (&dyn Gateway, u32),
        results: &mut Results,
    ) {
        let before = results.samples.len();
        let samples = RefCell::new(std::mem::take(&mut results.samples));
        let omissions = RefCell::new(std::mem::take(&mut results.omissions));
        let outcome = step(&Turn {
            bench: self.bench,
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

    fn able(&self, experiment: &Experiment) -> Vec<&dyn Gateway> {
        let all = self.gateways.iter().map(|gateway| &**gateway);
        all.filter(|gateway| experiment.needs.iter().all(|need| gateway.has(*need))).collect()
    }

    fn rounds(&self, experiment: &Experiment) -> u32 {
        self.rounds.unwrap_or_else(|| experiment.rounds(self.bench.scale))
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
