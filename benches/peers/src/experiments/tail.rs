//! Latency at loads that the best of the peers can take.

use std::io;

use super::{Chart, Effort, Experiment, Table, anywhere};
use crate::bench::{Started, Turn, work};
use crate::gateways::install::PEERS;
use crate::work::{Shape, Until, Work};

/// Cases: the load in percent of the best peer's saturation.
const LOADS: [(&str, f64); 3] = [("20", 20.0), ("50", 50.0), ("80", 80.0)];

const COLUMNS: &[&str] = &["p50_us", "p999_us", "rps", "cpu_us"];

pub const EXPERIMENT: Experiment = Experiment {
    name: "tail",
    about: "1 KiB GETs at random times on 64 kept connections, at 20, 50 and 80 % of what the best of the peers does at \
            saturation in the same round; one worker; latency from when a request was due. Who cannot keep up is \
            overloaded, and its latency is that of a queue",
    needs: &[],
    possible: anywhere,
    quick: Some(Effort { rounds: 1, seconds: 9.0 }),
    // Many short turns: a stall of the machine of tens of milliseconds then spoils one of them, not a seventh of all.
    full: Effort { rounds: 15, seconds: 11.5 },
    steps: &[saturate, at_loads],
    tables: &[
        Table {
            case: SATURATION,
            title: "Saturation: where the loads below come from",
            key: "cpu_us",
            columns: &["rps"],
            ratios: &["p50_us", "p999_us"],
            chart: Chart::None,
        },
        Table {
            case: "20",
            title: "20 % of the best peer's saturation",
            key: "p99_us",
            columns: COLUMNS,
            ratios: &["p50_us", "p999_us"],
            chart: Chart::Curves("Latency at 20 % of the best peer's saturation"),
        },
        Table {
            case: "50",
            title: "50 % of the best peer's saturation",
            key: "p99_us",
            columns: COLUMNS,
            ratios: &["p50_us", "p999_us"],
            chart: Chart::Curves("Latency at 50 % of the best peer's saturation"),
        },
        Table {
            case: "80",
            title: "80 % of the best peer's saturation",
            key: "p99_us",
            columns: COLUMNS,
            ratios: &["p50_us", "p999_us"],
            chart: Chart::Curves("Latency at 80 % of the best peer's saturation"),
        },
    ],
};

/// The case in which saturation is recorded.
pub const SATURATION: &str = "saturation";

/// Finds out what the gateway does at most.
pub fn saturate(turn: &Turn<'_>) -> io::Result<()> {
    let gateway = turn.usual()?;
    let seconds = turn.either(1.0, 1.5);
    let work = Work { shape: Shape::Closed(Until::Seconds(seconds)), ..work(&gateway) };
    turn.record(SATURATION, &turn.measure(&gateway, &work)?, &[]);
    Ok(())
}

fn at_loads(turn: &Turn<'_>) -> io::Result<()> {
    let gateway = turn.usual()?;
    for (case, percent) in LOADS {
        let work = at(turn, &gateway, percent, turn.either(1.5, 2.0))?;
        turn.record(case, &turn.measure(&gateway, &work)?, &[]);
    }
    Ok(())
}

/// An open loop at so many percent of the best peer's saturation in this round.
///
/// Errors: nobody's saturation is known.
pub fn at(turn: &Turn<'_>, gateway: &Started, percent: f64, seconds: f64) -> io::Result<Work> {
    let rate = best(turn)? * percent / 100.0;
    let seed = u64::from(turn.round) + 1;
    Ok(Work { shape: Shape::Open { rate, seconds, seed }, ..work(gateway) })
}

/// The most requests a second that a peer did in this round; without any peer, that anybody did.
fn best(turn: &Turn<'_>) -> io::Result<f64> {
    let samples = turn.samples.borrow();
    let here = samples.iter().filter(|sample| {
        sample.experiment == turn.experiment
            && sample.case == SATURATION
            && sample.round == turn.round
    });
    let rates: Vec<(bool, f64)> = here
        .filter_map(|sample| {
            Some((PEERS.contains(&sample.gateway.as_str()), *sample.values.get("rps")?))
        })
        .collect();
    let has_peers = rates.iter().any(|(is_peer, _)| *is_peer);
    let counted = rates.iter().filter(|(is_peer, _)| *is_peer || !has_peers);
    counted
        .map(|(_, rate)| *rate)
        .max_by(f64::total_cmp)
        .ok_or_else(|| io::Error::other("nobody's saturation is known"))
}
