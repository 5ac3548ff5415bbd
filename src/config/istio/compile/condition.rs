//! Conditions of a route: where they apply, and what they ask of a request.
//!
//! A condition that cannot be expressed yet takes its rule out: a rule never matches more than it
//! says. Source: istio `core/route/route.go:TranslateRouteMatch`, `sourceMatchHTTP`.

use super::gateway::OpenServer;
use super::names::{self, MESH};
use super::object::Report;
use crate::config::istio::virtual_service::{HttpMatch, StringMatch};
use crate::config::{Identity, Severity};
use crate::model::PathMatch;

/// Whether a condition holds for a server at all, before any request is seen.
pub enum Applies {
    Here,
    /// Not on this server, and the field that decides.
    NotHere {
        field: &'static str,
        reason: String,
    },
}

/// Judges port, gateways and workload. `namespace` is the object's own.
pub fn applies(
    condition: &HttpMatch,
    server: &OpenServer,
    namespace: &str,
    identity: &Identity,
) -> Applies {
    let not_here = |field, reason| Applies::NotHere { field, reason };
    if let Some(port) = condition.port
        && port != u32::from(server.port)
    {
        return not_here(
            "port",
            format!("match.port {port} is not the gateway port {}", server.port),
        );
    }
    if !condition.gateways.is_empty() {
        let names = |name: &String| names::gateway(name, namespace) == server.gateway;
        return match condition.gateways.iter().any(names) {
            true => Applies::Here,
            false => not_here(
                "gateways",
                format!(
                    "match.gateways [{}] leaves out {}",
                    condition.gateways.join(", "),
                    server.gateway
                ),
            ),
        };
    }
    // As Istio: the workload is only asked about where no gateway is named.
    if !names::selects(&condition.source_labels, &identity.labels) {
        return not_here(
            "sourceLabels",
            "match.sourceLabels are not this gateway's labels".to_owned(),
        );
    }
    if !condition.source_namespace.is_empty() && condition.source_namespace != identity.namespace {
        return not_here(
            "sourceNamespace",
            format!("match.sourceNamespace {} is not this gateway's", condition.source_namespace),
        );
    }
    Applies::Here
}

/// Whether a condition is for sidecars alone.
pub fn is_mesh_only(condition: &HttpMatch) -> bool {
    !condition.gateways.is_empty() && condition.gateways.iter().all(|name| name == MESH)
}

/// What is asked of a request: path and methods. `None`: it cannot be expressed, and is reported.
pub fn compile(
    condition: &HttpMatch,
    field: &str,
    report: &mut Report<'_>,
) -> Option<(PathMatch, Vec<String>)> {
    let mut expressible = true;
    for (name, present) in [
        ("scheme", condition.scheme.is_some()),
        ("authority", condition.authority.is_some()),
        ("headers", !condition.headers.is_empty()),
        ("queryParams", !condition.query_params.is_empty()),
        ("withoutHeaders", !condition.without_headers.is_empty()),
        ("ignoreUriCase", condition.ignore_uri_case),
    ] {
        if present {
            expressible = false;
            report.unsupported(Severity::Error, &format!("{field}.{name}"), "the rule is left out");
        }
    }
    if !condition.stat_prefix.is_empty() {
        report.unsupported(Severity::Warning, &format!("{field}.statPrefix"), "it is not in force");
    }
    let path = match &condition.uri {
        None => Some(PathMatch::Prefix("/".to_owned())),
        Some(uri) => path(uri, &format!("{field}.uri"), report),
    };
    let methods = match &condition.method {
        None => Some(Vec::new()),
        Some(method) => methods(method, &format!("{field}.method"), report),
    };
    Some((path?, methods?)).filter(|_| expressible)
}

fn path(uri: &StringMatch, field: &str, report: &mut Report<'_>) -> Option<PathMatch> {
    match (&uri.exact, &uri.prefix, &uri.regex) {
        (Some(exact), None, None) => Some(PathMatch::Exact(exact.clone())),
        (None, Some(prefix), None) if !prefix.is_empty() => Some(PathMatch::Prefix(prefix.clone())),
        (None, None, Some(regex)) if regex == ".*" => Some(PathMatch::Prefix("/".to_owned())),
        (None, None, Some(_)) => {
            report.unsupported(Severity::Error, &format!("{field}.regex"), "the rule is left out");
            None
        }
        _ => one_way(field, report),
    }
}

fn methods(method: &StringMatch, field: &str, report: &mut Report<'_>) -> Option<Vec<String>> {
    match (&method.exact, &method.prefix, &method.regex) {
        (Some(exact), None, None) if !exact.is_empty() => Some(vec![exact.clone()]),
        (None, None, Some(regex)) if regex == ".*" => Some(Vec::new()),
        (None, Some(_), None) | (None, None, Some(_)) => {
            let kind = if method.prefix.is_some() { "prefix" } else { "regex" };
            report.unsupported(Severity::Error, &format!("{field}.{kind}"), "the rule is left out");
            None
        }
        _ => one_way(field, report),
    }
}

fn one_way<T>(field: &str, report: &mut Report<'_>) -> Option<T> {
    let message = "exactly one of exact, prefix and regex is needed; the rule is left out";
    report.fault("EG081", Severity::Error, field, message, "write one of them, not empty");
    None
}
