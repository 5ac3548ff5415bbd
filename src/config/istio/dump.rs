//! A plan printed as the JSON that istiod would have made of it: `istioctl proxy-config ... -o json`.
//!
//! A picture for people and scripts; nothing reads it back. Only what the plan knows is printed.
//! Source: istio `core/gateway.go`, `core/route/route.go`, `core/cluster.go`, `core/cluster_tls.go`.

mod resilience;

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::config::provenance::{Condition as Written, Origin};
use crate::config::{Compiled, Provenance};
use crate::model::retry::RetryHosts;
use crate::model::upstream::{Roots, Target};
use crate::model::{
    Abort, Aborted, Action, Addressing, Balance, Condition, Delay, Destination, Fault, FieldMatch,
    Forward, Fraction, HeaderEdit, HeaderEdits, Listener, Mirror, PathMatch, PathRewrite, Plan,
    Protocol, QueryMatch, Redirect, Retry, Route, Rule, Security, Share, TextMatch, TlsSpec,
    UpstreamSpec,
};

const TYPE: &str = "type.googleapis.com/envoy.extensions";

/// What `istioctl proxy-config listeners -o json` prints.
pub fn listeners(compiled: &Compiled) -> Value {
    compiled.plan.listeners.iter().map(listener).collect()
}

/// What `istioctl proxy-config routes -o json` prints.
pub fn routes(compiled: &Compiled) -> Value {
    let tables = compiled.plan.listeners.iter().enumerate();
    tables
        .map(|(index, listener)| route_table(index, listener, &compiled.plan, &compiled.provenance))
        .collect()
}

/// What `istioctl proxy-config clusters -o json` prints.
pub fn clusters(compiled: &Compiled) -> Value {
    compiled.plan.upstreams.iter().map(cluster).collect()
}

fn listener(listener: &Listener) -> Value {
    json!({
        "name": listener.name,
        "address": address(&listener.bind.ip().to_string(), listener.bind.port()),
        "filterChains": [{
            "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typedConfig": {
                    "@type": format!("{TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
                    "statPrefix": format!("outbound_{}", listener.name),
                    "rds": {
                        "configSource": { "ads": {}, "resourceApiVersion": "V3" },
                        "routeConfigName": listener.route_table,
                    },
                },
            }],
        }],
        "trafficDirection": "OUTBOUND",
    })
}

fn route_table(index: usize, listener: &Listener, plan: &Plan, provenance: &Provenance) -> Value {
    let mut hosts: Vec<(&Route, Value)> = Vec::new();
    for (position, route) in
        plan.routes.iter().enumerate().filter(|(_, route)| route.listeners.contains(&index))
    {
        let origins = provenance.routes.get(position).map_or(&[][..], Vec::as_slice);
        hosts.push((route, virtual_host(route, origins, listener, plan)));
    }
    hosts.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    let mut hosts: Vec<Value> = hosts.into_iter().map(|(_, printed)| printed).collect();
    if hosts.is_empty() {
        hosts.push(json!({ "name": format!("blackhole:{}", listener.port), "domains": ["*"] }));
    }
    json!({
        "name": listener.route_table,
        "virtualHosts": hosts,
        "validateClusters": false,
        "ignorePortInHostMatching": true,
        "maxDirectResponseBodySizeBytes": 1_048_576,
    })
}

fn virtual_host(route: &Route, origins: &[Origin], listener: &Listener, plan: &Plan) -> Value {
    let mut domains: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
    domains.sort();
    let mut printed =
        json!({ "name": route.name, "domains": domains, "includeRequestAttemptCount": true });
    if !route.rules.is_empty() {
        let rules = route.rules.iter().enumerate();
        printed["routes"] =
            rules.map(|(index, one)| rule(one, origins.get(index), listener, plan)).collect();
    }
    printed
}

fn rule(rule: &Rule, origin: Option<&Origin>, listener: &Listener, plan: &Plan) -> Value {
    let mut printed = Map::new();
    if !rule.name.is_empty() {
        printed.insert("name".to_owned(), json!(rule.name));
    }
    printed.insert("match".to_owned(), condition(&rule.condition, origin));
    match &rule.action {
        Action::Forward(forward) => {
            printed.insert("route".to_owned(), action(forward, plan));
            headers(&mut printed, "request", &forward.request);
            headers(&mut printed, "response", &forward.response);
        }
        Action::Redirect(redirect) => {
            printed.insert("redirect".to_owned(), redirection(redirect));
            headers(&mut printed, "response", &redirect.response);
        }
        Action::Respond(respond) => {
            let mut answer = json!({ "status": respond.status });
            if !respond.body.is_empty() {
                let text = String::from_utf8_lossy(&respond.body);
                answer["body"] = json!({ "inlineString": text });
            }
            printed.insert("directResponse".to_owned(), answer);
            headers(&mut printed, "response", &respond.response);
        }
    }
    if let Some(fault) = &rule.fault {
        let filter = json!({ "envoy.filters.http.fault": injected(fault) });
        printed.insert("typedPerFilterConfig".to_owned(), filter);
    }
    if let Some(origin) = origin.filter(|origin| !origin.resource.is_empty()) {
        printed.insert(
            "metadata".to_owned(),
            json!({ "filterMetadata": { "istio": { "config": &*origin.resource } } }),
        );
    }
    let operation = operation(rule, origin, listener, plan);
    printed.insert("decorator".to_owned(), json!({ "operation": operation }));
    Value::Object(printed)
}

fn injected(fault: &Fault) -> Value {
    let mut printed = json!({ "@type": format!("{TYPE}.filters.http.fault.v3.HTTPFault") });
    if let Some(Delay { time, fraction }) = &fault.delay {
        printed["delay"] =
            json!({ "fixedDelay": seconds(*time), "percentage": percentage(*fraction) });
    }
    if let Some(Abort { answer, fraction }) = &fault.abort {
        printed["abort"] = match answer {
            Aborted::Http(status) => json!({ "httpStatus": status }),
            Aborted::Grpc(status) => json!({ "grpcStatus": status }),
        };
        printed["abort"]["percentage"] = percentage(*fraction);
    }
    printed
}

fn percentage(fraction: Fraction) -> Value {
    json!({ "numerator": fraction.millionths(), "denominator": "MILLION" })
}

fn mirror(mirror: &Mirror, plan: &Plan) -> Value {
    let fraction = match mirror.fraction {
        Fraction::ALL => json!({ "numerator": 100 }), // what istiod writes when nothing is said
        fraction => percentage(fraction),
    };
    json!({
        "cluster": cluster_name(&mirror.to, plan),
        "runtimeFraction": { "defaultValue": fraction },
    })
}

fn condition(condition: &Condition, origin: Option<&Origin>) -> Value {
    let mut printed = match &condition.path {
        PathMatch::Exact(path) | PathMatch::ExactAnyCase(path) => json!({ "path": path }),
        PathMatch::Prefix(prefix) | PathMatch::PrefixAnyCase(prefix) => {
            json!({ "prefix": prefix })
        }
        PathMatch::Regex(pattern) => json!({ "safeRegex": { "regex": pattern.as_str() } }),
    };
    let ignores_case =
        matches!(condition.path, PathMatch::ExactAnyCase(_) | PathMatch::PrefixAnyCase(_));
    if origin.is_some_and(|origin| origin.condition == Written::Written) || ignores_case {
        printed["caseSensitive"] = json!(!ignores_case);
    }
    let mut headers: Vec<Value> = condition.fields.iter().map(field).collect();
    if let Some(method) = condition.methods.first() {
        headers.push(json!({ "name": ":method", "stringMatch": { "exact": method } }));
    }
    if !headers.is_empty() {
        printed["headers"] = headers.into();
    }
    let parameter = |query: &QueryMatch| match string_match(&query.text) {
        Some(text) => json!({ "name": query.name, "stringMatch": text }),
        None => json!({ "name": query.name, "presentMatch": true }),
    };
    if !condition.query.is_empty() {
        printed["queryParameters"] = condition.query.iter().map(parameter).collect();
    }
    printed
}

fn field(field: &FieldMatch) -> Value {
    let mut printed = match string_match(&field.text) {
        Some(text) => json!({ "name": field.field.name(), "stringMatch": text }),
        None => json!({ "name": field.field.name(), "presentMatch": true }),
    };
    if field.inverted {
        printed["invertMatch"] = json!(true);
        if field.text != TextMatch::Present {
            printed["treatMissingHeaderAsEmpty"] = json!(true);
        }
    }
    printed
}

fn string_match(text: &TextMatch) -> Option<Value> {
    match text {
        TextMatch::Present => None,
        TextMatch::Exact(text) => Some(json!({ "exact": text })),
        TextMatch::Prefix(text) => Some(json!({ "prefix": text })),
        TextMatch::Regex(pattern) => Some(json!({ "safeRegex": { "regex": pattern.as_str() } })),
    }
}

fn redirection(redirect: &Redirect) -> Value {
    let mut printed = Map::new();
    for (name, text) in [
        ("schemeRedirect", &redirect.scheme),
        ("hostRedirect", &redirect.authority),
        ("pathRedirect", &redirect.path),
    ] {
        if let Some(text) = text {
            printed.insert(name.to_owned(), json!(text));
        }
    }
    if let Some(port) = redirect.port {
        printed.insert("portRedirect".to_owned(), json!(port));
    }
    let code = match redirect.status {
        302 => "FOUND",
        303 => "SEE_OTHER",
        307 => "TEMPORARY_REDIRECT",
        308 => "PERMANENT_REDIRECT",
        _ => return Value::Object(printed), // 301 is Envoy's default, which is not printed
    };
    printed.insert("responseCode".to_owned(), json!(code));
    Value::Object(printed)
}

fn action(forward: &Forward, plan: &Plan) -> Value {
    let timeout = seconds(forward.timeout.unwrap_or_default());
    let mut printed = match &forward.to[..] {
        [only] => json!({ "cluster": cluster_name(&only.to, plan) }),
        several => {
            let clusters: Vec<Value> = several.iter().map(|share| weighted(share, plan)).collect();
            json!({ "weightedClusters": { "clusters": clusters } })
        }
    };
    printed["timeout"] = json!(timeout);
    printed["maxGrpcTimeout"] = json!(timeout);
    if forward.retry.attempts > 0 {
        printed["retryPolicy"] = retry_policy(&forward.retry);
    }
    match &forward.rewrite_path {
        None => {}
        Some(PathRewrite::Matched(with)) => printed["prefixRewrite"] = json!(with),
        Some(PathRewrite::Regex(substitution)) => {
            printed["regexRewrite"] = json!({
                "pattern": { "regex": substitution.as_str() },
                "substitution": substitution.with(),
            });
        }
    }
    if let Some(host) = &forward.rewrite_host {
        printed["hostRewriteLiteral"] = json!(host);
    }
    let hashes = resilience::hash_policies(forward, plan);
    if !hashes.is_empty() {
        printed["hashPolicy"] = hashes.into();
    }
    if !forward.mirrors.is_empty() {
        printed["requestMirrorPolicies"] =
            forward.mirrors.iter().map(|one| mirror(one, plan)).collect();
    }
    printed
}

fn retry_policy(retry: &Retry) -> Value {
    let Retry { attempts, on, statuses, attempt_timeout, backoff, hosts, resend: _ } = retry;
    let mut printed = json!({
        "retryOn": on.to_string(),
        "numRetries": attempts,
        "hostSelectionRetryMaxAttempts": "5",
    });
    if *hosts == RetryHosts::Others {
        printed["retryHostPredicate"] = json!([{
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typedConfig": { "@type": format!("{TYPE}.retry.host.previous_hosts.v3.PreviousHostsPredicate") },
        }]);
    }
    if !statuses.is_empty() {
        printed["retriableStatusCodes"] = json!(statuses);
    }
    if let Some(limit) = attempt_timeout {
        printed["perTryTimeout"] = json!(seconds(*limit));
    }
    if *backoff != Retry::BACKOFF {
        printed["retryBackOff"] = json!({ "baseInterval": seconds(*backoff) });
    }
    printed
}

/// One of several destinations, with its own edits.
fn weighted(share: &Share, plan: &Plan) -> Value {
    let mut printed = Map::new();
    printed.insert("name".to_owned(), json!(cluster_name(&share.to, plan)));
    printed.insert("weight".to_owned(), json!(share.weight));
    if let Some(host) = &share.rewrite_host {
        printed.insert("hostRewriteLiteral".to_owned(), json!(host));
    }
    headers(&mut printed, "request", &share.request);
    headers(&mut printed, "response", &share.response);
    Value::Object(printed)
}

fn cluster_name<'p>(to: &'p Destination, plan: &'p Plan) -> &'p str {
    match to {
        Destination::Upstream(index) => &plan.upstreams[*index].key.name,
        Destination::Missing(name) => name,
    }
}

/// What Istio calls the route in traces: `edition.cnn.com:443/*`.
fn operation(rule: &Rule, origin: Option<&Origin>, listener: &Listener, plan: &Plan) -> String {
    if let Some([only]) = rule.action.forward().map(|forward| &forward.to[..]) {
        let mut parts = cluster_name(&only.to, plan).split('|').skip(1);
        let (port, host) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
        let path = match &rule.condition.path {
            PathMatch::Exact(path) | PathMatch::ExactAnyCase(path) => path.clone(),
            PathMatch::Prefix(prefix) | PathMatch::PrefixAnyCase(prefix) => format!("{prefix}*"),
            PathMatch::Regex(pattern) => pattern.as_str().to_owned(),
        };
        return format!("{host}:{port}{path}");
    }
    let from = |origin: &Origin| {
        let named = if origin.resource.is_empty() { &origin.object } else { &origin.resource };
        named.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let name = origin.map(from).unwrap_or_default();
    format!("{name}:{}/*", listener.port)
}

fn headers(printed: &mut Map<String, Value>, side: &str, edits: &HeaderEdits) {
    // A % begins a command in Envoy's values, and two stand for one.
    let line = |edit: &HeaderEdit| json!({ "header": { "key": edit.name, "value": edit.value.replace('%', "%%") } });
    let mut lines: Vec<Value> = edits.add.iter().map(line).collect();
    for edit in &edits.set {
        let mut line = line(edit);
        line["appendAction"] = json!("OVERWRITE_IF_EXISTS_OR_ADD");
        lines.push(line);
    }
    if !lines.is_empty() {
        printed.insert(format!("{side}HeadersToAdd"), lines.into());
    }
    if !edits.remove.is_empty() {
        printed.insert(format!("{side}HeadersToRemove"), json!(edits.remove));
    }
}

fn cluster(spec: &UpstreamSpec) -> Value {
    let mut printed = json!({
        "name": spec.key.name,
        "altStatName": format!("{};", spec.key.name),
        "connectTimeout": seconds(spec.policy.connect_timeout),
    });
    match &spec.addressing {
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
            printed["lbPolicy"] = json!("CLUSTER_PROVIDED");
        }
        Addressing::Static(_) | Addressing::Nowhere(_) => {
            printed["type"] = json!("EDS");
            printed["edsClusterConfig"] = json!({
                "edsConfig": { "ads": {}, "resourceApiVersion": "V3" },
                "serviceName": spec.key.name,
            });
        }
    }
    match &spec.policy.balance {
        Balance::LeastRequest => printed["lbPolicy"] = json!("LEAST_REQUEST"),
        Balance::Random => printed["lbPolicy"] = json!("RANDOM"),
        Balance::Hashed(_) => {}  // with its table, below
        Balance::RoundRobin => {} // Envoy's default, which is not printed
    }
    resilience::add(&mut printed, &spec.policy);
    printed["typedExtensionProtocolOptions"] = protocol_options(spec);
    if let Security::Tls(tls) = &spec.key.security {
        printed["transportSocket"] = transport_socket(tls, spec.key.protocol);
    }
    printed
}

fn dns(printed: &mut Value, kind: &str, spec: &UpstreamSpec, targets: &[Target]) {
    let endpoint = |target: &Target| {
        let address = address(target.host.as_str(), target.port);
        let mut endpoint = json!({ "endpoint": { "address": address } });
        if spec.policy.weight(target) != 1 {
            endpoint["loadBalancingWeight"] = json!(spec.policy.weight(target));
        }
        endpoint
    };
    let endpoints: Vec<Value> = targets.iter().map(endpoint).collect();
    printed["type"] = json!(kind);
    printed["dnsRefreshRate"] = json!("60s");
    printed["respectDnsTtl"] = json!(true);
    printed["loadAssignment"] =
        json!({ "clusterName": spec.key.name, "endpoints": [{ "lbEndpoints": endpoints }] });
}

fn protocol_options(spec: &UpstreamSpec) -> Value {
    let mut options = json!({ "@type": format!("{TYPE}.upstreams.http.v3.HttpProtocolOptions") });
    resilience::version_options(&mut options, spec);
    options["commonHttpProtocolOptions"] = resilience::common_options(&spec.policy);
    if let Security::Tls(tls) = &spec.key.security
        && tls.sni.is_none()
    {
        let verified = !tls.skip_verify && tls.subject_alt_names.is_empty();
        options["upstreamHttpProtocolOptions"] =
            json!({ "autoSni": true, "autoSanValidation": verified });
    }
    json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options })
}

fn transport_socket(tls: &TlsSpec, protocol: Protocol) -> Value {
    let mut common = json!({
        "tlsParams": { "tlsMinimumProtocolVersion": "TLSv1_2", "tlsMaximumProtocolVersion": "TLSv1_3" },
    });
    if !tls.skip_verify {
        let roots = match &tls.roots {
            Roots::Web | Roots::System => "system".to_owned(),
            Roots::Pem { path, .. } => format!("file-root:{path}"),
        };
        let names = if tls.subject_alt_names.is_empty() {
            &tls.service_alt_names
        } else {
            &tls.subject_alt_names
        };
        let matchers: Vec<Value> = names
            .iter()
            .map(|name| json!({ "sanType": "DNS", "matcher": { "exact": name } }))
            .collect();
        let mut context = Map::new();
        if !matchers.is_empty() {
            context.insert("matchTypedSubjectAltNames".to_owned(), matchers.into());
        }
        common["combinedValidationContext"] = json!({ "defaultValidationContext": context, "validationContextSdsSecretConfig": { "name": roots } });
    }
    if let Some(identity) = &tls.identity {
        let name = format!("file-cert:{}~{}", identity.certificate_path, identity.key_path);
        common["tlsCertificateSdsSecretConfigs"] = json!([{ "name": name }]);
    }
    match protocol {
        Protocol::Http2 => common["alpnProtocols"] = json!(["h2"]),
        Protocol::Client => common["alpnProtocols"] = json!(["h2", "http/1.1"]),
        Protocol::Http1 => common["alpnProtocols"] = json!(["http/1.1"]),
        Protocol::Negotiate => common["alpnProtocols"] = json!(["h2", "http/1.1"]),
    }
    let mut context = json!({
        "@type": format!("{TYPE}.transport_sockets.tls.v3.UpstreamTlsContext"),
        "commonTlsContext": common,
    });
    if let Some(sni) = &tls.sni {
        context["sni"] = json!(sni.as_str());
    }
    json!({ "name": "envoy.transport_sockets.tls", "typedConfig": context })
}

fn address(address: &str, port: u16) -> Value {
    json!({ "socketAddress": { "address": address, "portValue": port } })
}

/// A duration in protobuf's JSON form: `10s`, `0.250s`.
fn seconds(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => format!("{}s", time.as_secs()),
        nanos => {
            format!("{}.{nanos:09}s", time.as_secs()).replace("000000s", "s").replace("000s", "s")
        }
    }
}
