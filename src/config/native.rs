//! Egret's own form: listeners and routes in plain YAML, for people without Istio.
//!
//! All documents of this form are one configuration: their listeners serve the routes of each. `render`
//! is the way back, for any plan. Where a value is wrong, what depends on it is left out or fails
//! closed, and the rest applies.

mod answers;
mod condition;
mod cors;
mod faults;
mod listeners;
mod mirrors;
mod render;
mod report;
mod retries;
mod routes;
mod rules;
mod settings;
mod shapes;
#[cfg(test)]
mod tests;
mod tls;
mod upstreams;
mod yaml;

use std::collections::HashSet;
use std::sync::Arc;

pub use render::render;
pub use settings::settings;

use self::listeners::Listeners;
use self::report::{Parts, Report};
use self::routes::Routes;
use self::shapes::File;
use self::upstreams::{Faults, Upstreams, Written};
use super::document::Node;
use super::provenance::{Condition, Outcome, Verdict};
use super::typed::Typed;
use super::{Compiled, Document, Identity, Materials, Severity, document};
use crate::model::Plan;

/// The port of the one listener when no document names any.
const PORT_DEFAULT: u16 = 443;

/// One document under way.
struct Unit<'a> {
    report: Report<'a>,
    typed: Typed<File>,
    /// Whether anything of it is in force.
    in_force: bool,
}

/// Adds what the documents in this form say to what others have made; other documents are passed over.
///
/// Listeners, upstreams and hosts that are there already are shared, and never changed.
pub fn compile(
    documents: &[Document],
    materials: &Materials,
    identity: &Identity,
    compiled: &mut Compiled,
) {
    let native = documents.iter().filter(|document| document.is_native());
    let mut units: Vec<Unit> = native
        .map(|document| {
            let typed = document.typed::<File>("");
            let mut report = Report::new(document);
            report.problems.extend(typed.problems.iter().cloned().map(|problem| {
                let in_tls = problem.field.split(['.', '[']).any(|field| field == "tls");
                if in_tls { problem.failing_closed() } else { problem }
            }));
            Unit { report, typed, in_force: false }
        })
        .collect();
    let mut upstreams = Upstreams::beside(compiled);
    let mut listeners = Listeners::beside(compiled);
    for unit in &mut units {
        unit.in_force |= listeners.define(&unit.typed, identity, &mut unit.report);
        unit.in_force |= define_upstreams(unit, materials, &mut upstreams);
    }
    let has_routes =
        |unit: &Unit| unit.typed.value.as_ref().is_some_and(|file| !file.routes.is_empty());
    if let Some(unit) = units.iter().find(|unit| has_routes(unit)) {
        listeners.default_to(PORT_DEFAULT, identity, &unit.report);
    }
    let mut routes = Routes::beside(compiled);
    for unit in &mut units {
        unit.in_force |=
            routes.define(&unit.typed, &listeners, materials, &mut upstreams, &mut unit.report);
    }
    compiled.plan =
        Plan { listeners: listeners.plan, routes: routes.plan, upstreams: upstreams.specs };
    let made = &mut compiled.provenance;
    (made.listeners, made.routes, made.upstreams) =
        (listeners.origins, routes.origins, upstreams.origins);
    made.skipped.extend(routes.skipped);
    compiled.problems.extend(settings::settings(documents).1);
    for unit in units {
        compiled.provenance.verdicts.push(unit.verdict(listeners.default_note.as_deref()));
        compiled.problems.extend(unit.report.problems);
    }
}

/// The files that the documents' `tls` fields name.
pub fn referenced_files(documents: &[Document]) -> Vec<String> {
    let mut files = Vec::new();
    for document in documents.iter().filter(|document| document.is_native()) {
        add_files(document.body(), &mut files);
    }
    files.sort();
    files.dedup();
    files
}

fn add_files(value: Node<'_>, files: &mut Vec<String>) {
    value.entries().for_each(|entry| add_files(entry, files));
    for (name, field) in value.fields() {
        if name != "tls" {
            add_files(field, files);
            continue;
        }
        let named =
            ["ca", "certificate", "key"].into_iter().filter_map(|name| field.get(name)?.as_str());
        files.extend(named.filter(|path| *path != tls::CA_OF_SYSTEM).map(str::to_owned));
    }
}

/// The document that `--host` flags stand for: `HOST` goes to `https://HOST`, `HOST=URL` to the URL.
///
/// Errors: a sentence for each flag that cannot be used.
pub fn from_hosts(hosts: &[String]) -> Result<Vec<Document>, Vec<String>> {
    let (mut text, mut wrongs) = (String::from("routes:\n"), Vec::new());
    let mut seen = HashSet::new();
    for given in hosts {
        let (host, url) = match given.split_once('=') {
            Some((host, url)) => (host, url.to_owned()),
            None => (given.as_str(), format!("https://{given}")),
        };
        if !given.contains('=') && host.contains("://") {
            wrongs.push(format!(
                "--host {given}: it is a URL; write the host alone, or HOST={given}"
            ));
        } else if let Err(why) = crate::model::HostPattern::parse(host) {
            wrongs.push(format!("--host {given}: {why}"));
        } else if !given.contains('=') && host == "*" {
            wrongs.push(format!("--host {given}: it names no origin; write '*=https://origin.example.com', or '*.example.com' for all names under one"));
        } else if let Err(why) = upstreams::check_url(&url) {
            wrongs.push(format!("--host {given}: {why}"));
        } else if !seen.insert(host.to_ascii_lowercase()) {
            wrongs.push(format!("--host {given}: {host} is given twice"));
        } else {
            text.push_str(&format!(
                "- hosts: [{}]\n  to: {}\n",
                yaml::quoted(host),
                yaml::quoted(&url)
            ));
        }
    }
    let (documents, problems) = document::parse("--host", &text);
    wrongs.extend(problems.iter().map(ToString::to_string));
    if wrongs.is_empty() { Ok(documents) } else { Err(wrongs) }
}

fn define_upstreams(unit: &mut Unit<'_>, materials: &Materials, upstreams: &mut Upstreams) -> bool {
    let before = upstreams.specs.len();
    let written = unit.typed.value.as_mut().map(|file| std::mem::take(&mut file.upstreams));
    for (index, upstream) in written.unwrap_or_default().into_iter().enumerate() {
        let part = [format!("upstreams[{index}]")];
        let Some(name) = upstream.name.clone().filter(|name| !name.is_empty()) else {
            unit.report.error(
                "EG082",
                &format!("{}.name", part[0]),
                "it is missing",
                "give it a name for to to refer to",
            );
            continue;
        };
        if name.contains("://") {
            let fix = "write a name without ://";
            unit.report.error("EG081", &format!("{}.name", part[0]), "a URL cannot be a name", fix);
            continue;
        }
        let faults = Faults::of(&unit.typed, &part[0]);
        let origin = unit.report.origin(&part[0], Condition::Absent);
        let written = Written { rule: &upstream.into_rule(), parts: Parts(&part), faults, origin };
        upstreams.define(&name, &written, materials, &mut unit.report);
    }
    upstreams.specs.len() > before
}

impl Unit<'_> {
    /// The one verdict on the document.
    fn verdict(&self, default_note: Option<&str>) -> Verdict {
        let document = self.report.document;
        let errors =
            self.report.problems.iter().filter(|problem| problem.severity == Severity::Error);
        let mut reasons: Vec<String> =
            errors.map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
        let has_settings = document.body().get("settings").is_some();
        let outcome = match (reasons.is_empty(), self.in_force || has_settings) {
            (true, _) => Outcome::Applied,
            (false, true) => Outcome::PartlyApplied,
            (false, false) => Outcome::Ignored,
        };
        reasons.extend(default_note.map(str::to_owned));
        Verdict {
            object: Arc::clone(&self.report.object),
            place: document.place(),
            outcome,
            reasons,
        }
    }
}
