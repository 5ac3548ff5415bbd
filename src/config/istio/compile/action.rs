//! What a route does with a request: destinations, rewrites and timeouts.
//!
//! An action that is not supported yet answers 503 for what its rule matches; it never lets the
//! request fall through to another rule. Source: istio `core/route/route.go:TranslateRoute`.

use std::time::Duration;

use super::object::Report;
use super::upstreams::Known;
use super::{headers, names, retries};
use crate::config::Severity;
use crate::config::istio::virtual_service::{
    Destination as Written, HttpRoute, HttpRouteDestination,
};
use crate::model::{Destination, Forward, duration};

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
    forward.retry = retries::compile(route.retries.as_ref(), &format!("{field}.retries"), report);
    if let Some(headers) = &route.headers {
        let field = format!("{field}.headers");
        headers::edit(
            &mut forward,
            headers.request.as_ref(),
            headers.response.as_ref(),
            &field,
            report,
        );
    }
    if let [only] = &route.route[..]
        && let Some(headers) = &only.headers
    {
        let field = format!("{field}.route[0].headers");
        headers::edit(
            &mut forward,
            headers.request.as_ref(),
            headers.response.as_ref(),
            &field,
            report,
        );
    }
    if let Some(authority) = route.rewrite.as_ref().and_then(|rewrite| rewrite.authority.as_ref()) {
        headers::rewrite_host(
            &mut forward,
            authority,
            &format!("{field}.rewrite.authority"),
            report,
        );
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
    report_missing(written, field, number, &host, known, report);
    Destination::Missing(name)
}

/// Says why a destination names no upstream.
fn report_missing(
    written: &Written,
    field: &str,
    number: u16,
    host: &str,
    known: &Known,
    report: &mut Report<'_>,
) {
    let given = written.port.is_some();
    match known.ports(host) {
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
            let fix = match known.similar(host) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => format!("add a ServiceEntry with hosts: [{host}]"),
            };
            report.fault("EG011", Severity::Error, &format!("{field}.host"), message, fix);
        }
        Some(ports) if !ports.contains(&number) => {
            let list: Vec<String> = ports.iter().map(u16::to_string).collect();
            let list = list.join(", ");
            let message = match given {
                true => {
                    format!("{host} has ports [{list}], not {number}; requests get 503 (NC)")
                }
                false => format!(
                    "{host} has ports [{list}] and none is named, so {number} is used; requests get 503 (NC)"
                ),
            };
            let at = if given { format!("{field}.port.number") } else { field.to_owned() };
            report.fault(
                "EG010",
                Severity::Error,
                &at,
                message,
                format!("write port: {{number: N}} with one of {list}, or add the port to the ServiceEntry"),
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
