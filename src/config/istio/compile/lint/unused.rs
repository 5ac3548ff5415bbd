//! Policies that no host of any service has asked for, and why.
//!
//! It changes nothing but their verdicts.

use super::World;
use crate::config::Severity;
use crate::config::istio::compile::destination_rule::Rules;
use crate::config::istio::compile::names;
use crate::model::HostPattern;

/// Unused policies for a known host whose reason is looked for; it takes a walk through all services.
const EXPLAINED_MAX: usize = 100;

/// Why a policy is not used.
struct Unused {
    code: &'static str,
    severity: Severity,
    field: &'static str,
    message: String,
    fix: String,
}

/// EG011, EG013 and EG015.
pub fn unused(rules: &mut Rules<'_>, world: &World<'_, '_>) {
    let mut explained = 0;
    for index in 0..rules.all.len() {
        if rules.all[index].chosen {
            continue;
        }
        let host = rules.all[index].host.to_string();
        if names::is_cluster_service(&host) {
            let message =
                "about a service inside the cluster: only for sidecars; ignored by this gateway";
            let report = &mut rules.all[index].report;
            report.forgive();
            report.tell("EG013", Severity::Info, "spec.host", message, "");
            report.ignore(message);
            continue;
        }
        let hidden = match world.known.ports(&host) {
            Some(_) if explained < EXPLAINED_MAX => {
                explained += 1;
                passed_over(index, &host, rules, world)
            }
            _ => None,
        };
        let Unused { code, severity, field, message, fix } =
            hidden.unwrap_or_else(|| for_nobody(&host, world));
        let report = &mut rules.all[index].report;
        report.tell(code, severity, field, message.clone(), fix);
        report.ignore(message);
    }
}

/// Why a rule for a known host was not taken.
fn passed_over(
    index: usize,
    host: &str,
    rules: &Rules<'_>,
    world: &World<'_, '_>,
) -> Option<Unused> {
    let service =
        world.services.iter().find(|service| service.hosts.iter().any(|one| *one.name == *host))?;
    let namespace = &*service.report.document.namespace;
    let pattern = HostPattern::parse(host).ok()?;
    let choice = rules.choose(&pattern, namespace);
    let own = rules.candidate(index, namespace, &choice);
    let (decided, why) = own.verdict.split_once(": ")?;
    let mut places = vec![&*world.identity.namespace, namespace, &world.identity.root_namespace];
    places.sort_unstable();
    places.dedup();
    let (code, severity, field, fix) = match decided {
        "metadata.namespace" => (
            "EG015",
            Severity::Error,
            "metadata.namespace",
            format!("move it to {}", places.join(" or ")),
        ),
        "spec.exportTo" => (
            "EG015",
            Severity::Error,
            "spec.exportTo",
            format!("add {} or \"*\"", world.identity.namespace),
        ),
        "spec.workloadSelector" => {
            ("EG013", Severity::Info, "spec.workloadSelector", String::new())
        }
        _ => return None,
    };
    let message = format!("it does not apply to {host}: {why}");
    Some(Unused { code, severity, field, message, fix })
}

/// A rule for a host that nobody knows, or that another rule has taken.
fn for_nobody(host: &str, world: &World<'_, '_>) -> Unused {
    let known = world.known.ports(host).is_some();
    let (message, fix) = match known {
        true => (
            format!("it applies to no host: for {host} another rule goes first"),
            "merge the two objects".to_owned(),
        ),
        false => (
            format!(
                "it applies to no host of a ServiceEntry: {host} is unknown, or another rule goes first"
            ),
            match world.known.similar(host) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => format!("add a ServiceEntry with hosts: [{host}]"),
            },
        ),
    };
    Unused { code: "EG011", severity: Severity::Warning, field: "spec.host", message, fix }
}
