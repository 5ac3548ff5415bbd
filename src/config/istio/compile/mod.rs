//! Istio's documents become a plan, in the order istiod would go: who is known, how they are called,
//! where clients knock, and what leads where.
//!
//! The only place that knows Istio's rules, a file per object. Nothing here reads files or sockets.

mod action;
mod answers;
mod condition;
mod cors;
mod credential;
mod delegate;
mod destination_rule;
mod destinations;
mod fault;
mod gateway;
mod headers;
mod l4;
mod lint;
mod mirror;
mod names;
mod object;
mod policy;
mod retries;
mod routes;
mod service_entry;
mod tls;
mod upstreams;
mod virtual_service;

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::config::{Compiled, Document, Identity, Materials, Severity, credentials, nearest};
use gateway::Gateways;
use object::Report;

const GROUP: &str = "networking.istio.io/";

/// Adds what the documents say in Istio's words to the plan; Egret's own form is left alone.
pub fn compile(
    documents: &[Document],
    materials: &Materials,
    identity: &Identity,
    compiled: &mut Compiled,
) {
    let documents = in_order(documents);
    let of =
        |kind: &'static str| documents.iter().copied().filter(move |document| is(document, kind));
    let mut reports: Vec<Report<'_>> = Vec::new();

    let mut services = keep(
        of("ServiceEntry").map(|document| service_entry::read(document, identity)),
        &mut reports,
    );
    let rules =
        of("DestinationRule").map(|document| destination_rule::read(document, materials, identity));
    let mut rules = destination_rule::Rules::new(keep(rules, &mut reports), identity);
    let known = upstreams::build(&mut services, &mut rules, compiled);

    let mut gateways = Gateways::default();
    for document in of("Gateway") {
        reports.push(gateways.add(document, identity, compiled));
    }
    let virtuals =
        of("VirtualService").map(|document| virtual_service::read(document, &gateways, identity));
    let (mut virtuals, mut delegates) = delegate::resolve(keep(virtuals, &mut reports));
    routes::build(&mut virtuals, &mut delegates, &gateways, &known, identity, compiled);
    for one in &mut virtuals {
        one.report_hosts(&gateways);
    }
    delegate::report_unused(&mut delegates, &documents);
    virtuals.append(&mut delegates);

    let world = lint::World { services: &services, known: &known, compiled, identity };
    lint::used(&mut virtuals, &mut rules, &world);
    lint::unused(&mut rules, &world);
    let routing = virtuals.iter_mut().map(|one| &mut one.object.report);
    lint::encrypted_twice(reports.iter_mut().chain(routing), &world);
    reports.extend(documents.iter().filter_map(|document| not_read(document)));
    reports.extend(services.into_iter().map(|service| service.report));
    reports.extend(rules.all.into_iter().map(|rule| rule.report));
    reports.extend(virtuals.into_iter().map(|one| one.object.report));
    report_twins(&mut reports);
    for report in reports {
        let (verdict, mut problems) = report.finish();
        compiled.provenance.verdicts.push(verdict);
        compiled.problems.append(&mut problems);
    }
}

/// The files that Istio's documents point at.
pub fn referenced_files(documents: &[Document]) -> Vec<String> {
    documents
        .iter()
        .filter(|document| is(document, "DestinationRule"))
        .flat_map(destination_rule::files)
        .collect()
}

/// Older objects first, and by name and namespace where they are as old as each other, as istiod goes;
/// files written by hand have no age and keep their order.
fn in_order(documents: &[Document]) -> Vec<&Document> {
    let mut ours: Vec<&Document> =
        documents.iter().filter(|document| !document.is_native()).collect();
    ours.sort_by(|a, b| match a.created.cmp(&b.created) {
        Ordering::Equal if !a.created.is_empty() => {
            (&a.name, &a.namespace).cmp(&(&b.name, &b.namespace))
        }
        order => order,
    });
    ours
}

fn is(document: &Document, kind: &str) -> bool {
    let version = document.api_version.strip_prefix(GROUP);
    document.kind == kind
        && version.is_some_and(|version| matches!(version, "v1" | "v1beta1" | "v1alpha3"))
}

/// Keeps what could be read, and the reports on what could not.
fn keep<'a, T>(
    read: impl Iterator<Item = Result<T, Report<'a>>>,
    reports: &mut Vec<Report<'a>>,
) -> Vec<T> {
    read.filter_map(|one| one.map_err(|report| reports.push(report)).ok()).collect()
}

/// A report on an object of another kind: nothing is dropped silently.
fn not_read(document: &Document) -> Option<Report<'_>> {
    const READ: [&str; 4] = ["Gateway", "VirtualService", "DestinationRule", "ServiceEntry"];
    /// The other kinds of the group.
    const ELSEWHERE: [&str; 5] =
        ["Sidecar", "EnvoyFilter", "WorkloadEntry", "WorkloadGroup", "ProxyConfig"];
    /// Kinds of any of Istio's groups that no gateway goes by.
    const FOR_SIDECARS: [&str; 3] = ["Sidecar", "ProxyConfig", "PeerAuthentication"];
    if READ.iter().any(|kind| is(document, kind)) || credentials::holds_files(document) {
        return None;
    }
    let mut report = Report::new(document);
    let (kind, version) = (document.kind.as_str(), &*document.api_version);
    let (code, severity, message) = if kind.is_empty() || version.is_empty() {
        let missing = if kind.is_empty() { "kind" } else { "apiVersion" };
        ("EG082", Severity::Error, format!("{missing} is missing; the object is ignored"))
    } else if READ.contains(&kind) && (version.starts_with(GROUP) || !version.contains('/')) {
        (
            "EG081",
            Severity::Error,
            format!("\"{version}\" is not a version of {kind}; the object is ignored"),
        )
    } else if version.starts_with(GROUP) && !ELSEWHERE.contains(&kind) {
        ("EG084", Severity::Error, format!("Istio has no kind {kind}; the object is ignored"))
    } else if version.contains("istio.io/") && FOR_SIDECARS.contains(&kind) {
        ("EG013", Severity::Info, format!("{kind} is only for sidecars; ignored by this gateway"))
    } else if version.contains("istio.io/") {
        ("EG083", Severity::Warning, format!("{kind} is not implemented; the object is ignored"))
    } else {
        ("EG084", Severity::Info, format!("{version} {kind} is not read; ignored"))
    };
    let (field, fix) = match code {
        _ if kind.is_empty() => ("", format!("add kind: one of {}", READ.join(", "))),
        "EG081" | "EG082" => ("apiVersion", "apiVersion: networking.istio.io/v1".to_owned()),
        "EG084" if severity == Severity::Error => ("kind", nearest(kind, &READ)),
        _ => ("kind", String::new()),
    };
    report.tell(code, severity, field, message.clone(), fix);
    report.ignore(message);
    Some(report)
}

/// Says when two documents are one object: in a cluster the second would have replaced the first.
fn report_twins(reports: &mut [Report<'_>]) {
    let mut first: HashMap<_, &Document> = HashMap::new();
    for report in reports {
        let Document { kind, namespace, name, .. } = report.document;
        if name.is_empty() {
            continue;
        }
        match first.get(&(kind, namespace, name)) {
            Some(earlier) => {
                let (title, earlier) = (report.title(), earlier.place());
                let message = format!("{title} is defined at {earlier} too; both are read");
                report.tell(
                    "EG086",
                    Severity::Warning,
                    "metadata.name",
                    message,
                    "give each object a name of its own",
                );
            }
            None => drop(first.insert((kind, namespace, name), report.document)),
        }
    }
}
