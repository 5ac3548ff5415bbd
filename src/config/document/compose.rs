//! A parser's events become a tree: what aliases, merge keys and tags stand for is settled here, and so
//! are the limits of one document.
//!
//! An alias shares the nodes of its anchor, so that a document takes no more memory than its text asks
//! for; whoever walks it walks them each time, and so each time counts towards the limit.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use super::scalar::{self, Scalar};
use super::tree::{Kind, Slot, Tree, Written, index};

/// Nodes (mappings, lists and values) of one document: room for 100,000 hosts several times over.
const NODES_MAX: usize = 1_000_000;
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

/// Reads the one document of a text that begins on a line; `None`: it says nothing.
pub fn compose(text: &str, first_line: u32) -> Result<Option<Tree>, ReadError> {
    let mut composer = Composer { first_line, ..Composer::default() };
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| composer.unreadable(&error))?;
        composer.take(event, span.start)?;
    }
    Ok(composer.finish())
}

#[derive(Default)]
struct Composer {
    first_line: u32,
    slots: Vec<Slot>,
    texts: String,
    /// Nodes of collections that have not ended.
    pending: Vec<Slot>,
    open: Vec<Open>,
    root: Option<Slot>,
    anchors: HashMap<usize, Anchored>,
    aliases: usize,
    /// Nodes so far, those below aliases as often as they are met.
    nodes: usize,
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
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(self.wrong(mark, "a second document; begin it with a line ---"))
            }
            _ => Ok(()), // beginnings and ends, and comments
        }
    }

    fn finish(self) -> Option<Tree> {
        let root = self.root.filter(|root| root.kind != Kind::Null)?;
        let Self { mut slots, mut texts, .. } = self;
        slots.shrink_to_fit();
        texts.shrink_to_fit();
        Some(Tree { slots, texts, root })
    }

    /// Whether the next node is a key.
    fn is_key(&self) -> bool {
        let Some(open) = self.open.last() else { return false };
        open.slot.kind == Kind::Map && (self.pending.len() - open.first).is_multiple_of(2)
    }

    fn slot(&self, kind: Kind, mark: Marker) -> Slot {
        let line = self.first_line - 1 + mark.line() as u32;
        let column = mark.col() as u32 + 1;
        Slot { line, column, start: 0, length: 0, kind, written: Written::Here }
    }

    fn text(&mut self, text: &str, mark: Marker) -> Slot {
        let slot = self.slot(Kind::Text, mark);
        let start = index(self.texts.len());
        self.texts.push_str(text);
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
        let open = self.open.last_mut().expect("a key is inside a mapping");
        if text == "<<" && style == ScalarStyle::Plain && tag.is_none() {
            open.merges = true; // there may be several
            slot.written = Written::ByMerge;
        } else if !open.is_new(text, &self.pending[open.first..], &self.texts) {
            let message = format!("the same key twice in one mapping: {text}");
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
        match self.open.is_empty() {
            true => self.root = Some(slot),
            false => self.pending.push(slot),
        }
    }

    fn begin(&mut self, kind: Kind, anchor: usize, mark: Marker) -> Result<(), ReadError> {
        if self.is_key() {
            return Err(self.wrong(mark, "a key must be a text"));
        }
        if self.open.len() == DEPTH_MAX {
            return Err(self.too_deep(mark));
        }
        let nodes_before = self.nodes;
        self.count(1, mark)?;
        self.open.push(Open {
            slot: self.slot(kind, mark),
            anchor,
            first: self.pending.len(),
            nodes_before,
            height: 1,
            names: None,
            merges: false,
        });
        Ok(())
    }

    fn end(&mut self, mark: Marker) -> Result<(), ReadError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let Open { mut slot, anchor, first, nodes_before, height, .. } = open;
        if open.merges {
            self.merge(first, mark)?;
        }
        slot.start = index(self.slots.len());
        slot.length = index(self.pending.len() - first);
        self.slots.extend(self.pending.drain(first..));
        self.grow(height + 1);
        let nodes = self.nodes - nodes_before;
        self.remember(anchor, Anchored { slot, nodes, height }, mark)?;
        self.put(slot);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, mark: Marker) -> Result<(), ReadError> {
        let Some(Anchored { slot, nodes, height }) = self.anchors.get(&anchor) else {
            return Err(self.wrong(mark, "an alias inside of what it stands for"));
        };
        let (slot, nodes, height) = (*slot, *nodes, *height);
        self.aliases += 1;
        if self.aliases > ANCHORS_MAX {
            return Err(self.wrong(mark, format!("more than {ANCHORS_MAX} aliases")));
        }
        if self.open.len() + height > DEPTH_MAX {
            return Err(self.too_deep(mark));
        }
        if self.is_key() {
            return match slot.kind {
                Kind::Text => {
                    let text = self.texts[slot.range()].to_owned();
                    self.key(&text, ScalarStyle::DoubleQuoted, None, mark, 0)
                }
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
        let written: Vec<Slot> = self.pending.drain(first..).collect();
        let (mut names, mut merged) = (HashSet::new(), Vec::new());
        for [key, value] in written.as_chunks().0 {
            if key.written == Written::ByMerge {
                merged.extend(self.mappings(value)?);
            } else {
                names.insert(self.texts[key.range()].to_owned());
                self.pending.extend([*key, *value]);
            }
        }
        for mapping in merged {
            for [key, value] in self.slots[mapping.range()].to_vec().as_chunks().0 {
                if names.insert(self.texts[key.range()].to_owned()) {
                    self.count(2, mark)?;
                    self.pending.extend([Slot { written: Written::ByMerge, ..*key }, *value]);
                }
            }
        }
        Ok(())
    }

    /// The mappings that a merge key's value names.
    fn mappings(&self, value: &Slot) -> Result<Vec<Slot>, ReadError> {
        let mappings = match value.kind {
            Kind::List => self.slots[value.range()].to_vec(),
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
        self.anchors.insert(anchor, node);
        if self.anchors.len() > ANCHORS_MAX {
            return Err(self.wrong(mark, format!("more than {ANCHORS_MAX} anchors")));
        }
        Ok(())
    }

    /// The collection under way has one in it of this height, itself included.
    fn grow(&mut self, height: usize) {
        if let Some(open) = self.open.last_mut() {
            open.height = open.height.max(height);
        }
    }

    fn count(&mut self, nodes: usize, mark: Marker) -> Result<(), ReadError> {
        self.nodes += nodes;
        match self.nodes > NODES_MAX {
            true => Err(self.wrong(mark, format!("more than {NODES_MAX} values"))),
            false => Ok(()),
        }
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
    fn is_new(&mut self, name: &str, nodes: &[Slot], texts: &str) -> bool {
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
