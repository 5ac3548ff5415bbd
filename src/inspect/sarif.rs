//! Problems as a SARIF log, the form in which code reviews show findings beside the lines they are about.
//!
//! Every problem is in it, and nothing else is: the verdicts on objects are in the JSON form alone.
//! Source: SARIF 2.1.0 (OASIS), sections 3.13 to 3.30.

use std::fmt::Write;

use serde_json::{Value, json};

use super::problems::by_place;
use crate::config::problem::CODES;
use crate::config::{Compiled, Problem, Severity};

/// A log with one run: a rule for every code there is, and a result for every problem.
pub fn log(compiled: &Compiled) -> Value {
    let rules = CODES
        .iter()
        .map(|(code, subject)| json!({ "id": code, "shortDescription": { "text": subject } }));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "egret",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": by_place(&compiled.problems).into_iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(problem: &Problem) -> Value {
    let Problem { code, severity, place, object, field, message, fix } = problem;
    let (object, namespace) = (&*object.name, problem.namespace());
    let level = match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    };
    let parts = [object, field, message, fix];
    let text: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let rule = CODES.iter().position(|(known, _)| known == code);
    json!({
        "ruleId": code,
        "ruleIndex": rule.map_or(-1, |index| i64::try_from(index).unwrap_or(-1)),
        "level": level,
        "message": { "text": text.join(": ") },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&place.file) },
                "region": { "startLine": place.line, "startColumn": place.column },
            },
            "logicalLocations": [{ "name": object, "kind": "object", "fullyQualifiedName": qualified(namespace, object, field) }],
        }],
    })
}

/// `default/Gateway/istio-egressgateway:spec.servers[0]`.
fn qualified(namespace: &str, object: &str, field: &str) -> String {
    let parts = [(namespace, "/"), (object, ":"), (field, "")];
    let mut name = String::new();
    for (part, separator) in parts.into_iter().filter(|(part, _)| !part.is_empty()) {
        name.push_str(part);
        name.push_str(separator);
    }
    name.trim_end_matches([':', '/']).to_owned()
}

/// A path as a URI reference (RFC 3986): relative as it is, absolute as `file:`.
fn uri(path: &str) -> String {
    let mut uri = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a String takes every write");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri_whatever_it_is_called() {
        for (path, written) in [
            ("config/gateway.yaml", "config/gateway.yaml"),
            ("/etc/egret/a b.yaml", "file:///etc/egret/a%20b.yaml"),
            ("a:b#c.yaml", "a%3Ab%23c.yaml"),
            ("größe.yaml", "gr%C3%B6%C3%9Fe.yaml"),
        ] {
            assert_eq!(uri(path), written);
        }
    }

    #[test]
    fn an_object_is_named_with_its_namespace_and_field() {
        assert_eq!(qualified("default", "Gateway/g", "spec"), "default/Gateway/g:spec");
        assert_eq!(qualified("", "file", "routes[0]"), "file:routes[0]");
        assert_eq!(qualified("", "file", ""), "file");
    }
}
