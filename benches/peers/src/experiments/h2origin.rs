//! An origin that speaks HTTP/2: many requests on few connections.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::origins::Kind;
use crate::bench::{Turn, work};
use crate::gateways::{Feature, Upstream};
use crate::work::{Shape, Until, Work};

pub const EXPERIMENT: Experiment = Experiment {
    name: "h2origin",
    about: "1 KiB GETs on 64 kept HTTP/1.1 connections, to an origin that speaks HTTP/2 and takes 100 streams on a \
            connection; one worker",
    needs: &[Feature::H2Origin],
    possible: anywhere,
    quick: None,
    full: Effort { rounds: 5, seconds: 5.0 },
    steps: &[saturate],
    tables: &[Table {
        case: "h2origin",
        title: "1 KiB GET over HTTP/1.1 from clients, HTTP/2 to the origin",
        key: "cpu_us",
        columns: &["user_us", "system_us", "rps", "p50_us", "p99_us", "connections"],
        ratios: &[],
        chart: Chart::Bars("CPU for a proxied 1 KiB request to an HTTP/2 origin, in µs"),
    }],
};

fn saturate(turn: &Turn<'_>) -> io::Result<()> {
    let origin = turn.origin(Kind { h2: true, ..Kind::default() })?;
    let mut setup = turn.setup(&origin)?;
    setup.upstream = Upstream::H2;
    let before = origin.counts()?;
    let gateway = turn.start(setup)?;
    let work = Work { shape: Shape::Closed(Until::Seconds(turn.seconds())), ..work(&gateway) };
    let measured = turn.measure(&gateway, &work)?;
    let connections = origin.counts()?.since(&before).accepted as f64;
    turn.record("h2origin", &measured, &[("connections", connections)]);
    Ok(())
}
