//! How many connections to the origin a gateway opens for many requests, and with what handshakes.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::origins::Kind;
use crate::bench::{Started, Turn, work};
use crate::work::{Shape, Until, Work};

/// Clients at once.
const CLIENTS: usize = 64;

pub const EXPERIMENT: Experiment = Experiment {
    name: "handshakes",
    about: "Connections that the origin sees: for 10,000 requests over 64 client connections, then for five times 64 fresh \
            client connections with ten requests each, with one worker and with two; and for 64 first requests at \
            once. A gateway is fresh for each",
    needs: &[],
    possible: anywhere,
    quick: Some(Effort { rounds: 1, seconds: 5.0 }),
    full: Effort { rounds: 5, seconds: 5.0 },
    steps: &[handshakes],
    tables: &[
        Table {
            case: "10k-1",
            title: "10,000 requests over 64 client connections, one worker",
            key: "connections",
            columns: &["full", "resumed"],
            ratios: &[],
            chart: Chart::Bars(
                "Connections to the origin for 10,000 requests over 64 client connections, one worker",
            ),
        },
        Table {
            case: "waves-1",
            title: "then five times 64 fresh client connections, one worker",
            key: "connections",
            columns: &["full", "resumed"],
            ratios: &[],
            chart: Chart::None,
        },
        Table {
            case: "10k-2",
            title: "10,000 requests over 64 client connections, two workers",
            key: "connections",
            columns: &["full", "resumed"],
            ratios: &[],
            chart: Chart::None,
        },
        Table {
            case: "waves-2",
            title: "then five times 64 fresh client connections, two workers",
            key: "connections",
            columns: &["full", "resumed"],
            ratios: &[],
            chart: Chart::None,
        },
        Table {
            case: "burst",
            title: "64 first requests at once, one worker",
            key: "full",
            columns: &["resumed", "connections", "p50_us", "p99_us"],
            ratios: &[],
            chart: Chart::Bars("Full handshakes for 64 first requests at once"),
        },
    ],
};

fn handshakes(turn: &Turn<'_>) -> io::Result<()> {
    for (workers, first, later) in [(1, "10k-1", "waves-1"), (2, "10k-2", "waves-2")] {
        let gateway = cold(turn, workers)?;
        counted(turn, &gateway, first, 10_000, 1)?;
        counted(turn, &gateway, later, 10 * CLIENTS as u64, 5)?;
    }
    let gateway = cold(turn, 1)?;
    counted(turn, &gateway, "burst", CLIENTS as u64, 1)
}

/// A gateway that has sent nothing to the origin yet.
fn cold(turn: &Turn<'_>, workers: usize) -> io::Result<Started> {
    let mut setup = turn.setup(&*turn.origin(Kind::default())?)?;
    setup.workers = workers;
    turn.start_cold(setup)
}

/// Sends so many requests, so many times over, each time on fresh client connections.
fn counted(
    turn: &Turn<'_>,
    gateway: &Started,
    case: &str,
    requests: u64,
    times: usize,
) -> io::Result<()> {
    let origin = turn.origin(Kind::default())?;
    let before = origin.counts()?;
    let shape = Shape::Closed(Until::Requests(requests));
    let work = Work { connections: CLIENTS, warm_up: 0.0, shape, ..work(gateway) };
    let mut measured = turn.measure(gateway, &work)?;
    for _ in 1..times {
        let again = turn.measure(gateway, &work)?;
        measured.summary.failures += again.summary.failures;
        measured.summary.first_failure =
            measured.summary.first_failure.or(again.summary.first_failure);
    }
    let seen = origin.counts()?.since(&before);
    let count = |count: u64| count as f64;
    turn.record(
        case,
        &measured,
        &[
            ("connections", count(seen.accepted)),
            ("full", count(seen.full)),
            ("resumed", count(seen.resumed)),
        ],
    );
    Ok(())
}
