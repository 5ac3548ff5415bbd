//! RFC 9113, section by section: what a client may not send, and what must come of it.
//!
//! Each case has a connection of its own, on one gateway. Error codes are those of section 7.

mod frames;
mod messages;

use crate::harness::article::Egress;
use crate::harness::frames::*;
use crate::harness::{Gateway, Origin, Setup};

const HOST: &str = "api.example.com";

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;

/// What must come of it.
#[derive(Debug, Clone, Copy)]
enum Must {
    /// GOAWAY with one of these codes, and the end of the connection.
    End(&'static [u32]),
    /// RST_STREAM with this code, and the connection goes on.
    Reset(u32),
    /// Either, with one of these codes.
    Err(&'static [u32]),
    /// A response with this status.
    Answer(u16),
    /// Nothing, and the connection goes on.
    Nothing,
}

use Must::{Answer, End, Err, Nothing, Reset};

struct Case(&'static str, Vec<u8>, Must);

fn check(cases: Vec<Case>) {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let wrong: Vec<String> = cases.iter().filter_map(|case| check_one(&gateway, case)).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(gateway.get(HOST, "/politics").status, 200, "others are served all along");
}

fn check_one(gateway: &Gateway, Case(what, bytes, must): &Case) -> Option<String> {
    let mut raw = Raw::connect(gateway.port(443), &[]);
    raw.try_send(bytes);
    if !matches!(must, End(_)) {
        raw.try_send(mark());
    }
    let mut came = raw.came();
    if came == Came::Mark && matches!(must, Answer(_) | Reset(_) | Err(_)) {
        came = raw.came(); // what is decided above the frames takes a moment longer
    }
    let good = match (*must, came) {
        (End(codes), Came::GoAway(code)) => codes.contains(&code),
        (Reset(code), Came::Reset(came)) => code == came,
        (Err(codes), Came::GoAway(code) | Came::Reset(code)) => codes.contains(&code),
        (Answer(status), Came::Answer(came)) => status == came,
        (Nothing, Came::Mark) => true,
        _ => false,
    };
    if !good {
        return Some(format!("{what}: must {must:?}, came {came:?}"));
    }
    match came {
        Came::GoAway(_) => raw.wait_ended(),
        _ => {
            raw.send(get(1001));
            let after = raw.came();
            // A client that has said goodbye is taken at its word; a refused upload is no error.
            let fine = [Came::Answer(404), Came::Mark, Came::Reset(0), Came::GoAway(0)];
            if !fine.contains(&after) {
                return Some(format!("{what}: afterwards {after:?}"));
            }
        }
    }
    None
}

/// Fields of a request that is answered with 404 at once.
const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "unknown.example")];
/// Fields of a request whose answer the origin holds back.
const HELD: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/hold"), (":authority", HOST)];

fn get(stream: u32) -> Vec<u8> {
    headers(stream, END_STREAM, &GET)
}

/// A request with these fields besides, or instead.
fn with(more: &[(&str, &str)]) -> Vec<u8> {
    headers(1, END_STREAM, &[&GET[..], more].concat())
}

/// A request with exactly these fields.
fn only(fields: &[(&str, &str)]) -> Vec<u8> {
    headers(1, END_STREAM, fields)
}

/// A request with one pseudo-header field replaced.
fn instead(name: &str, value: &str) -> Vec<u8> {
    let fields = GET.map(|(field, old)| (field, if field == name { value } else { old }));
    only(&fields)
}

/// A request without one of them.
fn without(name: &str) -> Vec<u8> {
    let fields: Vec<_> = GET.into_iter().filter(|(field, _)| *field != name).collect();
    only(&fields)
}

/// A stream that stays open on both sides.
fn open(stream: u32) -> Vec<u8> {
    headers(stream, 0, &HELD)
}

/// A stream of which only our side is open.
fn half_closed(stream: u32) -> Vec<u8> {
    headers(stream, END_STREAM, &HELD)
}

fn data(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

fn cat(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

#[test]
fn a_connection_begins_with_settings() {
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).start();
    for first in
        [get(1), mark(), frame(SETTINGS, ACK, 0, &[]), window(0, 1), frame(0x99, 0, 0, b"")]
    {
        let mut raw = Raw::bare(gateway.port(443));
        raw.send([PREFACE, &first].concat());
        assert_eq!(raw.came(), Came::GoAway(PROTOCOL), "{first:?}");
        raw.wait_ended();
    }
    let mut wrong = Raw::bare(gateway.port(443));
    wrong.send(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    wrong.wait_ended();
}

#[test]
fn a_stream_too_many_is_refused_and_the_others_go_on() {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let mut raw = Raw::connect(gateway.port(443), &[]);
    let settings = raw.until(SETTINGS);
    let said = settings
        .payload
        .chunks(6)
        .find(|entry| entry[..2] == [0, 3])
        .map(|entry| entry[2..].to_vec());
    assert_eq!(said, Some(vec![0, 0, 1, 0]), "256 streams are announced");
    for number in 0..257 {
        raw.send(half_closed(number * 2 + 1));
    }
    assert_eq!(raw.came(), Came::Reset(REFUSED));
    raw.mark();
    origin.release();
    assert_eq!(raw.came(), Came::Answer(200));
}

#[test]
fn windows_are_kept_to_and_may_become_negative() {
    let origin = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let ask =
        [(":method", "GET"), (":scheme", "http"), (":path", "/politics"), (":authority", HOST)];
    // 6.9.2: "politics" byte by byte.
    let mut raw = Raw::connect(gateway.port(443), &[(4, 1)]);
    raw.send(headers(1, END_STREAM, &ask));
    assert_eq!(raw.until(DATA).payload, b"p");
    raw.send(settings(&[(4, 3)]));
    assert_eq!(raw.until(DATA).payload, b"ol");
    // The window is now 3 - 3; made 1 - 3, it takes three bytes until one is sent.
    raw.send(settings(&[(4, 1)]));
    raw.mark();
    raw.send(window(1, 2));
    raw.mark();
    raw.send(window(1, 1));
    assert_eq!(raw.until(DATA).payload, b"i");
    raw.send(window(1, 100));
    let last = raw.until(DATA);
    assert_eq!(last.payload, b"tics");
    assert!(last.has(END_STREAM) || raw.until(DATA).has(END_STREAM));
}
