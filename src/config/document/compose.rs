//! A parser's events become a tree: what aliases, merge keys and tags stand for is settled here, and so
//! are the limits of one document.
//!
//! An alias shares the nodes of its anchor, so that a document takes no more memory than its text asks
//! for; whoever walks it walks them each time, and so each time counts towards the limit.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::scalar::{self, Scalar};
use super::tree::{Kind, Slot, Tree, Written, index};

/// Nodes (mappings, lists and values) of one document: room for 100,000 hosts several times over.
const NODES_MAX: usize = 1_000_000;
/// Nodes that the documents of one file have in the tree: more than its text has room for, without merges.
const FILE_NODES_MAX: usize = 32 * NODES_MAX;
/// Anchors, and aliases, of one document.
const ANCHORS_MAX: usize = 10_000;
/// Collections inside each other: whoever walks a tree may do so by recursion.
const DEPTH_MAX: usize = 64;
/// A mapping with more fields than this has its names in a set.
const FIELDS_COMPARED_MAX: usize = 16;

/// Why a document cannot be read, and where.
pub struct ReadError {
    pub line: u32,
    pub column: u32,
    pub message: String,
}

/// Puts the documents of a file into one tree.
#[derive(Default)]
pub struct Composer {
    tree: Tree,
    document: Unfinished,
}

/// What is known of a document that is not at its end.
#[derive(Default)]
struct Unfinished {
    first_line: u32,
    /// Nodes of collections that have not ended.
    pending: Vec<Slot>,
    open: Vec<Open>,
    root: Option<Slot>,
    anchors: HashMap<usize, Anchored>,
    aliases: usize,
    /// Nodes so far, those below aliases as often as they are met.
    nodes: usize,
}

impl Composer {
    /// Adds the one document of a text that begins on a line, and gives its root; `None`: it says nothing.
    ///
    /// Errors: the first thing wrong with it. Nothing of it is added.
    pub fn add(&mut self, text: &str, first_line: u32) -> Result<Option<Slot>, ReadError> {
        let Tree { slots, texts } = &self.tree;
        let before = (slots.len(), texts.len());
        self.document = Unfinished { first_line, ..Unfinished::default() };
        let read = self.read(text);
        if !matches!(read, Ok(Some(_))) {
            self.tree.slots.truncate(before.0);
            self.tree.texts.truncate(before.1);
        }
        read
    }

    /// The tree of all documents that were added.
    pub fn finish(self) -> Tree {
        let Tree { mut slots, mut texts } = self.tree;
        slots.shrink_to_fit();
        texts.shrink_to_fit();
        Tree { slots, texts }
    }

    fn read(&mut self, text: &str) -> Result<Option<Slot>, ReadError> {
        let mut parser = Parser::new_from_str(text);
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(|error| self.unreadable(&error))?;
            self.take(event, span.start)?;
        }
        Ok(self.document.root.filter(|root| root.kind != Kind::Null))
    }
}

/// A collection that has not ended.
struct Open {
    slot: Slot,
    /// Its anchor; 0: none.
    anchor: usize,
    /// Where its nodes begin in `pending`.
    first: usize,
    nodes_before: usize,
    /// The most collections inside each other in it.
    height: usize,
    /// The names of its fields, once they are many.
    names: Option<HashSet<Box<str>>>,
    merges: bool,
}

/// What an alias stands for.
struct Anchored {
    slot: Slot,
    nodes: usize,
    height: usize,
}

impl Composer {
    fn take(&mut self, event: Event<'_>, mark: Marker) -> Result<(), ReadError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if self.is_key() {
                    self.key(&text, style, tag.as_deref(), mark, anchor)
                } else {
                    let slot = self.scalar(text, style, tag.as_deref(), mark)?;
                    self.place(slot, anchor, mark)
                }
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Kind::List, anchor, mark),
            Event::MappingStart(_, anchor, _) => self.begin(Kind::Map, anchor, mark),
            Event::SequenceEnd | Event::MappingEnd => self.end(mark),
            Event::Alias(anchor) => self.alias(anchor, mark),
            Event::DocumentStart(..) if self.document.root.is_some() => {
                Err(self.wrong(mark, "a second document; begin it with a line ---"))
            }
            _ => Ok(()), // beginnings and ends, and comments
        }
    }

    /// Whether the next node is a key.
    fn is_key(&self) -> bool {
        let Some(open) = self.document.open.last() else { return false };
        open.slot.kind == Kind::Map && (self.document.pending.len() - open.first).is_multiple_of(2)
    }

    fn slot(&self, kind: Kind, mark: Marker) -> Slot {
        let line = self.document.first_line - 1 + mark.line() as u32;
        let column = mark.col() as u32 + 1;
        Slot { line, column, start: 0, length: 0, kind, written: Written::Here }
    }

    fn text(&mut self, text: &str, mark: Marker) -> Slot {
        let slot = self.slot(Kind::Text, mark);
        let start = index(self.tree.texts.len());
        self.tree.texts.push_str(text);
        Slot { start, length: index(text.len()), ..slot }
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        mark: Marker,
    ) -> Result<Slot, ReadError> {
        match scalar::read(text, style, tag).map_err(|why| self.wrong(mark, why))? {
            Scalar::Word(kind) => Ok(self.slot(kind, mark)),
            Scalar::Number(kind, bits) => Ok(self.slot(kind, mark).number(bits)),
            Scalar::Text(text) => Ok(self.text(&text, mark)),
        }
    }

    fn key(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        mark: Marker,
        anchor: usize,
    ) -> Result<(), ReadError> {
        if tag.is_none() && scalar::is_null(text, style) {
            return Err(self.wrong(mark, "a key is missing"));
        }
        let mut slot = self.text(text, mark);
        if text == "<<" && style == ScalarStyle::Plain && tag.is_none() {
            slot.written = Written::ByMerge;
        }
        self.place_key(slot, anchor, mark)
    }

    /// Puts a key where it belongs, unless it is there already.
    fn place_key(&mut self, slot: Slot, anchor: usize, mark: Marker) -> Result<(), ReadError> {
        let Unfinished { open, pending, .. } = &mut self.document;
        let open = open.last_mut().expect("a key is inside a mapping");
        if slot.written == Written::ByMerge {
            open.merges = true; // there may be several
        } else if !open.is_new(slot.range(), &pending[open.first..], &self.tree.texts) {
            let name = &self.tree.texts[slot.range()];
            let message = format!("the same key twice in one mapping: {name}");
            return Err(self.wrong(mark, message));
        }
        self.place(slot, anchor, mark)
    }

    /// Puts a node where it belongs.
    fn place(&mut self, slot: Slot, anchor: usize, mark: Marker) -> Result<(), ReadError> {
        self.count(1, mark)?;
        self.remember(anchor, Anchored { slot, nodes: 1, height: 0 }, mark)?;
        self.put(slot);
        Ok(())
    }

    fn put(&mut self, slot: Slot) {
        match self.document.open.is_empty() {
            true => self.document.root = Some(slot),
            false => self.document.pending.push(slot),
        }
    }

    fn begin(&mut self, kind: Kind, anchor: usize, mark: Marker) -> Result<(), ReadError> {
        if self.is_key() {
            return Err(self.wrong(mark, "a key must be a text"));
        }
        if self.document.open.len() == DEPTH_MAX {
            return Err(self.too_deep(mark));
        }
        let nodes_before = self.document.nodes;
        self.count(1, mark)?;
        self.document.open.push(Open {
            slot: self.slot(kind, mark),
            anchor,
            first: self.document.pending.len(),
            nodes_before,
            height: 1,
            names: None,
            merges: false,
        });
        Ok(())
    }

    fn end(&mut self, mark: Marker) -> Result<(), ReadError> {
        let Some(open) = self.document.open.pop() else { return Ok(()) };
        let Open { mut slot, anchor, first, nodes_before, height, .. } = open;
        if open.merges {
            self.merge(first, mark)?;
        }
        slot.start = index(self.tree.slots.len());
        slot.length = index(self.document.pending.len() - first);
        self.tree.slots.extend(self.document.pending.drain(first..));
        self.grow(height + 1);
        let nodes = self.document.nodes - nodes_before;
        self.remember(anchor, Anchored { slot, nodes, height }, mark)?;
        self.put(slot);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, mark: Marker) -> Result<(), ReadError> {
        let Some(Anchored { slot, nodes, height }) = self.document.anchors.get(&anchor) else {
            return Err(self.wrong(mark, "an alias inside of what it stands for"));
        };
        let (slot, nodes, height) = (*slot, *nodes, *height);
        self.document.aliases += 1;
        if self.document.aliases > ANCHORS_MAX {
            return Err(self.wrong(mark, format!("more than {ANCHORS_MAX} aliases")));
        }
        if self.document.open.len() + height > DEPTH_MAX {
            return Err(self.too_deep(mark));
        }
        if self.is_key() {
            let Slot { line, column, .. } = self.slot(slot.kind, mark);
            return match slot.kind {
                Kind::Text => self.place_key(Slot { line, column, ..slot }, 0, mark),
                _ => Err(self.wrong(mark, "a key must be a text")),
            };
        }
        self.count(nodes, mark)?;
        self.grow(height + 1);
        let Slot { line, column, .. } = self.slot(slot.kind, mark);
        self.put(Slot { line, column, written: Written::ByAlias, ..slot });
        Ok(())
    }

    /// Puts the fields of other mappings in place of the merge keys of one that ends. Its own go first,
    /// and those of an earlier mapping before those of a later one.
    fn merge(&mut self, first: usize, mark: Marker) -> Result<(), ReadError> {
        let written: Vec<Slot> = self.document.pending.drain(first..).collect();
        let (mut names, mut merged) = (HashSet::new(), Vec::new());
        for [key, value] in written.as_chunks().0 {
            if key.written == Written::ByMerge {
                merged.extend(self.mappings(value)?);
            } else {
                names.insert(self.tree.texts[key.range()].to_owned());
                self.document.pending.extend([*key, *value]);
            }
        }
        for mapping in merged {
            for [key, value] in self.tree.slots[mapping.range()].to_vec().as_chunks().0 {
                if names.insert(self.tree.texts[key.range()].to_owned()) {
                    self.count(2, mark)?;
                    self.document
                        .pending
                        .extend([Slot { written: Written::ByMerge, ..*key }, *value]);
                }
            }
        }
        Ok(())
    }

    /// The mappings that a merge key's value names.
    fn mappings(&self, value: &Slot) -> Result<Vec<Slot>, ReadError> {
        let mappings = match value.kind {
            Kind::List => self.tree.slots[value.range()].to_vec(),
            Kind::Null => Vec::new(),
            _ => vec![*value],
        };
        if mappings.iter().all(|one| one.kind == Kind::Map) {
            return Ok(mappings);
        }
        let message = "a merge key (<<) takes a mapping or a list of mappings".to_owned();
        Err(ReadError { line: value.line, column: value.column, message })
    }

    fn remember(&mut self, anchor: usize, node: Anchored, mark: Marker) -> Result<(), ReadError> {
        if anchor == 0 {
            return Ok(());
        }
        self.document.anchors.insert(anchor, node);
        if self.document.anchors.len() > ANCHORS_MAX {
            return Err(self.wrong(mark, format!("more than {ANCHORS_MAX} anchors")));
        }
        Ok(())
    }

    /// The collection under way has one in it of this height, itself included.
    fn grow(&mut self, height: usize) {
        if let Some(open) = self.document.open.last_mut() {
            open.height = open.height.max(height);
        }
    }

    fn count(&mut self, nodes: usize, mark: Marker) -> Result<(), ReadError> {
        self.document.nodes += nodes;
        if self.document.nodes > NODES_MAX {
            return Err(self.wrong(mark, format!("more than {NODES_MAX} values")));
        }
        if self.tree.slots.len() + self.document.pending.len() > FILE_NODES_MAX {
            return Err(self.wrong(mark, format!("more than {FILE_NODES_MAX} values in the file")));
        }
        Ok(())
    }

    fn too_deep(&self, mark: Marker) -> ReadError {
        self.wrong(mark, format!("nested deeper than {DEPTH_MAX} levels"))
    }

    fn wrong(&self, mark: Marker, message: impl Into<String>) -> ReadError {
        let Slot { line, column, .. } = self.slot(Kind::Null, mark);
        ReadError { line, column, message: message.into() }
    }

    fn unreadable(&self, error: &ScanError) -> ReadError {
        match error.kind() {
            ErrorKind::UnknownAnchor => {
                self.wrong(*error.marker(), "alias references unknown anchor")
            }
            _ => self.wrong(*error.marker(), error.info()),
        }
    }
}

impl Open {
    /// Whether a name is the first of its kind among the nodes of a mapping so far.
    fn is_new(&mut self, name: Range<usize>, nodes: &[Slot], texts: &str) -> bool {
        let name = &texts[name];
        let keys = || nodes.iter().step_by(2).map(|key| &texts[key.range()]);
        match &mut self.names {
            Some(names) => names.insert(name.into()),
            None if nodes.len() <= 2 * FIELDS_COMPARED_MAX => keys().all(|key| key != name),
            None => {
                let mut names: HashSet<Box<str>> = keys().map(Box::from).collect();
                let is_new = names.insert(name.into());
                self.names = Some(names);
                is_new
            }
        }
    }
}
