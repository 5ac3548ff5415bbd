//! What HTTP/2 origins answer, well and badly, in frames, and what comes of it.

use std::net::SocketAddr;

use super::case::{After, Ask, Case, Gets, Then, cut, lost, refused, whole};
use super::client::{Got, HOST, Http1, Http2};
use super::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, H2Origin, HEADERS, On, PADDED, PING,
    PRIORITISED, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, Step, WINDOW_UPDATE, block,
};
use super::{gateway_before, judge, named, report};
use crate::harness::article::Egress;

/// One row: the frames of the answer, and how many requests the origin must have seen for it.
struct Row {
    case: Case,
    steps: Vec<Step>,
    requests: usize,
}

fn row(case: Case, steps: Vec<Step>) -> Row {
    Row { case, steps, requests: 1 }
}

/// An answer that arrives whole, on a connection that lives on.
fn good(name: &'static str, body: &'static str, steps: Vec<Step>) -> Row {
    row(whole(name, "", 200, body), steps)
}

/// An answer that is refused with a 502, while the connection lives on.
fn bad(name: &'static str, steps: Vec<Step>) -> Row {
    row(Case { origin: After::Kept, ..refused(name, "") }.ask(Ask::Post), steps)
}

/// An answer that is refused with a 502 and ends the connection.
fn fatal(name: &'static str, steps: Vec<Step>) -> Row {
    row(refused(name, "").ask(Ask::Post), steps)
}

/// An answer that breaks within its body, while the connection lives on.
fn broken(name: &'static str, steps: Vec<Step>) -> Row {
    row(Case { origin: After::Kept, ..cut(name, "", Then::Waits) }, steps)
}

/// No answer; a 503, while the connection lives on.
fn gone(name: &'static str, steps: Vec<Step>) -> Row {
    row(Case { origin: After::Kept, ..lost(name, "", Then::Waits) }.ask(Ask::Post), steps)
}

/// These interim responses come first.
fn after(interims: &'static [u16], row: Row) -> Row {
    Row { case: row.case.after(interims), ..row }
}

impl Row {
    fn dropped(self) -> Self {
        Self { case: self.case.dropped(), ..self }
    }

    fn ask(self, ask: Ask) -> Self {
        Self { case: self.case.ask(ask), ..self }
    }

    /// It is asked again on another connection, where the answer is the good one.
    fn again(self) -> Self {
        let gets = Gets::Whole(200, "");
        Self { requests: 2, case: Case { gets, ..self.case }, ..self }
    }
}

const OK: &str = ":status: 200";

#[rustfmt::skip] // a table reads best as one
fn good_rows() -> Vec<Row> {
    let status = |status: u16, row: Row| Row { case: Case { gets: Gets::Whole(status, ""), ..row.case }, ..row };
    let part = |flags, payload: &[u8]| Step::own(DATA, flags, payload.to_vec());
    vec![
        good("a plain answer", "ok", vec![Step::headers(OK), Step::last("ok")]),
        good("a head alone", "", vec![Step::only(OK)]),
        good("a length", "ok", vec![Step::headers(":status: 200|content-length: 2"), Step::last("ok")]),
        good("length zero", "", vec![Step::only(":status: 200|content-length: 0")]),
        good("length zero and an empty part", "", vec![Step::headers(":status: 200|content-length: 0"), Step::last("")]),
        good("parts", "abc", vec![Step::headers(OK), Step::data("a"), Step::data("b"), Step::last("c")]),
        good("empty parts", "ab", vec![Step::headers(OK), Step::data(""), Step::data("a"), Step::data(""), Step::data("b"), Step::last("")]),
        good("padding", "ok", vec![
            Step::own(HEADERS, END_HEADERS | PADDED, [&[3][..], &block(OK), &[0; 3]].concat()),
            part(END_STREAM | PADDED, &[&[4][..], b"ok", &[0; 4]].concat()),
        ]),
        good("a priority", "ok", vec![Step::own(HEADERS, END_HEADERS | PRIORITISED, [&[0, 0, 0, 0, 16][..], &block(OK)].concat()), Step::last("ok")]),
        good("a head in three frames", "ok", vec![
            Step::own(HEADERS, 0, block(OK)), Step::own(CONTINUATION, 0, block("x-a: 1")), Step::own(CONTINUATION, END_HEADERS, block("x-b: 2")), Step::last("ok"),
        ]),
        good("a frame of an unknown type", "ok", vec![Step::own(0xfa, 0xff, vec![1, 2, 3]), Step::headers(OK), Step::other(0xfb, 0, 0, vec![]), Step::last("ok")]),
        good("pings and settings between", "ok", vec![
            Step::headers(OK), Step::other(PING, 0, 0, vec![0; 8]), Step::other(SETTINGS, 0, 0, vec![]), Step::other(WINDOW_UPDATE, 0, 0, vec![0, 0, 0, 9]), Step::last("ok"),
        ]),
        good("an unknown setting", "ok", vec![Step::other(SETTINGS, 0, 0, vec![0xab, 0xcd, 0, 0, 0, 1]), Step::headers(OK), Step::last("ok")]),
        good("a priority of another stream", "ok", vec![Step::other(PRIORITY, 0, 99, vec![0, 0, 0, 0, 16]), Step::headers(OK), Step::last("ok")]),
        after(&[103], good("a hint", "ok", vec![Step::headers(":status: 103|link: </a>"), Step::headers(OK), Step::last("ok")])),
        after(&[100, 103, 103], good("several hints", "ok", vec![Step::headers(":status: 100"), Step::headers(":status: 103"), Step::headers(":status: 103"), Step::headers(OK), Step::last("ok")])),
        status(204, good("204", "", vec![Step::only(":status: 204")])),
        status(304, good("304 with the length it would have", "", vec![Step::only(":status: 304|content-length: 9")])),
        status(404, good("404", "", vec![Step::only(":status: 404")])),
        status(999, good("999", "", vec![Step::only(":status: 999")])),
        good("HEAD", "", vec![Step::only(":status: 200|content-length: 9")]).ask(Ask::Head),
        good("HEAD with an empty part", "", vec![Step::headers(":status: 200|content-length: 9"), Step::last("")]).ask(Ask::Head),
        good("cookies and high bytes", "ok", vec![Step::headers(":status: 200|set-cookie: a=1|set-cookie: b=2|x-high: \u{e9}"), Step::last("ok")]),
        good("trailers", "ok", vec![Step::headers(OK), Step::data("ok"), Step::only("x-sum: 5")]),
        good("trailers that belong in a head", "ok", vec![Step::headers(OK), Step::data("ok"), Step::only("content-length: 9|set-cookie: a|x-sum: 5")]),
        good("more than length zero", "", vec![Step::headers(":status: 200|content-length: 0"), Step::last("too long")]),
        // The library drops these two where it should refuse them; they reach nobody.
        good("a pseudo field of requests", "ok", vec![Step::headers(":status: 200|:path: /"), Step::last("ok")]),
        good("trailers with a pseudo field", "ok", vec![Step::headers(OK), Step::data("ok"), Step::only(":status: 200")]),
        good("a window for a stream that is over", "ok", vec![Step::headers(OK), Step::last("ok"), Step::own(WINDOW_UPDATE, 0, vec![0, 0, 0, 9])]),
        good("a reset after the end", "ok", vec![Step::headers(OK), Step::last("ok"), Step::reset(0)]),
        good("a connection that is going away", "ok", vec![Step::GoAway(On::Request, 0), Step::headers(OK), Step::last("ok")]).dropped(),
        good("a connection that goes away within a body", "ok", vec![Step::headers(OK), Step::data("o"), Step::GoAway(On::Request, 0), Step::last("k"), Step::End]).dropped(),
        good("the end of the connection after an answer", "ok", vec![Step::headers(OK), Step::last("ok"), Step::End]).dropped(),
    ]
}

#[rustfmt::skip] // a table reads best as one
fn bad_heads() -> Vec<Row> {
    let head = |name, fields: &str| bad(name, vec![Step::headers(fields), Step::last("ok")]);
    // The library gives up on a field that is none, and so on the connection (RFC 9113, section 4.3).
    let unreadable = |name, fields: &str| head(name, fields).dropped();
    let large = block(&format!("x-a: {}", "x".repeat(15_000)));
    let mut too_large = vec![Step::own(HEADERS, 0, block(OK))];
    too_large.extend(vec![Step::own(CONTINUATION, 0, large); 5]);
    too_large.extend([Step::own(CONTINUATION, END_HEADERS, vec![]), Step::last("ok")]);
    vec![
        bad("too large a list of fields", too_large),
        head("no status", "x-a: 1"),
        head("no field at all", ""),
        head("two statuses", ":status: 200|:status: 200"),
        head("a status after a field", "x-a: 1|:status: 200"),
        unreadable("a status in letters", ":status: abc"),
        unreadable("status 99", ":status: 99"),
        unreadable("status 099", ":status: 099"),
        unreadable("status 1000", ":status: 1000"),
        unreadable("an empty status", ":status: "),
        unreadable("a status with a reason", ":status: 200 OK"),
        unreadable("a status with a plus", ":status: +20"),
        unreadable("a pseudo field unheard of", ":status: 200|:reason: OK"),
        unreadable("an upper-case name", ":status: 200|X-Loud: 1"),
        unreadable("a blank in a name", ":status: 200|x a: 1"),
        unreadable("a line feed in a value", ":status: 200|x-a: 1\nx-b: 2"),
        unreadable("a CR in a value", ":status: 200|x-a: 1\r"),
        unreadable("a NUL in a value", ":status: 200|x-a: \0"),
        head("Connection", ":status: 200|connection: close"),
        head("Keep-Alive", ":status: 200|keep-alive: timeout=5"),
        head("Proxy-Connection", ":status: 200|proxy-connection: close"),
        head("Transfer-Encoding", ":status: 200|transfer-encoding: chunked"),
        head("Upgrade", ":status: 200|upgrade: h2c"),
        head("a bad length", ":status: 200|content-length: 2x"),
        head("a length with a plus", ":status: 200|content-length: +2"),
        head("an empty length", ":status: 200|content-length: "),
        head("two lengths that differ", ":status: 200|content-length: 2|content-length: 3"),
        head("two lengths that agree", ":status: 200|content-length: 2|content-length: 2"),
        head("a list of lengths", ":status: 200|content-length: 2, 2"),
        unreadable("a switch of protocols", ":status: 101"),
        head("204 with a length", ":status: 204|content-length: 2"),
        bad("a length and no body", vec![Step::only(":status: 200|content-length: 5")]),
        after(&[103], bad("a hint that is all there is", vec![Step::only(":status: 103")])),
        bad("a hint with a length", vec![Step::headers(":status: 103|content-length: 5"), Step::only(OK)]),
    ]
}

#[rustfmt::skip] // a table reads best as one
fn bad_frames() -> Vec<Row> {
    let huge = format!(":status: 200|{}", format!("x-a: {}|", "x".repeat(900)).repeat(17));
    let mut endless = vec![Step::own(HEADERS, 0, block(&huge))];
    endless.extend((0..40).map(|_| Step::own(CONTINUATION, 0, block(&huge.replace(":status: 200|", "")))));
    vec![
        fatal("a body before its head", vec![Step::data("ok")]),
        fatal("a head of the connection", vec![Step::other(HEADERS, END_HEADERS, 0, block(OK))]),
        fatal("a body of the connection", vec![Step::other(DATA, 0, 0, b"ok".to_vec())]),
        fatal("a head of a stream nobody opened", vec![Step::other(HEADERS, END_HEADERS, 4001, block(OK))]),
        fatal("a head of a stream of its own", vec![Step::other(HEADERS, END_HEADERS, 2, block(OK))]),
        fatal("a body of a stream nobody opened", vec![Step::other(DATA, 0, 4001, b"ok".to_vec())]),
        fatal("a reset of a stream nobody opened", vec![Step::other(RST_STREAM, 0, 4001, vec![0; 4])]),
        fatal("a push", vec![Step::own(PUSH_PROMISE, END_HEADERS, [&[0, 0, 0, 2][..], &block(":method: GET|:scheme: https|:authority: api.example.com|:path: /")].concat())]),
        fatal("too large a frame", vec![Step::headers(OK).clone(), Step::own(DATA, 0, vec![b'x'; 17_000])]).cut(),
        fatal("settings of a stream", vec![Step::own(SETTINGS, 0, vec![])]),
        fatal("settings of a bad size", vec![Step::other(SETTINGS, 0, 0, vec![0; 5])]),
        fatal("a ping of a bad size", vec![Step::other(PING, 0, 0, vec![0; 7])]),
        fatal("a ping of a stream", vec![Step::own(PING, 0, vec![0; 8])]),
        fatal("a reset of a bad size", vec![Step::own(RST_STREAM, 0, vec![0; 3])]),
        fatal("a farewell of a bad size", vec![Step::other(GOAWAY, 0, 0, vec![0; 3])]),
        fatal("a window of a bad size", vec![Step::other(WINDOW_UPDATE, 0, 0, vec![0; 3])]),
        fatal("no window for the connection", vec![Step::other(WINDOW_UPDATE, 0, 0, vec![0; 4])]),
        fatal("too large a window", vec![Step::other(WINDOW_UPDATE, 0, 0, vec![0x7f, 0xff, 0xff, 0xff]), Step::other(WINDOW_UPDATE, 0, 0, vec![0x7f, 0xff, 0xff, 0xff])]),
        fatal("fields that cannot be read", vec![Step::own(HEADERS, END_HEADERS, vec![0xff; 20])]),
        fatal("fields that end too early", vec![Step::own(HEADERS, END_HEADERS, vec![0, 9, b'x'])]),
        fatal("a continuation of nothing", vec![Step::own(CONTINUATION, END_HEADERS, block(OK))]),
        fatal("a head that is broken off", vec![Step::own(HEADERS, 0, block(OK)), Step::data("ok")]),
        fatal("an endless head", endless),
        fatal("more padding than frame", vec![Step::own(HEADERS, END_HEADERS | PADDED, [&[200][..], &block(OK)].concat())]),
    ]
}

#[rustfmt::skip] // a table reads best as one
fn broken_rows() -> Vec<Row> {
    let open = |then: Vec<Step>| [vec![Step::headers(OK), Step::data("half")], then].concat();
    vec![
        broken("less than its length", vec![Step::headers(":status: 200|content-length: 9"), Step::last("half")]),
        broken("more than its length", vec![Step::headers(":status: 200|content-length: 2"), Step::last("too long")]),
        broken("trailers before its length", vec![Step::headers(":status: 200|content-length: 9"), Step::data("half"), Step::only("x-sum: 5")]),
        broken("a reset within a body", open(vec![Step::reset(2)])),
        broken("a reset without error within a body", open(vec![Step::reset(0)])),
        broken("a cancellation within a body", open(vec![Step::reset(8)])),
        broken("a refusal within a body", open(vec![Step::reset(7)])),
        broken("a second head", open(vec![Step::headers(OK), Step::last("more")])),
        broken("the end of the connection within a body", open(vec![Step::End])).dropped(),
        broken("the end of the connection before a length", vec![Step::headers(":status: 200|content-length: 9"), Step::data("half"), Step::End]).dropped(),
        broken("a farewell and the end within a body", open(vec![Step::GoAway(On::Request, 0), Step::End])).dropped(),
        broken("a farewell in anger within a body", open(vec![Step::GoAway(On::Request, 2), Step::End])).dropped(),
        broken("a head again within a body", open(vec![Step::own(HEADERS, 0, block("x-a: 1")), Step::data("x")])).dropped(),
        gone("a reset and nothing else", vec![Step::reset(2)]),
        gone("a cancellation and nothing else", vec![Step::reset(8)]),
        gone("a reset without error and nothing else", vec![Step::reset(0)]),
        gone("the end of the connection and nothing else", vec![Step::End]).dropped(),
        gone("a farewell to a request that it had taken", vec![Step::GoAway(On::Request, 0), Step::End]).dropped(),
        gone("a farewell in anger to a request that it had taken", vec![Step::GoAway(On::Request, 2), Step::End]).dropped(),
        after(&[103], gone("a reset after a hint", vec![Step::headers(":status: 103"), Step::reset(2)])),
        good("a farewell to a request that it had not taken", "", vec![Step::GoAway(On::Stream(0), 0), Step::End]).again(),
        good("a farewell in anger to a request that it had not taken", "", vec![Step::GoAway(On::Stream(0), 11), Step::End]).again(),
        good("a refusal of a request that it had not taken", "", vec![Step::reset(7)]).again(),
    ]
}

impl Row {
    /// The trouble comes within the body.
    fn cut(self) -> Self {
        let case = cut(self.case.name, "", Then::Waits);
        Self { case, ..self }
    }
}

fn rows() -> Vec<Row> {
    [good_rows(), bad_heads(), bad_frames(), broken_rows()].into_iter().flatten().collect()
}

#[test]
fn what_an_http2_origin_does_wrong_stays_with_its_request() {
    let origin = H2Origin::start(HOST);
    let gateway = gateway_before(&Egress::tls(HOST), origin.port);
    let address = gateway.port(443);
    let rows = rows();
    let wrong = rows.iter().flat_map(|row| {
        let over_http1 = named(&row.case, over_http1(row, address, &origin));
        let over_http2 = named(&row.case, over_http2(row, address, &origin));
        over_http1.chain(over_http2).collect::<Vec<_>>()
    });
    report(wrong.collect(), rows.len());
}

fn over_http1(row: &Row, gateway: SocketAddr, origin: &H2Origin) -> Vec<String> {
    let mut client = Http1::connect(gateway);
    judge_row(row, origin, |ask| {
        let got = client.ask(ask, "/");
        if !got.broken.is_empty() {
            client = Http1::connect(gateway);
        }
        got
    })
}

fn over_http2(row: &Row, gateway: SocketAddr, origin: &H2Origin) -> Vec<String> {
    let client = Http2::connect(gateway);
    let wrong = judge_row(row, origin, |ask| client.ask(ask, "/"));
    wrong.into_iter().map(|wrong| format!("to HTTP/2: {wrong}")).collect()
}

/// Asks for the row and once more, and says what is wrong.
fn judge_row(row: &Row, origin: &H2Origin, mut ask: impl FnMut(Ask) -> Got) -> Vec<String> {
    let (_, _, before) = origin.latest();
    origin.answer_next(&row.steps);
    let mut got = ask(row.case.ask);
    let (connection, answer, asked) = origin.latest();
    if row.requests > 1 && got.body == answer {
        got.body.clear(); // that of the second attempt
    }
    let mut wrong = judge::answer(&row.case, &got);
    wrong.extend(judge::lines(&row.case, &got, |line| line.to_lowercase()));
    if asked - before != row.requests {
        wrong.push(format!("wanted {} requests, saw {}", row.requests, asked - before));
    }
    let next = ask(Ask::Get);
    let (next_connection, answer, _) = origin.latest();
    if (next.status(), &next.body, next.broken.as_str()) != (200, &answer, "") {
        wrong.push(format!("the next request got {next}"));
    }
    let reused = connection == next_connection;
    if row.requests == 1 && reused != (row.case.origin == After::Kept) {
        wrong.push(format!("asked on connection {connection}, then on {next_connection}"));
    }
    wrong
}
