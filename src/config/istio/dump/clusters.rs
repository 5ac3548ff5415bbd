//! A cluster: where its endpoints come from, what its policy says, and whose it is.
//!
//! Source: istio `core/cluster_builder.go:buildCluster`, `core/cluster_traffic_policy.go`.

use serde_json::{Map, Value, json};

use super::{TYPE, address, from_istiod, resilience, seconds, tls};
use crate::config::provenance::UpstreamOrigin;
use crate::model::{Addressing, Balance, Protocol, Security, Target, UpstreamKey, UpstreamSpec};

pub fn cluster(spec: &UpstreamSpec, origin: Option<&UpstreamOrigin>) -> Value {
    let name = &spec.key.name;
    let mut printed = json!({
        "name": name,
        "altStatName": format!("{name};"),
        "connectTimeout": seconds(spec.policy.connect_timeout),
        "commonLbConfig": {},
    });
    match &*spec.addressing {
        Addressing::Dns(targets) => dns(&mut printed, "STRICT_DNS", spec, targets),
        Addressing::LogicalDns(target) => {
            dns(&mut printed, "LOGICAL_DNS", spec, std::slice::from_ref(target))
        }
        Addressing::Dynamic(_) => {
            printed["clusterType"] = json!({
                "name": "envoy.clusters.dynamic_forward_proxy",
                "typedConfig": {
                    "@type": format!("{TYPE}.clusters.dynamic_forward_proxy.v3.ClusterConfig"),
                    "dnsCacheConfig": { "name": "dynamic_forward_proxy_cache_config" },
                },
            });
        }
        Addressing::Static(_) | Addressing::Nowhere(_) => {
            printed["type"] = json!("EDS");
            printed["edsClusterConfig"] =
                json!({ "edsConfig": from_istiod(), "serviceName": name });
        }
    }
    match &spec.policy.balance {
        Balance::LeastRequest => printed["lbPolicy"] = json!("LEAST_REQUEST"),
        Balance::Random => printed["lbPolicy"] = json!("RANDOM"),
        Balance::Hashed(_) => {}  // with its table, below
        Balance::RoundRobin => {} // Envoy's default, which is not printed
    }
    resilience::add(&mut printed, &spec.policy);
    if matches!(*spec.addressing, Addressing::Dynamic(_)) {
        printed["lbPolicy"] = json!("CLUSTER_PROVIDED");
    }
    if let Some(options) = protocol_options(spec) {
        printed["typedExtensionProtocolOptions"] =
            json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options });
    }
    let socket = match &spec.key.security {
        Security::Tls(tls) => Some(tls::transport_socket(tls, spec.key.protocol)),
        Security::Plain | Security::Broken(_) => None,
    };
    let socket = match spec.key.proxy_protocol {
        Some(version) => Some(tls::behind_proxy_header(version, socket)),
        None => socket,
    };
    if let Some(socket) = socket {
        printed["transportSocket"] = socket;
    }
    if let Some(origin) = origin.filter(|origin| origin.service.object.resource().is_some()) {
        printed["metadata"] = json!({ "filterMetadata": { "istio": metadata(&spec.key, origin) } });
    }
    printed
}

fn dns(printed: &mut Value, kind: &str, spec: &UpstreamSpec, targets: &[Target]) {
    let endpoint = |target: &Target| {
        let address = address(target.host.as_str(), target.port);
        let weight = spec.policy.weight(target);
        json!({ "endpoint": { "address": address }, "loadBalancingWeight": weight })
    };
    let weight: u64 = targets.iter().map(|target| u64::from(spec.policy.weight(target))).sum();
    let endpoints: Vec<Value> = targets.iter().map(endpoint).collect();
    let locality = json!({
        "locality": {},
        "loadBalancingWeight": weight,
        "lbEndpoints": endpoints,
    });
    printed["type"] = json!(kind);
    printed["dnsRefreshRate"] = json!("60s"); // after a failure; else what the answer allows
    printed["dnsJitter"] = json!("0.100s");
    printed["respectDnsTtl"] = json!(true);
    printed["dnsLookupFamily"] = json!("V4_ONLY");
    printed["typedDnsResolverConfig"] = json!({
        "name": "envoy.network.dns_resolver.cares",
        "typedConfig": {
            "@type": format!("{TYPE}.network.dns_resolver.cares.v3.CaresDnsResolverConfig"),
            "udpMaxQueries": 100,
        },
    });
    printed["loadAssignment"] = json!({ "clusterName": spec.key.name, "endpoints": [locality] });
}

/// Nothing where nothing was asked for: Envoy speaks HTTP/1.1 then.
fn protocol_options(spec: &UpstreamSpec) -> Option<Value> {
    let common = resilience::common_options(&spec.policy);
    let upstream = match &spec.key.security {
        Security::Tls(tls) => tls::upstream_options(tls),
        Security::Plain | Security::Broken(_) => Map::new(),
    };
    let errors = spec.policy.outliers.as_deref().and_then(resilience::error_matcher);
    let as_default = matches!(spec.key.protocol, Protocol::Http1 | Protocol::Negotiate);
    if common.is_empty() && upstream.is_empty() && errors.is_none() && as_default {
        return None;
    }
    let mut options = json!({ "@type": format!("{TYPE}.upstreams.http.v3.HttpProtocolOptions") });
    resilience::version_options(&mut options, spec);
    for (name, fields) in
        [("commonHttpProtocolOptions", common), ("upstreamHttpProtocolOptions", upstream)]
    {
        if !fields.is_empty() {
            options[name] = fields.into();
        }
    }
    if let Some(errors) = errors {
        options["outlierDetection"] = json!({ "errorMatcher": errors });
    }
    Some(options)
}

/// Whose service it is, and which object has its policy.
fn metadata(key: &UpstreamKey, origin: &UpstreamOrigin) -> Map<String, Value> {
    // `outbound|443|v1|example.com`; a wildcard keeps its star there.
    let mut parts = key.name.split('|').skip(2);
    let (part, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let namespace = &*origin.service.object.namespace;
    let mut printed = Map::new();
    let services = json!([{ "host": host, "name": host, "namespace": namespace }]);
    printed.insert("services".to_owned(), services);
    if let Some(policy) = &origin.policy {
        printed.insert("config".to_owned(), json!(policy.object.resource().unwrap_or_default()));
        if !part.is_empty() {
            printed.insert("subset".to_owned(), json!(part));
        }
        if matches!(key.security, Security::Tls(_)) {
            printed.insert("alpn_override".to_owned(), json!("false"));
        }
    }
    printed
}
