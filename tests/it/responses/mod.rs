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
mod fields;
mod frames;
mod framing;
mod h2_cases;
mod interim;
mod origin;
mod status;

use std::collections::HashMap;
use std::net::SocketAddr;

use self::case::{After, Ask, Case, Gets, Then};
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
        wrong.extend(named(case, flag(case, &log)));
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
    let path = path(case);
    let mut client = Http1::connect(gateway);
    let got = client.ask(case.ask, &path);
    let mut wrong = judge(case, &got);
    wrong.extend(judge_lines(case, &got, str::to_owned));
    let after = format!("{path}after");
    if case.client == After::Ended
        && let Err(how) = client.ends_silently()
    {
        wrong.push(format!("the client's connection lives on: {how}"));
    }
    if case.client == After::Ended {
        client = Http1::connect(gateway);
    }
    wrong.extend(judge_next(case, &client.ask(Ask::Get, &after), origin));
    wrong
}

/// Asks for a row over HTTP/2 and says what is wrong.
fn over_http2(case: &Case, gateway: SocketAddr, origin: &Origin) -> Vec<String> {
    let path = path(case);
    let client = Http2::connect(gateway);
    let got = client.ask(case.ask, &path);
    let mut wrong = judge(case, &got);
    wrong.extend(judge_lines(case, &got, |line| match line.split_once(": ") {
        Some((name, value)) if !line.starts_with("HTTP/") => {
            format!("{}: {value}", name.to_lowercase())
        }
        _ => String::new(), // a status line
    }));
    // A stream that breaks takes no other with it.
    wrong.extend(judge_next(case, &client.ask(Ask::Get, &format!("{path}after")), origin));
    wrong
}

/// Whether it is the right answer, with the right end.
fn judge(case: &Case, got: &Got) -> Vec<String> {
    let right = match case.gets {
        Gets::Whole(status, body) => {
            got.broken.is_empty() && got.status() == status && got.body == body
        }
        Gets::Cut(status) => match got.head.is_empty() || got.head.starts_with("HTTP/2") {
            false => got.status() == status && got.broken == "reset",
            // A stream may be reset before its head has left.
            true => [0, status].contains(&got.status()) && got.broken.contains("stream error"),
        },
        Gets::Local(status, token) => {
            got.broken.is_empty() && (got.status(), got.token()) == (status, token)
        }
        Gets::Switched(bytes) => got.status() == 101 && got.body == bytes,
    };
    let interims: Vec<_> = got.interims.iter().map(|head| client::status(head)).collect();
    let mut wrong = Vec::new();
    if !right {
        wrong.push(format!("wanted {:?}, got {got}", case.gets));
    }
    if interims != case.interims {
        wrong.push(format!("wanted interim {:?}, got {interims:?}", case.interims));
    }
    wrong
}

/// Whether the head has the lines it must have and no others, and the trailers too.
fn judge_lines(case: &Case, got: &Got, written: fn(&str) -> String) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in &case.has {
        let line = written(line);
        if !line.is_empty() && !got.head.split("\r\n").any(|own| own == line) {
            wrong.push(format!("no line {line:?} in {:?}", got.head));
        }
    }
    for name in &case.lacks {
        for head in got.interims.iter().chain([&got.head]) {
            if crate::harness::http1::field(head, name).is_some() {
                wrong.push(format!("{name} in {head:?}"));
            }
        }
    }
    // HTTP/2 clients take them unasked.
    let unasked = got.head.starts_with("HTTP/2") && case.ask == Ask::Get;
    if got.trailers.to_lowercase() != case.trailers.to_lowercase() && !unasked {
        wrong.push(format!("wanted trailers {:?}, got {:?}", case.trailers, got.trailers));
    }
    wrong
}

/// Whether the next request got its own answer, over the connection to the origin that it should have.
fn judge_next(case: &Case, next: &Got, origin: &Origin) -> Vec<String> {
    let after = format!("{}after", path(case));
    let mut wrong = Vec::new();
    if (next.status(), next.body.as_str()) != (200, after.as_str()) || !next.broken.is_empty() {
        wrong.push(format!("the next request got {next}"));
    }
    let reused = origin.connection_of(&path(case)) == origin.connection_of(&after);
    if reused != (case.origin == After::Kept) {
        wrong.push(format!("the origin's connection was reused: {reused}"));
    }
    wrong
}

/// Whether the access log says what kind of failure it was.
fn flag(case: &Case, log: &[String]) -> Option<String> {
    let wanted: &[&str] = match case.gets {
        Gets::Whole(..) | Gets::Switched(_) => &["-"],
        Gets::Local(502, _) => &["UPE"],
        Gets::Cut(_) | Gets::Local(..) => match case.then {
            Then::Waits => &["UPE"],
            Then::Ends | Then::Vanishes => &["UC"],
            Then::Resets => &["UR"],
        },
    };
    let path = format!("\"{}\"", path(case));
    let Some(line) = log.iter().find(|line| line.contains(&path)) else {
        return Some("no line in the access log".into());
    };
    let has = |flag: &&str| line.contains(&format!("\"response_flags\":\"{flag}\""));
    (!wanted.iter().any(has)).then(|| format!("wanted flag {wanted:?}: {line}"))
}
