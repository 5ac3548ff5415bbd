//! What is to be said of a service that can be used all the same: fields that others go by, what Istio
//! would refuse, and a protocol that invites trouble in a mesh.
//!
//! It changes nothing. Source: istio `pkg/config/validation:ValidateServiceEntry`.

use crate::config::istio::compile::names;
use crate::config::istio::compile::object::Report;
use crate::config::istio::service_entry::ServiceEntry;
use crate::config::{Severity, nearest};

/// Tells all of it.
pub(super) fn tell(spec: &ServiceEntry, report: &mut Report<'_>) {
    ports(spec, report);
    endpoints(spec, report);
    addresses(spec, report);
    if spec.workload_selector.is_some() {
        report.unsupported(Severity::Error, "spec.workloadSelector", "no endpoint comes from it");
        if !spec.endpoints.is_empty() {
            let what = "workloadSelector and endpoints exclude each other";
            report.refused_by_istio("spec.workloadSelector", what, "leave it out");
        }
    }
    match spec.location.as_deref() {
        None | Some("MESH_EXTERNAL") => {}
        Some("MESH_INTERNAL") => {
            report.for_sidecars("spec.location", "a gateway calls all hosts the same way");
        }
        Some(other) => {
            let message = format!("\"{other}\" is not a location; it has no effect here");
            let fix = nearest(other, &["MESH_EXTERNAL", "MESH_INTERNAL"]);
            report.fault("EG081", Severity::Error, "spec.location", message, fix);
        }
    }
}

fn ports(spec: &ServiceEntry, report: &mut Report<'_>) {
    for (index, port) in spec.ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        if port.name.is_empty() {
            report.refused_by_istio(&field, "the port has no name", "add name: http or the like");
        } else if !names::is_dns_label(&port.name) {
            let what = format!("\"{}\" is not a port name", port.name);
            let fix = "write lower-case letters, digits and dashes";
            report.refused_by_istio(&format!("{field}.name"), what, fix);
        }
        if port.number == 443 && port.protocol.eq_ignore_ascii_case("HTTP") {
            let message = "HTTP on port 443 is right only if every client sends plain text to it; \
                           in a mesh it breaks those that speak HTTPS themselves";
            let fix = "write HTTPS, or use a port of its own with targetPort: 443";
            report.tell("EG004", Severity::Warning, &format!("{field}.protocol"), message, fix);
        }
    }
}

fn endpoints(spec: &ServiceEntry, report: &mut Report<'_>) {
    if !spec.endpoints.is_empty() && matches!(spec.resolution.as_deref(), None | Some("NONE")) {
        let message = "resolution NONE, which is the default, uses no endpoints";
        let fix = "write resolution: STATIC for addresses, DNS for names";
        report.fault("EG052", Severity::Error, "spec.endpoints", message, fix);
    }
    for (index, entry) in spec.endpoints.iter().enumerate() {
        for (name, present) in [
            ("network", entry.network.is_some()),
            ("serviceAccount", entry.service_account.is_some()),
        ] {
            if present {
                let field = format!("spec.endpoints[{index}].{name}");
                report.for_sidecars(&field, "ignored by this gateway");
            }
        }
    }
}

fn addresses(spec: &ServiceEntry, report: &mut Report<'_>) {
    if !spec.addresses.is_empty() {
        report.for_sidecars("spec.addresses", "a gateway goes by the Host");
    }
    let resolution = spec.resolution.as_deref().unwrap_or("NONE");
    for (index, address) in spec.addresses.iter().enumerate() {
        let field = format!("spec.addresses[{index}]");
        let (ip, length) = address
            .split_once('/')
            .map_or((address.as_str(), None), |(ip, length)| (ip, Some(length.parse::<u8>().ok())));
        if ip.parse::<std::net::IpAddr>().is_err() || length == Some(None) {
            let what = format!("\"{address}\" is not an IP address");
            report.refused_by_istio(&field, what, "write an address, or a range as 10.0.0.0/8");
        } else if length.is_some() && !matches!(resolution, "NONE" | "STATIC") {
            let what = format!("a range of addresses does not go with resolution {resolution}");
            report.refused_by_istio(&field, what, "name single addresses");
        }
    }
}
