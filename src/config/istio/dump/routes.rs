//! A route table: virtual hosts, their routes in order, and what each does.
//!
//! Source: istio `core/gateway.go:buildGatewayHTTPRouteConfig`, `core/route/route.go`, `core/route/retry/retry.go`.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};

use super::{TYPE, extras, resilience, seconds};
use crate::config::Provenance;
use crate::config::provenance::{Condition as Written, Origin};
use crate::model::retry::RetryHosts;
use crate::model::{
    Action, Condition, Destination, FieldMatch, Forward, HeaderEdit, HeaderEdits, HostPattern,
    Listener, Mirror, PathMatch, PathRewrite, Plan, QueryMatch, Redirect, Retry, Route, Rule,
    Share, TextMatch,
};

pub fn route_table(
    index: usize,
    listener: &Listener,
    plan: &Plan,
    provenance: &Provenance,
) -> Value {
    let mut hosts: Vec<(String, Value)> = Vec::new();
    for (position, route) in
        plan.routes.iter().enumerate().filter(|(_, route)| route.listeners.contains(&index))
    {
        let origins = provenance.routes.get(position).map_or(&[][..], Vec::as_slice);
        hosts.push(virtual_host(route, origins, listener, plan));
    }
    hosts.sort_by(|(one, _), (other, _)| one.cmp(other));
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

/// A virtual host with its name. Of hosts that share their routes the first gives the name, and wildcards
/// come last, long names before short ones (`collapseDuplicateRoutes`, `host.Names`).
fn virtual_host(
    route: &Route,
    origins: &[Origin],
    listener: &Listener,
    plan: &Plan,
) -> (String, Value) {
    let mut hosts: Vec<&HostPattern> = route.hosts.iter().collect();
    let written_first = hosts.first().map(|host| domain_name(host, listener.port));
    hosts.sort_by_cached_key(|host| {
        let text = host.to_string();
        (text.starts_with('*'), Reverse(text.len()), text)
    });
    let name = match hosts.first() {
        Some(host) if written_first.as_ref() == Some(&route.name) => {
            domain_name(host, listener.port)
        }
        _ => route.name.clone(), // a name of its own
    };
    let domains: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut printed =
        json!({ "name": name, "domains": domains, "includeRequestAttemptCount": true });
    if !route.rules.is_empty() {
        let rules = route.rules.iter().enumerate();
        printed["routes"] =
            rules.map(|(index, one)| rule(one, origins.get(index), listener, plan)).collect();
    }
    (name, printed)
}

/// `edition.cnn.com:443`.
fn domain_name(host: &HostPattern, port: u16) -> String {
    match host {
        HostPattern::Exact(host) if host.as_str().contains(':') => format!("[{host}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

fn rule(rule: &Rule, origin: Option<&Origin>, listener: &Listener, plan: &Plan) -> Value {
    let mut printed = Map::new();
    if !rule.name.is_empty() {
        printed.insert("name".to_owned(), json!(rule.name));
    }
    printed.insert("match".to_owned(), condition(&rule.condition, origin));
    if !rule.stat_prefix.is_empty() {
        printed.insert("statPrefix".to_owned(), json!(rule.stat_prefix));
    }
    match &rule.action {
        Action::Forward(forward) => {
            printed.insert("route".to_owned(), action(forward, plan));
            // What a sole destination says is said of the route (`processDestination`).
            let alone = match &forward.to[..] {
                [only] => Some(only),
                _ => None,
            };
            let request = alone.map(|only| &only.request);
            let response = alone.map(|only| &only.response);
            headers(&mut printed, "request", [Some(&forward.request), request]);
            headers(&mut printed, "response", [Some(&forward.response), response]);
        }
        Action::Redirect(redirect) => {
            printed.insert("redirect".to_owned(), redirection(redirect));
            headers(&mut printed, "response", [Some(&redirect.response), None]);
        }
        Action::Respond(respond) => {
            let mut answer = json!({ "status": respond.status });
            if !respond.body.is_empty() {
                let text = String::from_utf8_lossy(&respond.body);
                answer["body"] = json!({ "inlineString": text });
            }
            printed.insert("directResponse".to_owned(), answer);
            headers(&mut printed, "response", [Some(&respond.response), None]);
        }
    }
    let mut filters = Map::new();
    if let Some(fault) = &rule.fault {
        filters.insert("envoy.filters.http.fault".to_owned(), extras::injected(fault));
    }
    if let Some(cors) = rule.action.forward().and_then(|forward| forward.cors.as_ref()) {
        filters.insert("envoy.filters.http.cors".to_owned(), extras::shared(cors));
    }
    if !filters.is_empty() {
        printed.insert("typedPerFilterConfig".to_owned(), Value::Object(filters));
    }
    if let Some(resource) = origin.and_then(|origin| origin.object.resource()) {
        printed.insert(
            "metadata".to_owned(),
            json!({ "filterMetadata": { "istio": { "config": resource } } }),
        );
    }
    let operation = operation(rule, origin, listener, plan);
    printed.insert("decorator".to_owned(), json!({ "operation": operation }));
    Value::Object(printed)
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
    let headers = header_matchers(condition);
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

/// Header lines by name, then what stands before them in HTTP/2: method, authority, scheme.
fn header_matchers(condition: &Condition) -> Vec<Value> {
    let (mut pseudo, mut lines): (Vec<&FieldMatch>, Vec<&FieldMatch>) =
        condition.fields.iter().partition(|field| field.field.name().starts_with(':'));
    lines.sort_by_key(|field| field.field.name());
    pseudo.sort_by_key(|field| match field.field.name() {
        ":method" => 0,
        ":authority" => 1,
        _ => 2,
    });
    let method = match &condition.methods[..] {
        [] => None,
        [method] => Some(json!({ "exact": method })),
        several => Some(json!({ "safeRegex": { "regex": several.join("|") } })),
    };
    let method = method.map(|text| json!({ "name": ":method", "stringMatch": text }));
    lines.into_iter().map(field).chain(method).chain(pseudo.into_iter().map(field)).collect()
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

pub fn string_match(text: &TextMatch) -> Option<Value> {
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
    // Of several ways to say it one is always chosen, so that it is printed even when empty.
    printed.entry("pathRedirect").or_insert_with(|| json!(""));
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
        // Nothing was named: istiod makes a choice between no clusters of that.
        [only] if cluster_name(&only.to, plan).contains(' ') => json!({ "weightedClusters": {} }),
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
    match forward.rewrite_path.as_deref() {
        None => {}
        Some(PathRewrite::Matched(with)) => printed["prefixRewrite"] = json!(with),
        Some(PathRewrite::Regex(substitution)) => {
            printed["regexRewrite"] = json!({
                "pattern": { "regex": substitution.as_str() },
                "substitution": substitution.with(),
            });
        }
    }
    let own = match &forward.to[..] {
        [only] => only.rewrite_host.as_ref(),
        _ => None,
    };
    if let Some(host) = forward.rewrite_host.as_ref().or(own) {
        printed["hostRewriteLiteral"] = json!(host);
    }
    let hashes = resilience::hash_policies(forward, plan);
    if !hashes.is_empty() {
        printed["hashPolicy"] = hashes.into();
    }
    if !forward.mirrors.is_empty() {
        let mirror = |one: &Mirror| extras::mirror(one, cluster_name(&one.to, plan));
        printed["requestMirrorPolicies"] = forward.mirrors.iter().map(mirror).collect();
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
    headers(&mut printed, "request", [Some(&share.request), None]);
    headers(&mut printed, "response", [Some(&share.response), None]);
    Value::Object(printed)
}

fn cluster_name<'p>(to: &'p Destination, plan: &'p Plan) -> &'p str {
    match to {
        Destination::Upstream(index) => &plan.upstreams[*index].key.name,
        Destination::Missing(name) => name,
    }
}

/// What Istio calls the route in traces: `edition.cnn.com:443/*`, and without one destination
/// `name-of-the-object:443/*`.
fn operation(rule: &Rule, origin: Option<&Origin>, listener: &Listener, plan: &Plan) -> String {
    let path = match &rule.condition.path {
        PathMatch::Exact(path) | PathMatch::ExactAnyCase(path) => path.clone(),
        PathMatch::Prefix(prefix) | PathMatch::PrefixAnyCase(prefix) => format!("{prefix}*"),
        PathMatch::Regex(pattern) => pattern.as_str().to_owned(),
    };
    if let Some([only]) = rule.action.forward().map(|forward| &forward.to[..])
        && let [_, port, _, host] = cluster_name(&only.to, plan).split('|').collect::<Vec<_>>()[..]
    {
        return format!("{host}:{port}{path}");
    }
    let from = |origin: &Origin| {
        let named = origin.object.resource().unwrap_or_else(|| origin.object.name.to_string());
        named.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let name = origin.map(from).unwrap_or_default();
    format!("{name}:{}{path}", listener.port)
}

/// Edits of one side, each list in its own order: what is set by name, then what is added by name.
fn headers(printed: &mut Map<String, Value>, side: &str, edits: [Option<&HeaderEdits>; 2]) {
    let (mut lines, mut removed) = (Vec::new(), Vec::new());
    for edits in edits.into_iter().flatten() {
        for edit in by_name(&edits.set) {
            let mut line = header(edit);
            line["appendAction"] = json!("OVERWRITE_IF_EXISTS_OR_ADD");
            lines.push(line);
        }
        lines.extend(by_name(&edits.add).into_iter().map(header));
        removed.extend(edits.remove.iter().cloned());
    }
    if !lines.is_empty() {
        printed.insert(format!("{side}HeadersToAdd"), lines.into());
    }
    if !removed.is_empty() {
        printed.insert(format!("{side}HeadersToRemove"), removed.into());
    }
}

fn header(edit: &HeaderEdit) -> Value {
    json!({ "header": { "key": edit.name, "value": edit.value.written() } })
}

fn by_name(edits: &[HeaderEdit]) -> Vec<&HeaderEdit> {
    let mut sorted: Vec<&HeaderEdit> = edits.iter().collect();
    sorted.sort_by(|one, other| one.name.cmp(&other.name));
    sorted
}
