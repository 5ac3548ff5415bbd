//! The part of a cluster, and of a route, that limits, hashing and ejection make.
//!
//! Source: istio `core/cluster_traffic_policy.go`, `core/route/route.go:consistentHashToHashPolicy`.

use serde_json::{Map, Value, json};

use super::seconds;
use crate::model::resilience::{
    HashBy, HashTable, Hashed, Keepalive, Outliers, UpstreamLimits, Warmup,
};
use crate::model::{Balance, Destination, Forward, Plan, Policy, Protocol, UpstreamSpec};

/// Adds what every cluster has and what its policy asks for.
pub fn add(printed: &mut Value, policy: &Policy) {
    printed["circuitBreakers"] = circuit_breakers(policy);
    if let Balance::Hashed(hash) = &policy.balance {
        table(printed, hash);
    }
    if let Some(warmup) = &policy.warmup {
        let name = match policy.balance {
            Balance::RoundRobin => "roundRobinLbConfig",
            _ => "leastRequestLbConfig",
        };
        printed[name] = json!({ "slowStartConfig": slow_start(warmup) });
    }
    if let Some(rule) = &policy.outliers {
        printed["outlierDetection"] = outliers(rule);
        let panic = match rule.healthy_min_percent {
            0 => json!({}), // as protobuf's JSON form prints a zero
            percent => json!({ "value": percent }),
        };
        printed["commonLbConfig"] = json!({ "healthyPanicThreshold": panic });
    }
    let keepalive = keepalive(&policy.keepalive);
    if !keepalive.is_empty() {
        printed["upstreamConnectionOptions"] = json!({ "tcpKeepalive": keepalive });
    }
}

fn circuit_breakers(policy: &Policy) -> Value {
    let UpstreamLimits { connections, pending, requests, retries, .. } = policy.limits;
    let max = |limit: Option<u32>| limit.unwrap_or(u32::MAX);
    let mut thresholds = json!({
        "maxConnections": max(connections),
        "maxPendingRequests": max(pending),
        "maxRequests": max(requests),
        "maxRetries": max(retries),
        "trackRemaining": true,
    });
    if let Some(budget) = policy.retry_budget {
        thresholds["retryBudget"] = json!({
            "budgetPercent": { "value": budget.percent },
            "minRetryConcurrency": budget.min,
        });
    }
    json!({ "thresholds": [thresholds] })
}

fn table(printed: &mut Value, hash: &Hashed) {
    match hash.table {
        HashTable::Ring { size_min } => {
            printed["lbPolicy"] = json!("RING_HASH");
            printed["ringHashLbConfig"] = json!({ "minimumRingSize": size_min.to_string() });
        }
        HashTable::Maglev { size } => {
            printed["lbPolicy"] = json!("MAGLEV");
            printed["maglevLbConfig"] = json!({ "tableSize": size.to_string() });
        }
    }
}

/// Both numbers where one was asked for, as istiod makes it of `warmup`; its predecessor had none.
fn slow_start(warmup: &Warmup) -> Value {
    let mut printed = json!({ "slowStartWindow": seconds(warmup.duration) });
    if warmup.aggression_thousandths.or(warmup.minimum_percent_thousandths).is_some() {
        printed["aggression"] =
            json!({ "defaultValue": number(warmup.aggression()), "runtimeKey": "(" });
        printed["minWeightPercent"] = match warmup.minimum_percent() {
            0.0 => json!({}), // as protobuf's JSON form prints a zero
            percent => json!({ "value": number(percent) }),
        };
    }
    printed
}

/// A number as protobuf's JSON form prints it: without a point where it is whole.
fn number(number: f64) -> Value {
    if number.fract() == 0.0 { json!(number as u64) } else { json!(number) }
}

fn outliers(rule: &Outliers) -> Value {
    let mut printed = Map::new();
    let mut add = |name: &str, value: Value| _ = printed.insert(name.to_owned(), value);
    let enforcing = |count: u32| if count == 0 { 0 } else { 100 };
    if rule.errors != Outliers::default().errors {
        let count = rule.errors.unwrap_or(0);
        add("consecutive5xx", json!(count));
        add("enforcingConsecutive5xx", json!(enforcing(count)));
    }
    if let Some(count) = rule.gateway_errors {
        add("consecutiveGatewayFailure", json!(count));
        add("enforcingConsecutiveGatewayFailure", json!(enforcing(count)));
    }
    if let Some(count) = rule.local_errors {
        add("splitExternalLocalOriginErrors", json!(true));
        add("consecutiveLocalOriginFailure", json!(count));
        add("enforcingConsecutiveLocalOriginFailure", json!(enforcing(count)));
        add("enforcingLocalOriginSuccessRate", json!(0));
    }
    add("interval", json!(seconds(rule.interval)));
    add("baseEjectionTime", json!(seconds(rule.ejection)));
    add("maxEjectionPercent", json!(rule.ejected_max_percent));
    add("enforcingSuccessRate", json!(0));
    Value::Object(printed)
}

/// Which answers are errors; none where those from 500 are.
pub fn error_matcher(rule: &Outliers) -> Option<Value> {
    let matcher = |status: &u16| {
        let line = json!({ "name": ":status", "stringMatch": { "exact": status.to_string() } });
        json!({ "httpResponseHeadersMatch": { "headers": [line] } })
    };
    match rule.statuses.as_slice() {
        [] => None,
        [only] => Some(matcher(only)),
        several => {
            let rules: Vec<Value> = several.iter().map(matcher).collect();
            Some(json!({ "orMatch": { "rules": rules } }))
        }
    }
}

fn keepalive(keepalive: &Keepalive) -> Map<String, Value> {
    let mut printed = Map::new();
    let numbers = [
        ("keepaliveProbes", keepalive.probes.map(u64::from)),
        ("keepaliveTime", keepalive.time.map(|time| time.as_secs())),
        ("keepaliveInterval", keepalive.interval.map(|time| time.as_secs())),
    ];
    for (name, number) in numbers {
        printed.extend(number.map(|number| (name.to_owned(), json!(number))));
    }
    printed
}

/// What holds for HTTP of either version.
pub fn common_options(policy: &Policy) -> Map<String, Value> {
    let mut common = Map::new();
    // What was written: Egret's own default for idle connections is not Istio's.
    if policy.idle_timeout != Policy::default().idle_timeout {
        common.insert("idleTimeout".to_owned(), json!(seconds(policy.idle_timeout)));
    }
    if let Some(max) = policy.requests_per_connection_max {
        common.insert("maxRequestsPerConnection".to_owned(), json!(max));
    }
    if let Some(age) = policy.connection_age_max {
        common.insert("maxConnectionDuration".to_owned(), json!(seconds(age)));
    }
    common
}

/// Adds which version is spoken, with the options of HTTP/2 where it may be.
pub fn version_options(options: &mut Value, spec: &UpstreamSpec) {
    let mut http2 = json!({});
    if let Some(max) = spec.policy.limits.streams {
        http2["maxConcurrentStreams"] = json!(max);
    }
    if let Some(pings) = spec.policy.pings {
        let (interval, timeout) = (seconds(pings.interval), seconds(pings.timeout));
        http2["connectionKeepalive"] = json!({ "interval": interval, "timeout": timeout });
    }
    match spec.key.protocol {
        Protocol::Http2 => options["explicitHttpConfig"] = json!({ "http2ProtocolOptions": http2 }),
        Protocol::Client => {
            options["useDownstreamProtocolConfig"] =
                json!({ "httpProtocolOptions": {}, "http2ProtocolOptions": http2 });
        }
        Protocol::Http1 | Protocol::Negotiate => {
            options["explicitHttpConfig"] = json!({ "httpProtocolOptions": {} });
        }
    }
}

/// What a route hashes for its clusters, each as its own policy says.
pub fn hash_policies(forward: &Forward, plan: &Plan) -> Vec<Value> {
    let hash = |destination: &Destination| match destination {
        Destination::Upstream(index) => match &plan.upstreams[*index].policy.balance {
            Balance::Hashed(hash) => Some(hash_policy(&hash.by)),
            _ => None,
        },
        Destination::Missing(_) => None,
    };
    forward.to.iter().filter_map(|share| hash(&share.to)).collect()
}

fn hash_policy(by: &HashBy) -> Value {
    match by {
        HashBy::Header(name) => json!({ "header": { "headerName": name } }),
        HashBy::SourceIp => json!({ "connectionProperties": { "sourceIp": true } }),
        HashBy::Query(name) => json!({ "queryParameter": { "name": name } }),
        HashBy::Cookie(cookie) => {
            let mut printed = json!({ "name": cookie.name });
            if let Some(ttl) = cookie.ttl {
                printed["ttl"] = json!(seconds(ttl));
            }
            if !cookie.path.is_empty() {
                printed["path"] = json!(cookie.path);
            }
            let attribute = |(name, value): &(String, String)| match value.as_str() {
                "" => json!({ "name": name }),
                value => json!({ "name": name, "value": value }),
            };
            if !cookie.attributes.is_empty() {
                printed["attributes"] = cookie.attributes.iter().map(attribute).collect();
            }
            json!({ "cookie": printed })
        }
    }
}
