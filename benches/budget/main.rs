//! The budgets: what one proxied request and one connection may cost, counted on the real binary.
//!
//! `cargo bench --bench budget [-- NAME...]`; fails when a figure is over its limit, unless `--report`
//! is given. The limit is what was last measured and a few percent, so that a change that costs
//! something shows; whoever means it moves the limit in the same commit. *Must* and *aim* are the
//! design's, and only told. Counts are repeatable on any machine; of times there is only the start's,
//! a median. How fast the gateway is beside others is not measured here.
//!
//! `EGRET_BINARY=FILE` measures that gateway, in place of the one that cargo builds with the bench.

mod callgrind;
mod compile;
mod gateway;
mod handshakes;
mod instructions;
mod load;
mod lookup;
mod memory;
mod start;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each bench uses its part of what they share")]
mod support;
mod syscalls;
mod table;

use std::process::ExitCode;

use support::Origin;
use table::{Row, Verdict};

/// Measures in front of an origin.
type Measure = fn(&Origin) -> Vec<Row>;

/// What can be measured, by name.
const MEASURES: [(&str, Measure); 8] = [
    ("instructions", instructions::instructions),
    ("allocations", instructions::allocations),
    ("syscalls", syscalls::measure),
    ("handshakes", handshakes::measure),
    ("memory", memory::measure),
    ("start", start::measure),
    ("lookup", lookup::measure),
    ("compile", compile::measure),
];

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == lookup::FLAG) {
        lookup::look_up(&arguments[1..]);
        return ExitCode::SUCCESS;
    }
    arguments.retain(|argument| argument != "--bench"); // cargo's
    let (flags, names): (Vec<_>, Vec<_>) =
        arguments.into_iter().partition(|argument| argument.starts_with("--"));
    let is_known = |name: &String| MEASURES.iter().any(|(known, _)| known == name);
    if flags.iter().any(|flag| flag != "--report") || !names.iter().all(is_known) {
        eprintln!("budget [--report] [NAME...]; names: {:?}", MEASURES.map(|(name, _)| name));
        return ExitCode::from(2);
    }
    let origin = Origin::start();
    let mut worse = 0;
    table::print_heading();
    for (name, measure) in MEASURES {
        if names.is_empty() || names.iter().any(|asked| asked == name) {
            for row in measure(&origin) {
                row.print();
                worse += u32::from(row.verdict() == Verdict::Worse);
            }
        }
    }
    match worse {
        0 => ExitCode::SUCCESS,
        _ if !flags.is_empty() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
