//! TLS handshakes: kept connections need no further ones, sessions are resumed, and what one costs.

use super::callgrind;
use super::gateway::{Gateway, Setup};
use super::instructions::{Case, on_this_machine, per_request};
use super::load::{CLOSE, Clients, KILOBYTE};
use super::support::Origin;
use super::table::{Budget, Row};

/// Requests over connections that stay open.
const KEPT: usize = 2_000;
/// Requests that each need a connection of their own.
const CLOSED: usize = 100;

/// Everything about them.
pub fn measure(origin: &Origin) -> Vec<Row> {
    let gateway = Gateway::start(&Setup::article(origin));
    let mut clients = Clients::connect(gateway.address, 64);
    clients.hold(&origin.held, || ());
    let before = origin.handshakes.all();
    clients.run(KEPT, KILOBYTE);
    let further = origin.handshakes.all() - before;
    drop((clients, gateway));

    let gateway = Gateway::start(&Setup::article(origin));
    let before = origin.handshakes.full();
    Clients::connect(gateway.address, 1).run(CLOSED, CLOSE);
    let full = origin.handshakes.full() - before;

    let none = Budget { must: 0.0, aim: 0.0 };
    vec![
        Row::judged("handshakes of 2,000 requests, 64 connections kept", further as f64, 0.0, none),
        Row::held("full handshakes of 100 connections, one by one", full as f64, 1.0),
        resumed(origin),
    ]
}

fn resumed(origin: &Origin) -> Row {
    const WHAT: &str = "user instructions per connection, session resumed";
    if let Err(why) = callgrind::installed() {
        return Row::unmeasured(WHAT, why);
    }
    let case = Case { requests: [50, 200], connections: 1, ask: CLOSE, access_log: "off" };
    let measured = per_request(origin, &case).instructions;
    Row::held(WHAT, measured, on_this_machine(1_700_000.0))
}
