//! Trying again: on what, how often, where, and never twice what must not be sent twice.

use bytes::Bytes;

use crate::harness::Scripted::{End, EndAtHead, Grpc, Refused, Silence, Status};
use crate::harness::article::{ANY_HOST, Egress};
use crate::harness::client::h2_request;
use crate::harness::{Answer, Dns, Gateway, H2Client, Origin, Response, Scripted, Setup, Tls};

const HOST: &str = "api.example.com";
const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc"), ("te", "trailers")];
const LIMITED: Scripted = Status(429, "x-envoy-ratelimited: true\r\n", "");

/// Plain HTTP/1.1 with these lines of `retries`.
fn plain(retries: &str) -> (Gateway, Origin) {
    let origin = Origin::plain();
    let egress = Egress::plain(HOST).rule(&format!("retries: {{{retries}}}"));
    (Setup::new(&egress.yaml()).origin(HOST, 80, &origin).start(), origin)
}

fn h2(rule: &str) -> (Gateway, Origin) {
    let origin = Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) });
    let egress = Egress::tls(HOST).rule(rule);
    (Setup::new(&egress.yaml()).origin(HOST, 443, &origin).start(), origin)
}

fn put(gateway: &Gateway, path: &str, body: &str) -> Response {
    let mut client = gateway.client();
    client.send(format!(
        "PUT {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    client.response()
}

#[test]
fn each_condition_asks_for_what_its_word_says() {
    let status = |status| Status(status, "", "");
    // the words, what the first attempt comes to, the attempts made of it
    let cases: &[(&str, Scripted, usize)] = &[
        ("", status(503), 1), // none written: Istio's default
        ("", End, 1),
        ("5xx", status(500), 2),
        ("5xx", status(404), 1),
        ("5xx", End, 2),
        ("5xx", LIMITED, 1),
        ("gateway-error", status(502), 2),
        ("gateway-error", status(504), 2),
        ("gateway-error", status(500), 1),
        ("gateway-error", End, 2),
        ("reset", End, 2),
        ("reset", status(503), 1),
        ("reset-before-request", End, 1),
        ("connect-failure", End, 1),
        ("connect-failure", status(503), 1),
        ("retriable-4xx", status(409), 2),
        ("retriable-4xx", status(404), 1),
        ("retriable-status-codes", status(503), 1),
        ("429", status(429), 2),
        ("reset, 404,418", status(418), 2),
        ("envoy-ratelimited", LIMITED, 2),
        ("envoy-ratelimited", status(429), 1),
        ("429", LIMITED, 1), // only its own word asks for that
        ("unknown-word,5xx", status(500), 2),
    ];
    // A host each: on a connection from the pool, its end would ask for another attempt by itself.
    let host = |index: usize| format!("h{index}.example.com");
    let origin = Origin::plain();
    let mut yaml = ANY_HOST.to_owned();
    let mut setup = Setup::new("");
    for (index, (words, ..)) in cases.iter().enumerate() {
        let rule = format!("retries: {{attempts: 1, retryOn: '{words}'}}");
        yaml += &format!("---\n{}", Egress::plain(&host(index)).rule(&rule).objects());
        setup = setup.origin(&host(index), 80, &origin);
    }
    let gateway = setup.config("egress.yaml", &yaml).start();
    for (index, (words, first, attempts)) in cases.iter().enumerate() {
        let path = format!("/case-{index}");
        origin.script(&path, std::slice::from_ref(first));
        let response = gateway.get(&host(index), &path);
        assert_eq!(origin.count(&path), *attempts, "{words}: {first:?}");
        let expected = match (attempts, first) {
            (2, _) => 200,
            (_, Status(status, ..)) => *status,
            _ => 503,
        };
        assert_eq!(response.status, expected, "{words}: {first:?}");
    }
}

#[test]
fn a_response_that_is_tried_again_leaves_nothing_behind() {
    let (gateway, origin) = plain("attempts: 2, retryOn: 5xx");
    origin.script("/twice", &[Status(503, "x-first: 1\r\n", "once"), Status(500, "", "twice")]);
    let mut client = gateway.client();
    let response = client.get(HOST, "/twice");
    assert_eq!((response.status, response.text().as_str()), (200, "politics"));
    assert!(!response.head.contains("x-first"), "{}", response.head);
    assert_eq!((origin.count("/twice"), origin.connections()), (3, 1), "the connection is kept");
    assert_eq!(gateway.metric("egret_retries_total", &["reason=\"status\""]), 2.0);
    assert_eq!(client.get(HOST, "/politics").text(), "politics");
    let line = gateway.access("/twice");
    assert_eq!((&line["retry_attempts"], &line["response_flags"]), (&2.into(), &"-".into()));
}

#[test]
fn when_all_attempts_are_used_up_the_last_one_counts() {
    let (gateway, origin) = plain("attempts: 2, retryOn: 5xx");
    // Closed, so that no attempt finds a connection in the pool whose end would not count.
    origin.script("/ends", &[End, Status(500, "connection: close\r\n", ""), End]);
    let response = gateway.get(HOST, "/ends");
    assert_eq!((response.status, response.token()), (503, "connection_terminated"));
    assert_eq!(gateway.access("/ends")["response_flags"], "URX,UC");
    origin.script("/status", &[Status(500, "", "a"), Status(502, "", "b"), Status(503, "", "c")]);
    let response = gateway.get(HOST, "/status");
    assert_eq!((response.status, response.text().as_str()), (503, "c"));
    assert_eq!(gateway.access("/status")["response_flags"], "URX");
    assert_eq!((origin.count("/status"), origin.count("/ends")), (3, 3));
}

#[test]
fn no_attempts_are_none() {
    for attempts in ["attempts: 0, retryOn: 5xx", "attempts: -1, retryOn: 5xx", "retryOn: 5xx"] {
        let (gateway, origin) = plain(attempts);
        origin.script("/once", &[Status(503, "", "")]);
        assert_eq!(gateway.get(HOST, "/once").status, 503, "{attempts}");
        assert_eq!(origin.count("/once"), 1, "{attempts}");
        assert_eq!(gateway.access("/once")["response_flags"], "-");
    }
}

#[test]
fn what_is_not_idempotent_is_not_sent_twice_unless_a_key_makes_it_so() {
    let (gateway, origin) = plain("attempts: 2, retryOn: '5xx,reset,retriable-4xx,409'");
    for (method, key, sent) in [
        ("POST", "", 1),
        ("PATCH", "", 1),
        ("post", "", 1),
        ("PROPFIND", "", 1),
        ("POST", "Idempotency-Key: a1\r\n", 2),
        ("PUT", "", 2),
        ("DELETE", "", 2),
    ] {
        for (what, first) in
            [("ends", End), ("fails", Status(503, "", "")), ("conflicts", Status(409, "", ""))]
        {
            let path = format!("/{method}{}-{what}", key.len());
            origin.script(&path, &[first]);
            let mut client = gateway.client();
            client.send(format!(
                "{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{key}Content-Length: 5\r\n\r\npay 1"
            ));
            let response = client.response();
            assert_eq!(response.status == 200, sent == 2, "{method} {what}");
            let arrived = origin.requests();
            let arrived = arrived.iter().filter(|one| one.head.contains(&format!("{path} ")));
            let bodies: Vec<&[u8]> = arrived.map(|one| one.body.as_slice()).collect();
            assert_eq!(bodies, vec![b"pay 1"; sent], "{method} {what}");
        }
    }
}

#[test]
fn where_sending_twice_does_no_harm_everything_is_sent_again() {
    let origin = Origin::plain();
    let config = format!(
        "routes:\n- hosts: [{HOST}]\n  to: http://{HOST}\n  retries: {{attempts: 1, conditions: [reset], statuses: [429], backoff: 1ms, nonIdempotent: true}}\n"
    );
    let gateway = Setup::new(&config).origin(HOST, 80, &origin).start();
    for (path, first) in [("/ends", End), ("/busy", Status(429, "", ""))] {
        origin.script(path, &[first]);
        assert_eq!(gateway.client().post(HOST, path, "again").status, 200);
        assert_eq!(origin.count(path), 2);
        assert_eq!(origin.requests().last().expect("two").body, b"again");
    }
}

#[test]
fn a_body_is_sent_again_whatever_its_framing_and_with_its_trailers() {
    let (gateway, origin) = plain("attempts: 3, retryOn: reset");
    let long = "0123456789abcdef".repeat(4 * 1024); // just what is kept
    origin.script("/long", &[End, EndAtHead, End]);
    assert_eq!(put(&gateway, "/long", &long).status, 200);
    assert_eq!(origin.requests().last().expect("several").body, long.as_bytes());
    origin.script("/chunked", &[End, End]);
    let mut client = gateway.client();
    client.send(format!(
        "PUT /chunked HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n"
    ));
    assert_eq!(client.response().status, 200);
    let requests = origin.requests();
    let chunked: Vec<_> =
        requests.iter().filter(|one| one.head.starts_with("PUT /chunked")).collect();
    assert_eq!(chunked.len(), 3);
    assert!(chunked.iter().all(|one| one.body == b"onetwo" && one.trailers == "x-sum: 6\n"));
    assert_eq!(client.get(HOST, "/politics").text(), "politics");
}

#[test]
fn an_unfinished_upload_goes_on_after_what_is_sent_again() {
    let (gateway, origin) = plain("attempts: 2, retryOn: reset");
    origin.script("/upload", &[EndAtHead]);
    let mut client = gateway.client();
    client.send(format!("PUT /upload HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nfirst"));
    origin.wait("the first half again", |seen| {
        let second = seen.requests.iter().filter(|one| one.head.contains("/upload")).nth(1);
        second.filter(|one| one.body == b"first").map(|_| ())
    });
    client.send("after");
    assert_eq!(client.response().status, 200);
    assert_eq!(origin.requests().last().expect("two").body, b"firstafter");
}

#[test]
fn a_body_that_is_too_long_to_be_kept_is_sent_once() {
    let (gateway, origin) = plain("attempts: 2, retryOn: 5xx");
    let long = "x".repeat(200 * 1024);
    origin.script("/long", &[Status(503, "", "")]);
    assert_eq!(put(&gateway, "/long", &long).status, 503);
    origin.script("/ends", &[End]);
    assert_eq!(put(&gateway, "/ends", &long).token(), "connection_terminated");
    assert_eq!((origin.count("/long"), origin.count("/ends")), (1, 1));
    assert_eq!(gateway.access("/ends")["response_flags"], "UC");
}

#[test]
fn a_put_on_a_connection_that_was_closed_is_sent_again_with_its_body() {
    let (gateway, origin) = plain("attempts: 0");
    let mut client = gateway.client();
    for _ in 0..2 {
        client
            .send(format!("PUT /stale HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\n\r\nbody"));
        assert_eq!(client.response().status, 200);
    }
    let arrived: Vec<_> =
        origin.requests().into_iter().map(|one| (one.connection, one.body)).collect();
    let body = || b"body".to_vec();
    assert_eq!(arrived[..1], [(1, body())]);
    assert_eq!(arrived.last(), Some(&(2, body())));
    assert_eq!(gateway.metric("egret_reuse_races_total", &[]), 1.0);
    assert_eq!(gateway.metric("egret_retries_total", &["reason=\"stale\""]), 1.0);
}

#[test]
fn each_attempt_has_its_time() {
    let (gateway, origin) = plain("attempts: 1, retryOn: 5xx, perTryTimeout: 0.3s");
    origin.script("/slow-once", &[Silence]);
    assert_eq!(gateway.get(HOST, "/slow-once").text(), "politics");
    origin.script("/slow", &[Silence, Silence]);
    let response = gateway.get(HOST, "/slow");
    assert_eq!((response.status, response.text().as_str()), (504, "upstream request timeout"));
    let line = gateway.access("/slow\"");
    assert_eq!(line["response_flags"], "URX,UT");
    assert_eq!(line["response_code_details"], "upstream_per_try_timeout");
    assert_eq!((origin.count("/slow-once"), origin.count("/slow")), (2, 2));
    assert_eq!(gateway.metric("egret_retries_total", &["reason=\"timeout\""]), 2.0);
}

#[test]
fn the_time_of_an_attempt_is_only_retried_where_that_is_asked_for() {
    let (gateway, origin) = plain("attempts: 1, perTryTimeout: 0.2s");
    origin.script("/slow", &[Silence]);
    assert_eq!(gateway.get(HOST, "/slow").status, 504);
    assert_eq!(origin.count("/slow"), 1);
    assert_eq!(gateway.access("/slow")["response_flags"], "UT");
}

#[test]
fn no_attempt_begins_after_the_route_s_timeout() {
    let origin = Origin::plain();
    let rule = "timeout: 5s\nretries: {attempts: 100, retryOn: 5xx, backoff: 100000h}";
    let gateway = Setup::new(&Egress::plain(HOST).rule(rule).yaml()).origin(HOST, 80, &origin);
    let gateway = gateway.start();
    origin.script("/down", &[Status(503, "", "down")]);
    let response = gateway.get(HOST, "/down");
    assert_eq!((response.status, response.text().as_str()), (503, "down"), "at once");
    assert_eq!(origin.count("/down"), 1);
}

#[test]
fn a_client_that_leaves_is_not_tried_for_any_longer() {
    let (gateway, origin) = plain("attempts: 3, retryOn: 5xx, backoff: 1000h");
    origin.script("/down", &[Status(503, "", "")]);
    let mut client = gateway.client();
    client.send(format!("GET /down HTTP/1.1\r\nHost: {HOST}\r\n\r\n"));
    origin.wait("the request", |seen| (!seen.requests.is_empty()).then_some(()));
    drop(client);
    assert_eq!(gateway.access("/down")["response_flags"], "DC");
    assert_eq!(origin.count("/down"), 1);
}

/// Endpoints of one name, all on one port, and the configuration that leads there.
fn group(size: u8, retries: &str) -> (Gateway, Vec<Origin>) {
    let origins = Origin::plain_group(size);
    let addresses = origins.iter().map(|origin| origin.address.ip()).collect();
    let dns = Dns::start(&[(HOST, Answer::Addresses(addresses, 60))]);
    let egress = Egress { port: origins[0].port(), ..Egress::plain(HOST) }
        .policy("loadBalancer: {simple: RANDOM}")
        .rule(&format!("retries: {{{retries}}}"));
    let gateway = Setup::new(&egress.yaml()).dns(&dns).start();
    assert_eq!(gateway.get(HOST, "/").status, 200, "the name is resolved");
    (gateway, origins)
}

#[test]
fn another_attempt_goes_to_another_endpoint() {
    const REQUESTS: usize = 40;
    let (gateway, origins) = group(3, "attempts: 2, retryOn: 5xx, backoff: 1ms");
    for broken in &origins[..2] {
        broken.script("/down", &vec![Status(503, "", ""); REQUESTS]);
    }
    for _ in 0..REQUESTS {
        assert_eq!(gateway.get(HOST, "/down").status, 200);
    }
    assert_eq!(origins[2].count("/down"), REQUESTS, "each ends at the one that works");
}

#[test]
fn the_same_endpoint_may_be_asked_again_where_the_route_says_so() {
    let retries = "attempts: 1, retryOn: 5xx, backoff: 1ms, retryIgnorePreviousHosts: false";
    let (gateway, origins) = group(2, retries);
    for origin in &origins {
        origin.script("/down", &vec![Status(503, "", ""); 1000]);
    }
    let both_at_one = (0..40).any(|_| {
        let before = origins[0].count("/down");
        assert_eq!(gateway.get(HOST, "/down").status, 503);
        origins[0].count("/down") - before != 1
    });
    assert!(both_at_one, "40 times in a row the other one: not by chance");
}

#[test]
fn three_of_four_endpoints_may_refuse() {
    let (gateway, mut origins) = group(4, "attempts: 1");
    let alive = origins.pop().expect("four");
    for dead in origins {
        let address = dead.address;
        drop(dead);
        crate::harness::until("it to refuse", || {
            std::net::TcpStream::connect(address).is_err().then_some(())
        });
    }
    for _ in 0..20 {
        assert_eq!(gateway.get(HOST, "/").status, 200);
    }
    assert!(alive.count("/") >= 20);
}

#[test]
fn a_refused_stream_is_tried_again_with_its_body_by_default() {
    let (gateway, origin) = h2("");
    let client = H2Client::connect(gateway.port(443));
    origin.script("/refused", &[Refused, Refused]);
    let response = client.request(h2_request("POST", HOST, "/refused", &[]), "pay 1");
    assert_eq!((response.status, response.body.as_slice()), (200, &b"pay 1"[..]));
    assert_eq!(gateway.metric("egret_retries_total", &["reason=\"refused-stream\""]), 2.0);
    origin.script("/reset", &[End]);
    let response = client.request(h2_request("POST", HOST, "/reset", &[]), "pay 2");
    assert_eq!(response.status, 503, "it may have been processed");
    origin.script("/always", &[Refused, Refused, Refused]);
    let response = client.request(h2_request("GET", HOST, "/always", &[]), "");
    assert!(String::from_utf8_lossy(&response.body).contains("remote refused stream reset"));
    assert_eq!(gateway.access("/always")["response_flags"], "URX,UR");
}

#[test]
fn a_grpc_status_is_tried_again_where_its_condition_is_written() {
    // the rule, the status of the first answer, the calls that arrive
    for (rule, status, calls) in [
        ("retries: {attempts: 1, retryOn: 'unavailable,resource-exhausted'}", "14", 2),
        ("retries: {attempts: 1, retryOn: 'unavailable,resource-exhausted'}", "8", 2),
        ("retries: {attempts: 1, retryOn: 'unavailable,resource-exhausted'}", "13", 1),
        ("retries: {attempts: 1, retryOn: 'internal,deadline-exceeded,cancelled'}", "4", 2),
        ("retries: {attempts: 1, retryOn: 5xx}", "14", 1),
        ("", "14", 1), // the default asks for nobody's POST to be sent twice
    ] {
        let (gateway, origin) = h2(rule);
        let client = H2Client::connect(gateway.port(443));
        origin.script("/echo.Echo/Say", &[Grpc(status)]);
        let mut stream = client.open(h2_request("POST", HOST, "/echo.Echo/Say", GRPC));
        stream.send.send_data(Bytes::from_static(b"message"), true).expect("an open stream");
        let (response, body) = stream.head();
        let told = response.fields.get("grpc-status").map(|value| value.as_bytes().to_vec());
        assert_eq!(told.is_some(), calls == 1, "{rule} {status}");
        drop(body);
        let bodies: Vec<Vec<u8>> = origin.requests().into_iter().map(|one| one.body).collect();
        assert_eq!(bodies.len(), calls, "{rule} {status}");
        assert_eq!(bodies[0], b"message");
    }
}
