//! User instructions and heap allocations of one proxied request: callgrind's difference between a
//! short and a long run, so that what starting and connecting cost falls out.

use super::callgrind::{self, Counts};
use super::gateway::{Gateway, Setup};
use super::load::{Ask, Clients, KILOBYTE};
use super::support::{HOST, Origin};
use super::table::{Budget, Row};

/// Requests of the two runs.
const REQUESTS: [usize; 2] = [1_000, 4_000];
/// What the lane's thread runs, and no other.
const LANE: &str = "egret::proxy::";

const SIXTEEN: Ask = Ask { host: HOST, path: "/16384", status: 200 };
const UNROUTED: Ask = Ask { host: "unknown.example", path: "/", status: 404 };

/// What a request is and how it comes.
pub struct Case {
    /// Requests of the short and of the long run.
    pub requests: [usize; 2],
    /// Clients that send them.
    pub connections: usize,
    /// What they ask for.
    pub ask: Ask,
    /// `--access-log`
    pub access_log: &'static str,
}

/// A limit that was found on x86-64 with glibc; elsewhere the instructions are others, and have none.
pub fn on_this_machine(limit: f64) -> f64 {
    match cfg!(all(target_arch = "x86_64", target_env = "gnu")) {
        true => limit,
        false => f64::INFINITY,
    }
}

/// Instructions, with the access log off and on.
pub fn instructions(origin: &Origin) -> Vec<Row> {
    if let Err(why) = callgrind::installed() {
        return vec![Row::unmeasured("user instructions per request", why)];
    }
    let count = |connections, ask, access_log| {
        per_request(origin, &Case { requests: REQUESTS, connections, ask, access_log }).instructions
    };
    vec![
        Row::judged(
            "user instructions per request, 1 KB, log off",
            count(64, KILOBYTE, "off"),
            on_this_machine(26_000.0),
            Budget { must: 26_000.0, aim: 20_000.0 },
        ),
        Row::judged(
            "user instructions per request, 1 KB, log on",
            count(64, KILOBYTE, "text"),
            on_this_machine(29_000.0),
            Budget { must: 29_000.0, aim: 22_000.0 },
        ),
        Row::held(
            "  the same at one connection, log off",
            count(1, KILOBYTE, "off"),
            on_this_machine(28_000.0),
        ),
        Row::held("  a body of 16 KB", count(64, SIXTEEN, "off"), on_this_machine(142_000.0)),
        Row::held(
            "  a 404 of the gateway's own",
            count(64, UNROUTED, "off"),
            on_this_machine(10_500.0),
        ),
    ]
}

/// Allocations.
pub fn allocations(origin: &Origin) -> Vec<Row> {
    const WHAT: &str = "heap allocations per request, 1 KB";
    if let Err(why) = callgrind::installed() {
        return vec![Row::unmeasured(WHAT, why)];
    }
    let case = Case { requests: REQUESTS, connections: 64, ask: KILOBYTE, access_log: "off" };
    let measured = per_request(origin, &case).allocations;
    vec![Row::judged(WHAT, measured, 2.5, Budget { must: 6.0, aim: 3.0 })]
}

/// What one further request takes.
pub fn per_request(origin: &Origin, case: &Case) -> Counts {
    let [short, long] = case.requests.map(|requests| run(origin, case, requests));
    let more = (case.requests[1] - case.requests[0]) as f64;
    Counts {
        instructions: (long.instructions - short.instructions) / more,
        allocations: (long.allocations - short.allocations) / more,
    }
}

fn run(origin: &Origin, case: &Case, requests: usize) -> Counts {
    let directory = tempfile::tempdir().expect("a directory");
    let gateway = Gateway::start(&Setup {
        access_log: case.access_log,
        tool: callgrind::tool(directory.path()),
        ..Setup::article(origin)
    });
    let mut clients = Clients::connect(gateway.address, case.connections);
    clients.hold(&origin.held, || ());
    clients.run(requests, case.ask);
    gateway.stop();
    drop(clients);
    callgrind::read(directory.path(), LANE)
}
