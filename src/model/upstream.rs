//! Upstreams: who is called, how the connection is secured, and how it is pooled.
//!
//! The key says which upstream it is: connections, TLS sessions and counters survive a reload as long
//! as the key is equal. Policy and addressing may change under it.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::host::Host;
use super::resilience::{Hashed, Keepalive, Outliers, Pings, RetryBudget, UpstreamLimits, Warmup};

/// Everything that is known of one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSpec {
    /// What makes it this upstream and no other.
    pub key: Arc<UpstreamKey>,
    /// What may change while its connections live on; upstreams with the same share it.
    pub policy: Arc<Policy>,
    /// Where its endpoints come from.
    pub addressing: Arc<Addressing>,
}

/// The identity of an upstream; equal keys may share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamKey {
    /// Cluster name as Istio prints it, e.g. `outbound|443||edition.cnn.com`.
    pub name: String,
    /// The host it stands for, as the routes name it; of a wildcard what follows `*.`.
    pub host: Host,
    /// The port of the service, which is what the default port of a Host is judged by.
    pub port: u16,
    /// Plain text or TLS, and which.
    pub security: Security,
    /// The HTTP version to speak.
    pub protocol: Protocol,
    /// What each connection tells of the client first; `None`: nothing.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// A version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyProtocol {
    /// What follows from it, for whoever asks for it.
    pub const GIVES_AWAY: &str = "each connection tells the origin addresses of the inside: the client's, and the one that it connected to";

    /// Istio's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "V1",
            Self::V2 => "V2",
        }
    }
}

/// Which HTTP version an upstream is spoken to in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Over TLS what ALPN negotiates (h2 or http/1.1), else HTTP/1.1.
    Negotiate,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone; in plain text with prior knowledge.
    Http2,
    /// What the client speaks.
    Client,
}

/// How a connection is secured.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Security {
    /// Plain text.
    Plain,
    /// TLS originated by the gateway.
    Tls(Arc<TlsSpec>),
    /// The TLS policy is unusable: requests fail closed with this reason, never in plain text.
    Broken(String),
}

impl Security {
    /// Whether plain text is spoken.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }
}

/// TLS origination, with certificates by content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsSpec {
    /// The SNI to send; `None`: the host of the request after any rewrite (none for an IP literal).
    pub sni: Option<Host>,
    /// The certificate must carry one of these names. Empty: `sni` if given, else the request's host.
    pub subject_alt_names: Vec<String>,
    /// The certificate must carry one of these names besides (a service's own list); empty: no such rule.
    pub service_alt_names: Vec<String>,
    /// Who is trusted to sign.
    pub roots: Roots,
    /// Certificates that were taken back; `None`: nobody is asked.
    pub revoked: Option<RevocationList>,
    /// The certificate the gateway shows; `None`: none.
    pub identity: Option<ClientIdentity>,
    /// No verification at all: neither chain nor name.
    pub skip_verify: bool,
}

/// TLS settings, each once: upstreams that say the same share what they say.
#[derive(Debug, Default)]
pub struct TlsSpecs(HashSet<Arc<TlsSpec>>);

impl TlsSpecs {
    /// The same, shared with those that were asked for before.
    pub fn shared(&mut self, security: Security) -> Security {
        let Security::Tls(spec) = security else { return security };
        if let Some(known) = self.0.get(&spec) {
            return Security::Tls(Arc::clone(known));
        }
        self.0.insert(Arc::clone(&spec));
        Security::Tls(spec)
    }
}

/// Who is trusted to sign an upstream's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// The web's roots, built in.
    Web,
    /// The roots of the operating system.
    System,
    /// A bundle, in PEM; its path is only for messages.
    Pem { path: String, pem: Arc<[u8]> },
}

/// A revocation list (RFC 5280, section 5) in PEM; its path is only for messages. Where there is one, each
/// authority of a chain must have one, as in Envoy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    pub path: String,
    pub pem: Arc<[u8]>,
}

/// A client certificate with its key, both in PEM; the paths are only for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    pub certificate_path: String,
    pub certificate: Arc<[u8]>,
    pub key_path: String,
    pub key: Arc<[u8]>,
}

// Files count by their names alone: a table of many upstreams that trust the same long bundle would else read it
// for each of them. Two contents of one name are told apart where they are compared.

impl Hash for Roots {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Web => state.write_u8(0),
            Self::System => state.write_u8(1),
            Self::Pem { path, .. } => path.hash(state),
        }
    }
}

impl Hash for RevocationList {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
    }
}

impl Hash for ClientIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.certificate_path, &self.key_path).hash(state);
    }
}

/// What may change while connections live on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which endpoint is next.
    pub balance: Balance,
    /// How an endpoint begins that is new; `None`: as the others go on.
    pub warmup: Option<Warmup>,
    /// Of targets that count for more, or less, than one of the others: those that are not listed count 1.
    pub weights: Vec<(Target, u32)>,
    /// Time for one connection, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Requests after which a connection is closed; `None`: no limit.
    pub requests_per_connection_max: Option<u32>,
    /// How long a connection may take further requests; `None`: no limit.
    pub connection_age_max: Option<Duration>,
    /// How silent connections are probed.
    pub keepalive: Keepalive,
    /// How silent HTTP/2 connections are probed; `None`: not at all.
    pub pings: Option<Pings>,
    /// What there may be of at once.
    pub limits: UpstreamLimits,
    /// How much may be tried again at once; `None`: as the lane's own budget says.
    pub retry_budget: Option<RetryBudget>,
    /// When an endpoint is left out for a while; `None`: never.
    pub outliers: Option<Box<Outliers>>,
}

impl Default for Policy {
    /// Istio's defaults, but 50 s for idle connections: most origins close theirs after 60 to 75 s.
    fn default() -> Self {
        Self {
            balance: Balance::LeastRequest,
            warmup: None,
            weights: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(50),
            requests_per_connection_max: None,
            connection_age_max: None,
            keepalive: Keepalive::default(),
            pings: None,
            limits: UpstreamLimits::default(),
            retry_budget: None,
            outliers: None,
        }
    }
}

impl Policy {
    /// Brings the weights into one order, so that equal ones compare equal.
    pub fn sort_weights(&mut self) {
        self.weights.sort_by(|(one, _), (other, _)| {
            (one.host.as_str(), one.port).cmp(&(other.host.as_str(), other.port))
        });
        self.weights.dedup_by(|other, one| other.0 == one.0); // named twice: the first counts
    }

    /// What a target counts.
    pub fn weight(&self, target: &Target) -> u32 {
        let listed = self.weights.iter().find(|(known, _)| known == target);
        listed.map_or(1, |(_, weight)| *weight)
    }
}

/// Which endpoint is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// Of two drawn at random, the one with fewer requests under way.
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// The one that follows from something about the request.
    Hashed(Box<Hashed>),
}

/// Where endpoints come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressing {
    /// Every address of every name is an endpoint (Envoy's STRICT_DNS).
    Dns(Vec<Target>),
    /// One address of the name at a time is the endpoint (Envoy's LOGICAL_DNS).
    LogicalDns(Target),
    /// These addresses.
    Static(Vec<SocketAddr>),
    /// The request's own host after any rewrite, at this port, where it lies under the upstream's host
    /// (`*.` and that host): each name has endpoints of its own.
    Dynamic(u16),
    /// None at all, and why: 503 `UH`.
    Nowhere(String),
}

/// A name (or IP literal) and port to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    pub host: Host,
    pub port: u16,
}
