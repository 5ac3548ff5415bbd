//! HTTP/2 on both sides: gRPC end to end, trailers, errors as gRPC wants them, and streams that don't wait for each other.

mod conformance;
mod floods;
mod limits;
mod memory;
mod origins;

use bytes::Bytes;

use crate::harness::article::Egress;
use crate::harness::client::{h2_request, head};
use crate::harness::{Gateway, H2Client, Origin, Setup, Tls, wait};

const HOST: &str = "api.example.com";
const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc"), ("te", "trailers")];

fn before(origin: &Origin, egress: &Egress) -> (Gateway, H2Client) {
    let gateway = Setup::new(&egress.yaml()).origin(HOST, egress.port, origin).start();
    let client = H2Client::connect(gateway.port(443));
    (gateway, client)
}

fn h2_origin() -> Origin {
    Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) })
}

#[test]
fn grpc_streams_both_ways_and_ends_with_its_status() {
    for (egress, origin) in [
        (Egress::tls(HOST), h2_origin()),
        (Egress::tls(HOST).protocol("GRPC"), h2_origin()),
        (Egress::plain(HOST).protocol("GRPC"), Origin::plain()),
    ] {
        let (_gateway, client) = before(&origin, &egress);
        let mut stream = client.open(h2_request("POST", HOST, "/echo.Echo/Chat", GRPC));
        stream.send.send_data(Bytes::from_static(b"one"), false).expect("an open stream");
        origin.wait("the first message alone", |seen| {
            seen.requests.first().filter(|request| request.body == b"one").map(|_| ())
        });
        let (mut send, response) = stream.split();
        let (response, mut body) = head(response);
        assert_eq!(
            (response.status, response.fields["content-type"].as_bytes()),
            (200, b"application/grpc".as_slice())
        );
        assert_eq!(
            wait(body.data()).expect("a message").expect("whole"),
            "one",
            "before the next is sent"
        );
        send.send_data(Bytes::from_static(b"two"), true).expect("an open stream");
        assert_eq!(wait(body.data()).expect("a message").expect("whole"), "two");
        let trailers = wait(async {
            while body.data().await.is_some() {}
            body.trailers().await.expect("trailers").expect("some")
        });
        assert_eq!(
            (trailers["grpc-status"].as_bytes(), trailers["grpc-message"].as_bytes()),
            (b"0".as_slice(), b"fine".as_slice())
        );
        let head = &origin.requests()[0].head;
        assert!(head.contains("te: trailers\r\n") && head.starts_with("POST "), "{head}");
    }
}

#[test]
fn the_authority_and_fields_arrive() {
    let origin = h2_origin();
    let (_gateway, client) = before(&origin, &Egress::tls(HOST));
    client.request(
        h2_request(
            "POST",
            "API.example.com:443",
            "/path?query=1",
            &[("x-own", "Value"), ("cookie", "a=1")],
        ),
        "body",
    );
    let request = origin.requests().remove(0);
    assert!(
        request
            .head
            .to_lowercase()
            .starts_with("post https://api.example.com/path?query=1 http/2\r\n"),
        "{}",
        request.head
    );
    assert!(
        request.head.contains("x-own: Value\r\n") && request.head.contains("cookie: a=1\r\n"),
        "{}",
        request.head
    );
    assert!(
        !request.head.contains("host:") && !request.head.contains("x-forwarded-for"),
        "{}",
        request.head
    );
    assert_eq!(request.body, b"body");
}

#[test]
fn http1_clients_reach_http2_origins() {
    let origin = h2_origin();
    let (gateway, _client) = before(&origin, &Egress::tls(HOST));
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/politics").text(), "politics");
    assert_eq!(client.post(HOST, "/x", "ping").text(), "ping");
    client.send(
        "GET /trailers HTTP/1.1\r\nHost: api.example.com\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
    );
    assert_eq!(client.response().trailers.to_lowercase(), "x-sum: 42\n");
    // Nobody asked for trailers this time (RFC 9110, section 6.5.1).
    assert_eq!(client.get(HOST, "/trailers").trailers, "");
    client.send("POST /x HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhow\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "how");
    client.send("HEAD /politics HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.get(HOST, "/politics").text(), "politics");
    assert!(origin.requests().iter().all(|request| request.head.contains("HTTP/2")));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn trailers_pass_both_ways() {
    let origin = h2_origin();
    let (_gateway, client) = before(&origin, &Egress::tls(HOST));
    let response =
        client.request(h2_request("POST", HOST, "/trailers", &[("te", "trailers")]), "body");
    assert_eq!(response.trailers["x-sum"], "42");
    let mut stream = client.open(h2_request("POST", HOST, "/x", &[("te", "trailers")]));
    stream.send.send_data(Bytes::from_static(b"body"), false).expect("an open stream");
    stream
        .send
        .send_trailers(crate::harness::http2::fields(&[("x-after", "7")]))
        .expect("an open stream");
    assert_eq!(stream.head().0.status, 200);
    assert!(origin.requests()[1].trailers.contains("x-after"), "{:?}", origin.requests()[1]);
}

#[test]
fn http2_clients_reach_http1_origins_with_bodies_and_trailers() {
    let origin = Origin::plain();
    let (_gateway, client) = before(&origin, &Egress::plain(HOST));
    let echo = client.request(h2_request("POST", HOST, "/echo", &[]), "ping");
    assert!(echo.body.ends_with(b"\r\n\r\nping"));
    assert!(origin.last_head().starts_with("POST /echo HTTP/1.1\r\n"), "{}", origin.last_head());
    assert_eq!(
        client.request(h2_request("GET", HOST, "/trailers", &[("te", "trailers")]), "").trailers["x-sum"],
        "42"
    );
    assert_eq!(client.request(h2_request("GET", HOST, "/status/204", &[]), "").status, 204);
}

#[test]
fn one_slow_stream_does_not_hold_up_the_others() {
    let origin = Origin::plain();
    let (_gateway, client) = before(&origin, &Egress::plain(HOST));
    let mut slow = client.open(h2_request("GET", HOST, "/hold", &[]));
    slow.send.send_data(Bytes::new(), true).expect("an open stream");
    origin.wait("the slow request", |seen| (!seen.requests.is_empty()).then_some(()));
    for _ in 0..5 {
        assert_eq!(client.request(h2_request("GET", HOST, "/politics", &[]), "").status, 200);
    }
    origin.release();
    assert_eq!(slow.head().0.status, 200);
}

#[test]
fn unmatched_requests_get_404_and_grpc_ones_a_status() {
    let origin = h2_origin();
    let (_gateway, client) = before(&origin, &Egress::tls(HOST));
    let response = client.request(h2_request("GET", "unknown.example", "/", &[]), "");
    assert_eq!((response.status, response.body.len()), (404, 0));
    assert_eq!(response.fields["content-length"], "0");
    let response = client.request(h2_request("POST", "unknown.example", "/s/m", GRPC), "m");
    assert_eq!(
        (response.status, response.fields["grpc-status"].as_bytes()),
        (200, b"12".as_slice())
    );
    assert_eq!(response.fields["content-type"], "application/grpc");
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_stream_reset_by_the_origin_is_ur() {
    let origin = h2_origin();
    let (gateway, client) = before(&origin, &Egress::tls(HOST));
    let response = client.request(h2_request("GET", HOST, "/reset", &[]), "");
    assert_eq!(response.status, 503);
    assert!(String::from_utf8_lossy(&response.body).contains("remote reset"), "{response:?}");
    assert_eq!(gateway.access("/reset")["response_flags"], "UR");
    assert_eq!(
        client.request(h2_request("GET", HOST, "/politics", &[]), "").status,
        200,
        "the connection lives on"
    );
}

#[test]
fn large_bodies_arrive_whole_through_flow_control() {
    let origin = h2_origin();
    let (_gateway, client) = before(&origin, &Egress::tls(HOST));
    let body = "0123456789abcdef".repeat(3_000); // 48 KB: below the client's own first window, which nobody here widens
    for _ in 0..5 {
        let response = client.request(h2_request("POST", HOST, "/x", &[]), &body);
        assert_eq!(response.body, body.as_bytes());
    }
}

#[test]
fn an_early_answer_arrives_whole_though_the_upload_is_refused() {
    let origin = h2_origin();
    let (_gateway, client) = before(&origin, &Egress::tls(HOST));
    let upload = "x".repeat(3 << 20); // more than all windows on the way
    for _ in 0..5 {
        assert_eq!(client.request(h2_request("POST", HOST, "/early", &[]), &upload).body, b"early");
    }
}

#[test]
fn an_empty_upload_of_length_zero_has_one_framing() {
    let origin = Origin::plain();
    let (_gateway, client) = before(&origin, &Egress::plain(HOST));
    let request = h2_request("POST", HOST, "/echo", &[("content-length", "0")]);
    assert_eq!(client.request(request, "").status, 200);
    let head = origin.last_head().to_lowercase();
    let framings = ["content-length:", "transfer-encoding:"].map(|name| head.contains(name));
    assert_eq!(framings.iter().filter(|there| **there).count(), 1, "{head}");
}

#[test]
fn a_connection_that_is_going_away_takes_no_further_request_and_costs_none() {
    let origin = h2_origin();
    let (gateway, client) = before(&origin, &Egress::tls(HOST).rule("retries: {attempts: 0}"));
    let mut held = client.open(h2_request("POST", HOST, "/hold", &[]));
    held.send.send_data(Bytes::from_static(b"held"), true).expect("an open stream");
    origin.wait("the held request", |seen| (!seen.requests.is_empty()).then_some(()));
    assert_eq!(client.request(h2_request("GET", HOST, "/goaway", &[]), "").status, 200);
    assert_eq!(client.request(h2_request("GET", HOST, "/politics", &[]), "").status, 200);
    assert_eq!(origin.connections(), 2);
    origin.release();
    assert_eq!(held.head().0.status, 200);
    assert_eq!(gateway.metric("egret_failures_total", &[]), 0.0);
}
