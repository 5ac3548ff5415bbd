//! Where in a document something was written, and the problems found there.

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::provenance::{Condition, Object, Origin};
use crate::config::{Document, Place, Problem, Severity};

/// Problems listed for one document; after so many, one more says that there are others.
const PROBLEMS_MAX: usize = 200;

/// The problems of one document, each once.
pub(super) struct Report<'a> {
    pub document: &'a Document,
    pub problems: Vec<Problem>,
    pub object: Arc<Object>,
}

/// The parts of a document in which a field may be written, the nearest first: `routes[1].rules[0]`,
/// then `routes[1]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a>(pub &'a [String]);

impl<'a> Report<'a> {
    pub fn new(document: &'a Document) -> Self {
        let object = Arc::clone(&document.object);
        Self { document, problems: Vec::new(), object }
    }

    pub fn error(
        &mut self,
        code: &'static str,
        field: &str,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) {
        self.add(code, Severity::Error, field, message.into(), fix.into());
    }

    pub fn warning(
        &mut self,
        code: &'static str,
        field: &str,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) {
        self.add(code, Severity::Warning, field, message.into(), fix.into());
    }

    fn add(
        &mut self,
        code: &'static str,
        severity: Severity,
        field: &str,
        message: String,
        fix: Cow<'static, str>,
    ) {
        // What several rules inherit from their route is reported once.
        let known = |problem: &Problem| problem.field == field && problem.message == message;
        if self.problems.len() > PROBLEMS_MAX || self.problems.iter().any(known) {
            return;
        }
        if self.problems.len() == PROBLEMS_MAX {
            let message = format!("more than {PROBLEMS_MAX} problems; the others are not listed");
            let fix = "mend these first";
            self.problems.push(self.document.problem("EG085", Severity::Error, "", message, fix));
            return;
        }
        self.problems.push(self.document.problem(code, severity, field, message, fix));
    }

    /// Where the field stands: in the nearest part that has it, else in the nearest part.
    pub fn field(&self, parts: Parts<'_>, field: &str) -> String {
        let first = field.split(['.', '[']).next().unwrap_or(field);
        let has_it = |part: &&String| self.document.value(&format!("{part}.{first}")).is_some();
        let part = parts.0.iter().find(has_it).or(parts.0.first());
        part.map_or_else(|| field.to_owned(), |part| format!("{part}.{field}"))
    }

    /// The origin of what an entry of a list made.
    pub fn origin(&self, path: &str, condition: Condition) -> Origin {
        let Place { line, column, .. } = self.document.locate(path);
        let object = Arc::clone(&self.object);
        Origin { object, position: (line, column), field: path.into(), condition }
    }
}
