//! Upgraded connections, on which bytes go both ways.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::{Turn, work};
use crate::work::{Protocol, Shape, Until, Work};

pub const EXPERIMENT: Experiment = Experiment {
    name: "websocket",
    about: "Messages of 1 KiB on 64 WebSockets, each sent when the last has come back; one worker",
    needs: &[],
    possible: anywhere,
    quick: None,
    full: Effort { rounds: 5, seconds: 5.0 },
    steps: &[echo],
    tables: &[Table {
        case: "websocket",
        title: "1 KiB messages on 64 WebSockets, echoed",
        key: "cpu_us",
        columns: &["user_us", "system_us", "rps", "p50_us", "p99_us"],
        ratios: &[],
        chart: Chart::Bars("CPU for a WebSocket message of 1 KiB and its echo, in µs"),
    }],
};

fn echo(turn: &Turn<'_>) -> io::Result<()> {
    let gateway = turn.usual()?;
    let work = Work {
        protocol: Protocol::WebSocket,
        expect: 101,
        path: "/socket".to_owned(),
        shape: Shape::Closed(Until::Seconds(turn.seconds())),
        ..work(&gateway)
    };
    turn.record("websocket", &turn.measure(&gateway, &work)?, &[]);
    Ok(())
}
