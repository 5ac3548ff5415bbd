//! The fields of Egret's own form, as they may be written. No logic.
//!
//! Durations, URLs and names stay text here, so that a wrong one is reported with the others.

mod resilience;
mod rule;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub(super) use resilience::{Cookie, Hash, Outliers, Pool, Warmup, Weights};
pub(super) use rule::{Route, Rule, Upstream};

/// One document.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    /// Read by `settings`, whose keys are those of the flags.
    pub settings: Option<Value>,
    pub listeners: Option<Vec<Listener>>,
    /// Upstreams with a name of their own, for what a `to:` alone cannot say.
    pub upstreams: Vec<Upstream>,
    pub routes: Vec<Route>,
}

/// A port where clients knock.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Listener {
    pub port: Option<u16>,
    /// The address and port really bound, in place of `--bind` and `--port-map`.
    pub bind: Option<String>,
    pub name: Option<String>,
    pub route_table: Option<String>,
}

/// A part of the requests.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Share {
    pub to: Option<String>,
    pub weight: Option<u32>,
    /// As beside `to`, for this share alone.
    pub host: Option<String>,
    /// As beside `to`, for this share alone; they are made first.
    pub headers: Option<Headers>,
}

/// What is asked of a request; all of it must hold.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Match {
    pub path: Option<Path>,
    /// Any of these.
    pub methods: Option<Vec<String>>,
    pub headers: Option<Vec<Header>>,
    pub query: Option<Vec<Parameter>>,
}

/// The path without its query, by one of the first three.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Path {
    pub exact: Option<String>,
    /// `/api` also takes `/apifoo`.
    pub prefix: Option<String>,
    /// For the whole path, in RE2's syntax.
    pub regex: Option<String>,
    pub ignore_case: Option<bool>,
}

/// A header line by its name, or `:authority`, `:method`, `:path`, `:scheme`. Without exact, prefix and
/// regex: it is there.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Header {
    pub name: Option<String>,
    pub exact: Option<String>,
    pub prefix: Option<String>,
    pub regex: Option<String>,
    /// The opposite.
    pub not: Option<bool>,
}

/// A parameter of the query. Without exact, prefix and regex: it is there.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Parameter {
    pub name: Option<String>,
    pub exact: Option<String>,
    pub prefix: Option<String>,
    pub regex: Option<String>,
}

/// Another place to ask at; what is not given is the request's own.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Redirect {
    /// Default: 301.
    pub status: Option<u16>,
    pub scheme: Option<String>,
    pub host: Option<String>,
    pub port: Option<u16>,
    /// With a `?` in it, in place of the query too.
    pub path: Option<String>,
}

/// An answer; its body is text, or in base64.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Respond {
    /// Default: 200.
    pub status: Option<u16>,
    pub body: Option<String>,
    pub base64: Option<String>,
}

/// What a path becomes: either way the query stays.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rewrite {
    /// In place of what `match.path` took: the prefix, or the whole path.
    pub matched: Option<String>,
    /// Each match of this, in RE2's syntax, becomes `with`, which may name groups: `\1`.
    pub regex: Option<String>,
    pub with: Option<String>,
}

/// What is not written is Istio's default.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Retries {
    /// Further attempts after the first.
    pub attempts: Option<u32>,
    /// What is worth another attempt, in the words of Envoy and Istio's `retryOn`.
    pub conditions: Option<Vec<String>>,
    /// Statuses that are worth another attempt.
    pub statuses: Option<Vec<u16>>,
    pub per_try_timeout: Option<String>,
    pub backoff: Option<String>,
    /// Whether another attempt goes to an endpoint that was not tried yet.
    pub ignore_previous_hosts: Option<bool>,
    /// Whether requests that are not idempotent may be sent twice too.
    pub non_idempotent: Option<bool>,
}

/// Who gets a copy of requests.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Mirror {
    /// A URL, called with every default, or the name of an upstream.
    pub to: Option<String>,
    /// Of how many of the requests; default: 100.
    pub percent: Option<f64>,
}

/// What is put in the way of requests; the delay comes first.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Fault {
    pub delay: Option<Delay>,
    pub abort: Option<Abort>,
}

/// A wait.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Delay {
    pub time: Option<String>,
    /// For how many of the requests; default: 100.
    pub percent: Option<f64>,
}

/// An answer in place of the origin's, by one of the first two.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Abort {
    pub status: Option<u16>,
    /// By name or number.
    pub grpc_status: Option<String>,
    /// For how many of the requests; default: 100.
    pub percent: Option<f64>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Headers {
    pub request: Option<Edits>,
    pub response: Option<Edits>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Edits {
    pub set: BTreeMap<String, HeaderValue>,
    pub add: BTreeMap<String, HeaderValue>,
    pub remove: Vec<String>,
}

/// What a header line says.
#[derive(Debug, Clone)]
pub(super) enum HeaderValue {
    /// A text, which is sent as it is.
    Text(String),
    /// `{ format: "%REQ(x-user)%" }`, in the words of Envoy and Istio.
    Format(String),
}

impl<'de> Deserialize<'de> for HeaderValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Formatted {
            format: String,
        }
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = HeaderValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<HeaderValue, E> {
                Ok(HeaderValue::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<HeaderValue, A::Error> {
                let read = Formatted::deserialize(MapAccessDeserializer::new(fields));
                read.map(|read| HeaderValue::Format(read.format))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// How TLS is originated and what is verified.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Tls {
    /// Default: the host of `to`; `request`: the host of each request, after `host:` has replaced it.
    pub sni: Option<String>,
    pub subject_alt_names: Option<Vec<String>>,
    /// Names of which the certificate must carry one besides.
    pub service_alt_names: Option<Vec<String>>,
    /// A PEM file, or `system`; default: the web's roots.
    pub ca: Option<String>,
    /// A PEM file with the revocation lists of every authority of the chain.
    pub crl: Option<String>,
    pub certificate: Option<String>,
    pub key: Option<String>,
    pub insecure_skip_verify: Option<bool>,
    /// Refuses every request, with this reason in the log.
    pub unusable: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Protocol {
    Negotiate,
    Http1,
    Http2,
    /// What the client speaks.
    Client,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Cors {
    pub origins: Option<Vec<Origin>>,
    /// Whether the browser may send cookies and the like.
    pub credentials: Option<bool>,
    pub methods: Option<Vec<String>>,
    /// The header lines that such pages may send.
    pub headers: Option<Vec<String>>,
    /// The header lines of the answer that such pages may read.
    pub exposed: Option<Vec<String>>,
    pub max_age: Option<String>,
    /// Whether a browser's question for another origin is answered here, instead of by the upstream.
    pub answers_all: Option<bool>,
}

/// Pages whose origin is, begins with or matches a text.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Origin {
    pub exact: Option<String>,
    pub prefix: Option<String>,
    pub regex: Option<String>,
}

/// What each connection tells of its client first.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum ProxyProtocol {
    V1,
    V2,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Balance {
    LeastRequest,
    RoundRobin,
    Random,
}

/// What the endpoints are; default: `static` when all are addresses, else `dns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Resolution {
    /// Every address of every name.
    Dns,
    /// One address of the one name at a time.
    LogicalDns,
    /// These addresses.
    Static,
}
