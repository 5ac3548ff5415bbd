//! Where a route carries requests: services, ports and subsets by Istio's rule, each with its share.
//!
//! A destination that does not exist is kept by its name and answers 503, as Istio does.
//! Source: istio `core/route/route.go:GetDestinationCluster`, `processWeightedDestination`.

use super::object::Report;
use super::upstreams::Known;
use super::{headers, names};
use crate::config::istio::virtual_service::{
    Destination as Written, HttpRoute, HttpRouteDestination,
};
use crate::config::{Severity, nearest};
use crate::model::{Destination, Share};

/// What follows when a destination does not exist.
const GETS_503: &str = "requests get 503 (NC)";

/// A destination that a route leads to, for the lints.
pub struct Use {
    /// Index into `Plan::upstreams`.
    pub upstream: usize,
    /// The field of the destination.
    pub field: String,
}

/// The shares of `http[..]` at `field`, on a listener of a gateway port.
pub fn compile(
    route: &HttpRoute,
    field: &str,
    port: u16,
    known: &Known,
    report: &mut Report<'_>,
) -> (Vec<Share>, Vec<Use>) {
    let (mut to, mut uses) = (Vec::new(), Vec::new());
    for (index, one) in route.route.iter().enumerate() {
        let at = format!("{field}.route[{index}]");
        removed(one, &at, report);
        let weight = weight(one, route.route.len(), &at, report);
        if weight > 0 {
            let destination = format!("{at}.destination");
            let destination = destination_of(
                &one.destination,
                &destination,
                GETS_503,
                port,
                known,
                report,
                &mut uses,
            );
            let mut share = Share { weight, ..Share::whole(destination) };
            if let Some(written) = &one.headers {
                let edits = headers::compile(written, &format!("{at}.headers"), report);
                share.rewrite_host = edits.rewrite_host;
                share.request = edits.request;
                share.response = edits.response;
            }
            to.push(share);
        }
    }
    if to.is_empty() {
        let (message, fix, missing) = match route.route.is_empty() {
            true => ("no destination; requests that match get 503", "add route", "no destination"),
            false => {
                let message = "no destination has a weight; requests get 503";
                (message, "give each its share", "no weights")
            }
        };
        let at = if route.route.is_empty() { field.to_owned() } else { format!("{field}.route") };
        report.fault("EG073", Severity::Error, &at, message, fix);
        to.push(Share::whole(Destination::Missing(format!("{}: {missing}", report.title()))));
    }
    (to, uses)
}

/// One destination alone takes everything; of several, each what it is given.
fn weight(one: &HttpRouteDestination, count: usize, field: &str, report: &mut Report<'_>) -> u32 {
    match (count, one.weight) {
        (1, _) => 1,
        (_, weight) => u32::try_from(weight.unwrap_or(0)).unwrap_or_else(|_| {
            let at = format!("{field}.weight");
            report.fault("EG073", Severity::Error, &at, "not a weight; taken as 0", "");
            0
        }),
    }
}

/// Reports fields that no longer exist.
fn removed(one: &HttpRouteDestination, field: &str, report: &mut Report<'_>) {
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
/// `effect` is what follows when there is none.
pub fn destination_of(
    written: &Written,
    field: &str,
    effect: &str,
    listener_port: u16,
    known: &Known,
    report: &mut Report<'_>,
    uses: &mut Vec<Use>,
) -> Destination {
    if written.weight.is_some() {
        let message = "it has no effect here: a weight stands beside destination, not in it";
        let at = format!("{field}.weight");
        report.fault("EG073", Severity::Error, &at, message, "move it one level up");
    }
    if !written.subset.is_empty() && !names::is_dns_label(&written.subset) {
        let what = format!("\"{}\" is not a name of a subset", written.subset);
        let fix = "write lower-case letters, digits and dashes";
        report.refused_by_istio(&format!("{field}.subset"), what, fix);
    }
    let host = names::service(&written.host, &report.document.namespace);
    let ports = known.ports(&host);
    let given = written.port.as_ref().map(|port| port.number);
    let number = match (given, ports.as_deref()) {
        (Some(number), _) => u16::try_from(number).unwrap_or(0),
        (None, Some([only])) => *only,
        (None, _) => listener_port,
    };
    let name = names::cluster(number, &written.subset, &host);
    if let Some(upstream) = known.cluster(number, &written.subset, &host) {
        uses.push(Use { upstream, field: field.to_owned() });
        return Destination::Upstream(upstream);
    }
    report_missing(written, (field, effect), number, &host, known, report);
    Destination::Missing(name)
}

/// Says why a destination names no upstream.
fn report_missing(
    written: &Written,
    (field, effect): (&str, &str),
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
                format!("no host is named; {effect}"),
                "name it",
            );
        }
        None => {
            let message = format!("{host} is unknown; {effect}");
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
                    format!("{host} has ports [{list}], not {number}; {effect}")
                }
                false => format!(
                    "{host} has ports [{list}] and none is named, so {number} is used; {effect}"
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
                "subset {} of {host} is in no DestinationRule that applies; {effect}",
                written.subset
            );
            report.fault(
                "EG012",
                Severity::Warning,
                &format!("{field}.subset"),
                message,
                match known.subsets(number, host) {
                    declared if declared.is_empty() => "declare it, or leave it out".to_owned(),
                    declared => nearest(&written.subset, &declared),
                },
            );
        }
    }
}
