//! As fast as it goes on one CPU: what a request costs when nothing else limits.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::{Turn, work};
use crate::work::{Shape, Until, Work};

pub const EXPERIMENT: Experiment = Experiment {
    name: "sat",
    about: "1 KiB GETs on 64 kept connections, each sending its next request when the last is answered; one worker",
    needs: &[],
    possible: anywhere,
    quick: Some(Effort { rounds: 3, seconds: 2.5 }),
    full: Effort { rounds: 9, seconds: 5.0 },
    steps: &[saturate],
    tables: &[Table {
        case: "sat",
        title: "1 KiB GET, keep-alive, 64 connections, closed loop, one worker",
        key: "cpu_us",
        columns: &["user_us", "system_us", "rps", "p50_us", "p99_us", "load_us"],
        ratios: &["user_us"],
        chart: Chart::Bars("CPU for a proxied 1 KiB request at saturation, in µs"),
    }],
};

fn saturate(turn: &Turn<'_>) -> io::Result<()> {
    let gateway = turn.usual()?;
    let work = Work { shape: Shape::Closed(Until::Seconds(turn.seconds())), ..work(&gateway) };
    turn.record("sat", &turn.measure(&gateway, &work)?, &[]);
    Ok(())
}
