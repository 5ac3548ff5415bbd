//! Routes that are said in another object: the entries of a delegate take the place of the one that
//! delegates, each narrowed to what that one matches.
//!
//! It compiles no entry. Source: istio `model/virtualservice.go:mergeVirtualServicesIfNeeded`.

use std::collections::HashMap;

use super::names::{self, Visibility};
use super::virtual_service::Virtual;
use crate::config::Severity;
use crate::config::istio::virtual_service::{Delegate, HttpMatch, HttpRoute, StringMatch};

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
pub fn resolve<'a>(virtuals: Vec<Virtual<'a>>) -> (Vec<Virtual<'a>>, Vec<Virtual<'a>>) {
    let (mut delegates, virtuals): (Vec<_>, Vec<_>) =
        virtuals.into_iter().partition(Virtual::is_delegate);
    let name = |one: &Virtual<'a>| format!("{}/{}", one.namespace(), one.name());
    let known: HashMap<String, usize> =
        delegates.iter().enumerate().map(|(index, one)| (name(one), index)).collect();
    let delegating = |one: &Virtual<'a>| one.entries.iter().any(|e| e.route.delegate.is_some());
    let (mut roots, mut resolved): (Vec<_>, Vec<_>) = virtuals.into_iter().partition(delegating);
    for root in &mut roots {
        for entry in std::mem::take(&mut root.entries) {
            expand(root, entry, &mut delegates, &known);
        }
    }
    resolved.append(&mut roots);
    (resolved, delegates)
}

/// Says which delegates nobody asked, or in vain.
pub fn report_unused(delegates: &mut [Virtual<'_>]) {
    for one in delegates.iter_mut().filter(|one| !one.made_rules) {
        let asked = one.is_asked;
        let report = &mut one.object.report;
        if asked {
            report.ignore("none of its rules applies on this gateway");
            continue;
        }
        let message = "it has no hosts, so it is a delegate, and no route delegates to it";
        let fix = "name hosts, or name it in a route's delegate";
        report.fault("EG082", Severity::Warning, "spec.hosts", message, fix);
        report.ignore(message);
    }
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
    for to in destinations.chain(mirrors).chain(&mut route.mirror) {
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
    match conditions(&outer.matches, &entry.route.matches, field) {
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

/// The conditions of an entry within those that are delegated, and where each stands.
fn conditions(
    outer: &[HttpMatch],
    inner: &[HttpMatch],
    field: &str,
) -> Result<(Vec<HttpMatch>, Vec<String>), String> {
    if inner.is_empty() {
        return Ok((outer.to_vec(), vec![field.to_owned(); outer.len()]));
    }
    let (mut merged, mut places) = (Vec::new(), Vec::new());
    for (index, leaf) in inner.iter().enumerate() {
        let place = format!("{field}.match[{index}]");
        if outer.is_empty() {
            merged.push(leaf.clone());
            places.push(place);
            continue;
        }
        let before = merged.len();
        let mut why = "";
        for root in outer {
            match conflict(root, leaf) {
                None => {
                    merged.push(both(root, leaf));
                    places.push(place.clone());
                }
                Some(field) => why = field,
            }
        }
        if merged.len() == before {
            return Err(format!(
                "match[{index}] is no part of what is delegated: {why} conflicts; the route is left out"
            ));
        }
    }
    Ok((merged, places))
}

fn joined(outer: &str, inner: &str) -> String {
    match (outer, inner) {
        (outer, "") => outer.to_owned(),
        ("", inner) => inner.to_owned(),
        (outer, inner) => format!("{outer}-{inner}"),
    }
}

/// A condition of a delegate and one that delegates, at once: what the delegate says counts for more.
fn both(outer: &HttpMatch, inner: &HttpMatch) -> HttpMatch {
    let mut both = inner.clone();
    both.name = joined(&outer.name, &inner.name);
    for (own, other) in [
        (&mut both.uri, &outer.uri),
        (&mut both.scheme, &outer.scheme),
        (&mut both.method, &outer.method),
        (&mut both.authority, &outer.authority),
    ] {
        if own.is_none() {
            own.clone_from(other);
        }
    }
    for (own, other) in [
        (&mut both.headers, &outer.headers),
        (&mut both.without_headers, &outer.without_headers),
        (&mut both.query_params, &outer.query_params),
    ] {
        for (name, text) in other {
            own.entry(name.clone()).or_insert_with(|| text.clone());
        }
    }
    both.port = inner.port.or(outer.port);
    for (name, value) in &outer.source_labels {
        both.source_labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    if both.source_namespace.is_empty() {
        both.source_namespace.clone_from(&outer.source_namespace);
    }
    if both.gateways.is_empty() {
        both.gateways.clone_from(&outer.gateways);
    }
    if both.stat_prefix.is_empty() {
        both.stat_prefix.clone_from(&outer.stat_prefix);
    }
    both
}

/// The field in which a delegate's condition takes more than is delegated to it.
fn conflict(outer: &HttpMatch, inner: &HttpMatch) -> Option<&'static str> {
    let texts = [
        ("uri", outer.uri.as_ref(), inner.uri.as_ref()),
        ("scheme", outer.scheme.as_ref(), inner.scheme.as_ref()),
        ("method", outer.method.as_ref(), inner.method.as_ref()),
        ("authority", outer.authority.as_ref(), inner.authority.as_ref()),
    ];
    let lists = [
        ("headers", &outer.headers, &inner.headers),
        ("withoutHeaders", &outer.without_headers, &inner.without_headers),
        ("queryParams", &outer.query_params, &inner.query_params),
    ];
    let lists = lists.into_iter().flat_map(|(field, outer, inner)| {
        inner.iter().map(move |(name, text)| (field, outer.get(name), Some(text)))
    });
    let mut pairs = texts.into_iter().chain(lists);
    if let Some((field, ..)) = pairs.find(|(_, outer, inner)| texts_conflict(*outer, *inner)) {
        return Some(field);
    }
    let label_differs = |(name, value): (&String, &String)| {
        outer.source_labels.get(name).is_some_and(|other| other != value)
    };
    let gateway_is_new = |name: &String| !outer.gateways.contains(name);
    if outer.ignore_uri_case != inner.ignore_uri_case {
        Some("ignoreUriCase")
    } else if outer.port.zip(inner.port).is_some_and(|(outer, inner)| outer != inner) {
        Some("port")
    } else if !outer.source_namespace.is_empty() && outer.source_namespace != inner.source_namespace
    {
        Some("sourceNamespace")
    } else if inner.source_labels.iter().any(label_differs) {
        Some("sourceLabels")
    } else if !outer.gateways.is_empty() && inner.gateways.iter().any(gateway_is_new) {
        Some("gateways")
    } else {
        None
    }
}

/// Whether a text may be taken by the inner condition and not by the outer one. Of expressions nothing is
/// known, so they conflict with whatever stands on the other side.
fn texts_conflict(outer: Option<&StringMatch>, inner: Option<&StringMatch>) -> bool {
    let (Some(outer), Some(inner)) = (outer, inner) else { return false };
    match (way(outer), way(inner)) {
        (Way::Exact(outer), Way::Exact(inner)) => outer != inner,
        (Way::Prefix(outer), Way::Prefix(inner) | Way::Exact(inner)) => !inner.starts_with(outer),
        _ => true,
    }
}

enum Way<'m> {
    Exact(&'m str),
    Prefix(&'m str),
    Other,
}

fn way(text: &StringMatch) -> Way<'_> {
    let given = |text: &'_ Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    match text {
        _ if given(&text.regex) => Way::Other,
        StringMatch { exact: Some(exact), .. } if !exact.is_empty() => Way::Exact(exact),
        StringMatch { prefix: Some(prefix), .. } if !prefix.is_empty() => Way::Prefix(prefix),
        _ => Way::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(written: &str) -> Option<StringMatch> {
        let (way, text) = written.split_once(' ')?;
        let text = Some(text.to_owned());
        Some(match way {
            "exact" => StringMatch { exact: text, ..StringMatch::default() },
            "prefix" => StringMatch { prefix: text, ..StringMatch::default() },
            "regex" => StringMatch { regex: text, ..StringMatch::default() },
            _ => StringMatch::default(),
        })
    }

    #[test]
    fn a_delegate_may_take_a_part_of_what_is_delegated_and_no_more() {
        for (outer, inner, conflicts) in [
            ("", "prefix /a", false),
            ("prefix /a", "", false),
            ("prefix /a", "prefix /a/b", false),
            ("prefix /a", "exact /a/b", false),
            ("prefix /a", "prefix /b", true),
            ("prefix /a/b", "prefix /a", true),
            ("exact /a", "exact /a", false),
            ("exact /a", "exact /b", true),
            ("exact /a", "prefix /a", true),
            ("regex /a.*", "exact /ab", true),
            ("prefix /a", "regex /ab", true),
            ("regex /a", "regex /a", true),
            ("regex /a", "", false),
            ("present -", "exact x", true),
        ] {
            let (outer, inner) = (text(outer), text(inner));
            assert_eq!(
                texts_conflict(outer.as_ref(), inner.as_ref()),
                conflicts,
                "{outer:?} {inner:?}"
            );
        }
    }

    #[test]
    fn the_field_that_conflicts_is_named() {
        let with = |change: fn(&mut HttpMatch)| {
            let mut one = HttpMatch::default();
            change(&mut one);
            one
        };
        let nothing = HttpMatch::default;
        for (outer, inner, field) in [
            (nothing(), nothing(), None),
            (with(|one| one.port = Some(80)), nothing(), None),
            (with(|one| one.port = Some(80)), with(|one| one.port = Some(81)), Some("port")),
            (with(|one| one.ignore_uri_case = true), nothing(), Some("ignoreUriCase")),
            (with(|one| one.source_namespace = "a".into()), nothing(), Some("sourceNamespace")),
            (nothing(), with(|one| one.source_namespace = "a".into()), None),
            (
                with(|one| one.gateways = vec!["a/b".into()]),
                with(|one| one.gateways = vec!["a/c".into()]),
                Some("gateways"),
            ),
            (
                with(|one| drop(one.headers.insert("x".into(), text("exact 1").expect("one")))),
                with(|one| drop(one.headers.insert("x".into(), text("exact 2").expect("one")))),
                Some("headers"),
            ),
        ] {
            assert_eq!(conflict(&outer, &inner), field, "{outer:?} {inner:?}");
        }
    }
}
