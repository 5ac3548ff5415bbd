//! One line of a head: where `name: value CR LF` stands in the head's buffer.
//!
//! It knows neither the other lines nor the buffer, which is handed in.

use std::ops::Range;

use super::Name;

const SEPARATOR: &[u8; 2] = b": ";
const LINE_END: &[u8; 2] = b"\r\n";

/// The place of a line; 32 bits do, since heads are limited to some KiB wherever they come from.
#[derive(Clone, Copy)]
pub(super) struct Line {
    start: u32,
    name_len: u32,
    value_len: u32,
    pub(super) known: Name,
}

impl Line {
    /// A line that stands at `start`, as it is written.
    pub(super) fn at(start: usize, known: Name, name: &[u8], value: &[u8]) -> Self {
        let (name_len, value_len) = (name.len() as u32, value.len() as u32);
        Self { start: start as u32, name_len, value_len, known }
    }

    /// Writes a line to the end of the buffer.
    pub(super) fn write(buffer: &mut Vec<u8>, known: Name, name: &[u8], value: &[u8]) -> Self {
        let line = Self::at(buffer.len(), known, name, value);
        buffer.reserve(name.len() + SEPARATOR.len() + value.len() + LINE_END.len());
        for part in [name, &SEPARATOR[..], value, &LINE_END[..]] {
            buffer.extend_from_slice(part);
        }
        line
    }

    /// Where `name: value CR LF` stands in `text`, if these parts of it stand there like that.
    pub(super) fn position_as_written(text: &[u8], name: &[u8], value: &[u8]) -> Option<usize> {
        let offset = |part: &[u8]| part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        let (at, value_at) = (offset(name), offset(value));
        let after_name = text.get(at..)?.get(name.len()..)?;
        let after_value = text.get(value_at..)?.get(value.len()..)?;
        let written = value_at == at + name.len() + SEPARATOR.len()
            && after_name.first_chunk() == Some(SEPARATOR)
            && after_value.first_chunk() == Some(LINE_END);
        written.then_some(at)
    }

    pub(super) fn name_in(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.start as usize..][..self.name_len as usize]
    }

    pub(super) fn value_in(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.value_range()]
    }

    pub(super) fn value_range(self) -> Range<usize> {
        let start = self.value_start();
        start..start + self.value_len as usize
    }

    /// The whole line, with its end.
    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.value_start() + self.value_len as usize + LINE_END.len()
    }

    pub(super) fn is_named(self, known: Name, name: &[u8], buffer: &[u8]) -> bool {
        self.known == known
            && (known.is_one_name() || self.name_in(buffer).eq_ignore_ascii_case(name))
    }

    fn value_start(self) -> usize {
        self.start as usize + self.name_len as usize + SEPARATOR.len()
    }
}
