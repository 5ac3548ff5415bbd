//! Routes of Egret's own form: hosts, and rules in order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::listeners::Listeners;
use super::report::{Parts, Report};
use super::shapes::{self, File};
use super::upstreams::{Faults, Upstreams, Written};
use crate::config::Materials;
use crate::config::provenance::{Condition, Origin, Skipped};
use crate::config::typed::Typed;
use crate::model::{
    Authority, Destination, Forward, HeaderEdit, HeaderEdits, HostPattern, PathMatch, Retry, Route,
    Rule, duration,
};

/// The routes of all documents.
#[derive(Default)]
pub(super) struct Routes {
    pub plan: Vec<Route>,
    pub origins: Vec<Vec<Origin>>,
    pub skipped: Vec<Skipped>,
    /// Who has a host on a listener: the place of the route.
    owners: HashMap<(usize, HostPattern), usize>,
    /// Where each owner stands, for messages.
    places: Vec<String>,
}

/// What every step of reading a route needs.
struct Context<'a, 'b> {
    typed: &'a Typed<File>,
    materials: &'a Materials,
    upstreams: &'a mut Upstreams,
    report: &'a mut Report<'b>,
}

impl Routes {
    /// Adds the routes of one document; whether there was any.
    pub fn define(
        &mut self,
        typed: &Typed<File>,
        listeners: &Listeners,
        materials: &Materials,
        upstreams: &mut Upstreams,
        report: &mut Report<'_>,
    ) -> bool {
        let before = self.plan.len();
        let mut context = Context { typed, materials, upstreams, report };
        for (index, written) in typed.value.iter().flat_map(|file| &file.routes).enumerate() {
            let part = format!("routes[{index}]");
            let Some(served_on) = served_on(written, &part, listeners, &mut context) else {
                continue;
            };
            let hosts = self.hosts(written, &part, &served_on, context.report);
            if hosts.is_empty() {
                continue;
            }
            let (rules, origins) = self.rules(written, &part, &hosts, &mut context);
            let name = written
                .name
                .clone()
                .unwrap_or_else(|| default_name(&hosts[0], listeners.plan[served_on[0]].port));
            self.plan.push(Route { name, listeners: served_on, hosts, rules });
            self.origins.push(origins);
        }
        self.plan.len() > before
    }

    /// The route's hosts, without those that are wrong or that another route has already.
    fn hosts(
        &mut self,
        written: &shapes::Route,
        part: &str,
        served_on: &[usize],
        report: &mut Report<'_>,
    ) -> Vec<HostPattern> {
        if written.hosts.is_empty() {
            let fix = "write e.g. hosts: [edition.cnn.com]";
            report.error(
                "EG082",
                &format!("{part}.hosts"),
                "it names no host, so the route is ignored",
                fix,
            );
        }
        let place = self.places.len();
        self.places.push(report.origin(part, Condition::Absent).place.to_string());
        let mut hosts = Vec::with_capacity(written.hosts.len());
        for (index, text) in written.hosts.iter().enumerate() {
            let field = || format!("{part}.hosts[{index}]");
            let pattern = match HostPattern::parse(text) {
                Ok(pattern) => pattern,
                Err(why) => {
                    report.error("EG071", &field(), format!("{why}; it is left out"), "");
                    continue;
                }
            };
            let owner = served_on
                .iter()
                .find_map(|listener| self.owners.get(&(*listener, pattern.clone())));
            if let Some(owner) = owner {
                let message = format!(
                    "{text} is routed at {} already; it is left out here",
                    self.places[*owner]
                );
                report.error(
                    "EG086",
                    &field(),
                    message,
                    "put the rules for one host into one route",
                );
                continue;
            }
            self.owners
                .extend(served_on.iter().map(|listener| ((*listener, pattern.clone()), place)));
            hosts.push(pattern);
        }
        hosts
    }

    fn rules(
        &mut self,
        written: &shapes::Route,
        part: &str,
        hosts: &[HostPattern],
        context: &mut Context<'_, '_>,
    ) -> (Vec<Rule>, Vec<Origin>) {
        let (mut rules, mut origins) = (Vec::new(), Vec::new());
        if written.rules.is_empty() && context.typed.faulty_at(&format!("{part}.rules")) {
            return (rules, origins); // rules were meant: what is for the rest is not for everything
        }
        let rest = written.rest();
        for (index, rule) in written.rules.iter().enumerate() {
            let parts = [format!("{part}.rules[{index}]"), part.to_owned()];
            let origin = context.report.origin(&parts[0], condition(rule));
            match read_rule(rule, &rest, &parts, &origin, context) {
                Some(read) => {
                    rules.push(read);
                    origins.push(origin);
                }
                None => self.skipped.push(Skipped {
                    origin,
                    hosts: hosts.into(),
                    port: None,
                    reason: "match is not understood, so the rule is left out".to_owned(),
                }),
            }
        }
        let parts = [part.to_owned()];
        let has_destination = rest.to.is_some() || rest.split.is_some();
        let faulty =
            ["to", "split"].iter().any(|field| context.typed.faulty_at(&format!("{part}.{field}")));
        if has_destination || faulty || written.rules.is_empty() {
            let origin = context.report.origin(part, Condition::Absent);
            rules.extend(read_rule(&shapes::Rule::default(), &rest, &parts, &origin, context));
            origins.push(origin);
        }
        (rules, origins)
    }
}

/// `edition.cnn.com:443`, as Istio calls a virtual host.
pub(super) fn default_name(host: &HostPattern, port: u16) -> String {
    match host {
        HostPattern::Exact(name) if name.as_str().contains(':') => format!("[{name}]:{port}"),
        pattern => format!("{pattern}:{port}"),
    }
}

fn condition(rule: &shapes::Rule) -> Condition {
    if rule.condition.is_some() { Condition::Written } else { Condition::Absent }
}

/// The listeners of a route; `None`: there is none, so the route is ignored.
fn served_on(
    written: &shapes::Route,
    part: &str,
    listeners: &Listeners,
    context: &mut Context<'_, '_>,
) -> Option<Vec<usize>> {
    if context.typed.faulty_at(&format!("{part}.ports"))
        || context.typed.faulty_at(&format!("{part}.listeners"))
    {
        return None; // reported with its place already; all listeners would be more than was asked for
    }
    let report = &mut *context.report;
    let problems_before = report.problems.len();
    let all = || listeners.plan.iter().enumerate();
    let mut served_on = Vec::new();
    for (index, port) in written.ports.iter().flatten().enumerate() {
        let before = served_on.len();
        served_on
            .extend(all().filter(|(_, listener)| listener.port == *port).map(|(index, _)| index));
        if served_on.len() == before {
            let field = format!("{part}.ports[{index}]");
            report.error(
                "EG005",
                &field,
                format!("no listener has port {port}"),
                format!("add it under listeners: - port: {port}"),
            );
        }
    }
    for (index, name) in written.listeners.iter().flatten().enumerate() {
        match all().find(|(_, listener)| listener.name == *name) {
            Some((found, _)) => served_on.push(found),
            None => {
                let names: Vec<&str> =
                    listeners.plan.iter().map(|listener| listener.name.as_str()).collect();
                let field = format!("{part}.listeners[{index}]");
                let fix = crate::config::nearest(name, &names);
                report.error("EG005", &field, format!("no listener is called \"{name}\""), fix);
            }
        }
    }
    if written.ports.is_none() && written.listeners.is_none() {
        served_on.extend(all().map(|(index, _)| index));
    }
    let mut seen = HashSet::new();
    served_on.retain(|index| seen.insert(*index));
    if served_on.is_empty() && report.problems.len() == problems_before {
        report.error(
            "EG090",
            part,
            "it is served on no listener, so it is ignored",
            "add one under listeners",
        );
    }
    (!served_on.is_empty()).then_some(served_on)
}

/// One rule, `parts` being where its fields may stand; `None`: its condition is not understood.
fn read_rule(
    own: &shapes::Rule,
    rest: &shapes::Rule,
    parts: &[String],
    origin: &Origin,
    context: &mut Context<'_, '_>,
) -> Option<Rule> {
    let at = |field: &str| format!("{}.{field}", parts[0]);
    if parts.len() > 1 && context.typed.faulty_at(&at("match")) {
        return None;
    }
    let condition = own.condition.clone().unwrap_or_default();
    let path = read_path(&condition.path, &at("match.path"), context.report)?;
    let methods = condition.methods.unwrap_or_default();
    for (index, method) in methods.iter().enumerate() {
        if !is_token(method) {
            let field = at(&format!("match.methods[{index}]"));
            context.report.error(
                "EG081",
                &field,
                format!("\"{method}\" is no method, so the rule is left out"),
                "write e.g. GET",
            );
            return None;
        }
    }
    let faulty_to = ["to", "split"].iter().any(|field| context.typed.faulty_at(&at(field)));
    let faults = Faults::of_rule(own, context.typed, parts);
    let rule = own.clone().or(rest);
    let name = rule.name.clone().unwrap_or_default();
    let written = Written { rule: &rule, parts: Parts(parts), faults, origin: origin.clone() };
    let to = if faulty_to {
        vec![(Destination::Missing("to".to_owned()), 1)]
    } else {
        destinations(&written, context)
    };
    let report = &mut *context.report;
    let timeout = rule.timeout.as_deref().and_then(|text| read_timeout(text, &written, report));
    let attempts = rule.retries.as_ref().and_then(|retries| retries.attempts);
    let headers = rule.headers.clone().unwrap_or_default();
    let forward = Forward {
        to,
        timeout,
        retry: attempts.map_or_else(Retry::default, |attempts| Retry { attempts }),
        rewrite_host: rule.host.clone().and_then(|host| read_host(host, &written, report)),
        request: edits(headers.request, "headers.request", &written, report),
        response: edits(headers.response, "headers.response", &written, report),
    };
    Some(Rule { name, path, methods, action: crate::model::Action::Forward(forward) })
}

fn read_path(
    path: &Option<shapes::Path>,
    field: &str,
    report: &mut Report<'_>,
) -> Option<PathMatch> {
    let any = PathMatch::Prefix("/".to_owned());
    let (path, text) = match path {
        None => return Some(any),
        Some(shapes::Path { exact: Some(exact), prefix: None }) => {
            (PathMatch::Exact(exact.clone()), exact)
        }
        Some(shapes::Path { exact: None, prefix: Some(prefix) }) => {
            (PathMatch::Prefix(prefix.clone()), prefix)
        }
        Some(_) => {
            let message = "it needs exact or prefix, and one of them only, so the rule is left out";
            report.error("EG073", field, message, "write e.g. path: { prefix: /v2/ }");
            return None;
        }
    };
    if !text.starts_with('/') {
        report.warning(
            "EG070",
            field,
            format!("\"{text}\" does not begin with /, so it matches no path"),
            format!("write /{text}"),
        );
    }
    Some(path)
}

fn destinations(written: &Written<'_>, context: &mut Context<'_, '_>) -> Vec<(Destination, u32)> {
    let report = &mut *context.report;
    let (rule, parts) = (written.rule, written.parts);
    let field = report.field(parts, "split");
    let mut to = Vec::new();
    match (&rule.to, &rule.split) {
        (Some(_), Some(_)) => {
            report.error(
                "EG073",
                &field,
                "to and split exclude each other; requests get 503",
                "keep one of them",
            );
        }
        (None, None) => {
            let field = report.field(parts, "to");
            report.error(
                "EG082",
                &field,
                "it is missing; requests get 503",
                "write e.g. to: https://edition.cnn.com",
            );
        }
        (Some(url), None) => {
            let field = report.field(parts, "to");
            refuse_options(url, written, report);
            to.push((
                context.upstreams.destination(url, &field, written, context.materials, report),
                1,
            ));
        }
        (None, Some(shares)) => {
            for (index, share) in shares.iter().enumerate() {
                let field = format!("{field}[{index}]");
                let weight = share.weight.unwrap_or(1);
                let Some(url) = &share.to else {
                    report.error(
                        "EG082",
                        &field,
                        "a share without to is left out",
                        "write e.g. { to: https://a.example.com, weight: 90 }",
                    );
                    continue;
                };
                if weight > 0 {
                    refuse_options(url, written, report);
                    let field = format!("{field}.to");
                    to.push((
                        context.upstreams.destination(
                            url,
                            &field,
                            written,
                            context.materials,
                            report,
                        ),
                        weight,
                    ));
                }
            }
            if to.is_empty() {
                report.error(
                    "EG073",
                    &field,
                    "no share has a weight above zero; requests get 503",
                    "give one a weight",
                );
            }
        }
    }
    if to.is_empty() {
        to.push((Destination::Missing("to".to_owned()), 1));
    }
    to
}

/// What stands beside the name of an upstream has no effect on it.
fn refuse_options(to: &str, written: &Written<'_>, report: &mut Report<'_>) {
    if !to.contains("://") && written.rule.has_options() {
        let field = report.field(written.parts, "to");
        let message = format!(
            "tls, timeouts of connections, balance and endpoints beside it do not change the upstream \"{to}\""
        );
        report.error("EG073", &field, message, "write them at the upstream");
    }
}

fn read_timeout(text: &str, written: &Written<'_>, report: &mut Report<'_>) -> Option<Duration> {
    match duration::parse(text) {
        Ok(Duration::ZERO) => None, // no limit, as Istio means it
        Ok(timeout) => Some(timeout),
        Err(why) => {
            let field = report.field(written.parts, "timeout");
            report.error("EG081", &field, format!("{why}; there is no timeout"), "");
            None
        }
    }
}

fn read_host(host: String, written: &Written<'_>, report: &mut Report<'_>) -> Option<String> {
    if Authority::parse(host.as_bytes()).is_some() {
        return Some(host);
    }
    let field = report.field(written.parts, "host");
    report.error(
        "EG081",
        &field,
        format!("\"{host}\" is not a host; the client's is kept"),
        "write e.g. host: api.example.com",
    );
    None
}

fn edits(
    edits: Option<shapes::Edits>,
    message: &str,
    written: &Written<'_>,
    report: &mut Report<'_>,
) -> HeaderEdits {
    let edits = edits.unwrap_or_default();
    let path = report.field(written.parts, message);
    let mut remove = Vec::new();
    for (index, name) in edits.remove.into_iter().enumerate() {
        if check_header(&name, "", &format!("{path}.remove[{index}]"), report) {
            remove.push(name);
        }
    }
    let mut lines = |lines: BTreeMap<String, String>, list: &str| {
        let lines = lines.into_iter().filter(|(name, value)| {
            check_header(name, value, &format!("{path}.{list}.{name}"), report)
        });
        lines.map(|(name, value)| HeaderEdit { name, value }).collect()
    };
    HeaderEdits { remove, set: lines(edits.set, "set"), add: lines(edits.add, "add") }
}

/// Whether a header line can be written; if not, that is reported.
fn check_header(name: &str, value: &str, field: &str, report: &mut Report<'_>) -> bool {
    if name.eq_ignore_ascii_case("host") {
        report.error(
            "EG073",
            field,
            "Host is not edited here; it is left out",
            "write host: beside headers",
        );
    } else if !is_token(name) {
        report.error(
            "EG081",
            field,
            format!("\"{name}\" is no header name; it is left out"),
            "write letters, digits and dashes",
        );
    } else if value.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
        report.error(
            "EG081",
            field,
            "a header value cannot have control characters; it is left out",
            "write it on one line",
        );
    } else {
        return true;
    }
    false
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}
