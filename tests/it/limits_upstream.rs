//! What an upstream may have at once: connections, waiting requests, requests, retries; and for how long.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::origin::Scripted::Status;
use crate::harness::{Client, Gateway, H2Client, Origin, Response, Setup, until};

const HOST: &str = "api.example.com";

fn with(pool: &str) -> (Gateway, Origin) {
    with_workers(pool, "2")
}

fn with_workers(pool: &str, workers: &str) -> (Gateway, Origin) {
    let origin = Origin::plain();
    let egress = Egress::plain(HOST).policy(&format!("connectionPool: {{{pool}}}"));
    let setup = Setup::new(&egress.yaml()).origin(HOST, 80, &origin);
    (setup.flags(&["--workers", workers]).start(), origin)
}

/// Clients, each with a request under way.
fn asking(gateway: &Gateway, target: &str, count: usize) -> Vec<Client> {
    let ask = |_| {
        let mut client = gateway.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
        client
    };
    (0..count).map(ask).collect()
}

/// Waits until so many requests are under way in the gateway.
fn under_way(gateway: &Gateway, count: usize) {
    until("so many requests are under way", || {
        (gateway.metric("egret_requests_active", &[]) == count as f64).then_some(())
    });
}

fn assert_overflow(response: &Response, gateway: &Gateway, path: &str) {
    assert_eq!(response.status, 503);
    assert_eq!(response.field("x-envoy-overloaded"), Some("true"));
    assert_eq!(
        response.text(),
        "upstream connect error or disconnect/reset before headers. reset reason: overflow"
    );
    assert_eq!(gateway.access(path)["response_flags"], "UO");
}

#[test]
fn one_connection_serves_all_one_after_the_other_whatever_the_workers() {
    let (gateway, origin) = with("tcp: {maxConnections: 1}");
    let mut held = asking(&gateway, "/hold", 1);
    origin.wait("the first request", |seen| (seen.requests.len() == 1).then_some(()));
    let mut waiting = asking(&gateway, "/after", 7);
    under_way(&gateway, 8);
    assert_eq!(origin.connections(), 1);
    origin.release();
    assert_eq!(held[0].response().status, 200);
    for client in &mut waiting {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(origin.requests().len(), 8);
}

#[test]
fn a_connection_that_another_worker_keeps_unused_is_given_up() {
    let (gateway, origin) = with("tcp: {maxConnections: 1}");
    for number in 0..20 {
        assert_eq!(gateway.get(HOST, &format!("/{number}")).status, 200);
    }
    assert_eq!(origin.requests().len(), 20);
}

#[test]
fn a_shared_connection_is_given_up_to_another_worker_too() {
    let origin = Origin::plain();
    let egress =
        Egress::plain(HOST).protocol("HTTP2").policy("connectionPool: {tcp: {maxConnections: 1}}");
    let gateway =
        Setup::new(&egress.yaml()).origin(HOST, 80, &origin).flags(&["--workers", "2"]).start();
    for number in 0..12 {
        assert_eq!(gateway.get(HOST, &format!("/{number}")).status, 200);
    }
    assert_eq!(origin.requests().len(), 12);
}

#[test]
fn no_more_than_so_many_wait_for_a_connection() {
    let (gateway, origin) = with("tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 2}");
    let mut held = asking(&gateway, "/hold", 1);
    origin.wait("the first request", |seen| (seen.requests.len() == 1).then_some(()));
    let mut waiting = asking(&gateway, "/waits", 2);
    under_way(&gateway, 3);
    assert_overflow(&gateway.get(HOST, "/more"), &gateway, "/more");
    origin.release();
    assert_eq!(held[0].response().status, 200);
    for client in &mut waiting {
        assert_eq!(client.response().status, 200);
    }
}

#[test]
fn no_more_than_so_many_requests_are_under_way() {
    let (gateway, origin) = with("http: {http2MaxRequests: 2}");
    let mut held = asking(&gateway, "/hold", 2);
    origin.wait("two requests", |seen| (seen.requests.len() == 2).then_some(()));
    assert_overflow(&gateway.get(HOST, "/third"), &gateway, "/third");
    origin.release();
    held.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    until("there is room again", || (gateway.get(HOST, "/again").status == 200).then_some(()));
}

#[test]
fn a_limit_that_is_never_reached_changes_nothing() {
    let pool = "tcp: {maxConnections: 100, idleTimeout: 30s, tcpKeepalive: {time: 20s, interval: 5s, probes: 2}}, \
                http: {http1MaxPendingRequests: 100, http2MaxRequests: 100, maxRetries: 5}";
    let (gateway, origin) = with_workers(pool, "1");
    let mut client = gateway.client();
    for _ in 0..10 {
        assert_eq!(client.get(HOST, "/").status, 200);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_waiting_request_whose_client_leaves_makes_room() {
    let (gateway, origin) = with("tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}");
    let mut held = asking(&gateway, "/hold", 1);
    origin.wait("the first request", |seen| (seen.requests.len() == 1).then_some(()));
    let leaves = asking(&gateway, "/leaves", 1);
    under_way(&gateway, 2);
    assert_eq!(gateway.get(HOST, "/probe").status, 503, "one waits");
    drop(leaves);
    gateway.wait_for_access("/leaves");
    let mut next = asking(&gateway, "/next", 1);
    origin.release();
    assert_eq!(held[0].response().status, 200);
    assert_eq!(next[0].response().status, 200);
    assert_eq!(origin.count("/leaves"), 0);
}

#[test]
fn one_request_a_connection_keeps_none() {
    let (gateway, origin) = with("http: {maxRequestsPerConnection: 1}, tcp: {maxConnections: 1}");
    let mut client = gateway.client();
    (0..5).for_each(|_| assert_eq!(client.get(HOST, "/").status, 200));
    assert_eq!(origin.connections(), 5);
}

#[test]
fn a_connection_that_is_too_old_takes_no_further_request() {
    for protocol in ["HTTP", "HTTP2"] {
        let origin = Origin::plain();
        let egress = Egress::plain(HOST)
            .protocol(protocol)
            .policy("connectionPool: {tcp: {maxConnectionDuration: 0.3s}}");
        let gateway =
            Setup::new(&egress.yaml()).origin(HOST, 80, &origin).flags(&["--workers", "1"]).start();
        until("a second connection", || {
            assert_eq!(gateway.get(HOST, "/").status, 200);
            (origin.connections() > 1).then_some(())
        });
        let requests = origin.requests();
        let first = requests.iter().filter(|one| one.connection == 1).count();
        assert!(first > 1, "{protocol}: it served for a while");
    }
}

#[test]
fn a_shared_connection_carries_so_many_streams() {
    let origin = Origin::plain();
    let egress = Egress::plain(HOST)
        .protocol("HTTP2")
        .policy("connectionPool: {http: {maxConcurrentStreams: 2}}");
    let gateway =
        Setup::new(&egress.yaml()).origin(HOST, 80, &origin).flags(&["--workers", "1"]).start();
    assert_eq!(gateway.get(HOST, "/first").status, 200);
    let client = H2Client::connect(gateway.port(443));
    let streams: Vec<_> =
        (0..4).map(|_| client.open(h2_request("GET", HOST, "/hold", &[]))).collect();
    origin.wait("four requests", |seen| (seen.requests.len() == 5).then_some(()));
    assert_eq!(origin.connections(), 2, "two on each");
    origin.release();
    drop(streams);
}

#[test]
fn no_more_than_so_many_retries_are_under_way() {
    let origin = Origin::plain();
    let egress = Egress::plain(HOST)
        .policy("retryBudget: {percent: 0, minRetryConcurrency: 0}")
        .rule("retries: {attempts: 2, retryOn: 5xx, backoff: 1ms}");
    let gateway = Setup::new(&egress.yaml()).origin(HOST, 80, &origin).start();
    origin.script("/down", &[Status(503, "", "")]);
    assert_eq!(gateway.get(HOST, "/down").status, 503, "there is no budget at all");
    assert_eq!(gateway.get(HOST, "/down").status, 200);
    assert_eq!(origin.count("/down"), 2);
}

#[test]
fn a_connection_that_leaves_a_ping_unanswered_is_ended() {
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0];
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let origin = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("a connection");
        connection.write_all(SETTINGS).expect("sent");
        let mut sent = Vec::new();
        connection.read_to_end(&mut sent).expect("an orderly end");
        sent
    });
    let egress = Egress { port, ..Egress::plain(HOST) }
        .protocol("HTTP2")
        .service("resolution: STATIC\nendpoints: [{address: 127.0.0.1}]")
        .policy("connectionPool: {http: {http2KeepAlive: {interval: 0.1s, timeout: 0.2s}}}")
        .rule("retries: {attempts: 0}");
    let gateway = Setup::new(&egress.yaml()).start();
    let response = gateway.get(HOST, "/");
    assert_eq!(response.status, 503, "{}", response.text());
    let sent = origin.join().expect("no panic");
    assert!(sent.windows(PING.len()).any(|bytes| bytes == PING), "a PING was sent");
}
