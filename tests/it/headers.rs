//! The header policy, byte for byte on both sides, with each of its settings; redirects led back.

use crate::harness::article::Egress;
use crate::harness::client::h2_request;
use crate::harness::{Gateway, H2Client, Origin, Setup, Tls};

const HOST: &str = "api.example.com";
/// The mark of a gateway with the default namespace and labels.
const MARK: &str = "egret-2c28717bb7d734e1";

/// One gateway before two origins: `api.example.com` over TLS and `plain.example.com` in plain text.
struct Both {
    gateway: Gateway,
    tls: Origin,
    plain: Origin,
}

fn both(flags: &[&str]) -> Both {
    both_with(flags, "")
}

fn both_with(flags: &[&str], headers: &str) -> Both {
    let (tls, plain) = (Origin::tls(&[HOST]), Origin::plain());
    let config = format!(
        "routes:\n- hosts: [api.example.com]\n  to: https://api.example.com\n{headers}\
         - hosts: [plain.example.com]\n  to: http://plain.example.com\n{headers}"
    );
    let gateway = Setup::new(&config)
        .flags(flags)
        .origin(HOST, 443, &tls)
        .origin("plain.example.com", 80, &plain)
        .start();
    Both { gateway, tls, plain }
}

impl Both {
    /// Sends these lines and returns those that the origin gets, the loop mark left out.
    fn request(&self, host: &str, lines: &[&str]) -> Vec<String> {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let mut client = self.gateway.client();
        client.send(format!("GET /x?y HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"));
        assert_eq!(client.response().status, 200, "{lines}");
        let origin = if host.starts_with("api") { &self.tls } else { &self.plain };
        let head = origin.last_head();
        let end = format!("\r\ncdn-loop: {MARK}\r\n\r\n");
        let head = head.strip_suffix(&end).unwrap_or_else(|| panic!("no mark at the end: {head}"));
        head.split("\r\n").map(str::to_owned).collect()
    }

    /// Answers with these lines and returns the head that the client gets.
    fn response(&self, lines: &[&str]) -> String {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        self.plain.raw("/answer", format!("HTTP/1.1 200 So\r\n{lines}\r\n").as_bytes());
        self.gateway.get("plain.example.com", "/answer").head
    }
}

#[test]
fn an_origin_gets_the_request_as_it_came_but_for_what_tells_of_the_inside() {
    let both = both(&[]);
    let cases: [(&[&str], &[&str]); 9] = [
        (&[], &[]),
        // case and order stay, and lines of one name stay apart
        (
            &["user-AGENT: a", "X-B: 2", "x-a:1", "X-B:  3", "Cookie: a=b", "accept: */*"],
            &["user-AGENT: a", "X-B: 2", "x-a: 1", "X-B: 3", "Cookie: a=b", "accept: */*"],
        ),
        (
            &[
                "Connection: keep-alive, X-Hop",
                "X-Hop: 1",
                "Keep-Alive: timeout=5",
                "Proxy-Connection: keep-alive",
                "TE: gzip, trailers",
                "Proxy-Authorization: Basic eA==",
                "Proxy-Authenticate: Basic",
                "X-Kept: 1",
            ],
            &["te: trailers", "X-Kept: 1"],
        ),
        (&["X-Forwarded-For: 10.0.0.1", "x-forwarded-for: 10.0.0.2"], &[]),
        (&["Forwarded: for=10.0.0.1;proto=http", "A: b"], &["A: b"]),
        (&["X-Forwarded-Client-Cert: By=spiffe://cluster.local/ns/a/sa/b"], &[]),
        (
            &[
                "X-Envoy-Peer-Metadata: ChQ=",
                "x-envoy-peer-metadata-id: sidecar~10.0.0.1",
                "X-Envoy-Attempt-Count: 1",
                "x-envoy-decorator-operation: a",
                "x-envoy-internal: true",
                "x-envoy-external-address: 10.0.0.1",
                "x-envoy-expected-rq-timeout-ms: 15000",
                "x-envoy-original-path: /",
                "X-Envoy-Retry-On: 5xx",
            ],
            &[],
        ),
        (
            &["X-Request-Id: kept", "X-B3-TraceId: 1", "traceparent: 2", "Referer: not a url"],
            &["X-Request-Id: kept", "X-B3-TraceId: 1", "traceparent: 2", "Referer: not a url"],
        ),
        (
            &["Authorization: Bearer x", "Via: 1.1 inside", "X-Forwarded-Host: a", "X-Real-IP: b"],
            &["Authorization: Bearer x", "Via: 1.1 inside", "X-Forwarded-Host: a", "X-Real-IP: b"],
        ),
    ];
    for (sent, received) in cases {
        for (host, added) in [(HOST, &["x-forwarded-proto: https"][..]), ("plain.example.com", &[])]
        {
            let start = ["GET /x?y HTTP/1.1".to_owned(), format!("Host: {host}")];
            let mut expected = start.to_vec();
            expected.extend(received.iter().chain(added).map(|line| (*line).to_owned()));
            assert_eq!(both.request(host, sent), expected, "{sent:?}");
        }
    }
}

#[test]
fn the_host_loses_a_default_port_towards_tls_on_443_alone() {
    let both = both(&[]);
    for (sent, received) in [
        ("api.example.com:80", "Host: api.example.com"),
        ("api.example.com:443", "Host: api.example.com"),
        ("API.example.com", "Host: API.example.com"),
        ("api.example.com:8443", "Host: api.example.com:8443"),
        ("plain.example.com:80", "Host: plain.example.com:80"),
        ("plain.example.com:443", "Host: plain.example.com:443"),
    ] {
        let mut client = both.gateway.client();
        assert_eq!(client.get(sent, "/x").status, 200, "{sent}");
        let origin = if sent.starts_with("plain") { &both.plain } else { &both.tls };
        assert_eq!(origin.last_head().lines().nth(1), Some(received), "{sent}");
    }
}

#[test]
fn the_request_side_of_each_setting() {
    let old_for = ["X-Forwarded-For: 10.0.0.1", "x-forwarded-for: 10.0.0.2", "Forwarded: for=a"];
    let old_proto = ["X-Forwarded-Proto: gopher", "X-Forwarded-Proto: http"];
    let old_via = ["Via: 1.0 fred", "via: 2 barney"];
    // flags; what is sent; what the TLS origin gets; what the plain one gets
    type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [&'a str]);
    let cases: [Case<'_>; 9] = [
        (
            &["--xff", "append", "--forwarded-proto", "preserve"],
            &[],
            &["x-forwarded-for: 127.0.0.1"],
            &["x-forwarded-for: 127.0.0.1"],
        ),
        (
            &["--xff", "append", "--forwarded-proto", "preserve"],
            &old_for,
            &["x-forwarded-for: 10.0.0.1, 10.0.0.2, 127.0.0.1", "Forwarded: for=a"],
            &["x-forwarded-for: 10.0.0.1, 10.0.0.2, 127.0.0.1", "Forwarded: for=a"],
        ),
        (&[], &old_proto, &["x-forwarded-proto: https"], &old_proto),
        (&["--forwarded-proto", "preserve"], &old_proto, &old_proto, &old_proto),
        (&["--forwarded-proto", "preserve"], &[], &[], &[]),
        (
            &["--forwarded-proto", "downstream"],
            &old_proto,
            &["x-forwarded-proto: http"],
            &["x-forwarded-proto: http"],
        ),
        (&["--forwarded-proto", "strip"], &old_proto, &[], &[]),
        (&["--forwarded-proto", "strip", "--request-id", "strip"], &["X-Request-ID: a"], &[], &[]),
        (
            &["--forwarded-proto", "strip", "--via", "edge-1"],
            &old_via,
            &["via: 1.0 fred, 2 barney, 1.1 edge-1"],
            &["via: 1.0 fred, 2 barney, 1.1 edge-1"],
        ),
    ];
    for (flags, sent, over_tls, in_plain) in cases {
        let both = both(flags);
        for (host, received) in [(HOST, over_tls), ("plain.example.com", in_plain)] {
            assert_eq!(both.request(host, sent)[2..], *received, "{flags:?} {sent:?} {host}");
        }
    }
}

#[test]
fn a_made_request_id_is_the_origins_and_the_logs() {
    let both = both(&["--request-id", "make", "--forwarded-proto", "strip"]);
    let lines = both.request("plain.example.com", &[]);
    let id = lines[2].strip_prefix("x-request-id: ").expect("one is made").to_owned();
    assert_eq!(both.gateway.access(&id)["request_id"], id);
    assert_ne!(both.request("plain.example.com", &[])[2], lines[2], "each its own");
    assert_eq!(both.request(HOST, &["X-Request-Id: mine"])[2..], ["X-Request-Id: mine"]);
}

#[test]
fn via_tells_the_version_in_which_a_message_came() {
    let both = both(&["--via", "edge-1"]);
    let mut client = both.gateway.client();
    client.send("GET /x HTTP/1.0\r\nHost: plain.example.com\r\n\r\n");
    assert_eq!(client.response().field("via"), Some("1.1 edge-1"));
    assert!(
        both.plain.last_head().contains("\r\nvia: 1.0 edge-1\r\n"),
        "{}",
        both.plain.last_head()
    );
    let client = H2Client::connect(both.gateway.port(443));
    let response = client.request(h2_request("GET", "plain.example.com", "/x", &[]), "");
    assert_eq!(response.fields["via"], "1.1 edge-1");
    assert!(both.plain.last_head().contains("\r\nvia: 2 edge-1\r\n"), "{}", both.plain.last_head());
}

#[test]
fn a_client_gets_the_response_as_it_came_but_for_its_hop() {
    const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT";
    let cases: [(&[&str], &[&str], &str); 4] = [
        (
            &[],
            &[
                DATE,
                "SERVER: nginx",
                "X-B: 1",
                "x-a: 2",
                "X-B: 3",
                "Set-Cookie: a",
                "set-cookie: b",
            ],
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nSERVER: nginx\r\nX-B: 1\r\nx-a: 2\r\nX-B: 3\r\nSet-Cookie: a\r\nset-cookie: b\r\n",
        ),
        (
            &[],
            &[
                DATE,
                "Connection: X-Hop, keep-alive",
                "X-Hop: 1",
                "Keep-Alive: timeout=9",
                "Proxy-Authenticate: Basic",
                "X-Envoy-Upstream-Service-Time: 3",
                "Via: 1.1 cdn",
                "Location: https://api.example.com/",
            ],
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Envoy-Upstream-Service-Time: 3\r\nVia: 1.1 cdn\r\nLocation: https://api.example.com/\r\n",
        ),
        (
            &["--server-header", "edge", "--via", "edge-1"],
            &[DATE, "Server: nginx", "X-A: 1", "Server: two", "Via: 1.1 cdn"],
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nserver: edge\r\nX-A: 1\r\nvia: 1.1 cdn, 1.1 edge-1\r\n",
        ),
        (
            &["--server-header", "edge", "--via", "edge-1"],
            &[DATE],
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nserver: edge\r\nvia: 1.1 edge-1\r\n",
        ),
    ];
    for (flags, sent, received) in cases {
        let both = both(flags);
        let head = both.response(&[sent, &["Content-Length: 0"]].concat());
        let expected = format!("HTTP/1.1 200 So\r\n{received}Content-Length: 0\r\n\r\n");
        let sorted = |head: &str| {
            let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        if flags.is_empty() {
            assert_eq!(head, expected);
        } else {
            assert_eq!(sorted(&head), sorted(&expected), "what is added may stand behind");
        }
    }
}

#[test]
fn a_response_without_a_date_gets_one_and_interim_ones_do_not() {
    let both = both(&["--server-header", "edge"]);
    let head = both.response(&["Content-Length: 0"]);
    let date = head.lines().find_map(|line| line.strip_prefix("date: ")).expect("a date");
    assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
    let mut client = both.gateway.client();
    client.send("GET /hints HTTP/1.1\r\nHost: plain.example.com\r\n\r\n");
    assert_eq!(client.response().head, "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n");
    assert!(client.response().field("date").is_some());
}

#[test]
fn replies_of_our_own_bear_our_name_or_the_one_given() {
    for (flags, server) in [(&[][..], "egret"), (&["--server-header", "edge"], "edge")] {
        let config =
            "routes:\n- hosts: [words.example.com]\n  respond: { status: 200, body: words }\n";
        let gateway = Setup::new(config).flags(flags).start();
        for host in ["nowhere.example.com", "words.example.com"] {
            let response = gateway.get(host, "/");
            assert_eq!(response.field("server"), Some(server), "{host}");
            assert_eq!(response.field("via"), None, "{host}");
        }
    }
}

/// As with Envoy, a route's edits are made of an answer of our own too, and first: they add to what it tells.
#[test]
fn a_routes_edits_add_to_replies_of_our_own() {
    let edits = "headers:\n  response: {set: {x-rule: '%PROTOCOL% %REQ(x-a)%', content-type: text/html, content-length: '5', transfer-encoding: chunked}, remove: [date]}\n";
    let fault = "fault: {abort: {httpStatus: 418, percentage: {value: 100}}}\n";
    for (more, status) in [("", 503), (fault, 418)] {
        let rule = format!("{edits}{more}");
        let egress = Egress::plain("api.example.com").rule(&rule);
        let gateway = Setup::new(&egress.yaml()).start(); // nobody answers for the name
        let mut client = gateway.client();
        client.send("GET / HTTP/1.1\r\nHost: api.example.com\r\nX-A: one\r\n\r\n");
        let response = client.response();
        assert_eq!(response.status, status);
        assert_eq!(response.field("x-rule"), Some("HTTP/1.1 one"));
        assert_eq!(response.field("content-type"), Some("text/plain"), "the body is what it is");
        assert!(response.field("date").is_some());
        client.send(
            "GET / HTTP/1.1\r\nHost: api.example.com\r\ncontent-type: application/grpc\r\n\r\n",
        );
        assert_eq!(client.response().field("content-length"), Some("0"), "nor how long it is");
        client.send("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
        assert_eq!(client.response().status, status, "the connection goes on");
    }
}

#[test]
fn a_share_edits_the_gateways_own_answers_for_the_requests_it_gets() {
    let share = |name: &str, weight: u32| {
        format!(
            "  - {{to: 'http://{name}.example.com', weight: {weight}, headers: {{response: {{set: {{x-share: {name}}}}}}}}}\n"
        )
    };
    let split = format!("{}{}", share("never", 0), share("always", 1));
    let gateway =
        Setup::new(&format!("routes:\n- hosts: [api.example.com]\n  split:\n{split}")).start();
    let response = gateway.get("api.example.com", "/");
    assert_eq!((response.status, response.field("x-share")), (503, Some("always")));
}

#[test]
fn a_routes_own_edits_come_last_on_both_sides() {
    let edits = "  headers:\n    request: { set: { x-forwarded-proto: route, via: route }, remove: [x-forwarded-for] }\n    \
                 response: { set: { server: route }, remove: [date, via] }\n";
    let flags = ["--xff", "append", "--via", "edge", "--server-header", "edge"];
    let both = both_with(&flags, edits);
    for host in [HOST, "plain.example.com"] {
        let mut lines =
            both.request(host, &["X-Forwarded-For: 10.0.0.1", "Via: 1.1 a"]).split_off(2);
        lines.sort();
        assert_eq!(lines, ["via: route", "x-forwarded-proto: route"], "{host}");
    }
    let head = both.response(&["Server: origin", "Via: 1.1 b", "Content-Length: 0"]);
    assert_eq!(head, "HTTP/1.1 200 So\r\nserver: route\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn a_sole_destinations_host_counts_where_the_route_has_none() {
    let own = "  headers: {request: {set: {host: own.example.com}}}\n";
    let routes = "headers: {request: {set: {host: routes.example.com}}}\n";
    let rewrite = "rewrite: {authority: rewritten.example.com}\n";
    for (rule, expected) in [
        (own.to_owned(), "own.example.com"),
        (own.to_owned() + routes, "routes.example.com"),
        (own.to_owned() + routes + rewrite, "rewritten.example.com"),
    ] {
        let origin = Origin::plain();
        let config = Egress::plain("a.example.com").rule(&rule).yaml();
        let gateway = Setup::new(&config).origin("a.example.com", 80, &origin).start();
        gateway.get("a.example.com", "/");
        let head = origin.last_head();
        assert!(head.contains(&format!("\r\nHost: {expected}\r\n")), "{rule}: {head}");
    }
}

#[test]
fn the_policy_is_read_from_settings_and_the_environment() {
    let origin = Origin::plain();
    let config = "settings: { rewriteLocation: true, via: edge-1, serverHeader: pass, xff: append, forwardedProto: strip, requestId: keep }\n\
                  routes:\n- hosts: [api.example.com]\n  to: http://api.example.com\n";
    let setup = Setup::new(config).origin(HOST, 80, &origin);
    let gateway = setup.environment("EGRET_SERVER_HEADER", "edge 2").start();
    let response = gateway.get(HOST, "/x");
    assert_eq!(
        (response.field("server"), response.field("via")),
        (Some("edge 2"), Some("1.1 edge-1"))
    );
    assert!(
        origin.last_head().contains("\r\nx-forwarded-for: 127.0.0.1\r\n"),
        "{}",
        origin.last_head()
    );
}

/// Hosts that are routed over TLS, in plain text, or either way.
const REDIRECTED: &str = "routes:
- hosts: [api.example.com]
  to: https://api.example.com
- hosts: ['*.wild.example.com']
  to: https://wild.example.com
- hosts: [high.example.com]
  to: https://high.example.com:8443
- hosts: [plain.example.com]
  to: http://plain.example.com
- hosts: [asked.example.com]
  rules:
  - match: { headers: [{ name: x-way, exact: tls }] }
    to: https://asked.example.com
  to: http://asked.example.com
- hosts: [mixed.example.com]
  rules:
  - match: { path: { prefix: /tls/ } }
    to: https://mixed.example.com
  to: http://mixed.example.com
";

#[test]
fn redirects_to_what_is_routed_over_tls_come_back_through_the_gateway() {
    // the client's Host; the origin's Location; what the client gets
    let cases = [
        (HOST, "https://api.example.com/a?b#c", "http://api.example.com/a?b#c"),
        (HOST, "https://api.example.com", "http://api.example.com"),
        (HOST, "https://api.example.com?q", "http://api.example.com?q"),
        (HOST, "HTTPS://API.example.com:443/", "http://API.example.com/"),
        ("api.example.com:443", "https://api.example.com/a", "http://api.example.com:443/a"),
        ("api.example.com:8080", "https://x.wild.example.com/", "http://x.wild.example.com:8080/"),
        ("api.example.com:80", "https://api.example.com/a", "http://api.example.com/a"),
        (HOST, "https://high.example.com:8443/", "http://high.example.com/"),
        (HOST, "https://high.example.com/", "http://high.example.com/"),
        (HOST, "https://mixed.example.com/tls/x", "http://mixed.example.com/tls/x"),
        (HOST, "https://mixed.example.com/x", "https://mixed.example.com/x"),
        (HOST, "https://api.example.com:8443/", "https://api.example.com:8443/"),
        (HOST, "https://plain.example.com/", "https://plain.example.com/"),
        (HOST, "https://other.example.com/", "https://other.example.com/"),
        (HOST, "https://api.example.com.evil.test/", "https://api.example.com.evil.test/"),
        (HOST, "https://user@api.example.com/", "https://user@api.example.com/"),
        (HOST, "https://wild.example.com/", "https://wild.example.com/"),
        (HOST, "http://api.example.com/", "http://api.example.com/"),
        (HOST, "/relative", "/relative"),
        (HOST, "//api.example.com/", "//api.example.com/"),
        (HOST, "https://", "https://"),
        (HOST, "", ""),
    ];
    let origin = Origin::tls(&[HOST]);
    for (at, (_, location, _)) in cases.iter().enumerate() {
        let answer = format!(
            "HTTP/1.1 302 Found\r\ndate: x\r\nLocation: {location}\r\nRefresh: 0;url={location}\r\nContent-Location: {location}\r\ncontent-length: 0\r\n\r\n"
        );
        origin.raw(&format!("/{at}"), answer.as_bytes());
    }
    let gateway =
        Setup::new(REDIRECTED).flags(&["--rewrite-location"]).origin(HOST, 443, &origin).start();
    for (at, (host, location, expected)) in cases.iter().enumerate() {
        let response = gateway.get(host, &format!("/{at}"));
        assert_eq!(response.field("location"), Some(*expected), "{host} {location}");
        assert_eq!(response.field("content-location"), Some(*location));
        assert_eq!(response.field("refresh"), Some(format!("0;url={location}").trim()));
    }
    let client = H2Client::connect(gateway.port(443));
    let response = client.request(h2_request("GET", "api.example.com:8080", "/0", &[]), "");
    assert_eq!(response.fields["location"], "http://api.example.com:8080/a?b#c");
}

#[test]
fn a_redirect_is_led_back_if_the_client_would_be_routed_over_tls_with_the_same_fields() {
    let origin = Origin::tls(&[HOST]);
    let answer =
        "HTTP/1.1 302 Found\r\nlocation: https://asked.example.com/\r\ncontent-length: 0\r\n\r\n";
    origin.raw("/asked", answer.as_bytes());
    let gateway =
        Setup::new(REDIRECTED).flags(&["--rewrite-location"]).origin(HOST, 443, &origin).start();
    for (way, scheme) in [("tls", "http"), ("plain", "https")] {
        let mut client = gateway.client();
        client.send(format!("GET /asked HTTP/1.1\r\nHost: {HOST}\r\nX-Way: {way}\r\n\r\n"));
        let expected = format!("{scheme}://asked.example.com/");
        assert_eq!(client.response().field("location"), Some(expected.as_str()), "{way}");
    }
}

/// An origin that goes by X-Forwarded-Proto redirects for ever; the log says so once, with the way out.
#[test]
fn a_redirect_to_the_very_same_url_in_https_is_told_of_once() {
    let origin = Origin::tls(&[HOST]);
    for (path, location) in [("/other", "/elsewhere"), ("/same", "/same")] {
        let answer = format!(
            "HTTP/1.1 301 Moved\r\nlocation: https://{HOST}{location}\r\ncontent-length: 0\r\n\r\n"
        );
        origin.raw(path, answer.as_bytes());
    }
    let gateway = Setup::new(REDIRECTED)
        .flags(&["--forwarded-proto", "downstream"])
        .origin(HOST, 443, &origin)
        .start();
    gateway.get(HOST, "/other");
    assert!(!gateway.log_contains("EG020"));
    gateway.get(HOST, "/same");
    gateway.get(HOST, "/same");
    let line = gateway.wait_for_log("EG020");
    assert!(line.contains("answered 301 to its own https URL"), "{line}");
    assert!(line.contains("--forwarded-proto https"), "{line}");
    assert_eq!(gateway.log_count("EG020"), 1);
}

#[test]
fn an_http2_origin_gets_the_same_policy() {
    let origin = Origin::with(Tls { alpn: &["h2"], ..Tls::new(&[HOST]) });
    let config = "routes:\n- hosts: [api.example.com]\n  to: https://api.example.com\n";
    let flags = ["--xff", "append", "--via", "edge"];
    let gateway = Setup::new(config).flags(&flags).origin(HOST, 443, &origin).start();
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: api.example.com:80\r\nCDN-Loop: a\r\nX-Envoy-Internal: true\r\n\r\n");
    assert_eq!(client.response().field("via"), Some("2 edge"));
    let head = origin.last_head();
    for line in [
        "x-forwarded-proto: https",
        "x-forwarded-for: 127.0.0.1",
        "via: 1.1 edge",
        &format!("cdn-loop: a, {MARK}"),
    ] {
        assert!(head.lines().any(|found| found == line), "{line} in {head}");
    }
    assert!(!head.contains("x-envoy") && !head.contains(":80"), "{head}");
}
