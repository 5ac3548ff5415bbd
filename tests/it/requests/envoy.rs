//! The same rows against a real Envoy, set up as Istio sets up its egress gateway: where the two differ, `differs.md`
//! says why, and says it of no row on which they agree.
//!
//! What is compared is what the client gets, whether the connection stays, and what a request means to the origin:
//! its method, target, fields and body. Envoy writes names in lower case and adds lines of its own.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::driver::{self, Pace};
use super::origin::{Recorder, body_end, head_end};
use super::table::Complete;
use super::{HOST, cases, wire};
use crate::harness::{get, until};

/// Which program to compare with.
const PROGRAM: &str = "EGRET_ENVOY";
/// How long Envoy may be silent before a row is taken to be unanswered.
const SILENCE: Duration = Duration::from_secs(2);
/// Fields that policy, not the protocol, adds or takes away.
const POLICY: [&str; 7] = [
    "content-length: 0",
    "x-forwarded-proto",
    "x-forwarded-for",
    "x-request-id",
    "x-envoy-",
    "cdn-loop",
    "x-forwarded-host",
];

#[test]
#[ignore = "needs a real Envoy: EGRET_ENVOY=/path/to/envoy"]
fn where_envoy_differs_is_written_down() {
    let program = std::env::var(PROGRAM).expect("EGRET_ENVOY names the program");
    let origin = Recorder::start();
    let envoy = Envoy::start(&program, origin.address);
    let documented = documented(include_str!("differs.md"));
    let (mut wrong, mut known) = (Vec::new(), BTreeSet::new());
    for case in cases() {
        known.insert(case.name.clone());
        let outcome = driver::play(&case, Pace::AtOnce, SILENCE, envoy.address, &origin);
        let ours = match case.complete {
            Complete::Yes => meaning(&case.received),
            Complete::No => Vec::new(), // how much of it came is chance
        };
        let theirs = meaning(&outcome.whole());
        let agree = outcome.answer == case.answer.replace("reset", "close") && ours == theirs;
        if agree == documented.contains(&case.name) {
            let what = if agree { "no longer differs" } else { "differs" };
            wrong.push(format!("{what}: {}", super::told(&case, &outcome)));
        }
    }
    let unknown: Vec<_> = documented.difference(&known).collect();
    assert!(unknown.is_empty(), "differs.md names rows that are not there: {unknown:?}");
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_difference_from_envoy_is_one_of_a_row() {
    let known: BTreeSet<_> = cases().into_iter().map(|case| case.name).collect();
    let unknown: Vec<_> = documented(include_str!("differs.md"))
        .into_iter()
        .filter(|name| !known.contains(name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// The rows that differ: what stands between backticks behind the last bar of a line of the table.
fn documented(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let last = rows.filter_map(|line| line.trim_end_matches('|').rsplit_once('|'));
    last.flat_map(|(_, names)| names.split('`').skip(1).step_by(2).map(str::to_owned)).collect()
}

/// What requests mean to an origin, each as a text.
fn meaning(mut bytes: &[u8]) -> Vec<String> {
    let mut requests = Vec::new();
    while let Some(head_len) = head_end(bytes) {
        let head = String::from_utf8_lossy(&bytes[..head_len]).into_owned();
        let mut lines = head.trim_end().split("\r\n");
        let start = lines.next().unwrap_or_default();
        let mut fields: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
            .map(|(name, value)| match name.as_str() {
                "connection" | "upgrade" => format!("{name}: {}", value.to_ascii_lowercase()),
                _ => format!("{name}: {value}"),
            })
            .filter(|line| !POLICY.iter().any(|name| line.starts_with(name)))
            .collect();
        fields.sort();
        let rest = &bytes[head_len..];
        let len = body_end(&head.to_ascii_lowercase(), rest).unwrap_or(rest.len());
        let body = match wire::dechunk(&rest[..len]) {
            Some(body) => [body.payload, body.trailers].concat(),
            None => rest[..len].to_vec(),
        };
        requests.push(format!("{start} {fields:?} {}", body.escape_ascii()));
        bytes = &rest[len..];
    }
    requests
}

/// A running Envoy; dropping it ends the process.
struct Envoy {
    child: Child,
    address: SocketAddr,
}

impl Envoy {
    fn start(program: &str, origin: SocketAddr) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("a bound socket has an address");
        drop(free);
        let config = CONFIG
            .replace("$LISTEN", &address.port().to_string())
            .replace("$ORIGIN", &origin.port().to_string())
            .replace("$HOST", HOST);
        let child = Command::new(program)
            .args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"])
            .args(["--config-yaml", &config])
            .stdin(Stdio::null())
            .spawn()
            .expect("EGRET_ENVOY can be started");
        let envoy = Self { child, address };
        until("Envoy to listen", || std::net::TcpStream::connect(address).ok());
        assert_eq!(
            get(address, HOST, super::origin::PROBE).status,
            200,
            "Envoy reaches the origin"
        );
        envoy
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended already
        let _ = self.child.wait();
    }
}

/// As istiod writes it for an egress gateway's HTTP server, with one virtual host that forwards and one that redirects; only that it does not wait for a
/// second before it closes a connection, which would be a second for every other row.
const CONFIG: &str = r#"
static_resources:
  listeners:
  - address: { socket_address: { address: 127.0.0.1, port_value: $LISTEN } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: outbound_0.0.0.0_443
          codec_type: AUTO
          use_remote_address: true
          server_name: istio-envoy
          forward_client_cert_details: SANITIZE_SET
          set_current_client_cert_details: { subject: true, cert: true, dns: true, uri: true }
          normalize_path: true
          path_with_escaped_slashes_action: KEEP_UNCHANGED
          stream_idle_timeout: 0s
          delayed_close_timeout: 0.05s
          upgrade_configs: [ { upgrade_type: websocket } ]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            name: http.443
            ignore_port_in_host_matching: true
            validate_clusters: false
            max_direct_response_body_size_bytes: 1048576
            virtual_hosts:
            - name: "$HOST:443"
              domains: ["$HOST"]
              include_request_attempt_count: true
              routes:
              - match: { prefix: "/" }
                route:
                  cluster: "outbound|80||$HOST"
                  timeout: 0s
                  retry_policy:
                    retry_on: connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes
                    num_retries: 2
                    host_selection_retry_max_attempts: "5"
            - name: "r.test:443"
              domains: [r.test]
              routes:
              - match: { prefix: "/" }
                redirect: { host_redirect: "$HOST" }
  clusters:
  - name: "outbound|80||$HOST"
    type: STATIC
    connect_timeout: 10s
    load_assignment:
      cluster_name: "outbound|80||$HOST"
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: $ORIGIN } } }
"#;
