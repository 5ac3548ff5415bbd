//! User instructions and heap allocations of one proxied request: callgrind's difference between a
//! short and a long run, so that what starting and connecting cost falls out.

use super::callgrind::{self, Counts};
use super::gateway::{Gateway, Setup};
use super::load::{Ask, Clients, KILOBYTE};
use super::support::{HOST, Origin};
use super::table::Row;

/// Requests of the two runs.
const REQUESTS: [usize; 2] = [2_000, 8_000];
/// What the lane's thread runs, and no other.
const LANE: &str = "egret::proxy::";

const SIXTEEN: Ask = Ask { host: HOST, path: "/16384", status: 200 };
const UNROUTED: Ask = Ask { host: "unknown.example", path: "/", status: 404 };

/// What a request is and how it comes.
struct Case {
    connections: usize,
    ask: Ask,
    access_log: &'static str,
}

/// Instructions, with the access log off and on.
pub fn instructions(origin: &Origin) -> Vec<Row> {
    if let Err(why) = callgrind::installed() {
        return vec![Row::unmeasured("user instructions per request", why)];
    }
    let count = |connections, ask, access_log| {
        per_request(origin, &Case { connections, ask, access_log }).instructions
    };
    vec![
        Row::judged(
            "user instructions per request, 1 KB, log off",
            count(64, KILOBYTE, "off"),
            26_000.0,
            20_000.0,
        ),
        Row::judged(
            "user instructions per request, 1 KB, log on",
            count(64, KILOBYTE, "text"),
            29_000.0,
            22_000.0,
        ),
        Row::told("  the same at one connection, log off", count(1, KILOBYTE, "off")),
        Row::told("  a body of 16 KB", count(64, SIXTEEN, "off")),
        Row::told("  a 404 of the gateway's own", count(64, UNROUTED, "off")),
    ]
}

/// Allocations.
pub fn allocations(origin: &Origin) -> Vec<Row> {
    const WHAT: &str = "heap allocations per request, 1 KB";
    if let Err(why) = callgrind::installed() {
        return vec![Row::unmeasured(WHAT, why)];
    }
    let case = Case { connections: 64, ask: KILOBYTE, access_log: "off" };
    vec![Row::judged(WHAT, per_request(origin, &case).allocations, 6.0, 3.0)]
}

fn per_request(origin: &Origin, case: &Case) -> Counts {
    let [short, long] = REQUESTS.map(|requests| run(origin, case, requests));
    let more = (REQUESTS[1] - REQUESTS[0]) as f64;
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
