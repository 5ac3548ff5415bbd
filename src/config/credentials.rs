//! Certificates and keys: files, and what Secrets and ConfigMaps among the documents hold.
//!
//! An entry of such an object is a file with a name of its own, `secret:NAMESPACE/NAME/KEY` or
//! `configmap:NAMESPACE/NAME/KEY`, so that everything which can name a file can name it too. Nothing
//! here knows what a certificate says.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::document::Node;
use super::provenance::Object;
use super::{Compiled, Document, Identity, Materials, Outcome, Problem, Severity, Verdict};
use crate::model::upstream::Roots;
use crate::model::{Plan, Security};

/// Whether a document is one of those that hold files.
pub fn holds_files(document: &Document) -> bool {
    scheme(document).is_some()
}

/// The name of an entry of a Secret.
pub fn secret(namespace: &str, name: &str, key: &str) -> String {
    format!("secret:{namespace}/{name}/{key}")
}

/// The name of an entry of a ConfigMap.
pub fn config_map(namespace: &str, name: &str, key: &str) -> String {
    format!("configmap:{namespace}/{name}/{key}")
}

/// The files that were read, and the entries of every Secret and ConfigMap.
pub fn with_documents(files: &Materials, documents: &[Document], identity: &Identity) -> Materials {
    let mut materials = files.clone();
    for document in documents {
        let Some(scheme) = scheme(document) else { continue };
        for (list, key, value) in entries(document) {
            let content = match list {
                "data" if scheme == "secret" => STANDARD
                    .decode(
                        value
                            .bytes()
                            .filter(|byte| !byte.is_ascii_whitespace())
                            .collect::<Vec<_>>(),
                    )
                    .map_err(|error| format!("it is not base64: {error}")),
                "binaryData" => {
                    STANDARD.decode(value).map_err(|error| format!("it is not base64: {error}"))
                }
                _ => Ok(value.as_bytes().to_vec()),
            };
            let name =
                format!("{scheme}:{}/{}/{key}", namespace(document, identity), document.name);
            materials.insert(name, content.map(Arc::from));
        }
    }
    materials
}

/// Says what became of each Secret and ConfigMap.
pub fn report(
    documents: &[Document],
    materials: &Materials,
    identity: &Identity,
    compiled: &mut Compiled,
) {
    let used = names_in(&compiled.plan);
    for document in documents {
        let Some(scheme) = scheme(document) else { continue };
        let prefix = format!("{scheme}:{}/{}/", namespace(document, identity), document.name);
        let unreadable =
            |key: &str| materials.get(&format!("{prefix}{key}")).and_then(|one| one.as_ref().err());
        let mut reasons = Vec::new();
        for (list, key, _) in entries(document) {
            if let Some(why) = unreadable(key) {
                let field = format!("{list}.{key}");
                reasons.push(format!("{field}: {why}"));
                compiled.problems.push(problem(document, &field, why));
            }
        }
        let first = used.range(prefix.as_str()..).next();
        let is_used = first.is_some_and(|name| name.starts_with(&prefix));
        let outcome = match (is_used, reasons.is_empty()) {
            (true, true) => Outcome::Applied,
            (true, false) => Outcome::PartlyApplied,
            (false, _) => {
                reasons.push("no upstream that is in force uses it".to_owned());
                Outcome::Ignored
            }
        };
        let object = Object {
            name: document.object().into(),
            namespace: namespace(document, identity).into(),
            file: Arc::clone(&document.file),
            ..Object::default()
        };
        compiled.provenance.verdicts.push(Verdict {
            object: Arc::new(object),
            place: document.place(),
            outcome,
            reasons,
        });
    }
}

fn problem(document: &Document, field: &str, why: &str) -> Problem {
    let message = format!("{why}; nothing can use it");
    document.problem("EG081", Severity::Error, field, message, "encode it, or use stringData")
}

/// The content of a file, which must have a PEM block of a kind, such as `CERTIFICATE`.
///
/// Errors: why it cannot be used.
pub fn pem(name: &str, kind: &str, materials: &Materials) -> Result<Arc<[u8]>, String> {
    let content = match materials.get(name) {
        Some(Ok(content)) => content,
        Some(Err(why)) => return Err(format!("{name} cannot be read: {why}")),
        None => return Err(format!("{name} does not exist")),
    };
    let has_block = content.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii();
        line.starts_with(b"-----BEGIN ") && line.ends_with(format!("{kind}-----").as_bytes())
    });
    has_block.then(|| content.clone()).ok_or_else(|| format!("{name} has no {kind} in PEM"))
}

fn scheme(document: &Document) -> Option<&'static str> {
    match (&*document.api_version, document.kind.as_str()) {
        ("v1", "Secret") => Some("secret"),
        ("v1", "ConfigMap") => Some("configmap"),
        _ => None,
    }
}

/// Its own namespace, else the gateway's, which is where a gateway looks for them.
fn namespace(document: &Document, identity: &Identity) -> String {
    match document.value("metadata.namespace") {
        Some(_) => document.namespace.to_string(),
        None => identity.namespace.clone(),
    }
}

/// Every entry: the field it stands under, its key and its text. What is no text is left out.
fn entries(document: &Document) -> impl Iterator<Item = (&'static str, &str, &str)> {
    ["data", "binaryData", "stringData"].into_iter().flat_map(move |list| {
        let fields = document.body().get(list).map(Node::fields).into_iter().flatten();
        fields.filter_map(move |(key, value)| Some((list, key, value.as_str()?)))
    })
}

/// The names of every file that a plan has in use.
fn names_in(plan: &Plan) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for spec in &plan.upstreams {
        let Security::Tls(tls) = &spec.key.security else { continue };
        if let Roots::Pem { path, .. } = &tls.roots {
            names.insert(path.as_str());
        }
        if let Some(identity) = &tls.identity {
            names.extend([identity.certificate_path.as_str(), identity.key_path.as_str()]);
        }
        names.extend(tls.revoked.iter().map(|list| list.path.as_str()));
    }
    names
}
