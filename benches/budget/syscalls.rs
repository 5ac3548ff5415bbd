//! System calls of the lane for one proxied request: strace's difference between a short and a long
//! run. Calls of other threads are not counted; nothing of a request happens there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::gateway::{Gateway, Setup};
use super::load::{Clients, KILOBYTE};
use super::support::Origin;
use super::table::{Budget, Row};

/// Requests of the two runs.
const REQUESTS: [usize; 2] = [1_000, 5_000];
/// A call less frequent than this is no part of a request.
const RARE: f64 = 0.005;

/// Calls by name.
type Calls = BTreeMap<String, f64>;

/// I/O calls and futexes, at 64 connections and at one.
pub fn measure(origin: &Origin) -> Vec<Row> {
    if Command::new("strace").arg("--version").output().is_err() {
        return vec![Row::unmeasured("system calls per request", "install strace")];
    }
    let no_futex = Budget { must: RARE, aim: 0.0 };
    let (busy, single) = (per_request(origin, 64), per_request(origin, 1));
    vec![
        Row::judged(
            format!("system calls per request, 64 connections{}", said(&busy)),
            io(&busy),
            4.3,
            Budget { must: 4.5, aim: 4.2 },
        ),
        Row::judged("futex calls per request, 64 connections", futexes(&busy), RARE, no_futex),
        Row::held(
            format!("system calls per request, 1 connection{}", said(&single)),
            io(&single),
            6.3,
        ),
        Row::judged("futex calls per request, 1 connection", futexes(&single), RARE, no_futex),
    ]
}

fn futexes(calls: &Calls) -> f64 {
    calls.get("futex").copied().unwrap_or_default()
}

/// All but futexes: a request of the lane does nothing else in the kernel.
fn io(calls: &Calls) -> f64 {
    calls.iter().filter(|(name, _)| *name != "futex").map(|(_, count)| count).sum()
}

fn said(calls: &Calls) -> String {
    let each = calls.iter().map(|(name, count)| format!("\n    {name} {count:.2}"));
    format!(":{}\n  in all", each.collect::<String>())
}

fn per_request(origin: &Origin, connections: usize) -> Calls {
    let [short, mut long] = REQUESTS.map(|requests| run(origin, connections, requests));
    for (name, count) in &mut long {
        let more = (REQUESTS[1] - REQUESTS[0]) as f64;
        *count = (*count - short.get(name).copied().unwrap_or_default()) / more;
    }
    long.retain(|_, count| *count >= RARE);
    long
}

fn run(origin: &Origin, connections: usize, requests: usize) -> Calls {
    let directory = tempfile::tempdir().expect("a directory");
    let out = format!("{}/calls", directory.path().display());
    let tool = ["strace", "--quiet=all", "-ff", "-o", &out].map(str::to_owned).to_vec();
    let gateway = Gateway::start(&Setup { tool, ..Setup::article(origin) });
    let mut clients = Clients::connect(gateway.address, connections);
    clients.hold(&origin.held, || ());
    clients.run(requests, KILOBYTE);
    gateway.stop();
    calls_of_lane(directory.path())
}

/// Each thread has a file of its own, in which it names itself.
fn calls_of_lane(directory: &Path) -> Calls {
    let mut calls = Calls::new();
    for entry in fs::read_dir(directory).expect("it was made here") {
        let text = fs::read_to_string(entry.expect("a file").path()).expect("text");
        if text.contains("PR_SET_NAME, \"lane-") {
            for name in text.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name) {
                *calls.entry(name.to_owned()).or_default() += 1.0;
            }
        }
    }
    calls
}
