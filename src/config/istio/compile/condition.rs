//! Conditions of a route: where they apply, and what they ask of a request.
//!
//! A condition that cannot be understood takes its rule out: a rule never matches more than it
//! says. Source: istio `core/route/route.go:TranslateRouteMatch`, `sourceMatchHTTP`.

use super::gateway::OpenServer;
use super::names::{self, MESH};
use super::object::Report;
use crate::config::istio::virtual_service::{HttpMatch, StringMatch};
use crate::config::{Identity, Severity};
use crate::model::condition::is_token;
use crate::model::{Condition, Field, FieldMatch, PathMatch, Pattern, QueryMatch, TextMatch};

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
    match for_others(condition, identity) {
        None => Applies::Here,
        Some("sourceLabels") => {
            let reason = "match.sourceLabels are not this gateway's labels";
            not_here("sourceLabels", reason.to_owned())
        }
        Some(field) => not_here(
            field,
            format!("match.sourceNamespace {} is not this gateway's", condition.source_namespace),
        ),
    }
}

/// Whether a condition is for sidecars alone.
pub fn is_mesh_only(condition: &HttpMatch) -> bool {
    !condition.gateways.is_empty() && condition.gateways.iter().all(|name| name == MESH)
}

/// The field that keeps a condition for other workloads than this one, whatever the server.
///
/// As Istio: the workload is only asked about where no gateway is named.
pub fn for_others(condition: &HttpMatch, identity: &Identity) -> Option<&'static str> {
    let namespace = &condition.source_namespace;
    if !condition.gateways.is_empty() {
        None
    } else if !names::selects(&condition.source_labels, &identity.labels) {
        Some("sourceLabels")
    } else {
        (!namespace.is_empty() && *namespace != identity.namespace).then_some("sourceNamespace")
    }
}

/// What is asked of a request; `None`: something cannot be understood, and all of that is reported.
pub fn compile(asked: &HttpMatch, field: &str, report: &mut Report<'_>) -> Option<Condition> {
    let mut condition = Condition::default();
    let mut understood = true;
    match path(asked, &format!("{field}.uri"), report) {
        Some(path) => condition.path = path,
        None => understood = false,
    }
    for (name, wanted, part) in [
        ("method", &asked.method, Field::Method),
        ("authority", &asked.authority, Field::Authority),
        ("scheme", &asked.scheme, Field::Scheme),
    ] {
        let Some(wanted) = wanted else { continue };
        match (text(wanted, &format!("{field}.{name}"), report), part) {
            (None, _) => understood = false,
            (Some(TextMatch::Present), _) => {}
            (Some(TextMatch::Exact(method)), Field::Method) if is_token(&method) => {
                condition.methods.push(method);
            }
            (Some(TextMatch::Exact(method)), Field::Method) => {
                let message = format!("\"{method}\" is no method; the rule is left out");
                let at = format!("{field}.method.exact");
                report.fault("EG081", Severity::Error, &at, message, "write e.g. GET");
                understood = false;
            }
            (Some(text), field) => {
                condition.fields.push(FieldMatch { field, text, inverted: false });
            }
        }
    }
    for (list, wanted, inverted) in
        [("headers", &asked.headers, false), ("withoutHeaders", &asked.without_headers, true)]
    {
        for (name, wanted) in wanted {
            let at = format!("{field}.{list}.{name}");
            match header(name, wanted, &at, report) {
                Some((field, text)) => condition.fields.push(FieldMatch { field, text, inverted }),
                None => understood = false,
            }
        }
    }
    for (name, wanted) in &asked.query_params {
        match text(wanted, &format!("{field}.queryParams.{name}"), report) {
            Some(text) => condition.query.push(QueryMatch { name: name.clone(), text }),
            None => understood = false,
        }
    }
    Some(condition).filter(|_| understood)
}

fn path(asked: &HttpMatch, field: &str, report: &mut Report<'_>) -> Option<PathMatch> {
    let Some(uri) = &asked.uri else { return Some(Condition::default().path) };
    match (&uri.exact, &uri.prefix, &uri.regex) {
        (Some(exact), None, None) if asked.ignore_uri_case => {
            Some(PathMatch::ExactAnyCase(exact.clone()))
        }
        (Some(exact), None, None) => Some(PathMatch::Exact(exact.clone())),
        (None, Some(prefix), None) if prefix.is_empty() => one_way(field, report),
        (None, Some(prefix), None) => {
            tell_of_open_prefix(prefix, field, report);
            Some(match asked.ignore_uri_case {
                true => PathMatch::PrefixAnyCase(prefix.clone()),
                false => PathMatch::Prefix(prefix.clone()),
            })
        }
        (None, None, Some(regex)) => pattern(regex, field, report).map(PathMatch::Regex),
        _ => one_way(field, report),
    }
}

/// A prefix is one of the text, not of path segments, which is rarely what was meant.
fn tell_of_open_prefix(prefix: &str, field: &str, report: &mut Report<'_>) {
    if prefix.ends_with(['/', '?', '=', '.', '-', '_']) || !prefix.starts_with('/') {
        return; // what follows is meant to be a part of the same word
    }
    if report.problems.iter().any(|problem| problem.code == "EG072") {
        return; // once is enough: an object may have hundreds
    }
    let message =
        format!("it matches {prefix}foo too, as does every prefix here without a / at its end");
    let fix = format!("match prefix {prefix}/ and exact {prefix}");
    report.tell("EG072", Severity::Warning, &format!("{field}.prefix"), message, fix);
}

fn header(
    name: &str,
    wanted: &StringMatch,
    field: &str,
    report: &mut Report<'_>,
) -> Option<(Field, TextMatch)> {
    let text = text(wanted, field, report);
    if name.starts_with("@request.auth.claims") {
        report.unsupported(Severity::Error, field, "no token is read; the rule is left out");
        return None;
    }
    let Some(part) = Field::named(name) else {
        let message = format!("\"{name}\" is no header name; the rule is left out");
        report.fault("EG081", Severity::Error, field, message, "write letters, digits and dashes");
        return None;
    };
    Some((part, text?))
}

/// A condition on a text; nothing at all, and the expression `*`, are Istio's words for "whatever it says".
fn text(wanted: &StringMatch, field: &str, report: &mut Report<'_>) -> Option<TextMatch> {
    match (&wanted.exact, &wanted.prefix, &wanted.regex) {
        (None, None, None) => Some(TextMatch::Present),
        (Some(exact), None, None) => Some(TextMatch::Exact(exact.clone())),
        (None, Some(prefix), None) => Some(TextMatch::Prefix(prefix.clone())),
        (None, None, Some(regex)) if regex == "*" => Some(TextMatch::Present),
        (None, None, Some(regex)) => pattern(regex, field, report).map(TextMatch::Regex),
        _ => one_way(field, report),
    }
}

fn pattern(regex: &str, field: &str, report: &mut Report<'_>) -> Option<Pattern> {
    let wrong = |why| {
        let message = format!("{why}; the rule is left out");
        let fix = "write RE2's syntax; it must match the whole text";
        report.fault("EG081", Severity::Error, &format!("{field}.regex"), message, fix);
    };
    Pattern::parse(regex).map_err(wrong).ok()
}

fn one_way<T>(field: &str, report: &mut Report<'_>) -> Option<T> {
    let message = "exactly one of exact, prefix and regex is needed; the rule is left out";
    report.fault("EG081", Severity::Error, field, message, "write one of them, not empty");
    None
}
