//! A rule's condition held against a request's head.
//!
//! It decides nothing else; which rules are asked, and in what order, is `routes`.

use std::borrow::Cow;

use crate::model::{Condition, Field, FieldMatch, QueryMatch, TextMatch};
use crate::wire::{Head, Name};

/// A request, as conditions see it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// Its head, with the target in origin-form and one Host.
    pub head: &'r Head,
    /// `http`, or `https` where the target said so.
    pub scheme: &'static str,
}

/// A part of a condition that a request does not fulfil.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet<'c> {
    /// The path.
    Path,
    /// The method.
    Method,
    /// A header line, or a part of the request line.
    Field(&'c FieldMatch),
    /// A parameter of the query.
    Query(&'c QueryMatch),
}

/// Holds a condition against a request. Errors: the first part that the request does not fulfil.
pub fn check<'c>(condition: &'c Condition, asked: Asked<'_>) -> Result<(), Unmet<'c>> {
    let head = asked.head;
    if !condition.path.matches(head.path()) {
        return Err(Unmet::Path);
    }
    let taken = |method: &String| method.as_bytes() == head.method();
    if !condition.methods.is_empty() && !condition.methods.iter().any(taken) {
        return Err(Unmet::Method);
    }
    if let Some(unmet) = condition.fields.iter().find(|field| !field_is_met(field, asked)) {
        return Err(Unmet::Field(unmet));
    }
    match condition.query.iter().find(|query| !query_is_met(query, head.target())) {
        Some(unmet) => Err(Unmet::Query(unmet)),
        None => Ok(()),
    }
}

fn field_is_met(wanted: &FieldMatch, asked: Asked<'_>) -> bool {
    let text = match &wanted.field {
        Field::Header(name) => header(asked.head, name),
        Field::Authority => asked.head.find(Name::Host).map(Cow::Borrowed),
        Field::Method => Some(Cow::Borrowed(asked.head.method())),
        Field::Path => Some(Cow::Borrowed(asked.head.target())),
        Field::Scheme => Some(Cow::Borrowed(asked.scheme.as_bytes())),
    };
    match (text, wanted.inverted) {
        (Some(text), inverted) => wanted.text.matches(&text) != inverted,
        (None, false) => false,
        (None, true) => wanted.text == TextMatch::Present || !wanted.text.matches(b""),
    }
}

/// The lines of a name, as one text.
pub(super) fn header<'h>(head: &'h Head, name: &str) -> Option<Cow<'h, [u8]>> {
    let mut lines = head
        .lines()
        .filter(|(written, _)| written.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value);
    let mut text = Cow::Borrowed(lines.next()?);
    for more in lines {
        let joined = text.to_mut();
        joined.push(b',');
        joined.extend_from_slice(more);
    }
    Some(text)
}

fn query_is_met(wanted: &QueryMatch, target: &[u8]) -> bool {
    let Some(mark) = memchr::memchr(b'?', target) else { return false };
    let query = target[mark + 1..].split(|byte| *byte == b'#').next().unwrap_or_default();
    let value = query.split(|byte| *byte == b'&').find_map(|parameter| {
        let equals = memchr::memchr(b'=', parameter);
        let (name, value) = match equals {
            Some(at) => (&parameter[..at], &parameter[at + 1..]),
            None => (parameter, &b""[..]),
        };
        (name == wanted.name.as_bytes()).then_some(value)
    });
    value.is_some_and(|value| wanted.text.matches(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PathMatch, Pattern};
    use crate::wire::Version;

    fn head(target: &str, lines: &[(&str, &str)]) -> Head {
        let mut head =
            Head::request(Default::default(), Version::Http11, b"GET", target.as_bytes());
        for (name, value) in lines {
            head.append(name.as_bytes(), value.as_bytes());
        }
        head
    }

    fn regex(text: &str) -> TextMatch {
        TextMatch::Regex(Pattern::parse(text).expect("valid"))
    }

    fn exact(text: &str) -> TextMatch {
        TextMatch::Exact(text.into())
    }

    fn is_met(condition: &Condition, head: &Head) -> bool {
        check(condition, Asked { head, scheme: "http" }).is_ok()
    }

    #[test]
    fn lines_of_one_name_are_one_text() {
        let head = head("/", &[("X-A", "1"), ("Host", "A.test:443"), ("x-a", "2")]);
        for (name, text, taken) in [
            ("x-a", exact("1,2"), true),
            ("X-A", exact("1"), false),
            ("x-a", TextMatch::Prefix("1".into()), true),
            ("x-a", regex("1.2"), true),
            ("x-a", regex("1"), false),
            ("x-a", TextMatch::Present, true),
            ("x-b", TextMatch::Present, false),
            ("x-b", exact(""), false),
            (":authority", exact("A.test:443"), true),
            ("Host", exact("a.test"), false),
            (":scheme", exact("http"), true),
            (":method", exact("GET"), true),
            (":path", exact("/"), true),
        ] {
            let field = Field::named(name).expect("a name");
            let field = FieldMatch { field, text, inverted: false };
            let condition = Condition { fields: vec![field], ..Condition::default() };
            assert_eq!(is_met(&condition, &head), taken, "{condition:?}");
        }
    }

    #[test]
    fn an_inverted_condition_takes_a_missing_field_for_empty() {
        let with = head("/", &[("x-a", "1")]);
        let without = head("/", &[]);
        for (text, taken_with, taken_without) in [
            (exact("1"), false, true),
            (exact("2"), true, true),
            (exact(""), true, false),
            (regex(".*"), false, false),
            (TextMatch::Present, false, true),
        ] {
            let field = FieldMatch { field: Field::Header("x-a".into()), text, inverted: true };
            let condition = Condition { fields: vec![field], ..Condition::default() };
            assert_eq!(is_met(&condition, &with), taken_with, "{condition:?}");
            assert_eq!(is_met(&condition, &without), taken_without, "{condition:?}");
        }
    }

    #[test]
    fn the_first_parameter_of_a_name_counts() {
        for (target, text, taken) in [
            ("/?a=1&a=2", exact("1"), true),
            ("/?a=1&a=2", exact("2"), false),
            ("/?b&a", exact(""), true),
            ("/?b&a", TextMatch::Present, true),
            ("/?ab=1", TextMatch::Present, false),
            ("/a=1", TextMatch::Present, false),
            ("/?a=%31", exact("1"), false),
            ("/?a=12#x", regex("[0-9]+"), true),
        ] {
            let query = QueryMatch { name: "a".into(), text };
            let condition = Condition { query: vec![query], ..Condition::default() };
            assert_eq!(is_met(&condition, &head(target, &[])), taken, "{target} {condition:?}");
        }
    }

    #[test]
    fn a_path_is_compared_without_its_query() {
        for (path, target, taken) in [
            (PathMatch::Exact("/a".into()), "/a?b", true),
            (PathMatch::Exact("/a".into()), "/A", false),
            (PathMatch::ExactAnyCase("/a".into()), "/A", true),
            (PathMatch::Prefix("/a".into()), "/ab", true),
            (PathMatch::PrefixAnyCase("/aB".into()), "/Abc", true),
            (PathMatch::PrefixAnyCase("/abc".into()), "/ab", false),
            (PathMatch::Regex(Pattern::parse("/a.").expect("valid")), "/ab?c", true),
        ] {
            let condition = Condition { path, ..Condition::default() };
            assert_eq!(is_met(&condition, &head(target, &[])), taken, "{target} {condition:?}");
        }
    }

    #[test]
    fn what_is_not_met_is_named() {
        let condition = Condition { methods: vec!["POST".into()], ..Condition::default() };
        let head = head("/", &[]);
        assert_eq!(check(&condition, Asked { head: &head, scheme: "http" }), Err(Unmet::Method));
    }
}
