//! What limits do over HTTP/2: a connection is told to go, a stream is refused, a request is answered.

use super::HOST;
use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::frames::{
    END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, Raw, SETTINGS, block, frame,
    headers,
};
use crate::harness::{Gateway, H2Client, Origin, Setup, until};

fn with(limits: &str) -> (Gateway, Origin) {
    let origin = Origin::plain();
    let setup = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin);
    (setup.flags(&["--workers", "1", "--limits", limits]).start(), origin)
}

fn reached(gateway: &Gateway, limit: &str) -> f64 {
    gateway.metric("egret_limit_reached_total", &[&format!("limit=\"{limit}\"")])
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", path)];
    headers(stream, END_STREAM | END_HEADERS, &fields)
}

#[test]
fn streams_at_once_are_announced_and_refused_beyond() {
    let (gateway, _origin) = with("streams=1");
    let mut client = Raw::connect(gateway.port(443), &[]);
    let announced = client.until(SETTINGS).payload;
    assert!(announced.chunks(6).any(|value| value == [0, 3, 0, 0, 0, 1]), "{announced:?}");
    client.send([get(1, "/hold"), get(3, "/")].concat());
    let refused = client.until(RST_STREAM);
    assert_eq!((refused.stream, refused.code()), (3, 7), "REFUSED_STREAM");
}

#[test]
fn a_connection_that_brought_enough_requests_is_told_to_go() {
    let (gateway, origin) = with("connectionRequests=2");
    let client = H2Client::connect(gateway.port(443));
    for _ in 0..2 {
        assert_eq!(client.request(h2_request("GET", HOST, "/", &[]), "").status, 200);
    }
    until("it to be told", || (reached(&gateway, "connectionRequests") == 1.0).then_some(()));
    client.wait_ended();
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn an_old_connection_is_told_to_go_and_finishes_what_is_under_way() {
    let (gateway, origin) = with("connectionDuration=300ms");
    let busy = H2Client::connect(gateway.port(443));
    let held = busy.open(h2_request("GET", HOST, "/hold", &[]));
    origin.wait("the request", |seen| (!seen.requests.is_empty()).then_some(()));
    let (mut send, response) = held.split();
    send.send_data(Default::default(), true).expect("an open stream");
    until("its age to be over", || (reached(&gateway, "connectionDuration") == 1.0).then_some(()));
    let mut idle = Raw::connect(gateway.port(443), &[]);
    assert_eq!(idle.until(GOAWAY).code(), 0);
    assert_eq!(reached(&gateway, "connectionDuration"), 2.0);
    origin.release();
    assert_eq!(crate::harness::client::head(response).0.status, 200);
    busy.wait_ended();
}

#[test]
fn an_idle_connection_is_told_to_go() {
    let (gateway, _origin) = with("clientIdle=200ms");
    let mut client = Raw::connect(gateway.port(443), &[]);
    client.send(get(1, "/"));
    assert_eq!(client.until(HEADERS).status(), 200);
    assert_eq!(client.until(GOAWAY).code(), 0);
    assert_eq!(reached(&gateway, "clientIdle"), 1.0);
    assert_eq!(reached(&gateway, "connectionDuration"), 0.0);
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let (gateway, origin) = with("headTime=300ms");
    let mut client = Raw::bare(gateway.port(443));
    client.send(PREFACE);
    client.wait_ended();
    let mut client = Raw::connect(gateway.port(443), &[]);
    client.send(frame(HEADERS, END_STREAM, 1, &block(&[(":method", "GET")])));
    client.wait_ended();
    assert_eq!(reached(&gateway, "headTime"), 2.0);
    assert!(origin.requests().is_empty());
}

#[test]
fn heads_are_bounded_as_over_http1() {
    let (gateway, origin) = with("headBytes=1KiB,headers=4");
    let client = H2Client::connect(gateway.port(443));
    let fields = [("x-a", "1"), ("x-b", "1"), ("x-c", "1")];
    assert_eq!(client.request(h2_request("GET", HOST, "/", &fields), "").status, 200);
    let fields = [("x-a", "1"), ("x-b", "1"), ("x-c", "1"), ("x-d", "1")];
    assert_eq!(client.request(h2_request("GET", HOST, "/", &fields), "").status, 431);
    assert_eq!(reached(&gateway, "headers"), 1.0);
    // The h2 library of this test would not send it: it knows the limit.
    let long = "a".repeat(1024);
    let mut raw = Raw::connect(gateway.port(443), &[]);
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", HOST),
        (":path", "/"),
        ("x-long", long.as_str()),
    ];
    raw.send(headers(1, END_STREAM | END_HEADERS, &fields));
    assert_eq!(raw.until(HEADERS).status(), 431);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn an_origin_that_says_nothing_is_504_and_the_connection_goes_on() {
    let (gateway, _origin) = with("streamIdle=300ms");
    let client = H2Client::connect(gateway.port(443));
    assert_eq!(client.request(h2_request("GET", HOST, "/silent", &[]), "").status, 504);
    assert_eq!(client.request(h2_request("GET", HOST, "/", &[]), "").status, 200);
    assert_eq!(reached(&gateway, "streamIdle"), 1.0);
}

#[test]
fn a_client_that_opens_no_window_is_not_waited_for() {
    let (gateway, origin) = with("streamIdle=300ms");
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n".to_vec();
    answer.resize(answer.len() + 1_000_000, b'x');
    origin.raw("/unread", &answer);
    let mut client = Raw::connect(gateway.port(443), &[(4, 0)]);
    client.send(get(1, "/unread"));
    assert_eq!(client.until(HEADERS).status(), 200);
    assert_eq!(client.until(RST_STREAM).stream, 1);
    assert_eq!(gateway.access("/unread")["response_code_details"], "stream_idle_timeout");
    assert_eq!(reached(&gateway, "streamIdle"), 1.0);
}

#[test]
fn an_origins_head_is_bounded_as_over_http1() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let to = format!("{HOST}:80::{}", listener.local_addr().expect("bound").port());
    let setup = Setup::new(&Egress::plain(HOST).protocol("HTTP2").yaml());
    let limits = ["--connect-to", &to, "--workers", "1", "--limits", "responseHeadBytes=1KiB"];
    let gateway = setup.flags(&limits).start();
    let at = gateway.port(443);
    let long = "a".repeat(1024);
    let asked = std::thread::spawn(move || {
        ["/large", "/small"].map(|path| crate::harness::get(at, HOST, path).status)
    });
    let mut origin = Raw::accept(&listener, &[]);
    for value in [long.as_str(), "short"] {
        let stream = origin.until(HEADERS).stream;
        let fields = [(":status", "200"), ("x-long", value)];
        origin.send(headers(stream, END_STREAM | END_HEADERS, &fields));
    }
    let [large, small] = asked.join().expect("two answers");
    assert_eq!(small, 200);
    assert_eq!(large, 502, "an error of its stream alone");
}
