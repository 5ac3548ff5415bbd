//! The fields that keep an upstream from harm, as they may be written. No logic.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What there may be of at once, over all workers, and for how long.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::config::native) struct Pool {
    /// Connections; requests wait for one that is given back.
    pub connections: Option<u32>,
    /// Requests that wait for a connection; a further one gets 503.
    pub pending: Option<u32>,
    /// Requests under way; a further one gets 503.
    pub requests: Option<u32>,
    /// Requests that are being tried again.
    pub retries: Option<u32>,
    /// HTTP/2 streams of one connection.
    pub streams: Option<u32>,
    /// How long a connection may take further requests.
    pub connection_duration: Option<String>,
    pub keepalive: Option<Keepalive>,
    pub pings: Option<Pings>,
    pub retry_budget: Option<RetryBudget>,
}

/// How a silent TCP connection is probed.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config::native) struct Keepalive {
    pub time: Option<String>,
    pub interval: Option<String>,
    pub probes: Option<u32>,
}

/// How a silent HTTP/2 connection is probed.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config::native) struct Pings {
    pub interval: Option<String>,
    /// Default: 20s.
    pub timeout: Option<String>,
}

/// How much may be tried again at once: a part of the requests under way, or `min` if that is more.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config::native) struct RetryBudget {
    /// Default: 20.
    pub percent: Option<u32>,
    /// Default: 3.
    pub min: Option<u32>,
}

/// What about a request says which endpoint it goes to, by one of the first four.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::config::native) struct Hash {
    pub header: Option<String>,
    pub cookie: Option<Cookie>,
    pub source_ip: Option<bool>,
    pub query: Option<String>,
    /// For `show -o json` alone, which prints Envoy's tables. Default: 1024.
    pub ring: Option<u32>,
    /// The same, in place of `ring`.
    pub maglev: Option<u32>,
}

/// A cookie; with a `ttl` a client without it is given one.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config::native) struct Cookie {
    pub name: Option<String>,
    pub path: Option<String>,
    pub ttl: Option<String>,
    /// What is said of a cookie that is given, `SameSite=Strict` or `Secure`.
    pub attributes: Vec<String>,
}

/// How an endpoint that is new gets its part of the requests by and by.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::config::native) struct Warmup {
    /// How long it is new.
    pub duration: Option<String>,
    /// The least part of what it will have. Default: 10.
    pub minimum_percent: Option<f64>,
    /// From 1: how steep its part grows at first. Default: 1.
    pub aggression: Option<f64>,
}

/// When an endpoint is left out for a while.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(in crate::config::native) struct Outliers {
    /// Statuses that count as errors; default: all from 500.
    pub statuses: Vec<u16>,
    /// Errors in a row; 0: they don't count. Default: 5.
    pub errors: Option<u32>,
    /// Answers 502, 503 and 504 in a row. Default: they don't count for themselves.
    pub gateway_errors: Option<u32>,
    /// Connections in a row that failed. Default: they count as answers 503 and 504 do.
    pub local_errors: Option<u32>,
    /// Default: 10s.
    pub interval: Option<String>,
    /// Default: 30s.
    pub ejection: Option<String>,
    /// Default: 10.
    pub ejected_max_percent: Option<u32>,
    /// Default: 0.
    pub healthy_min_percent: Option<u32>,
}

/// What endpoints count for; those that are not named count 1.
pub(in crate::config::native) type Weights = BTreeMap<String, u32>;
