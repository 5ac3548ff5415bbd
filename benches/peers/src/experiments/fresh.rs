//! A fresh upstream connection for every request: what handshakes cost.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::origins::Kind;
use crate::bench::{Turn, work};
use crate::work::{Shape, Until, Work};

/// Cases, and what the origin offers in them.
const CASES: [(&str, Kind); 4] = [
    ("resumed", Kind { no_tickets: false, post_quantum: false, h2: false }),
    ("full", Kind { no_tickets: true, post_quantum: false, h2: false }),
    ("pq-resumed", Kind { no_tickets: false, post_quantum: true, h2: false }),
    ("pq-full", Kind { no_tickets: true, post_quantum: true, h2: false }),
];

const COLUMNS: &[&str] = &["user_us", "system_us", "resumed_percent", "pq_percent", "p50_us"];

pub const EXPERIMENT: Experiment = Experiment {
    name: "fresh",
    about: "1 KiB GETs on 8 kept client connections, after each of which the origin closes its connection; with tickets to \
            resume with and without; one worker. The origin knows X25519 alone, which all can do, or X25519MLKEM768 \
            before it, which those take that prefer it as shipped",
    needs: &[],
    possible: anywhere,
    quick: Some(Effort { rounds: 1, seconds: 8.0 }),
    full: Effort { rounds: 5, seconds: 16.0 },
    steps: &[fresh],
    tables: &[
        Table {
            case: "resumed",
            title: "A fresh upstream connection per request, resumption offered, X25519",
            key: "cpu_us",
            columns: COLUMNS,
            ratios: &[],
            chart: Chart::Bars(
                "CPU for a request on a fresh TLS connection, resumption offered, in µs",
            ),
        },
        Table {
            case: "full",
            title: "A fresh upstream connection per request, no resumption, X25519",
            key: "cpu_us",
            columns: COLUMNS,
            ratios: &[],
            chart: Chart::Bars(
                "CPU for a request on a fresh TLS connection, full handshakes, in µs",
            ),
        },
        Table {
            case: "pq-resumed",
            title: "A fresh upstream connection per request, resumption offered, X25519MLKEM768 for those that prefer it",
            key: "cpu_us",
            columns: COLUMNS,
            ratios: &[],
            chart: Chart::None,
        },
        Table {
            case: "pq-full",
            title: "A fresh upstream connection per request, no resumption, X25519MLKEM768 for those that prefer it",
            key: "cpu_us",
            columns: COLUMNS,
            ratios: &[],
            chart: Chart::None,
        },
    ],
};

fn fresh(turn: &Turn<'_>) -> io::Result<()> {
    for (case, kind) in CASES {
        let origin = turn.origin(kind)?;
        let gateway = turn.start(turn.setup(&origin)?)?;
        let before = origin.counts()?;
        let work = Work {
            path: "/close/1k".to_owned(),
            connections: 8,
            shape: Shape::Closed(Until::Seconds(turn.either(1.0, 3.0))),
            ..work(&gateway)
        };
        let measured = turn.measure(&gateway, &work)?;
        let seen = origin.counts()?.since(&before); // those of the warm-up too
        let all = (seen.full + seen.resumed).max(1) as f64;
        let groups = seen.groups.iter().filter(|(group, _)| group.contains("MLKEM"));
        let post_quantum: u64 = groups.map(|(_, count)| count).sum();
        turn.record(
            case,
            &measured,
            &[
                ("resumed_percent", 100.0 * seen.resumed as f64 / all),
                ("pq_percent", 100.0 * post_quantum as f64 / all),
            ],
        );
    }
    Ok(())
}
