//! YAML text becomes documents, each with its place in the file; JSON is read as the YAML it is.
//!
//! The only file that knows the YAML crates. It does not know what any kind of object means.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::Marker;
use serde_json::{Map, Value};

use super::problem::{Place, Problem, Severity};
use super::protojson;
use walk::{Entry, Walk};

mod walk;

/// The longest text that is read as one file.
pub const TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Nodes (mappings, lists and values) of one document: room for 100,000 hosts several times over.
const NODES_MAX: usize = 1_000_000;

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
    /// The whole object. Fields that are null are left out, as Kubernetes does.
    pub body: Value,
    text: Arc<str>,
    line: u32,
    /// Where the object stands inside `text`, e.g. `items[3]`.
    root: String,
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
    for (line, piece) in split(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        match read(piece) {
            Ok(Value::Null) => {} // nothing but comments
            Ok(body) => {
                let whole = Document::new(&file, piece.into(), line, String::new(), body);
                unfold(whole, &mut documents, &mut problems);
            }
            Err(error) => problems.push(unreadable(
                &file,
                line - 1 + error.line,
                error.column,
                "EG080",
                error.message,
            )),
        }
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
    fn new(file: &Arc<str>, text: Arc<str>, line: u32, root: String, body: Value) -> Self {
        let string =
            |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let namespace = string("/metadata/namespace");
        Self {
            file: file.clone(),
            api_version: string("/apiVersion"),
            kind: string("/kind"),
            name: string("/metadata/name"),
            namespace: if namespace.is_empty() { "default".to_owned() } else { namespace },
            created: string("/metadata/creationTimestamp"),
            text,
            line,
            root,
            body,
        }
    }

    /// Whether this is Egret's own form: neither `apiVersion` nor `kind`.
    pub fn is_native(&self) -> bool {
        self.body.get("apiVersion").is_none() && self.body.get("kind").is_none()
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
    ///
    /// Parses the text again, so it is for problems and provenance, not for every field.
    pub fn locate(&self, path: &str) -> Place {
        self.find(path).value
    }

    /// Where the key of the value at a path stands: the place for a field that should not be there.
    pub fn locate_key(&self, path: &str) -> Place {
        self.find(path).key
    }

    /// Where every mapping that is an entry of a list begins, by its path (`routes[2].rules[0]`): one
    /// pass, for when many places are needed.
    pub fn entries(&self) -> HashMap<String, Place> {
        let mut walk = Walk::new(&self.text);
        let mut places = HashMap::new();
        let mut add = |path: &str, mark: Marker| {
            let path = path.strip_prefix(&self.root).unwrap_or(path);
            let place = Place {
                file: self.file.clone(),
                line: self.line - 1 + mark.line() as u32,
                column: mark.col() as u32 + 1,
            };
            places.insert(path.trim_start_matches('.').to_owned(), place);
        };
        while let Some((event, _)) = walk.next() {
            if event.is_node() {
                // As in `find`: the text has been parsed before.
                let _ = walk.entries(&event, &mut String::new(), &mut add);
                break;
            }
        }
        places
    }

    /// The value at a path; `None` if absent.
    pub fn value(&self, path: &str) -> Option<&Value> {
        let mut steps = path.split(['.', '[']).filter(|step| !step.is_empty());
        steps.try_fold(&self.body, |value, step| match step.strip_suffix(']') {
            Some(index) => value.get(index.parse::<usize>().ok()?),
            None => protojson::entry(value.as_object()?, step).map(|(_, value)| value),
        })
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

    fn find(&self, path: &str) -> Spot {
        let whole = match (self.root.as_str(), path) {
            ("", path) => path.to_owned(),
            (root, "") => root.to_owned(),
            (root, path) => format!("{root}.{path}"),
        };
        let mut walk = Walk::new(&self.text);
        // The text has been parsed before: an error can only mean that the rest is not needed.
        let _ = walk.document(&whole);
        let place = |mark: Marker| Place {
            file: self.file.clone(),
            line: self.line - 1 + mark.line() as u32,
            column: mark.col() as u32 + 1,
        };
        match walk.found {
            Some((key, value)) if value.line() > key.line() => {
                Spot { key: place(key), value: place(key) }
            }
            Some((key, value)) => Spot { key: place(key), value: place(value) },
            None => {
                let start = Place { file: self.file.clone(), line: self.line, column: 1 };
                Spot { key: start.clone(), value: start }
            }
        }
    }
}

/// Where a value and its key stand; for a list's entry and the document both are the same.
struct Spot {
    key: Place,
    value: Place,
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

/// Why a document cannot be read; the line counts from the document's first.
struct ReadError {
    line: u32,
    column: u32,
    message: String,
}

fn read(piece: &str) -> Result<Value, ReadError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            max_anchors: 10_000,
            max_aliases: 10_000,
        },
        // `y`, `no` and `on` are texts, as in YAML 1.2.
        strict_booleans: true,
        with_snippet: false,
    };
    let mut value: Value =
        serde_saphyr::from_str_with_options(piece, options).map_err(|error| {
            let (line, column) = match error.location() {
                Some(location) => (location.line() as u32, location.column() as u32),
                None => (1, 1),
            };
            ReadError {
                line: line.max(1),
                column: column.max(1),
                message: without_position(&error.to_string()),
            }
        })?;
    drop_nulls(&mut value);
    Ok(value)
}

/// The first line of a parser's message, without the position that it repeats.
fn without_position(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let end = line.find(" at line ").unwrap_or(line.len());
    let start = match line.strip_prefix("error: line ") {
        Some(rest) => rest.find(": ").map_or(0, |colon| line.len() - rest.len() + colon + 2),
        None => 0,
    };
    let message = line.get(start..end.max(start)).unwrap_or(line).trim();
    // What follows speaks of the parser's options, which nobody who writes a configuration has.
    let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or(message);
    message.replace("duplicate mapping key: ", "the same key twice in one mapping: ")
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(entries) => entries.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Takes the objects out of a `kind: List`; every other document is itself.
fn unfold(mut whole: Document, documents: &mut Vec<Document>, problems: &mut Vec<Problem>) {
    if !whole.body.is_object() {
        let message = "the document is not a mapping of fields; it is ignored";
        let mut problem = unreadable(&whole.file, whole.line, 1, "EG080", message.to_owned());
        problem.fix = "begin with apiVersion: and kind:, or with routes:".to_owned();
        return problems.push(problem);
    }
    if whole.kind != "List" && !(whole.kind.ends_with("List") && whole.body.get("items").is_some())
    {
        return documents.push(whole);
    }
    let items = whole.body.as_object_mut().and_then(|fields| fields.remove("items"));
    let Some(Value::Array(items)) = items else {
        return problems.push(whole.problem(
            "EG080",
            Severity::Error,
            "items",
            "a List without a list of items",
            "",
        ));
    };
    let texts = if whole.root.is_empty() { item_texts(&whole.text) } else { Vec::new() };
    for (index, item) in items.into_iter().enumerate() {
        let item = match texts.get(index) {
            Some((line, text)) => {
                let line = whole.line - 1 + line;
                Document::new(&whole.file, text.as_str().into(), line, String::new(), item)
            }
            None => {
                let root = format!("{}.items[{index}]", whole.root);
                let root = root.trim_start_matches('.').to_owned();
                Document::new(&whole.file, whole.text.clone(), whole.line, root, item)
            }
        };
        unfold(item, documents, problems);
    }
}

/// The text of each entry of `items`, with its line and at its column: to locate something in a list
/// of 100,000 objects, only its own text is parsed.
fn item_texts(text: &str) -> Vec<(u32, String)> {
    let mut walk = Walk::new(text);
    let item = |entry: &Entry| {
        let own = text.get(entry.bytes.clone()?)?;
        Some((entry.start.line() as u32, " ".repeat(entry.start.col()) + own))
    };
    walk.entries_of("items").iter().map(item).collect::<Option<_>>().unwrap_or_default()
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

/// An empty object, for a document that lacks the part asked for.
pub(super) fn empty() -> Value {
    Value::Object(Map::new())
}

#[cfg(test)]
mod tests;
