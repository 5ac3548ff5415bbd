//! The experiments: what each does, how often, and how it is told. A file for each.

mod fresh;
mod h2c;
mod h2origin;
mod handshakes;
mod hosts;
mod log;
mod memory;
mod notfound;
mod post;
mod rate;
mod sat;
mod sat2;
mod sizes;
mod start;
mod syscalls;
mod tail;
mod tail_disturbed;
mod upstreams;
mod websocket;

use std::io;

use crate::bench::Turn;
use crate::bench::turn::Scale;
use crate::gateways::Feature;

/// All of them, in the order in which they run and are told.
pub const ALL: [&Experiment; 19] = [
    &sat::EXPERIMENT,
    &sat2::EXPERIMENT,
    &log::EXPERIMENT,
    &rate::EXPERIMENT,
    &tail::EXPERIMENT,
    &tail_disturbed::EXPERIMENT,
    &sizes::EXPERIMENT,
    &post::EXPERIMENT,
    &notfound::EXPERIMENT,
    &fresh::EXPERIMENT,
    &h2c::EXPERIMENT,
    &h2origin::EXPERIMENT,
    &websocket::EXPERIMENT,
    &memory::EXPERIMENT,
    &handshakes::EXPERIMENT,
    &hosts::EXPERIMENT,
    &upstreams::EXPERIMENT,
    &start::EXPERIMENT,
    &syscalls::EXPERIMENT,
];

/// What one gateway does in its turn.
pub type Step = fn(&Turn<'_>) -> io::Result<()>;

/// An experiment.
pub struct Experiment {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What is done, in a sentence or two.
    pub about: &'static str,
    /// What a gateway must be able to do to take part.
    pub needs: &'static [Feature],
    /// Whether it can be done here, or why not.
    pub possible: fn() -> Result<(), String>,
    /// How much of it `--quick` does; `None`: nothing.
    pub quick: Option<Effort>,
    /// How much of it `--full` does.
    pub full: Effort,
    /// What is done in a round: every gateway's first step, then every gateway's second.
    pub steps: &'static [Step],
    /// How it is told.
    pub tables: &'static [Table],
}

/// How much of an experiment is done.
#[derive(Clone, Copy)]
pub struct Effort {
    /// So many rounds.
    pub rounds: u32,
    /// What a gateway's turn takes in seconds, about.
    pub seconds: f64,
}

/// How a part of an experiment is told.
pub struct Table {
    /// Which part.
    pub case: &'static str,
    /// What stands above it.
    pub title: &'static str,
    /// The figure that gateways are compared by: less is better.
    pub key: &'static str,
    /// The other figures.
    pub columns: &'static [&'static str],
    /// Those of them that gateways are compared by as well.
    pub ratios: &'static [&'static str],
    /// The chart of it.
    pub chart: Chart,
}

/// A chart and what it is called.
#[derive(Clone, Copy)]
pub enum Chart {
    /// There is none.
    None,
    /// A bar for each gateway: the table's key.
    Bars(&'static str),
    /// A line for each gateway: latency against percentile.
    Curves(&'static str),
}

impl Experiment {
    /// How often it is done.
    pub fn rounds(&self, scale: Scale) -> u32 {
        self.effort(scale).rounds
    }

    /// What a gateway's turn takes in seconds, about.
    pub fn seconds(&self, scale: Scale) -> f64 {
        self.effort(scale).seconds
    }

    fn effort(&self, scale: Scale) -> Effort {
        match scale {
            Scale::Quick => self.quick.unwrap_or(Effort { rounds: 1, seconds: self.full.seconds }),
            Scale::Full => self.full,
        }
    }
}

/// Most can be done anywhere.
fn anywhere() -> Result<(), String> {
    Ok(())
}
