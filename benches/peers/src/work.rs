//! What the origin, the load generator and the driver have to agree upon.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The host that every experiment asks for, unless it is about hosts.
pub const HOST: &str = "edition.cnn.com";
/// The domain of all other hosts that are routed; the origin's certificate holds for one label below it.
pub const DOMAIN: &str = "bench.test";
/// A host that no gateway routes: its 404 tells that a gateway is ready.
pub const UNROUTED: &str = "not.routed.test";

/// The key and its answer of RFC 6455, section 1.3: all connections use it, so that nobody needs SHA-1.
pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What the origin answers to [`WEBSOCKET_KEY`].
pub const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What the load generator prints when it is set up and its warm-up is over; a line to it starts the work.
pub const READY: &str = "ready";

/// The percentiles that are told, from which curves are drawn.
pub const PERCENTILES: [f64; 12] =
    [50.0, 75.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.75, 99.9, 99.95, 99.99, 100.0];

/// What the load generator is to do; its argument is this, in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Work {
    /// Where the gateway listens.
    pub to: SocketAddr,
    /// The host that is asked for. `{}` in it is a number from nought, another one for each request.
    pub host: String,
    /// How many such numbers there are.
    pub hosts: usize,
    /// The path that is asked for.
    pub path: String,
    /// What is sent with a request.
    pub payload: Payload,
    /// The status that an answer should have.
    pub expect: u16,
    /// How it is said.
    pub protocol: Protocol,
    /// How many connections there are, at most.
    pub connections: usize,
    /// For how long, in seconds, the same is done before it counts; nought: not at all.
    pub warm_up: f64,
    /// When requests are sent.
    pub shape: Shape,
}

/// A request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// A GET has none.
    None,
    /// A POST of so many bytes.
    Length(usize),
    /// A POST of so many bytes, in chunks of 16 KiB.
    Chunked(usize),
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// HTTP/1.1, one request at a time on a connection.
    Http1,
    /// HTTP/2 by prior knowledge, so many requests at once on a connection.
    H2c {
        /// How many.
        streams: usize,
    },
    /// HTTP/1.1 and an upgrade, then messages that come back.
    WebSocket,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Shape {
    /// Closed loop: each connection sends its next request when the last one is answered.
    Closed(Until),
    /// Open loop: at random times, whether or not earlier requests are answered, on whichever connection
    /// is free. A request's time counts from when it should have been sent.
    Open {
        /// How many a second, on average.
        rate: f64,
        /// For how long.
        seconds: f64,
        /// From which the times follow: the same for all that are compared.
        seed: u64,
    },
    /// Connections that do nothing until the parent is gone.
    Idle {
        /// Whether each sends a request before.
        served: bool,
    },
    /// Connections that each wait for an answer until the parent is gone.
    Held,
    /// Every connection sends a request and reads its answer slowly until the parent is gone.
    Slow {
        /// So many bytes a second.
        rate: usize,
    },
}

/// When a closed loop ends.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Until {
    /// After so many seconds.
    Seconds(f64),
    /// After so many requests.
    Requests(u64),
}

/// What became of a piece of work: the load generator prints it as one line of JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Requests answered in full, with the status that was expected.
    pub requests: u64,
    /// Requests that were not: connections refused or broken, other statuses, bodies cut short.
    pub failures: u64,
    /// Requests that should have been sent by the end, and still were not: the gateway was overloaded.
    pub unsent: u64,
    /// Connections opened after the first ones.
    pub reconnects: u64,
    /// How long the work took, in seconds.
    pub seconds: f64,
    /// The CPU time that the load generator itself used, in seconds.
    pub cpu_seconds: f64,
    /// Bytes of bodies that were read.
    pub bytes: u64,
    /// How often each status came, expected or not.
    pub statuses: BTreeMap<u16, u64>,
    /// What the first failure was.
    pub first_failure: Option<String>,
    /// The mean time of a request in microseconds.
    pub mean_us: f64,
    /// The time of a request in microseconds at each of [`PERCENTILES`].
    pub latency_us: Vec<f64>,
}

impl Summary {
    /// The time of a request in microseconds at one of [`PERCENTILES`].
    pub fn latency_us(&self, percent: f64) -> Option<f64> {
        let at = PERCENTILES.iter().position(|known| *known == percent)?;
        self.latency_us.get(at).copied()
    }
}

/// What an origin has seen since it started: its stats port tells it as one line of JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    /// TCP connections accepted.
    pub accepted: u64,
    /// Handshakes with a certificate.
    pub full: u64,
    /// Handshakes that resumed a session.
    pub resumed: u64,
    /// Handshakes by the group of their key exchange.
    pub groups: BTreeMap<String, u64>,
    /// Connections that are open.
    pub open: u64,
    /// Requests that wait at `/hold`.
    pub held: u64,
}

impl Counts {
    /// What was added since `earlier`; of what is open and held, how much there is now.
    pub fn since(&self, earlier: &Self) -> Self {
        let groups = self.groups.iter().map(|(group, count)| {
            (group.clone(), count - earlier.groups.get(group).copied().unwrap_or_default())
        });
        Self {
            accepted: self.accepted - earlier.accepted,
            full: self.full - earlier.full,
            resumed: self.resumed - earlier.resumed,
            groups: groups.filter(|(_, count)| *count > 0).collect(),
            open: self.open,
            held: self.held,
        }
    }
}

/// Where an origin listens: it prints this as one line of JSON when it does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct OriginPorts {
    /// TLS.
    pub tls: u16,
    /// The counts, and the release of what is held: plain text.
    pub stats: u16,
}
