//! What a delegate asks of a request, within what is delegated to it.
//!
//! Only conditions; what follows from them is the delegate's own.

use super::joined;
use crate::config::istio::virtual_service::{HttpMatch, StringMatch};

/// The conditions of an entry within those that are delegated, and where each stands.
pub fn conditions(
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
