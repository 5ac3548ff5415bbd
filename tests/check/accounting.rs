//! Every field of Istio's objects that people use has an effect, or is told of by its name and place.
//!
//! `fields.txt` lists them. For each, a small world is compiled with and without it: either the two differ in
//! what they do, or the one with it says at the field what becomes of it.

use std::fmt::Write;

use egret::config::{Compiled, Problem};
use serde_json::{Map, Value, json};

use crate::compile;

/// A field with a value, and what must stand beside it to make sense.
struct Case {
    kind: String,
    /// The field as the list has it.
    field: String,
    set: (String, Value),
    beside: Vec<(String, Value)>,
}

fn cases() -> Vec<Case> {
    let lines = include_str!("fields.txt").lines();
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(case).collect()
}

fn case(line: &str) -> Case {
    let (kind, rest) = line.split_once(' ').expect("a kind");
    let mut parts = rest.split(" ; ").map(|part| {
        let (path, value) = part.split_once(" = ").expect("a value");
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        (path.trim().replace(['{', '}'], ""), value)
    });
    let set = parts.next().expect("a field");
    Case {
        kind: kind.to_owned(),
        field: rest.split(" = ").next().unwrap_or_default().to_owned(),
        set,
        beside: parts.collect(),
    }
}

/// Objects that work together, one of each kind that is read.
fn world() -> Vec<Value> {
    let object = |kind: &str, name: &str, spec: Value| {
        let version = "networking.istio.io/v1";
        json!({ "apiVersion": version, "kind": kind, "metadata": { "name": name }, "spec": spec })
    };
    vec![
        object(
            "Gateway",
            "g",
            json!({
                "selector": { "istio": "egressgateway" },
                "servers": [{ "port": { "number": 80, "name": "web", "protocol": "HTTP" }, "hosts": ["*"] }],
            }),
        ),
        object(
            "ServiceEntry",
            "s",
            json!({
                "hosts": ["origin.example.com"],
                "ports": [
                    { "number": 443, "name": "https", "protocol": "HTTPS" },
                    { "number": 80, "name": "http", "protocol": "HTTP" },
                ],
                "resolution": "DNS_ROUND_ROBIN",
            }),
        ),
        object(
            "DestinationRule",
            "d",
            json!({
                "host": "origin.example.com",
                "trafficPolicy": { "tls": { "mode": "SIMPLE" } },
                "subsets": [{ "name": "v1", "labels": { "version": "v1" } }],
            }),
        ),
        object(
            "VirtualService",
            "v",
            json!({
                "hosts": ["origin.example.com"],
                "gateways": ["g"],
                "http": [{ "route": [{ "destination": { "host": "origin.example.com", "port": { "number": 443 } } }] }],
            }),
        ),
    ]
}

/// Sets the value at a path, making what leads there; null takes it away.
fn set(object: &mut Value, path: &str, value: &Value) {
    let steps: Vec<&str> = path.split('.').collect();
    let (last, way) = steps.split_last().expect("a path is not empty");
    let mut at = object;
    for step in way {
        at = enter(at, step);
    }
    if let (Some(fields), Value::Null) = (at.as_object_mut(), value) {
        fields.remove(*last);
        return;
    }
    *enter(at, last) = value.clone();
}

/// The value of a step, `name`, `name[]` or `name[1]`; made where it is not there.
fn enter<'v>(at: &'v mut Value, step: &str) -> &'v mut Value {
    let (name, index) = match step.split_once('[') {
        None => (step, None),
        Some((name, index)) => (name, Some(index.trim_end_matches(']').parse().unwrap_or(0))),
    };
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    let field = at.as_object_mut().expect("made above").entry(name).or_insert(Value::Null);
    let Some(index) = index else { return field };
    if !field.is_array() {
        *field = json!([]);
    }
    let list = field.as_array_mut().expect("made above");
    while list.len() <= index {
        list.push(json!({}));
    }
    &mut list[index]
}

/// The value at a path, in the first entry of every list.
fn at<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(object, |value, step| match step.split_once('[') {
        None => value.get(step),
        Some((name, _)) => value.get(name)?.get(0),
    })
}

fn compiled(case: &Case, settings: &[&(String, Value)]) -> Compiled {
    let mut objects = world();
    if !objects.iter().any(|object| object["kind"] == *case.kind) {
        objects.push(json!({
            "apiVersion": "networking.istio.io/v1", "kind": case.kind, "metadata": { "name": "x" }, "spec": {},
        }));
    }
    for object in objects.iter_mut().filter(|object| object["kind"] == *case.kind) {
        for (path, value) in settings {
            set(object, path, value);
        }
    }
    let mut text = String::new();
    for object in objects {
        writeln!(text, "---\n{object:#}").expect("a String takes every write");
    }
    compile(&text)
}

/// Whether a problem is about the field, something in it, or something it is in.
fn is_about(problem: &Problem, case: &Case) -> bool {
    let path = case.set.0.replace("[]", "[0]");
    let within = |path: &str, outer: &str| {
        path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let field = problem.field.as_str();
    problem.kind() == case.kind
        && (within(&path, field) || within(field, &path) || field == "kind")
        && problem.place.line > 1
}

/// Fields that some objects bear and no version of Istio knows: these are unknown.
const NOT_ISTIOS: [&str; 1] = ["spec.tcp[].name"];

#[test]
fn every_field_in_use_has_an_effect_or_is_told_of() {
    let mut lost = Vec::new();
    for case in cases() {
        let beside: Vec<&(String, Value)> = case.beside.iter().collect();
        let (mut all, mut others) = (beside.clone(), beside);
        all.push(&case.set);
        let (path, value) = &case.set;
        let taken_away = (path.clone(), Value::Null);
        if world().iter().any(|one| one["kind"] == *case.kind && at(one, path) == Some(value)) {
            others.push(&taken_away);
        }
        let (with, without) = (compiled(&case, &all), compiled(&case, &others));
        let unknown = with.problems.iter().find(|problem| problem.code == "EG075");
        if let Some(problem) = unknown
            && !NOT_ISTIOS.contains(&case.field.as_str())
        {
            lost.push(format!("{} {}: {problem}", case.kind, case.field));
        }
        let told = with.problems.iter().any(|problem| {
            is_about(problem, &case)
                && (problem.message.contains("not implemented")
                    || problem.message.contains("only for sidecars")
                    || matches!(problem.code, "EG073" | "EG074"))
        });
        if with.plan == without.plan && !told && said(&with) == said(&without) {
            lost.push(format!("{} {}: no effect, and not a word", case.kind, case.field));
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

/// Everything that is said of the objects, wherever they stand.
fn said(compiled: &Compiled) -> Vec<(String, String)> {
    let problems = compiled.problems.iter();
    problems.map(|problem| (problem.field.clone(), problem.message.clone())).collect()
}

/// The three versions of the API are the same messages, and snake_case is camelCase.
#[test]
fn versions_and_spellings_make_no_difference() {
    let text: String = world().iter().map(|object| format!("---\n{object:#}\n")).collect();
    let first = compile(&text);
    assert_eq!(first.problems.iter().filter(|problem| problem.code != "EG054").count(), 0);
    for (from, to) in [
        ("networking.istio.io/v1", "networking.istio.io/v1beta1"),
        ("networking.istio.io/v1", "networking.istio.io/v1alpha3"),
        ("trafficPolicy", "traffic_policy"),
        ("\"number\": 443", "\"number\": \"443\""),
        ("\"DNS_ROUND_ROBIN\"", "3"),
        ("\"SIMPLE\"", "1"),
    ] {
        assert!(text.contains(from), "{from}");
        let other = compile(&text.replace(from, to));
        assert_eq!(other.plan, first.plan, "{to}");
        assert_eq!(other.problems.len(), first.problems.len(), "{to}: {:?}", other.problems);
    }
}
