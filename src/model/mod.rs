//! Egret's vocabulary: what a configuration means, as plain data.
//!
//! No I/O, no async, no YAML and no Istio here. Everything is `Eq`, so "did it change?" is `==`;
//! where something stood in a file is kept beside the plan (`config::provenance`), never inside it.

pub mod condition;
pub mod cors;
pub mod duration;
pub mod failure;
pub mod fault;
pub mod header_value;
pub mod headers;
pub mod host;
pub mod limit;
pub mod listener;
pub mod network;
pub mod pattern;
pub mod resilience;
pub mod retry;
pub mod route;
pub mod spelling;
pub mod upstream;

pub use condition::{Condition, Field, FieldMatch, PathMatch, QueryMatch, TextMatch};
pub use cors::Cors;
pub use failure::{Failure, Flag, Refused};
pub use fault::{Abort, Aborted, Delay, Fault, Fraction};
pub use header_value::HeaderValue;
pub use headers::HeaderPolicy;
pub use host::{Authority, Host, HostPattern};
pub use limit::Limit;
pub use listener::Listener;
pub use network::{GuardMode, GuardPolicy, Network};
pub use pattern::{Pattern, Substitution};
pub use retry::Retry;
pub use route::{
    Action, Destination, EditLists, Forward, HeaderEdit, HeaderEdits, Mirror, PathRewrite,
    Redirect, Respond, Route, Rule, Share,
};
pub use upstream::{
    Addressing, Balance, Policy, Protocol, ProxyProtocol, Security, Target, TlsSpec, UpstreamKey,
    UpstreamSpec,
};

/// Everything a set of documents asks for: where clients knock, what is routed, and to whom.
///
/// Invariants: every `Route::listeners` entry indexes `listeners`, and every
/// `Destination::Upstream` indexes `upstreams`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Ports the gateway listens on.
    pub listeners: Vec<Listener>,
    /// Virtual hosts, in the order they were written.
    pub routes: Vec<Route>,
    /// Every upstream that can be named, whether a route uses it or not.
    pub upstreams: Vec<UpstreamSpec>,
}
