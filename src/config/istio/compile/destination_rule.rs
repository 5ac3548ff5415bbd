//! A `DestinationRule` becomes policies, and for each host the one set of rules that applies is chosen.
//!
//! It does not know which hosts exist. Source: istio `push_context.go:destinationRule`,
//! `destination_rule.go`, `util.go:GetPortLevelTrafficPolicy`.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::names::{self, PatternMap, Visibility};
use super::object::{Object, Report};
use super::policy::{self, Level};
use super::tls::Store;
use crate::config::document::Node;
use crate::config::istio::destination_rule::{self, DestinationRule, TrafficPolicy};
use crate::config::provenance::{Candidate, Origin};
use crate::config::{Document, Identity, Materials, Severity};
use crate::model::HostPattern;

/// Of rules that cover a host so many are told of, with what became of them.
const CANDIDATES_MAX: usize = 20;

/// One object, understood.
pub struct Rule<'a> {
    pub report: Report<'a>,
    pub host: HostPattern,
    pub traffic: Option<Traffic>,
    pub subsets: Vec<Subset>,
    /// Why the TLS settings cannot be trusted to be all that was written: everything fails closed.
    pub broken: Option<String>,
    visibility: Visibility,
    selector: Selector,
    pub origin: Origin,
    /// Whether it was the choice for any host.
    pub chosen: bool,
}

/// A traffic policy: for all ports, and what replaces it for one.
#[derive(Default)]
pub struct Traffic {
    pub all: Level,
    pub ports: BTreeMap<u16, Level>,
}

/// A named part of a host.
pub struct Subset {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub traffic: Option<Traffic>,
}

/// Whether a rule is meant for some workloads alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Selector {
    Absent,
    ThisGateway,
    Others,
}

/// The rules of a set of documents, found by namespace and host.
pub struct Rules<'a> {
    pub all: Vec<Rule<'a>>,
    by_namespace: HashMap<String, PatternMap<Vec<usize>>>,
    /// Those of all namespaces.
    by_host: PatternMap<Vec<usize>>,
    namespace: String,
    root_namespace: String,
}

/// The rules that apply to a host: one has the policy, all have their subsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    pub policy: Option<usize>,
    pub rules: Vec<usize>,
}

/// Rules whose host covers another: the first of them, and how many there are.
#[derive(Debug, PartialEq, Eq)]
pub struct Covering {
    first: Vec<usize>,
    count: usize,
}

/// Reads the object; `Err`: nothing of it applies, and the report says why.
pub fn read<'a>(
    document: &'a Document,
    materials: &Materials,
    identity: &Identity,
) -> Result<Rule<'a>, Report<'a>> {
    let store = &Store { materials, namespace: &identity.namespace };
    let mut object = Object::<DestinationRule>::read(document)?;
    let host = names::service(&object.spec.host, object.namespace());
    let host = match HostPattern::parse(&host) {
        Ok(host) if !object.spec.host.is_empty() => host,
        failed => {
            let why = failed
                .err()
                .filter(|_| !object.spec.host.is_empty())
                .unwrap_or("host is missing".to_owned());
            object.report.fault(
                "EG082",
                Severity::Error,
                "spec.host",
                why,
                "name the host it is about",
            );
            object.report.ignore("it names no host");
            return Err(object.report);
        }
    };
    let visibility =
        names::visibility(&object.spec.export_to, object.namespace(), &identity.namespace);
    let selector = match &object.spec.workload_selector {
        None => Selector::Absent,
        Some(selector)
            if object.namespace() == identity.namespace
                && names::selects(&selector.match_labels, &identity.labels) =>
        {
            Selector::ThisGateway
        }
        Some(_) => Selector::Others,
    };
    let broken = object
        .faults()
        .iter()
        .find(|fault| hides_tls(document, fault))
        .map(|fault| format!("{} {fault}: it cannot be understood", object.report.title()));
    let faults = object.faults().to_vec();
    let Object { spec, mut report, .. } = object;
    for problem in &mut report.problems {
        if faults.contains(&problem.field) && hides_tls(document, &problem.field) {
            *problem = problem.clone().failing_closed();
        }
    }
    if broken.is_some() {
        report.reason(
            "its hosts fail closed with 503: TLS settings may be missing from what was understood",
        );
    }
    let traffic = spec
        .traffic_policy
        .map(|policy| read_traffic(&policy, "spec.trafficPolicy", store, &mut report));
    let subsets = subsets(spec.subsets, store, &mut report);
    let origin = report.origin("spec.trafficPolicy");
    Ok(Rule { report, origin, host, traffic, subsets, broken, visibility, selector, chosen: false })
}

fn subsets(
    written: Vec<destination_rule::Subset>,
    store: &Store<'_>,
    report: &mut Report<'_>,
) -> Vec<Subset> {
    let mut subsets: Vec<Subset> = Vec::new();
    for (index, subset) in written.into_iter().enumerate() {
        let (name, labels) = (subset.name, subset.labels);
        let field = format!("spec.subsets[{index}]");
        if name.is_empty() || subsets.iter().any(|other| other.name == name) {
            let message =
                format!("the subset name \"{name}\" is empty or taken; this subset is left out");
            let fix = "give it a name of its own";
            report.fault("EG012", Severity::Error, &format!("{field}.name"), message, fix);
            continue;
        }
        if !names::is_dns_label(&name) {
            let what = format!("\"{name}\" is not a name of a subset");
            let fix = "write lower-case letters, digits and dashes";
            report.refused_by_istio(&format!("{field}.name"), what, fix);
        }
        let path = format!("{field}.trafficPolicy");
        let traffic =
            subset.traffic_policy.map(|policy| read_traffic(&policy, &path, store, report));
        subsets.push(Subset { name, labels, traffic });
    }
    subsets
}

/// The files that the object points at.
pub fn files(document: &Document) -> Vec<String> {
    let Some(spec) = document.typed::<DestinationRule>("spec").value else {
        return Vec::new();
    };
    let policies = spec
        .traffic_policy
        .iter()
        .chain(spec.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref()));
    policies
        .flat_map(|policy| {
            policy
                .tls
                .iter()
                .chain(policy.port_level_settings.iter().filter_map(|port| port.tls.as_ref()))
        })
        .flat_map(super::tls::files)
        .collect()
}

/// Whether what was left out at this path is TLS settings, holds some, or says where they apply.
///
/// Any other unknown field leaves the rest in force; these would leave plain text in force.
fn hides_tls(document: &Document, fault: &str) -> bool {
    let fields: Vec<&str> = fault.split(['.', '[']).collect();
    if fields.contains(&"tls")
        || (fields.contains(&"portLevelSettings") && fields.contains(&"port"))
    {
        return true;
    }
    // A faulty entry took its whole list along.
    let left_out = fault
        .rsplit_once('[')
        .filter(|(_, index)| index.ends_with(']'))
        .map_or(fault, |(list, _)| list);
    document.value(left_out).is_some_and(has_tls)
}

fn has_tls(value: Node<'_>) -> bool {
    // No other block has a mode: `tsl: {mode: SIMPLE}` is told by it.
    let is_or_has = |(name, field): (&str, _)| name == "tls" || name == "mode" || has_tls(field);
    value.fields().into_iter().any(is_or_has) || value.entries().any(has_tls)
}

fn read_traffic(
    policy: &TrafficPolicy,
    path: &str,
    store: &Store<'_>,
    report: &mut Report<'_>,
) -> Traffic {
    if policy.tunnel.is_some() {
        report.fault(
            "EG077",
            Severity::Warning,
            &format!("{path}.tunnel"),
            "not implemented; Istio ignores it for HTTP too, and tunnels TCP and TLS alone",
            "remove it",
        );
    }
    if document_says_nothing(report, path) {
        report.refused_by_istio(path, "it says nothing", "add loadBalancer, tls or the like");
    }
    if policy.tunnel.is_some() && policy.proxy_protocol.is_some() {
        let what = "tunnel stands beside it";
        report.refused_by_istio(&format!("{path}.proxyProtocol"), what, "keep one of them");
    }
    let all = policy::level(
        policy::Blocks {
            load_balancer: policy.load_balancer.as_ref(),
            connection_pool: policy.connection_pool.as_ref(),
            outlier_detection: policy.outlier_detection.as_ref(),
            tls: policy.tls.as_ref(),
            retry_budget: policy.retry_budget.as_ref(),
            proxy_protocol: policy.proxy_protocol.as_ref(),
        },
        path,
        store,
        report,
    );
    let mut ports = BTreeMap::new();
    for (index, settings) in policy.port_level_settings.iter().enumerate() {
        let field = format!("{path}.portLevelSettings[{index}]");
        let level = policy::level(
            policy::Blocks {
                load_balancer: settings.load_balancer.as_ref(),
                connection_pool: settings.connection_pool.as_ref(),
                outlier_detection: settings.outlier_detection.as_ref(),
                tls: settings.tls.as_ref(),
                retry_budget: None,
                proxy_protocol: None,
            },
            &field,
            store,
            report,
        );
        match u16::try_from(settings.port.number) {
            Ok(number) if number != 0 => {
                if let Entry::Vacant(vacant) = ports.entry(number) {
                    vacant.insert(level);
                } else {
                    let message = format!("port {number} has settings already; these are left out");
                    let at = format!("{field}.port.number");
                    report.fault("EG014", Severity::Warning, &at, message, "merge the two");
                }
            }
            _ => {
                let message =
                    "a port must be a number from 1 to 65535; these settings apply to none";
                report.fault(
                    "EG082",
                    Severity::Error,
                    &format!("{field}.port.number"),
                    message,
                    "write the number of the service's port",
                );
            }
        }
    }
    Traffic { all, ports }
}

/// Whether a block is written without a single field.
fn document_says_nothing(report: &Report<'_>, path: &str) -> bool {
    report.document.value(path).is_some_and(|block| block.is_map() && block.fields().is_empty())
}

impl Covering {
    /// How many of them are not told of, when so many are.
    pub fn untold(&self, told: usize) -> usize {
        self.count.saturating_sub(told)
    }
}

impl<'a> Rules<'a> {
    pub fn new(mut all: Vec<Rule<'a>>, identity: &Identity) -> Self {
        let mut by_namespace: HashMap<String, PatternMap<Vec<usize>>> = HashMap::new();
        let mut by_host: PatternMap<Vec<usize>> = PatternMap::default();
        for (index, rule) in all.iter().enumerate() {
            let namespace = &*rule.report.document.namespace;
            if !by_namespace.contains_key(namespace) {
                by_namespace.insert(namespace.to_owned(), PatternMap::default());
            }
            if let Some(hosts) = by_namespace.get_mut(namespace) {
                hosts.entry(&rule.host).push(index);
            }
            by_host.entry(&rule.host).push(index);
        }
        for same_host in by_namespace.values().flat_map(PatternMap::values) {
            report_second_policies(&mut all, same_host);
        }
        Self {
            all,
            by_namespace,
            by_host,
            namespace: identity.namespace.clone(),
            root_namespace: identity.root_namespace.clone(),
        }
    }

    /// The rules that apply to a host whose service stands in a namespace: our namespace first, then
    /// the service's, then the root's. There is no merging across namespaces.
    pub fn choose(&self, host: &HostPattern, service_namespace: &str) -> Choice {
        let ours = |rule: &Rule| {
            self.namespace != self.root_namespace || rule.visibility == Visibility::Private
        };
        let exported = |rule: &Rule| rule.visibility != Visibility::Hidden;
        let found = self
            .best(&self.namespace, host, ours)
            .or_else(|| self.best(service_namespace, host, exported))
            .or_else(|| self.best(&self.root_namespace, host, exported));
        let mut rules = found.unwrap_or_default();
        // A rule for this very workload goes before those for all.
        rules.sort_by_key(|index| self.all[*index].selector != Selector::ThisGateway);
        let policy = rules.iter().copied().find(|index| {
            let rule = &self.all[*index];
            rule.traffic.is_some() || rule.broken.is_some()
        });
        Choice { policy: policy.or(rules.first().copied()), rules }
    }

    /// The rules of a namespace for the most specific pattern that covers the host.
    fn best(
        &self,
        namespace: &str,
        host: &HostPattern,
        admit: impl Fn(&Rule) -> bool,
    ) -> Option<Vec<usize>> {
        self.by_namespace.get(namespace)?.covering(host).find_map(|rules| {
            let admitted: Vec<usize> = rules
                .iter()
                .copied()
                .filter(|index| {
                    self.all[*index].selector != Selector::Others && admit(&self.all[*index])
                })
                .collect();
            (!admitted.is_empty()).then_some(admitted)
        })
    }

    /// The rules whose host covers this one, in the order of their objects.
    pub fn covering(&self, host: &HostPattern) -> Covering {
        let (mut first, mut count) = (Vec::new(), 0);
        for rules in self.by_host.covering(host) {
            first.extend(rules.iter().take(CANDIDATES_MAX));
            count += rules.len();
        }
        first.sort_unstable();
        first.truncate(CANDIDATES_MAX);
        Covering { first, count }
    }

    /// What became of rules that cover a host, the one that was chosen among them.
    pub fn candidates(
        &self,
        covering: &Covering,
        service_namespace: &str,
        choice: &Choice,
    ) -> Vec<Candidate> {
        let chosen = choice.policy.filter(|chosen| !covering.first.contains(chosen));
        let told = covering.first.iter().copied().chain(chosen);
        told.map(|index| self.candidate(index, service_namespace, choice)).collect()
    }

    /// What became of a rule whose host covers a service's.
    pub fn candidate(&self, index: usize, service_namespace: &str, choice: &Choice) -> Candidate {
        let rule = &self.all[index];
        let namespace = &*rule.report.document.namespace;
        let verdict: Cow<'static, str> = if choice.policy == Some(index) {
            "chosen".into()
        } else if choice.rules.contains(&index) {
            "metadata.name: an earlier object for the same host has the policy; only subsets are merged".into()
        } else if rule.selector == Selector::Others {
            "spec.workloadSelector: it is for other workloads".into()
        } else if namespace != self.namespace
            && namespace != service_namespace
            && namespace != self.root_namespace
        {
            format!(
                "metadata.namespace: {namespace} is neither the gateway's namespace, nor the service's, nor the root namespace"
            ).into()
        } else if rule.visibility == Visibility::Hidden {
            format!("spec.exportTo: it is hidden from namespace {}", self.namespace).into()
        } else {
            "spec.host or metadata.namespace: a more specific host or a nearer namespace goes first"
                .into()
        };
        Candidate { origin: rule.origin.clone(), verdict }
    }
}

/// Names the objects whose traffic policy is lost because an earlier one has the same host.
fn report_second_policies(rules: &mut [Rule<'_>], same_host: &[usize]) {
    let with_policy = |index: &usize| {
        rules[*index].traffic.is_some() && rules[*index].selector == Selector::Absent
    };
    let having: Vec<usize> = same_host.iter().copied().filter(with_policy).collect();
    let Some((first, others)) = having.split_first() else {
        return;
    };
    let first = rules[*first].report.title();
    for other in others {
        let message = format!(
            "ignored: {first} comes first for the same host in this namespace; only subsets are merged"
        );
        rules[*other].report.fault(
            "EG014",
            Severity::Warning,
            "spec.trafficPolicy",
            message,
            "merge the two objects",
        );
    }
}
