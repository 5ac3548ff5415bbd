//! What certificates and keys say of themselves, told at the field that names them.
//!
//! Compiling knows that a file is PEM; that a key belongs to its certificate, or that a certificate has
//! expired, is known below. No plan is changed by it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::config::document::Node;
use crate::config::{Compiled, Document, Outcome, Place, Problem, Severity, Verdict};
use crate::model::{Plan, Security, TlsSpec};
use crate::upstream::tls::TlsContext;
use crate::upstream::tls::fitness::{Purpose, Unfit};

/// Adds a problem for every file that is not fit for its purpose now, wherever it is named.
pub fn judge(documents: &[Document], tls: &TlsContext, compiled: &mut Compiled) {
    let found = unfit(tls, &compiled.plan);
    if found.is_empty() {
        return;
    }
    let names = Names::of(&found);
    let verdicts = compiled.provenance.verdicts.iter().enumerate();
    let verdicts: HashMap<Place, usize> =
        verdicts.map(|(index, verdict)| (verdict.place.clone(), index)).collect();
    for document in documents {
        let named = names.fields(document);
        for (index, field) in named {
            let problem = problem(document, &field, &found[index]);
            if let Some(verdict) = verdicts.get(&document.place()) {
                partly(&mut compiled.provenance.verdicts[*verdict], &problem);
            }
            compiled.problems.push(problem);
        }
    }
    compiled.problems.sort_by(|a, b| a.place.cmp(&b.place));
}

/// What is not fit for its purpose, each once.
fn unfit(tls: &TlsContext, plan: &Plan) -> Vec<Unfit> {
    let (mut judged, mut found) = (HashSet::new(), Vec::new());
    let mut seen: HashSet<*const TlsSpec> = HashSet::new();
    for upstream in &plan.upstreams {
        let Security::Tls(spec) = &upstream.key.security else { continue };
        // Most upstreams share what they say.
        let is_new = seen.insert(Arc::as_ptr(spec))
            && judged.insert((&spec.identity, &spec.roots, &spec.revoked));
        if !is_new {
            continue;
        }
        for unfit in tls.unfit(spec) {
            if !found.contains(&unfit) {
                found.push(unfit);
            }
        }
    }
    found
}

fn problem(document: &Document, field: &str, unfit: &Unfit) -> Problem {
    let why = &unfit.why;
    let (code, severity, message, fix) = match unfit.purpose {
        Purpose::Identity => {
            let message = format!("{why}; origins will refuse it");
            ("EG033", Severity::Error, message, "put a valid certificate and its own key there")
        }
        Purpose::Trust => {
            let message = format!("{why}; requests fail with 503, never in plain text");
            ("EG035", Severity::Error, message, "put certificates of authorities there, in PEM")
        }
        Purpose::DatedTrust => {
            let message = format!("{why}; it is trusted all the same");
            ("EG035", Severity::Warning, message, "put the renewed one there")
        }
    };
    document.problem(code, severity, field, message, fix)
}

/// An error takes something away from the object that names the file.
fn partly(verdict: &mut Verdict, problem: &Problem) {
    if problem.severity == Severity::Error {
        verdict.reasons.push(format!("{}: {}", problem.field, problem.message));
        if verdict.outcome == Outcome::Applied {
            verdict.outcome = Outcome::PartlyApplied;
        }
    }
}

/// What is to be looked for in documents: an index into what was found, by the name of the file.
#[derive(Default)]
struct Names<'f> {
    files: HashMap<&'f str, Vec<usize>>,
    /// Entries of Secrets and ConfigMaps by kind and name, each with its key.
    entries: HashMap<(&'static str, &'f str), Vec<(&'f str, usize)>>,
}

impl<'f> Names<'f> {
    fn of(found: &'f [Unfit]) -> Self {
        let mut names = Self::default();
        for (index, Unfit { file, .. }) in found.iter().enumerate() {
            let entry = [("secret:", "Secret"), ("configmap:", "ConfigMap")]
                .into_iter()
                .find_map(|(scheme, kind)| Some((kind, file.strip_prefix(scheme)?)));
            let Some((kind, path)) = entry else {
                names.files.entry(file).or_default().push(index);
                continue;
            };
            if let [_, name, key] = path.splitn(3, '/').collect::<Vec<_>>()[..] {
                names.entries.entry((kind, name)).or_default().push((key, index));
            }
        }
        names
    }

    /// What a document names, by its index, at the first field that does; an entry of a Secret or
    /// ConfigMap at the field that holds it.
    fn fields(&self, document: &Document) -> BTreeMap<usize, String> {
        let mut found = BTreeMap::new();
        if !self.files.is_empty() {
            self.look(document.body(), &mut String::new(), &mut found);
        }
        let kind = ["Secret", "ConfigMap"].into_iter().find(|kind| document.kind == *kind);
        let own = kind.and_then(|kind| self.entries.get(&(kind, document.name.as_str())));
        for (key, index) in own.into_iter().flatten() {
            let holds =
                |list: &&str| document.body().get(list).is_some_and(|list| list.get(key).is_some());
            if let Some(list) = ["data", "binaryData", "stringData"].iter().find(|list| holds(list))
            {
                found.insert(*index, format!("{list}.{key}"));
            }
        }
        found
    }

    /// Goes through all texts at and below a value.
    fn look(&self, value: Node<'_>, path: &mut String, found: &mut BTreeMap<usize, String>) {
        let named = value.as_str().and_then(|text| self.files.get(text));
        for index in named.into_iter().flatten() {
            found.entry(*index).or_insert_with(|| path.clone());
        }
        let length = path.len();
        for (name, field) in value.fields() {
            if length > 0 {
                path.push('.');
            }
            path.push_str(name);
            self.look(field, path, found);
            path.truncate(length);
        }
        for (index, entry) in value.entries().enumerate() {
            path.push_str(&format!("[{index}]"));
            self.look(entry, path, found);
            path.truncate(length);
        }
    }
}
