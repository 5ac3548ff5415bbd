//! What is to be said of an object bound to gateways: hosts that are not admitted, conditions that never
//! hold, rules that apply nowhere.
//!
//! It changes no rule.

use std::collections::BTreeSet;

use super::Virtual;
use crate::config::istio::compile::condition;
use crate::config::istio::compile::gateway::{Gateways, OpenServer};
use crate::config::istio::compile::names::{self, MESH};
use crate::config::istio::virtual_service::HttpMatch;
use crate::config::{Identity, Severity};

impl Virtual<'_> {
    /// Says which hosts no server admits.
    pub fn report_hosts(&mut self, gateways: &Gateways) {
        let missing: Vec<usize> =
            (0..self.hosts.len()).filter(|index| !self.admitted[*index]).collect();
        let Some(first) = missing.first() else { return };
        let servers = gateways.servers.iter().filter(|server| self.is_bound_to(server));
        let mut admitted: Vec<String> = servers
            .flat_map(|server| server.admitted.patterns(self.namespace()))
            .take(4)
            .map(ToString::to_string)
            .collect();
        admitted.dedup();
        let more = if missing.len() > 1 {
            format!(" and {} more", missing.len() - 1)
        } else {
            String::new()
        };
        let host = &self.hosts[*first];
        let (message, fix) = if admitted.is_empty() {
            let message = format!("no server of its gateway is open for {host}{more}");
            (message, "mend the Gateway")
        } else {
            let message = format!(
                "the gateway's servers admit [{}], which does not cover {host}{more}; requests get 404",
                admitted.join(", "),
            );
            (message, "add the host to the Gateway's server")
        };
        let report = &mut self.object.report;
        report.fault("EG009", Severity::Warning, &format!("spec.hosts[{first}]"), message, fix);
        if missing.len() == self.hosts.len() {
            report.ignore("no server admits any of its hosts");
        }
    }

    /// Says when none of its rules applies on any server that admits one of its hosts.
    pub fn report_no_rule(&mut self) {
        if !self.made_rules && self.admitted.contains(&true) {
            let reason = "none of its rules applies on this gateway; requests get 404";
            self.object.report.ignore(reason);
        }
    }

    /// Says which conditions can hold on no server of this process at all.
    pub(super) fn report_conditions(&mut self, gateways: &Gateways, identity: &Identity) {
        let entries = std::mem::take(&mut self.entries);
        for entry in &entries {
            for (condition, at) in entry.route.matches.iter().zip(&entry.conditions) {
                self.report_condition(condition, at, gateways);
                if let Some(field) = condition::for_others(condition, identity) {
                    let field = format!("{at}.{field}");
                    let message = "for other workloads than this gateway; ignored";
                    self.object.report.tell("EG013", Severity::Info, &field, message, "");
                }
            }
        }
        self.entries = entries;
    }

    fn report_condition(&mut self, condition: &HttpMatch, at: &str, gateways: &Gateways) {
        let namespace = self.object.namespace().to_owned();
        for (index, name) in condition.gateways.iter().enumerate() {
            let resolved = names::gateway(name, &namespace);
            if !self.gateways.contains(&resolved) {
                let message = format!(
                    "\"{name}\" is not listed in spec.gateways, so the condition never holds for it"
                );
                let report = &mut self.object.report;
                report.fault(
                    "EG006",
                    Severity::Error,
                    &format!("{at}.gateways[{index}]"),
                    message,
                    "list it in spec.gateways",
                );
            }
        }
        if condition::is_mesh_only(condition) {
            let report = &mut self.object.report;
            return report.tell(
                "EG013",
                Severity::Info,
                at,
                "only for sidecars; ignored by this gateway",
                "",
            );
        }
        let Some(port) = condition.port else { return };
        let here = |server: &&OpenServer| {
            let named = |name: &String| names::gateway(name, &namespace) == server.gateway;
            self.is_bound_to(server)
                && (condition.gateways.is_empty() || condition.gateways.iter().any(named))
        };
        let ports: BTreeSet<u32> =
            gateways.servers.iter().filter(here).map(|server| u32::from(server.port)).collect();
        if ports.is_empty() || ports.contains(&port) {
            return;
        }
        let for_mesh = |name: &String| name == MESH;
        let mesh_too = self.gateways.contains(MESH)
            && (condition.gateways.is_empty() || condition.gateways.iter().any(for_mesh));
        let list: Vec<String> = ports.iter().map(u32::to_string).collect();
        let message = format!(
            "match.port {port} never equals a server port of the gateway ({}): it cannot apply here",
            list.join(", ")
        );
        let report = &mut self.object.report;
        if mesh_too {
            report.tell(
                "EG013",
                Severity::Info,
                &format!("{at}.port"),
                format!("{message}; sidecars may use it"),
                "",
            );
        } else {
            let fix = "match.port is the Gateway's port number, not the container's";
            report.fault("EG005", Severity::Error, &format!("{at}.port"), message, fix);
        }
    }
}
