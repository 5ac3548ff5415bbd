//! Routes that are said in another object: the entries of a delegate take the place of the one that
//! delegates, each narrowed to what that one matches.
//!
//! It compiles no entry. Source: istio `model/virtualservice.go:mergeVirtualServicesIfNeeded`.

use std::collections::{HashMap, HashSet};

use super::names::{self, Visibility};
use super::virtual_service::Virtual;
use crate::config::document::Node;
use crate::config::istio::virtual_service::{Delegate, HttpRoute};
use crate::config::{Document, Severity};

mod narrow;

/// One entry of `spec.http`, of the object itself or of one that it delegates to.
pub struct Entry {
    pub route: HttpRoute,
    /// Where it stands in the object that says it.
    pub field: String,
    /// Where each of its conditions stands there.
    pub conditions: Vec<String>,
    /// Who says it, as an index into the delegates; `None`: the object itself.
    pub delegate: Option<usize>,
    /// Why nothing of it applies.
    pub refused: Option<String>,
}

impl Entry {
    /// The entry of an object itself.
    pub fn of(route: HttpRoute, index: usize) -> Self {
        let field = format!("spec.http[{index}]");
        let conditions =
            (0..route.matches.len()).map(|index| format!("{field}.match[{index}]")).collect();
        Self { route, field, conditions, delegate: None, refused: None }
    }
}

/// Takes the delegates out, and puts what they say in the place of what delegates to them. Objects that
/// delegate come after all others, as in Istio.
pub fn resolve<'a>(mut virtuals: Vec<Virtual<'a>>) -> (Vec<Virtual<'a>>, Vec<Virtual<'a>>) {
    let mut delegates: Vec<_> = virtuals.extract_if(.., |one| one.is_delegate()).collect();
    let name = |one: &Virtual<'a>| format!("{}/{}", one.namespace(), one.name());
    let known: HashMap<String, usize> =
        delegates.iter().enumerate().map(|(index, one)| (name(one), index)).collect();
    let delegating = |one: &Virtual<'a>| one.entries.iter().any(|e| e.route.delegate.is_some());
    let mut roots: Vec<_> = virtuals.extract_if(.., |one| delegating(one)).collect();
    for root in &mut roots {
        for entry in std::mem::take(&mut root.entries) {
            expand(root, entry, &mut delegates, &known);
        }
    }
    virtuals.append(&mut roots);
    (virtuals, delegates)
}

/// Says which delegates nobody asked, or in vain; `documents` are all objects, in force or not.
pub fn report_unused(delegates: &mut [Virtual<'_>], documents: &[&Document]) {
    let named = named(documents);
    for one in delegates.iter_mut().filter(|one| !one.made_rules) {
        let (asked, name) = (one.is_asked, format!("{}/{}", one.namespace(), one.name()));
        let report = &mut one.object.report;
        if asked {
            report.ignore("none of its rules applies on this gateway");
            continue;
        }
        if named.contains(&name) {
            let message = "only objects that do not apply here delegate to it";
            report.tell("EG013", Severity::Info, "", message, "");
            report.ignore(message);
            continue;
        }
        let message = "it has no hosts, so it is a delegate, and no route delegates to it";
        let fix = "name hosts, or name it in a route's delegate";
        report.fault("EG082", Severity::Warning, "spec.hosts", message, fix);
        report.ignore(message);
    }
}

/// Every delegate that some object names, whether that object applies here or not.
fn named(documents: &[&Document]) -> HashSet<String> {
    let mut named = HashSet::new();
    for document in documents {
        let http = document.body().get("spec").and_then(|spec| spec.get("http"));
        let entries = http.into_iter().flat_map(Node::entries);
        for delegate in entries.filter_map(|entry| entry.get("delegate")) {
            let text = |field: &str| delegate.get(field).and_then(|value| value.as_str());
            let namespace = text("namespace").filter(|namespace| !namespace.is_empty());
            let namespace = namespace.unwrap_or(&document.namespace);
            named.insert(format!("{namespace}/{}", text("name").unwrap_or_default()));
        }
    }
    named
}

fn expand(
    root: &mut Virtual<'_>,
    entry: Entry,
    delegates: &mut [Virtual<'_>],
    known: &HashMap<String, usize>,
) {
    let Some(asked) = entry.route.delegate.clone() else { return root.entries.push(entry) };
    report_beside(root, &entry);
    let faulty = root.object.faulty_at(&format!("{}.match", entry.field));
    let index = match find(root, &asked, &entry.field, delegates, known) {
        _ if faulty => Err(format!("{}.match cannot be understood", entry.field)),
        found => found,
    };
    let index = match index {
        Ok(index) => index,
        Err(reason) => {
            return root.entries.push(Entry { refused: Some(reason), ..entry });
        }
    };
    let delegate = &mut delegates[index];
    delegate.is_asked = true;
    let mut outer = entry.route;
    settle_names(&mut outer, root.namespace());
    let namespace = delegate.namespace().to_owned();
    let mut merged = Vec::with_capacity(delegate.entries.len());
    for inner in &delegate.entries {
        let mut route = inner.route.clone();
        settle_names(&mut route, &namespace);
        merged.push(merge(&outer, route, &inner.field, index));
    }
    for entry in &mut merged {
        report_inner(delegate, entry);
    }
    root.entries.append(&mut merged);
}

/// The delegate that is named. Errors: why there is none.
fn find(
    root: &mut Virtual<'_>,
    asked: &Delegate,
    field: &str,
    delegates: &[Virtual<'_>],
    known: &HashMap<String, usize>,
) -> Result<usize, String> {
    let own = root.namespace().to_owned();
    let namespace = if asked.namespace.is_empty() { &own } else { &asked.namespace };
    let name = format!("{namespace}/{}", asked.name);
    let (message, fix) = match known.get(&name) {
        Some(index) => {
            let exported = &delegates[*index].object.spec.export_to;
            if names::visibility(exported, namespace, &own) != Visibility::Hidden {
                return Ok(*index);
            }
            let message = format!("exportTo of {name} hides it from namespace {own}");
            (message, format!("add {own} to its exportTo"))
        }
        None => {
            let message = format!("there is no delegate {name}");
            (message, format!("add a VirtualService {name} without hosts"))
        }
    };
    let message = format!("{message}; the route is left out");
    let report = &mut root.object.report;
    report.fault("EG095", Severity::Error, &format!("{field}.delegate"), message.clone(), fix);
    Err(message)
}

/// What stands beside a delegation without being handed down.
fn report_beside(root: &mut Virtual<'_>, entry: &Entry) {
    for (name, present) in
        [("route", !entry.route.route.is_empty()), ("redirect", entry.route.redirect.is_some())]
    {
        if present {
            let message = "delegate stands beside it, so it is not in force";
            let at = format!("{}.{name}", entry.field);
            root.object.report.fault("EG073", Severity::Error, &at, message, "keep one of them");
        }
    }
}

/// What is wrong with an entry of a delegate itself.
fn report_inner(delegate: &mut Virtual<'_>, entry: &mut Entry) {
    let object = &mut delegate.object;
    if entry.route.delegate.is_some() {
        let message = "a delegate cannot delegate; the route is left out";
        let at = format!("{}.delegate", entry.field);
        object.report.fault("EG073", Severity::Error, &at, message, "write the route here");
        entry.refused = Some(message.to_owned());
    } else if let Some(reason) = &entry.refused {
        let fix = "narrow it to what is delegated";
        object.report.fault("EG096", Severity::Error, &entry.field, reason.clone(), fix);
    }
}

/// Names go by the namespace of the object that says them.
fn settle_names(route: &mut HttpRoute, namespace: &str) {
    let destinations = route.route.iter_mut().map(|one| &mut one.destination);
    let mirrors = route.mirrors.iter_mut().map(|one| &mut one.destination);
    for to in destinations.chain(mirrors).chain(route.mirror.as_deref_mut()) {
        to.host = names::service(&to.host, namespace);
    }
    for name in route.matches.iter_mut().flat_map(|one| &mut one.gateways) {
        *name = names::gateway(name, namespace);
    }
}

/// An entry of a delegate with what is handed down to it. It is refused when one of its conditions is no
/// part of what is delegated.
fn merge(outer: &HttpRoute, inner: HttpRoute, field: &str, delegate: usize) -> Entry {
    let mut entry =
        Entry { conditions: Vec::new(), delegate: Some(delegate), ..Entry::of(inner, 0) };
    entry.field = field.to_owned();
    match narrow::conditions(&outer.matches, &entry.route.matches, field) {
        Ok((matches, places)) => {
            entry.route.matches = matches;
            entry.conditions = places;
        }
        Err(reason) => entry.refused = Some(reason),
    }
    let route = &mut entry.route;
    route.name = joined(&outer.name, &route.name);
    macro_rules! inherit {
        ($($field:ident)*) => {$(
            if route.$field.is_none() {
                route.$field.clone_from(&outer.$field);
            }
        )*};
    }
    inherit!(direct_response timeout retries fault cors_policy headers);
    // An answer of its own forwards nothing, and what is handed down to it for that is no mistake.
    if route.redirect.is_none() && route.direct_response.is_none() {
        inherit!(rewrite mirror mirror_percent mirror_percentage);
        if route.mirrors.is_empty() {
            route.mirrors.clone_from(&outer.mirrors);
        }
    }
    entry
}

fn joined(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        (outer, "") => outer.to_owned(),
        ("", inner) => inner.to_owned(),
        (outer, inner) => format!("{outer}-{inner}"),
    }
}
