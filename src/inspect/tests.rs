use std::sync::atomic::Ordering;

use serde_json::json;

use super::explain::{Ending, Explanation, Question, explain};
use super::*;
use crate::config::{self, Identity, Materials, document};
use crate::model::{GuardMode, GuardPolicy, Network};
use crate::upstream::endpoints::Known;
use crate::upstream::tls::TlsContext;

const TWO_ROUTES: &str = "\
listeners: [{port: 443}]
routes:
- hosts: [a.com, \"*.a.com\", b.com, c.com]
  rules:
  - match: {path: {exact: /x}, methods: [GET, HEAD]}
    to: https://a.com
    timeout: 5s
    host: b.com
  - to: http://10.0.0.1:8080
- hosts: [d.com]
  rules:
  - match: {path: {prefix: /v2/}}
    to: nowhere
";

fn compiled(text: &str) -> Compiled {
    let (documents, problems) = document::parse("f.yaml", text);
    let mut compiled = config::compile(&documents, &Materials::new(), &Identity::default());
    compiled.problems.extend(problems);
    compiled
}

fn snapshot(compiled: &Compiled) -> Snapshot {
    let tls = TlsContext::new(&[]).expect("nothing further to trust");
    Snapshot::build(&compiled.plan, &Snapshot::default(), &tls)
}

fn table(what: What, text: &str) -> String {
    render(what, Format::Table, &View { compiled: &compiled(text), snapshot: None })
}

fn question(method: &str, authority: &str, target: &str) -> Question {
    Question {
        method: method.to_owned(),
        authority: authority.to_owned(),
        target: target.to_owned(),
        headers: Vec::new(),
        port: None,
        guard: GuardPolicy::default(),
    }
}

fn explained(text: &str, question: &Question) -> Result<Explanation, String> {
    let compiled = compiled(text);
    explain(question, &View { compiled: &compiled, snapshot: None }, &snapshot(&compiled))
}

/// What `explain` prints, and that it ends so.
fn told(text: &str, question: &Question, ending: Ending) -> String {
    let explanation = explained(text, question).expect("a clear question");
    assert_eq!(explanation.ending, ending, "{explanation}");
    explanation.to_string()
}

#[test]
fn tables_are_aligned_and_use_istios_names() {
    for (what, expected) in [
        (
            What::Listeners,
            "\
NAME          ADDRESS       PORT   MATCH   DESTINATION       FROM
0.0.0.0_443   0.0.0.0:443   443    ALL     Route: http.443   file (f.yaml:1:13)
",
        ),
        (
            What::Routes,
            "\
NAME       VHOST NAME   DOMAINS                          MATCH         CLUSTER                   FROM
http.443   a.com:443    a.com, *.a.com, b.com + 1 more   GET,HEAD /x   outbound|443||a.com       file (f.yaml:5:5)
http.443   a.com:443    a.com, *.a.com, b.com + 1 more   /*            outbound|8080||10.0.0.1   file (f.yaml:9:5)
http.443   d.com:443    d.com                            /v2/*         nowhere (missing: 503)    file (f.yaml:12:5)
",
        ),
        (
            What::Clusters,
            "\
SERVICE FQDN   PORT   DIRECTION   TYPE         TLS        CLUSTER                   POLICY
a.com          443    outbound    STRICT_DNS   verified   outbound|443||a.com       -
10.0.0.1       8080   outbound    STATIC       -          outbound|8080||10.0.0.1   -
",
        ),
        (
            What::Endpoints,
            "\
ENDPOINT        STATUS           ACTIVE   TYPE         CLUSTER
a.com:443       to be resolved   -        STRICT_DNS   outbound|443||a.com
10.0.0.1:8080   as written       -        STATIC       outbound|8080||10.0.0.1
",
        ),
    ] {
        assert_eq!(table(what, TWO_ROUTES), expected, "{}", what.as_str());
    }
    let objects = table(What::Config, TWO_ROUTES);
    assert!(objects.contains("file     partly applied   f.yaml:1:1"), "{objects}");
    assert!(objects.ends_with("\n\n1 listener, 2 virtual hosts, 2 clusters\n"), "{objects}");
}

#[test]
fn a_listener_without_routes_is_a_black_hole() {
    let routes = table(What::Routes, "listeners: [{port: 80}]");
    assert!(routes.ends_with("\nhttp.80   blackhole:80   *         /*      404\n"), "{routes}");
}

#[test]
fn endpoints_of_a_running_gateway_are_addresses_with_what_is_under_way() {
    let compiled = compiled(TWO_ROUTES);
    let running = snapshot(&compiled);
    let upstream = |port| {
        let mut all = running.upstreams.values();
        all.find(|upstream| upstream.key.port == port).expect("it is in the plan")
    };
    upstream(443).endpoints.publish(&["192.0.2.7:443".parse().expect("an address")]);
    let known = upstream(443).endpoints.load();
    let Known::Ready(endpoints) = &**known else { panic!("{known:?}") };
    endpoints.list[0].active.store(3, Ordering::Relaxed);
    let view = View { compiled: &compiled, snapshot: Some(&running) };
    let value: Value =
        serde_json::from_str(&render(What::Endpoints, Format::Json, &view)).expect("JSON");
    assert_eq!(
        value[0]["endpoints"],
        json!([{"endpoint": "192.0.2.7:443", "status": "ready", "active": 3}])
    );
    assert_eq!(
        value[1]["endpoints"],
        json!([{"endpoint": "10.0.0.1:8080", "status": "ready", "active": 0}])
    );
}

#[test]
fn problems_stand_by_place_and_are_counted_errors_first() {
    let text = table(
        What::Problems,
        "routes:\n- hosts: [a.com]\n  to: http://a.com:443\n  too: 1\nlistners: []\n",
    );
    let places: Vec<&str> =
        text.lines().take(3).filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(places, ["f.yaml:3:7", "f.yaml:4:3", "f.yaml:5:1"], "{text}");
    assert!(text.starts_with("f.yaml:3:7: warning EG003: file: routes[0].to: "), "{text}");
    assert!(text.ends_with("\n\n2 errors, 1 warning; 1 object: 1 partly applied\n"), "{text}");
}

#[test]
fn pages_know_their_names_and_formats() {
    for what in What::ALL {
        assert_eq!(What::parse(what.as_str()), Some(what));
    }
    assert_eq!(What::parse("weather"), None);
    for (query, format) in [
        ("", Some(Format::Table)),
        ("format=json", Some(Format::Json)),
        ("x=1&format=yaml", Some(Format::Yaml)),
        ("format=xml", None),
    ] {
        assert_eq!(Format::of_query(query), format, "{query}");
    }
}

#[test]
fn each_step_of_a_forwarded_request_is_told_with_its_place() {
    let expected = "\
request       POST /x for z.a.com:443
listener      0.0.0.0_443, port 443, bound to 0.0.0.0:443, route table http.443
              file listeners[0] (f.yaml:1:13)
virtual host  a.com:443, whose *.a.com covers z.a.com
rule          2 of 2: /*
              file routes[0].rules[1] (f.yaml:9:5)
declined      rule 1: GET,HEAD /x does not take the method POST - file routes[0].rules[0] (f.yaml:5:5)
destination   outbound|8080||10.0.0.1: 10.0.0.1 port 8080
              file routes[0].rules[1] (f.yaml:9:5)
policy        none: defaults
              in force: tls: none, plain text
              least request; connect timeout 10s, TLS included; idle timeout 50s
endpoints     STATIC: 10.0.0.1:8080 (private)
TLS           none: the origin is contacted WITHOUT TLS, in plain text HTTP/1.1
forwarding    timeout none, further attempts 2
              Host stays z.a.com:443
outcome       forwarded to outbound|8080||10.0.0.1
";
    let question = question("POST", "z.a.com:443", "/x");
    assert_eq!(told(TWO_ROUTES, &question, Ending::Forwarded), expected);
}

#[test]
fn tls_is_told_with_the_names_that_are_verified() {
    let text =
        "routes: [{hosts: [a.com], to: \"https://b.com\", headers: {request: {set: {x-a: b}}}}]";
    let told = told(text, &question("GET", "a.com:443", "/"), Ending::Forwarded);
    for line in [
        "SNI: b.com (as configured)",
        "verified: a certificate for b.com, signed under the web's roots",
        "Host becomes a.com: a default port is dropped over TLS",
        "request header x-a: b set",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
}

#[test]
fn retries_are_told_where_they_are_not_the_default() {
    let forwarding = |retries: &str| {
        let text =
            format!("routes: [{{hosts: [a.com], to: \"http://b.com\", retries: {{{retries}}}}}]");
        told(&text, &question("GET", "a.com:443", "/"), Ending::Forwarded)
    };
    let told = forwarding(
        "attempts: 3, conditions: [5xx], statuses: [429], perTryTimeout: 2s, nonIdempotent: true",
    );
    for line in [
        "further attempts 3\n",
        "tried again on 5xx,retriable-status-codes [429], 2s for each attempt, pauses from 25ms, POST too\n",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    assert!(!forwarding("attempts: 1").contains("tried again"));
}

#[test]
fn what_is_not_forwarded_is_told_with_status_and_reason() {
    let no_endpoint = "routes: [{hosts: [a.com], to: \"https://b.com\", endpoints: [nonsense/]}]";
    let broken = "routes: [{hosts: [a.com], to: \"https://b.com\", tls: {ca: /nowhere.pem}}]";
    let get = |authority| question("GET", authority, "/");
    let with = |lines: &[(&str, &str)]| {
        let headers = lines.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Question { headers: headers.collect(), ..get("a.com") }
    };
    for (text, question, words) in [
        (TWO_ROUTES, get("e.com"), ["404 NR route_not_found", "hosts here: a.com, *.a.com"]),
        (TWO_ROUTES, get("d.com"), ["404 NR", "rule 1 of 1: /v2/* does not match the path /"]),
        (TWO_ROUTES, question("GET", "d.com", "/v2/x"), ["503 NC cluster_not_found", "EG093"]),
        (TWO_ROUTES, question("CONNECT", "a.com:443", "/"), ["404 NR", "request"]),
        (
            TWO_ROUTES,
            with(&[("Host", "e.com")]),
            ["404 NR", "none answers to e.com here, so it is 404"],
        ),
        (TWO_ROUTES, with(&[("Host", "a b")]), ["400 DPE http.invalid_authority", "listener"]),
        (TWO_ROUTES, with(&[("Content-Length", "x")]), ["400 DPE http1.codec_error", "listener"]),
        (
            TWO_ROUTES,
            with(&[("Connection", "upgrade"), ("Upgrade", "irc")]),
            ["403 - upgrade_failed", "rule"],
        ),
        (TWO_ROUTES, get("a.com:8443"), ["none for port 8443", "there is one for 443"]),
        (
            "routes: []",
            get("a.com"),
            ["the configuration has no listener", "connection is refused"],
        ),
        (no_endpoint, get("a.com"), ["503 UH no_healthy_upstream", "endpoints"]),
        (broken, get("a.com"), ["503 UF", "proxy_configuration_error"]),
    ] {
        let told = told(text, &question, Ending::NotForwarded);
        for word in words {
            assert!(told.contains(word), "{word} is not in {told}");
        }
    }
}

#[test]
fn the_listener_is_the_one_asked_for_or_that_of_port_80_or_the_only_one() {
    let with = |ports: &str| {
        let ports: Vec<String> = ports.split(',').map(|port| format!("{{port: {port}}}")).collect();
        format!(
            "listeners: [{}]\nroutes: [{{hosts: [a.com], to: \"http://a.com\"}}]",
            ports.join(", ")
        )
    };
    for (ports, authority, port, expected) in [
        ("443,80", "a.com", None, Some("0.0.0.0_80,")),
        ("443,80", "a.com:443", None, Some("0.0.0.0_443,")),
        ("443,80", "a.com:443", Some(80), Some("0.0.0.0_80,")),
        ("8080", "a.com", None, Some("0.0.0.0_8080,")),
        ("443,8080", "a.com", None, None),
    ] {
        let question = Question { port, ..question("GET", authority, "/") };
        match (explained(&with(ports), &question), expected) {
            (Ok(told), Some(name)) => {
                assert!(told.to_string().contains(name), "{ports} {authority}: {told}");
            }
            (Err(why), None) => {
                assert!(why.contains("443, 8080") && why.contains("--port 443"), "{why}");
            }
            (other, _) => panic!("{ports} {authority}: {other:?}"),
        }
    }
}

/// One route of every kind: what is sent, and what is answered.
const KINDS: &str = "\
listeners: [{port: 443}]
routes:
- hosts: [a.com]
  rules:
  - match: {path: {prefix: /api/}}
    split:
    - {to: \"https://b.com\", weight: 3, host: own.b.com, headers: {request: {set: {x-part: b}}}}
    - {to: nowhere, weight: 1}
    rewrite: {matched: /v2/}
  - match: {path: {exact: /old}}
    redirect: {status: 308, scheme: https, path: /new}
  - match: {path: {exact: /no}}
    respond: {status: 451, body: sorry}
  - {to: \"http://c.com\"}
";

#[test]
fn what_is_sent_and_answered_is_told_to_the_letter() {
    for (method, authority, target, ending, words) in [
        (
            "GET",
            "a.com:443",
            "/api/x?y=z",
            Ending::NotForwarded,
            &[
                "3 of 4 requests",
                "outbound|443||b.com: Host becomes own.b.com",
                "nowhere: Host stays a.com:443",
                "the path /api/x?y=z becomes /v2/x?y=z",
                "outbound|443||b.com: request header x-part: b set",
                "1 of 4 requests: not forwarded: 503 NC",
            ][..],
        ),
        ("GET", "a.com", "/old?q", Ending::Answered, &["308, Location: https://a.com/new?q"]),
        ("GET", "a.com", "/no", Ending::Answered, &["451 with 5 bytes of its own"]),
        (
            "GET",
            "gateway",
            "http://a.com:81/z",
            Ending::Forwarded,
            &["Host stays a.com:81", "forwarded to outbound|80||c.com"],
        ),
        (
            "GET",
            "gateway",
            "https://a.com/z",
            Ending::NotForwarded,
            &["says https, but the upstream is plain text"],
        ),
        ("OPTIONS", "a.com", "*", Ending::NotForwarded, &["404 NR route_not_found"]),
    ] {
        let told = told(KINDS, &question(method, authority, target), ending);
        for word in words {
            assert!(told.contains(word), "{word} is not in {told}");
        }
    }
}

#[test]
fn what_browsers_are_told_of_other_sites_is_explained() {
    let text = "listeners: [{port: 80}]
routes:
- hosts: [a.com]
  to: https://b.com
  statPrefix: shop
  proxyProtocol: v2
  warmup: {duration: 1m}
  cors: {origins: [{exact: https://x.com}, {prefix: https://y.}], methods: [PUT], maxAge: 5m, answersAll: true}
";
    let line = "CORS: pages of origin=https://x.com or origin=https://y.* may read the answer, methods PUT, for 300 s; \
                questions for others are answered here too";
    let mut question = question("OPTIONS", "a.com", "/");
    let forwarded = told(text, &question, Ending::Forwarded);
    for word in [
        line,
        "counted as shop",
        "first a PROXY header (V2) that tells the client's address",
        "a new endpoint has its full part after 1m, and 10 % of it at first",
    ] {
        assert!(forwarded.contains(word), "{word} is not in {forwarded}");
    }
    for (name, value) in [("Origin", "https://z.com"), ("Access-Control-Request-Method", "PUT")] {
        question.headers.push((name.to_owned(), value.to_owned()));
    }
    let answered = told(text, &question, Ending::Answered);
    for word in ["200 with no body: a browser asks", line, "answered with 200"] {
        assert!(answered.contains(word), "{word} is not in {answered}");
    }
}

#[test]
fn programs_are_told_the_same_as_people() {
    let question = question("GET", "a.com:443", "/api/x");
    let explanation = explained(KINDS, &question).expect("clear");
    let value = explanation.value();
    assert_eq!(value["ending"], "notForwarded");
    let lines: String = value["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .flat_map(|step| step["lines"].as_array().expect("lines"))
        .map(|line| line.as_str().expect("text"))
        .collect();
    let text: String =
        explanation.to_string().lines().map(|line| line.get(14..).unwrap_or_default()).collect();
    assert_eq!(lines, text);
    let step = |title: &str| {
        let mut steps = value["steps"].as_array().expect("steps").iter();
        steps.find(|step| step["title"] == title).cloned().unwrap_or_default()
    };
    for (title, field, expected) in [
        ("request", "target", json!("/api/x")),
        ("listener", "routeTable", json!("http.443")),
        ("virtual host", "domain", json!("a.com")),
        ("rule", "number", json!(1)),
        ("destination", "weight", json!(3)),
        ("policy", "dropped", json!([])),
        ("endpoints", "type", json!("STRICT_DNS")),
        ("TLS", "sni", json!("b.com")),
        ("TLS", "names", json!(["b.com"])),
        ("outcome", "cluster", json!("outbound|443||b.com")),
    ] {
        assert_eq!(step(title)[field], expected, "{title}.{field}: {value:#}");
    }
    assert_eq!(step("rule")["from"]["line"], 5);
    let sent = json!({ "cluster": "outbound|443||b.com", "host": "own.b.com", "target": "/v2/x" });
    assert_eq!(step("forwarding")["sent"][0], sent);
}

#[test]
fn a_running_gateway_tells_the_addresses_that_a_name_has() {
    let compiled =
        compiled("listeners: [{port: 443}]\nroutes: [{hosts: [a.com], to: \"https://a.com\"}]");
    let snapshot = snapshot(&compiled);
    let upstream = snapshot.upstreams.values().next().expect("one");
    upstream.endpoints.publish(&[([192, 0, 2, 1], 443).into()]);
    let view = View { compiled: &compiled, snapshot: Some(&snapshot) };
    let told = explain(&question("GET", "a.com", "/"), &view, &snapshot).expect("clear");
    assert!(told.to_string().contains("now 192.0.2.1:443"), "{told}");
    assert!(told.to_string().contains("0 requests under way"), "{told}");
    assert!(told.value().to_string().contains("\"addresses\":[\"192.0.2.1:443\"]"));
}

#[test]
fn yaml_shows_what_is_in_force_defaults_included() {
    let yaml = |what| {
        let compiled = compiled(KINDS);
        render(what, Format::Yaml, &View { compiled: &compiled, snapshot: None })
    };
    for (what, words) in [
        (What::Listeners, &["routeTable: \"http.443\""][..]),
        (
            What::Routes,
            &[
                "match: \"/api/*\"",
                "cluster: \"nowhere\"",
                "timeout: \"none\"",
                "attempts: 2",
                "redirect: 308",
                "respond: 451",
            ],
        ),
        (
            What::Clusters,
            &[
                "idleTimeout: \"50s\"",
                "connectTimeout: \"10s\"",
                "protocol: \"HTTP/2 or HTTP/1.1, by ALPN\"",
                "roots: \"the web's\"",
                "tls: \"none\"",
            ],
        ),
    ] {
        let text = yaml(what);
        for word in words {
            assert!(text.contains(word), "{word} is not in {text}");
        }
    }
}

#[test]
fn a_wildcard_destination_is_the_request_s_own_host_and_the_guard_is_told_of() {
    let text =
        "routes: [{hosts: ['*'], to: 'https://*.a.com'}, {hosts: [b.com], to: 'http://10.0.0.1'}]";
    let wildcard = told(text, &question("GET", "www.a.com", "/"), Ending::Forwarded);
    for line in [
        "DYNAMIC_DNS: www.a.com:443, looked up when it is asked for",
        "addresses inside the network are refused\n",
        "a certificate for www.a.com, signed under",
    ] {
        assert!(wildcard.contains(line), "{line} is not in\n{wildcard}");
    }
    for host in ["a.com", "127.0.0.1", "0x7f.1", "c.com"] {
        let refused = told(text, &question("GET", host, "/"), Ending::NotForwarded);
        assert!(refused.contains("not forwarded: 403 - destination_ip_prohibited"), "{refused}");
    }
    let network = |text| Network::parse(text).expect("a range");
    let (allow, deny) = (vec![network("10.2.0.0/16")], vec![network("10.2.3.0/24")]);
    let guard = GuardPolicy { mode: GuardMode::Enforce, allow, deny };
    let guarded = |host| Question { guard: guard.clone(), ..question("GET", host, "/") };
    let wildcard = told(text, &guarded("www.a.com"), Ending::Forwarded);
    let line = "refused, but for 10.2.0.0/16; so is 10.2.3.0/24";
    assert!(wildcard.contains(line), "{wildcard}");
    told(text, &question("GET", "b.com", "/"), Ending::Forwarded);
    let refused = told(text, &guarded("b.com"), Ending::NotForwarded);
    assert!(refused.contains("10.0.0.1:80 may not be dialled: private"), "{refused}");
}

#[test]
fn names_that_are_asked_for_are_shown_with_what_is_known_of_them() {
    let compiled = compiled("routes: [{hosts: ['*.a.com'], to: 'https://*.a.com'}]");
    let running = snapshot(&compiled);
    let upstream = running.upstreams.values().next().expect("it is in the plan");
    let names = upstream.names.as_ref().expect("it is dynamic");
    names.find("www.a.com", tokio::time::Instant::now()).expect("it is under the pattern");
    let view = View { compiled: &compiled, snapshot: Some(&running) };
    let endpoints = render(What::Endpoints, Format::Table, &view);
    assert!(endpoints.contains("\nwww.a.com:443   not resolved yet"), "{endpoints}");
}
