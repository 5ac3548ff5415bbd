//! Answers of the gateway's own.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::{Turn, work};
use crate::work::{Shape, UNROUTED, Until, Work};

pub const EXPERIMENT: Experiment = Experiment {
    name: "notfound",
    about: "GETs for a host without a route on 32 kept connections, which each gateway answers itself; one worker",
    needs: &[],
    possible: anywhere,
    quick: None,
    full: Effort { rounds: 5, seconds: 4.0 },
    steps: &[unrouted],
    tables: &[Table {
        case: "notfound",
        title: "404 of the gateway's own",
        key: "cpu_us",
        columns: &["user_us", "system_us", "rps", "p50_us", "p99_us"],
        ratios: &[],
        chart: Chart::Bars("CPU for a 404 of the gateway's own, in µs"),
    }],
};

fn unrouted(turn: &Turn<'_>) -> io::Result<()> {
    let gateway = turn.usual()?;
    let work = Work {
        host: UNROUTED.to_owned(),
        expect: 404,
        connections: 32,
        shape: Shape::Closed(Until::Seconds(turn.either(1.0, 3.0))),
        ..work(&gateway)
    };
    turn.record("notfound", &turn.measure(&gateway, &work)?, &[]);
    Ok(())
}
