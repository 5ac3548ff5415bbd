//! Origins that speak HTTP/2, frame by frame: what they take back, what they allow, what they break.

use std::net::TcpListener;
use std::thread::JoinHandle;

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::frames::*;
use crate::harness::{Client, Gateway, H2Client, Origin, Setup, Tls, Watched};

const HOST: &str = "api.example.com";

/// An origin that does what the script says with each of its connections.
fn scripted<T: Send + 'static>(
    policy: &str,
    script: impl FnOnce(&TcpListener) -> T + Send + 'static,
) -> (Gateway, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket on loopback");
    let to = format!("{HOST}:80::{}", listener.local_addr().expect("bound").port());
    let egress = Egress::plain(HOST).protocol("HTTP2").policy(policy);
    let gateway =
        Setup::new(&egress.yaml()).flags(&["--connect-to", &to, "--workers", "1"]).start();
    (gateway, std::thread::spawn(move || script(&listener)))
}

fn ok(stream: u32) -> Vec<u8> {
    headers(stream, END_STREAM, &[(":status", "200")])
}

fn go_away(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &[0; 4]].concat())
}

fn ask(stream: u32, method: &str) -> Vec<u8> {
    let fields = [(":method", method), (":scheme", "http"), (":path", "/"), (":authority", HOST)];
    headers(stream, END_STREAM, &fields)
}

/// Reads answers until each of so many requests has one.
fn statuses(raw: &mut Raw, count: usize) -> Vec<u16> {
    (0..count).map(|_| raw.until(HEADERS).status()).collect()
}

#[test]
fn what_goaway_says_was_not_processed_is_sent_again() {
    let (gateway, origin) = scripted("", |listener| {
        let mut first = Raw::accept(listener, &[]);
        let streams: Vec<u32> = (0..4).map(|_| first.until(HEADERS).stream).collect();
        first.send(go_away(streams[0]));
        first.send(ok(streams[0]));
        let mut second = Raw::accept(listener, &[]);
        let (mut again, mut body) = (Vec::new(), Vec::new());
        while again.len() < 3 || body.len() < 4 {
            let frame = second.next().expect("an open connection");
            match frame.kind {
                HEADERS => again.push(frame.stream),
                DATA => body.extend(frame.payload),
                _ => {}
            }
        }
        assert_eq!(body, b"body");
        again.into_iter().for_each(|stream| second.send(ok(stream)));
        first.wait_ended();
        (first, second)
    });
    let mut client = Raw::connect(gateway.port(443), &[]);
    client.send([ask(1, "GET"), ask(3, "POST"), ask(5, "PUT")].concat());
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", HOST)];
    client.send([headers(7, 0, &fields), frame(DATA, END_STREAM, 7, b"body")].concat());
    assert_eq!(statuses(&mut client, 4), [200; 4]);
    origin.join().expect("an origin that went by its script");
    assert_eq!(gateway.metric("egret_failures_total", &[]), 0.0);
}

#[test]
fn a_stream_that_was_refused_is_sent_again() {
    let (gateway, origin) = scripted("", |listener| {
        let mut first = Raw::accept(listener, &[]);
        let stream = first.until(HEADERS).stream;
        first.send(reset(stream, 7));
        let stream = first.until(HEADERS).stream;
        first.send(ok(stream));
        first
    });
    let mut client = Raw::connect(gateway.port(443), &[]);
    client.send(ask(1, "POST"));
    assert_eq!(statuses(&mut client, 1), [200]);
    origin.join().expect("an origin that went by its script");
}

#[test]
fn an_origin_that_allows_no_stream_is_waited_for_and_not_with_ever_more_connections() {
    let (gateway, origin) = scripted("connectionPool: {tcp: {connectTimeout: 8s}}", |listener| {
        let mut first = Raw::accept(listener, &[]);
        let stream = first.until(HEADERS).stream; // sent before the limit was known, or because there is none
        // In one piece: the client asks again as soon as it has the answer.
        first.send([ok(stream), settings(&[(3, 0)])].concat());
        first.mark();
        first.send(settings(&[(3, 10)]));
        for _ in 0..3 {
            let stream = first.until(HEADERS).stream;
            first.send(ok(stream));
        }
        listener.set_nonblocking(true).expect("a listener");
        listener.accept().is_ok()
    });
    let mut client = Raw::connect(gateway.port(443), &[]);
    client.send(ask(1, "GET"));
    assert_eq!(statuses(&mut client, 1), [200]);
    client.send([ask(3, "GET"), ask(5, "GET"), ask(7, "POST")].concat());
    assert_eq!(statuses(&mut client, 3), [200; 3]);
    assert!(!origin.join().expect("an origin that went by its script"), "one connection did");
}

#[test]
fn an_origin_that_never_allows_a_stream_is_a_clear_error() {
    let policy = "connectionPool: {tcp: {connectTimeout: 300ms}, http: {maxRetries: 0}}";
    let (gateway, origin) = scripted(policy, |listener| {
        let mut first = Raw::accept(listener, &[]);
        let stream = first.until(HEADERS).stream;
        first.send(settings(&[(3, 0)]));
        first.mark();
        first.send(ok(stream));
        while first.next().is_some_and(|frame| !matches!(frame.kind, HEADERS | RST_STREAM)) {}
        listener.set_nonblocking(true).expect("a listener");
        listener.accept().is_ok()
    });
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/first").status, 200);
    assert_eq!(client.get(HOST, "/second").status, 503);
    let said = gateway.access("/second")["upstream_transport_failure_reason"].to_string();
    assert!(said.contains("allows_0_at_once"), "{said}");
    drop(gateway);
    assert!(!origin.join().expect("an origin that went by its script"), "one connection did");
}

/// Answers once three streams are held, each on a connection of its own, and refuses any other.
fn one_at_a_time(mut connection: Raw, held: &Watched<u32>) {
    let stream = connection.until(HEADERS).stream;
    held.change(|count| *count += 1);
    connection.send(mark());
    loop {
        match connection.next().expect("an open connection") {
            frame if frame.kind == HEADERS => connection.send(reset(frame.stream, 7)),
            frame if frame.kind == PING && held.look(|count| *count == 3) => break,
            frame if frame.kind == PING => connection.send(mark()),
            _ => {}
        }
    }
    connection.send(ok(stream));
    connection.wait_ended();
}

#[test]
fn an_origin_that_allows_one_stream_gets_one_at_a_time() {
    let (gateway, origin) = scripted("", |listener| {
        let held = Watched::<u32>::default();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let connection = Raw::accept(listener, &[(3, 1)]);
                scope.spawn(|| one_at_a_time(connection, &held));
            }
        });
    });
    let mut client = Raw::connect(gateway.port(443), &[]);
    client.send([ask(1, "GET"), ask(3, "POST"), ask(5, "GET")].concat());
    assert_eq!(statuses(&mut client, 3), [200; 3]);
    drop(gateway);
    origin.join().expect("an origin that went by its script");
}

#[test]
fn a_body_unlike_its_length_ends_in_an_error_and_never_looks_complete() {
    for (length, body, last) in [("10", "four", true), ("2", "four", true), ("10", "four", false)] {
        let (gateway, origin) = scripted("", move |listener| {
            let mut connection = Raw::accept(listener, &[]);
            for _ in 0..2 {
                let stream = connection.until(HEADERS).stream;
                let head = headers(stream, 0, &[(":status", "200"), ("content-length", length)]);
                let end = if last { END_STREAM } else { 0 };
                connection.send([head, frame(DATA, end, stream, body.as_bytes())].concat());
                if !last {
                    connection.send(reset(stream, 2));
                }
            }
            connection
        });
        let mut client = Raw::connect(gateway.port(443), &[]);
        client.send(ask(1, "GET"));
        let came = match client.came() {
            Came::Answer(200) => client.came(),
            came => came,
        };
        let error = matches!(came, Came::Answer(502 | 503) | Came::Reset(_));
        assert!(error, "{length} {body}: {came:?}");
        let mut client = gateway.client();
        client.send(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n"));
        let rest = client.rest();
        let complete = rest.is_ok_and(|bytes| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.starts_with("HTTP/1.1 200")
                && text
                    .split("\r\n\r\n")
                    .nth(1)
                    .is_some_and(|got| got.len() >= length.parse().expect("a number"))
        });
        assert!(!complete, "{length} {body}");
        origin.join().expect("an origin that went by its script");
    }
}

#[test]
fn an_origin_that_floods_loses_its_connection() {
    let (gateway, origin) = scripted("", |listener| {
        let mut connection = Raw::accept(listener, &[]);
        connection.until(HEADERS);
        while connection.try_send(frame(PING, 0, 0, b"whatever").repeat(100)) {}
        let mut next = Raw::accept(listener, &[]);
        let stream = next.until(HEADERS).stream;
        next.send(ok(stream));
        next
    });
    let mut client = gateway.client();
    assert_eq!(client.get(HOST, "/").status, 502);
    assert_eq!(client.get(HOST, "/").status, 200);
    origin.join().expect("an origin that went by its script");
}

#[test]
fn interim_responses_cross_versions() {
    for (origin, egress) in [
        (Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) }), Egress::tls(HOST)),
        (Origin::plain(), Egress::plain(HOST)),
    ] {
        let gateway = Setup::new(&egress.yaml()).origin(HOST, egress.port, &origin).start();
        let mut client = gateway.client();
        client.send(format!("GET /hints HTTP/1.1\r\nhost: {HOST}\r\n\r\n"));
        let hints = client.response();
        assert_eq!((hints.status, hints.field("link")), (103, Some("</style.css>")));
        assert_eq!(client.response().status, 200);
        let mut raw = Raw::connect(gateway.port(443), &[]);
        let fields =
            [(":method", "GET"), (":scheme", "http"), (":path", "/hints"), (":authority", HOST)];
        raw.send(headers(1, END_STREAM, &fields));
        assert_eq!(statuses(&mut raw, 2), [103, 200]);
    }
}

#[test]
fn cookies_in_pieces_are_one_line() {
    for (origin, egress) in [
        (Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) }), Egress::tls(HOST)),
        (Origin::plain(), Egress::plain(HOST)),
    ] {
        let gateway = Setup::new(&egress.yaml()).origin(HOST, egress.port, &origin).start();
        let cookies =
            [("cookie", "a=1"), ("x-between", "y"), ("cookie", "b=2"), ("te", "trailers")];
        H2Client::connect(gateway.port(443)).request(h2_request("GET", HOST, "/", &cookies), "");
        let head = origin.last_head().to_lowercase();
        assert!(
            head.contains("\r\ncookie: a=1; b=2\r\n") && head.contains("\r\nte: trailers\r\n"),
            "{head}"
        );
    }
}

#[test]
fn a_websocket_goes_over_http1_to_an_origin_that_prefers_http2() {
    let origin = Origin::with(Tls { alpn: &["h2", "http/1.1"], ..Tls::new(&[HOST]) });
    let gateway = Setup::new(&Egress::tls(HOST).yaml()).origin(HOST, 443, &origin).start();
    assert_eq!(gateway.get(HOST, "/politics").status, 200);
    let mut client: Client = gateway.client();
    client.send(format!("GET /ws HTTP/1.1\r\nhost: {HOST}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\n\r\n"));
    assert_eq!(client.head().status, 101);
    client.send("ping");
    assert_eq!(client.exactly(4), b"ping");
    assert_eq!(origin.seen(|seen| seen.protocols.clone()), ["h2", "http/1.1"]);
}

#[test]
fn bodies_without_a_length_and_heads_without_a_body_cross_versions() {
    let h2 = Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) });
    let gateway = Setup::new(&Egress::tls(HOST).yaml()).origin(HOST, 443, &h2).start();
    let mut client = gateway.client();
    client.send(format!("POST /x HTTP/1.1\r\nhost: {HOST}\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"));
    let response = client.response();
    assert_eq!(
        (response.text().as_str(), response.field("transfer-encoding")),
        ("body", Some("chunked"))
    );
    let plain = Origin::plain();
    let gateway = Setup::new(&Egress::plain(HOST).yaml()).origin(HOST, 80, &plain).start();
    let client = H2Client::connect(gateway.port(443));
    assert_eq!(
        client.request(h2_request("GET", HOST, "/until-close", &[]), "").body,
        b"until the end"
    );
    for (method, path, status) in
        [("HEAD", "/politics", 200), ("GET", "/status/204", 204), ("GET", "/status/304", 304)]
    {
        let response =
            client.request(h2_request(method, HOST, path, &[("content-length", "0")]), "");
        assert_eq!((response.status, response.body.len()), (status, 0), "{method} {path}");
    }
    let mut truncated = client.open(h2_request("GET", HOST, "/truncated", &[]));
    truncated.send.send_data(bytes::Bytes::new(), true).expect("an open stream");
    let (_send, response) = truncated.split();
    let ended = crate::harness::wait(async {
        let mut body = response.await?.into_body();
        while let Some(piece) = body.data().await {
            piece?;
        }
        Ok::<_, h2::Error>(())
    });
    assert!(ended.is_err(), "a truncated body is an error");
}
