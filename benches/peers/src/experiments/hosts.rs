//! Many routes: their memory, the time to read them, and what finding one costs.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::origins::Kind;
use crate::bench::{Turn, work};
use crate::gateways::Routes;
use crate::work::{Shape, Until, Work};

/// Cases: what is routed, and the path asked for.
const CASES: [(&str, Routes, &str); 7] = [
    ("exact-10", Routes::Exact(10), "/1k"),
    ("exact-1000", Routes::Exact(1_000), "/1k"),
    ("exact-100000", Routes::Exact(100_000), "/1k"),
    ("wildcard-10", Routes::Wildcards(10), "/1k"),
    ("wildcard-1000", Routes::Wildcards(1_000), "/1k"),
    ("wildcard-100000", Routes::Wildcards(100_000), "/1k"),
    ("rules", Routes::Rules { hosts: 1_000, rules: 10 }, "/r9/1k"),
];

/// Requests are for so many of the hosts, in turn.
const ASKED: usize = 1_000;

const COLUMNS: &[&str] = &["ready_ms", "cpu_us", "user_us"];

/// A table of one case, with a chart or without.
const fn table(case: &'static str, title: &'static str, chart: Chart) -> Table {
    Table { case, title, key: "resident_mib", columns: COLUMNS, ratios: &["cpu_us"], chart }
}

pub const EXPERIMENT: Experiment = Experiment {
    name: "hosts",
    about: "10, 1,000 and 100,000 hosts onto one upstream, as names and as wildcards, and 1,000 hosts with ten rules by the \
            beginning of the path; memory when ready, the time from the start to the first 404, and 1 KiB GETs for 1,000 \
            of the hosts in turn (by the last of the rules) on 64 kept connections; one worker",
    needs: &[],
    possible: anywhere,
    quick: None,
    full: Effort { rounds: 3, seconds: 28.0 },
    steps: &[hosts],
    tables: &[
        table("exact-10", "10 hosts", Chart::None),
        table("exact-1000", "1,000 hosts", Chart::None),
        table(
            "exact-100000",
            "100,000 hosts",
            Chart::Bars("Memory with 100,000 hosts onto one upstream, in MiB"),
        ),
        table("wildcard-10", "10 wildcards", Chart::None),
        table("wildcard-1000", "1,000 wildcards", Chart::None),
        table("wildcard-100000", "100,000 wildcards", Chart::None),
        table("rules", "1,000 hosts with ten rules each", Chart::None),
    ],
};

fn hosts(turn: &Turn<'_>) -> io::Result<()> {
    for (case, routes, path) in CASES {
        let mut setup = turn.setup(&*turn.origin(Kind::default())?)?;
        setup.routes = routes;
        let gateway = turn.start(setup)?;
        let resident = gateway.tree().memory().resident / 1024.0;
        let work = Work {
            host: routes.pattern(),
            hosts: routes.count().min(ASKED),
            path: path.to_owned(),
            shape: Shape::Closed(Until::Seconds(turn.either(1.0, 2.0))),
            ..work(&gateway)
        };
        let measured = turn.measure(&gateway, &work)?;
        let figures = [("resident_mib", resident), ("ready_ms", gateway.ready_ms)];
        turn.record(case, &measured, &figures);
    }
    Ok(())
}
