//! How soon a gateway serves.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::Turn;
use crate::bench::origins::Kind;

pub const EXPERIMENT: Experiment = Experiment {
    name: "start",
    about: "From the start of the process to its first 404, with one host and one worker",
    needs: &[],
    possible: anywhere,
    quick: Some(Effort { rounds: 5, seconds: 0.2 }),
    full: Effort { rounds: 15, seconds: 0.2 },
    steps: &[start],
    tables: &[Table {
        case: "start",
        title: "From the start of the process to its first 404",
        key: "ready_ms",
        columns: &[],
        ratios: &[],
        chart: Chart::Bars("From the start of the process to its first answer, in ms"),
    }],
};

fn start(turn: &Turn<'_>) -> io::Result<()> {
    let gateway = turn.start_cold(turn.setup(&*turn.origin(Kind::default())?)?)?;
    turn.record_values("start", &[("ready_ms", gateway.ready_ms)]);
    Ok(())
}
