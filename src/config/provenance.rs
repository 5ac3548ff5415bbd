//! Where every part of a plan comes from, what was not taken, and the field that decided.
//!
//! Plain data beside the plan, never inside it, so that moving a line changes no plan. The texts are
//! ready to print: whoever prints them need not know the configuration language they speak of.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::problem::Place;
use crate::model::HostPattern;

/// Everything known about where a plan comes from. Index `i` of `listeners`, `routes` and `upstreams`
/// speaks of index `i` of the plan's list of that name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// What became of each object, in document order.
    pub verdicts: Vec<Verdict>,
    /// The objects behind each listener; more than one when servers share a port.
    pub listeners: Vec<Vec<Origin>>,
    /// Where each rule of each route comes from.
    pub routes: Vec<Vec<Origin>>,
    /// What made each upstream what it is; those of one object often share it.
    pub upstreams: Vec<Arc<UpstreamOrigin>>,
    /// What was looked at and not taken.
    pub skipped: Vec<Skipped>,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Everything it says is in force, or is meant for somebody else.
    Applied,
    /// Some of it is in force.
    PartlyApplied,
    /// Nothing of it is in force.
    Ignored,
}

impl Outcome {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::PartlyApplied => "partly applied",
            Self::Ignored => "ignored",
        }
    }
}

/// The one verdict on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub object: Arc<Object>,
    pub place: Place,
    pub outcome: Outcome,
    /// Why; may be empty when all of it is applied.
    pub reasons: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.object.name, self.outcome.as_str())?;
        if self.reasons.is_empty() { Ok(()) } else { write!(f, ": {}", self.reasons.join("; ")) }
    }
}

/// An object, as everything that came of it knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Object {
    /// Kind and name, or `file`.
    pub name: Box<str>,
    pub namespace: Arc<str>,
    pub file: Arc<str>,
    /// Empty where it has none, as Egret's own form.
    pub api_version: Arc<str>,
    /// Whose route it says the rest of.
    pub delegated_by: Option<Arc<Object>>,
}

impl Object {
    /// Whether it is a file in Egret's own form, or in no form at all.
    pub fn is_file(&self) -> bool {
        &*self.name == "file"
    }

    /// The path by which istiod names the object in a route's metadata, or the one that delegates to it;
    /// `None`: it is none of Istio's.
    pub fn resource(&self) -> Option<String> {
        if let Some(root) = &self.delegated_by {
            return root.resource();
        }
        let (kind, name) = self.name.split_once('/')?;
        if self.api_version.is_empty() {
            return None;
        }
        let mut words = String::new();
        for letter in kind.chars() {
            if letter.is_ascii_uppercase() && !words.is_empty() {
                words.push('-');
            }
            words.push(letter.to_ascii_lowercase());
        }
        Some(format!("/apis/{}/namespaces/{}/{words}/{name}", self.api_version, self.namespace))
    }
}

/// The object and field that made something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub object: Arc<Object>,
    /// Where the field stands in the object's file.
    pub position: (u32, u32),
    /// The field, e.g. `spec.http[1]`.
    pub field: Box<str>,
    /// Whether a condition was written, even one that is always fulfilled.
    pub condition: Condition,
}

impl Origin {
    /// Where the field stands.
    pub fn place(&self) -> Place {
        let (line, column) = self.position;
        Place { file: Arc::clone(&self.object.file), line, column }
    }
}

/// Whether a rule's condition was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    Written,
    Absent,
}

/// An object, or a part of one, that was looked at and not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub origin: Origin,
    /// The hosts it would have answered to; empty: not known or not about hosts.
    pub hosts: Arc<[HostPattern]>,
    /// The gateway port it would have applied to; `None`: all or none in particular.
    pub port: Option<u16>,
    /// Why, in a sentence that names the field.
    pub reason: String,
}

/// What made an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamOrigin {
    /// What says that the host exists and where.
    pub service: Origin,
    /// What says how it is called; `None`: all defaults.
    pub policy: Option<Origin>,
    /// The policies that were considered, with the verdict.
    pub candidates: Vec<Candidate>,
    /// How many more there are.
    pub candidates_untold: usize,
    /// The policy in force, a line each, e.g. `tls: SIMPLE (spec.trafficPolicy.portLevelSettings[0].tls)`.
    pub effective: Vec<String>,
    /// What the policy says but is not in force, a line each, with the reason.
    pub dropped: Vec<String>,
}

/// A policy that was considered for an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where it says what it says.
    pub origin: Origin,
    /// `chosen`, or the field that excluded it.
    pub verdict: Cow<'static, str>,
}
