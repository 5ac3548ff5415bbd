//! What can be seen from outside: the access log in both formats, metrics, health and admin pages.

use crate::harness::article::Egress;
use crate::harness::{Client, Gateway, Origin, Setup, get};

const HOST: &str = "api.example.com";

fn serving(setup: Setup) -> (Gateway, Origin) {
    let origin = Origin::plain();
    (setup.origin(HOST, 80, &origin).start(), origin)
}

fn plain() -> Setup {
    Setup::new(&Egress::plain(HOST).yaml())
}

#[test]
fn a_text_line_has_istios_fields() {
    let (gateway, origin) = serving(plain().log_format("text"));
    let mut client = gateway.client();
    client.send("POST /echo?a=b HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: test/1\r\nX-Request-Id: id-7\r\nContent-Length: 4\r\n\r\nbody");
    let length = client.response().body.len();
    let line = gateway.wait_for_access("/echo?a=b");
    let (start, rest) = line.split_at(27);
    assert!(start.starts_with('[') && start.ends_with("Z] "), "{line}");
    assert_eq!(start.as_bytes()[20], b'.', "milliseconds: {line}");
    assert!(
        rest.starts_with(&format!(
            "\"POST /echo?a=b HTTP/1.1\" 200 - via_upstream - \"-\" 4 {length} "
        )),
        "{line}"
    );
    let upstream =
        format!("\"127.0.0.1:{}\" outbound|80||api.example.com 127.0.0.1:", origin.port());
    assert!(
        rest.contains(&format!(" \"-\" \"test/1\" \"id-7\" \"api.example.com\" {upstream}")),
        "{line}"
    );
    assert_eq!(split_fields(&line).len(), 22, "{line}");
}

/// Splits at blanks outside quotes and brackets.
fn split_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => fields.push(String::new()),
            _ => fields.last_mut().expect("never empty").push(c),
        }
    }
    fields
}

#[test]
fn a_json_line_has_istios_keys() {
    let (gateway, origin) = serving(plain());
    assert_eq!(gateway.get(HOST, "/politics").status, 200);
    let line = gateway.access("/politics");
    for key in [
        "start_time",
        "route_name",
        "method",
        "path",
        "protocol",
        "response_code",
        "response_flags",
        "response_code_details",
        "connection_termination_details",
        "bytes_received",
        "bytes_sent",
        "duration",
        "upstream_service_time",
        "x_forwarded_for",
        "user_agent",
        "request_id",
        "authority",
        "upstream_host",
        "upstream_cluster",
        "upstream_local_address",
        "downstream_local_address",
        "downstream_remote_address",
        "requested_server_name",
        "upstream_transport_failure_reason",
    ] {
        assert!(line.get(key).is_some(), "{key} is missing in {line}");
    }
    assert_eq!((&line["response_code"], &line["bytes_sent"]), (&200.into(), &8.into()));
    assert_eq!(
        (&line["authority"], &line["upstream_cluster"]),
        (&HOST.into(), &"outbound|80||api.example.com".into())
    );
    assert_eq!(line["upstream_host"], format!("127.0.0.1:{}", origin.port()));
    assert_eq!(line["downstream_local_address"], gateway.port(443).to_string());
}

#[test]
fn a_line_tells_how_long_each_step_took_that_the_request_waited_for() {
    let origin = Origin::tls(&[HOST]);
    let egress = Egress::tls(HOST);
    let gateway = Setup::new(&egress.yaml()).origin(HOST, egress.port, &origin).start();
    let mut client = gateway.client();
    let mut line = |path| {
        assert_eq!(client.get(HOST, path).status, 200);
        gateway.access(path)
    };
    let (opened, reused) = (line("/opened"), line("/reused"));
    for key in ["connect_ms", "tls_ms"] {
        assert!(opened[key].is_u64(), "{key}: {opened}");
        assert!(reused.get(key).is_none(), "{key}: {reused}");
    }
    for line in [&opened, &reused] {
        let service = line["upstream_service_time"].as_str().and_then(|ms| ms.parse().ok());
        let first_byte = line["ttfb_ms"].as_u64();
        assert!(service.is_some() && service <= first_byte, "{line}");
        assert!(line.get("dns_ms").is_none(), "its address is known: {line}");
    }
}

#[test]
fn the_times_of_plain_text_are_without_a_handshake() {
    let (gateway, _origin) = serving(plain());
    assert_eq!(gateway.get(HOST, "/plain").status, 200);
    let line = gateway.access("/plain");
    assert!(line["connect_ms"].is_u64() && line.get("tls_ms").is_none(), "{line}");
}

#[test]
fn a_client_cannot_forge_a_line() {
    let (gateway, _origin) = serving(plain().log_format("text"));
    let mut client = gateway.client();
    client.send("GET /once HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: a\" 200 - \"forged\tline\u{e9}\\\r\n\r\n");
    assert_eq!(client.response().status, 200);
    let line = gateway.wait_for_access("/once");
    assert!(!line.contains("a\" 200 - \"forged"), "the quote is escaped: {line}");
    assert_eq!(gateway.access_log().len(), 1);
}

#[test]
fn the_log_can_be_off() {
    let (mut gateway, _origin) = serving(plain().log_format("off"));
    assert_eq!(gateway.get(HOST, "/").status, 200);
    gateway.signal("TERM");
    gateway.wait_exit();
    assert!(gateway.access_log().is_empty());
}

#[test]
fn requests_are_counted_by_host_and_status() {
    let (gateway, _origin) = serving(plain());
    for path in ["/", "/", "/status/500", "/close"] {
        gateway.get(HOST, path);
    }
    gateway.get("unknown.example", "/");
    let count = |labels: &[&str]| gateway.metric("egret_requests_total", labels);
    let host = "host=\"api.example.com\"";
    assert_eq!(count(&[host, "code=\"200\""]), 2.0);
    assert_eq!(count(&[host, "code=\"500\""]), 1.0);
    assert_eq!(count(&[host, "code=\"503\"", "flag=\"UC\""]), 1.0);
    assert_eq!(count(&["code=\"404\"", "flag=\"NR\""]), 1.0);
    assert_eq!(count(&[]), 5.0);
    assert!(
        gateway.metrics().keys().all(|series| !series.contains("unknown.example")),
        "never the client's Host"
    );
    assert_eq!(gateway.metric("egret_failures_total", &["token=\"connection_terminated\""]), 1.0);
}

#[test]
fn metrics_are_prometheus_text_on_both_ports() {
    let (gateway, _origin) = serving(plain());
    gateway.get(HOST, "/");
    for response in [
        gateway.health("/stats/prometheus"),
        get(gateway.admin(), "localhost", "/stats/prometheus"),
    ] {
        assert_eq!(response.status, 200);
        assert!(
            response
                .field("content-type")
                .is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")),
            "{}",
            response.head
        );
        let text = response.text();
        for name in ["egret_requests_total", "egret_upstream_connections_total"] {
            assert!(text.contains(&format!("# TYPE {name} counter\n")), "{name}");
        }
    }
}

#[test]
fn counters_of_all_workers_are_summed() {
    let (gateway, _origin) = serving(plain());
    for _ in 0..30 {
        assert_eq!(gateway.get(HOST, "/").status, 200); // each on a connection of its own, so on any worker
    }
    assert_eq!(gateway.metric("egret_requests_total", &["code=\"200\""]), 30.0);
}

#[test]
fn admin_pages_answer_and_mutations_want_post() {
    let (gateway, _origin) = serving(plain());
    let admin = gateway.admin();
    for page in [
        "/",
        "/ready",
        "/server_info",
        "/listeners",
        "/clusters",
        "/routes",
        "/healthz/ready",
        "/healthz/live",
    ] {
        assert_eq!(get(admin, "localhost", page).status, 200, "{page}");
    }
    assert!(get(admin, "localhost", "/clusters").text().contains("outbound|80||api.example.com"));
    assert_eq!(get(admin, "localhost", "/nothing").status, 404);
    let refused = get(admin, "localhost", "/quitquitquit");
    assert_eq!(
        (refused.status, refused.field("allow").map(|allow| allow.contains("POST"))),
        (405, Some(true))
    );
    assert_eq!(gateway.get(HOST, "/").status, 200, "it did not quit");
}

#[test]
fn a_running_gateway_explains_a_request_with_the_addresses_it_has() {
    let (gateway, origin) = serving(plain());
    assert_eq!(gateway.get(HOST, "/").status, 200); // so that there are addresses
    let admin = gateway.admin();
    let page = |query: &str| get(admin, "localhost", &format!("/explain?{query}"));
    let told = page(&format!("host={HOST}&path=/politics&port=443&header=X-A:%20b"));
    assert_eq!(told.status, 200, "{}", told.text());
    let text = told.text().to_owned();
    let bound = format!("bound to {}", gateway.port(443));
    let now = format!("now 127.0.0.1:{}", origin.port());
    for word in ["GET /politics", &bound, &now, "forwarded to outbound|80||api.example.com"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let json = page("host=nowhere.example.com&port=443&format=json").text().to_owned();
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(value["ending"], "notForwarded", "{json}");
    let unclear = page("path=/");
    assert_eq!(unclear.status, 400);
    assert!(unclear.text().contains("host is no host"), "{}", unclear.text());
}

#[test]
fn listeners_are_shown_where_they_really_are() {
    let (gateway, _origin) = serving(plain());
    let port = gateway.port(443).port();
    let table = get(gateway.admin(), "localhost", "/listeners").text().to_owned();
    assert!(table.contains(&format!(":{port} ")), "{port} is not in {table}");
    let json = get(gateway.admin(), "localhost", "/listeners?format=json").text().to_owned();
    assert!(json.contains(&format!("\"portValue\": {port}")), "{port} is not in {json}");
}

#[test]
fn quitquitquit_ends_the_process_when_posted() {
    let (mut gateway, _origin) = serving(plain());
    let mut client = Client::connect(gateway.admin());
    client.send("POST /quitquitquit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response().status, 200);
    assert_eq!(gateway.wait_exit(), 0);
}
