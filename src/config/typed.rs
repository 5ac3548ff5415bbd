//! A part of a document as a type: every unknown or wrong field is a problem, the rest applies.
//!
//! It does not judge values beyond their type; that is for the compilers.

use serde::de::DeserializeOwned;

use super::document::{Document, Part, Step};
use super::problem::{Problem, Severity};
use super::reading::{Habits, Reading};

use crate::model::spelling::nearest;

/// Faults reported for one object; the rest of it is given up.
const FAULTS_MAX: usize = 100;

/// A part of a document, understood as far as possible.
#[derive(Debug)]
pub struct Typed<T> {
    /// The value with every faulty field left out; `None` when nothing could be made of it.
    pub value: Option<T>,
    /// A problem for each unknown field (`EG075`) and each value of the wrong type (`EG081`, `EG082`).
    pub problems: Vec<Problem>,
}

impl<T> Typed<T> {
    /// Whether something at the path, below it or around it was left out: then what the value says
    /// there is not all that was written.
    pub fn faulty_at(&self, path: &str) -> bool {
        self.problems
            .iter()
            .any(|problem| is_within(&problem.field, path) || is_within(path, &problem.field))
    }
}

/// Whether a path is another or lies below it.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl Document {
    /// Understands a field of the document (`spec`), or with `""` the whole, as a type whose structs
    /// have `deny_unknown_fields`.
    pub fn typed<T: DeserializeOwned>(&self, field: &str) -> Typed<T> {
        let body = self.body();
        let empty = Part::empty();
        let value = match field {
            "" => body,
            field => body.get(field).unwrap_or(empty.root()),
        };
        let habits = if self.is_native() { Habits::Plain } else { Habits::ProtoJson };
        let (mut rest, mut problems) = (None, Vec::new());
        while problems.len() < FAULTS_MAX {
            let left = rest.as_ref().map_or(value, Part::root);
            let fault = match T::deserialize(Reading::of(left, habits)) {
                Ok(value) => return Typed { value: Some(value), problems },
                Err(fault) => fault,
            };
            problems.push(self.fault(&display(field, &fault.path), &fault.message));
            if !prune(rest.get_or_insert_with(|| Part::copy(value)), &fault.path) {
                break;
            }
        }
        Typed { value: None, problems }
    }

    fn fault(&self, path: &str, message: &str) -> Problem {
        if message.starts_with("unknown field") {
            let mut names = message.split('`').skip(1).step_by(2);
            let unknown = names.next().unwrap_or_default();
            let known: Vec<&str> = names.collect();
            let path = if path.rsplit(['.', ']']).next() == Some(unknown) {
                path.to_owned()
            } else {
                format!("{path}.{unknown}").trim_start_matches('.').to_owned()
            };
            let mut problem = self.problem(
                "EG075",
                Severity::Error,
                &path,
                "unknown field, ignored",
                nearest(unknown, &known),
            );
            problem.place = self.locate_key(&path);
            return problem;
        }
        if message.starts_with("missing field") {
            let fix = "add it".to_owned();
            return self.problem("EG082", Severity::Error, path, message.replace('`', "\""), fix);
        }
        if message.starts_with("unknown variant") {
            let mut names = message.split('`').skip(1).step_by(2);
            let unknown = names.next().unwrap_or_default();
            let known: Vec<&str> = names.collect();
            let message = format!("\"{unknown}\" is not one of its values; it is left out");
            return self.problem("EG081", Severity::Error, path, message, nearest(unknown, &known));
        }
        let (message, fix) = mismatch(path, message);
        self.problem("EG081", Severity::Error, path, message, fix)
    }
}

/// What is wrong with a value, in the words of people who write YAML, and what to write instead.
///
/// `told` is serde's message: `invalid type: string "443", expected u16`.
fn mismatch(path: &str, told: &str) -> (String, String) {
    let told = told.replace('`', "\"");
    let parts = told
        .strip_prefix("invalid type: ")
        .or_else(|| told.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "));
    let Some((found, wanted)) = parts else {
        return (told, String::new());
    };
    let (kind, value) = found.split_once(" \"").unwrap_or((found, ""));
    let value = value.strip_suffix('"').unwrap_or(value);
    let found = match kind {
        "sequence" => "a list".to_owned(),
        "map" => "a mapping of fields".to_owned(),
        "string" => format!("the text \"{value}\""),
        "integer" | "floating point" => format!("the number {value}"),
        "boolean" => value.to_owned(),
        other => other.to_owned(),
    };
    let is_number = value.parse::<f64>().is_ok();
    let (wanted, fix) = match (wanted, kind) {
        ("u16", "string") if is_number => (WHOLE_U16, format!("write {value} without quotes")),
        ("u16", _) => (WHOLE_U16, String::new()),
        ("u32" | "u64" | "i64", "string") if is_number => {
            ("a whole number", format!("write {value} without quotes"))
        }
        ("u32" | "u64" | "i64", _) => ("a whole number", String::new()),
        ("a sequence", "string" | "integer") => ("a list", format!("write [{value}]")),
        ("a sequence", _) => ("a list", String::new()),
        ("a boolean", _) => ("true or false", String::new()),
        ("a string", "integer") if path.ends_with("imeout") => {
            ("a duration", format!("write {value}s"))
        }
        ("a string", "integer" | "boolean") => ("a text", format!("write \"{value}\" in quotes")),
        ("a string", _) => ("a text", String::new()),
        ("struct PortSelector", "integer") => {
            ("a mapping of fields", format!("write {{number: {value}}}"))
        }
        ("struct Path", "string") => {
            ("a mapping of fields", format!("write {{prefix: {value}}} or {{exact: {value}}}"))
        }
        (other, _) if other == "a map" || other.starts_with("struct ") => {
            ("a mapping of fields", String::new())
        }
        (other, _) => (other, String::new()),
    };
    (format!("{found} where {wanted} belongs; it is left out"), fix)
}

const WHOLE_U16: &str = "a whole number from 0 to 65535";

fn display(field: &str, path: &[Step]) -> String {
    let mut text = field.to_owned();
    for step in path {
        match step {
            Step::Entry(index) => text.push_str(&format!("[{index}]")),
            Step::Field(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
        }
    }
    text
}

/// Removes the innermost field on the path, so that the rest can be understood. Entries of lists are
/// not removed on their own: the places of those after them would shift.
fn prune(value: &mut Part, path: &[Step]) -> bool {
    let mut outer = path;
    while let Some((last, before)) = outer.split_last() {
        match last {
            Step::Field(name) => return value.leave_out(before, name),
            Step::Entry(_) => outer = before,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        name: String,
        port: u16,
        inner: Vec<Inner>,
    }

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        mode: String,
        hosts: Vec<String>,
    }

    fn typed(text: &str) -> Typed<Outer> {
        let (documents, problems) = super::super::document::parse("t.yaml", text);
        assert_eq!(problems, []);
        documents[0].typed("spec")
    }

    #[test]
    fn every_fault_is_named_at_its_place_and_the_rest_applies() {
        let typed = typed(
            "spec:\n  name: a\n  port: 70000\n  prot: 1\n  inner:\n  - mode: [1]\n    hosts: [x]\n  - hots: [y]\n    mode: m\n",
        );
        let mut told: Vec<String> = typed.problems.iter().map(ToString::to_string).collect();
        told.sort();
        assert_eq!(
            told,
            [
                "t.yaml:3:9: file: spec.port: the number 70000 where a whole number from 0 to 65535 belongs; it is left out",
                "t.yaml:4:3: file: spec.prot: unknown field, ignored: did you mean \"port\"?",
                "t.yaml:6:11: file: spec.inner[0].mode: a list where a text belongs; it is left out",
                "t.yaml:8:5: file: spec.inner[1].hots: unknown field, ignored: did you mean \"hosts\"?",
            ]
        );
        let value = typed.value.as_ref().expect("the rest applies");
        assert_eq!((value.name.as_str(), value.port), ("a", 0));
        assert_eq!(
            (value.inner[0].hosts.as_slice(), value.inner[1].mode.as_str()),
            (&["x".to_owned()][..], "m")
        );
        assert!(typed.faulty_at("spec.inner[0]") && typed.faulty_at("spec.inner[0].mode.x"));
        assert!(!typed.faulty_at("spec.name") && !typed.faulty_at("spec.inner[10]"));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_told_in_the_words_of_yaml() {
        for (path, told, message, fix) in [
            (
                "port.number",
                "invalid type: string \"443\", expected u32",
                "the text \"443\" where a whole number belongs; it is left out",
                "write 443 without quotes",
            ),
            (
                "port",
                "invalid type: integer `443`, expected struct PortSelector",
                "the number 443 where a mapping of fields belongs; it is left out",
                "write {number: 443}",
            ),
            (
                "hosts",
                "invalid type: string \"a.com\", expected a sequence",
                "the text \"a.com\" where a list belongs; it is left out",
                "write [a.com]",
            ),
            (
                "timeout",
                "invalid type: integer `5`, expected a string",
                "the number 5 where a duration belongs; it is left out",
                "write 5s",
            ),
            (
                "labels.version",
                "invalid type: integer `5`, expected a string",
                "the number 5 where a text belongs; it is left out",
                "write \"5\" in quotes",
            ),
            (
                "insecureSkipVerify",
                "invalid type: string \"yes\", expected a boolean",
                "the text \"yes\" where true or false belongs; it is left out",
                "",
            ),
            (
                "spec",
                "invalid type: sequence, expected struct Gateway",
                "a list where a mapping of fields belongs; it is left out",
                "",
            ),
            ("x", "something new", "something new", ""),
        ] {
            assert_eq!(mismatch(path, told), (message.to_owned(), fix.to_owned()), "{told}");
        }
    }

    #[test]
    fn a_wrong_entry_takes_its_list_along_so_that_places_stay_true() {
        let typed = typed("spec:\n  inner:\n  - hosts: [a, [b], c]\n");
        assert_eq!(typed.problems[0].field, "spec.inner[0].hosts[1]");
        assert!(typed.value.expect("applies").inner[0].hosts.is_empty());
        assert!(
            super::super::document::parse("t", "spec: 5").0[0]
                .typed::<Outer>("spec")
                .value
                .is_none()
        );
    }
}
