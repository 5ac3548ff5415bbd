//! Walks down a YAML text's events to the place of a value.
//!
//! It keeps no tree: a text is walked when a problem needs a place, and not otherwise.

use std::ops::Range;

use granit_parser::{Event, Marker, Parser, StrInput};

use crate::config::protojson::camel_case;

/// A walk down the parser's events along a path.
pub struct Walk<'text> {
    parser: Parser<'text, StrInput<'text>>,
    /// Key and value of the deepest part of the path that was met.
    pub found: Option<(Marker, Marker)>,
}

/// An entry of a list.
pub struct Entry {
    pub start: Marker,
    /// Its text; `None` when the parser does not know.
    pub bytes: Option<Range<usize>>,
}

impl<'text> Walk<'text> {
    pub fn new(text: &'text str) -> Self {
        Self { parser: Parser::new_from_str(text), found: None }
    }

    pub fn document(&mut self, path: &str) -> Option<()> {
        loop {
            let (event, start) = self.next()?;
            if event.is_node() {
                self.found = Some((start, start));
                return self.node(&event, path);
            }
        }
    }

    /// Goes on below a node that has just begun. `None`: the path ends here, or the text does.
    fn node(&mut self, event: &Event<'text>, path: &str) -> Option<()> {
        let path = path.strip_prefix('.').unwrap_or(path);
        if path.is_empty() {
            return None;
        }
        match event {
            Event::MappingStart(..) => self.mapping(path),
            Event::SequenceStart(..) => self.sequence(path),
            _ => None,
        }
    }

    fn mapping(&mut self, path: &str) -> Option<()> {
        loop {
            let (key, key_start) = self.next()?;
            if matches!(key, Event::MappingEnd) {
                return None;
            }
            // Keys may have dots in them, so the path is compared with the key, not split at dots.
            let rest = key.scalar().and_then(|(name, _)| after(path, name));
            self.skip(&key)?;
            let (value, value_start) = self.next()?;
            match rest {
                Some(rest) => {
                    self.found = Some((key_start, value_start));
                    return self.node(&value, rest);
                }
                None => self.skip(&value)?,
            }
        }
    }

    /// Where each entry of a list stands.
    pub fn entries_of(&mut self, path: &str) -> Vec<Entry> {
        let mut entries = Vec::new();
        let _ = self.document(path); // stops at the list, which is entered below
        while let Some(Ok((event, span))) = self.parser.next_event() {
            let mut end = span.end;
            let mut depth = nesting(&event);
            while depth > 0 {
                let Some(Ok((inner, span))) = self.parser.next_event() else { return entries };
                depth += nesting(&inner);
                end = span.end;
            }
            if depth < 0 {
                break;
            }
            let bytes = span.start.byte_offset().zip(end.byte_offset());
            entries.push(Entry { start: span.start, bytes: bytes.map(|(start, end)| start..end) });
        }
        entries
    }

    fn sequence(&mut self, path: &str) -> Option<()> {
        let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
        let index: usize = index.parse().ok()?;
        for position in 0.. {
            let (entry, start) = self.next()?;
            if matches!(entry, Event::SequenceEnd) {
                return None;
            }
            if position == index {
                self.found = Some((start, start));
                return self.node(&entry, rest);
            }
            self.skip(&entry)?;
        }
        None
    }

    /// Calls `add` for every mapping in a list at or below a node that has just begun.
    pub fn entries(
        &mut self,
        event: &Event<'text>,
        path: &mut String,
        add: &mut impl FnMut(&str, Marker),
    ) -> Option<()> {
        let length = path.len();
        let mut index = 0;
        loop {
            let (first, start) = match nesting(event) {
                1 => self.next()?,
                _ => return Some(()),
            };
            let node = match (event, &first) {
                (_, Event::MappingEnd | Event::SequenceEnd) => return Some(()),
                (Event::MappingStart(..), key) => {
                    if let Some((name, _)) = key.scalar() {
                        path.push('.');
                        path.push_str(name);
                    }
                    self.skip(key)?;
                    self.next()?.0
                }
                _ => {
                    path.push_str(&format!("[{index}]"));
                    index += 1;
                    first
                }
            };
            if matches!((event, &node), (Event::SequenceStart(..), Event::MappingStart(..))) {
                add(path.trim_start_matches('.'), start);
            }
            self.entries(&node, path, add)?;
            path.truncate(length);
        }
    }

    /// Passes over the rest of a node that has just begun.
    fn skip(&mut self, event: &Event<'text>) -> Option<()> {
        let mut depth = nesting(event);
        while depth > 0 {
            depth += nesting(&self.next()?.0);
        }
        Some(())
    }

    pub fn next(&mut self) -> Option<(Event<'text>, Marker)> {
        let (event, span) = self.parser.next_event()?.ok()?;
        Some((event, span.start))
    }
}

/// What follows a key on a path; paths name fields in camelCase, however they are written.
fn after<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let ends = |rest: &&str| rest.is_empty() || rest.starts_with(['.', '[']);
    path.strip_prefix(key).filter(ends).or_else(|| {
        let camel = Some(camel_case(key)).filter(|camel| camel != key)?;
        path.strip_prefix(camel.as_str()).filter(ends)
    })
}

/// How an event changes the depth.
fn nesting(event: &Event<'_>) -> i32 {
    match event {
        Event::MappingStart(..) | Event::SequenceStart(..) => 1,
        Event::MappingEnd | Event::SequenceEnd => -1,
        _ => 0,
    }
}
