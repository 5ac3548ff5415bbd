//! As fast as it goes with two workers, which share both CPUs with the origin and the load.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::origins::Kind;
use crate::bench::{Turn, work};
use crate::work::{Shape, Until, Work};

pub const EXPERIMENT: Experiment = Experiment {
    name: "sat2",
    about: "As sat with two workers, whose CPUs are those of the origin and the load generator too: requests/s say \
            little, CPU per request and how evenly the connections spread do",
    needs: &[],
    possible: anywhere,
    quick: None,
    full: Effort { rounds: 5, seconds: 5.5 },
    steps: &[saturate],
    tables: &[Table {
        case: "sat2",
        title: "1 KiB GET, keep-alive, 64 connections, closed loop, two workers",
        key: "cpu_us",
        columns: &["user_us", "system_us", "busiest"],
        ratios: &[],
        chart: Chart::Bars("CPU for a proxied 1 KiB request with two workers, in µs"),
    }],
};

fn saturate(turn: &Turn<'_>) -> io::Result<()> {
    let mut setup = turn.setup(&*turn.origin(Kind::default())?)?;
    setup.workers = 2;
    let gateway = turn.start(setup)?;
    let work = Work { shape: Shape::Closed(Until::Seconds(turn.seconds())), ..work(&gateway) };
    turn.record("sat2", &turn.measure(&gateway, &work)?, &[]);
    Ok(())
}
