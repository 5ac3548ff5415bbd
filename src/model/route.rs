//! What is done with a request: virtual hosts, rules in order, and what a rule does.

use std::time::Duration;

use super::host::{Host, HostPattern};
use super::retry::Retry;

/// One virtual host: the hosts it answers to on some listeners, and its rules in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Virtual host name, e.g. `edition.cnn.com:443`.
    pub name: String,
    /// The listeners it is served on, as indices into `Plan::listeners`.
    pub listeners: Vec<usize>,
    /// The hosts it answers to; no other route of the same listener has any of them.
    pub hosts: Vec<HostPattern>,
    /// The first rule that matches decides; none: 404.
    pub rules: Vec<Rule>,
}

/// A condition and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Route name as the access log prints it; empty when it was given none.
    pub name: String,
    /// The condition on the path, query excluded.
    pub path: PathMatch,
    /// The methods it takes; empty: every method.
    pub methods: Vec<String>,
    /// What is done with a request that matches.
    pub action: Action,
}

impl Rule {
    /// Whether the rule takes a request for this path (without its query) and method.
    pub fn takes(&self, path: &[u8], method: &[u8]) -> bool {
        self.path.matches(path)
            && (self.methods.is_empty()
                || self.methods.iter().any(|taken| taken.as_bytes() == method))
    }
}

/// A condition on the path, without the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// A string prefix, as Istio and Envoy mean it: `/api` also matches `/apifoo`. `/` is every path.
    Prefix(String),
}

impl PathMatch {
    /// Whether the path, without its query, fulfils the condition.
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(whole) => path == whole.as_bytes(),
            Self::Prefix(prefix) => prefix == "/" || path.starts_with(prefix.as_bytes()),
        }
    }

    /// Whether every path fulfils the condition.
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Prefix(prefix) if prefix == "/")
    }
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Carry the request to an upstream.
    Forward(Forward),
}

/// How a request is carried to an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// One destination or several, each with a weight above zero.
    pub to: Vec<(Destination, u32)>,
    /// Time from the whole request to the whole response; `None`: no limit, as Istio.
    pub timeout: Option<Duration>,
    /// When and how often to try again.
    pub retry: Retry,
    /// A Host (with or without port) to send in place of the client's.
    pub rewrite_host: Option<String>,
    /// Edits of the request head, in the order remove, set, append.
    pub request: HeaderEdits,
    /// Edits of the response head.
    pub response: HeaderEdits,
}

/// Where a request is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// An index into `Plan::upstreams`.
    Upstream(usize),
    /// A name that no upstream has: 503 `NC` when a request comes, as Istio.
    Missing(String),
}

/// Edits of one message head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Names to remove.
    pub remove: Vec<String>,
    /// Lines to put in place of all lines of that name.
    pub set: Vec<HeaderEdit>,
    /// Lines to append beside those of that name.
    pub add: Vec<HeaderEdit>,
}

impl HeaderEdits {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

/// One header line to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderEdit {
    /// Field name, as it was written.
    pub name: String,
    /// Field value.
    pub value: String,
}

impl Forward {
    /// Carries everything to one destination, with every default.
    pub fn new(to: Destination) -> Self {
        Self {
            to: vec![(to, 1)],
            timeout: None,
            retry: Retry::default(),
            rewrite_host: None,
            request: HeaderEdits::default(),
            response: HeaderEdits::default(),
        }
    }

    /// The host that the rewrite names, without a port.
    pub fn rewritten_host(&self) -> Option<Host> {
        let text = self.rewrite_host.as_deref()?;
        let authority = super::Authority::parse(text.as_bytes())?;
        Host::parse(authority.host()).ok()
    }
}
