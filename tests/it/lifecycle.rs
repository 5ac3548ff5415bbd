//! Start and stop: readiness, SIGTERM, SIGINT, a second signal, and what happens to requests meanwhile.

use crate::harness::article::{Egress, SERVICE_ENTRY};
use crate::harness::client::h2_request;
use crate::harness::frames::{
    ACK, DATA, END_STREAM, GOAWAY, HEADERS, PING, Raw, frame, headers, window,
};
use crate::harness::{Client, Gateway, H2Client, Origin, Setup, until};

const HOST: &str = "api.example.com";

/// A gateway with one request under way, which the origin holds back.
fn with_request_under_way(flags: &[&str]) -> (Gateway, Origin, Client) {
    let origin = Origin::plain();
    let gateway =
        Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).flags(flags).start();
    let mut client = gateway.client();
    client.send("GET /hold HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    origin.wait("the request", |seen| (!seen.requests.is_empty()).then_some(()));
    (gateway, origin, client)
}

fn wait_unready(gateway: &Gateway) {
    until("the gateway to be no longer ready", || {
        (gateway.health("/healthz/ready").status == 503).then_some(())
    });
}

#[test]
fn sigterm_when_idle_exits_with_0() {
    let mut gateway = Setup::new(&Egress::plain(HOST).yaml()).start();
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(), 0);
}

#[test]
fn sigterm_finishes_what_is_under_way_and_still_accepts_for_a_while() {
    let (mut gateway, origin, mut client) = with_request_under_way(&[]);
    let at = gateway.port(443);
    gateway.signal("TERM");
    wait_unready(&gateway);
    assert_eq!(gateway.health("/healthz/live").status, 200);
    let late = crate::harness::get(at, HOST, "/politics");
    assert_eq!((late.status, late.field("connection")), (200, Some("close")));
    origin.release();
    let response = client.response();
    assert_eq!((response.text().as_str(), response.field("connection")), ("held", Some("close")));
    assert!(client.is_closed());
    assert_eq!(gateway.wait_exit(), 0);
}

#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let origin = Origin::plain();
    let mut gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/").status, 200);
    gateway.signal("TERM");
    assert!(client.is_closed());
    assert_eq!(gateway.wait_exit(), 0);
}

#[test]
fn http2_clients_are_told_to_go_away_and_finish_their_streams() {
    let origin = Origin::plain();
    let mut gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let client = H2Client::connect(gateway.port(443));
    let mut stream = client.open(h2_request("GET", HOST, "/hold", &[]));
    stream.send.send_data(bytes::Bytes::new(), true).expect("an open stream");
    origin.wait("the request", |seen| (!seen.requests.is_empty()).then_some(()));
    gateway.signal("TERM");
    wait_unready(&gateway);
    origin.release();
    assert_eq!(stream.head().0.status, 200);
    client.wait_ended();
    assert_eq!(gateway.wait_exit(), 0);
}

#[test]
fn http2_clients_are_told_in_two_steps_and_what_they_sent_between_is_answered() {
    let origin = Origin::plain();
    let mut gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let mut client = Raw::connect(gateway.port(443), &[]);
    let ask =
        |path| [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", HOST)];
    client.send(headers(1, END_STREAM, &ask("/hold")));
    origin.wait("the request", |seen| (!seen.requests.is_empty()).then_some(()));
    gateway.signal("TERM");
    assert_eq!(client.until(GOAWAY).payload, [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let ping = client.until(PING);
    client.send(headers(3, END_STREAM, &ask("/politics")));
    assert_eq!(client.until(HEADERS).stream, 3);
    client.send(frame(PING, ACK, 0, &ping.payload));
    assert_eq!(client.until(GOAWAY).payload, [0, 0, 0, 3, 0, 0, 0, 0]);
    origin.release();
    assert_eq!(client.until(HEADERS).stream, 1);
    client.wait_ended();
    assert_eq!(gateway.wait_exit(), 0);
}

#[test]
fn answers_that_wait_to_be_taken_are_not_cut_by_the_end() {
    const LENGTH: usize = 60_000; // less than may wait of one answer
    let origin = Origin::plain();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n");
    origin.raw("/large", &[head.as_bytes(), &vec![b'x'; LENGTH]].concat());
    let mut gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let at = gateway.port(443);
    let mut client = Raw::connect(at, &[(4, i32::MAX as u32)]);
    client.send(window(0, i32::MAX as u32 - 65_535));
    let ask = [(":method", "GET"), (":scheme", "http"), (":path", "/large"), (":authority", HOST)];
    (0..150).for_each(|number| client.send(headers(number * 2 + 1, END_STREAM, &ask)));
    // For the gateway each request has ended, though nobody has read anything yet.
    until("all requests to have ended", || {
        (gateway.metric("egret_requests_total", &["code=\"200\""]) == 150.0).then_some(())
    });
    gateway.signal("INT");
    until("the listener to be closed", || std::net::TcpStream::connect(at).is_err().then_some(()));
    let (mut bytes, mut ended) = (0, 0);
    while let Some(came) = client.next() {
        if came.kind == PING && !came.has(ACK) {
            client.send(frame(PING, ACK, 0, &came.payload));
        } else if came.kind == DATA {
            bytes += came.payload.len();
            ended += usize::from(came.has(END_STREAM));
        }
    }
    assert_eq!((ended, bytes), (150, 150 * LENGTH));
    assert_eq!(gateway.wait_exit(), 0);
}

#[test]
fn sigint_stops_accepting_at_once_and_finishes_what_is_under_way() {
    let (mut gateway, origin, mut client) = with_request_under_way(&[]);
    let at = gateway.port(443);
    gateway.signal("INT");
    until("the listener to be closed", || std::net::TcpStream::connect(at).is_err().then_some(()));
    origin.release();
    assert_eq!(client.response().text(), "held");
    assert_eq!(gateway.wait_exit(), 0);
}

#[test]
fn what_outlasts_the_drain_is_cut_and_counted() {
    let (mut gateway, _origin, mut client) = with_request_under_way(&["--drain", "1s"]);
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(), 0);
    assert!(client.is_closed());
    let said = gateway.wait_for_log("cut");
    assert!(said.contains('1'), "{said}");
}

#[test]
fn a_second_signal_exits_now() {
    for signal in ["TERM", "INT"] {
        let (mut gateway, _origin, mut client) = with_request_under_way(&["--drain", "60s"]);
        gateway.signal(signal);
        wait_unready(&gateway);
        gateway.signal(signal);
        gateway.wait_exit(); // at once: the drain would outlast the patience of this test
        assert!(client.is_closed());
    }
}

#[test]
fn no_line_of_the_access_log_is_lost_at_the_end() {
    let origin = Origin::plain();
    let mut gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    for number in 0..20 {
        gateway.get(HOST, &format!("/last/{number}"));
    }
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(), 0);
    assert_eq!(gateway.access_log().iter().filter(|line| line.contains("/last/")).count(), 20);
}

#[test]
fn without_a_listener_it_stays_up_not_ready_and_says_why() {
    let gateway = Setup::new(SERVICE_ENTRY).start_unready();
    let ready = gateway.health("/healthz/ready");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("listener"), "{}", ready.text());
    assert_eq!(gateway.health("/healthz/live").status, 200);
    gateway.wait_for_log("listener");
    // It recovers without a restart.
    gateway.reconfigure(&Egress::plain(HOST).yaml());
    until("the gateway to be ready", || {
        (gateway.health("/healthz/ready").status == 200).then_some(())
    });
}

#[test]
fn a_tunnel_under_way_is_not_cut_before_its_time() {
    let origin = Origin::plain();
    let mut gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start();
    let (at, mut client) = (gateway.port(443), gateway.client());
    client.send("GET /ws HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n");
    assert_eq!(client.head().status, 101);
    gateway.signal("INT");
    until("the listener to be closed", || std::net::TcpStream::connect(at).is_err().then_some(()));
    for _ in 0..3 {
        client.send("ping");
        assert_eq!(client.exactly(4), b"ping");
    }
    client.finish_sending();
    assert!(client.is_closed());
    assert_eq!(gateway.wait_exit(), 0);
}

#[test]
fn a_port_that_has_become_free_is_bound_at_the_next_reload() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let map = format!("443:{}", taken.local_addr().expect("bound").port());
    let setup = Setup::new(&Egress::plain(HOST).yaml()).flags(&["--port-map", &map]);
    let gateway = setup.start_unready();
    gateway.wait_for_log("--port-map");
    drop(taken);
    gateway.signal("HUP");
    until("the gateway to be ready", || {
        (gateway.health("/healthz/ready").status == 200).then_some(())
    });
}

#[test]
fn an_idle_connection_is_closed_while_others_finish() {
    let (mut gateway, origin, mut busy) = with_request_under_way(&[]);
    let mut idle = gateway.client();
    assert_eq!(idle.get("unknown.example", "/").status, 404);
    gateway.signal("INT");
    assert!(idle.is_closed());
    origin.release();
    assert_eq!(busy.response().text(), "held");
    assert_eq!(gateway.wait_exit(), 0);
}
