//! A gateway made with Pingora, which does what the others are configured to do.
//!
//! Arguments, `NAME=VALUE`: `listen`, `origin`, `ca`, `workers`, `routes` (a file: on each line a host, `*.` in
//! front for all below it, and a path's beginning if not all are meant), and, if wanted, `sni` (else it is
//! the request's host), `h2=on` (to the origin) and `log` (a file).

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::sync::Mutex;

use async_trait::async_trait;
use pingora::apps::HttpServerOptions;
use pingora::http::ResponseHeader;
use pingora::protocols::ALPN;
use pingora::proxy::{ProxyHttp, ProxyServiceBuilder, Session};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};

/// Connections to origins that are kept: more than any experiment has at once.
const KEPT: usize = 16_384;
/// Idle clients are kept for so many seconds.
const CLIENT_IDLE: u64 = 600;
/// What collects before the log is written.
const LOG_BUFFER: usize = 64 << 10;

struct Gateway {
    origin: SocketAddr,
    sni: Option<String>,
    h2: bool,
    routes: Routes,
    log: Option<Mutex<BufWriter<File>>>,
}

/// Which hosts are routed; those with prefixes only for paths that begin with one.
#[derive(Default)]
struct Routes {
    hosts: HashMap<String, Vec<String>>,
    below: HashSet<String>,
}

impl Routes {
    fn read(path: &str) -> Self {
        let mut routes = Self::default();
        for line in fs::read_to_string(path).expect("a file of routes").lines() {
            let (host, prefix) = line.split_once(' ').unwrap_or((line, ""));
            if let Some(domain) = host.strip_prefix("*.") {
                routes.below.insert(domain.to_owned());
            } else {
                routes.hosts.entry(host.to_owned()).or_default().push(prefix.to_owned());
            }
        }
        routes
    }

    fn find(&self, host: &str, path: &str) -> bool {
        if let Some(prefixes) = self.hosts.get(host) {
            return prefixes.iter().any(|prefix| path.starts_with(prefix.as_str()));
        }
        let mut rest = host;
        while let Some((_, domain)) = rest.split_once('.') {
            if self.below.contains(domain) {
                return true;
            }
            rest = domain;
        }
        false
    }
}

/// The host that is asked for, without its port. HTTP/2 has it in the URI.
fn host(session: &Session) -> Option<&str> {
    let head = session.req_header();
    let host = match head.uri.host() {
        Some(host) => host,
        None => head.headers.get("host")?.to_str().ok()?,
    };
    Some(host.split(':').next().unwrap_or(host))
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, _: &mut ()) -> Result<bool> {
        session.set_keepalive(Some(CLIENT_IDLE));
        let path = session.req_header().uri.path();
        if host(session).is_some_and(|host| self.routes.find(host, path)) {
            return Ok(false);
        }
        // `respond_error` would close the connection.
        let mut reply = ResponseHeader::build(404, Some(1))?;
        reply.insert_header("content-length", "0")?;
        session.write_response_header(Box::new(reply), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, session: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        let sni = self.sni.as_deref().or_else(|| host(session)).unwrap_or_default();
        let mut peer = HttpPeer::new(self.origin, true, sni.to_owned());
        peer.options.verify_cert = true;
        peer.options.verify_hostname = true;
        if self.h2 {
            peer.options.alpn = ALPN::H2;
            peer.options.max_h2_streams = 100;
        }
        Ok(Box::new(peer))
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, _: &mut ()) {
        if let Some(log) = &self.log {
            let status = session.response_written().map_or(0, |reply| reply.status.as_u16());
            let head = session.req_header();
            let (host, client) = (host(session).unwrap_or("-"), session.client_addr());
            let bytes = session.body_bytes_sent();
            let mut log = log.lock().expect("nobody panics with it");
            let _ = writeln!(
                log,
                "{client:?} \"{} {} {:?}\" {host} {status} {bytes}",
                head.method, head.uri, head.version
            ); // a log that cannot be written stops nobody
        }
    }
}

fn main() {
    let arguments: HashMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|argument| {
            argument.split_once('=').map(|(name, value)| (name.into(), value.into()))
        })
        .collect();
    let given = |name: &str| arguments.get(name).cloned();
    let needed = |name: &str| given(name).unwrap_or_else(|| panic!("{name}= is missing"));
    let conf = ServerConf {
        threads: needed("workers").parse().expect("a number of workers"),
        ca_file: Some(needed("ca")),
        upstream_keepalive_pool_size: KEPT,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let gateway = Gateway {
        origin: needed("origin").parse().expect("an address"),
        sni: given("sni"),
        h2: given("h2").is_some(),
        routes: Routes::read(&needed("routes")),
        log: given("log").map(|path| {
            Mutex::new(BufWriter::with_capacity(LOG_BUFFER, File::create(path).expect("a log")))
        }),
    };
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    let mut service =
        ProxyServiceBuilder::new(&server.configuration, gateway).server_options(options).build();
    service.add_tcp(&needed("listen"));
    server.add_service(service);
    server.run_forever();
}
