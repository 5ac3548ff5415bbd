//! What can only be judged when everything is known: plain text on encrypted ports, policies that
//! miss their port, hosts that cannot be resolved.
//!
//! It changes nothing; every object has been compiled by now.

use std::collections::{BTreeSet, HashMap};

use super::destination_rule::Rules;
use super::destinations::Use;
use super::object::Report;
use super::service_entry::{NO_LABELS, Service};
use super::upstreams::{Expectation, Facts, Known, PolicyFacts};
use super::virtual_service::Virtual;
use crate::config::problem::Severity;
use crate::config::{Compiled, Identity};
use crate::model::{Addressing, UpstreamSpec};

mod remarks;
mod unused;

pub use remarks::encrypted_twice;
pub use unused::unused;

/// Everything that has been compiled and is only looked at here.
pub struct World<'w, 'a> {
    pub services: &'w [Service<'a>],
    pub known: &'w Known,
    pub compiled: &'w Compiled,
    pub identity: &'w Identity,
}

impl World<'_, '_> {
    /// The host as it was written in lower case, wildcards included.
    fn host(&self, facts: &Facts) -> &str {
        &self.services[facts.service].hosts[facts.host].name
    }
}

/// Judges every upstream that a route uses.
pub fn used(virtuals: &mut [Virtual<'_>], rules: &mut Rules<'_>, world: &World<'_, '_>) {
    let mut routed = BTreeSet::new();
    for one in virtuals.iter_mut() {
        let uses = std::mem::take(&mut one.uses);
        for at in &uses {
            unfindable(&mut one.object.report, at, world);
            plain_text(&mut one.object.report, at, rules, world);
            remarks::opaque_port(&mut one.object.report, at, world);
            routed.insert(at.upstream);
        }
        remarks::no_timeout(&mut one.object.report, &uses);
        one.uses = uses;
    }
    for upstream in &routed {
        replaced_blocks(*upstream, rules, world);
        remarks::only_endpoint(*upstream, rules, world);
    }
    ports_missed(&routed, rules, world);
}

/// EG050 and EG012: a route leads to a host or subset without endpoints. What is wrong with the
/// service itself has been said there.
fn unfindable(report: &mut Report<'_>, at: &Use, world: &World<'_, '_>) {
    let facts = &world.known.facts[at.upstream];
    let Addressing::Nowhere(why) = &*world.compiled.plan.upstreams[at.upstream].addressing else {
        return;
    };
    let service = world.services[facts.service].report.title();
    let (host, field) = (world.host(facts), &at.field);
    if why == NO_LABELS {
        let message = format!("the subset selects no endpoint of {service}; requests get 503 (UH)");
        let fix = "give an endpoint these labels";
        report.tell("EG012", Severity::Warning, &format!("{field}.subset"), message, fix);
    } else if why.starts_with("resolution ") {
        let message = format!("{service} says no way to find {host}: {why}; requests get 503 (UH)");
        report.tell(
            "EG050",
            Severity::Error,
            &format!("{field}.host"),
            message,
            "write resolution: DNS there",
        );
    }
}

/// EG003 and EG040: an upstream where TLS is expected and plain text is spoken.
fn plain_text(report: &mut Report<'_>, at: &Use, rules: &mut Rules<'_>, world: &World<'_, '_>) {
    let (spec, facts) =
        (&world.compiled.plan.upstreams[at.upstream], &world.known.facts[at.upstream]);
    let policy = &facts.policy;
    if !spec.key.security.is_plain() || policy.expectation != Expectation::Tls {
        return;
    }
    let (host, port) = (world.host(facts), spec.key.port);
    if let (false, Some(rule)) = (policy.disabled_at.is_empty(), policy.choice.policy) {
        let message =
            format!("TLS is switched off for {host}:{port}, where an origin speaks TLS as a rule");
        let report = &mut rules.all[rule].report;
        return report.tell(
            "EG040",
            Severity::Warning,
            &policy.disabled_at,
            message,
            "mode: SIMPLE",
        );
    }
    let message =
        format!("{host}:{port} will be contacted WITHOUT TLS: {}", why_plain(facts, rules, world));
    report.tell("EG003", Severity::Error, &at.field, message, remedy(host, port, policy, rules));
}

/// Why no TLS settings are in force, with the nearest candidates.
fn why_plain(facts: &Facts, rules: &Rules<'_>, world: &World<'_, '_>) -> String {
    let World { services, identity, .. } = world;
    if let Some(rule) = facts.policy.choice.policy {
        return format!(
            "{}, which applies, has no tls for this port",
            rules.all[rule].report.title()
        );
    }
    let namespace = &*services[facts.service].report.document.namespace;
    let mut candidates = Vec::new();
    for rule in rules.all.iter().take(5) {
        let name = rule.report.title();
        let owner = &*rule.report.document.namespace;
        let covers = rule.host.covers(&services[facts.service].hosts[facts.host].pattern);
        candidates.push(if !covers {
            format!("{name}: spec.host {} is another host", rule.host)
        } else if owner != identity.namespace && owner != namespace && owner != identity.root_namespace {
            format!("{name}: namespace {owner} is neither gateway ({}), service ({namespace}) nor root namespace", identity.namespace)
        } else {
            format!("{name}: not exported to {} or not for this workload", identity.namespace)
        });
    }
    if candidates.is_empty() {
        return "no DestinationRule applies (there is none)".to_owned();
    }
    format!("no DestinationRule applies ({})", candidates.join("; "))
}

/// The YAML that originates TLS.
fn remedy(host: &str, port: u16, facts: &PolicyFacts, rules: &Rules<'_>) -> String {
    let settings =
        format!("portLevelSettings: [{{port: {{number: {port}}}, tls: {{mode: SIMPLE}}}}]");
    match facts.choice.policy {
        Some(rule) if !facts.replaced_by.is_empty() => {
            format!(
                "add tls: {{mode: SIMPLE}} to {} under {}",
                rules.all[rule].report.title(),
                facts.replaced_by
            )
        }
        Some(rule) => format!(
            "add to {} under spec.trafficPolicy: {settings}",
            rules.all[rule].report.title()
        ),
        None => format!(
            "add {{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {{name: originate-tls-for-{}}}, \
             spec: {{host: \"{host}\", trafficPolicy: {{{settings}}}}}}}",
            host.replace(['.', '*'], "-").trim_matches('-')
        ),
    }
}

/// EG001: what was written for all ports and is not in force on a routed one.
fn replaced_blocks(upstream: usize, rules: &mut Rules<'_>, world: &World<'_, '_>) {
    let World { known, compiled, .. } = world;
    let facts = &known.facts[upstream].policy;
    let Some(rule) = facts.choice.policy else {
        return;
    };
    let port = compiled.plan.upstreams[upstream].key.port;
    for block in &facts.replaced {
        let instead = match block.block {
            "loadBalancer" if block.text != facts.balance => {
                format!(
                    "{} {} is not in force on {port} ({} is)",
                    block.block, block.text, facts.balance
                )
            }
            "loadBalancer" => continue, // the default says the same
            "tls" => format!("tls {} is not in force on {port} (plain text is)", block.text),
            name => format!("{name} is not in force on {port}"),
        };
        let by = facts.replaced_by.rsplit('.').next().unwrap_or_default();
        let message =
            format!("portLevelSettings for port {port} replaces, not extends, the rule: {instead}");
        let report = &mut rules.all[rule].report;
        report.tell(
            "EG001",
            Severity::Warning,
            &block.field,
            message,
            format!("copy it under {by}"),
        );
    }
}

/// EG002: TLS settings for a port that no route uses, while another port is spoken to in plain text.
fn ports_missed(routed: &BTreeSet<usize>, rules: &mut Rules<'_>, world: &World<'_, '_>) {
    let World { known, compiled, .. } = world;
    let mut by_rule: HashMap<usize, Vec<&UpstreamSpec>> = HashMap::new();
    for upstream in routed {
        if let Some(rule) = known.facts[*upstream].policy.choice.policy {
            by_rule.entry(rule).or_default().push(&compiled.plan.upstreams[*upstream]);
        }
    }
    for (index, rule) in rules.all.iter_mut().enumerate() {
        let (Some(traffic), Some(mine)) = (&rule.traffic, by_rule.get(&index)) else {
            continue;
        };
        let Some(plain) = mine.iter().find(|spec| spec.key.security.is_plain()) else {
            continue;
        };
        let missed: Vec<(u16, String)> = traffic
            .ports
            .iter()
            .filter(|(port, level)| {
                level.originates_tls() && !mine.iter().any(|spec| spec.key.port == **port)
            })
            .map(|(port, level)| (*port, level.path.clone()))
            .collect();
        for (port, path) in missed {
            let (host, routed) = (&plain.key.host, plain.key.port);
            let message = format!(
                "no route leads to port {port}; one leads to {host}:{routed}, in plain text"
            );
            let fix = format!(
                "destination.port {port} in the route, or these settings for port {routed} (with targetPort {port} in the ServiceEntry)"
            );
            rule.report.tell(
                "EG002",
                Severity::Error,
                &format!("{path}.port.number"),
                message,
                fix,
            );
        }
    }
}
