//! Many upstreams, each with its own name to verify and its own pool, all in use at once.

use std::io;
use std::time::Duration;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::origins::Kind;
use crate::bench::{Turn, work};
use crate::gateways::Routes;
use crate::work::{Shape, Work};

const UPSTREAMS: usize = 1_000;
const SETTLE: Duration = Duration::from_millis(500);

pub const EXPERIMENT: Experiment = Experiment {
    name: "upstreams",
    about: "1,000 hosts, each with an upstream (a cluster) of its own; memory for each beyond that of a gateway with one, \
            when ready and while each has a request that waits for the origin, its two connections included; one worker",
    needs: &[],
    possible: anywhere,
    quick: None,
    full: Effort { rounds: 3, seconds: 10.0 },
    steps: &[upstreams],
    tables: &[
        Table {
            case: "ready",
            title: "1,000 upstreams, not used yet: memory for each",
            key: "kib_each",
            columns: &["resident_mib", "ready_ms"],
            ratios: &[],
            chart: Chart::Bars("Memory for each of 1,000 upstreams that are not used yet, in KiB"),
        },
        Table {
            case: "used",
            title: "1,000 upstreams with a request under way each: memory for each",
            key: "kib_each",
            columns: &["resident_mib"],
            ratios: &[],
            chart: Chart::Bars(
                "Memory for each of 1,000 upstreams with a request under way, in KiB",
            ),
        },
    ],
};

fn upstreams(turn: &Turn<'_>) -> io::Result<()> {
    let origin = turn.origin(Kind::default())?;
    let one = turn.usual()?;
    turn.settle(SETTLE);
    let alone = one.tree().memory().resident;
    drop(one);
    let mut setup = turn.setup(&origin)?;
    setup.routes = Routes::Upstreams(UPSTREAMS);
    let routes = setup.routes;
    let gateway = turn.start(setup)?;
    turn.settle(SETTLE);
    let record = |case: &str| {
        let resident = gateway.tree().memory().resident;
        turn.record_values(
            case,
            &[
                ("kib_each", (resident - alone) / UPSTREAMS as f64),
                ("resident_mib", resident / 1024.0),
                ("ready_ms", gateway.ready_ms),
            ],
        );
    };
    record("ready");
    let work = Work {
        host: routes.pattern(),
        hosts: UPSTREAMS,
        path: "/hold".to_owned(),
        connections: UPSTREAMS,
        shape: Shape::Held,
        ..work(&gateway)
    };
    let clients = turn.generator(&work)?;
    origin.wait_until_held(UPSTREAMS as u64)?;
    turn.settle(SETTLE);
    record("used");
    origin.release()?;
    clients.end()
}
