//! A `VirtualService` becomes rules for its hosts on each server it is bound to.
//!
//! It does not join the rules of several objects for one host: that is `routes.rs`.
//! Source: istio `core/gateway.go:buildGatewayHTTPRouteConfig`, `core/route/route.go`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::action;
use super::condition::{self, Applies};
use super::destinations::Use;
use super::gateway::{Gateways, OpenServer, Selected};
use super::names::{self, MESH, Normal, Visibility};
use super::object::{Object, Report};
use super::upstreams::Known;
use crate::config::istio::virtual_service::{HttpMatch, HttpRoute, VirtualService};
use crate::config::provenance::{Condition, Origin, Skipped};
use crate::config::{Document, Identity, Severity, misspelt};
use crate::model::{self, Action, HostPattern, Rule};

mod remarks;

/// One object, bound to at least one gateway that is this process.
pub struct Virtual<'a> {
    pub object: Object<'a, VirtualService>,
    pub hosts: Arc<[HostPattern]>,
    pub visibility: Visibility,
    /// Whether it made a virtual host on any listener.
    pub made_rules: bool,
    /// Destinations in use, each once.
    pub uses: Vec<Use>,
    /// `namespace/name` of each gateway, or `mesh`.
    gateways: HashSet<String>,
    /// Index in `hosts` of each that is a wildcard.
    positions: HashMap<HostPattern, usize>,
    /// Which hosts a server has admitted.
    admitted: Vec<bool>,
}

/// The rules of an object on a server, and where each comes from.
#[derive(Default)]
pub struct Rules {
    pub rules: Vec<(Rule, Origin)>,
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
    let hosts = hosts(&mut object);
    for (field, entries) in
        [("spec.tls", object.spec.tls.len()), ("spec.tcp", object.spec.tcp.len())]
    {
        if entries > 0 {
            object.report.unsupported(Severity::Error, field, "these routes are not in force");
        }
    }
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
    let positions = hosts
        .iter()
        .enumerate()
        .filter(|(_, host)| !matches!(host, HostPattern::Exact(_)))
        .map(|(index, host)| (host.clone(), index))
        .collect();
    let admitted = vec![false; hosts.len()];
    let mut read = Virtual {
        object,
        hosts: hosts.into(),
        visibility,
        made_rules: false,
        uses: Vec::new(),
        gateways: bound,
        positions,
        admitted,
    };
    read.report_conditions(gateways);
    Ok(read)
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
        if !self.positions.is_empty() {
            for narrow in server.admitted.patterns(namespace) {
                for index in names::wider(narrow).filter_map(|wide| self.positions.get(&wide)) {
                    self.admitted[*index] = true;
                    common.push(narrow.clone());
                }
            }
        }
        common
    }

    /// The rules on a server, in order; a rule for every request ends them.
    pub fn rules_on(&mut self, site: Site<'_>) -> Rules {
        let mut rules = Rules::default();
        let http = std::mem::take(&mut self.object.spec.http);
        for (index, route) in http.iter().enumerate() {
            self.rules_of(route, &format!("spec.http[{index}]"), site, &mut rules);
        }
        self.object.spec.http = http;
        rules
    }

    /// The rules of one entry: one for each of its conditions that applies here.
    fn rules_of(&mut self, route: &HttpRoute, field: &str, site: Site<'_>, rules: &mut Rules) {
        if self.object.faulty_at(&format!("{field}.match")) {
            rules.left_out += 1;
            let reason = format!("{field}.match cannot be understood, so its rules are left out");
            self.object.report.reason(reason.clone());
            return rules.skipped.push(self.skipped(field, site.server, reason));
        }
        let mut action = None;
        if route.matches.is_empty() {
            let everything = HttpMatch::default();
            let origin = self.object.report.origin(field);
            self.rule(route, field, &everything, origin, site, &mut action, rules);
        }
        for (index, condition) in route.matches.iter().enumerate() {
            let at = format!("{field}.match[{index}]");
            let origin = Origin { condition: Condition::Written, ..self.object.report.origin(&at) };
            self.rule(route, field, condition, origin, site, &mut action, rules);
        }
        for one in action.into_iter().flat_map(|(_, uses)| uses) {
            let same = |other: &Use| other.field == one.field && other.upstream == one.upstream;
            if !self.uses.iter().any(same) {
                self.uses.push(one);
            }
        }
    }

    /// The rule for one condition, unless it does not apply, is never reached or cannot be expressed.
    /// `action` is what the entry does, compiled when its first rule needs it.
    #[allow(clippy::too_many_arguments, reason = "the body of the loop above")]
    fn rule(
        &mut self,
        route: &HttpRoute,
        field: &str,
        written: &HttpMatch,
        origin: Origin,
        site: Site<'_>,
        action: &mut Option<(Action, Vec<Use>)>,
        rules: &mut Rules,
    ) {
        let Site { server, known, identity } = site;
        let at = origin.field.clone();
        let namespace = self.object.namespace();
        if let Applies::NotHere { field: decided, reason } =
            condition::applies(written, server, namespace, identity)
        {
            return rules.skipped.push(self.skipped(&format!("{at}.{decided}"), server, reason));
        }
        let report = &mut self.object.report;
        if let Some(end) = &rules.ended_by {
            let message = format!("never reached: {end} takes every request");
            report.tell("EG070", Severity::Warning, &at, message.clone(), "move it further up");
            return rules.skipped.push(self.skipped(&at, server, message));
        }
        let Some(condition) = condition::compile(written, &at, report) else {
            rules.left_out += 1;
            let reason = "the condition cannot be understood".to_owned();
            return rules.skipped.push(self.skipped(&at, server, reason));
        };
        let compiled = || action::compile(route, field, server.port, known, report);
        let action = action.get_or_insert_with(compiled).0.clone();
        let name = match (route.name.as_str(), written.name.as_str()) {
            (name, "") => name.to_owned(),
            (name, part) => format!("{name}.{part}"),
        };
        self.report_same_condition(&at, &condition, rules);
        if condition.is_any() {
            rules.ended_by = Some(at);
        }
        rules.rules.push((Rule { name, condition, action }, origin));
    }

    /// Says when an earlier rule has the very same condition, so that this one is never reached.
    fn report_same_condition(&mut self, at: &str, condition: &model::Condition, rules: &Rules) {
        let same =
            rules.rules.iter().rev().take(100).find(|(rule, _)| rule.condition == *condition);
        if let Some((_, origin)) = same {
            let message = format!("never reached: {} has the same condition", origin.field);
            self.object.report.tell("EG070", Severity::Warning, at, message, "remove one of them");
        }
    }

    fn skipped(&self, field: &str, server: &OpenServer, reason: String) -> Skipped {
        let origin = self.object.report.origin(field);
        Skipped { origin, hosts: self.hosts.clone(), port: Some(server.port), reason }
    }
}
