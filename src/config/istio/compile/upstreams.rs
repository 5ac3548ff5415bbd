//! Services and policies together become upstreams: one for each host, port and subset.
//!
//! It does not know which of them any route uses; that is judged in `lint.rs`.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::destination_rule::{Choice, Covering, Rules, Subset};
use super::names;
use super::policy::{self, Effective, Version};
use super::service_entry::{Application, Port, Service, ServiceHost};
use crate::config::provenance::UpstreamOrigin;
use crate::config::{Compiled, Severity, misspelt};
use crate::model::upstream::TlsSpecs;
use crate::model::{Policy, Protocol, ProxyProtocol, Security, TlsSpec, UpstreamKey, UpstreamSpec};

/// Hosts that an unknown one is compared with.
const SIMILAR_MAX: usize = 1_000;

/// Policies that a further one is compared with.
const POLICIES_MAX: usize = 8;

/// What destinations are looked up in.
#[derive(Default)]
pub struct Known {
    /// The clusters of each host, in the order they were written.
    hosts: HashMap<Arc<str>, SmallVec<[Cluster; 1]>, RandomState>,
    /// By index of `Plan::upstreams`.
    pub facts: Vec<Facts>,
}

/// A part of a host on a port.
struct Cluster {
    /// Empty: the whole host.
    subset: Box<str>,
    port: u16,
    /// Index into `Plan::upstreams`.
    upstream: usize,
}

/// What the lints want to know of an upstream and the plan does not say.
pub struct Facts {
    /// Index of the service.
    pub service: usize,
    /// Index of the host in the service.
    pub host: usize,
    pub policy: Arc<PolicyFacts>,
}

/// What they want to know of its policy, which others may have too.
pub struct PolicyFacts {
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
        let is_it = |one: &&Cluster| one.port == port && *one.subset == *subset;
        self.hosts.get(host)?.iter().find(is_it).map(|cluster| cluster.upstream)
    }

    /// The ports of a host; `None`: nobody knows it.
    pub fn ports(&self, host: &str) -> Option<SmallVec<[u16; 4]>> {
        let whole = self.hosts.get(host)?.iter().filter(|cluster| cluster.subset.is_empty());
        Some(whole.map(|cluster| cluster.port).collect())
    }

    /// The names of a host's subsets on a port.
    pub fn subsets(&self, port: u16, host: &str) -> Vec<&str> {
        let clusters = self.hosts.get(host).into_iter().flatten();
        let mut subsets: Vec<&str> = clusters
            .filter(|cluster| cluster.port == port && !cluster.subset.is_empty())
            .map(|cluster| &*cluster.subset)
            .collect();
        subsets.sort_unstable();
        subsets
    }

    /// The known host that an unknown one is probably a misspelling of, unless there are too many to
    /// compare.
    pub fn similar(&self, host: &str) -> Option<&str> {
        if self.hosts.len() > SIMILAR_MAX {
            return None;
        }
        let mut hosts: Vec<&str> = self.hosts.keys().map(|host| &**host).collect();
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
    let mut shared = Shared::default();
    for (index, service) in services.iter_mut().enumerate() {
        let first = compiled.plan.upstreams.len();
        let twice = add(index, service, rules, &mut shared, compiled, &mut known);
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

/// Adds the upstreams of a service. What an earlier one has already is left out, and the answer.
fn add(
    index: usize,
    service: &Service<'_>,
    rules: &mut Rules<'_>,
    shared: &mut Shared,
    compiled: &mut Compiled,
    known: &mut Known,
) -> Vec<String> {
    let mut twice = Vec::new();
    let mut treatment: Option<Treatment<'_>> = None;
    for (at, host) in service.hosts.iter().enumerate() {
        let namespace = &*service.report.document.namespace;
        let choice = rules.choose(&host.pattern, namespace);
        let covering = rules.covering(&host.pattern);
        let same = |known: &Treatment<'_>| known.choice == choice && known.covering == covering;
        if !treatment.as_ref().is_some_and(same) {
            choice.rules.iter().for_each(|rule| rules.all[*rule].chosen = true);
            treatment = Some(Treatment::new(service, choice, covering, rules, shared));
        }
        let ports = known.ports(&host.name).unwrap_or_default();
        for part in treatment.iter().flat_map(|treatment| &treatment.parts) {
            let Part { port, subset, .. } = part;
            if ports.contains(&port.number) {
                if subset.is_empty() {
                    twice.push(format!("{}:{}", host.name, port.number));
                }
                continue;
            }
            let upstream = compiled.plan.upstreams.len();
            let cluster = Cluster { subset: subset.as_str().into(), port: port.number, upstream };
            known.hosts.entry(Arc::clone(&host.name)).or_default().push(cluster);
            let policy = Arc::clone(&part.facts);
            known.facts.push(Facts { service: index, host: at, policy });
            compiled.provenance.upstreams.push(Arc::clone(&part.origin));
            compiled.plan.upstreams.push(part.upstream(service, host));
        }
    }
    twice
}

/// The subsets of all rules that apply, each name once.
fn subsets<'r>(rules: &'r Rules<'_>, choice: &Choice) -> Vec<&'r Subset> {
    let (mut subsets, mut names) = (Vec::new(), HashSet::new());
    for subset in choice.rules.iter().flat_map(|rule| &rules.all[*rule].subsets) {
        if names.insert(subset.name.as_str()) {
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

/// How the hosts of a service are called to which the same rules apply: that is settled once for all of
/// them.
struct Treatment<'s> {
    choice: Choice,
    covering: Covering,
    /// For each port the whole of it, then each subset.
    parts: Vec<Part<'s>>,
}

/// What upstreams say alike, kept once.
#[derive(Default)]
struct Shared {
    tls: TlsSpecs,
    /// The policies met last, of which the next is mostly one.
    policies: VecDeque<Arc<Policy>>,
}

impl Shared {
    fn policy(&mut self, policy: Policy) -> Arc<Policy> {
        if let Some(known) = self.policies.iter().find(|known| ***known == policy) {
            return Arc::clone(known);
        }
        if self.policies.len() == POLICIES_MAX {
            self.policies.pop_front();
        }
        let policy = Arc::new(policy);
        self.policies.push_back(Arc::clone(&policy));
        policy
    }
}

/// A port of a service, or a subset on it, and how that is called.
struct Part<'s> {
    port: &'s Port,
    /// Empty: the whole of it.
    subset: String,
    labels: BTreeMap<String, String>,
    security: Security,
    protocol: Protocol,
    proxy_protocol: Option<ProxyProtocol>,
    policy: Arc<Policy>,
    facts: Arc<PolicyFacts>,
    origin: Arc<UpstreamOrigin>,
}

impl<'s> Treatment<'s> {
    fn new(
        service: &'s Service<'_>,
        choice: Choice,
        covering: Covering,
        rules: &Rules<'_>,
        shared: &mut Shared,
    ) -> Self {
        let mut treatment = Self { choice, covering, parts: Vec::new() };
        for port in &service.ports {
            treatment.add(service, port, None, rules, shared);
            for subset in subsets(rules, &treatment.choice) {
                treatment.add(service, port, Some(subset), rules, shared);
            }
        }
        treatment
    }

    fn add(
        &mut self,
        service: &Service<'_>,
        port: &'s Port,
        subset: Option<&Subset>,
        rules: &Rules<'_>,
        shared: &mut Shared,
    ) {
        let choice = &self.choice;
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
        let security = shared.tls.shared(security);
        let labels = subset.map(|subset| subset.labels.clone()).unwrap_or_default();
        let mut policy = effective.policy.clone();
        policy.weights = service.weights(port, &labels);
        policy.sort_weights();
        let policy = shared.policy(policy);
        self.parts.push(Part {
            port,
            subset: subset.map(|subset| subset.name.clone()).unwrap_or_default(),
            labels,
            protocol: protocol(port.application, &security, effective.version),
            security,
            proxy_protocol: effective.proxy_protocol,
            policy,
            facts: Arc::new(facts(port, choice, &effective)),
            origin: Arc::new(self.origin(service, port, rules, &effective)),
        });
    }

    fn origin(
        &self,
        service: &Service<'_>,
        port: &Port,
        rules: &Rules<'_>,
        effective: &Effective,
    ) -> UpstreamOrigin {
        let namespace = &*service.report.document.namespace;
        let dropped = effective.replaced.iter().map(|block| {
            format!(
                "{} {} is not in force: {} replaces all of it",
                block.field, block.text, effective.replaced_by
            )
        });
        let candidates = rules.candidates(&self.covering, namespace, &self.choice);
        UpstreamOrigin {
            service: port.origin.clone(),
            policy: self.choice.policy.map(|index| rules.all[index].origin.clone()),
            candidates_untold: self.covering.untold(candidates.len()),
            candidates,
            effective: effective.lines.clone(),
            dropped: dropped.collect(),
        }
    }
}

impl Part<'_> {
    /// This part of a host.
    fn upstream(&self, service: &Service<'_>, host: &ServiceHost) -> UpstreamSpec {
        let key = UpstreamKey {
            name: names::cluster(self.port.number, &self.subset, &host.name),
            host: host.host.clone(),
            port: self.port.number,
            security: self.security.clone(),
            protocol: self.protocol,
            proxy_protocol: self.proxy_protocol,
        };
        UpstreamSpec {
            key: Arc::new(key),
            policy: Arc::clone(&self.policy),
            addressing: Arc::new(service.addressing(host, self.port, &self.labels)),
        }
    }
}

fn facts(port: &Port, choice: &Choice, effective: &Effective) -> PolicyFacts {
    let encrypted =
        port.number == 443 || port.target == 443 || port.application == Application::Https;
    let disabled = matches!(effective.security, Some(Security::Plain));
    PolicyFacts {
        choice: choice.clone(),
        expectation: if encrypted { Expectation::Tls } else { Expectation::Unknown },
        disabled_at: if disabled { effective.tls_field.clone() } else { String::new() },
        replaced: effective.replaced.clone(),
        replaced_by: effective.replaced_by.clone(),
        balance: policy::balance::text(&effective.policy.balance),
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
