//! What was measured: written as JSON after every turn, read again by the report.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::conditions::Conditions;
use crate::machine::description::Machine;
use crate::work::Summary;

/// All of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// When it began, in UTC.
    pub began: String,
    /// The arguments it was started with.
    pub arguments: Vec<String>,
    /// Where it ran.
    pub machine: Machine,
    /// The gateways, in the order of tables.
    pub gateways: Vec<Subject>,
    /// The experiments that were asked for, in order.
    pub experiments: Vec<String>,
    /// What could not be done, and why: experiments, gateways, single turns.
    pub omissions: Vec<String>,
    /// Every measurement.
    pub samples: Vec<Sample>,
}

/// A gateway of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subject {
    /// What it is called.
    pub name: String,
    /// Which one exactly.
    pub version: String,
    /// What differs from its defaults.
    pub tuned: String,
}

/// One measurement.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// The experiment.
    pub experiment: String,
    /// Which part of it.
    pub case: String,
    /// The gateway.
    pub gateway: String,
    /// The round: what was measured in the same one is compared.
    pub round: u32,
    /// Seconds since the run began.
    pub at: f64,
    /// Figures by their name.
    pub values: BTreeMap<String, f64>,
    /// Requests that failed.
    pub failures: u64,
    /// What the load generator saw.
    pub summary: Option<Summary>,
    /// What the machine was like.
    pub conditions: Option<Conditions>,
    /// Words that belong to the figures.
    pub note: Option<String>,
}

impl Results {
    /// Writes it; an older file stays whole until this one is.
    ///
    /// Errors: it cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, path)
    }

    /// Reads it.
    ///
    /// Errors: it cannot be read, or is of another version.
    pub fn read(path: &Path) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::other(format!("{}: {error}", path.display()));
        let bytes = fs::read(path).map_err(named)?;
        serde_json::from_slice(&bytes).map_err(|error| named(error.into()))
    }
}
