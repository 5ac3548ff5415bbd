//! The far side: from "this upstream" to an open, verified connection.
//!
//! An [`Upstream`] holds what must survive a reload: endpoints and TLS sessions. It opens nothing by
//! itself (that is [`connect::open`]) and knows neither routes nor requests.

pub mod balance;
pub mod connect;
pub mod dial;
pub mod dns;
pub mod dynamic;
pub mod endpoints;
pub mod freshness;
pub mod guard;
pub mod h1;
pub mod h2;
pub mod hash;
pub mod health;
pub mod limits;
pub mod overrides;
pub mod pool;
pub mod proxy_protocol;
pub mod tls;
pub mod warmup;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::model::resilience::UpstreamLimits;
use crate::model::{
    Addressing, Failure, GuardMode, Host, Policy, Security, Target, UpstreamKey, UpstreamSpec,
};
use crate::quota::Quota;
use dynamic::Names;
use endpoints::{EndpointSet, Known};
use guard::{Chosen, Class, Guard};
use health::Watch;
use limits::Limits;
use tls::{TlsClients, TlsContext};

/// One upstream, shared by every lane. Lanes read it; control alone adopts and publishes.
pub struct Upstream {
    /// Unique in the process; never used again.
    pub id: u32,
    /// What makes it this upstream and no other.
    pub key: Arc<UpstreamKey>,
    /// What may change under it.
    pub policy: ArcSwap<Policy>,
    /// Whose turn it is, for round robin over all lanes.
    pub turn: AtomicUsize,
    /// The addresses that can be dialled now.
    pub endpoints: EndpointSet,
    /// Its names with the addresses of each, where the destination is the request's own host; it stays
    /// so as long as the upstream lives.
    pub names: Option<Box<Names>>,
    /// Requests that wait for its first address or for a connection, over all lanes.
    pub pending: Arc<Quota>,
    addressing: ArcSwap<Addressing>,
    watch: Watch,
    /// What its own limits count; there from the first policy on that has any.
    limits: OnceLock<Arc<Limits>>,
    tls: Tls,
    /// Rung by `adopt` when the addressing changed and by `drop`; `endpoints::keep_fresh` waits on it.
    changed: Arc<Notify>,
    /// Whether somebody keeps its endpoints fresh.
    followed: AtomicBool,
    /// Set when no configuration names it any more: what is under way goes on, nothing is kept.
    retired: AtomicBool,
    /// What was warned of, once for each kind of network. Only who looks names up and who looks at it
    /// takes the lock.
    concerns: Mutex<Vec<(Class, String)>>,
    warned_of_plain_text: AtomicBool,
    warned_of_redirect: AtomicBool,
}

enum Tls {
    Plain,
    Originate(Box<TlsClients>),
    Broken(String),
}

/// The port of HTTP over TLS (RFC 9110, section 4.2.2).
const TLS_PORT: u16 = 443;

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

impl Upstream {
    /// Builds the upstream; addresses that need no lookup are there at once.
    ///
    /// Never fails: with an unusable TLS policy every connection is [`Failure::Misconfigured`].
    pub fn new(spec: &UpstreamSpec, context: &TlsContext) -> Arc<Self> {
        let tls = match &spec.key.security {
            Security::Plain => Tls::Plain,
            Security::Broken(reason) => Tls::Broken(reason.clone()),
            Security::Tls(tls) => match TlsClients::new(tls, spec.key.protocol, context) {
                Ok(clients) => Tls::Originate(Box::new(clients)),
                Err(reason) => Tls::Broken(reason),
            },
        };
        let changed = Arc::new(Notify::new());
        let names = match *spec.addressing {
            Addressing::Dynamic(port) => {
                Some(Box::new(Names::new(spec.key.host.clone(), port, Arc::clone(&changed))))
            }
            _ => None,
        };
        let upstream = Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            key: Arc::clone(&spec.key),
            policy: ArcSwap::new(Arc::clone(&spec.policy)),
            turn: AtomicUsize::new(0),
            endpoints: EndpointSet::pending(),
            names,
            pending: Arc::default(),
            addressing: ArcSwap::new(Arc::clone(&spec.addressing)),
            watch: Watch::new(spec.policy.outliers.as_deref()),
            limits: OnceLock::new(),
            tls,
            changed,
            followed: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            concerns: Mutex::default(),
            warned_of_plain_text: AtomicBool::new(false),
            warned_of_redirect: AtomicBool::new(false),
        };
        upstream.count_what_is_limited();
        upstream.publish_written_addresses();
        Arc::new(upstream)
    }

    /// Whether it can become what a spec with the same key says: who is called on behalf of requests and
    /// who is called by name have no connection in common.
    pub fn can_adopt(&self, spec: &UpstreamSpec) -> bool {
        match (&**self.addressing.load(), &*spec.addressing) {
            (Addressing::Dynamic(now), Addressing::Dynamic(then)) => now == then,
            (Addressing::Dynamic(_), _) | (_, Addressing::Dynamic(_)) => false,
            _ => true,
        }
    }

    /// Takes the policy and the addressing of a spec that it can adopt; connections live on.
    ///
    /// Endpoints that were known stay until the new addressing has its first answer.
    pub fn adopt(&self, spec: &UpstreamSpec) {
        debug_assert!(self.key == spec.key && self.can_adopt(spec));
        let before = self.policy.load_full();
        if before != spec.policy {
            self.policy.store(Arc::clone(&spec.policy));
            self.watch.adopt(spec.policy.outliers.as_deref());
            self.count_what_is_limited();
            self.endpoints.some_new.store(true, Ordering::Relaxed); // a warm-up may be new
        }
        if *self.addressing.load() != spec.addressing || before.weights != spec.policy.weights {
            self.addressing.store(Arc::clone(&spec.addressing));
            self.publish_written_addresses();
            self.changed.notify_one();
        }
    }

    fn count_what_is_limited(&self) {
        let policy = self.policy.load();
        let UpstreamLimits { connections, requests, retries, .. } = policy.limits;
        if connections.or(requests).or(retries).is_some() || policy.retry_budget.is_some() {
            self.limits.get_or_init(Arc::default);
        }
    }

    /// What its own limits count; `None`: it never had any.
    pub fn limits(&self) -> Option<&Arc<Limits>> {
        self.limits.get()
    }

    /// Requests under way to its endpoints.
    pub fn requests_active(&self) -> u64 {
        if let Some(names) = &self.names {
            return names.requests_active();
        }
        let Known::Ready(endpoints) = &**self.endpoints.load() else { return 0 };
        endpoints.list.iter().map(|one| u64::from(one.active.load(Ordering::Relaxed))).sum()
    }

    /// Says that no configuration names it any more.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Whether its connections are not to be kept any more.
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// Where the endpoints come from.
    pub fn addressing(&self) -> Arc<Addressing> {
        self.addressing.load_full()
    }

    /// Why no connection can ever be made, when the TLS policy is unusable.
    pub fn broken(&self) -> Option<&str> {
        match &self.tls {
            Tls::Broken(reason) => Some(reason),
            Tls::Plain | Tls::Originate(_) => None,
        }
    }

    /// The part of a request that its connection depends on: pools must never share across it.
    ///
    /// `None`: connections fit every request, as plain text does and TLS with a fixed `sni` (both
    /// the SNI and the name that is checked are then the same for all). Else the SNI is the
    /// request's host, and so is the name checked unless names are listed; and where the destination is
    /// the request's host, connections are of that host alone.
    pub fn server_name<'a>(&self, request_host: &'a str) -> Option<&'a str> {
        match &self.key.security {
            _ if self.names.is_some() => Some(request_host),
            Security::Tls(tls) if tls.sni.is_none() => Some(request_host),
            _ => None,
        }
    }

    /// Whether plain text is spoken to a port that is meant for TLS.
    pub fn is_plain_on_tls_port(&self) -> bool {
        self.key.security.is_plain() && self.key.port == TLS_PORT
    }

    /// Says once that an origin does not take the plain text that it is spoken to in; `answer` is what it
    /// did instead.
    pub fn warn_of_plain_text(&self, answer: &str) {
        if !self.warned_of_plain_text.swap(true, Ordering::Relaxed) {
            let UpstreamKey { name, host, port, .. } = &*self.key;
            tracing::warn!(
                "{host}:{port} is spoken to in plain text and {answer}: the origin expects TLS there; let \
                 {name} originate it (`egret explain` says what is missing)"
            );
        }
    }

    /// Says once that an origin redirects a request over TLS to the same URL in https.
    pub fn warn_of_redirect_to_itself(&self, status: u16) {
        if !self.warned_of_redirect.swap(true, Ordering::Relaxed) {
            let UpstreamKey { host, port, .. } = &*self.key;
            tracing::warn!(
                "{host}:{port} answered {status} to its own https URL over TLS: it goes by \
                 X-Forwarded-Proto, which does not say https; use --forwarded-proto https [EG020]"
            );
        }
    }

    /// Who says where its connections lead.
    pub fn chosen(&self) -> Chosen {
        if self.names.is_some() { Chosen::ByRequest } else { Chosen::ByConfiguration }
    }

    /// Publishes what the addressing itself says, when no lookup is needed.
    fn publish_written_addresses(&self) {
        match &**self.addressing.load() {
            Addressing::Static(list) if !list.is_empty() => {
                let policy = self.policy.load();
                let weight = |address: &SocketAddr| {
                    let host = Host::parse(&address.ip().to_string()).ok()?;
                    Some(policy.weight(&Target { host, port: address.port() }))
                };
                let weighted = list.iter().map(|one| (*one, weight(one).unwrap_or(1)));
                self.endpoints.publish_weighted(&weighted.collect::<Vec<_>>());
            }
            Addressing::Static(_) => self.publish_no_endpoint("the list of endpoints is empty"),
            Addressing::Dns(names) if names.is_empty() => {
                self.publish_no_endpoint("the list of names is empty");
            }
            Addressing::Nowhere(why) => self.publish_no_endpoint(why),
            Addressing::Dns(_) | Addressing::LogicalDns(_) | Addressing::Dynamic(_) => {}
        }
    }

    fn publish_no_endpoint(&self, why: &str) {
        let reason = format!("{} has no endpoint: {why}", self.key.name);
        self.endpoints.publish_failure(Failure::NoEndpoint(reason));
    }

    /// What was found of its addresses that somebody should know, a sentence for each kind of network.
    pub fn concerns(&self) -> Vec<String> {
        let concerns = self.concerns.lock().unwrap_or_else(PoisonError::into_inner);
        concerns.iter().map(|(_, text)| text.clone()).collect()
    }

    /// Says once for each kind of network that a name answers with an address inside it.
    fn warn_of_inside_addresses(&self, addresses: &[SocketAddr], guard: &Guard) {
        for address in addresses {
            let Some(class) = guard.concern(address.ip()) else { continue };
            let what = match guard.mode() {
                GuardMode::Enforce => "and is not dialled (--guard enforce)",
                GuardMode::Warn | GuardMode::Off => {
                    "and is dialled; --guard enforce would refuse it"
                }
            };
            self.warn_once(class, || {
                format!("{} resolves to {address}, which is {class}, {what}", self.key.host)
            });
        }
    }

    fn warn_once(&self, class: Class, text: impl FnOnce() -> String) {
        let mut concerns = self.concerns.lock().unwrap_or_else(PoisonError::into_inner);
        if concerns.iter().all(|(told, _)| *told != class) {
            let text = text();
            tracing::warn!("{}: {text} [EG053]", self.key.name);
            concerns.push((class, text));
        }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upstream({}, {})", self.id, self.key.name)
    }
}

impl Drop for Upstream {
    /// Lets `keep_fresh` notice that nobody needs it any more.
    fn drop(&mut self) {
        if let Some(limits) = self.limits.get() {
            limits.end();
        }
        self.changed.notify_one();
    }
}
