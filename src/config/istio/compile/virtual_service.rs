//! A `VirtualService` becomes rules for its hosts on each server it is bound to.
//!
//! It does not join the rules of several objects for one host: that is `routes.rs`.
//! Source: istio `core/gateway.go:buildGatewayHTTPRouteConfig`, `core/route/route.go`.

use std::collections::HashSet;
use std::sync::Arc;

use super::delegate::Entry;
use super::destinations::Use;
use super::gateway::{Gateways, OpenServer, Selected};
use super::l4;
use super::names::{self, MESH, Normal, PatternMap, Visibility};
use super::object::{Object, Report};
use super::upstreams::Known;
use crate::config::istio::virtual_service::VirtualService;
use crate::config::provenance::{Origin, Skipped};
use crate::config::{Document, Identity, Severity, misspelt};
use crate::model::{HostPattern, Rule};

mod remarks;
mod rules;

/// One object, bound to at least one gateway that is this process.
pub struct Virtual<'a> {
    pub object: Object<'a, VirtualService>,
    pub hosts: Arc<[HostPattern]>,
    pub visibility: Visibility,
    /// Whether it made a virtual host on any listener.
    pub made_rules: bool,
    /// The entries of `spec.http` that are to be compiled.
    pub entries: Vec<Entry>,
    /// For a delegate: whether a route delegates to it.
    pub is_asked: bool,
    /// Destinations in use, each once.
    pub uses: Vec<Use>,
    /// `namespace/name` of each gateway, or `mesh`.
    pub gateways: HashSet<String>,
    /// Index in `hosts` of each that is a wildcard.
    positions: PatternMap<usize>,
    /// Which hosts a server has admitted.
    admitted: Vec<bool>,
}

/// The rules of an object on a server, and where each comes from.
#[derive(Default)]
pub struct Rules {
    pub rules: Vec<(Arc<Rule>, Origin)>,
    /// Entries that could not be compiled: the hosts answer 404 rather than be taken by a wider one.
    pub left_out: usize,
    pub skipped: Vec<Skipped>,
    /// The condition that takes every request, after which nothing is reached.
    ended_by: Option<String>,
}

/// The server that rules are made for, and what they may lead to.
#[derive(Clone, Copy)]
pub struct Site<'s> {
    pub server: &'s OpenServer,
    pub known: &'s Known,
    pub identity: &'s Identity,
}

/// Reads the object; `Err`: nothing of it applies, and the report says why.
pub fn read<'a>(
    document: &'a Document,
    gateways: &Gateways,
    identity: &Identity,
) -> Result<Virtual<'a>, Report<'a>> {
    let mut object = Object::<VirtualService>::read(document)?;
    if object.spec.hosts.is_empty() && !object.faulty_at("spec.hosts") {
        l4::report(&mut object);
        return Ok(delegate(object));
    }
    let visibility =
        names::visibility(&object.spec.export_to, object.namespace(), &identity.namespace);
    if visibility == Visibility::Hidden {
        object.ignore_as_hidden(identity);
        return Err(object.report);
    }
    let bound = bound(&mut object, gateways);
    if object.report.is_ignored() {
        return Err(object.report);
    }
    l4::report(&mut object);
    let hosts = hosts(&mut object);
    if hosts.is_empty() || object.spec.http.is_empty() {
        let (field, what) =
            if hosts.is_empty() { ("spec.hosts", "host") } else { ("spec.http", "http route") };
        if !object.faulty_at(field) && object.spec.tls.is_empty() && object.spec.tcp.is_empty() {
            object.report.fault(
                "EG082",
                Severity::Error,
                field,
                format!("no usable {what}"),
                "add one",
            );
        }
        object.report.ignore(format!("it has no usable {what}"));
        return Err(object.report);
    }
    let mut positions = PatternMap::default();
    for (index, host) in hosts.iter().enumerate() {
        if !matches!(host, HostPattern::Exact(_)) {
            *positions.entry(host) = index;
        }
    }
    let admitted = vec![false; hosts.len()];
    let entries = entries(&mut object);
    let mut read = Virtual {
        object,
        hosts: hosts.into(),
        visibility,
        made_rules: false,
        entries,
        is_asked: false,
        uses: Vec::new(),
        gateways: bound,
        positions,
        admitted,
    };
    read.report_conditions(gateways, identity);
    Ok(read)
}

/// An object without hosts: what it says is for those that delegate to it.
fn delegate(mut object: Object<'_, VirtualService>) -> Virtual<'_> {
    if !object.spec.gateways.is_empty() {
        let message = "an object without hosts is a delegate, which is bound to no gateway";
        let fix = "name hosts, or leave gateways out";
        object.report.fault("EG073", Severity::Error, "spec.gateways", message, fix);
    }
    Virtual {
        entries: entries(&mut object),
        object,
        hosts: Arc::new([]),
        visibility: Visibility::Public,
        made_rules: false,
        is_asked: false,
        uses: Vec::new(),
        gateways: HashSet::new(),
        positions: PatternMap::default(),
        admitted: Vec::new(),
    }
}

fn entries(object: &mut Object<'_, VirtualService>) -> Vec<Entry> {
    let http = std::mem::take(&mut object.spec.http);
    http.into_iter().enumerate().map(|(index, route)| Entry::of(route, index)).collect()
}

/// The gateways it names, resolved; the report is ignored when none is this process.
fn bound(object: &mut Object<'_, VirtualService>, gateways: &Gateways) -> HashSet<String> {
    let Object { spec, report, .. } = object;
    if spec.gateways.is_empty() {
        let message = "only for sidecars: gateways defaults to [mesh]";
        report.tell(
            "EG008",
            Severity::Warning,
            "spec.gateways",
            message,
            "name the gateway in gateways",
        );
        report.ignore(message);
        return HashSet::new();
    }
    let mut bound = HashSet::new();
    let mut here = false;
    for (index, name) in spec.gateways.iter().enumerate() {
        let resolved = names::gateway(name, &report.document.namespace);
        match gateways.known.get(&resolved) {
            _ if resolved == MESH => {}
            Some(selected) => here |= *selected == Selected::ThisGateway,
            None => {
                let short = resolved.rsplit('/').next().unwrap_or(&resolved);
                let elsewhere = gateways
                    .known
                    .keys()
                    .filter(|other| other.rsplit('/').next() == Some(short))
                    .min();
                let (hint, fix) = match elsewhere {
                    Some(other) => (format!("; {other} does"), format!("write \"{other}\"")),
                    None => (String::new(), similar(&resolved, gateways)),
                };
                let message = format!(
                    "gateway \"{name}\" resolves to {resolved}, which does not exist{hint}"
                );
                report.fault(
                    "EG007",
                    Severity::Error,
                    &format!("spec.gateways[{index}]"),
                    message,
                    fix,
                );
            }
        }
        bound.insert(resolved);
    }
    if !here {
        if bound.iter().all(|name| name == MESH) {
            report.tell(
                "EG013",
                Severity::Info,
                "spec.gateways",
                "only for sidecars; ignored by this gateway",
                "",
            );
        }
        report.ignore("spec.gateways names no gateway that is this process");
    }
    bound
}

/// The gateway of the same namespace that was probably meant, or that there should be one.
fn similar(missing: &str, gateways: &Gateways) -> String {
    let (namespace, name) = missing.split_once('/').unwrap_or_default();
    let beside = |other: &'_ String| other.split_once('/').is_some_and(|(own, _)| own == namespace);
    let mut known: Vec<&str> = gateways
        .known
        .keys()
        .filter(|other| beside(other))
        .map(|other| &other[namespace.len() + 1..])
        .collect();
    known.sort_unstable();
    match misspelt(name, &known, 1 + name.len() / 3) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("add a Gateway {missing}"),
    }
}

fn hosts(object: &mut Object<'_, VirtualService>) -> Vec<HostPattern> {
    let Object { spec, report, .. } = object;
    let (mut hosts, mut seen) = (Vec::new(), HashSet::new());
    for (index, text) in spec.hosts.iter().enumerate() {
        let field = format!("spec.hosts[{index}]");
        let pattern = match names::host_pattern(&names::service(text, &report.document.namespace)) {
            Ok(Normal::Same(pattern)) if !text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                pattern
            }
            Ok(Normal::Same(pattern) | Normal::Mended(pattern)) => {
                let message = format!(
                    "a host is written without scheme, port, trailing dot and capitals; taken as \"{pattern}\""
                );
                report.tell(
                    "EG071",
                    Severity::Warning,
                    &field,
                    message,
                    format!("write \"{pattern}\""),
                );
                pattern
            }
            Err(why) => {
                report.fault(
                    "EG071",
                    Severity::Error,
                    &field,
                    format!("{why}; it is left out"),
                    "write the name alone",
                );
                continue;
            }
        };
        if pattern == HostPattern::Any && spec.gateways.iter().any(|name| name == MESH) {
            let what = "\"*\" does not go with the gateway mesh";
            report.refused_by_istio(&field, what, "name the hosts, or leave mesh out");
        }
        if seen.insert(pattern.clone()) {
            hosts.push(pattern);
        } else {
            let what = format!("{pattern} is listed twice");
            report.refused_by_istio(&field, what, "remove one of them");
        }
    }
    hosts
}

impl Virtual<'_> {
    pub fn namespace(&self) -> &str {
        self.object.namespace()
    }

    pub fn name(&self) -> &str {
        &self.object.report.document.name
    }

    pub fn is_delegate(&self) -> bool {
        self.hosts.is_empty()
    }

    pub fn is_bound_to(&self, server: &OpenServer) -> bool {
        self.gateways.contains(&server.gateway)
    }

    /// The hosts it has on a server: where one side is wider, the more specific one.
    pub fn hosts_on(&mut self, server: &OpenServer) -> Vec<HostPattern> {
        let mut common = Vec::new();
        let namespace = self.object.namespace();
        for (index, host) in self.hosts.iter().enumerate() {
            if server.admitted.covers(host, namespace) {
                self.admitted[index] = true;
                common.push(host.clone());
            }
        }
        if self.hosts.iter().any(|host| !matches!(host, HostPattern::Exact(_))) {
            for narrow in server.admitted.patterns(namespace) {
                for index in self.positions.wider(narrow) {
                    self.admitted[*index] = true;
                    common.push(narrow.clone());
                }
            }
        }
        common
    }
}
