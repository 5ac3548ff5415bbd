//! System calls for a request, as strace counts them.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::{Started, Turn, work};
use crate::gateways::install::is_here;
use crate::work::{Shape, Until, Work};

/// A call less frequent than this is no part of a request.
const RARE: f64 = 0.02;

pub const EXPERIMENT: Experiment = Experiment {
    name: "syscalls",
    about: "System calls of all threads for a 1 KiB GET on one kept connection and on 64, counted by strace; one worker",
    needs: &[],
    possible: || match is_here("strace") {
        true => anywhere(),
        false => Err("strace is not installed".to_owned()),
    },
    quick: None,
    full: Effort { rounds: 1, seconds: 8.0 },
    steps: &[syscalls],
    tables: &[
        Table {
            case: "1",
            title: "System calls per request, one connection",
            key: "calls",
            columns: &[],
            ratios: &[],
            chart: Chart::None,
        },
        Table {
            case: "64",
            title: "System calls per request, 64 connections",
            key: "calls",
            columns: &[],
            ratios: &[],
            chart: Chart::Bars("System calls for a proxied 1 KiB request, 64 connections"),
        },
    ],
};

fn syscalls(turn: &Turn<'_>) -> io::Result<()> {
    for (case, connections, requests) in [("1", 1, 1_000), ("64", 64, 5_000)] {
        let gateway = turn.usual()?;
        let calls = counted(turn, &gateway, connections, requests)?;
        let each: BTreeMap<String, f64> =
            calls.into_iter().map(|(name, count)| (name, count as f64 / requests as f64)).collect();
        let frequent = each.iter().filter(|(_, count)| **count >= RARE);
        let told: Vec<String> =
            frequent.map(|(name, count)| format!("{name} {count:.2}")).collect();
        turn.record_note(case, &[("calls", each.values().sum())], told.join(", "));
    }
    Ok(())
}

/// What strace counts during so many requests.
fn counted(
    turn: &Turn<'_>,
    gateway: &Started,
    connections: usize,
    requests: u64,
) -> io::Result<BTreeMap<String, u64>> {
    let shape = Shape::Closed(Until::Requests(requests));
    let generator = turn.generator(&Work { connections, shape, ..work(gateway) })?;
    let strace = turn.strace(gateway)?;
    let summary = generator.go()?;
    let table = strace.end()?;
    if summary.failures > 0 {
        let why = summary.first_failure.unwrap_or_default();
        return Err(io::Error::other(format!("{} requests failed: {why}", summary.failures)));
    }
    Ok(read(&fs::read_to_string(table)?))
}

/// strace's table: time in percent, seconds, microseconds for a call, calls, errors if any, name.
fn read(table: &str) -> BTreeMap<String, u64> {
    let lines = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (name, calls) = (fields.last()?, fields.get(3)?.parse().ok()?);
        (*name != "total" && fields.len() >= 5).then(|| ((*name).to_owned(), calls))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_strace_is_read_with_and_without_errors() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000300           3       100           sendto
 40.00    0.000200           2        90        10 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.000500           2       190        10 total
";
        let calls = read(table);
        assert_eq!(calls, BTreeMap::from([("recvfrom".into(), 90), ("sendto".into(), 100)]));
    }
}
