//! What is wrong with a configuration, and what became of each of its objects.
//!
//! It finds no problems; it tells those that the compiler found, and what names turned out to be.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use super::View;
use crate::config::provenance::{Object, Origin, Provenance};
use crate::config::{Compiled, Outcome, Place, Problem, Severity, Verdict};

/// Every problem by its place, then the verdict on each object, then the count of both.
pub fn text(compiled: &Compiled) -> String {
    page(&compiled.problems, &compiled.provenance)
}

/// The same of a view, whose gateway may be running.
pub(super) fn text_of(view: &View<'_>) -> String {
    page(&found(view), &view.compiled.provenance)
}

fn page(problems: &[Problem], provenance: &Provenance) -> String {
    let mut text = String::new();
    for problem in by_place(problems) {
        writeln!(text, "{}", line(problem)).expect("a String takes every write");
    }
    if !problems.is_empty() {
        text.push('\n');
    }
    for verdict in &provenance.verdicts {
        writeln!(text, "{}", verdict_line(verdict)).expect("a String takes every write");
    }
    if !provenance.verdicts.is_empty() {
        text.push('\n');
    }
    text.push_str(&count(problems, &provenance.verdicts));
    text.push('\n');
    text
}

/// One problem: `file:line:column: error EG003: object: field: what: fix`.
pub fn line(problem: &Problem) -> String {
    let Problem { code, severity, place, .. } = problem;
    let whole = problem.to_string();
    // Its own form begins with the place; severity and code stand where compilers put theirs.
    let rest = whole.strip_prefix(&format!("{place}: ")).unwrap_or(&whole);
    format!("{place}: {severity} {code}: {rest}")
}

/// `{"problems": [..], "objects": [..]}`, for programs. Fields may be added, but none is taken away or
/// renamed; every field is always there, as an empty text where there is nothing to say.
pub fn value(compiled: &Compiled) -> Value {
    value_of(&View { compiled, snapshot: None })
}

/// The same of a view, whose gateway may be running.
pub(super) fn value_of(view: &View<'_>) -> Value {
    json!({ "problems": problems(view), "objects": objects(view.compiled) })
}

pub(super) fn problems(view: &View<'_>) -> Value {
    by_place(&found(view)).into_iter().map(problem_value).collect()
}

/// What the compiler found, and where names lead that it could not know of (EG053).
fn found(view: &View<'_>) -> Vec<Problem> {
    let Compiled { plan, provenance, problems } = view.compiled;
    let mut found = problems.clone();
    let Some(snapshot) = view.snapshot else { return found };
    for (spec, made) in plan.upstreams.iter().zip(&provenance.upstreams) {
        let Some(upstream) = snapshot.upstreams.get(&spec.key) else { continue };
        let Origin { object, field, .. } = &made.service;
        found.extend(upstream.concerns().into_iter().map(|message| Problem {
            code: "EG053",
            severity: Severity::Warning,
            place: made.service.place(),
            object: Arc::clone(object),
            field: field.to_string(),
            message,
            fix: "settings.guardAllow opens a range, settings.guardDeny closes one".into(),
        }));
    }
    found
}

pub(super) fn objects(compiled: &Compiled) -> Value {
    compiled.provenance.verdicts.iter().map(verdict_value).collect()
}

/// An object with its namespace, where that is not the one everything is in by default.
pub(super) fn named(object: &Object) -> String {
    match &*object.namespace {
        "" | "default" => object.name.to_string(),
        namespace => format!("{} in {namespace}", object.name),
    }
}

pub(super) fn by_place(problems: &[Problem]) -> Vec<&Problem> {
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    sorted.sort_by(|a, b| (&a.place, b.severity, a.code).cmp(&(&b.place, a.severity, b.code)));
    sorted
}

fn verdict_line(verdict: &Verdict) -> String {
    let Verdict { place, reasons, object, .. } = verdict;
    let object = named(object);
    let outcome = verdict.outcome.as_str();
    match reasons.is_empty() {
        true => format!("{place}: {object}: {outcome}"),
        false => format!("{place}: {object}: {outcome}: {}", reasons.join("; ")),
    }
}

/// `2 errors, 1 warning; 5 objects: 3 applied, 1 partly applied, 1 ignored`.
fn count(problems: &[Problem], verdicts: &[Verdict]) -> String {
    let of = |severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings, notes) =
        (of(Severity::Error), of(Severity::Warning), of(Severity::Info));
    let mut text = format!("{}, {}", number(errors, "error"), number(warnings, "warning"));
    if notes > 0 {
        write!(text, ", {}", number(notes, "note")).expect("a String takes every write");
    }
    write!(text, "; {}", number(verdicts.len(), "object")).expect("a String takes every write");
    let mut separator = ": ";
    for kind in [Outcome::Applied, Outcome::PartlyApplied, Outcome::Ignored] {
        let found = verdicts.iter().filter(|verdict| verdict.outcome == kind).count();
        if found > 0 {
            write!(text, "{separator}{found} {}", kind.as_str())
                .expect("a String takes every write");
            separator = ", ";
        }
    }
    text
}

pub(super) fn number(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

pub(super) fn problem_value(problem: &Problem) -> Value {
    let Problem { code, severity, place, object, field, message, fix } = problem;
    let mut value = json!({
        "code": code,
        "severity": severity.to_string(),
        "object": object.name,
        "kind": problem.kind(),
        "namespace": problem.namespace(),
        "field": field,
        "message": message,
        "fix": fix,
    });
    add_place(&mut value, place);
    value
}

fn verdict_value(verdict: &Verdict) -> Value {
    let mut value = json!({
        "object": verdict.object.name,
        "kind": verdict.object.name.split_once('/').map_or("", |(kind, _)| kind),
        "namespace": *verdict.object.namespace,
        "outcome": verdict.outcome.as_str(),
        "reasons": verdict.reasons,
    });
    add_place(&mut value, &verdict.place);
    value
}

fn add_place(value: &mut Value, place: &Place) {
    value["file"] = json!(*place.file);
    value["line"] = json!(place.line);
    value["column"] = json!(place.column);
}
