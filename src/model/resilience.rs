//! What keeps one upstream from harm, and the others from it: limits, keepalive, hashing, ejection.
//!
//! Plain data. What reaching a limit does is in `upstream::limits`, when an endpoint is ejected in
//! `upstream::health`.

use std::time::Duration;

use super::condition::is_token;

/// What there may be of at once, over all lanes; `None`: no limit of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// Connections, open or being opened.
    pub connections: Option<u32>,
    /// Requests that wait for a connection (Envoy's `max_pending_requests`).
    pub pending: Option<u32>,
    /// Requests under way.
    pub requests: Option<u32>,
    /// Requests that are being tried again. In place of the lane's own budget.
    pub retries: Option<u32>,
    /// HTTP/2 streams of one connection.
    pub streams: Option<u32>,
}

/// How a silent TCP connection is probed; `None`: as the gateway does anyway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub time: Option<Duration>,
    /// Time between two probes.
    pub interval: Option<Duration>,
    /// Probes without an answer that end the connection.
    pub probes: Option<u32>,
}

/// HTTP/2 PINGs (RFC 9113, section 6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pings {
    /// Time between two of them.
    pub interval: Duration,
    /// A connection that leaves one unanswered for so long is ended.
    pub timeout: Duration,
}

/// How many of an upstream's requests may be tried again at once (Envoy's `retry_budget`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    /// Of the requests under way.
    pub percent: u32,
    /// However few are under way.
    pub min: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, min: 3 }
    }
}

/// How an endpoint that is new gets its part of the requests by and by (Envoy's slow start).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warmup {
    /// How long it is new.
    pub duration: Duration,
    /// How steep its part grows at first, in thousandths; `None`: as time does.
    pub aggression_thousandths: Option<u32>,
    /// The least part, in thousandths of a percent; `None`: 10 %.
    pub minimum_percent_thousandths: Option<u32>,
}

impl Warmup {
    /// A number as it is kept here.
    pub fn thousandths(number: f64) -> Option<u32> {
        Some((number * 1000.0).round() as u32)
    }

    /// The exponent is one divided by this.
    pub fn aggression(&self) -> f64 {
        self.aggression_thousandths.map_or(1.0, |number| f64::from(number) / 1000.0)
    }

    /// The least part of what it will have.
    pub fn minimum(&self) -> f64 {
        self.minimum_percent() / 100.0
    }

    /// The same in percent.
    pub fn minimum_percent(&self) -> f64 {
        self.minimum_percent_thousandths.map_or(10.0, |number| f64::from(number) / 1000.0)
    }
}

/// When an endpoint is left out for a while (Envoy's outlier detection).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outliers {
    /// Statuses that count as errors, in place of all from 500; empty: those.
    pub statuses: Vec<u16>,
    /// Errors in a row; `None`: they don't count.
    pub errors: Option<u32>,
    /// Errors 502, 503 and 504 in a row; `None`: they don't count for themselves.
    pub gateway_errors: Option<u32>,
    /// Connections in a row that failed or broke; `None`: they count as answers 503 and 504 do.
    pub local_errors: Option<u32>,
    /// An endpoint that stays in for so long is forgiven one ejection.
    pub interval: Duration,
    /// The first time out; the n-th is n times as long, up to 300 s.
    pub ejection: Duration,
    /// No further endpoint is ejected once so many are.
    pub ejected_max_percent: u32,
    /// When fewer endpoints than this are in, none counts as ejected; 0: never.
    pub healthy_min_percent: u32,
}

impl Default for Outliers {
    /// Istio's.
    fn default() -> Self {
        Self {
            statuses: Vec::new(),
            errors: Some(5),
            gateway_errors: None,
            local_errors: None,
            interval: Duration::from_secs(10),
            ejection: Duration::from_secs(30),
            ejected_max_percent: 10,
            healthy_min_percent: 0,
        }
    }
}

impl Outliers {
    /// The status that an answer counts as: any from 500 is an error.
    pub fn counted(&self, status: u16) -> u16 {
        match self.statuses.as_slice() {
            [] => status,
            errors if errors.contains(&status) => status.max(500),
            _ => 200,
        }
    }
}

/// What an endpoint was ejected for, so many times in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ejection {
    Errors,
    GatewayErrors,
    LocalErrors,
}

impl Ejection {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Errors, Self::GatewayErrors, Self::LocalErrors];

    /// The `reason` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::GatewayErrors => "gateway_errors",
            Self::LocalErrors => "local_errors",
        }
    }
}

/// The endpoint follows from something about the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    /// What it follows from.
    pub by: HashBy,
    /// Which table Envoy would look it up in. Ours needs none: whichever it is, only the keys of an
    /// endpoint that comes or goes move.
    pub table: HashTable,
}

/// What about a request is hashed; a request without it goes anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashBy {
    /// A header line, by its name.
    Header(String),
    /// A cookie.
    Cookie(HashCookie),
    /// The client's address.
    SourceIp,
    /// A parameter of the query, by its name.
    Query(String),
}

/// A cookie that keeps a client with its endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashCookie {
    /// Its name.
    pub name: String,
    /// The path it is for; empty: not said.
    pub path: String,
    /// A client without it gets one for so long, for zero until its session ends; `None`: it gets none.
    pub ttl: Option<Duration>,
    /// What is said of the cookie besides, by names and values; an empty value: the name alone.
    pub attributes: Vec<(String, String)>,
}

impl HashCookie {
    /// Whether an attribute can stand in its line: a name, and a value without control characters and `;`
    /// (RFC 6265, section 4.1.1).
    pub fn takes(name: &str, value: &str) -> bool {
        let is_value = value.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b';');
        is_token(name) && is_value
    }

    /// The line that gives a client this value for it, as Envoy writes it; `None`: it gets none.
    pub fn given(&self, value: &str) -> Option<String> {
        let mut line = format!("{}=\"{value}\"", self.name);
        let mut say = |name: &str, value: &str| {
            line.push_str("; ");
            line.push_str(name);
            if !value.is_empty() {
                line.push('=');
                line.push_str(value);
            }
        };
        let age = self.ttl?.as_secs();
        if age > 0 {
            say("Max-Age", &age.to_string());
        }
        if !self.path.is_empty() {
            say("Path", &self.path);
        }
        self.attributes.iter().for_each(|(name, value)| say(name, value));
        say("HttpOnly", "");
        Some(line)
    }
}

/// Envoy's tables with their sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashTable {
    Ring { size_min: u32 },
    Maglev { size: u32 },
}

impl Default for HashTable {
    /// Istio's.
    fn default() -> Self {
        Self::Ring { size_min: 1024 }
    }
}
