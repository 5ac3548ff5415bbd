//! What reaching each limit of a count or a size does: who is turned away, how, and where it is counted.

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Answer, Client, Dns, Gateway, H2Client, Origin, Setup, egret, until};

const HOST: &str = "api.example.com";

/// One worker before a plain origin, with these limits.
fn with(limits: &str) -> (Gateway, Origin) {
    let origin = Origin::plain();
    let setup = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin);
    (setup.flags(&["--workers", "1", "--limits", limits]).start(), origin)
}

fn reached(gateway: &Gateway, limit: &str) -> f64 {
    gateway.metric("egret_limit_reached_total", &[&format!("limit=\"{limit}\"")])
}

/// A connection with a request that the origin holds back.
fn held(gateway: &Gateway, origin: &Origin) -> Client {
    let before = origin.requests().len();
    let mut client = gateway.client();
    client.send(format!("GET /hold HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    origin.wait("a request to hold", |seen| (seen.requests.len() > before).then_some(()));
    client
}

#[test]
fn connections_beyond_the_limit_are_closed_and_those_inside_go_on() {
    let (gateway, origin) = with("connections=2");
    let mut inside = [held(&gateway, &origin), held(&gateway, &origin)];
    for _ in 0..3 {
        assert!(gateway.client().is_closed(), "a third is one too many");
    }
    assert_eq!(reached(&gateway, "connections"), 3.0);
    assert_eq!(gateway.log_count("the limit connections=2 is reached"), 1, "said once a minute");
    origin.release();
    for client in &mut inside {
        assert_eq!(client.response().text(), "held");
    }
    drop(inside);
    until("room for another", || {
        let mut client = gateway.client();
        client.try_send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
        client.rest().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200")).then_some(())
    });
}

#[test]
fn idle_connections_make_room_for_others() {
    let (gateway, _origin) = with("connections=2");
    let mut idle = [gateway.client(), gateway.client()];
    assert_eq!(idle[0].get(HOST, "/").status, 200);
    until("one of them to be given up", || {
        let mut client = gateway.client();
        client.try_send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"));
        client.rest().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200")).then_some(())
    });
}

#[test]
fn a_listener_has_a_limit_of_its_own() {
    let origin = Origin::plain();
    let native = format!(
        "listeners:\n- port: 443\n- port: 80\nroutes:\n- hosts: [{HOST}]\n  to: http://{HOST}:80\n"
    );
    let setup = Setup::new(&native).origin(HOST, 80, &origin).ports(&[443, 80]);
    let gateway = setup.flags(&["--limits", "listenerConnections=1"]).start();
    let _inside = held(&gateway, &origin);
    assert!(gateway.client().is_closed());
    assert_eq!(crate::harness::get(gateway.port(80), HOST, "/").status, 200);
    assert_eq!(reached(&gateway, "listenerConnections"), 1.0);
    assert_eq!(reached(&gateway, "connections"), 0.0);
}

#[test]
fn the_pages_answer_while_clients_take_every_file_they_can() {
    let origin = Origin::plain();
    for (limits, room) in [("streams=256", 96), ("connections=5000,upstreamConnections=5000", 96)] {
        let setup = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &origin);
        let gateway = setup.files(256).flags(&["--limits", limits]).start();
        gateway.wait_for_log(&format!(
            "room for {room} client connections and {room} to origins; 256 files may be open"
        ));
        let asked_for_more = limits.starts_with("connections");
        assert_eq!(gateway.log_contains("fewer connections than the limits"), asked_for_more);
        let flood: Vec<Client> = (0..300).map(|_| gateway.client()).collect();
        until("the limit to be reached", || (reached(&gateway, "connections") > 0.0).then_some(()));
        assert_eq!(gateway.health("/healthz/ready").status, 200);
        assert!(!gateway.log_contains("cannot accept"));
        drop(flood);
        until("the clients' room to be free", || {
            (gateway.metric("egret_client_connections_open", &[]) == 0.0).then_some(())
        });
        assert_eq!(gateway.get(HOST, "/").status, 200);
    }
}

#[test]
fn requests_beyond_the_limit_are_503_uo() {
    let (gateway, origin) = with("requests=1");
    let mut under_way = held(&gateway, &origin);
    let refused = gateway.get(HOST, "/too-many");
    assert_eq!((refused.status, refused.token()), (503, "connection_limit_reached"));
    assert_eq!(gateway.access("/too-many")["response_flags"], "UO");
    assert_eq!(reached(&gateway, "requests"), 1.0);
    origin.release();
    assert_eq!(under_way.response().text(), "held");
    assert_eq!(under_way.get(HOST, "/").status, 200, "there is room again");
}

#[test]
fn connections_to_origins_are_bounded_and_unused_ones_make_room() {
    let origin = Origin::plain();
    let other = Origin::plain();
    let yaml = Egress::plain(HOST).yaml() + "---\n" + &Egress::plain("other.example").objects();
    let setup = Setup::new(&yaml).origin(HOST, 80, &origin).origin("other.example", 80, &other);
    let gateway = setup.flags(&["--workers", "1", "--limits", "upstreamConnections=1"]).start();
    let mut under_way = held(&gateway, &origin);
    let refused = gateway.get("other.example", "/too-many");
    assert_eq!((refused.status, refused.token()), (503, "connection_limit_reached"));
    let line = gateway.access("/too-many");
    assert_eq!(line["response_flags"], "UO");
    let reason = "1_connections_to_origins_are_open";
    assert_eq!(line["upstream_transport_failure_reason"], reason);
    assert_eq!(reached(&gateway, "upstreamConnections"), 1.0);
    origin.release();
    assert_eq!(under_way.response().text(), "held");
    assert_eq!(gateway.get("other.example", "/").status, 200, "the idle one was closed for it");
    assert_eq!(reached(&gateway, "upstreamConnections"), 1.0);
}

#[test]
fn those_who_wait_for_a_connection_are_bounded() {
    let never_accepts = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let to = format!("{HOST}:443::{}", never_accepts.local_addr().expect("bound").port());
    let setup = Setup::new(&Egress::tls(HOST).yaml()).flags(&["--connect-to", &to]);
    let gateway = setup.flags(&["--workers", "1", "--limits", "pendingRequests=1"]).start();
    let mut waiting = gateway.client();
    waiting.send(format!("GET /waits HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    // The handshake has begun when its first bytes are here.
    let (_origin, _) = never_accepts.accept().expect("the gateway connects");
    let refused = gateway.get(HOST, "/too-many");
    assert_eq!((refused.status, refused.token()), (503, "connection_limit_reached"));
    let line = gateway.access("/too-many");
    assert_eq!(line["response_flags"], "UO");
    assert_eq!(reached(&gateway, "pendingRequests"), 1.0);
}

#[test]
fn those_who_wait_for_the_first_address_are_bounded_too() {
    let dns = Dns::start(&[(HOST, Answer::Silence)]);
    let setup = Setup::new(&Egress::plain(HOST).yaml()).dns(&dns);
    let gateway = setup.flags(&["--workers", "1", "--limits", "pendingRequests=1"]).start_unready();
    let mut one = gateway.client();
    one.send(format!("GET /one HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    let mut other = gateway.client();
    other.send(format!("GET /other HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    gateway.wait_for_access("connection_limit_reached");
    assert_eq!(reached(&gateway, "pendingRequests"), 1.0);
}

#[test]
fn a_body_that_says_it_is_too_large_is_413_at_once() {
    let (gateway, origin) = with("bodyBytes=10");
    let mut client = gateway.client();
    let head = format!("POST /large HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 11\r\n");
    client.send(format!("{head}Expect: 100-continue\r\n\r\n"));
    let refused = client.response();
    assert_eq!((refused.status, refused.text().as_str()), (413, "Payload Too Large"));
    assert_eq!((refused.field("connection"), client.is_closed()), (Some("close"), true));
    let line = gateway.access("/large");
    assert_eq!(line["response_code_details"], "request_payload_too_large");
    assert!(origin.requests().is_empty());
    let h2 = H2Client::connect(gateway.port(443));
    let request = h2_request("POST", HOST, "/large-too", &[("content-length", "11")]);
    assert_eq!(h2.request(request, "eleven byte").status, 413);
    assert_eq!(reached(&gateway, "bodyBytes"), 2.0);
    assert_eq!(gateway.client().post(HOST, "/echo", "ten bytes.").status, 200);
}

#[test]
fn a_body_that_grows_too_large_never_looks_complete_to_the_origin() {
    let (gateway, origin) = with("bodyBytes=10");
    let mut client = gateway.client();
    // All of it at once: the last chunk is here before anything was sent on.
    client.send(format!(
        "POST /grows HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\nb\r\neleven byte\r\n0\r\n\r\n"
    ));
    assert_eq!(client.head().status, 413);
    let mut client = gateway.client();
    client.send(format!(
        "POST /grows-later HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n"
    ));
    origin.wait("the first piece", |seen| {
        seen.requests.iter().any(|request| request.body == b"yes").then_some(())
    });
    client.send("8\r\ntoo much\r\n0\r\n\r\n");
    assert_eq!(client.head().status, 413);
    let h2 = H2Client::connect(gateway.port(443));
    let request = h2_request("POST", HOST, "/grows-h2", &[]);
    assert_eq!(h2.request(request, "eleven byte").status, 413);
    origin.wait("the end of each connection", |seen| (seen.ended == 3).then_some(()));
    for request in origin.requests() {
        assert!(request.body.len() <= 10 && request.trailers.is_empty(), "{request:?}");
    }
    assert_eq!(reached(&gateway, "bodyBytes"), 3.0);
    let mut client = gateway.client();
    client.send(format!(
        "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\na\r\nten bytes.\r\n0\r\n\r\n"
    ));
    assert!(client.response().text().ends_with("ten bytes."));
}

#[test]
fn an_upload_that_grows_too_large_after_the_answer_began_is_cut() {
    let (gateway, origin) = with("bodyBytes=10");
    let mut client = gateway.client();
    client.send(format!(
        "POST /duplex HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n"
    ));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().as_deref(), Some(&b"yes"[..]));
    client.send("8\r\ntoo much\r\n0\r\n\r\n");
    assert!(client.is_closed(), "without the last chunk");
    assert_eq!(gateway.access("/duplex")["response_code_details"], "request_payload_too_large");
    origin.wait("the end of that connection", |seen| (seen.ended == 1).then_some(()));
}

#[test]
fn heads_and_targets_have_sizes() {
    let (gateway, origin) = with("headBytes=300,headers=4,targetBytes=20");
    let field = |length| format!("X-Long: {}\r\n", "a".repeat(length));
    let cases = [
        ("/", field(100), 200, "", ""),
        ("/", field(300), 431, "headBytes", "http1.headers_too_large"),
        ("/", "X: 1\r\n".repeat(3), 200, "", ""),
        ("/", "X: 1\r\n".repeat(4), 431, "headers", "http1.too_many_headers"),
        ("/234567890123456789?", String::new(), 200, "", ""),
        ("/234567890123456789?1", String::new(), 414, "targetBytes", "http1.target_too_long"),
    ];
    for (target, fields, status, limit, details) in cases {
        let before = if limit.is_empty() { 0.0 } else { reached(&gateway, limit) };
        let mut client = gateway.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n"));
        let response = client.response();
        assert_eq!(response.status, status, "{target} {fields}");
        if !limit.is_empty() {
            assert!(client.is_closed(), "{target} {fields}");
            assert_eq!(reached(&gateway, limit), before + 1.0, "{limit}");
            let line = gateway.access(details);
            assert_eq!(line["response_flags"], "DPE", "{limit}");
        }
    }
    assert_eq!(origin.requests().len(), 3);
}

#[test]
fn a_head_may_be_larger_than_usual_where_that_is_asked_for() {
    let (gateway, origin) = with("headBytes=200KiB,responseHeadBytes=200KiB,targetBytes=1000");
    let mut client = gateway.client();
    let long = "a".repeat(150 * 1024);
    client.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Long: {long}\r\n\r\n"));
    assert_eq!(client.response().status, 200);
    assert!(origin.last_head().contains(&long));
    let answer = format!("HTTP/1.1 200 OK\r\nX-Long: {long}\r\ncontent-length: 0\r\n\r\n");
    origin.raw("/long", answer.as_bytes());
    assert_eq!(client.get(HOST, "/long").field("x-long"), Some(long.as_str()));
}

#[test]
fn an_origins_head_has_a_size_too() {
    let (gateway, origin) = with("responseHeadBytes=300,responseHeaders=4");
    let long = format!("X-Long: {}\r\n", "a".repeat(300));
    let cases =
        [("/large", long, "responseHeadBytes"), ("/many", "X: 1\r\n".repeat(5), "responseHeaders")];
    for (path, fields, limit) in cases {
        origin.raw(path, format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes());
        let response = gateway.get(HOST, path);
        assert_eq!((response.status, response.token()), (502, "http_protocol_error"), "{limit}");
        assert_eq!(gateway.access(path)["response_flags"], "UPE", "{limit}");
        assert_eq!(reached(&gateway, limit), 1.0, "{limit}");
    }
}

#[test]
fn a_connection_brings_so_many_requests_and_no_more() {
    let (gateway, _origin) = with("connectionRequests=2");
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/").field("connection"), None);
    assert_eq!(client.get(HOST, "/").field("connection"), Some("close"));
    assert!(client.is_closed());
    assert_eq!(reached(&gateway, "connectionRequests"), 1.0);
}

#[test]
fn a_limit_that_cannot_be_is_a_usage_error() {
    for (value, said) in [
        ("conections=1", "did you mean \"connections\"?"),
        ("connections=0", "not a number from 1"),
        ("bodyBytes=1MB", "is not a size"),
        ("headTime=0s", "no time at all"),
    ] {
        let run = egret(&["run", "--host", "a.example", "--limits", value]);
        assert_eq!(run.code, 2, "{value}");
        assert!(run.err.contains(said) && run.err.contains("--limits"), "{value}: {}", run.err);
    }
}

#[test]
fn limits_stand_in_the_settings_document_too() {
    let origin = Origin::plain();
    let yaml = Egress::plain(HOST).yaml()
        + "---\nsettings: { limits: { connectionRequests: 1, headTime: 5s } }\n";
    let gateway = Setup::new(&yaml).origin(HOST, 80, &origin).start();
    assert_eq!(gateway.get(HOST, "/").field("connection"), Some("close"));
}
