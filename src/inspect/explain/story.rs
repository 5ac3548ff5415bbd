//! The answer as it grows: steps, each with a title and lines, and the objects that were spoken of.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::config::provenance::{Object, Origin, UpstreamOrigin};
use crate::config::{Compiled, Place, Problem, Severity};
use crate::inspect::{View, problems, show};
use crate::model::Failure;

/// Problems that are told; the others are counted.
const PROBLEMS_SHOWN_MAX: usize = 10;

/// What problems and origins call the object of a file in Egret's own form.
const WHOLE_FILE: &str = "file";

/// Width of the column of titles.
const TITLE_WIDTH: usize = 14;

/// What has been told so far.
#[derive(Debug, Default)]
pub struct Story {
    steps: Vec<Step>,
    /// What was spoken of: an object, its file, and the field or nothing.
    spoken_of: HashSet<(Arc<Object>, Box<str>)>,
    /// Whether the request meets no rule at all.
    unrouted: bool,
}

/// One step of the way.
#[derive(Debug)]
pub struct Step {
    title: &'static str,
    lines: Vec<String>,
    /// What the lines say, for programs.
    fields: Map<String, Value>,
}

impl Step {
    pub(super) fn line(&mut self, text: impl Into<String>) -> &mut Self {
        self.lines.push(text.into());
        self
    }

    pub(super) fn lines(&mut self, texts: impl IntoIterator<Item = String>) -> &mut Self {
        self.lines.extend(texts);
        self
    }

    /// Says something for programs; the names are documented in `explain.rs`.
    pub(super) fn field(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }
}

impl Story {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &'static str) -> &mut Step {
        self.steps.push(Step { title, lines: Vec::new(), fields: Map::new() });
        self.steps.last_mut().expect("one was pushed")
    }

    /// The step that was begun last.
    pub(super) fn last(&mut self) -> &mut Step {
        self.steps.last_mut().expect("the request is the first step of every story")
    }

    /// `Kind/name spec.field (file:line:column)`, and remembers that the object was spoken of.
    pub(super) fn origin(&mut self, origin: &Origin) -> String {
        self.spoken_of.insert((Arc::clone(&origin.object), origin.field.clone()));
        match origin.field.is_empty() {
            true => show::from(origin),
            false => {
                let object = problems::named(&origin.object);
                format!("{object} {} ({})", origin.field, origin.place())
            }
        }
    }

    /// Every step that says something, for programs.
    pub(super) fn value(&self) -> Value {
        let step = |Step { title, lines, fields }: &Step| {
            let mut value = Map::from_iter([
                ("title".to_owned(), json!(title)),
                ("lines".to_owned(), json!(lines)),
            ]);
            value.extend(fields.clone());
            Value::Object(value)
        };
        self.steps.iter().filter(|step| !step.lines.is_empty()).map(step).collect()
    }

    /// Remembers that an object was spoken of.
    pub(super) fn object(&mut self, object: &Arc<Object>) {
        self.spoken_of.insert((Arc::clone(object), "".into()));
    }

    pub(super) fn has_spoken_of(&self, object: &Object) -> bool {
        self.fields(&object.name, &object.file).next().is_some()
    }

    fn fields(&self, name: &str, file: &str) -> impl Iterator<Item = &str> {
        let same = move |object: &Object| *object.name == *name && *object.file == *file;
        self.spoken_of.iter().filter(move |(object, _)| same(object)).map(|(_, field)| &**field)
    }

    /// Whether a problem is with something that was spoken of. A file without objects holds many
    /// things: there only the field tells.
    fn concerns(&self, problem: &Problem) -> bool {
        let whole = *problem.object.name != *WHOLE_FILE;
        let related = |field: &str| {
            !field.is_empty()
                && (problem.field.starts_with(field) || field.starts_with(&problem.field))
        };
        self.fields(&problem.object.name, &problem.place.file).any(|field| whole || related(field))
    }

    /// The end of a request that has no destination.
    pub(super) fn outcome(&mut self, failure: &Failure) {
        fail(self.step("outcome"), "", failure);
        self.unrouted = *failure == Failure::NoRoute;
    }

    /// The end of a request that nobody takes.
    pub(super) fn nobody_there(&mut self) {
        self.step("outcome").line("not forwarded: the connection is refused");
        self.unrouted = true;
    }

    /// What the compiler found wrong with the objects that were spoken of; when no rule was found,
    /// with all that are not about upstreams alone.
    pub(super) fn problems(&mut self, view: &View<'_>) {
        let Compiled { problems: found, provenance, .. } = view.compiled;
        let upstreams: HashSet<(&str, &str)> =
            provenance.upstreams.iter().flat_map(|made| objects_behind(made)).collect();
        let concerns = |problem: &&Problem| {
            let object = &*problem.object.name;
            let elsewhere =
                object == WHOLE_FILE || !upstreams.contains(&(object, &*problem.place.file));
            self.concerns(problem) || self.unrouted && elsewhere
        };
        let told: Vec<&Problem> = found
            .iter()
            .filter(|problem| problem.severity > Severity::Info)
            .filter(concerns)
            .collect();
        if told.is_empty() {
            return;
        }
        let more = told.len().saturating_sub(PROBLEMS_SHOWN_MAX);
        let step = self.step("problems");
        step.lines(told.iter().take(PROBLEMS_SHOWN_MAX).map(|problem| problems::line(problem)));
        let values = told.iter().map(|problem| problems::problem_value(problem));
        step.field("problems", values.collect::<Value>());
        if more > 0 {
            step.line(format!("and {more} more; `egret check` tells all"));
        }
    }
}

/// The objects that made an upstream, by name and file.
fn objects_behind(made: &UpstreamOrigin) -> impl Iterator<Item = (&str, &str)> {
    let origins = [Some(&made.service), made.policy.as_ref()].into_iter().flatten();
    let candidates = made.candidates.iter().map(|candidate| &candidate.origin);
    origins.chain(candidates).map(|origin| (&*origin.object.name, &*origin.object.file))
}

/// What a client gets, and what the log says of it.
pub(super) fn fail(step: &mut Step, prefix: &str, failure: &Failure) {
    let row = failure.row();
    let mut text = format!(
        "{prefix}not forwarded: {} {} {} ({})",
        row.status,
        row.flag.as_str(),
        row.details,
        row.token
    );
    step.field("status", row.status)
        .field("flag", row.flag.as_str())
        .field("details", row.details)
        .field("token", row.token);
    if !failure.reason().is_empty() {
        text.push_str(": ");
        text.push_str(failure.reason());
        step.field("reason", failure.reason());
    }
    step.line(text);
}

/// An object and the field of it that decided, for programs.
pub(super) fn origin_value(origin: &Origin) -> Value {
    place_value(&origin.object, &origin.place(), &origin.field)
}

/// An object and where it stands, for programs.
pub(super) fn place_value(object: &Object, place: &Place, field: &str) -> Value {
    json!({
        "object": object.name,
        "namespace": *object.namespace,
        "field": field,
        "file": &*place.file,
        "line": place.line,
        "column": place.column,
    })
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { title, lines, .. } in &self.steps {
            let mut title = *title;
            for line in lines {
                writeln!(f, "{title:TITLE_WIDTH$}{line}")?;
                title = "";
            }
        }
        Ok(())
    }
}
