//! As fast as it goes with an access log.

use std::fs;
use std::io;
use std::time::Duration;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::origins::Kind;
use crate::bench::{Measured, Started, Turn, work};
use crate::work::{Shape, Until, Work};

/// How long lines may stay in a gateway's buffers.
const FLUSH: Duration = Duration::from_millis(1_500);

pub const EXPERIMENT: Experiment = Experiment {
    name: "log",
    about: "As sat with an access log in a file, in each gateway's own usual form: HAProxy's by way of its standard \
            output, nginx's combined with a buffer, Envoy's and Egret's text; and right before it without one, which \
            tells what the log adds",
    needs: &[],
    possible: anywhere,
    quick: None,
    full: Effort { rounds: 5, seconds: 13.0 },
    steps: &[saturate],
    tables: &[Table {
        case: "log",
        title: "1 KiB GET, keep-alive, 64 connections, closed loop, one worker, access log on",
        key: "cpu_us",
        columns: &["user_us", "system_us", "rps", "log_bytes", "added_percent"],
        ratios: &[],
        chart: Chart::Bars("CPU for a proxied 1 KiB request with an access log, in µs"),
    }],
};

fn saturate(turn: &Turn<'_>) -> io::Result<()> {
    let without = load(turn, &turn.usual()?)?;
    let mut setup = turn.setup(&*turn.origin(Kind::default())?)?;
    setup.access_log = true;
    let log = setup.directory.join("access.log");
    let size = || fs::metadata(&log).map_or(0, |file| file.len());
    let gateway = turn.start(setup)?;
    let with = load(turn, &gateway)?;
    turn.settle(FLUSH);
    // The warm-up's lines are in it too, a tenth of all; nothing at all would be no log.
    let each = size() as f64 / with.summary.requests.max(1) as f64;
    if each < 20.0 {
        return Err(io::Error::other(format!("{each:.1} bytes of log for a request")));
    }
    let added = 100.0 * (cpu_each(&with) / cpu_each(&without) - 1.0);
    turn.record("log", &with, &[("log_bytes", each), ("added_percent", added)]);
    fs::remove_file(&log) // the next turns need the room
}

fn load(turn: &Turn<'_>, gateway: &Started) -> io::Result<Measured> {
    let shape = Shape::Closed(Until::Seconds(turn.seconds()));
    turn.measure(gateway, &Work { shape, ..work(gateway) })
}

fn cpu_each(measured: &Measured) -> f64 {
    measured.cpu.total() / measured.summary.requests.max(1) as f64
}
