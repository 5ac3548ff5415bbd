//! A real Envoy, for tests that compare with it: only where `EGRET_ENVOY` names the program.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::until;

/// A running Envoy, set up as Istio sets up its egress gateway; dropping it ends the process.
pub struct Envoy {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Envoy {
    /// Starts the program that `EGRET_ENVOY` names, before this host's origin on 127.0.0.1.
    pub fn start(host: &str, origin_port: u16) -> Self {
        let program = std::env::var("EGRET_ENVOY").expect("EGRET_ENVOY names the program");
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("a bound socket has an address");
        drop(free);
        let config = CONFIG
            .replace("$LISTEN", &address.port().to_string())
            .replace("$ORIGIN", &origin_port.to_string())
            .replace("$HOST", host);
        let child = Command::new(program)
            .args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"])
            .args(["--config-yaml", &config])
            .stdin(Stdio::null())
            .spawn()
            .expect("EGRET_ENVOY can be started");
        let envoy = Self { address, child };
        until("Envoy to listen", || TcpStream::connect(address).ok());
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
          proxy_100_continue: true
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
