//! The client's side over HTTP/1.1: connections, framing, streaming, upgrades, and what is refused.

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::http1::field;
use crate::harness::{Client, Gateway, H2Client, Origin, Setup, Tls, curl, get};

const HOST: &str = "api.example.com";

/// A gateway before a plain origin.
fn plain() -> (Gateway, Origin) {
    let origin = Origin::plain();
    (Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin).start(), origin)
}

/// A gateway before a TLS origin that speaks HTTP/1.1.
fn tls() -> (Gateway, Origin) {
    let origin = Origin::tls(&[HOST]);
    (Setup::new(&Egress::tls(HOST).yaml()).origin(HOST, 443, &origin).start(), origin)
}

#[test]
fn http1_and_http2_share_one_port() {
    let (gateway, origin) = tls();
    assert_eq!(gateway.get(HOST, "/").status, 200);
    let client = H2Client::connect(gateway.port(443));
    let response = client.request(h2_request("GET", HOST, "/politics", &[]), "");
    assert_eq!((response.status, response.body.as_slice()), (200, b"politics".as_slice()));
    assert!(origin.last_head().starts_with("GET /politics HTTP/1.1\r\n"), "{}", origin.last_head());
    assert_eq!(field(&origin.last_head(), "host"), Some(HOST), ":authority becomes Host");
    let url = format!("http://{}/politics", gateway.port(443));
    if let Some(page) = curl(&[
        "--http2-prior-knowledge",
        "-H",
        "Host: api.example.com",
        "-w",
        "%{http_version}",
        &url,
    ]) {
        assert_eq!(page.out, "politics2", "{}", page.err);
    }
}

#[test]
fn several_gateway_ports_are_bound() {
    let origin = Origin::plain();
    let config = Egress::plain(HOST).yaml().replacen(
        "    hosts: ['*']\n",
        "    hosts: ['*']\n  - port: {number: 80, name: second, protocol: HTTP}\n    hosts: ['*']\n",
        1,
    );
    let gateway = Setup::new(&config).ports(&[443, 80]).origin(HOST, 80, &origin).start();
    assert_ne!(gateway.port(443), gateway.port(80));
    for port in [443, 80] {
        assert_eq!(get(gateway.port(port), HOST, "/").status, 200, "port {port}");
    }
}

#[test]
fn a_connection_is_kept_and_closed_as_asked() {
    let (gateway, _origin) = plain();
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(client.get(HOST, "/").field("connection"), None);
    }
    assert_eq!(client.get("unknown.example", "/").status, 404, "a 404 does not end the connection");
    client.send("GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n");
    assert_eq!(client.response().field("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn http_1_0_is_served_and_closed_unless_it_asks() {
    let (gateway, origin) = plain();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.0\r\nHost: api.example.com\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert!(origin.last_head().starts_with("GET / HTTP/1.1\r\n"), "{}", origin.last_head());
    client.send("GET / HTTP/1.0\r\nHost: api.example.com\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert!(client.is_closed());
    let mut client = gateway.client();
    client.send("GET /duplex HTTP/1.0\r\nHost: api.example.com\r\n\r\n");
    assert_eq!(client.head().field("transfer-encoding"), None, "1.0 knows no chunks");
    assert_eq!(client.rest().expect("the end of the body is the end of the connection"), b"");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (gateway, origin) = plain();
    let mut client = gateway.client();
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    let post = "POST /echo HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 4\r\n\r\nbody";
    client.send(
        get("/politics") + post + &get("/status/204") + &get("/trailers") + &get("/status/418"),
    );
    assert_eq!(client.response().text(), "politics");
    assert!(client.response().text().ends_with("\r\n\r\nbody"));
    assert_eq!(client.response().status, 204);
    assert_eq!(client.response().text(), "some");
    assert_eq!(client.response().status, 418);
    assert_eq!(origin.requests().len(), 5);
}

#[test]
fn an_upload_reaches_the_origin_before_it_is_complete() {
    for (gateway, origin) in [plain(), tls()] {
        let mut client = gateway.client();
        client.send("POST /echo HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        origin.wait("the first piece alone", |seen| {
            seen.requests.first().filter(|request| request.body == b"first").map(|_| ())
        });
        client.send("4\r\nlast\r\n0\r\n\r\n");
        assert!(client.response().text().ends_with("firstlast"));
    }
}

#[test]
fn an_upload_with_a_length_is_not_held_back_either() {
    let (gateway, origin) = tls();
    let mut client = gateway.client();
    client.send("POST /echo HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 9\r\n\r\nfirst");
    origin.wait("the first piece alone", |seen| {
        seen.requests.first().filter(|request| request.body == b"first").map(|_| ())
    });
    client.send("last");
    assert!(client.response().text().ends_with("\r\n\r\nfirstlast"));
}

#[test]
fn a_download_reaches_the_client_before_it_is_complete() {
    for (gateway, origin) in [plain(), tls()] {
        let mut client = gateway.client();
        client.send("GET /hold-body HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
        assert_eq!(client.head().status, 200);
        assert_eq!(client.chunk().as_deref(), Some(b"first".as_slice()));
        origin.release();
        assert_eq!(client.chunk().as_deref(), Some(b"last".as_slice()));
        assert_eq!(client.chunk(), None);
        assert_eq!(client.trailers(), "");
        assert_eq!(client.get(HOST, "/").status, 200, "and the connection goes on");
    }
}

#[test]
fn both_directions_stream_at_once() {
    let (gateway, _origin) = tls();
    let mut client = gateway.client();
    client.send(
        "POST /duplex HTTP/1.1\r\nHost: api.example.com\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    assert_eq!(client.head().status, 200);
    for piece in ["ping", "another ping"] {
        client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        assert_eq!(client.chunk().as_deref(), Some(piece.as_bytes()));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
    client.trailers();
    assert_eq!(client.get(HOST, "/").status, 200);
}

#[test]
fn large_bodies_arrive_whole() {
    let (gateway, origin) = tls();
    let body: String = (0..300_000u32).map(|n| char::from(b'a' + (n * 7 % 26) as u8)).collect();
    let mut client = gateway.client();
    let response = client.post(HOST, "/echo", &body);
    assert!(response.text().ends_with(&body));
    assert_eq!(origin.requests()[0].body.len(), body.len());
}

#[test]
fn an_early_answer_comes_through_while_the_upload_goes_on() {
    let (gateway, origin) = plain();
    let mut client = gateway.client();
    client.send("POST /early HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 8\r\n\r\nhalf");
    assert_eq!(client.response().text(), "early");
    client.send("half");
    origin.wait("the rest of the upload", |seen| {
        (seen.requests[0].body == b"halfhalf").then_some(())
    });
}

#[test]
fn head_204_and_304_have_no_body_and_keep_the_connection() {
    let (gateway, _origin) = plain();
    let mut client = gateway.client();
    client.send("HEAD /politics HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    let head = client.head();
    assert_eq!(
        (head.status, head.field("content-length")),
        (200, Some("8")),
        "the length of what GET would have"
    );
    for status in ["204", "304"] {
        let response = client.get(HOST, &format!("/status/{status}"));
        assert_eq!(
            (response.status.to_string().as_str(), response.field("transfer-encoding")),
            (status, None)
        );
        assert_eq!(response.field("etag"), Some("\"1\""));
    }
    client.send("HEAD / HTTP/1.1\r\nHost: unknown.example\r\n\r\n");
    assert_eq!(client.head().status, 404);
    assert_eq!(client.get(HOST, "/politics").text(), "politics", "not a byte too many before it");
}

#[test]
fn a_body_without_length_ends_with_the_connection_or_in_chunks() {
    let (gateway, _origin) = plain();
    assert_eq!(gateway.client().get(HOST, "/until-close").text(), "until the end");
}

#[test]
fn expect_is_forwarded_and_the_origins_100_relayed() {
    let (gateway, origin) = tls();
    let mut client = gateway.client();
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: api.example.com\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
    };
    client.send(head("/echo"));
    assert_eq!(client.response().status, 100);
    assert!(field(&origin.last_head(), "expect").is_some(), "{}", origin.last_head());
    assert!(origin.requests()[0].body.is_empty());
    client.send("body");
    assert!(client.response().text().ends_with("\r\n\r\nbody"));
    client.send(head("/refuse"));
    assert_eq!(client.response().status, 417, "and no 100 before it");
}

#[test]
fn other_interim_answers_are_relayed() {
    let (gateway, _origin) = plain();
    let mut client = gateway.client();
    let hint = client.get(HOST, "/hints");
    assert_eq!((hint.status, hint.field("link")), (103, Some("</style.css>")));
    assert_eq!(client.response().text(), "hinted");
}

#[test]
fn trailers_pass_both_ways() {
    let (gateway, origin) = plain();
    let mut client = gateway.client();
    client.send(
        "GET /trailers HTTP/1.1\r\nHost: api.example.com\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
    );
    let response = client.response();
    assert_eq!(
        (response.text().as_str(), response.trailers.to_lowercase().as_str()),
        ("some", "x-sum: 42\n")
    );
    client.send("POST /echo HTTP/1.1\r\nHost: api.example.com\r\nTrailer: x-after\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-after: 7\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.requests()[1].trailers.to_lowercase(), "x-after: 7\n");
}

#[test]
fn websocket_goes_through_to_wss() {
    // An origin that would rather speak h2: an upgrade asks for HTTP/1.1 all the same.
    let origin = Origin::with(Tls { alpn: &["h2", "http/1.1"], ..Tls::new(&[HOST]) });
    let gateway = Setup::new(&Egress::tls(HOST).yaml()).origin(HOST, 443, &origin).start();
    let mut client = gateway.client();
    client.send("GET /ws HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n");
    let head = client.head();
    assert_eq!(
        (head.status, head.field("upgrade"), head.field("sec-websocket-accept")),
        (101, Some("websocket"), Some("yes"))
    );
    for frame in [b"\x81\x04ping".as_slice(), b"\x00\xff raw bytes \r\n\r\n".as_slice()] {
        client.send(frame);
        assert_eq!(client.exactly(frame.len()), frame);
    }
    assert_eq!(field(&origin.last_head(), "upgrade"), Some("websocket"));
    assert_eq!(origin.seen(|seen| seen.protocols.clone()), ["http/1.1"]);
    client.finish_sending();
    assert!(client.is_closed());
}

#[test]
fn an_upgrade_refused_by_the_origin_is_an_ordinary_answer() {
    let (gateway, _origin) = plain();
    let mut client = gateway.client();
    client.send("GET /politics HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(client.response().text(), "politics");
    assert!(client.is_closed(), "what the client sent ahead must not be taken for a request");
}

#[test]
fn a_client_that_leaves_frees_the_origin() {
    let (gateway, origin) = plain();
    let mut client = gateway.client();
    client.send("GET /silent HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    origin.wait("the request", |seen| (!seen.requests.is_empty()).then_some(()));
    drop(client);
    assert_eq!(gateway.access("/silent")["response_flags"], "DC");
}

#[test]
fn many_connections_are_served_at_once() {
    let (gateway, origin) = plain();
    let at = gateway.port(443);
    let mut held: Vec<Client> = (0..40).map(|_| Client::connect(at)).collect();
    for client in &mut held {
        client.send("GET /hold HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    }
    origin.wait("forty requests at once", |seen| (seen.requests.len() == 40).then_some(()));
    origin.release();
    assert!(held.iter_mut().all(|client| client.response().text() == "held"));
}

#[test]
fn http_1_0_clients_get_no_interim_answers() {
    let (gateway, _origin) = plain();
    let mut client = gateway.client();
    client.send("GET /hints HTTP/1.0\r\nHost: api.example.com\r\n\r\n");
    let answer = String::from_utf8(client.rest().expect("an orderly end")).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hinted"), "{answer}");
}

#[test]
fn an_origin_cannot_go_on_with_interim_answers_for_ever() {
    let (gateway, origin) = plain();
    let mut answers = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    answers.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    origin.raw("/endless", &answers);
    let mut client = gateway.client();
    client.send("GET /endless HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    let last = std::iter::repeat_with(|| client.head().status).find(|status| *status != 103);
    assert_eq!(last, Some(502));
    assert_eq!(gateway.access("/endless")["response_flags"], "UPE");
}

#[test]
fn an_upgrade_with_a_body_is_a_request_like_any_other() {
    let (gateway, origin) = plain();
    let mut client = gateway.client();
    client.send("POST /echo HTTP/1.1\r\nHost: api.example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    assert!(client.response().text().ends_with("hi"));
    assert_eq!(field(&origin.last_head(), "upgrade"), None);
}
