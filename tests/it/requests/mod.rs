//! Every kind of request, good and bad, byte for byte: what the client gets, what the origin gets, and whether
//! the connection stays. The rows stand in `cases/`; `table.rs` says how they are written.

mod driver;
mod envoy;
mod origin;
mod table;
mod wire;

use std::net::SocketAddr;

use driver::{Announced, Outcome, Pace};
use origin::Recorder;
use table::{Case, Complete, Ends};

use crate::harness::article::Egress;
use crate::harness::{Gateway, PATIENCE, Setup};

/// The host of every request that is to be forwarded.
const HOST: &str = "a.test";

/// A host whose requests are answered by the configuration.
const REDIRECTED: &str = "
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: redirected}
spec:
  hosts: [r.test]
  gateways: [egress]
  http:
  - redirect: {authority: a.test}
";

/// Lines that policy may add towards an origin, which other tests look at.
const ADDED: [&[u8]; 1] = [b"cdn-loop:"];

fn cases() -> Vec<Case> {
    let files = [
        ("line", include_str!("cases/line.txt")),
        ("target", include_str!("cases/target.txt")),
        ("host", include_str!("cases/host.txt")),
        ("fields", include_str!("cases/fields.txt")),
        ("length", include_str!("cases/length.txt")),
        ("coding", include_str!("cases/coding.txt")),
        ("chunks", include_str!("cases/chunks.txt")),
        ("hop", include_str!("cases/hop.txt")),
        ("connection", include_str!("cases/connection.txt")),
        ("limits", include_str!("cases/limits.txt")),
    ];
    files.into_iter().flat_map(|(name, text)| table::read(name, text)).collect()
}

/// A gateway before an origin that records.
fn start() -> (Gateway, SocketAddr, Recorder) {
    let origin = Recorder::start();
    let to = format!("{HOST}:80::{}", origin.address.port());
    let setup =
        Setup::new(&(Egress::plain(HOST).yaml() + REDIRECTED)).flags(&["--connect-to", &to]);
    // No limit of a body stands in the way of the largest length that can be said.
    let limits = format!("bodyBytes={}", u64::MAX);
    let gateway = setup.flags(&["--limits", &limits]).log_format("off").start();
    let address = gateway.port(443);
    (gateway, address, origin)
}

#[test]
fn every_request_is_answered_and_passed_on_as_the_table_says() {
    let (gateway, address, origin) = start();
    let mut wrong = Vec::new();
    for case in cases() {
        let outcome = driver::play(&case, Pace::AtOnce, PATIENCE, address, &origin);
        if outcome.answer != case.answer
            || !arrived(&case, &outcome)
            || outcome.announced == Announced::Falsely
        {
            wrong.push(told(&case, &outcome));
        }
    }
    gateway.assert_running();
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// Where a head or a chunk is torn must make no difference, save that a body which is not there yet when its
/// request is answered by the gateway itself ends the connection, and that of a body which turns out to be
/// malformed the front may have left already.
#[test]
fn requests_mean_the_same_however_they_are_torn() {
    let (gateway, address, origin) = start();
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.complete == Complete::Yes) {
        let outcome = driver::play(case, Pace::Dribbled, PATIENCE, address, &origin);
        let same = outcome.answer == case.answer
            && dechunked(&without_added(&outcome.whole())) == dechunked(&case.received);
        if !same && Some(&outcome.answer) != closed_early(&case.answer).as_ref() {
            wrong.push(told(case, &outcome));
        }
    }
    gateway.assert_running();
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// The answer if the connection ends after the first response that the gateway makes itself.
fn closed_early(answer: &str) -> Option<String> {
    let own = ["404", "301"].iter().filter_map(|status| answer.find(status)).min()?;
    Some(format!("{} close", &answer[..own + 3]))
}

/// Whether the origin got what the row says.
fn arrived(case: &Case, outcome: &Outcome) -> bool {
    let received = without_added(&outcome.bytes());
    match case.complete {
        Complete::Yes => outcome.complete() == Complete::Yes && received == case.received,
        Complete::No => outcome.whole().is_empty() && case.received.starts_with(&received),
    }
}

/// One row, and what became of it instead.
fn told(case: &Case, outcome: &Outcome) -> String {
    let shown = |bytes: &[u8]| bytes[..bytes.len().min(300)].escape_ascii().to_string();
    let lie = if outcome.announced == Announced::Falsely { ", announced wrongly" } else { "" };
    let cut = if outcome.complete() == Complete::No { "…" } else { "" };
    format!(
        "{}\n  sent      {}{}\n  expected  {} <- {}\n  but got   {}{lie} <- {}{cut}",
        case.name,
        shown(&case.request),
        if case.ends == Ends::Yes { "␄" } else { "" },
        case.answer,
        shown(&case.received),
        outcome.answer,
        shown(&outcome.bytes()),
    )
}

fn without_added(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter(|line| !ADDED.iter().any(|name| line.starts_with(name)))
        .flatten()
        .copied()
        .collect()
}

/// The same with the first chunked body taken apart: how it is cut into chunks may differ.
fn dechunked(bytes: &[u8]) -> Vec<u8> {
    let Some(at) = origin::find(bytes, b"\r\n\r\n").map(|at| at + 4) else { return bytes.to_vec() };
    match wire::dechunk(&bytes[at..]) {
        Some(body) => [&bytes[..at], &body.payload, b"|", &body.trailers].concat(),
        None => bytes.to_vec(),
    }
}
