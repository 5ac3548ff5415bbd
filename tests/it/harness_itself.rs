//! The harness checked against itself, without a gateway: a test that fails here says nothing about Egret.

use std::net::IpAddr;

use egret::config::document;
use serde_json::Value;

use crate::harness::article::{Egress, everything};
use crate::harness::client::h2_request;
use crate::harness::{Answer, Client, Dns, H2Client, Origin, Response, Tls, certs, curl, get};

#[test]
fn plain_origin_answers_and_records() {
    let origin = Origin::plain();
    let response = get(origin.address, "a.example", "/politics");
    assert_eq!((response.status, response.text().as_str()), (200, "politics"));
    assert_eq!(origin.last_head(), "GET /politics HTTP/1.1\r\nHost: a.example\r\n\r\n");
}

#[test]
fn one_connection_carries_many_exchanges() {
    let origin = Origin::plain();
    let mut client = Client::connect(origin.address);
    assert!(client.post("a.example", "/echo", "ping").text().ends_with("\r\n\r\nping"));
    assert_eq!(client.get("a.example", "/trailers").trailers, "x-sum: 42\n");
    assert_eq!(client.get("a.example", "/status/204").status, 204);
    client.send("GET /stale HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(client.is_closed(), "it is not the first request of the connection");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn duplex_returns_each_piece_before_the_next_is_sent() {
    let origin = Origin::plain();
    let mut client = Client::connect(origin.address);
    client.send("POST /duplex HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.head().status, 200);
    for piece in ["one", "three"] {
        client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        assert_eq!(client.chunk().as_deref(), Some(piece.as_bytes()));
    }
    client.send("0\r\nx-late: yes\r\n\r\n");
    assert_eq!(client.chunk(), None);
    assert_eq!(origin.requests()[0].trailers, "x-late: yes\n");
}

#[test]
fn held_answers_wait_for_the_release() {
    let origin = Origin::plain();
    let mut client = Client::connect(origin.address);
    client.send("GET /hold-body HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().as_deref(), Some(b"first".as_slice()));
    origin.release();
    assert_eq!(client.chunk().as_deref(), Some(b"last".as_slice()));
}

#[test]
fn tls_origin_shows_its_certificate_and_counts_handshakes() {
    let origin = Origin::tls(&["edition.cnn.com"]);
    let to = format!("edition.cnn.com:443:127.0.0.1:{}", origin.port());
    let dir = tempfile::tempdir().expect("a directory");
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, &certs::trusted().pem).expect("a file");
    let ca = ca.display().to_string();
    let Some(good) =
        curl(&["--cacert", &ca, "--connect-to", &to, "https://edition.cnn.com/politics"])
    else {
        return;
    };
    assert_eq!((good.code, good.out.as_str()), (0, "politics"), "{}", good.err);
    let wrong = curl(&[
        "--cacert",
        &ca,
        "--connect-to",
        &to.replace("edition", "other"),
        "https://other.cnn.com/",
    ]);
    assert_eq!(wrong.map(|finished| finished.code), Some(60));
    origin.wait("a handshake with this name", |seen| {
        (seen.names[0].as_deref() == Some("edition.cnn.com")).then_some(())
    });
    assert_eq!(origin.seen(|seen| seen.full), 1 + origin.seen(|seen| seen.names.len() - 1));
}

#[test]
fn tls_origin_refuses_an_expired_and_an_unknown_certificate_to_curl() {
    for certificate in
        [certs::trusted().issue_expired(&["a.example"]), certs::stranger().issue(&["a.example"])]
    {
        let origin = Origin::with(Tls::showing(certificate));
        let dir = tempfile::tempdir().expect("a directory");
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, &certs::trusted().pem).expect("a file");
        let to = format!("a.example:443:127.0.0.1:{}", origin.port());
        let Some(refused) = curl(&[
            "--cacert",
            &ca.display().to_string(),
            "--connect-to",
            &to,
            "https://a.example/",
        ]) else {
            return;
        };
        assert_eq!(refused.code, 60, "{}", refused.err);
    }
}

#[test]
fn tls_origin_says_so_when_spoken_to_in_plain_text() {
    let origin = Origin::tls(&["a.example"]);
    let response = get(origin.address, "a.example", "/");
    assert_eq!(response.status, 400);
    assert!(response.text().contains("plain HTTP request was sent to HTTPS port"));
    assert_eq!(origin.seen(|seen| seen.plain_text), 1);
}

#[test]
fn http2_origin_echoes_and_sends_trailers() {
    let origin = Origin::plain();
    let client = H2Client::connect(origin.address);
    let response = client.request(h2_request("POST", "a.example", "/x", &[]), "ping");
    assert_eq!((response.status, response.body.as_slice()), (200, b"ping".as_slice()));
    let grpc = client.request(
        h2_request("POST", "a.example", "/s/m", &[("content-type", "application/grpc")]),
        "m",
    );
    assert_eq!(grpc.trailers["grpc-status"], "0");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_group_of_origins_shares_one_port() {
    let origins = Origin::plain_group(3);
    let ports: Vec<u16> = origins.iter().map(Origin::port).collect();
    assert_eq!(ports, [ports[0]; 3]);
    for origin in &origins {
        let Response { status, .. } = get(origin.address, "a.example", "/");
        assert_eq!((status, origin.connections()), (200, 1));
    }
}

#[test]
fn name_server_answers_as_it_was_told() {
    let dns = Dns::start(&[
        (
            "two.example",
            Answer::Addresses(vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2])], 5),
        ),
        ("none.example", Answer::NoSuchName),
        ("broken.example", Answer::ServerFailure),
    ]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(crate::harness::PATIENCE)).expect("a timeout");
    let ask = |name: &str, kind: u8| {
        let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(label.len() as u8);
            question.extend(label.bytes());
        }
        question.extend([0, 0, kind, 0, 1]);
        socket.send_to(&question, dns.address).expect("a datagram");
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).expect("an answer");
        (answer[3] & 15, answer[7], length)
    };
    assert_eq!(ask("two.example", 1), (0, 2, 12 + 17 + 2 * 16));
    assert_eq!(ask("two.example", 28), (0, 0, 12 + 17));
    assert_eq!(ask("none.example", 1).0, 3);
    assert_eq!(ask("broken.example", 1).0, 2);
    assert_eq!(ask("any.invalid", 1).0, 3);
    assert_eq!(dns.asked("two.example"), 2);
}

#[test]
fn configurations_are_what_they_look_like() {
    let egress = Egress::tls("a.example")
        .tls_also("sni: b.example")
        .policy("loadBalancer: {simple: RANDOM}")
        .rule("timeout: 1s")
        .service("resolution: STATIC\nendpoints: [{address: 127.0.0.1}]");
    let text = format!("{}---\n{}", everything(), egress.yaml());
    let (documents, problems) = document::parse("everything.yaml", &text);
    assert_eq!(problems, []);
    let documents: Vec<Value> = documents.iter().map(|one| one.body().to_value()).collect();
    let kinds: Vec<&str> =
        documents.iter().filter_map(|document| document["kind"].as_str()).collect();
    let own = ["Gateway", "ServiceEntry", "VirtualService", "DestinationRule"];
    let article =
        ["ServiceEntry", "Gateway", "DestinationRule", "VirtualService", "DestinationRule"];
    assert_eq!(kinds, [article.as_slice(), own.as_slice()].concat());
    assert_eq!(documents[6]["spec"]["endpoints"][0]["address"], "127.0.0.1");
    assert_eq!(documents[7]["spec"]["http"][0]["timeout"], "1s");
    let policy = &documents[8]["spec"]["trafficPolicy"];
    assert_eq!(
        (&policy["tls"]["sni"], &policy["loadBalancer"]["simple"]),
        (&"b.example".into(), &"RANDOM".into())
    );
}
