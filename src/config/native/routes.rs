//! Routes of Egret's own form: hosts, the listeners they are served on, and their rules in order.
//!
//! What one rule says is read in `rules`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::listeners::Listeners;
use super::report::Report;
use super::rules::{ACTIONS, Context, read_rule};
use super::shapes::{self, File};
use super::upstreams::Upstreams;
use crate::config::provenance::{Condition, Origin, Skipped};
use crate::config::typed::Typed;
use crate::config::{Compiled, Materials};
use crate::model::{HostPattern, Route, Rule};

/// The routes of all documents.
pub(super) struct Routes {
    pub plan: Vec<Route>,
    pub origins: Vec<Vec<Origin>>,
    pub skipped: Vec<Skipped>,
    /// Who has a host on a listener: the place of the route.
    owners: HashMap<(usize, HostPattern), usize>,
    /// Where each owner stands, for messages.
    places: Vec<String>,
}

impl Routes {
    /// Begins with the routes that are there.
    pub fn beside(compiled: &mut Compiled) -> Self {
        let plan = std::mem::take(&mut compiled.plan.routes);
        let origins = std::mem::take(&mut compiled.provenance.routes);
        let (mut owners, mut places) = (HashMap::new(), Vec::new());
        for (index, route) in plan.iter().enumerate() {
            let origin = origins.get(index).and_then(|rules| rules.first());
            places.push(origin.map_or_else(
                || route.name.clone(),
                |origin| format!("{} ({})", origin.place(), origin.object.name),
            ));
            for listener in &route.listeners {
                owners.extend(route.hosts.iter().map(|host| ((*listener, host.clone()), index)));
            }
        }
        Self { plan, origins, skipped: Vec::new(), owners, places }
    }

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
        self.places.push(report.origin(part, Condition::Absent).place().to_string());
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
    ) -> (Vec<Arc<Rule>>, Vec<Origin>) {
        let (mut rules, mut origins) = (Vec::new(), Vec::new());
        let field = format!("{part}.rules");
        if written.rules.is_empty() && context.typed.faulty_at(&field) {
            return (rules, origins); // rules were meant: what is for the rest is not for everything
        }
        let is_written = context.report.document.value(&field).is_some();
        let rest = written.rest();
        for (index, rule) in written.rules.iter().enumerate() {
            let parts = [format!("{part}.rules[{index}]"), part.to_owned()];
            let origin = context.report.origin(&parts[0], condition(rule));
            match read_rule(rule, &rest, &parts, &origin, context) {
                Some(read) => {
                    rules.push(Arc::new(read));
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
        let faulty =
            ACTIONS.iter().any(|field| context.typed.faulty_at(&format!("{part}.{field}")));
        // `rules: []` alone says that there are hosts, and that nothing is done for them.
        if rest.has_action() || faulty || !is_written {
            let origin = context.report.origin(part, Condition::Absent);
            if let Some(read) = read_rule(&shapes::Rule::default(), &rest, &parts, &origin, context)
            {
                rules.push(Arc::new(read));
                origins.push(origin);
            }
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
