//! What certificates and keys say of themselves, told at the field that names them.
//!
//! Compiling knows that a file is PEM; that a key belongs to its certificate, or that a certificate has
//! expired, is known below. No plan is changed by it.

use crate::config::document::Node;
use crate::config::{Compiled, Document, Outcome, Problem, Severity};
use crate::model::{Security, TlsSpec};
use crate::upstream::tls::TlsContext;
use crate::upstream::tls::fitness::{Purpose, Unfit};

/// Adds a problem for every file that is not fit for its purpose now, wherever it is named.
pub fn judge(documents: &[Document], tls: &TlsContext, compiled: &mut Compiled) {
    let mut judged: Vec<&TlsSpec> = Vec::new();
    let mut found: Vec<Unfit> = Vec::new();
    for spec in &compiled.plan.upstreams {
        let Security::Tls(spec) = &spec.key.security else { continue };
        let same = |other: &&TlsSpec| {
            other.identity == spec.identity
                && other.roots == spec.roots
                && other.revoked == spec.revoked
        };
        if judged.iter().any(same) {
            continue;
        }
        judged.push(spec);
        for unfit in tls.unfit(spec) {
            if !found.contains(&unfit) {
                found.push(unfit);
            }
        }
    }
    for unfit in &found {
        let named =
            documents.iter().filter_map(|document| Some((document, field(document, &unfit.file)?)));
        for (document, field) in named {
            let problem = problem(document, &field, unfit);
            partly(document, &problem, compiled);
            compiled.problems.push(problem);
        }
    }
    if !found.is_empty() {
        compiled.problems.sort_by(|a, b| a.place.cmp(&b.place));
    }
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
fn partly(document: &Document, problem: &Problem, compiled: &mut Compiled) {
    let place = document.place();
    let own = compiled.provenance.verdicts.iter_mut().find(|verdict| verdict.place == place);
    if let (Some(verdict), Severity::Error) = (own, problem.severity) {
        verdict.reasons.push(format!("{}: {}", problem.field, problem.message));
        if verdict.outcome == Outcome::Applied {
            verdict.outcome = Outcome::PartlyApplied;
        }
    }
}

/// The field that names a file, or, for an entry of a Secret or ConfigMap, the field that holds it.
fn field(document: &Document, file: &str) -> Option<String> {
    for (scheme, kind) in [("secret:", "Secret"), ("configmap:", "ConfigMap")] {
        if let Some(rest) = file.strip_prefix(scheme) {
            let mut parts = rest.splitn(3, '/').skip(1);
            let (name, key) = (parts.next()?, parts.next()?);
            if document.kind != kind || document.name != name {
                return None;
            }
            let lists = ["data", "binaryData", "stringData"];
            let holds =
                |list: &&str| document.body().get(list).is_some_and(|list| list.get(key).is_some());
            return lists.into_iter().find(holds).map(|list| format!("{list}.{key}"));
        }
    }
    naming(document.body(), file, &mut String::new())
}

/// The path of the first text that is the name of the file.
fn naming(value: Node<'_>, file: &str, path: &mut String) -> Option<String> {
    if value.as_str() == Some(file) {
        return Some(path.clone());
    }
    let length = path.len();
    for (name, field) in value.fields() {
        if length > 0 {
            path.push('.');
        }
        path.push_str(name);
        if let Some(found) = naming(field, file, path) {
            return Some(found);
        }
        path.truncate(length);
    }
    for (index, entry) in value.entries().enumerate() {
        path.push_str(&format!("[{index}]"));
        if let Some(found) = naming(entry, file, path) {
            return Some(found);
        }
        path.truncate(length);
    }
    None
}
