//! YAML text becomes documents, each with its place in the file; JSON is read as the YAML it is.
//!
//! This file and its folder alone know the YAML crate. They do not know what any kind of object means.

use std::borrow::Cow;
use std::sync::Arc;

use super::problem::{Place, Problem, Severity};
use super::provenance::Object;
use compose::{Composer, ReadError};
pub use tree::{Kind, Node, Part, Step};
use tree::{Position, Slot, Tree};

mod compose;
mod scalar;
mod tree;

/// The longest text that is read as one file.
pub const TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Documents of one file, lists unfolded.
const DOCUMENTS_MAX: usize = 100_000;

/// One object of a configuration, not yet understood.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file, as it was named on the command line.
    pub file: Arc<str>,
    /// `apiVersion`; empty when absent.
    pub api_version: Arc<str>,
    /// `kind`; empty when absent.
    pub kind: String,
    /// `metadata.name`; empty when absent.
    pub name: String,
    /// `metadata.namespace`; `default` when absent.
    pub namespace: Arc<str>,
    /// As what comes of it knows it.
    pub object: Arc<Object>,
    /// `metadata.creationTimestamp`; empty when absent, as in files written by hand.
    pub created: String,
    tree: Arc<Tree>,
    /// The object itself, one of several in the tree if that was a list.
    root: Slot,
}

/// Reads every document of a text.
///
/// A document that cannot be read is one problem; the others go on.
pub fn parse(file: &str, text: &str) -> (Vec<Document>, Vec<Problem>) {
    let file: Arc<str> = file.into();
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    if text.len() > TEXT_BYTES_MAX {
        let message =
            format!("the file has {} bytes; at most {TEXT_BYTES_MAX} are read", text.len());
        problems.push(unreadable(&file, 1, 1, "EG085", message));
        return (documents, problems);
    }
    let (mut composer, mut roots) = (Composer::default(), Vec::new());
    for (line, piece) in split(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        match composer.add(piece, line) {
            Ok(None) => {} // nothing but comments
            Ok(Some(root)) => roots.push((line, root)),
            Err(ReadError { line, column, message }) => {
                problems.push(unreadable(&file, line, column, "EG080", message));
            }
        }
    }
    let tree = Arc::new(composer.finish());
    for (line, root) in roots {
        let whole = Document::new(&file, Arc::clone(&tree), root, documents.last());
        unfold(whole, line, &mut documents, &mut problems);
        if documents.len() > DOCUMENTS_MAX {
            documents.truncate(DOCUMENTS_MAX);
            let message =
                format!("the file has more than {DOCUMENTS_MAX} documents; the rest is not read");
            problems.push(unreadable(&file, line, 1, "EG085", message));
            break;
        }
    }
    (documents, problems)
}

impl Document {
    /// What it says like the document before it is kept once.
    fn new(file: &Arc<str>, tree: Arc<Tree>, root: Slot, before: Option<&Self>) -> Self {
        let body = tree.node(&root);
        let metadata = |name: &str| body.get("metadata").and_then(|metadata| metadata.get(name));
        fn text(node: Option<Node<'_>>) -> &str {
            node.and_then(Node::as_str).unwrap_or_default()
        }
        let shared = |text: &str, before: Option<&Arc<str>>| {
            before.filter(|before| ***before == *text).cloned().unwrap_or_else(|| text.into())
        };
        let api_version = shared(text(body.get("apiVersion")), before.map(|it| &it.api_version));
        let (kind, name) = (text(body.get("kind")), text(metadata("name")));
        let namespace = match text(metadata("namespace")) {
            "" => "default",
            namespace => namespace,
        };
        let namespace = shared(namespace, before.map(|it| &it.namespace));
        let is_native = body.get("apiVersion").is_none() && body.get("kind").is_none();
        let object = Object {
            name: if is_native { "file".into() } else { format!("{kind}/{name}").into() },
            namespace: Arc::clone(&namespace),
            file: Arc::clone(file),
            api_version: Arc::clone(&api_version),
            delegated_by: None,
        };
        Self {
            file: Arc::clone(file),
            api_version,
            kind: kind.to_owned(),
            name: name.to_owned(),
            namespace,
            object: Arc::new(object),
            created: text(metadata("creationTimestamp")).to_owned(),
            root,
            tree,
        }
    }

    /// The whole object. Fields that are null count as absent, as Kubernetes has it.
    pub fn body(&self) -> Node<'_> {
        self.tree.node(&self.root)
    }

    /// Whether this is Egret's own form: neither `apiVersion` nor `kind`.
    pub fn is_native(&self) -> bool {
        self.body().get("apiVersion").is_none() && self.body().get("kind").is_none()
    }

    /// How messages name the object: `Gateway/istio-egressgateway`, or `file` for Egret's own form.
    pub fn object(&self) -> &str {
        &self.object.name
    }

    /// Where the object begins.
    pub fn place(&self) -> Place {
        self.locate("")
    }

    /// Where the value at a path stands, e.g. `spec.http[0].route[0].destination.port`; the nearest
    /// existing parent's place if it is absent. A value that begins on a later line than its key is
    /// placed at the key.
    pub fn locate(&self, path: &str) -> Place {
        let (key, value) = self.body().locate(path);
        let (line, _) = value;
        self.at(if line > key.0 { key } else { value })
    }

    /// Where the key of the value at a path stands: the place for a field that should not be there.
    pub fn locate_key(&self, path: &str) -> Place {
        self.at(self.body().locate(path).0)
    }

    fn at(&self, (line, column): Position) -> Place {
        Place { file: self.file.clone(), line, column }
    }

    /// The value at a path; `None` if absent.
    pub fn value(&self, path: &str) -> Option<Node<'_>> {
        self.body().at(path)
    }

    /// A problem with the value at a path.
    pub fn problem(
        &self,
        code: &'static str,
        severity: Severity,
        field: &str,
        message: impl Into<String>,
        fix: impl Into<Cow<'static, str>>,
    ) -> Problem {
        Problem {
            code,
            severity,
            place: self.locate(field),
            object: Arc::clone(&self.object),
            field: field.to_owned(),
            message: message.into(),
            fix: fix.into(),
        }
    }
}

/// Splits a stream at its `---` and `...` lines; each piece with the number of its first line.
fn split(text: &str) -> Vec<(u32, &str)> {
    let (mut pieces, mut start, mut start_line, mut offset) = (Vec::new(), 0, 1u32, 0);
    for (number, line) in (1u32..).zip(text.split_inclusive('\n')) {
        let marker = line.trim_end();
        if marker == "---" || line.starts_with("--- ") || line.starts_with("---\t") {
            pieces.push((start_line, &text[start..offset]));
            (start, start_line) = (offset, number); // the marker begins the next piece
        } else if marker == "..." {
            pieces.push((start_line, &text[start..offset]));
            (start, start_line) = (offset + line.len(), number + 1);
        }
        offset += line.len();
    }
    pieces.push((start_line, &text[start..]));
    // What stands before the first marker is no document when it is directives (`%YAML 1.2`) alone.
    pieces.retain(|(_, piece)| {
        piece.lines().any(|line| {
            !(line.trim().is_empty() || line.starts_with(['#', '%']) || line.trim() == "---")
        })
    });
    pieces
}

/// Takes the objects out of a `kind: List`; every other document is itself. It begins on `line`.
fn unfold(whole: Document, line: u32, documents: &mut Vec<Document>, problems: &mut Vec<Problem>) {
    let body = whole.body();
    if !body.is_map() {
        let message = "the document is not a mapping of fields; it is ignored";
        let mut problem = unreadable(&whole.file, line, 1, "EG080", message.to_owned());
        problem.fix = "begin with apiVersion: and kind:, or with routes:".into();
        return problems.push(problem);
    }
    let items = body.get("items");
    if whole.kind != "List" && !(whole.kind.ends_with("List") && items.is_some()) {
        return documents.push(whole);
    }
    let Some(items) = items.filter(|items| items.is_list()) else {
        let message = "a List without a list of items";
        return problems.push(whole.problem("EG080", Severity::Error, "items", message, ""));
    };
    for item in items.entries() {
        let (line, _) = item.position();
        let item =
            Document::new(&whole.file, Arc::clone(&whole.tree), item.slot(), documents.last());
        unfold(item, line, documents, problems);
    }
}

fn unreadable(
    file: &Arc<str>,
    line: u32,
    column: u32,
    code: &'static str,
    message: String,
) -> Problem {
    Problem {
        code,
        severity: Severity::Error,
        place: Place { file: file.clone(), line, column },
        object: Arc::new(Object { name: "document".into(), ..Object::default() }),
        field: String::new(),
        message,
        fix: "".into(),
    }
}

#[cfg(test)]
mod tests;
