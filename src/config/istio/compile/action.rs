//! What a route does with a request: destinations, rewrites, timeouts, retries and header edits.
//!
//! An action that is not supported yet answers 503 for what its rule matches; it never lets the
//! request fall through to another rule. Source: istio `core/route/route.go:TranslateRoute`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::names;
use super::object::Report;
use super::upstreams::Known;
use crate::config::Severity;
use crate::config::istio::virtual_service::{
    Destination as Written, HeaderOperations, HttpRoute, HttpRouteDestination,
};
use crate::model::{Authority, Destination, Forward, HeaderEdit, HeaderEdits, Retry, duration};

/// A destination that a route leads to, for the lints.
pub struct Use {
    /// Index into `Plan::upstreams`.
    pub upstream: usize,
    /// The field of the destination.
    pub field: String,
}

/// What `http[..]` at `field` does on a listener of a gateway port.
pub fn compile(
    route: &HttpRoute,
    field: &str,
    port: u16,
    known: &Known,
    report: &mut Report<'_>,
) -> (Forward, Vec<Use>) {
    removed(route, field, report);
    let (to, uses) = destinations(route, field, port, known, report);
    let mut forward = Forward { to, ..Forward::new(Destination::Missing(String::new())) };
    forward.timeout = timeout(route, field, report);
    forward.retry = retry(route, field, report);
    if let Some(headers) = &route.headers {
        let field = format!("{field}.headers");
        edit(&mut forward, headers.request.as_ref(), headers.response.as_ref(), &field, report);
    }
    if let [only] = &route.route[..]
        && let Some(headers) = &only.headers
    {
        let field = format!("{field}.route[0].headers");
        edit(&mut forward, headers.request.as_ref(), headers.response.as_ref(), &field, report);
    }
    if let Some(authority) = route.rewrite.as_ref().and_then(|rewrite| rewrite.authority.as_ref()) {
        rewrite_host(&mut forward, authority, &format!("{field}.rewrite.authority"), report);
    }
    (forward, uses)
}

/// Reports fields that no longer exist and those that are not acted on yet.
fn removed(route: &HttpRoute, field: &str, report: &mut Report<'_>) {
    for (name, present, instead) in [
        (
            "websocketUpgrade",
            route.websocket_upgrade.is_some(),
            "leave it out: upgrades always pass",
        ),
        ("appendHeaders", route.append_headers.is_some(), "headers.request.add"),
        ("appendRequestHeaders", route.append_request_headers.is_some(), "headers.request.add"),
        ("removeRequestHeaders", route.remove_request_headers.is_some(), "headers.request.remove"),
        ("appendResponseHeaders", route.append_response_headers.is_some(), "headers.response.add"),
        (
            "removeResponseHeaders",
            route.remove_response_headers.is_some(),
            "headers.response.remove",
        ),
        ("mirrorPercent", route.mirror_percent.is_some(), "mirrorPercentage"),
    ] {
        if present {
            report.fault(
                "EG074",
                Severity::Warning,
                &format!("{field}.{name}"),
                "no longer exists; it is not in force",
                instead,
            );
        }
    }
    for (name, present) in [
        ("mirror", route.mirror.is_some()),
        ("mirrors", route.mirrors.is_some()),
        ("mirrorPercentage", route.mirror_percentage.is_some()),
        ("corsPolicy", route.cors_policy.is_some()),
    ] {
        if present {
            report.unsupported(Severity::Warning, &format!("{field}.{name}"), "it is not in force");
        }
    }
    if route.fault.is_some() {
        report.unsupported(Severity::Error, &format!("{field}.fault"), "no fault is injected");
    }
}

fn destinations(
    route: &HttpRoute,
    field: &str,
    port: u16,
    known: &Known,
    report: &mut Report<'_>,
) -> (Vec<(Destination, u32)>, Vec<Use>) {
    if let Some(name) = unusable(route, field, report) {
        return (vec![(Destination::Missing(name), 1)], Vec::new());
    }
    let (mut to, mut uses) = (Vec::new(), Vec::new());
    for (index, one) in route.route.iter().enumerate() {
        let at = format!("{field}.route[{index}]");
        removed_from_destination(one, &at, report);
        if one.headers.is_some() && route.route.len() > 1 {
            report.unsupported(
                Severity::Error,
                &format!("{at}.headers"),
                "with several destinations they are not edited",
            );
        }
        let weight = match one.weight {
            _ if route.route.len() == 1 => 1,
            weight => u32::try_from(weight.unwrap_or(0)).unwrap_or_else(|_| {
                report.fault(
                    "EG073",
                    Severity::Error,
                    &format!("{at}.weight"),
                    "not a weight; taken as 0",
                    "",
                );
                0
            }),
        };
        if weight > 0 {
            let at = format!("{at}.destination");
            to.push((destination(&one.destination, &at, port, known, report, &mut uses), weight));
        }
    }
    if to.is_empty() {
        let message = "no destination has a weight; requests get 503";
        report.fault(
            "EG073",
            Severity::Error,
            &format!("{field}.route"),
            message,
            "give each its share",
        );
        to.push((Destination::Missing(format!("{}: no weights", report.title())), 1));
    }
    (to, uses)
}

/// Why the route cannot forward anything, by a name for the log: an action of another kind, or none.
fn unusable(route: &HttpRoute, field: &str, report: &mut Report<'_>) -> Option<String> {
    let rewrite = route.rewrite.as_ref();
    for (name, present) in [
        ("redirect", route.redirect.is_some()),
        ("directResponse", route.direct_response.is_some()),
        ("delegate", route.delegate.is_some()),
        ("rewrite.uri", rewrite.is_some_and(|rewrite| rewrite.uri.is_some())),
        (
            "rewrite.uriRegexRewrite",
            rewrite.is_some_and(|rewrite| rewrite.uri_regex_rewrite.is_some()),
        ),
    ] {
        if present {
            report.unsupported(
                Severity::Error,
                &format!("{field}.{name}"),
                "requests that match get 503",
            );
            return Some(format!("{}: {name} is not supported yet", report.title()));
        }
    }
    if route.route.is_empty() {
        report.fault(
            "EG073",
            Severity::Error,
            field,
            "no destination; requests that match get 503",
            "add route",
        );
        return Some(format!("{}: no destination", report.title()));
    }
    None
}

fn removed_from_destination(one: &HttpRouteDestination, field: &str, report: &mut Report<'_>) {
    for (name, present, instead) in [
        ("appendRequestHeaders", one.append_request_headers.is_some(), "headers.request.add"),
        ("removeRequestHeaders", one.remove_request_headers.is_some(), "headers.request.remove"),
        ("appendResponseHeaders", one.append_response_headers.is_some(), "headers.response.add"),
        ("removeResponseHeaders", one.remove_response_headers.is_some(), "headers.response.remove"),
    ] {
        if present {
            report.fault(
                "EG074",
                Severity::Warning,
                &format!("{field}.{name}"),
                "no longer exists; it is not in force",
                instead,
            );
        }
    }
}

/// Finds the upstream by Istio's rule: the port given, else the service's only port, else the listener's.
fn destination(
    written: &Written,
    field: &str,
    listener_port: u16,
    known: &Known,
    report: &mut Report<'_>,
    uses: &mut Vec<Use>,
) -> Destination {
    let host = names::service(&written.host, &report.document.namespace);
    let ports = known.ports(&host);
    let given = written.port.as_ref().map(|port| port.number);
    let number = match (given, ports) {
        (Some(number), _) => u16::try_from(number).unwrap_or(0),
        (None, Some([only])) => *only,
        (None, _) => listener_port,
    };
    let name = names::cluster(number, &written.subset, &host);
    if let Some(upstream) = known.cluster(number, &written.subset, &host) {
        uses.push(Use { upstream, field: field.to_owned() });
        return Destination::Upstream(upstream);
    }
    match ports {
        _ if written.host.is_empty() => {
            report.fault(
                "EG082",
                Severity::Error,
                &format!("{field}.host"),
                "no host is named; requests get 503",
                "name it",
            );
        }
        None => {
            let message = format!("{host} is unknown; requests get 503 (NC)");
            let fix = format!("add a ServiceEntry with hosts: [{host}]");
            report.fault("EG011", Severity::Error, &format!("{field}.host"), message, fix);
        }
        Some(ports) if !ports.contains(&number) => {
            let list: Vec<String> = ports.iter().map(u16::to_string).collect();
            let list = list.join(", ");
            let message = match given {
                Some(_) => {
                    format!("{host} has ports [{list}], not {number}; requests get 503 (NC)")
                }
                None => format!(
                    "{host} has ports [{list}] and none is named, so {number} is used; requests get 503 (NC)"
                ),
            };
            let at =
                if given.is_some() { format!("{field}.port.number") } else { field.to_owned() };
            report.fault(
                "EG010",
                Severity::Error,
                &at,
                message,
                format!("write port: {{number: {}}}", ports.first().unwrap_or(&443)),
            );
        }
        Some(_) => {
            let message = format!(
                "subset {} of {host} is in no DestinationRule that applies; requests get 503 (NC)",
                written.subset
            );
            report.fault(
                "EG012",
                Severity::Warning,
                &format!("{field}.subset"),
                message,
                "declare it, or leave it out",
            );
        }
    }
    Destination::Missing(name)
}

fn timeout(route: &HttpRoute, field: &str, report: &mut Report<'_>) -> Option<Duration> {
    match duration::parse(route.timeout.as_deref()?) {
        Ok(time) => Some(time).filter(|time| !time.is_zero()), // zero is Istio's word for none
        Err(why) => {
            report.fault(
                "EG081",
                Severity::Error,
                &format!("{field}.timeout"),
                why,
                "no timeout is in force",
            );
            None
        }
    }
}

fn retry(route: &HttpRoute, field: &str, report: &mut Report<'_>) -> Retry {
    let Some(retries) = &route.retries else {
        return Retry::default();
    };
    for (name, present) in [
        ("perTryTimeout", retries.per_try_timeout.is_some()),
        ("retryOn", retries.retry_on.is_some()),
        ("retryRemoteLocalities", retries.retry_remote_localities.is_some()),
        ("retryIgnorePreviousHosts", retries.retry_ignore_previous_hosts.is_some()),
        ("backoff", retries.backoff.is_some()),
    ] {
        if present {
            report.unsupported(
                Severity::Warning,
                &format!("{field}.retries.{name}"),
                "it is not in force",
            );
        }
    }
    Retry { attempts: u32::try_from(retries.attempts).unwrap_or(0) }
}

fn edit(
    forward: &mut Forward,
    request: Option<&HeaderOperations>,
    response: Option<&HeaderOperations>,
    field: &str,
    report: &mut Report<'_>,
) {
    if let Some(operations) = request {
        let at = format!("{field}.request");
        for (name, value) in &operations.set {
            if is_host(name) {
                rewrite_host(forward, value, &format!("{at}.set.{name}"), report);
            }
        }
        edits(&mut forward.request, operations, &at, report);
    }
    if let Some(operations) = response {
        edits(&mut forward.response, operations, &format!("{field}.response"), report);
    }
}

fn edits(
    edits: &mut HeaderEdits,
    operations: &HeaderOperations,
    field: &str,
    report: &mut Report<'_>,
) {
    for (index, name) in operations.remove.iter().enumerate() {
        if check_name(name, &format!("{field}.remove[{index}]"), report) {
            edits.remove.push(name.clone());
        }
    }
    edits.set.extend(lines(&operations.set, &format!("{field}.set"), report));
    edits.add.extend(lines(&operations.add, &format!("{field}.add"), report));
}

fn lines(
    written: &BTreeMap<String, String>,
    field: &str,
    report: &mut Report<'_>,
) -> Vec<HeaderEdit> {
    let mut lines = Vec::new();
    for (name, value) in written {
        let at = format!("{field}.{name}");
        if is_host(name) && field.ends_with("request.set") {
            continue; // a rewrite, which stands in `rewrite_host`
        }
        if !check_name(name, &at, report) {
            continue;
        }
        if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            report.fault(
                "EG081",
                Severity::Error,
                &at,
                "the value has a line break or a NUL; it is left out",
                "write one line",
            );
            continue;
        }
        if value.contains('%') {
            report.unsupported(Severity::Warning, &at, "a % in a value is sent as it is");
        }
        lines.push(HeaderEdit { name: name.clone(), value: value.clone() });
    }
    lines
}

fn check_name(name: &str, field: &str, report: &mut Report<'_>) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let valid = !name.is_empty() && name.bytes().all(token) && !is_host(name);
    if !valid {
        let message = format!("\"{name}\" is not a header that can be edited; it is left out");
        report.fault(
            "EG081",
            Severity::Error,
            field,
            message,
            "the Host is rewritten by rewrite.authority",
        );
    }
    valid
}

fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name == ":authority"
}

fn rewrite_host(forward: &mut Forward, authority: &str, field: &str, report: &mut Report<'_>) {
    match Authority::parse(authority.as_bytes()) {
        Some(_) => forward.rewrite_host = Some(authority.to_owned()),
        None => {
            let message = format!(
                "\"{authority}\" is not a host, with or without a port; the Host stays as it is"
            );
            report.fault("EG081", Severity::Error, field, message, "write the name alone");
        }
    }
}
