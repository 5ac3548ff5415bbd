//! The route table: hosts, ports, rules in order, header edits, rewrites and timeouts.

use crate::harness::article::{ANY_HOST, Egress};
use crate::harness::{Client, Origin, Setup, get};

const HOST: &str = "api.example.com";

/// A VirtualService with these lines under `http:`, its ServiceEntry on port 80, and the Gateway.
fn with_rules(rules: &str) -> String {
    let whole = Egress::plain(HOST).yaml();
    let head = whole.split("  http:\n").next().expect("there is a first part");
    let rules: String = rules.lines().map(|line| format!("  {line}\n")).collect();
    format!("{head}  http:\n{rules}")
}

const TO_ORIGIN: &str = "route: [{destination: {host: api.example.com, port: {number: 80}}}]";

/// Sends a GET through a gateway with these rules and returns the response, and the head the origin saw.
fn through(rules: &str, request: &str) -> (crate::harness::Response, String) {
    let origin = Origin::plain();
    let gateway = Setup::new(&with_rules(rules)).origin(HOST, 80, &origin).start();
    let mut client = gateway.client();
    client.send(request);
    (client.response(), origin.last_head())
}

#[test]
fn the_longest_host_pattern_wins() {
    let (exact, long, short) = (Origin::plain(), Origin::plain(), Origin::plain());
    let names =
        [("a.b.example.com", &exact), ("*.b.example.com", &long), ("*.example.com", &short)];
    let mut config = ANY_HOST.to_owned();
    let mut setup = Setup::without_files();
    for (number, (pattern, origin)) in names.into_iter().enumerate() {
        // Each pattern is carried to a name of its own.
        let target = format!("origin{number}.example.net");
        let objects = Egress::plain(&target).objects();
        config += &format!(
            "---\n{}",
            objects.replacen(
                &format!("hosts: ['{target}']\n  gateways"),
                &format!("hosts: ['{pattern}']\n  gateways"),
                1
            )
        );
        setup = setup.origin(&target, 80, origin);
    }
    std::fs::create_dir(setup.config_dir()).expect("a new directory");
    let gateway = setup.config("egress.yaml", &config).start();
    let cases = [
        ("a.b.example.com", &exact),
        ("A.B.Example.Com:8080", &exact),
        ("x.b.example.com", &long),
        ("x.y.b.example.com", &long),
        ("b.example.com", &short),
        ("x.example.com", &short),
    ];
    for (host, origin) in cases {
        let before = origin.requests().len();
        assert_eq!(gateway.get(host, "/").status, 200, "{host}");
        assert_eq!(origin.requests().len(), before + 1, "{host} went elsewhere");
    }
    for host in ["example.com", ".example.com", "example.com.evil.example"] {
        assert_ne!(gateway.get(host, "/").status, 200, "{host} is covered by no pattern");
    }
}

#[test]
fn listeners_of_different_ports_have_their_own_routes() {
    let origin = Origin::plain();
    let second = ANY_HOST
        .replace("name: egress", "name: other")
        .replace("number: 443, name: http", "number: 8080, name: other");
    let config = format!("{}---\n{second}", Egress::plain(HOST).yaml());
    let gateway = Setup::new(&config).ports(&[443, 8080]).origin(HOST, 80, &origin).start();
    assert_eq!(get(gateway.port(443), HOST, "/").status, 200);
    assert_eq!(get(gateway.port(8080), HOST, "/").status, 404, "its Gateway has no route");
}

#[test]
fn rules_are_tried_in_order() {
    let origin = Origin::plain();
    let other = Origin::plain();
    let rules = format!(
        "- match: [{{uri: {{exact: /one}}}}]\n  route: [{{destination: {{host: other.example.com, port: {{number: 80}}}}}}]\n\
         - match: [{{uri: {{prefix: /one}}}}, {{uri: {{prefix: /two/}}}}]\n  {TO_ORIGIN}\n"
    );
    let objects = Egress::plain("other.example.com").objects();
    let config = format!("{}---\n{objects}", with_rules(&rules));
    let gateway = Setup::new(&config)
        .origin(HOST, 80, &origin)
        .origin("other.example.com", 80, &other)
        .start();
    for (path, status, at_origin, at_other) in [
        ("/one", 200, 0, 1),
        ("/one?query=counts-not", 200, 0, 2),
        ("/one/more", 200, 1, 2),
        ("/onemore", 200, 2, 2), // a string prefix, as Istio and Envoy mean it
        ("/two/x", 200, 3, 2),
        ("/two", 404, 3, 2),
        ("/", 404, 3, 2),
    ] {
        assert_eq!(gateway.get(HOST, path).status, status, "{path}");
        assert_eq!(
            (origin.requests().len(), other.requests().len()),
            (at_origin, at_other),
            "{path}"
        );
    }
}

#[test]
fn a_path_is_left_alone() {
    for path in ["/a/../b", "/a//b", "/%41%2f", "/a;b=c?x=%zz&y"] {
        let (response, head) = through(
            &format!("- {TO_ORIGIN}"),
            &format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        );
        assert_eq!(response.status, 200, "{path}");
        assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
    }
}

#[test]
fn authority_is_rewritten() {
    let (response, head) = through(
        &format!("- {TO_ORIGIN}\n  rewrite: {{authority: other.example.org}}"),
        "GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    );
    assert_eq!(response.status, 200);
    assert!(
        head.to_lowercase().contains("host: other.example.org\r\n") && !head.contains(HOST),
        "{head}"
    );
}

#[test]
fn request_and_response_fields_are_edited() {
    let edits = "  headers:\n    request: {set: {x-set: new}, add: {x-add: more}, remove: [x-gone]}\n    response: {set: {server: mine}, add: {x-seen: 'yes'}, remove: [etag]}";
    let origin = Origin::plain();
    origin.raw("/", b"HTTP/1.1 200 OK\r\nserver: theirs\r\netag: 1\r\ncontent-length: 0\r\n\r\n");
    let gateway = Setup::new(&with_rules(&format!("- {TO_ORIGIN}\n{edits}")))
        .origin(HOST, 80, &origin)
        .start();
    let mut client = gateway.client();
    client.send(
        "GET / HTTP/1.1\r\nHost: api.example.com\r\nX-Set: old\r\nX-Add: one\r\nX-Gone: x\r\n\r\n",
    );
    let response = client.response();
    let head = origin.last_head().to_lowercase();
    assert!(head.contains("x-set: new\r\n") && !head.contains("old"), "{head}");
    assert!(head.contains("x-add: one\r\n") && head.contains("x-add: more\r\n"), "{head}");
    assert!(!head.contains("x-gone"), "{head}");
    assert_eq!(
        (response.field("server"), response.field("x-seen"), response.field("etag")),
        (Some("mine"), Some("yes"), None)
    );
}

#[test]
fn nothing_internal_leaks_to_the_origin() {
    let request = "GET / HTTP/1.1\r\nHost: api.example.com\r\nX-Kept: 1\r\nCoNneCtion: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers, gzip\r\n\
        Proxy-Authorization: secret\r\nProxy-Connection: close\r\nX-Forwarded-For: 10.0.0.1\r\nX-Envoy-Attempt-Count: 1\r\nX-Envoy-Peer-Metadata: m\r\n\
        X-Forwarded-Client-Cert: c\r\nX-Request-Id: kept-id\r\n\r\n";
    let (response, head) = through(&format!("- {TO_ORIGIN}"), request);
    assert_eq!(response.status, 200);
    for gone in [
        "x-hop",
        "keep-alive",
        "proxy-",
        "x-forwarded-for",
        "x-envoy",
        "x-forwarded-client-cert",
        "gzip",
    ] {
        assert!(!head.to_lowercase().contains(gone), "{gone} is in {head}");
    }
    assert!(
        head.contains("X-Kept: 1\r\n") && head.contains("X-Request-Id: kept-id\r\n"),
        "case and value stay: {head}"
    );
    let (_, head) =
        through(&format!("- {TO_ORIGIN}"), "GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n");
    assert!(!head.to_lowercase().contains("x-request-id"), "made only when asked: {head}");
}

#[test]
fn forwarded_proto_is_https_when_tls_is_originated() {
    let origin = Origin::tls(&[HOST]);
    let gateway = Setup::new(&Egress::tls(HOST).yaml()).origin(HOST, 443, &origin).start();
    gateway.client().get(HOST, "/");
    let head = origin.last_head().to_lowercase();
    let protos: Vec<&str> = head
        .lines()
        .filter_map(|line| line.strip_prefix("x-forwarded-proto:"))
        .map(str::trim)
        .collect();
    assert_eq!(protos, ["https"], "{head}");
}

#[test]
fn the_timeout_of_a_rule_ends_in_504() {
    let origin = Origin::plain();
    let gateway = Setup::new(&with_rules(&format!("- {TO_ORIGIN}\n  timeout: 0.2s")))
        .origin(HOST, 80, &origin)
        .start();
    let response = gateway.get(HOST, "/silent");
    assert_eq!((response.status, response.text().as_str()), (504, "upstream request timeout"));
    assert_eq!(response.token(), "http_response_timeout");
    assert_eq!(gateway.access("/silent")["response_flags"], "UT");
    assert_eq!(gateway.access("/silent")["response_code_details"], "response_timeout");
    assert_eq!(gateway.get(HOST, "/politics").status, 200);
}

#[test]
fn a_destination_without_service_is_nc() {
    let (response, _) = through(
        "- route: [{destination: {host: nowhere.example.com, port: {number: 80}}}]",
        "GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
    );
    assert_eq!((response.status, response.body.len()), (503, 0));
    assert_eq!(response.token(), "proxy_configuration_error");
}

#[test]
fn weights_divide_the_requests() {
    let (light, heavy) = (Origin::plain(), Origin::plain());
    let rules = "- route:\n  - {destination: {host: api.example.com, port: {number: 80}}, weight: 20}\n  - {destination: {host: heavy.example.com, port: {number: 80}}, weight: 80}";
    let config =
        format!("{}---\n{}", with_rules(rules), Egress::plain("heavy.example.com").objects());
    let gateway = Setup::new(&config)
        .origin(HOST, 80, &light)
        .origin("heavy.example.com", 80, &heavy)
        .start();
    let mut client = Client::connect(gateway.port(443));
    for _ in 0..200 {
        assert_eq!(client.get(HOST, "/").status, 200);
    }
    let (light, heavy) = (light.requests().len(), heavy.requests().len());
    // 40 expected of 200; ten standard deviations either way would be 57.
    assert!(light + heavy == 200 && light > 5 && light < 97, "{light} and {heavy}");
}

#[test]
fn a_condition_not_understood_is_reported_and_never_matches_more() {
    let rules = format!("- match: [{{headers: {{x-tier: {{regex: 'gold(*'}}}}}}]\n  {TO_ORIGIN}");
    let origin = Origin::plain();
    let gateway = Setup::new(&with_rules(&rules)).origin(HOST, 80, &origin).start();
    assert_eq!(gateway.get(HOST, "/").status, 404);
    gateway.wait_for_log("spec.http[0].match[0].headers");
}

#[test]
fn conditions_on_the_whole_head_are_held_against_it() {
    let origin = Origin::plain();
    for (condition, taken, declined) in [
        ("uri: {regex: '/v[0-9]+/.*'}", "GET /v12/x?q HTTP/1.1\r\n", "GET /v/x HTTP/1.1\r\n"),
        (
            "uri: {exact: /One}, ignoreUriCase: true",
            "GET /oNE HTTP/1.1\r\n",
            "GET /ones HTTP/1.1\r\n",
        ),
        ("method: {regex: 'P.*'}", "PUT / HTTP/1.1\r\n", "GET / HTTP/1.1\r\n"),
        ("scheme: {exact: http}, uri: {prefix: /a}", "GET /a HTTP/1.1\r\n", "GET /b HTTP/1.1\r\n"),
        (
            "headers: {x-a: {exact: '1,2'}}",
            "GET / HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\n",
            "GET / HTTP/1.1\r\nx-a: 1\r\n",
        ),
        ("headers: {x-a: {}}", "GET / HTTP/1.1\r\nx-a:\r\n", "GET / HTTP/1.1\r\nx-b: 1\r\n"),
        ("withoutHeaders: {x-a: {}}", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nx-a: 1\r\n"),
        (
            "withoutHeaders: {x-a: {prefix: b}}",
            "GET / HTTP/1.1\r\nx-a: a\r\n",
            "GET / HTTP/1.1\r\nx-a: bc\r\n",
        ),
        (
            "queryParams: {q: {exact: '1'}}",
            "GET /?p&q=1 HTTP/1.1\r\n",
            "GET /?q=2&q=1 HTTP/1.1\r\n",
        ),
    ] {
        let rules = format!("- match: [{{{condition}}}]\n  {TO_ORIGIN}");
        let gateway = Setup::new(&with_rules(&rules)).origin(HOST, 80, &origin).start();
        let mut client = gateway.client();
        for (lines, status) in [(taken, 200), (declined, 404)] {
            client.send(format!("{lines}Host: {HOST}\r\nContent-Length: 0\r\n\r\n"));
            assert_eq!(client.response().status, status, "{condition}: {lines}");
        }
    }
    let rules = format!("- match: [{{authority: {{exact: 'api.example.com:81'}}}}]\n  {TO_ORIGIN}");
    let gateway = Setup::new(&with_rules(&rules)).origin(HOST, 80, &origin).start();
    assert_eq!(gateway.get(HOST, "/").status, 404);
    assert_eq!(gateway.get("api.example.com:81", "/").status, 200);
}

#[test]
fn a_path_is_rewritten_and_its_query_stays() {
    for (condition, rewrite, target, becomes) in [
        ("uri: {prefix: /api/}", "{uri: /}", "/api/x?y=/api/", "/x?y=/api/"),
        ("uri: {exact: /a}", "{uri: /b/c}", "/a?q", "/b/c?q"),
        ("uri: {regex: '/a.*'}", "{uri: /b}", "/abc", "/b"),
        (
            "{}",
            r"{uriRegexRewrite: {match: '^/(\w+)/(.*)$', rewrite: '/\2/\1'}}",
            "/a/b?c",
            "/b/a?c",
        ),
    ] {
        let condition =
            if condition == "{}" { "{}".to_owned() } else { format!("{{{condition}}}") };
        let rules = format!("- match: [{condition}]\n  {TO_ORIGIN}\n  rewrite: {rewrite}");
        let request = format!("GET {target} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let (response, head) = through(&rules, &request);
        assert_eq!(response.status, 200, "{rewrite}");
        assert!(head.starts_with(&format!("GET {becomes} HTTP/1.1\r\n")), "{rewrite}: {head}");
    }
}

#[test]
fn a_redirect_is_answered_without_asking_anybody() {
    let rules = "- match: [{uri: {prefix: /old}}]\n  redirect: {uri: /new, authority: www.example.com, scheme: https, redirectCode: 308}\n  headers: {response: {set: {x-by: egret}}}\n- redirect: {scheme: https}";
    let gateway = Setup::new(&with_rules(rules)).start();
    let mut client = gateway.client();
    let response = client.get(HOST, "/older?q=1");
    assert_eq!((response.status, response.text().as_str()), (308, ""));
    assert_eq!(response.field("location"), Some("https://www.example.com/new?q=1"));
    assert_eq!(response.field("x-by"), Some("egret"));
    assert_eq!(response.field("proxy-status"), None);
    let response = client.get(HOST, "/x?y");
    assert_eq!(response.status, 301, "on the same connection");
    assert_eq!(response.field("location"), Some("https://api.example.com/x?y"));
    let line = gateway.access("/x?y");
    assert_eq!(
        (&line["response_flags"], &line["response_code_details"]),
        (&serde_json::json!("-"), &serde_json::json!("direct_response"))
    );
}

#[test]
fn a_direct_response_is_what_the_configuration_says() {
    let rules = "- match: [{uri: {exact: /text}}]\n  directResponse: {status: 418, body: {string: short and stout}}\n- match: [{uri: {exact: /bytes}}]\n  directResponse: {status: 200, body: {bytes: AAEC/w==}}\n- directResponse: {status: 204}";
    let gateway = Setup::new(&with_rules(rules)).start();
    let mut client = gateway.client();
    let response = client.get(HOST, "/text");
    assert_eq!((response.status, response.text().as_str()), (418, "short and stout"));
    assert_eq!(response.field("content-type"), Some("text/plain"));
    assert_eq!(response.field("proxy-status"), None);
    assert_eq!(client.get(HOST, "/bytes").body, [0, 1, 2, 255]);
    let response = client.get(HOST, "/else");
    assert_eq!((response.status, response.field("content-length")), (204, None));
    assert_eq!(client.get(HOST, "/text").status, 418, "the connection goes on");
}

#[test]
fn each_destination_has_edits_of_its_own() {
    let origin = Origin::plain();
    let rules = "- route:\n  - {destination: {host: api.example.com, port: {number: 80}}, weight: 0}\n  - {destination: {host: api.example.com, port: {number: 80}}, weight: 100, headers: {request: {set: {x-share: b, host: b.example.org}}, response: {set: {x-from: b}}}}\n  headers: {request: {add: {x-route: r}}}";
    let gateway = Setup::new(&with_rules(rules)).origin(HOST, 80, &origin).start();
    let response = gateway.get(HOST, "/");
    assert_eq!((response.status, response.field("x-from")), (200, Some("b")));
    let head = origin.last_head().to_lowercase();
    for line in ["host: b.example.org\r\n", "x-share: b\r\n", "x-route: r\r\n"] {
        assert!(head.contains(line), "{head}");
    }
}
