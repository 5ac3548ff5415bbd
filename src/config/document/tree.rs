//! The values of documents and where each of them stands, without the text they came from.
//!
//! A tree is flat: the nodes of a collection follow each other, and all texts are one. Thirty thousand
//! objects stay in memory while they are compiled, so a node is 20 bytes and knows its place, and those of
//! all objects of a file are in two pieces of memory, which go back to the system as a whole.

use std::ops::Range;

use serde_json::Value;
use smallvec::SmallVec;

use crate::config::reading::camel_case;

/// Every value of the documents of a file.
#[derive(Debug, Default)]
pub struct Tree {
    /// The nodes of each collection in their order; of a mapping each key, then its value.
    pub(super) slots: Vec<Slot>,
    /// Keys and texts, one after the other.
    pub(super) texts: String,
}

/// A value with a tree of its own, of which fields can be left out.
#[derive(Debug)]
pub struct Part {
    tree: Tree,
    root: Slot,
}

/// One node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub line: u32,
    pub column: u32,
    /// Of a collection its nodes' place in `slots`, of a text its place in `texts`; of a number half of
    /// its bits.
    pub start: u32,
    /// How many nodes, or bytes; of a number the other half.
    pub length: u32,
    pub kind: Kind,
    pub written: Written,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Null,
    False,
    True,
    /// A whole number from 0.
    Unsigned,
    /// A whole number below 0.
    Negative,
    Float,
    Text,
    List,
    Map,
}

/// Whether a node stands at its place for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Here,
    /// An alias stands there, and what is below it stands at the anchor.
    ByAlias,
    /// It came with a merge key, and stands where the other mapping is.
    ByMerge,
}

/// A place in the text: line and column, both from 1.
pub type Position = (u32, u32);

/// A value, as part of its tree.
#[derive(Debug, Clone, Copy)]
pub struct Node<'t> {
    tree: &'t Tree,
    slot: &'t Slot,
}

impl Slot {
    /// The same as a number of these bits.
    pub fn number(self, bits: u64) -> Self {
        Self { start: bits as u32, length: (bits >> 32) as u32, ..self }
    }

    fn bits(&self) -> u64 {
        u64::from(self.start) | u64::from(self.length) << 32
    }

    pub fn range(&self) -> Range<usize> {
        self.start as usize..self.start as usize + self.length as usize
    }

    fn position(&self) -> Position {
        (self.line, self.column)
    }
}

impl Tree {
    pub(super) fn node<'t>(&'t self, slot: &'t Slot) -> Node<'t> {
        Node { tree: self, slot }
    }
}

impl Part {
    /// A mapping without fields, for a document that lacks the part asked for.
    pub fn empty() -> Self {
        let (kind, written) = (Kind::Map, Written::Here);
        let root = Slot { line: 1, column: 1, start: 0, length: 0, kind, written };
        Self { tree: Tree::default(), root }
    }

    /// A copy in which no two nodes share what is below them, as aliases do.
    pub fn copy(node: Node<'_>) -> Self {
        let mut tree = Tree::default();
        let root = tree.copied(node);
        Self { tree, root }
    }

    /// The whole of it.
    pub fn root(&self) -> Node<'_> {
        self.tree.node(&self.root)
    }

    /// Makes a field absent. Of several fields of that name it is the one that is read.
    ///
    /// `path` leads to the mapping from the root, by indices and names. Nothing happens, and `false` is
    /// the answer, where there is no such field.
    pub fn leave_out(&mut self, path: &[Step], name: &str) -> bool {
        let mut at = Some(self.root());
        for step in path {
            at = at.and_then(|node| match step {
                Step::Entry(index) => node.entry(*index),
                Step::Field(name) => node.field(name),
            });
        }
        let Some(map) = at else { return false };
        let Some(index) = map.field_index(name) else { return false };
        self.tree.slots[index].kind = Kind::Null;
        true
    }
}

impl Tree {
    fn copied(&mut self, node: Node<'_>) -> Slot {
        let mut slot = *node.slot;
        match slot.kind {
            Kind::List | Kind::Map => {
                let inner = node.inner().iter().map(|slot| self.copied(node.tree.node(slot)));
                let inner: SmallVec<[Slot; 16]> = inner.collect();
                slot.start = index(self.slots.len());
                self.slots.extend(inner);
            }
            Kind::Text => {
                slot.start = index(self.texts.len());
                self.texts.push_str(node.text());
            }
            _ => {}
        }
        slot
    }
}

/// A step down a tree.
#[derive(Debug, Clone)]
pub enum Step {
    Entry(usize),
    /// By its name in camelCase, however it is written.
    Field(String),
}

impl<'t> Node<'t> {
    pub fn kind(self) -> Kind {
        self.slot.kind
    }

    pub(super) fn slot(self) -> Slot {
        *self.slot
    }

    pub fn position(self) -> Position {
        self.slot.position()
    }

    pub fn is_null(self) -> bool {
        self.slot.kind == Kind::Null
    }

    pub fn is_list(self) -> bool {
        self.slot.kind == Kind::List
    }

    pub fn is_map(self) -> bool {
        self.slot.kind == Kind::Map
    }

    pub fn as_str(self) -> Option<&'t str> {
        (self.slot.kind == Kind::Text).then(|| self.text())
    }

    /// A whole number from 0.
    pub fn as_u64(self) -> Option<u64> {
        (self.slot.kind == Kind::Unsigned).then(|| self.slot.bits())
    }

    /// A whole number below 0.
    pub fn as_negative(self) -> Option<i64> {
        (self.slot.kind == Kind::Negative).then(|| self.slot.bits() as i64)
    }

    /// A number that is no whole number, or was written as if it were none.
    pub fn as_float(self) -> Option<f64> {
        (self.slot.kind == Kind::Float).then(|| f64::from_bits(self.slot.bits()))
    }

    /// The entries of a list; of anything else, none.
    pub fn entries(self) -> impl ExactSizeIterator<Item = Self> + use<'t> {
        let inner = if self.is_list() { self.inner() } else { &[] };
        inner.iter().map(move |slot| self.tree.node(slot))
    }

    pub fn entry(self, index: usize) -> Option<Self> {
        if !self.is_list() {
            return None;
        }
        self.inner().get(index).map(|slot| self.tree.node(slot))
    }

    /// The fields of a mapping that are not null, as Kubernetes has it, in the order of their names; of
    /// anything else, none.
    pub fn fields(self) -> SmallVec<[(&'t str, Self); 8]> {
        let mut fields: SmallVec<[(&str, Self); 8]> =
            self.pairs().map(|(key, value)| (key.text(), value)).collect();
        fields.retain(|(_, value)| !value.is_null());
        fields.sort_unstable_by_key(|(name, _)| *name);
        fields
    }

    /// The field with exactly this name.
    pub fn get(self, name: &str) -> Option<Self> {
        let (_, value) =
            self.pairs().find(|(key, value)| key.text() == name && !value.is_null())?;
        Some(value)
    }

    /// The field with this name in camelCase, however it is written.
    pub fn field(self, name: &str) -> Option<Self> {
        self.field_index(name).map(|index| self.tree.node(&self.tree.slots[index]))
    }

    /// Where the value of that field is among the tree's slots.
    fn field_index(self, name: &str) -> Option<usize> {
        let found = |is_it: &dyn Fn(&str) -> bool| {
            let mut pairs = self.pairs();
            let pair = pairs.position(|(key, value)| is_it(key.text()) && !value.is_null())?;
            Some(self.slot.start as usize + 2 * pair + 1)
        };
        found(&|key| key == name)
            .or_else(|| found(&|key| key.contains('_') && camel_case(key) == name))
    }

    /// The value at a path such as `spec.http[0].match`; `None` if absent.
    pub fn at(self, path: &str) -> Option<Self> {
        let mut steps = path.split(['.', '[']).filter(|step| !step.is_empty());
        steps.try_fold(self, |node, step| match step.strip_suffix(']') {
            Some(index) => node.entry(index.parse().ok()?),
            None => node.field(step),
        })
    }

    /// Where the value at a path and its key stand; where it is absent, its nearest parent. Of an entry
    /// of a list and of the whole both are the same.
    pub fn locate(self, path: &str) -> (Position, Position) {
        let (mut node, mut rest) = (self, path);
        let mut found = (self.position(), self.position());
        loop {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            if rest.is_empty() || node.slot.written == Written::ByAlias {
                return found;
            }
            let below = match node.kind() {
                Kind::Map => node.pairs().find_map(|(key, value)| {
                    // Keys may have dots in them, so the path is compared with the key, not split at dots.
                    let rest = after(rest, key.text())?;
                    let is_here = key.slot.written != Written::ByMerge;
                    is_here.then_some((key.position(), value, rest))
                }),
                Kind::List => index_of(rest).and_then(|(index, rest)| {
                    let entry = node.entry(index)?;
                    Some((entry.position(), entry, rest))
                }),
                _ => None,
            };
            let Some((key, value, after)) = below else { return found };
            found = (key, value.position());
            (node, rest) = (value, after);
        }
    }

    /// The same for those who take any value as it comes.
    pub fn to_value(self) -> Value {
        match self.slot.kind {
            Kind::Null => Value::Null,
            Kind::False => Value::Bool(false),
            Kind::True => Value::Bool(true),
            Kind::Unsigned => self.slot.bits().into(),
            Kind::Negative => (self.slot.bits() as i64).into(),
            Kind::Float => f64::from_bits(self.slot.bits()).into(),
            Kind::Text => self.text().into(),
            Kind::List => self.entries().map(Self::to_value).collect(),
            Kind::Map => {
                let fields = self.fields().into_iter();
                Value::Object(
                    fields.map(|(name, value)| (name.to_owned(), value.to_value())).collect(),
                )
            }
        }
    }

    /// Keys and values of a mapping, nulls and all, as they were written; of anything else, none.
    pub(super) fn pairs(self) -> impl Iterator<Item = (Self, Self)> + use<'t> {
        let inner = if self.is_map() { self.inner() } else { &[] };
        inner
            .as_chunks()
            .0
            .iter()
            .map(move |[key, value]| (self.tree.node(key), self.tree.node(value)))
    }

    fn inner(self) -> &'t [Slot] {
        &self.tree.slots[self.slot.range()]
    }

    pub(super) fn text(self) -> &'t str {
        &self.tree.texts[self.slot.range()]
    }
}

/// A place in `slots` or `texts`: neither grows beyond that, since nodes are counted and files have a limit.
pub(super) fn index(place: usize) -> u32 {
    u32::try_from(place).expect("counted")
}

/// What follows a key on a path; paths name fields in camelCase, however they are written.
fn after<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let ends = |rest: &&str| rest.is_empty() || rest.starts_with(['.', '[']);
    path.strip_prefix(key).filter(ends).or_else(|| {
        let camel = Some(key).filter(|key| key.contains('_')).map(camel_case)?;
        path.strip_prefix(camel.as_str()).filter(ends)
    })
}

/// `[3].name` as 3 and `.name`.
fn index_of(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}
