//! The answer as it grows: steps, each with a title and lines, and the objects that were spoken of.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::config::provenance::Origin;
use crate::config::{Place, Severity};
use crate::inspect::View;
use crate::inspect::problems;
use crate::inspect::show;
use crate::model::Failure;

/// Problems that are told; the others are counted.
const PROBLEMS_SHOWN_MAX: usize = 10;

/// Width of the column of titles.
const TITLE_WIDTH: usize = 14;

/// What has been told so far.
#[derive(Debug, Default)]
pub struct Story {
    steps: Vec<Step>,
    /// The objects that were spoken of, by name and file.
    spoken_of: HashSet<(String, Arc<str>)>,
    failed: Option<Failure>,
}

/// One step of the way.
#[derive(Debug)]
pub struct Step {
    title: &'static str,
    lines: Vec<String>,
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
}

impl Story {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &'static str) -> &mut Step {
        self.steps.push(Step { title, lines: Vec::new() });
        self.steps.last_mut().expect("one was pushed")
    }

    /// `Kind/name spec.field (file:line:column)`, and remembers that the object was spoken of.
    pub(super) fn origin(&mut self, origin: &Origin) -> String {
        self.object(&origin.object, &origin.place);
        match origin.field.is_empty() {
            true => show::from(origin),
            false => {
                let object = problems::object(&origin.object, &origin.namespace);
                format!("{object} {} ({})", origin.field, origin.place)
            }
        }
    }

    pub(super) fn object(&mut self, name: &str, place: &Place) {
        self.spoken_of.insert((name.to_owned(), Arc::clone(&place.file)));
    }

    /// The end of a request that has no destination.
    pub(super) fn outcome(&mut self, failure: &Failure) {
        self.step("outcome").line(failure_text(failure));
        self.failed = Some(failure.clone());
    }

    /// What the compiler found wrong with the objects that were spoken of; with all, when no route was found.
    pub(super) fn problems(&mut self, view: &View<'_>) {
        let everything = self.failed == Some(Failure::NoRoute);
        let told: Vec<String> = view
            .compiled
            .problems
            .iter()
            .filter(|problem| problem.severity > Severity::Info)
            .filter(|problem| {
                let object = (problem.object.clone(), Arc::clone(&problem.place.file));
                everything || self.spoken_of.contains(&object)
            })
            .map(problems::line)
            .collect();
        if told.is_empty() {
            return;
        }
        let more = told.len().saturating_sub(PROBLEMS_SHOWN_MAX);
        let step = self.step("problems");
        step.lines(told.into_iter().take(PROBLEMS_SHOWN_MAX));
        if more > 0 {
            step.line(format!("and {more} more; `egret check` tells all"));
        }
    }
}

/// What a client gets, and what the log says of it.
pub(super) fn failure_text(failure: &Failure) -> String {
    let row = failure.row();
    let mut text = format!(
        "not forwarded: {} {} {} ({})",
        row.status,
        row.flag.as_str(),
        row.details,
        row.token
    );
    if !failure.reason().is_empty() {
        text.push_str(": ");
        text.push_str(failure.reason());
    }
    text
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { title, lines } in &self.steps {
            let mut title = *title;
            for line in lines {
                writeln!(f, "{title:TITLE_WIDTH$}{line}")?;
                title = "";
            }
        }
        Ok(())
    }
}
