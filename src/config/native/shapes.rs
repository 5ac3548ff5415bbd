//! The fields of Egret's own form, as they may be written. No logic.
//!
//! Durations, URLs and names stay text here, so that a wrong one is reported with the others.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

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

/// Hosts and what is done for them. What stands beside `rules` holds for each rule that says nothing else.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Route {
    pub name: Option<String>,
    pub hosts: Vec<String>,
    /// Ports of the listeners it is served on; neither ports nor listeners: all of them.
    pub ports: Option<Vec<u16>>,
    /// Names of the listeners it is served on.
    pub listeners: Option<Vec<String>>,
    /// Tried in order; then `to` or `split`, for every other request.
    pub rules: Vec<Rule>,
    pub to: Option<String>,
    pub split: Option<Vec<Share>>,
    pub timeout: Option<String>,
    pub retries: Option<Retries>,
    pub host: Option<String>,
    pub headers: Option<Headers>,
    pub tls: Option<Tls>,
    pub protocol: Option<Protocol>,
    pub balance: Option<Balance>,
    pub connect_timeout: Option<String>,
    pub idle_timeout: Option<String>,
    pub requests_per_connection: Option<u32>,
    pub resolution: Option<Resolution>,
    pub endpoints: Option<Vec<String>>,
    pub no_endpoints: Option<String>,
}

/// A condition and where requests that fulfil it go.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Rule {
    pub name: Option<String>,
    #[serde(rename = "match")]
    pub condition: Option<Match>,
    /// `https://host[:port]`, `http://host[:port]`, or the name of an upstream.
    pub to: Option<String>,
    /// Several destinations by weight, in place of `to`.
    pub split: Option<Vec<Share>>,
    pub timeout: Option<String>,
    pub retries: Option<Retries>,
    /// The Host to send in place of the client's.
    pub host: Option<String>,
    pub headers: Option<Headers>,
    pub tls: Option<Tls>,
    pub protocol: Option<Protocol>,
    pub balance: Option<Balance>,
    pub connect_timeout: Option<String>,
    pub idle_timeout: Option<String>,
    pub requests_per_connection: Option<u32>,
    pub resolution: Option<Resolution>,
    pub endpoints: Option<Vec<String>>,
    pub no_endpoints: Option<String>,
}

/// An upstream with a name.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Upstream {
    pub name: Option<String>,
    pub to: Option<String>,
    pub tls: Option<Tls>,
    pub protocol: Option<Protocol>,
    pub balance: Option<Balance>,
    pub connect_timeout: Option<String>,
    pub idle_timeout: Option<String>,
    pub requests_per_connection: Option<u32>,
    pub resolution: Option<Resolution>,
    pub endpoints: Option<Vec<String>>,
    pub no_endpoints: Option<String>,
}

/// A part of the requests.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Share {
    pub to: Option<String>,
    pub weight: Option<u32>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Match {
    pub path: Option<Path>,
    pub methods: Option<Vec<String>>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Path {
    pub exact: Option<String>,
    pub prefix: Option<String>,
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

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Headers {
    pub request: Option<Edits>,
    pub response: Option<Edits>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Edits {
    pub set: BTreeMap<String, String>,
    pub add: BTreeMap<String, String>,
    pub remove: Vec<String>,
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

impl Route {
    /// What stands beside `rules`, as the rule for every request that none of them takes.
    pub(super) fn rest(&self) -> Rule {
        Rule {
            name: None,
            condition: None,
            to: self.to.clone(),
            split: self.split.clone(),
            timeout: self.timeout.clone(),
            retries: self.retries.clone(),
            host: self.host.clone(),
            headers: self.headers.clone(),
            tls: self.tls.clone(),
            protocol: self.protocol,
            balance: self.balance,
            connect_timeout: self.connect_timeout.clone(),
            idle_timeout: self.idle_timeout.clone(),
            requests_per_connection: self.requests_per_connection,
            resolution: self.resolution,
            endpoints: self.endpoints.clone(),
            no_endpoints: self.no_endpoints.clone(),
        }
    }
}

impl Rule {
    /// This rule, with what stands beside `rules` for everything that it does not say itself.
    pub(super) fn or(self, rest: &Rule) -> Rule {
        let has_destination = self.to.is_some() || self.split.is_some();
        let (to, split) = match has_destination {
            true => (self.to, self.split),
            false => (rest.to.clone(), rest.split.clone()),
        };
        Rule {
            name: self.name,
            condition: self.condition,
            to,
            split,
            timeout: self.timeout.or_else(|| rest.timeout.clone()),
            retries: self.retries.or_else(|| rest.retries.clone()),
            host: self.host.or_else(|| rest.host.clone()),
            headers: self.headers.or_else(|| rest.headers.clone()),
            tls: self.tls.or_else(|| rest.tls.clone()),
            protocol: self.protocol.or(rest.protocol),
            balance: self.balance.or(rest.balance),
            connect_timeout: self.connect_timeout.or_else(|| rest.connect_timeout.clone()),
            idle_timeout: self.idle_timeout.or_else(|| rest.idle_timeout.clone()),
            requests_per_connection: self.requests_per_connection.or(rest.requests_per_connection),
            resolution: self.resolution.or(rest.resolution),
            endpoints: self.endpoints.or_else(|| rest.endpoints.clone()),
            no_endpoints: self.no_endpoints.or_else(|| rest.no_endpoints.clone()),
        }
    }

    /// Whether it says anything about how its destination is called.
    pub(super) fn has_options(&self) -> bool {
        self.tls.is_some()
            || self.protocol.is_some()
            || self.balance.is_some()
            || self.connect_timeout.is_some()
            || self.idle_timeout.is_some()
            || self.requests_per_connection.is_some()
            || self.resolution.is_some()
            || self.endpoints.is_some()
            || self.no_endpoints.is_some()
    }
}

impl Upstream {
    /// What it says, in the fields of a rule.
    pub(super) fn into_rule(self) -> Rule {
        Rule {
            to: self.to,
            tls: self.tls,
            protocol: self.protocol,
            balance: self.balance,
            connect_timeout: self.connect_timeout,
            idle_timeout: self.idle_timeout,
            requests_per_connection: self.requests_per_connection,
            resolution: self.resolution,
            endpoints: self.endpoints,
            no_endpoints: self.no_endpoints,
            ..Rule::default()
        }
    }
}
