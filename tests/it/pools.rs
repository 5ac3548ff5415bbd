//! Connections to origins: kept, shared, retired, retried on when that is safe, and spread.

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Answer, Dns, Gateway, H2Client, Origin, Setup, Tls, until};

const HOST: &str = "api.example.com";

fn plain_with(policy: &str) -> (Gateway, Origin) {
    let origin = Origin::plain();
    (
        Setup::new(&Egress::plain(HOST).policy(policy).yaml()).origin(HOST, 80, &origin).start(),
        origin,
    )
}

fn plain() -> (Gateway, Origin) {
    plain_with("")
}

#[test]
fn one_client_connection_needs_one_origin_connection() {
    for (egress, origin) in
        [(Egress::plain(HOST), Origin::plain()), (Egress::tls(HOST), Origin::tls(&[HOST]))]
    {
        let gateway = Setup::new(&egress.yaml()).origin(HOST, egress.port, &origin).start();
        let mut client = gateway.client();
        for number in 0..10 {
            let text = client.post(HOST, "/echo", &format!("request {number}")).text();
            assert!(text.ends_with(&format!("request {number}")));
        }
        assert_eq!((origin.connections(), origin.requests().len()), (1, 10));
    }
}

#[test]
fn an_idle_connection_serves_the_next_client() {
    let (gateway, origin) = plain();
    for _ in 0..12 {
        assert_eq!(gateway.get(HOST, "/").status, 200);
    }
    assert!(origin.connections() <= 2, "one for each worker at most, not {}", origin.connections());
    assert_eq!(
        gateway.metric("egret_upstream_connections_total", &["event=\"opened\""]),
        origin.connections() as f64
    );
    assert_eq!(
        gateway.metric("egret_upstream_connections_total", &["event=\"reused\""]),
        (12 - origin.connections()) as f64
    );
}

/// Each worker has connections of its own: were clients spread by chance, every wave of them would open some more.
#[test]
fn clients_are_spread_evenly_over_the_workers() {
    const CLIENTS: usize = 16;
    let origin = Origin::plain();
    let setup = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin);
    let gateway = setup.flags(&["--workers", "2"]).start();
    for wave in 1..=5 {
        let mut clients = Vec::new();
        while clients.len() < CLIENTS {
            let mut client = gateway.client();
            client
                .send(format!("POST /echo HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\n\r\n"));
            clients.push(client);
            until("the request is under way", || {
                let under_way = gateway.metric("egret_requests_active", &[]);
                (under_way == clients.len() as f64).then_some(())
            });
        }
        for client in &mut clients {
            client.send("body");
        }
        assert!(clients.iter_mut().all(|client| client.response().status == 200));
        assert_eq!(origin.connections(), CLIENTS, "after wave {wave}");
        drop(clients);
        until("all clients have left", || {
            (gateway.metric("egret_client_connections_open", &[]) == 0.0).then_some(())
        });
    }
}

#[test]
fn a_stale_connection_is_retried_for_get() {
    let (gateway, origin) = plain();
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/stale").status, 200);
    assert_eq!(
        client.get(HOST, "/stale").status,
        200,
        "the origin ended the reused connection; a fresh one answered"
    );
    let connections: Vec<usize> =
        origin.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [1, 1, 2]);
}

#[test]
fn a_post_is_never_sent_twice() {
    let (gateway, origin) = plain();
    let mut client = gateway.client();
    assert_eq!(client.post(HOST, "/stale", "pay 1").status, 200);
    let failed = client.post(HOST, "/stale", "pay 2");
    assert_eq!((failed.status, failed.token()), (503, "connection_terminated"));
    let sent =
        origin.requests().iter().filter(|request| request.head.starts_with("POST /stale")).count();
    assert_eq!(sent, 2, "{:?}", origin.requests());
    assert_eq!(client.get(HOST, "/").status, 200);
}

#[test]
fn a_fresh_connection_that_ends_without_an_answer_is_uc() {
    let (gateway, origin) = plain();
    let response = gateway.get(HOST, "/close");
    assert_eq!((response.status, response.token()), (503, "connection_terminated"));
    assert!(
        response.text().contains("reset reason: connection termination"),
        "{}",
        response.text()
    );
    assert_eq!(gateway.access("/close")["response_flags"], "UC");
    assert_eq!(origin.requests().len(), 1, "the origin may have acted on it");
}

#[test]
fn an_idle_connection_that_the_origin_ended_is_not_used_for_a_post() {
    let (gateway, origin) = plain();
    origin.raw("/then-closes", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/then-closes").text(), "ok");
    origin.wait("the end of that connection", |seen| (seen.ended == 1).then_some(()));
    assert!(client.post(HOST, "/echo", "once").text().ends_with("once"));
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_response_with_bytes_too_many_spoils_nothing() {
    let (gateway, origin) = plain();
    origin.raw("/more", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/more").text(), "ok");
    assert_eq!(client.get(HOST, "/politics").text(), "politics");
}

#[test]
fn a_truncated_body_never_looks_complete() {
    let (gateway, _origin) = plain();
    let mut client = gateway.client();
    client.send("GET /truncated HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    assert_eq!(client.head().field("content-length"), Some("100"));
    if let Ok(body) = client.rest() {
        assert_eq!(body, b"four", "nothing is put in place of what is missing");
    }
    assert_eq!(gateway.access("/truncated")["response_flags"], "UC");
}

#[test]
fn connections_retire_after_the_requests_they_may_carry() {
    let (gateway, origin) = plain_with("connectionPool: {http: {maxRequestsPerConnection: 2}}");
    let mut client = gateway.client();
    for _ in 0..6 {
        assert_eq!(client.get(HOST, "/").status, 200);
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn idle_connections_are_closed_in_time() {
    let (gateway, origin) = plain_with("connectionPool: {http: {idleTimeout: 0.3s}}");
    assert_eq!(gateway.get(HOST, "/").status, 200);
    origin.wait("the end of the idle connection", |seen| (seen.ended == 1).then_some(()));
}

#[test]
fn http2_streams_share_one_connection() {
    let origin = Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) });
    let gateway = Setup::new(&Egress::tls(HOST).yaml()).origin(HOST, 443, &origin).start();
    let client = H2Client::connect(gateway.port(443));
    client.request(h2_request("GET", HOST, "/", &[]), ""); // the connection is there
    let streams: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = client.open(h2_request("POST", HOST, "/hold", &[]));
            stream.send.send_data(bytes::Bytes::from_static(b"x"), true).expect("an open stream");
            stream
        })
        .collect();
    origin.wait("eight requests at once", |seen| (seen.requests.len() == 9).then_some(()));
    origin.release();
    assert!(streams.into_iter().all(|stream| stream.head().0.status == 200));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn least_request_avoids_the_busy_endpoint() {
    let origins = Origin::plain_group(2);
    let dns = Dns::start(&[(
        HOST,
        Answer::Addresses(origins.iter().map(|origin| origin.address.ip()).collect(), 60),
    )]);
    let egress = Egress { port: origins[0].port(), ..Egress::plain(HOST) }
        .policy("loadBalancer: {simple: LEAST_REQUEST}");
    let gateway = Setup::new(&egress.yaml()).dns(&dns).start();
    let mut held = gateway.client();
    held.send("GET /hold HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    let busy = until("one of them to be busy", || {
        origins.iter().position(|origin| !origin.requests().is_empty())
    });
    let mut client = gateway.client();
    for _ in 0..200 {
        assert_eq!(client.get(HOST, "/").status, 200);
    }
    // Of two drawn with replacement both are the busy one in a quarter of the draws: 50 of 200, and chance alone gives 100.
    let at_busy = origins[busy].requests().len() - 1;
    assert!(at_busy < 75, "{at_busy} of 200 went to the busy endpoint");
    origins[busy].release();
    assert_eq!(held.response().text(), "held");
}

fn h2_with(policy: &str) -> (Gateway, Origin) {
    let origin = Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) });
    let egress = Egress::tls(HOST).policy(policy);
    (Setup::new(&egress.yaml()).origin(HOST, 443, &origin).start(), origin)
}

#[test]
fn idle_http2_connections_are_closed_in_time() {
    let (gateway, origin) = h2_with("connectionPool: {http: {idleTimeout: 0.3s}}");
    assert_eq!(gateway.get(HOST, "/").status, 200);
    origin.wait("the end of the idle connection", |seen| (seen.ended == 1).then_some(()));
    assert_eq!(gateway.get(HOST, "/").status, 200);
}

#[test]
fn http2_connections_retire_after_the_requests_they_may_carry() {
    let (gateway, origin) = h2_with("connectionPool: {http: {maxRequestsPerConnection: 2}}");
    let mut client = gateway.client();
    for _ in 0..6 {
        assert_eq!(client.get(HOST, "/").status, 200);
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn a_request_whose_answer_had_begun_is_not_sent_again() {
    let (gateway, origin) = plain();
    origin.raw("/partial", b"HTTP/1.1 200 OK\r\ncontent-le");
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/").status, 200);
    assert_eq!(client.get(HOST, "/partial").status, 502);
    let sent = origin.requests().iter().filter(|request| request.head.contains("/partial")).count();
    assert_eq!(sent, 1);
}

#[test]
fn connections_that_have_ended_are_counted() {
    let h2 = Tls { alpn: &["h2"], ..Tls::new(&[HOST]) };
    for (egress, origin) in
        [(Egress::plain(HOST), Origin::plain()), (Egress::tls(HOST), Origin::with(h2))]
    {
        let egress = egress.policy("connectionPool: {http: {idleTimeout: 0.3s}}");
        let gateway = Setup::new(&egress.yaml()).origin(HOST, egress.port, &origin).start();
        assert_eq!(gateway.get(HOST, "/").status, 200);
        until("the connection to be counted as closed", || {
            let closed = gateway.metric("egret_upstream_connections_total", &["event=\"closed\""]);
            (closed == 1.0).then_some(())
        });
    }
}
