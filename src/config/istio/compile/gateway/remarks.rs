//! What Istio would refuse a gateway for, most of which keeps no server from being opened.
//!
//! It changes nothing. Source: istio `pkg/config/validation:ValidateGateway`, `ValidateServer`.

use std::collections::HashSet;

use crate::config::Severity;
use crate::config::istio::compile::names;
use crate::config::istio::compile::object::Report;
use crate::config::istio::gateway::Gateway;

/// Tells all of it.
pub(super) fn tell(spec: &Gateway, report: &mut Report<'_>) {
    let name = report.document.name.as_str();
    if !name.is_empty() && !name.split('.').all(names::is_dns_label) {
        let what = format!("\"{name}\" is not a name of Kubernetes");
        let fix = "write lower-case letters, digits and dashes";
        report.refused_by_istio("metadata.name", what, fix);
    }
    let mut taken = HashSet::new();
    for (index, server) in spec.servers.iter().enumerate() {
        let field = format!("spec.servers[{index}].port");
        let name = server.port.name.as_str();
        if name.is_empty() {
            report.refused_by_istio(&field, "the port has no name", "add name: http or the like");
        } else if !taken.insert(name) {
            let what = format!("two servers have the port name \"{name}\"");
            let fix = "give each a name of its own";
            report.refused_by_istio(&format!("{field}.name"), what, fix);
        }
        let protocol = server.port.protocol.to_ascii_uppercase();
        if matches!(protocol.as_str(), "HTTPS" | "TLS") && server.tls.is_none() {
            let message = format!("a server with protocol {protocol} needs tls");
            let field = format!("spec.servers[{index}]");
            report.fault(
                "EG082",
                Severity::Error,
                &field,
                message,
                "add tls, or use protocol HTTP",
            );
        }
    }
}
