//! Requests with bodies.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::{Turn, work};
use crate::work::{Payload, Shape, Until, Work};

/// How much is uploaded.
const UPLOAD: usize = 1 << 20;

pub const EXPERIMENT: Experiment = Experiment {
    name: "post",
    about: "POSTs on 32 kept connections: of 4 KiB, which come back, and of 1 MiB in chunks, whose size comes back; one \
            worker",
    needs: &[],
    possible: anywhere,
    quick: None,
    full: Effort { rounds: 5, seconds: 7.5 },
    steps: &[post],
    tables: &[
        Table {
            case: "echo",
            title: "POST of 4 KiB, echoed",
            key: "cpu_us",
            columns: &["user_us", "system_us", "rps", "p50_us", "p99_us"],
            ratios: &[],
            chart: Chart::Bars("CPU for a proxied POST of 4 KiB that comes back, in µs"),
        },
        Table {
            case: "upload",
            title: "POST of 1 MiB in chunks of 16 KiB",
            key: "cpu_ms_per_mib",
            columns: &["mb_per_s"],
            ratios: &[],
            chart: Chart::Bars("CPU for 1 MiB of an upload in chunks, in ms"),
        },
    ],
};

fn post(turn: &Turn<'_>) -> io::Result<()> {
    let gateway = turn.usual()?;
    let work = Work {
        connections: 32,
        shape: Shape::Closed(Until::Seconds(turn.either(1.0, 3.0))),
        ..work(&gateway)
    };
    let echo = Work { path: "/echo".to_owned(), payload: Payload::Length(4 << 10), ..work.clone() };
    turn.record("echo", &turn.measure(&gateway, &echo)?, &[]);
    let upload = Work { path: "/count".to_owned(), payload: Payload::Chunked(UPLOAD), ..work };
    let measured = turn.measure(&gateway, &upload)?;
    let uploads = measured.summary.requests.max(1) as f64;
    let mib = uploads * UPLOAD as f64 / f64::from(1 << 20);
    let figures = [
        ("cpu_ms_per_mib", measured.cpu.total() * 1e3 / mib),
        ("mb_per_s", uploads * UPLOAD as f64 / 1e6 / measured.summary.seconds),
    ];
    turn.record("upload", &measured, &figures);
    Ok(())
}
