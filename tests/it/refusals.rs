//! What the listener refuses, what it puts up with, and what it says when it cannot listen.

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Gateway, H2Client, Origin, Setup, Tls};

const HOST: &str = "api.example.com";

/// A gateway before a plain origin.
fn plain() -> (Gateway, Origin) {
    let origin = Origin::plain();
    (Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start(), origin)
}

#[test]
fn h2c_upgrade_is_ignored_and_other_upgrades_are_refused() {
    let (gateway, origin) = plain();
    let mut client = gateway.client();
    client.send("GET /politics HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n");
    assert_eq!(client.response().text(), "politics");
    let head = origin.last_head().to_lowercase();
    assert!(!head.contains("upgrade") && !head.contains("http2-settings"), "{head}");
    client.send(
        "GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
    );
    assert_eq!(client.response().status, 403);
}

#[test]
fn malformed_requests_are_refused_and_never_reach_the_origin() {
    let (gateway, origin) = plain();
    let long =
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {}\r\n\r\n", "a".repeat(62 * 1024));
    let many = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", "X-Many: 1\r\n".repeat(101));
    let cases = [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: api.example.com\r\nHost: api.example.com\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: user@api.example.com\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: api.example.com:abc\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: api.example.com:0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: api.example.com\r\nX-Fold: a\r\n b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: api.example.com\r\nX-Space : a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: api.example.com\r\nX-Nul: \0\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: host\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            "POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: +4\r\n\r\nbody", 400),
        (
            "POST / HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            501,
        ),
        ("GET ftp://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n", 400),
        ("\x01\x02\x03\r\n\r\n", 400),
        (long.as_str(), 431),
        (many.as_str(), 431),
    ];
    for (request, status) in cases {
        let mut client = gateway.client();
        client.send(request);
        let response = client.response();
        assert_eq!(response.status, status, "{:.120}", request);
        assert_eq!(response.token(), "http_request_error", "{:.120}", request);
        assert!(client.is_closed(), "the connection ends after {:.120}", request);
    }
    assert!(origin.requests().is_empty());
    assert_eq!(gateway.get(HOST, "/").status, 200);
}

#[test]
fn a_broken_chunk_ends_the_upload_without_completing_it() {
    let (gateway, origin) = plain();
    let mut client = gateway.client();
    client.send("POST /echo HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nzz\r\n");
    let response = client.head();
    assert_eq!(response.status, 400);
    origin.wait("the end of that connection", |seen| (seen.ended == 1).then_some(()));
}

#[test]
fn a_target_goes_out_as_it_came_where_the_next_hop_can_carry_it() {
    for (alpn, status) in [(&["http/1.1"], 200), (&["h2"], 400)] {
        let origin = Origin::with(Tls { alpn, ..Tls::new(&[HOST]) });
        let setup = Setup::new(&Egress::tls(HOST).yaml()).origin(HOST, 443, &origin);
        let gateway = setup.flags(&["--workers", "1"]).start();
        assert_eq!(gateway.get(HOST, "/a%3C?b=|'c'&[d]").status, 200, "{alpn:?} carries it");
        for target in ["/a<b>", "/`a`", "/?a=<b>"] {
            let response = gateway.get(HOST, target);
            assert_eq!(response.status, status, "{target} over {alpn:?}");
            let expected = if status == 400 { "http_request_error" } else { "" };
            assert_eq!(response.token(), expected, "{target} over {alpn:?}");
        }
        assert_eq!(origin.connections(), 1, "the connection to the origin is as good as before");
    }
}

#[test]
fn over_http2_the_same_targets_are_refused() {
    let (gateway, origin) = plain();
    let client = H2Client::connect(gateway.port(443));
    let status = |request| client.request(request, "").status;
    assert_eq!(status(h2_request("GET", HOST, "/caf\u{e9}", &[])), 400);
    assert_eq!(status(h2_request("GET", HOST, "/?q=caf\u{e9}", &[])), 400);
    let connect = http::Request::builder().method("CONNECT").uri("api.example.com:443");
    assert_eq!(status(connect.body(()).expect("a valid request")), 404);
    assert!(origin.requests().is_empty());
    assert_eq!(status(h2_request("GET", HOST, "/", &[])), 200, "and the connection goes on");
}

#[test]
fn connect_is_404_and_options_star_too() {
    let (gateway, _origin) = plain();
    for request in [
        "CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    ] {
        let mut client = gateway.client();
        client.send(request);
        assert_eq!(client.head().status, 404, "{request}");
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let map = format!("443:{port}");
    let setup = Setup::new(&Egress::plain(HOST).yaml()).flags(&["--port-map", &map]);
    let gateway = setup.start_unready();
    let said = gateway.wait_for_log(&format!("127.0.0.1:{port}"));
    assert!(said.contains("--port-map"), "{said}");
    assert_eq!(gateway.health("/healthz/ready").status, 503);
}

#[test]
fn a_taken_health_port_is_fatal() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = taken.local_addr().expect("bound").to_string();
    for flag in ["--health", "--admin"] {
        let (code, log) =
            Setup::new(&Egress::plain(HOST).yaml()).flags(&[flag, &at]).start_in_vain();
        assert_ne!(code, 0, "{log}");
        assert!(log.contains(&at) && log.contains(flag), "{log}");
    }
}

#[test]
fn slow_heads_and_split_requests_are_put_together() {
    let (gateway, _origin) = plain();
    let mut client = gateway.client();
    for byte in "POST /echo HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 2\r\n\r\nok"
        .as_bytes()
        .chunks(3)
    {
        client.send(byte);
    }
    assert!(client.response().text().ends_with("ok"));
    client.send("\r\n\r\nGET /politics HTTP/1.1\nHost: api.example.com\n\n");
    assert_eq!(
        client.response().status,
        200,
        "empty lines before a request and bare line feeds are tolerated"
    );
}
