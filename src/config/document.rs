//! YAML text becomes documents, each with its place in the file; JSON is read as the YAML it is.
//!
//! This file and its folder alone know the YAML crate. They do not know what any kind of object means.

use std::sync::Arc;

use super::problem::{Place, Problem, Severity};
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
    pub api_version: String,
    /// `kind`; empty when absent.
    pub kind: String,
    /// `metadata.name`; empty when absent.
    pub name: String,
    /// `metadata.namespace`; `default` when absent.
    pub namespace: String,
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
        let whole = Document::new(&file, Arc::clone(&tree), root);
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
    fn new(file: &Arc<str>, tree: Arc<Tree>, root: Slot) -> Self {
        let body = tree.node(&root);
        let metadata = |name: &str| body.get("metadata").and_then(|metadata| metadata.get(name));
        let string =
            |node: Option<Node<'_>>| node.and_then(Node::as_str).unwrap_or_default().to_owned();
        let namespace = string(metadata("namespace"));
        Self {
            file: file.clone(),
            api_version: string(body.get("apiVersion")),
            kind: string(body.get("kind")),
            name: string(metadata("name")),
            namespace: if namespace.is_empty() { "default".to_owned() } else { namespace },
            created: string(metadata("creationTimestamp")),
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
    pub fn object(&self) -> String {
        if self.is_native() { "file".to_owned() } else { format!("{}/{}", self.kind, self.name) }
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
        fix: impl Into<String>,
    ) -> Problem {
        Problem {
            code,
            severity,
            place: self.locate(field),
            object: self.object(),
            namespace: if self.is_native() { String::new() } else { self.namespace.clone() },
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
        problem.fix = "begin with apiVersion: and kind:, or with routes:".to_owned();
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
        let item = Document::new(&whole.file, Arc::clone(&whole.tree), item.slot());
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
        object: "document".to_owned(),
        namespace: String::new(),
        field: String::new(),
        message,
        fix: String::new(),
    }
}

#[cfg(test)]
mod tests;
