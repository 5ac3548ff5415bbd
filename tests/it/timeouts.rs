//! Whoever moves nothing, or too slowly, is told so or cut, with a flag, a reason and a counter of its own.
//!
//! Times are short here; a test waits for what comes of them, never for the time itself.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use crate::harness::article::Egress;
use crate::harness::{Gateway, Origin, Setup, until};

const HOST: &str = "api.example.com";

fn with(limits: &str) -> (Gateway, Origin) {
    let origin = Origin::plain();
    let setup = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin);
    (setup.flags(&["--workers", "1", "--limits", limits]).start(), origin)
}

fn reached(gateway: &Gateway, limit: &str) -> f64 {
    gateway.metric("egret_limit_reached_total", &[&format!("limit=\"{limit}\"")])
}

/// The flag and the details of the line for a path.
fn told(gateway: &Gateway, path: &str) -> (String, String) {
    let line = gateway.access(path);
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    (text("response_flags"), text("response_code_details"))
}

fn is(flag: &str, details: &str) -> (String, String) {
    (flag.to_owned(), details.to_owned())
}

#[test]
fn a_client_that_says_nothing_is_closed() {
    let (gateway, _origin) = with("clientIdle=200ms");
    assert!(gateway.client().is_closed(), "before a first request");
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/").status, 200);
    assert!(client.is_closed(), "after one");
    assert_eq!(reached(&gateway, "clientIdle"), 2.0);
}

#[test]
fn an_old_connection_ends_when_it_is_idle_and_with_its_next_answer() {
    let (gateway, origin) = with("connectionDuration=300ms");
    let mut busy = gateway.client();
    busy.send(format!("GET /hold HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    origin.wait("the request", |seen| (!seen.requests.is_empty()).then_some(()));
    let mut idle = gateway.client();
    assert_eq!(idle.get(HOST, "/").status, 200);
    assert!(idle.is_closed());
    origin.release(); // the younger one is over, so this one is
    let response = busy.response();
    assert_eq!((response.text().as_str(), response.field("connection")), ("held", Some("close")));
    assert!(busy.is_closed());
    assert_eq!(reached(&gateway, "connectionDuration"), 2.0);
}

#[test]
fn a_head_that_does_not_come_is_408() {
    let (gateway, origin) = with("headTime=300ms");
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHos");
    let response = client.response();
    assert_eq!((response.status, response.token()), (408, "http_request_error"));
    assert!(client.is_closed());
    assert_eq!(gateway.access("408")["response_flags"], "DPE");
    // What may yet become HTTP/2 has no way to be told.
    let mut client = gateway.client();
    client.send("PRI * HTTP/2");
    assert!(client.is_closed());
    assert_eq!(reached(&gateway, "headTime"), 2.0);
    assert!(origin.requests().is_empty());
}

#[test]
fn one_byte_after_the_other_does_not_hold_a_connection() {
    let (gateway, _origin) = with("headTime=500ms");
    let mut stream = TcpStream::connect(gateway.port(443)).expect("the listener accepts");
    stream.set_nonblocking(true).expect("a TCP socket");
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").expect("room for a few bytes");
    let mut answer = Vec::new();
    until("the slow one to be told", || {
        let _ = stream.write(b"x"); // refused once the gateway is through with it
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            _ => Some(()),
        }
    });
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(reached(&gateway, "headTime"), 1.0);
}

#[test]
fn an_origin_that_says_nothing_is_504() {
    let (gateway, _origin) = with("streamIdle=300ms");
    let response = gateway.get(HOST, "/silent");
    assert_eq!((response.status, response.text().as_str()), (504, "stream timeout"));
    assert_eq!(told(&gateway, "/silent"), is("SI", "stream_idle_timeout"));
    assert_eq!(reached(&gateway, "streamIdle"), 1.0);
}

#[test]
fn an_upload_that_stops_is_408() {
    let (gateway, _origin) = with("streamIdle=300ms");
    let mut client = gateway.client();
    client.send(format!("POST /stops HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nfour"));
    let response = client.response();
    assert_eq!((response.status, response.text().as_str()), (408, "stream timeout"));
    assert!(client.is_closed());
    assert_eq!(told(&gateway, "/stops"), is("SI", "stream_idle_timeout"));
    assert_eq!(reached(&gateway, "streamIdle"), 1.0);
}

#[test]
fn a_body_that_stops_is_cut_so_that_it_cannot_look_complete() {
    let (gateway, _origin) = with("streamIdle=300ms");
    let mut client = gateway.client();
    client.send(format!("GET /hold-body HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().as_deref(), Some(&b"first"[..]));
    assert!(client.rest().is_err(), "a reset");
    assert_eq!(told(&gateway, "/hold-body"), is("SI", "stream_idle_timeout"));
    assert_eq!(reached(&gateway, "streamIdle"), 1.0);
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    let (gateway, origin) = with("streamIdle=300ms");
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 40000000\r\n\r\n".to_vec();
    answer.resize(answer.len() + 40_000_000, b'x');
    origin.raw("/unread", &answer);
    let mut client = gateway.client();
    client.send(format!("GET /unread HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    assert_eq!(told(&gateway, "/unread"), is("SI", "stream_idle_timeout"));
    assert!(client.rest().is_err(), "a reset");
    assert_eq!(reached(&gateway, "streamIdle"), 1.0);
}

#[test]
fn a_client_that_reads_no_reply_of_ours_is_cut() {
    let (gateway, _origin) = with("streamIdle=300ms");
    let mut stream = TcpStream::connect(gateway.port(443)).expect("the listener accepts");
    stream.set_nonblocking(true).expect("a TCP socket");
    let request = b"GET / HTTP/1.1\r\nHost: unknown.example\r\n\r\n".repeat(1000);
    until("the client that never reads to be cut", || match stream.write(&request) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Some(()),
        _ => (reached(&gateway, "streamIdle") > 0.0).then_some(()),
    });
    until("it to be counted", || (reached(&gateway, "streamIdle") > 0.0).then_some(()));
    assert_eq!(gateway.get(HOST, "/").status, 200);
}

#[test]
fn an_upload_that_stops_after_its_answer_ends_the_connection() {
    let (gateway, origin) = with("streamIdle=300ms");
    let mut client = gateway.client();
    client.send(format!("POST /early HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nfour"));
    assert_eq!(client.response().text(), "early");
    assert!(client.is_closed());
    origin.wait("the end of its connection", |seen| (seen.ended == 1).then_some(()));
    assert_eq!(reached(&gateway, "streamIdle"), 1.0);
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: api.example.com\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGVzdGluZyBlZ3JldCEhIQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn a_silent_tunnel_ends_after_its_own_time() {
    let (gateway, origin) = with("tunnelIdle=300ms,streamIdle=1h");
    let mut client = gateway.client();
    client.send(UPGRADE);
    assert_eq!(client.head().status, 101);
    client.send("echo");
    assert_eq!(client.exactly(4), b"echo");
    assert!(client.is_closed());
    origin.wait("the end of the tunnel", |seen| (seen.ended == 1).then_some(()));
    assert_eq!(told(&gateway, "/ws"), is("SI", "stream_idle_timeout"));
    assert_eq!((reached(&gateway, "tunnelIdle"), reached(&gateway, "streamIdle")), (1.0, 0.0));
}

#[test]
fn an_exchange_that_goes_on_and_on_ends() {
    let (gateway, _origin) = with("exchangeDuration=700ms");
    let mut stream = gateway.client();
    stream.send(format!(
        "POST /duplex HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    assert_eq!(stream.head().status, 200);
    until("the exchange to be cut", || {
        (!stream.try_send("1\r\nx\r\n") || reached(&gateway, "exchangeDuration") > 0.0)
            .then_some(())
    });
    assert_eq!(told(&gateway, "/duplex"), is("DT", "max_duration_timeout"));

    let mut tunnel = gateway.client();
    tunnel.send(UPGRADE);
    assert_eq!(tunnel.head().status, 101);
    until("the tunnel to be cut", || {
        (!tunnel.try_send("x") || reached(&gateway, "exchangeDuration") > 1.0).then_some(())
    });
    assert_eq!(told(&gateway, "/ws"), is("DT", "max_duration_timeout"));
    assert_eq!(reached(&gateway, "streamIdle") + reached(&gateway, "tunnelIdle"), 0.0);
}

#[test]
fn waiting_for_an_answer_has_an_end_too() {
    let (gateway, _origin) = with("exchangeDuration=300ms");
    for (path, request, status) in [
        ("/silent", "GET /silent HTTP/1.1\r\nHost: api.example.com\r\n\r\n", 504),
        (
            "/stops",
            "POST /stops HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 9\r\n\r\nfour",
            408,
        ),
    ] {
        let mut client = gateway.client();
        client.send(request);
        let response = client.response();
        assert_eq!(
            (response.status, response.text().as_str()),
            (status, "downstream duration timeout")
        );
        assert_eq!(told(&gateway, path), is("DT", "max_duration_timeout"));
    }
    assert_eq!(reached(&gateway, "exchangeDuration"), 2.0);
}
