//! What origins answer, well and badly, and what comes of it: for the client, for its connection, and for
//! the request that comes next on either side.
//!
//! The rows stand in `status`, `interim`, `framing`, `fields`, `bodies` and `early`; `case` says how to
//! read them. Each is asked by an HTTP/1 client, and by an HTTP/2 client where that can ask so, through one
//! gateway with one worker, so that all requests share one pool. HTTP/2 origins have a table of their own,
//! in frames: `h2_cases`.

mod bodies;
mod case;
mod client;
mod early;
mod envoy;
mod fields;
mod frames;
mod framing;
mod get_body;
mod h2_cases;
mod interim;
mod judge;
mod origin;
mod status;
mod unasked;

use std::collections::HashMap;
use std::net::SocketAddr;

use self::case::{After, Ask, Case};
use self::client::{Got, HOST, Http1, Http2};
use self::origin::{Origin, Script};
use crate::harness::article::Egress;
use crate::harness::origin::{Tls, acceptor};
use crate::harness::{Gateway, Setup};

/// Every row.
fn cases() -> Vec<Case> {
    [
        status::cases(),
        interim::cases(),
        framing::cases(),
        fields::cases(),
        bodies::cases(),
        early::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The path that stands for a row.
fn path(case: &Case) -> String {
    let name: String =
        case.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("/{name}/")
}

fn scripts_of(cases: &[Case]) -> HashMap<String, Script> {
    let script =
        |case: &Case| Script { answer: case.answer.clone(), when: case.when, then: case.then };
    let scripts: HashMap<_, _> = cases.iter().map(|case| (path(case), script(case))).collect();
    assert_eq!(scripts.len(), cases.len(), "two rows have one name");
    scripts
}

fn gateway_before(egress: &Egress, port: u16) -> Gateway {
    let to = format!("{HOST}:{}::{port}", egress.port);
    Setup::new(&egress.yaml()).flags(&["--connect-to", &to, "--workers", "1"]).start()
}

#[test]
fn http1_clients_get_what_an_origin_means_and_nothing_else() {
    let cases = cases();
    let origin = Origin::start(scripts_of(&cases));
    let gateway = gateway_before(&Egress::plain(HOST), origin.port);
    let address = gateway.port(443);
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(named(case, over_http1(case, address, &origin)));
    }
    gateway.get(HOST, "/done");
    gateway.wait_for_access("\"/done\""); // and all that was written before it
    let log = gateway.access_log();
    for case in &cases {
        wrong.extend(named(case, judge::flag(case, &log)));
    }
    report(wrong, cases.len());
}

#[test]
fn http2_clients_get_what_an_origin_means_and_nothing_else() {
    let cases: Vec<_> = cases().into_iter().filter(Case::fits_h2).collect();
    let origin = Origin::start(scripts_of(&cases));
    let gateway = gateway_before(&Egress::plain(HOST), origin.port);
    let address = gateway.port(443);
    let wrong = cases.iter().flat_map(|case| named(case, over_http2(case, address, &origin)));
    report(wrong.collect(), cases.len());
}

#[test]
fn tls_tells_the_end_of_a_body_from_the_end_of_a_connection() {
    let mut cases = bodies::cases();
    cases.extend(bodies::tls_cases());
    let origin = Origin::over_tls(scripts_of(&cases), acceptor(&Tls::new(&[HOST])));
    let gateway = gateway_before(&Egress::tls(HOST), origin.port);
    let address = gateway.port(443);
    let wrong = cases.iter().flat_map(|case| named(case, over_http1(case, address, &origin)));
    report(wrong.collect(), cases.len());
}

fn named(case: &Case, wrong: impl IntoIterator<Item = String>) -> impl Iterator<Item = String> {
    wrong.into_iter().map(|wrong| format!("{}: {wrong}", case.name))
}

fn report(wrong: Vec<String>, rows: usize) {
    assert!(wrong.is_empty(), "{} complaints, {rows} rows:\n{}", wrong.len(), wrong.join("\n"));
}

/// Asks for a row over HTTP/1 and says what is wrong.
fn over_http1(case: &Case, gateway: SocketAddr, origin: &Origin) -> Vec<String> {
    let (got, next, mut wrong) = ask_twice(case, gateway);
    wrong.extend(judge::answer(case, &got));
    wrong.extend(judge::lines(case, &got, str::to_owned));
    wrong.extend(judge::next(case, &next, origin));
    wrong
}

/// Asks for a row over HTTP/1, and then for something else: on the same connection, if that should live on.
/// What came of both, and what is wrong with how the connection ended.
fn ask_twice(case: &Case, address: SocketAddr) -> (Got, Got, Vec<String>) {
    let path = path(case);
    let mut client = Http1::connect(address);
    let got = client.ask(case.ask, &path);
    let mut wrong = Vec::new();
    if case.client == After::Ended
        && let Err(how) = client.ends_silently()
    {
        wrong.push(format!("the client's connection lives on: {how}"));
    }
    if case.client == After::Ended {
        client = Http1::connect(address);
    }
    let next = client.ask(Ask::Get, &format!("{path}after"));
    (got, next, wrong)
}

/// Asks for a row over HTTP/2 and says what is wrong.
fn over_http2(case: &Case, gateway: SocketAddr, origin: &Origin) -> Vec<String> {
    let path = path(case);
    let client = Http2::connect(gateway);
    let got = client.ask(case.ask, &path);
    let mut wrong = judge::answer(case, &got);
    wrong.extend(judge::lines(case, &got, |line| match line.split_once(": ") {
        Some((name, value)) if !line.starts_with("HTTP/") => {
            format!("{}: {value}", name.to_lowercase())
        }
        _ => String::new(), // a status line
    }));
    // A stream that breaks takes no other with it.
    let next = client.ask(Ask::Get, &format!("{path}after"));
    wrong.extend(judge::next(case, &next, origin));
    wrong
}
