//! Bodies of other sizes, from none to 100 MiB.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::{Turn, work};
use crate::work::{Shape, Until, Work};

const MIB: f64 = (1 << 20) as f64;

/// Cases: the last segment of the path, how many connections.
const SIZES: [(&str, usize); 4] = [("0", 32), ("16k", 32), ("1m", 32), ("100m", 2)];

pub const EXPERIMENT: Experiment = Experiment {
    name: "sizes",
    about: "GETs of 0 B, 16 KiB and 1 MiB on 32 kept connections, and of 100 MiB on two; one worker",
    needs: &[],
    possible: anywhere,
    quick: Some(Effort { rounds: 1, seconds: 7.5 }),
    full: Effort { rounds: 5, seconds: 15.0 },
    steps: &[sizes],
    tables: &[
        Table {
            case: "0",
            title: "GET without a body",
            key: "cpu_us",
            columns: &["user_us", "system_us", "rps", "p50_us", "p99_us"],
            ratios: &[],
            chart: Chart::None,
        },
        Table {
            case: "16k",
            title: "GET of 16 KiB",
            key: "cpu_us",
            columns: &["user_us", "system_us", "rps", "p50_us", "p99_us"],
            ratios: &[],
            chart: Chart::Bars("CPU for a proxied 16 KiB response, in µs"),
        },
        Table {
            case: "1m",
            title: "GET of 1 MiB",
            key: "cpu_ms_per_mib",
            columns: &["mb_per_s"],
            ratios: &[],
            chart: Chart::None,
        },
        Table {
            case: "100m",
            title: "GET of 100 MiB, two connections",
            key: "cpu_ms_per_mib",
            columns: &["mb_per_s"],
            ratios: &[],
            chart: Chart::Bars("CPU for 1 MiB of a 100 MiB response, in ms"),
        },
    ],
};

fn sizes(turn: &Turn<'_>) -> io::Result<()> {
    let gateway = turn.usual()?;
    for (size, connections) in SIZES {
        let work = Work {
            path: format!("/{size}"),
            connections,
            shape: Shape::Closed(Until::Seconds(turn.either(1.2, 3.0))),
            ..work(&gateway)
        };
        let measured = turn.measure(&gateway, &work)?;
        let bytes = measured.summary.bytes as f64;
        let mut figures = vec![("mb_per_s", bytes / 1e6 / measured.summary.seconds)];
        if bytes > 0.0 {
            figures.push(("cpu_ms_per_mib", measured.cpu.total() * 1e3 / (bytes / MIB)));
        }
        turn.record(size, &measured, &figures);
    }
    Ok(())
}
