//! One object under compilation: its spec, its faults, and the report that ends in one verdict.
//!
//! It knows nothing of what any object means.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::config::provenance::{self, Condition, Origin};
use crate::config::{
    Document, Identity, Outcome, Place, Problem, Severity, Typed, Verdict, misspelt,
};

/// Problems of one object; the rest is counted.
const PROBLEMS_MAX: usize = 100;

/// An object with its spec understood as far as possible.
pub struct Object<'a, S> {
    pub spec: S,
    pub report: Report<'a>,
    /// Paths of what was left out of `spec` because it was unknown or wrong.
    faults: Vec<String>,
}

impl<'a, S: DeserializeOwned> Object<'a, S> {
    /// Reads the spec; `Err`: nothing could be made of it, and the report says so.
    pub fn read(document: &'a Document) -> Result<Self, Report<'a>> {
        let Typed { value, mut problems } = document.typed::<S>("spec");
        problems.extend(beside_spec(document));
        let mut report = Report::new(document);
        let faults = problems.iter().map(|problem| problem.field.clone()).collect();
        for problem in problems {
            report.reasons.push(format!("{}: {}", problem.field, problem.message));
            report.partly = true;
            report.push(problem);
        }
        if document.name.is_empty() {
            report.fault(
                "EG082",
                Severity::Error,
                "metadata.name",
                "the object has no name",
                "give it one",
            );
        }
        match value {
            Some(spec) => Ok(Self { spec, report, faults }),
            None => {
                report.ignore("its spec cannot be understood");
                Err(report)
            }
        }
    }
}

/// What stands beside `spec` though no object has it: most often a field of the spec, indented too little.
fn beside_spec(document: &Document) -> impl Iterator<Item = Problem> {
    const KNOWN: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    let fields = document.body().fields().into_iter().map(|(name, _)| name);
    fields.filter(|name| !KNOWN.contains(name)).map(move |name| {
        let fix = match misspelt(name, &KNOWN, 2) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => "indent it under spec, or remove it".to_owned(),
        };
        let what = "unknown field, ignored";
        let place = document.locate_key(name);
        Problem { place, ..document.problem("EG075", Severity::Error, name, what, fix) }
    })
}

impl<S> Object<'_, S> {
    /// Whether something at the path, below or around it was left out of the spec.
    pub fn faulty_at(&self, path: &str) -> bool {
        self.faults.iter().any(|fault| is_within(fault, path) || is_within(path, fault))
    }

    /// The paths of what was left out.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    pub fn namespace(&self) -> &str {
        &self.report.document.namespace
    }

    /// Says that the object is not exported to this gateway's namespace, and ignores it for that.
    pub fn ignore_as_hidden(&mut self, identity: &Identity) {
        let message = format!(
            "exportTo hides it from namespace {}, where this gateway is",
            identity.namespace
        );
        self.report.tell(
            "EG079",
            Severity::Warning,
            "spec.exportTo",
            message.clone(),
            "add that namespace or \"*\"",
        );
        self.report.ignore(message);
    }
}

fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What is to be said about an object.
pub struct Report<'a> {
    pub document: &'a Document,
    pub problems: Vec<Problem>,
    reasons: Vec<String>,
    object: Arc<provenance::Object>,
    ignored: bool,
    partly: bool,
}

impl<'a> Report<'a> {
    pub fn new(document: &'a Document) -> Self {
        Self {
            document,
            problems: Vec::new(),
            reasons: Vec::new(),
            object: Arc::clone(&document.object),
            ignored: false,
            partly: false,
        }
    }

    /// Something that does not do what was asked: the object is applied partly at best.
    pub fn fault(
        &mut self,
        code: &'static str,
        severity: Severity,
        field: &str,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) {
        let message = message.into();
        self.partly = true;
        let reason = format!("{field}: {message}");
        if !self.reasons.contains(&reason) && self.reasons.len() < PROBLEMS_MAX {
            self.reasons.push(reason);
        }
        self.tell(code, severity, field, message, fix);
    }

    /// Something to be told that takes nothing away from what is applied.
    pub fn tell(
        &mut self,
        code: &'static str,
        severity: Severity,
        field: &str,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) {
        let (message, fix) = (message.into(), fix.into());
        // An object on two servers is compiled twice, but has its problems once.
        let told = |other: &Problem| {
            other.code == code && other.field == field && other.message == message
        };
        if self.problems.iter().any(told) {
            return;
        }
        if self.problems.len() < PROBLEMS_MAX {
            let problem = self.document.problem(code, severity, field, message, fix);
            self.push(problem);
        } else if self.problems.len() == PROBLEMS_MAX {
            let message = format!("more than {PROBLEMS_MAX} problems; the rest is not shown");
            self.problems.push(self.document.problem(
                "EG085",
                Severity::Error,
                "",
                message,
                "mend these first",
            ));
        }
    }

    /// A field that is understood and not acted on.
    pub fn unsupported(&mut self, severity: Severity, field: &str, effect: &str) {
        self.fault("EG083", severity, field, format!("not implemented; {effect}"), "");
    }

    /// A field that only sidecars go by.
    pub fn for_sidecars(&mut self, field: &str, what: &str) {
        let message = format!("only for sidecars; {what}");
        self.tell("EG013", Severity::Info, field, message, "");
    }

    /// Something that Istio refuses an object for, though its meaning is clear and it is applied here.
    pub fn refused_by_istio(
        &mut self,
        field: &str,
        what: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) {
        let message = format!("{}; Istio refuses the object for it, here it applies", what.into());
        self.tell("EG089", Severity::Warning, field, message, fix);
    }

    /// A reason to be shown with the verdict, whatever it is.
    pub fn reason(&mut self, reason: impl Into<String>) {
        self.reasons.push(reason.into());
    }

    /// Takes back what was said of values, but not of unknown fields and wrong types: the object is
    /// meant for others, who may well do what this gateway cannot.
    pub fn forgive(&mut self) {
        self.problems.retain(|problem| matches!(problem.code, "EG075" | "EG081" | "EG082"));
        self.reasons.clear();
    }

    /// The object is not in force, and why.
    pub fn ignore(&mut self, reason: impl Into<String>) {
        self.ignored = true;
        self.reasons.insert(0, reason.into());
    }

    pub fn is_ignored(&self) -> bool {
        self.ignored
    }

    /// The object, as what comes of it knows it.
    pub fn object(&self) -> &Arc<provenance::Object> {
        &self.object
    }

    /// How messages name the object when they speak of another.
    pub fn title(&self) -> String {
        format!("{} {}/{}", self.document.kind, self.document.namespace, self.document.name)
    }

    /// Where a part of the plan comes from.
    pub fn origin(&self, field: &str) -> Origin {
        let Place { line, column, .. } = self.document.locate(field);
        Origin {
            object: Arc::clone(&self.object),
            position: (line, column),
            field: field.into(),
            condition: Condition::Absent,
        }
    }

    /// The verdict and the problems, when all has been said.
    pub fn finish(self) -> (Verdict, Vec<Problem>) {
        let outcome = match (self.ignored, self.partly) {
            (true, _) => Outcome::Ignored,
            (false, true) => Outcome::PartlyApplied,
            (false, false) => Outcome::Applied,
        };
        let verdict = Verdict {
            object: self.object,
            place: self.document.place(),
            outcome,
            reasons: self.reasons,
        };
        (verdict, self.problems)
    }

    fn push(&mut self, problem: Problem) {
        if self.problems.is_empty() {
            self.problems.reserve_exact(1); // of thousands of objects each has one, mostly
        }
        self.problems.push(problem);
    }
}
