//! What is done with a request: virtual hosts, rules in order, and what a rule does.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::condition::Condition;
use super::cors::Cors;
use super::fault::{Fault, Fraction};
use super::header_value::HeaderValue;
use super::host::HostPattern;
use super::pattern::Substitution;
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
    pub rules: Vec<Arc<Rule>>,
}

/// A condition and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Route name as the access log prints it; empty when it was given none.
    pub name: String,
    /// What its requests are counted by besides (Envoy's `stat_prefix`); empty: they are not.
    pub stat_prefix: String,
    /// What is asked of a request.
    pub condition: Condition,
    /// What is put in the way of a request that fulfils it.
    pub fault: Option<Fault>,
    /// What is done with it.
    pub action: Action,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Carry the request to an upstream.
    Forward(Forward),
    /// Answer with another place to ask at.
    Redirect(Redirect),
    /// Answer with this.
    Respond(Respond),
}

impl Action {
    /// How the request is carried, where it is.
    pub fn forward(&self) -> Option<&Forward> {
        match self {
            Self::Forward(forward) => Some(forward),
            Self::Redirect(_) | Self::Respond(_) => None,
        }
    }
}

/// Another place to ask at; what is not given is the request's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// The host, with or without a port.
    pub authority: Option<String>,
    /// The port, in place of any other.
    pub port: Option<u16>,
    /// The path; with a `?` in it, in place of the request's query too.
    pub path: Option<String>,
    /// Edits of the response head.
    pub response: HeaderEdits,
}

/// An answer that is written down in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respond {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// Edits of the response head.
    pub response: HeaderEdits,
}

/// How a request is carried to an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// One destination or several, each with a weight above zero.
    pub to: Vec<Share>,
    /// Time from the whole request to the whole response; `None`: no limit, as Istio.
    pub timeout: Option<Duration>,
    /// When and how often to try again.
    pub retry: Retry,
    /// A Host (with or without port) to send in place of the client's.
    pub rewrite_host: Option<String>,
    /// What the path becomes; the query stays.
    pub rewrite_path: Option<Box<PathRewrite>>,
    /// Edits of the request head, in the order remove, set, append.
    pub request: HeaderEdits,
    /// Edits of the response head.
    pub response: HeaderEdits,
    /// Who gets a copy of the request; nobody waits for what they answer.
    pub mirrors: Vec<Mirror>,
    /// Which pages of other sites may read the answers.
    pub cors: Option<Box<Cors>>,
}

/// Where copies of requests are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Whom to.
    pub to: Destination,
    /// Of how many of the requests.
    pub fraction: Fraction,
}

/// A destination and its part of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Where they are carried.
    pub to: Destination,
    /// Its part, relative to the other shares' weights.
    pub weight: u32,
    /// A Host to send in place of the client's; the route's own counts for more.
    pub rewrite_host: Option<String>,
    /// Edits of the request head, made before the route's own (Envoy's order).
    pub request: HeaderEdits,
    /// Edits of the response head, made before the route's own.
    pub response: HeaderEdits,
}

impl Share {
    /// All that comes, as it comes.
    pub fn whole(to: Destination) -> Self {
        Self {
            to,
            weight: 1,
            rewrite_host: None,
            request: HeaderEdits::default(),
            response: HeaderEdits::default(),
        }
    }
}

/// What a path becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathRewrite {
    /// This stands in place of what the rule's condition matched: the prefix, or the whole path.
    Matched(String),
    /// Each match of an expression is replaced.
    Regex(Substitution),
}

/// Where a request is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// An index into `Plan::upstreams`.
    Upstream(usize),
    /// A name that no upstream has: 503 `NC` when a request comes, as Istio.
    Missing(String),
}

/// Edits of one message head. Most rules have none, so there is only room for them where there are some.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderEdits(Option<Box<EditLists>>);

/// What the edits are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EditLists {
    /// Names to remove.
    pub remove: Vec<String>,
    /// Lines to put in place of all lines of that name.
    pub set: Vec<HeaderEdit>,
    /// Lines to append beside those of that name.
    pub add: Vec<HeaderEdit>,
}

static NO_EDITS: EditLists = EditLists { remove: Vec::new(), set: Vec::new(), add: Vec::new() };

impl From<EditLists> for HeaderEdits {
    fn from(lists: EditLists) -> Self {
        Self((lists != NO_EDITS).then(|| Box::new(lists)))
    }
}

impl Deref for HeaderEdits {
    type Target = EditLists;

    fn deref(&self) -> &EditLists {
        self.0.as_deref().unwrap_or(&NO_EDITS)
    }
}

impl HeaderEdits {
    /// The lists themselves.
    pub fn into_lists(self) -> EditLists {
        self.0.map_or_else(EditLists::default, |lists| *lists)
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a line waits for a request to say what it is.
    pub fn has_formats(&self) -> bool {
        let is_format = |line: &HeaderEdit| matches!(line.value, HeaderValue::Format(_));
        self.set.iter().chain(&self.add).any(is_format)
    }
}

/// One header line to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderEdit {
    /// Field name, as it was written.
    pub name: String,
    /// Field value.
    pub value: HeaderValue,
}

impl Forward {
    /// Carries everything to one destination, with every default.
    pub fn new(to: Destination) -> Self {
        Self {
            to: vec![Share::whole(to)],
            timeout: None,
            retry: Retry::default(),
            rewrite_host: None,
            rewrite_path: None,
            request: HeaderEdits::default(),
            response: HeaderEdits::default(),
            mirrors: Vec::new(),
            cors: None,
        }
    }

    /// The Host that a share's requests are sent with, where it is not the client's.
    pub fn host_sent<'r>(&'r self, share: &'r Share) -> Option<&'r str> {
        self.rewrite_host.as_deref().or(share.rewrite_host.as_deref())
    }
}
