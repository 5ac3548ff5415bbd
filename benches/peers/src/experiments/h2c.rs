//! Clients that speak HTTP/2, in front of an origin that speaks HTTP/1.1.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::origins::Kind;
use crate::bench::{Turn, work};
use crate::gateways::Clients;
use crate::work::{Protocol, Shape, Until, Work};

pub const EXPERIMENT: Experiment = Experiment {
    name: "h2c",
    about: "1 KiB GETs on 8 HTTP/2 connections (prior knowledge) with 8 streams each, to an HTTP/1.1 origin; one worker",
    needs: &[],
    possible: anywhere,
    quick: None,
    full: Effort { rounds: 5, seconds: 5.0 },
    steps: &[saturate],
    tables: &[Table {
        case: "h2c",
        title: "1 KiB GET over HTTP/2 from clients, HTTP/1.1 to the origin",
        key: "cpu_us",
        columns: &["user_us", "system_us", "rps", "p50_us", "p99_us"],
        ratios: &[],
        chart: Chart::Bars("CPU for a proxied 1 KiB request of HTTP/2 clients, in µs"),
    }],
};

fn saturate(turn: &Turn<'_>) -> io::Result<()> {
    let mut setup = turn.setup(&*turn.origin(Kind::default())?)?;
    setup.clients = Clients::H2c;
    let gateway = turn.start(setup)?;
    let work = Work {
        protocol: Protocol::H2c { streams: 8 },
        connections: 8,
        shape: Shape::Closed(Until::Seconds(turn.seconds())),
        ..work(&gateway)
    };
    turn.record("h2c", &turn.measure(&gateway, &work)?, &[]);
    Ok(())
}
