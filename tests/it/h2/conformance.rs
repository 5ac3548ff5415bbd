//! RFC 9113, section by section: what a client may not send, and what must come of it.
//!
//! Each case has a connection of its own, on one gateway. Error codes are those of section 7.

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
    let gateway =
        Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
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
            let lives = [Came::Answer(404), Came::Mark];
            if !lives.contains(&after) && !matches!(after, Came::Reset(0)) {
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
fn frames_and_field_blocks() {
    let part = &block(&GET)[..10];
    let rest = &block(&GET)[10..];
    check(vec![
        Case("4.1 a frame of unknown type", frame(0x16, 0, 0, b"8 bytes!"), Nothing),
        Case("4.1 one of unknown type on a stream", frame(0xff, 0xff, 77, b""), Nothing),
        Case("4.1 flags that have no meaning", frame(PING, 0xfe, 0, b"otherone"), Nothing),
        Case("4.1 the reserved bit of the stream", frame(PING, 0, 1 << 31, b"otherone"), Nothing),
        Case("4.2 DATA of the largest size", cat(&[open(1), data(1, 0, &[0; 16_384])]), Nothing),
        Case("4.2 DATA beyond it", cat(&[open(1), data(1, 0, &[0; 16_385])]), End(&[FRAME_SIZE])),
        Case("4.2 HEADERS beyond it", frame(HEADERS, END_HEADERS, 1, &[0; 16_385]), End(&[FRAME_SIZE])),
        Case("4.2 an unknown frame beyond it", frame(0x99, 0, 0, &[0; 16_385]), End(&[FRAME_SIZE])),
        Case("4.3 an index that is none", frame(HEADERS, 5, 1, &[0x80]), End(&[COMPRESSION, PROTOCOL])),
        Case("4.3 an index into nothing", frame(HEADERS, 5, 1, &[0xff, 0x7f]), End(&[COMPRESSION, PROTOCOL])),
        Case("4.3 a block that is cut", frame(HEADERS, 5, 1, &[0, 5, b'x']), End(&[COMPRESSION, PROTOCOL])),
        Case("4.3 a table larger than allowed", frame(HEADERS, 5, 1, &[0x3f, 0xe1, 0xff, 3]), End(&[COMPRESSION, PROTOCOL])),
        Case("4.3 Huffman's code with its end inside", frame(HEADERS, 5, 1, &[0, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), End(&[COMPRESSION, PROTOCOL])),
        Case("4.3 PRIORITY within a block", cat(&[frame(HEADERS, 1, 1, part), frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 9])]), End(&[PROTOCOL])),
        Case("4.3 HEADERS within a block", cat(&[frame(HEADERS, 1, 1, part), get(3)]), End(&[PROTOCOL])),
        Case("4.3 PING within a block", cat(&[frame(HEADERS, 1, 1, part), mark()]), End(&[PROTOCOL])),
        Case("5.5 an unknown frame within a block", cat(&[frame(HEADERS, 1, 1, part), frame(0x99, 0, 0, b"x")]), End(&[PROTOCOL])),
        Case("6.10 a block in three frames", cat(&[frame(HEADERS, 1, 1, part), frame(CONTINUATION, 0, 1, b""), frame(CONTINUATION, 4, 1, rest)]), Answer(404)),
        Case("6.10 CONTINUATION after the end of a block", cat(&[open(1), frame(CONTINUATION, 4, 1, rest)]), End(&[PROTOCOL])),
        Case("6.10 CONTINUATION after DATA", cat(&[open(1), data(1, 0, b"x"), frame(CONTINUATION, 4, 1, rest)]), End(&[PROTOCOL])),
        Case("6.10 CONTINUATION on stream 0", cat(&[frame(HEADERS, 1, 1, part), frame(CONTINUATION, 4, 0, rest)]), End(&[PROTOCOL])),
        Case("6.10 CONTINUATION on another stream", cat(&[frame(HEADERS, 1, 1, part), frame(CONTINUATION, 4, 3, rest)]), End(&[PROTOCOL])),
        Case("6.10 DATA within a block", cat(&[frame(HEADERS, 1, 1, part), data(1, 0, b"x")]), End(&[PROTOCOL])),
    ]);
}

#[test]
fn stream_states_and_identifiers() {
    let gone = |bytes: Vec<u8>| cat(&[open(1), reset(1, 8), bytes]);
    check(vec![
        Case("5.1 idle: DATA", data(1, 1, b"x"), End(&[PROTOCOL])),
        Case("5.1 idle: RST_STREAM", reset(1, 8), End(&[PROTOCOL])),
        Case("5.1 idle: WINDOW_UPDATE", window(1, 100), End(&[PROTOCOL])),
        Case("5.1 idle: CONTINUATION", frame(CONTINUATION, 4, 1, &block(&GET)), End(&[PROTOCOL])),
        Case("5.1 idle: PRIORITY is fine", frame(PRIORITY, 0, 9, &[0, 0, 0, 0, 9]), Nothing),
        Case("5.1 half-closed: DATA", cat(&[half_closed(1), data(1, 1, b"x")]), Err(&[STREAM_CLOSED, PROTOCOL])),
        Case("5.1 half-closed: HEADERS", cat(&[half_closed(1), half_closed(1)]), Err(&[STREAM_CLOSED, PROTOCOL])),
        Case("5.1 half-closed: CONTINUATION", cat(&[half_closed(1), frame(CONTINUATION, 4, 1, &block(&GET))]), End(&[PROTOCOL])),
        Case("5.1 half-closed: WINDOW_UPDATE is fine", cat(&[half_closed(1), window(1, 5)]), Nothing),
        Case("5.1 half-closed: PRIORITY is fine", cat(&[half_closed(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])]), Nothing),
        Case("5.1 half-closed: RST_STREAM is fine", cat(&[half_closed(1), reset(1, 8)]), Nothing),
        Case("5.1 closed by RST_STREAM: DATA", gone(data(1, 1, b"x")), Err(&[STREAM_CLOSED, PROTOCOL])),
        Case("5.1 closed by RST_STREAM: HEADERS", gone(open(1)), Err(&[STREAM_CLOSED, PROTOCOL])),
        Case("5.1 closed by RST_STREAM: CONTINUATION", gone(frame(CONTINUATION, 4, 1, b"")), End(&[PROTOCOL])),
        Case("5.1 closed by RST_STREAM: WINDOW_UPDATE is fine", gone(window(1, 5)), Nothing),
        Case("5.1 closed by RST_STREAM: PRIORITY is fine", gone(frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])), Nothing),
        Case("5.1 closed by RST_STREAM: RST_STREAM is fine", gone(reset(1, 8)), Nothing),
        Case("5.1.1 an even stream", get(2), End(&[PROTOCOL])),
        Case("5.1.1 a stream that went by", cat(&[half_closed(5), get(3)]), End(&[PROTOCOL, STREAM_CLOSED])),
        Case("5.1.1 streams may be left out", cat(&[half_closed(5), get(77)]), Answer(404)),
        Case("5.3.1 HEADERS that depend on themselves", frame(HEADERS, 0x25, 1, &[&[0, 0, 0, 1, 9][..], &block(&GET)].concat()), Reset(PROTOCOL)),
        Case("5.3.1 PRIORITY that depends on itself", frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 9]), Err(&[PROTOCOL])),
        Case("5.4.1 GOAWAY with an unknown code", frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 99]), Nothing),
        Case("7 RST_STREAM with an unknown code", cat(&[open(1), reset(1, 99)]), Nothing),
    ]);
}

#[test]
fn each_type_of_frame() {
    let priority = [0, 0, 0, 0, 9];
    let padded = |pad: u8, bytes: &[u8]| [&[pad][..], bytes, &[0; 4]].concat();
    check(vec![
        Case("6.1 DATA on stream 0", data(0, 0, b"x"), End(&[PROTOCOL])),
        Case("6.1 padded DATA", cat(&[open(1), data(1, PADDED, &padded(4, b"x"))]), Nothing),
        Case("6.1 DATA padded beyond its end", cat(&[open(1), data(1, PADDED, &padded(6, b"x"))]), End(&[PROTOCOL])),
        Case("6.1 padded DATA without a pad length", cat(&[open(1), data(1, PADDED, b"")]), End(&[PROTOCOL, FRAME_SIZE])),
        Case("6.2 HEADERS on stream 0", get(0), End(&[PROTOCOL])),
        Case("6.2 padded HEADERS", frame(HEADERS, 0xd, 1, &padded(4, &block(&GET))), Answer(404)),
        Case("6.2 HEADERS with a priority", frame(HEADERS, 0x25, 1, &[&priority[..], &block(&GET)].concat()), Answer(404)),
        Case("6.2 HEADERS padded beyond their end", frame(HEADERS, 0xd, 1, &[200, 1, 2, 3]), End(&[PROTOCOL])),
        Case("6.2 HEADERS too short for a priority", frame(HEADERS, 0x25, 1, &[0, 0, 0]), End(&[PROTOCOL, FRAME_SIZE])),
        Case("6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, &priority), End(&[PROTOCOL])),
        Case("6.3 PRIORITY too short", frame(PRIORITY, 0, 1, &priority[..4]), Err(&[FRAME_SIZE])),
        Case("6.4 RST_STREAM on stream 0", reset(0, 8), End(&[PROTOCOL])),
        Case("6.4 RST_STREAM too short", cat(&[open(1), frame(RST_STREAM, 0, 1, &[0; 3])]), End(&[FRAME_SIZE])),
        Case("6.5 SETTINGS acknowledged with a payload", frame(SETTINGS, ACK, 0, &[0; 6]), End(&[FRAME_SIZE])),
        Case("6.5 SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), End(&[PROTOCOL])),
        Case("6.5 SETTINGS of half an entry", frame(SETTINGS, 0, 0, &[0; 3]), End(&[FRAME_SIZE])),
        Case("6.5.2 ENABLE_PUSH 2", settings(&[(2, 2)]), End(&[PROTOCOL])),
        Case("6.5.2 INITIAL_WINDOW_SIZE 2^31", settings(&[(4, 1 << 31)]), End(&[FLOW_CONTROL, PROTOCOL])),
        Case("6.5.2 MAX_FRAME_SIZE 16383", settings(&[(5, 16_383)]), End(&[PROTOCOL])),
        Case("6.5.2 MAX_FRAME_SIZE 2^24", settings(&[(5, 1 << 24)]), End(&[PROTOCOL])),
        Case("6.5.2 a setting that is unknown", settings(&[(0xff, 1)]), Nothing),
        Case("6.5.3 twice in one frame", settings(&[(4, 100), (4, 1)]), Nothing),
        Case("6.6 PUSH_PROMISE", cat(&[open(1), frame(PUSH_PROMISE, 4, 1, &[&[0, 0, 0, 2][..], &block(&GET)].concat())]), End(&[PROTOCOL])),
        Case("6.7 an answer to no ping", frame(PING, ACK, 0, b"whatever"), Nothing),
        Case("6.7 PING on a stream", frame(PING, 0, 1, b"whatever"), End(&[PROTOCOL])),
        Case("6.7 PING too short", frame(PING, 0, 0, b"seven b"), End(&[FRAME_SIZE])),
        Case("6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), End(&[PROTOCOL])),
        Case("6.8 GOAWAY too short", frame(GOAWAY, 0, 0, &[0; 7]), End(&[FRAME_SIZE])),
        Case("6.9 a connection's window opened by nothing", window(0, 0), End(&[PROTOCOL])),
        Case("6.9 a stream's window opened by nothing", cat(&[open(1), window(1, 0)]), Err(&[PROTOCOL])),
        Case("6.9 WINDOW_UPDATE too short", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), End(&[FRAME_SIZE])),
        Case("6.9.1 a connection's window beyond its limit", cat(&[window(0, i32::MAX as u32), window(0, i32::MAX as u32)]), End(&[FLOW_CONTROL])),
        Case("6.9.1 a stream's window beyond its limit", cat(&[open(1), window(1, i32::MAX as u32), window(1, i32::MAX as u32)]), Reset(FLOW_CONTROL)),
        Case("6.9.2 streams' windows beyond their limit", cat(&[open(1), window(1, i32::MAX as u32 - 65_535), settings(&[(4, i32::MAX as u32)])]), Err(&[FLOW_CONTROL])),
    ]);
}

#[test]
fn fields() {
    let mut cases = vec![
        Case("8.2 te: trailers", with(&[("te", "trailers")]), Answer(404)),
        Case("8.2.1 a value with a blank in front", with(&[("x", " y")]), Answer(400)),
        Case("8.2.1 a value with a tab behind", with(&[("x", "y\t")]), Answer(400)),
        Case("8.2.1 an empty value", with(&[("x", "")]), Answer(404)),
        Case("8.2.3 a cookie in pieces", with(&[("cookie", "a=1"), ("cookie", "b=2")]), Answer(404)),
        Case("8.2.2 te: gzip", with(&[("te", "gzip")]), Reset(PROTOCOL)),
        Case("8.2.2 te: trailers, gzip", with(&[("te", "trailers, gzip")]), Reset(PROTOCOL)),
    ];
    for (name, value) in [
        ("connection", "close"),
        ("connection", "x"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
    ] {
        cases.push(Case(name, with(&[(name, value)]), Reset(PROTOCOL)));
    }
    for name in ["X-Upper", "a b", "a:b", "", "a\u{0}b", "ä", "a\r\nb: c"] {
        cases.push(Case("8.2.1 a name that is none", with(&[(name, "x")]), Err(&[PROTOCOL, COMPRESSION])));
    }
    for value in ["a\u{0}b", "a\rb", "a\nb", "a\r\nb: c", "\u{7f}"] {
        cases.push(Case("8.2.1 a value that is none", with(&[("x", value)]), Err(&[PROTOCOL, COMPRESSION])));
    }
    check(cases);
}

#[test]
fn pseudo_header_fields() {
    let mut cases = vec![
        Case("8.3 an unknown one", only(&[&GET[..], &[(":test", "x")]].concat()), Err(&[PROTOCOL])),
        Case("8.3 that of a response", only(&[&GET[..], &[(":status", "200")]].concat()), Reset(PROTOCOL)),
        Case("8.3 after a field", only(&[&[("x", "y")], &GET[..]].concat()), Reset(PROTOCOL)),
        Case("8.3.1 a :scheme of another kind", instead(":scheme", "ftp"), Answer(400)),
        Case("8.3.1 a :scheme that is none", instead(":scheme", "a b"), Reset(PROTOCOL)),
        Case("8.3.1 :scheme https", instead(":scheme", "https"), Answer(404)),
        Case("8.3.1 an empty :path", instead(":path", ""), Reset(PROTOCOL)),
        Case("8.3.1 a :path without its slash", instead(":path", "x"), Reset(PROTOCOL)),
        Case("8.3.1 a :path that is absolute", instead(":path", "http://other.example/"), Reset(PROTOCOL)),
        Case("8.3.1 a :path that begins with a query", instead(":path", "?x"), Reset(PROTOCOL)),
        Case("8.3.1 a :path with a blank", instead(":path", "/a b"), Reset(PROTOCOL)),
        Case("8.3.1 GET *", instead(":path", "*"), Reset(PROTOCOL)),
        Case("8.3.1 a method that is none", instead(":method", "GE T"), Err(&[PROTOCOL, COMPRESSION])),
        Case("8.3.1 an empty method", instead(":method", ""), Err(&[PROTOCOL, COMPRESSION])),
        Case("8.3.1 a method nobody knows", instead(":method", "FROB"), Answer(404)),
        Case("8.3.1 neither :authority nor Host", without(":authority"), Answer(400)),
        Case("8.3.1 Host alone", headers(1, 1, &[&GET[..3], &[("host", "unknown.example")]].concat()), Answer(404)),
        Case("8.3.1 two Hosts", headers(1, 1, &[&GET[..3], &[("host", "a.example"), ("host", "a.example")]].concat()), Answer(400)),
        Case("8.3.1 neither :authority nor :path", headers(1, 1, &[&GET[..2], &[("host", "a.example")]].concat()), Reset(PROTOCOL)),
        Case("8.3.1 Host as :authority", with(&[("host", "unknown.example")]), Answer(404)),
        Case("8.3.1 Host as :authority but for case", with(&[("host", "Unknown.Example")]), Answer(404)),
        Case("8.3.1 Host unlike :authority", with(&[("host", "other.example")]), Answer(400)),
        Case("8.3.1 a second Host unlike :authority", with(&[("host", "unknown.example"), ("host", "other.example")]), Answer(400)),
        Case("8.3.1 an empty :authority", instead(":authority", ""), Err(&[PROTOCOL])),
        Case("8.3.1 userinfo", instead(":authority", "me@unknown.example"), Answer(400)),
        Case("8.3.1 a port that is none", instead(":authority", "unknown.example:port"), Err(&[PROTOCOL])),
        Case("8.5 CONNECT", only(&[(":method", "CONNECT"), (":authority", "a.example:443")]), Answer(404)),
        Case("8.5 CONNECT with :path and :scheme", only(&[(":method", "CONNECT"), (":authority", "a.example:443"), (":scheme", "http"), (":path", "/")]), Reset(PROTOCOL)),
        Case("8.5 CONNECT without :authority", only(&[(":method", "CONNECT")]), Reset(PROTOCOL)),
        Case("RFC 8441 is not offered", only(&[&[(":method", "CONNECT"), (":protocol", "websocket")], &GET[1..]].concat()), Reset(PROTOCOL)),
        Case("OPTIONS *", only(&[&[(":method", "OPTIONS"), (":path", "*")], &[GET[1], GET[3]][..]].concat()), Answer(404)),
    ];
    for (name, _) in &GET[..3] {
        cases.push(Case("8.3.1 one is missing", without(name), Reset(PROTOCOL)));
    }
    for field in GET {
        let twice = [&[field], &GET[..]].concat();
        cases.push(Case("8.3 one is given twice", only(&twice), Reset(PROTOCOL)));
    }
    check(cases);
}

#[test]
fn bodies_and_trailers() {
    let post = |length: &str| headers(1, 0, &[&HELD[..], &[("content-length", length)]].concat());
    let trailers = |flags, fields: &[(&str, &str)]| cat(&[open(1), data(1, 0, b"x"), headers(1, flags, fields)]);
    let indexed = |first: u8| cat(&[open(1), frame(HEADERS, 5, 1, &[first, 3, b'2', b'0', b'0'])]);
    check(vec![
        Case("8.1 trailers", trailers(END_STREAM, &[("x-sum", "42")]), Nothing),
        Case("8.1 trailers that don't end the stream", trailers(0, &[("x-sum", "42")]), Reset(PROTOCOL)),
        Case("8.1 trailers with an unknown pseudo-header field", trailers(END_STREAM, &[(":x", "y")]), Err(&[PROTOCOL])),
        Case("8.1 trailers with :method", trailers(END_STREAM, &[(":method", "GET")]), Err(&[PROTOCOL])),
        Case("8.1 trailers with :status from the table", indexed(0x48), Err(&[PROTOCOL])),
        Case("8.1 trailers with :path late", trailers(END_STREAM, &[("x-sum", "42"), (":path", "/")]), Reset(PROTOCOL)),
        Case("8.1 trailers with a connection's field", trailers(END_STREAM, &[("connection", "x")]), Reset(PROTOCOL)),
        Case("8.1.1 less than content-length", cat(&[post("2"), data(1, END_STREAM, b"x")]), Reset(PROTOCOL)),
        Case("8.1.1 more than content-length", cat(&[post("1"), data(1, 0, b"xx")]), Reset(PROTOCOL)),
        Case("8.1.1 more in several frames", cat(&[post("3"), data(1, 0, b"xx"), data(1, END_STREAM, b"xx")]), Reset(PROTOCOL)),
        Case("8.1.1 less before trailers", cat(&[post("2"), data(1, 0, b"x"), headers(1, END_STREAM, &[("a", "b")])]), Reset(PROTOCOL)),
        Case("8.1.1 nothing of it", with(&[("content-length", "1")]), Reset(PROTOCOL)),
        Case("8.1.1 one that is no number", post("1x"), Reset(PROTOCOL)),
        Case("8.1.1 two that differ", headers(1, 0, &[&HELD[..], &[("content-length", "1"), ("content-length", "2")]].concat()), Reset(PROTOCOL)),
        Case("8.1.1 as much as content-length", cat(&[post("1"), data(1, END_STREAM, b"x")]), Nothing),
        Case("8.1.1 a length of nothing", with(&[("content-length", "0")]), Answer(404)),
    ]);
}

#[test]
fn a_connection_begins_with_settings() {
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).start();
    for first in [get(1), mark(), frame(SETTINGS, ACK, 0, &[]), window(0, 1), frame(0x99, 0, 0, b"")] {
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
    let said = settings.payload.chunks(6).find(|entry| entry[..2] == [0, 3]).map(|entry| entry[2..].to_vec());
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
    let ask = [(":method", "GET"), (":scheme", "http"), (":path", "/politics"), (":authority", HOST)];
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
