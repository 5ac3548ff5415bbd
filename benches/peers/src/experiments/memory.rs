//! Resident memory: empty, with idle connections, with requests under way.

use std::io;
use std::time::Duration;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::origins::Kind;
use crate::bench::turn::Scale;
use crate::bench::{Started, Turn, work};
use crate::gateways::Clients;
use crate::work::{Protocol, Shape, Work};

/// How long an allocator may take to give back or to touch what it will.
const SETTLE: Duration = Duration::from_millis(500);

pub const EXPERIMENT: Experiment = Experiment {
    name: "memory",
    about: "Resident memory of one worker: after its first request; with 1,000 and 8,000 idle clients that had one answer \
            each, and as many as the limit of open files has room for; with 1,000 idle HTTP/2 clients; with 1,000 \
            requests that wait for the origin",
    needs: &[],
    possible: anywhere,
    quick: Some(Effort { rounds: 1, seconds: 6.0 }),
    full: Effort { rounds: 3, seconds: 16.0 },
    steps: &[memory],
    tables: &[
        Table {
            case: "empty",
            title: "Empty, after one request",
            key: "proportional_mib",
            columns: &["resident_mib"],
            ratios: &[],
            chart: Chart::Bars("Memory of an empty gateway, in MiB"),
        },
        Table {
            case: "idle-1000",
            title: "1,000 idle clients: memory for each",
            key: "kib_each",
            columns: &["resident_mib"],
            ratios: &[],
            chart: Chart::None,
        },
        Table {
            case: "idle-8000",
            title: "8,000 idle clients: memory for each",
            key: "kib_each",
            columns: &["resident_mib"],
            ratios: &[],
            chart: Chart::Bars("Memory for each of 8,000 idle clients, in KiB"),
        },
        Table {
            case: "idle-most",
            title: "As many idle clients as the limit of open files has room for: memory for each",
            key: "kib_each",
            columns: &["connections", "resident_mib"],
            ratios: &[],
            chart: Chart::None,
        },
        Table {
            case: "idle-h2",
            title: "1,000 idle HTTP/2 clients: memory for each",
            key: "kib_each",
            columns: &["resident_mib"],
            ratios: &[],
            chart: Chart::None,
        },
        Table {
            case: "held",
            title: "1,000 requests under way: memory for each, with its connections to client and origin",
            key: "kib_each",
            columns: &["resident_mib"],
            ratios: &[],
            chart: Chart::Bars("Memory for each of 1,000 requests under way, in KiB"),
        },
    ],
};

fn memory(turn: &Turn<'_>) -> io::Result<()> {
    let gateway = turn.usual()?;
    turn.settle(SETTLE);
    let memory = gateway.tree().memory();
    turn.record_values(
        "empty",
        &[
            ("proportional_mib", memory.proportional / 1024.0),
            ("resident_mib", memory.resident / 1024.0),
        ],
    );
    drop(gateway);
    let mut cases = vec![("idle-1000", 1_000)];
    if turn.bench.scale == Scale::Full {
        // Client and gateway may open as many; a gateway keeps half for origins. One address has 28,000 ports.
        let most = (turn.bench.files as usize / 2).saturating_sub(500).min(25_000);
        cases.extend([("idle-8000", 8_000.min(most)), ("idle-most", most)]);
    }
    for (case, connections) in cases {
        idle(turn, case, connections, Protocol::Http1)?;
    }
    if turn.bench.scale == Scale::Full {
        idle(turn, "idle-h2", 1_000, Protocol::H2c { streams: 1 })?;
    }
    held(turn, 1_000)
}

fn idle(turn: &Turn<'_>, case: &str, connections: usize, protocol: Protocol) -> io::Result<()> {
    let mut setup = turn.setup(&*turn.origin(Kind::default())?)?;
    if protocol != Protocol::Http1 {
        setup.clients = Clients::H2c;
    }
    let gateway = turn.start(setup)?;
    turn.settle(SETTLE);
    let before = gateway.tree().memory().resident;
    let shape = Shape::Idle { served: true };
    let work = Work { connections, protocol, shape, ..work(&gateway) };
    let clients = turn.generator(&work)?;
    turn.settle(SETTLE);
    record(turn, case, &gateway, before, connections);
    clients.end()
}

fn held(turn: &Turn<'_>, connections: usize) -> io::Result<()> {
    let origin = turn.origin(Kind::default())?;
    let gateway = turn.usual()?;
    turn.settle(SETTLE);
    let before = gateway.tree().memory().resident;
    let work = Work { connections, path: "/hold".to_owned(), shape: Shape::Held, ..work(&gateway) };
    let clients = turn.generator(&work)?;
    origin.wait_until_held(connections as u64)?;
    turn.settle(SETTLE);
    record(turn, "held", &gateway, before, connections);
    origin.release()?;
    clients.end()
}

fn record(turn: &Turn<'_>, case: &str, gateway: &Started, before: f64, connections: usize) {
    let now = gateway.tree().memory().resident;
    turn.record_values(
        case,
        &[
            ("kib_each", (now - before) / connections as f64),
            ("resident_mib", now / 1024.0),
            ("connections", connections as f64),
        ],
    );
}
