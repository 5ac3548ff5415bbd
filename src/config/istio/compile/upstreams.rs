//! Services and policies together become upstreams: one for each host, port and subset.
//!
//! It does not know which of them any route uses; that is judged in `lint.rs`.

use std::collections::HashMap;
use std::sync::Arc;

use super::destination_rule::{Choice, Rules, Subset};
use super::names;
use super::policy::{self, Effective, Version};
use super::service_entry::{Application, Port, Service, ServiceHost};
use crate::config::provenance::UpstreamOrigin;
use crate::config::{Compiled, Severity, misspelt};
use crate::model::{Protocol, Security, TlsSpec, UpstreamKey, UpstreamSpec};

/// Hosts that an unknown one is compared with.
const SIMILAR_MAX: usize = 1_000;

/// What destinations are looked up in.
#[derive(Default)]
pub struct Known {
    /// Index into `Plan::upstreams` by cluster name.
    clusters: HashMap<String, usize>,
    /// The ports of each host, in the order they were written.
    ports: HashMap<String, Vec<u16>>,
    /// By index of `Plan::upstreams`.
    pub facts: Vec<Facts>,
}

/// What the lints want to know of an upstream and the plan does not say.
pub struct Facts {
    /// Index of the service.
    pub service: usize,
    /// The host as it was written in lower case, wildcards included.
    pub host: String,
    pub choice: Choice,
    /// Whether the port is one where TLS is spoken as a rule.
    pub expectation: Expectation,
    /// Where TLS was switched off in so many words; empty: nowhere.
    pub disabled_at: String,
    /// Blocks of the policy that another field replaces, with the text to tell of each.
    pub replaced: Vec<policy::Replaced>,
    pub replaced_by: String,
    pub balance: &'static str,
}

/// What an origin speaks on a port as a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    Tls,
    Unknown,
}

impl Known {
    pub fn cluster(&self, port: u16, subset: &str, host: &str) -> Option<usize> {
        self.clusters.get(&names::cluster(port, subset, host)).copied()
    }

    /// The ports of a host; `None`: nobody knows it.
    pub fn ports(&self, host: &str) -> Option<&[u16]> {
        self.ports.get(host).map(Vec::as_slice)
    }

    /// The names of a host's subsets on a port.
    pub fn subsets(&self, port: u16, host: &str) -> Vec<&str> {
        let (prefix, suffix) = (format!("outbound|{port}|"), format!("|{host}"));
        let names = self.clusters.keys();
        let mut subsets: Vec<&str> = names
            .filter_map(|name| name.strip_prefix(&prefix)?.strip_suffix(&suffix))
            .filter(|subset| !subset.is_empty())
            .collect();
        subsets.sort_unstable();
        subsets
    }

    /// The known host that an unknown one is probably a misspelling of, unless there are too many to
    /// compare.
    pub fn similar(&self, host: &str) -> Option<&str> {
        let mut hosts: Vec<&str> = self.ports.keys().map(String::as_str).collect();
        if hosts.len() > SIMILAR_MAX {
            return None;
        }
        hosts.sort_unstable();
        misspelt(host, &hosts, 2)
    }
}

/// Adds every upstream that can be named to the plan.
pub fn build(
    services: &mut [Service<'_>],
    rules: &mut Rules<'_>,
    compiled: &mut Compiled,
) -> Known {
    let mut known = Known::default();
    for (index, service) in services.iter_mut().enumerate() {
        let first = compiled.plan.upstreams.len();
        let mut twice = Vec::new();
        for host in &service.hosts {
            let namespace = service.report.document.namespace.as_str();
            let choice = rules.choose(&host.pattern, namespace);
            for rule in &choice.rules {
                rules.all[*rule].chosen = true;
            }
            for port in &service.ports {
                let ports = known.ports.entry(host.name.clone()).or_default();
                if ports.contains(&port.number) {
                    twice.push(format!("{}:{}", host.name, port.number));
                    continue;
                }
                ports.push(port.number);
                let member = Member { index, service, host, port };
                member.add(None, &choice, rules, compiled, &mut known);
                for subset in subsets(rules, &choice) {
                    member.add(Some(subset), &choice, rules, compiled, &mut known);
                }
            }
        }
        tell_of_idle_names(service, &compiled.plan.upstreams[first..]);
        tell_of_both_names(service, &compiled.plan.upstreams[first..]);
        tell_of_addresses(service, &compiled.plan.upstreams[first..]);
        if let Some(first) = twice.first() {
            let message = format!(
                "{first} is defined by an earlier object, which counts ({} in all)",
                twice.len()
            );
            service.report.fault(
                "EG060",
                Severity::Warning,
                "spec.ports",
                message,
                "define each host and port once",
            );
        }
    }
    known
}

/// The subsets of all rules that apply, each name once.
fn subsets<'r>(rules: &'r Rules<'_>, choice: &Choice) -> Vec<&'r Subset> {
    let mut subsets: Vec<&Subset> = Vec::new();
    for subset in choice.rules.iter().flat_map(|rule| &rules.all[*rule].subsets) {
        if !subsets.iter().any(|other| other.name == subset.name) {
            subsets.push(subset);
        }
    }
    subsets
}

/// Names to verify are worth nothing where no certificate is verified; that must not go unsaid.
fn tell_of_idle_names(service: &mut Service<'_>, upstreams: &[UpstreamSpec]) {
    let verified = |upstream: &UpstreamSpec| match &upstream.key.security {
        Security::Tls(tls) => !tls.skip_verify,
        Security::Plain | Security::Broken(_) => false,
    };
    if service.alt_names.is_empty() || upstreams.is_empty() || upstreams.iter().any(verified) {
        return;
    }
    service.report.fault(
        "EG042",
        Severity::Warning,
        "spec.subjectAltNames",
        "no certificate is verified on any of its ports, so these names have no effect",
        "originate TLS with a DestinationRule, or remove them",
    );
}

/// The service's names and the host's own are both asked for, where one might expect either.
fn tell_of_both_names(service: &mut Service<'_>, upstreams: &[UpstreamSpec]) {
    let both = |upstream: &&UpstreamSpec| match &upstream.key.security {
        Security::Tls(tls) => !tls.service_alt_names.is_empty() && tls.subject_alt_names.is_empty(),
        Security::Plain | Security::Broken(_) => false,
    };
    let Some(upstream) = upstreams.iter().find(both) else { return };
    let message = format!(
        "the certificate must match {} and one of [{}]: the policy has no subjectAltNames of its own, so the host is verified besides",
        upstream.key.host,
        service.alt_names.join(", "),
    );
    let fix = "name them in the DestinationRule's tls.subjectAltNames instead";
    service.report.tell("EG039", Severity::Warning, "spec.subjectAltNames", message, fix);
}

/// TLS to a host that is an address goes without SNI, and few certificates bear an address.
fn tell_of_addresses(service: &mut Service<'_>, upstreams: &[UpstreamSpec]) {
    let nameless = |upstream: &&UpstreamSpec| match &upstream.key.security {
        Security::Tls(tls) => {
            upstream.key.host.ip().is_some()
                && tls.sni.is_none()
                && tls.subject_alt_names.is_empty()
                && !tls.skip_verify
        }
        Security::Plain | Security::Broken(_) => false,
    };
    let Some(upstream) = upstreams.iter().find(nameless) else { return };
    let host = upstream.key.host.as_str();
    let index = service
        .report
        .document
        .value("spec.hosts")
        .and_then(|hosts| hosts.entries().position(|written| written.as_str() == Some(host)));
    let field = index.map_or("spec.hosts".to_owned(), |index| format!("spec.hosts[{index}]"));
    let message = format!(
        "{host} is an address: no SNI is sent to it, and its certificate must bear the address itself"
    );
    let fix = "name the host, or set sni and subjectAltNames in the DestinationRule's tls";
    service.report.tell("EG037", Severity::Warning, &field, message, fix);
}

/// One port of one host of a service.
struct Member<'m, 'a> {
    index: usize,
    service: &'m Service<'a>,
    host: &'m ServiceHost,
    port: &'m Port,
}

impl Member<'_, '_> {
    fn add(
        &self,
        subset: Option<&Subset>,
        choice: &Choice,
        rules: &Rules<'_>,
        compiled: &mut Compiled,
        known: &mut Known,
    ) {
        let Self { service, host, port, .. } = self;
        let rule = choice.policy.map(|index| &rules.all[index]);
        let traffic = rule.and_then(|rule| rule.traffic.as_ref());
        let effective = policy::effective(
            traffic,
            subset.and_then(|subset| subset.traffic.as_ref()),
            port.number,
        );
        let security = match choice.rules.iter().find_map(|index| rules.all[*index].broken.clone())
        {
            Some(why) => Security::Broken(why),
            None => with_alt_names(
                effective.security.clone().unwrap_or(Security::Plain),
                &service.alt_names,
            ),
        };
        let none = Default::default();
        let labels = subset.map_or(&none, |subset| &subset.labels);
        let addressing = service.addressing(host, port, labels);
        let mut policy = effective.policy.clone();
        policy.weights = service.weights(port, labels);
        policy.sort_weights();
        let subset_name = subset.map_or("", |subset| subset.name.as_str());
        let name = names::cluster(port.number, subset_name, &host.name);
        let protocol = protocol(port.application, &security, effective.version);
        known.clusters.insert(name.clone(), compiled.plan.upstreams.len());
        known.facts.push(self.facts(choice, &effective));
        compiled.provenance.upstreams.push(self.origin(choice, rules, &effective));
        compiled.plan.upstreams.push(UpstreamSpec {
            key: UpstreamKey {
                name,
                host: host.host.clone(),
                port: port.number,
                security,
                protocol,
            },
            policy,
            addressing,
        });
    }

    fn facts(&self, choice: &Choice, effective: &Effective) -> Facts {
        let Self { host, port, .. } = self;
        let encrypted =
            port.number == 443 || port.target == 443 || port.application == Application::Https;
        let disabled = matches!(effective.security, Some(Security::Plain));
        Facts {
            service: self.index,
            host: host.name.clone(),
            choice: choice.clone(),
            expectation: if encrypted { Expectation::Tls } else { Expectation::Unknown },
            disabled_at: if disabled { effective.tls_field.clone() } else { String::new() },
            replaced: effective.replaced.clone(),
            replaced_by: effective.replaced_by.clone(),
            balance: policy::balance::text(&effective.policy.balance),
        }
    }

    fn origin(&self, choice: &Choice, rules: &Rules<'_>, effective: &Effective) -> UpstreamOrigin {
        let namespace = self.service.report.document.namespace.as_str();
        let dropped = effective.replaced.iter().map(|block| {
            format!(
                "{} {} is not in force: {} replaces all of it",
                block.field, block.text, effective.replaced_by
            )
        });
        UpstreamOrigin {
            service: self.port.origin.clone(),
            policy: choice.policy.map(|index| rules.all[index].origin.clone()),
            candidates: rules.candidates(&self.host.pattern, namespace, choice),
            effective: effective.lines.clone(),
            dropped: dropped.collect(),
        }
    }
}

/// The service's own list of names goes into the TLS settings.
fn with_alt_names(security: Security, alt_names: &[String]) -> Security {
    match security {
        Security::Tls(spec) if !alt_names.is_empty() && !spec.skip_verify => {
            Security::Tls(Arc::new(TlsSpec {
                service_alt_names: alt_names.to_vec(),
                ..(*spec).clone()
            }))
        }
        other => other,
    }
}

fn protocol(application: Application, security: &Security, version: Option<Version>) -> Protocol {
    match (version, application, security) {
        (Some(Version::Clients), ..) => Protocol::Client,
        (_, Application::Http2, _) | (Some(Version::Http2), ..) => Protocol::Http2,
        (Some(Version::Http1), ..) | (_, _, Security::Plain) => Protocol::Http1,
        _ => Protocol::Negotiate,
    }
}
