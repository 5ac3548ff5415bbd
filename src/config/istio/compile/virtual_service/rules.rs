//! The rules of an object on a server: one for each condition of each entry that applies there.
//!
//! What a rule does is compiled in `action.rs`; here it is decided which rules there are.

use std::sync::Arc;

use super::{Rules, Site, Virtual};
use crate::config::Severity;
use crate::config::istio::compile::action::{self, Done};
use crate::config::istio::compile::condition::{self, Applies};
use crate::config::istio::compile::delegate::Entry;
use crate::config::istio::compile::destinations::Use;
use crate::config::istio::compile::gateway::OpenServer;
use crate::config::istio::virtual_service::HttpMatch;
use crate::config::provenance::{Condition, Object, Origin, Skipped};
use crate::model::{self, Rule};

impl Virtual<'_> {
    /// The rules on a server, in order; a rule for every request ends them.
    pub fn rules_on(&mut self, site: Site<'_>, delegates: &mut [Virtual<'_>]) -> Rules {
        let mut rules = Rules::default();
        let entries = std::mem::take(&mut self.entries);
        for entry in &entries {
            match entry.delegate {
                None => self.rules_of(entry, site, &mut rules),
                Some(index) => self.rules_by(&mut delegates[index], entry, site, &mut rules),
            }
        }
        self.entries = entries;
        rules
    }

    /// The rules of an entry of a delegate, who is told what there is to say of them.
    fn rules_by(
        &mut self,
        delegate: &mut Virtual<'_>,
        entry: &Entry,
        site: Site<'_>,
        rules: &mut Rules,
    ) {
        let before = rules.rules.len();
        std::mem::swap(&mut delegate.hosts, &mut self.hosts);
        delegate.rules_of(entry, site, rules);
        std::mem::swap(&mut delegate.hosts, &mut self.hosts);
        // Istio's own output names the object that delegates.
        if let [(_, first), ..] = &rules.rules[before..] {
            let delegated_by = Some(Arc::clone(self.object.report.object()));
            let object = Arc::new(Object { delegated_by, ..Object::clone(&first.object) });
            rules.rules[before..].iter_mut().for_each(|(_, origin)| origin.object = object.clone());
        }
        delegate.made_rules |= rules.rules.len() > before;
    }

    /// The rules of one entry: one for each of its conditions that applies here.
    fn rules_of(&mut self, entry: &Entry, site: Site<'_>, rules: &mut Rules) {
        let Entry { route, field, conditions, refused, .. } = entry;
        if let Some(reason) = refused {
            rules.left_out += 1;
            return rules.skipped.push(self.skipped(field, site.server, reason.clone()));
        }
        if self.object.faulty_at(&format!("{field}.match")) {
            rules.left_out += 1;
            let reason = format!("{field}.match cannot be understood, so its rules are left out");
            self.object.report.reason(reason.clone());
            return rules.skipped.push(self.skipped(field, site.server, reason));
        }
        let mut done = None;
        if route.matches.is_empty() {
            let everything = HttpMatch::default();
            let origin = self.object.report.origin(field);
            self.rule(entry, &everything, origin, site, &mut done, rules);
        }
        for (condition, at) in route.matches.iter().zip(conditions) {
            let origin = Origin { condition: Condition::Written, ..self.object.report.origin(at) };
            self.rule(entry, condition, origin, site, &mut done, rules);
        }
        for one in done.into_iter().flat_map(|(_, uses)| uses) {
            let same = |other: &Use| other.field == one.field && other.upstream == one.upstream;
            if !self.uses.iter().any(same) {
                self.uses.push(one);
            }
        }
    }

    /// The rule for one condition, unless it does not apply, is never reached or cannot be expressed.
    /// `done` is what the entry does, compiled when its first rule needs it.
    fn rule(
        &mut self,
        entry: &Entry,
        written: &HttpMatch,
        origin: Origin,
        site: Site<'_>,
        done: &mut Option<(Done, Vec<Use>)>,
        rules: &mut Rules,
    ) {
        let Site { server, known, identity } = site;
        let at = origin.field.to_string();
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
        let compiled = || action::compile(&entry.route, &entry.field, server.port, known, report);
        let Done { action, fault } = done.get_or_insert_with(compiled).0.clone();
        let name = match (entry.route.name.as_str(), written.name.as_str()) {
            (name, "") => name.to_owned(),
            (name, part) => format!("{name}.{part}"),
        };
        self.report_same_condition(&at, &condition, rules);
        if condition.is_any() {
            rules.ended_by = Some(at);
        }
        let stat_prefix = written.stat_prefix.clone();
        if rules.rules.is_empty() {
            rules.rules.reserve_exact(1); // most objects have one
        }
        rules.rules.push((Arc::new(Rule { name, stat_prefix, condition, fault, action }), origin));
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

    /// A part of it that was not taken on a server.
    pub fn skipped(&self, field: &str, server: &OpenServer, reason: String) -> Skipped {
        let origin = self.object.report.origin(field);
        Skipped { origin, hosts: self.hosts.clone(), port: Some(server.port), reason }
    }
}
