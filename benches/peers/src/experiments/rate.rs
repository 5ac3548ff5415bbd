//! A rate far below what any gateway can do: what a request costs that comes alone.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::{Turn, work};
use crate::work::{Shape, Work};

/// Requests a second.
const RATE: f64 = 2_000.0;

pub const EXPERIMENT: Experiment = Experiment {
    name: "rate",
    about: "1 KiB GETs at 2,000 a second, at random times, whether or not earlier ones are answered; one worker; \
            latency from when a request was due",
    needs: &[],
    possible: anywhere,
    quick: Some(Effort { rounds: 2, seconds: 3.0 }),
    full: Effort { rounds: 7, seconds: 6.5 },
    steps: &[at_a_rate],
    tables: &[Table {
        case: "rate",
        title: "1 KiB GET at 2,000 requests/s, open loop, one worker",
        key: "cpu_us",
        columns: &["user_us", "system_us", "p50_us", "p99_us", "p999_us"],
        ratios: &["user_us"],
        chart: Chart::Bars("CPU for a proxied 1 KiB request at 2,000 requests/s, in µs"),
    }],
};

fn at_a_rate(turn: &Turn<'_>) -> io::Result<()> {
    let gateway = turn.usual()?;
    let seed = u64::from(turn.round);
    let shape = Shape::Open { rate: RATE, seconds: turn.either(2.0, 5.0), seed };
    let work = Work { shape, ..work(&gateway) };
    turn.record("rate", &turn.measure(&gateway, &work)?, &[]);
    Ok(())
}
