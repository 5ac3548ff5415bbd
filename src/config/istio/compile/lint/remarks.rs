//! What works as written and may surprise all the same: ports whose name says something else than HTTP,
//! routes that may take for ever, endpoints that have no other beside them, TLS inside TLS.
//!
//! It changes nothing.

use super::World;
use crate::config::Severity;
use crate::config::document::Node;
use crate::config::istio::compile::destination_rule::Rules;
use crate::config::istio::compile::destinations::Use;
use crate::config::istio::compile::names;
use crate::config::istio::compile::object::Report;
use crate::config::istio::compile::service_entry::Application;
use crate::model::{Addressing, Security};

/// EG036: HTTP is carried to a port that is said to speak something else.
pub(super) fn opaque_port(report: &mut Report<'_>, at: &Use, world: &World<'_, '_>) {
    let facts = &world.known.facts[at.upstream];
    let number = world.compiled.plan.upstreams[at.upstream].key.port;
    let service = &world.services[facts.service];
    let port = service.ports.iter().find(|port| port.number == number);
    let Some(port) = port.filter(|port| port.application == Application::Opaque) else { return };
    let message = format!(
        "{} says with {}.protocol that port {number} is not HTTP; HTTP is sent to it all the same",
        service.report.title(),
        port.origin.field,
    );
    let fix = "write HTTP, HTTPS or HTTP2 there";
    report.tell("EG036", Severity::Warning, &at.field, message, fix);
}

/// EG054: routes without a timeout, told once for an object.
pub(super) fn no_timeout(report: &mut Report<'_>, uses: &[Use]) {
    let document = report.document;
    let mut routes: Vec<&str> =
        uses.iter().filter_map(|at| Some(at.field.split_once(".route[")?.0)).collect();
    routes.dedup();
    routes.retain(|route| document.value(&format!("{route}.timeout")).is_none());
    let Some((first, others)) = routes.split_first() else { return };
    let more = match others.len() {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    let message =
        format!("no timeout{more}: as with Istio, a response may take as long as it keeps moving");
    report.tell("EG054", Severity::Info, first, message, "write e.g. timeout: 60s");
}

/// EG058: the only endpoint of a host can be ejected, and then nobody is left.
pub(super) fn only_endpoint(upstream: usize, rules: &mut Rules<'_>, world: &World<'_, '_>) {
    let spec = &world.compiled.plan.upstreams[upstream];
    let only = match &*spec.addressing {
        Addressing::Static(addresses) if addresses.len() == 1 => "its only endpoint".to_owned(),
        Addressing::Dns(targets) if targets.len() == 1 => {
            format!("where {} has one address alone, it", targets[0].host)
        }
        _ => return,
    };
    let Some(rule) = world.known.facts[upstream].policy.choice.policy else { return };
    let rule = &mut rules.all[rule];
    let Some(traffic) = &rule.traffic else { return };
    let level = traffic.ports.get(&spec.key.port).unwrap_or(&traffic.all);
    let field = format!("{}.outlierDetection", level.path);
    let Some(written) = rule.report.document.value(&field) else { return };
    if written.get("minHealthPercent").and_then(Node::as_u64).is_some_and(|percent| percent > 0) {
        return; // then nobody is left out when too few are healthy
    }
    let message = format!(
        "{} is ejected after failures whatever maxEjectionPercent says, and requests get 503 (UH) until it is back",
        only
    );
    let fix = "name more endpoints, or leave outlierDetection out";
    rule.report.tell("EG058", Severity::Warning, &field, message, fix);
}

/// EG019: a stream that is TLS already, led to a host whose policy would wrap it in TLS again.
pub fn encrypted_twice<'r, 'a: 'r>(
    reports: impl Iterator<Item = &'r mut Report<'a>>,
    world: &World<'_, '_>,
) {
    for report in reports.filter(|report| report.document.kind == "VirtualService") {
        let document = report.document;
        let routes = document.value("spec.tls").into_iter().flat_map(Node::entries);
        for (index, route) in routes.enumerate() {
            let shares = route.get("route").into_iter().flat_map(Node::entries);
            for (share, one) in shares.enumerate() {
                let field = format!("spec.tls[{index}].route[{share}].destination");
                tell_of_second_tls(one, &field, report, world);
            }
        }
    }
}

fn tell_of_second_tls(
    share: Node<'_>,
    field: &str,
    report: &mut Report<'_>,
    world: &World<'_, '_>,
) {
    let text = |path: &str| share.at(path).and_then(Node::as_str).unwrap_or_default();
    let host = names::service(text("destination.host"), &report.document.namespace);
    let given = share.at("destination.port.number").and_then(Node::as_u64);
    let port = match (given, world.known.ports(&host).as_deref()) {
        (Some(number), _) => u16::try_from(number).unwrap_or(0),
        (None, Some([only])) => *only,
        (None, _) => 443,
    };
    let Some(upstream) = world.known.cluster(port, text("destination.subset"), &host) else {
        return;
    };
    if !matches!(world.compiled.plan.upstreams[upstream].key.security, Security::Tls(_)) {
        return;
    }
    let message = format!(
        "TLS is already inside the stream; the DestinationRule for {host}:{port} would wrap it again"
    );
    let fix = "give this destination a subset whose tls has mode: DISABLE";
    report.tell("EG019", Severity::Error, field, message, fix);
}
