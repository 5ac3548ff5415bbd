//! A message head is its lines, in one buffer: no map, nothing lower-cased, nothing reordered.
//!
//! It does not judge what is put into it: heads come from [`super::parse`], from HTTP/2 (whose
//! library has checked them) or from configuration (checked when it was read).

use std::fmt;

use bytes::Bytes;

use super::line::Line;
use super::name::{Name, Names, Seen};

/// Room for lines that a memory begins with; browsers send about 15, origins behind a CDN about 20.
const LINES: usize = 24;

/// A head of so many bytes is copied as a whole for values that are kept. HTTP/2's table of fields keeps some for as
/// long as the connection lives, and may keep a hundred of such copies.
const SHARED_BYTES_MAX: usize = 2 * 1024;

/// The memory of a head: lent to one message after another, so that a head costs no allocation and
/// moves as a few words.
#[derive(Default)]
pub struct HeadMemory {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

impl HeadMemory {
    /// Memory with room for a usual head of up to `bytes`.
    pub fn with_room_for(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), lines: Vec::with_capacity(LINES) }
    }

    /// Bytes that it holds on to, in use or not.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity() + self.lines.capacity() * size_of::<Line>()
    }

    fn cleared(mut self) -> Self {
        self.bytes.clear();
        self.lines.clear();
        self
    }
}

/// The version a message came with; what the gateway writes itself is always HTTP/1.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    Http10,
    Http11,
    Http2,
}

/// The head of a request or of a response.
///
/// Every line stands in the buffer as it is written, and lines that follow each other there are
/// written with one copy. An edited line is put at the end of the buffer; the bytes
/// of the old one stay behind, unused.
pub struct Head {
    buffer: Vec<u8>,
    version: Version,
    start: StartLine,
    lines: Vec<Line>,
    /// The names that lines have, or had.
    seen: Seen,
}

enum StartLine {
    Request { method: Span, target: Span },
    Response { status: u16, reason: Span },
}

/// A range of the buffer; 32 bits, since heads are limited to some KiB wherever they come from.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

impl Head {
    /// A request without lines.
    pub fn request(memory: HeadMemory, version: Version, method: &[u8], target: &[u8]) -> Self {
        let HeadMemory { bytes: mut buffer, lines } = memory.cleared();
        let method = store(&mut buffer, method);
        let target = store(&mut buffer, target);
        Self::begin(buffer, lines, version, StartLine::Request { method, target })
    }

    /// A response without lines.
    pub fn response(memory: HeadMemory, version: Version, status: u16, reason: &[u8]) -> Self {
        let HeadMemory { bytes: mut buffer, lines } = memory.cleared();
        let reason = store(&mut buffer, reason);
        Self::begin(buffer, lines, version, StartLine::Response { status, reason })
    }

    fn begin(buffer: Vec<u8>, lines: Vec<Line>, version: Version, start: StartLine) -> Self {
        Self { buffer, version, start, lines, seen: Seen::default() }
    }

    /// Hands the memory back to whoever lent it.
    pub fn into_memory(self) -> HeadMemory {
        HeadMemory { bytes: self.buffer, lines: self.lines }
    }

    /// The version the message came with.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether this is a request; else it is a response.
    pub fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The method, as written; empty for a response.
    pub fn method(&self) -> &[u8] {
        match self.start {
            StartLine::Request { method, .. } => self.text(method),
            StartLine::Response { .. } => b"",
        }
    }

    /// The request target in the form in which it came; empty for a response.
    pub fn target(&self) -> &[u8] {
        match self.start {
            StartLine::Request { target, .. } => self.text(target),
            StartLine::Response { .. } => b"",
        }
    }

    /// Replaces the request target; a response has none and stays as it is.
    pub fn set_target(&mut self, text: &[u8]) {
        debug_assert!(!breaks_line(text));
        if let StartLine::Request { target, .. } = &mut self.start {
            *target = store(&mut self.buffer, text);
        }
    }

    /// The target without its query and without a fragment.
    pub fn path(&self) -> &[u8] {
        let target = self.target();
        &target[..memchr::memchr2(b'?', b'#', target).unwrap_or(target.len())]
    }

    /// The status code; 0 for a request.
    pub fn status(&self) -> u16 {
        match self.start {
            StartLine::Request { .. } => 0,
            StartLine::Response { status, .. } => status,
        }
    }

    /// The reason phrase, often empty.
    pub fn reason(&self) -> &[u8] {
        match self.start {
            StartLine::Request { .. } => b"",
            StartLine::Response { reason, .. } => self.text(reason),
        }
    }

    /// Every line, as name and value, in order.
    pub fn lines(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.lines.iter().map(|line| (line.name_in(&self.buffer), line.value_in(&self.buffer)))
    }

    /// Every line, with a value of its own: parts of one copy, unless the head is long. Whoever keeps one value keeps
    /// that copy.
    pub fn lines_to_keep(&self) -> impl Iterator<Item = (&[u8], Bytes)> {
        let is_short = self.buffer.len() <= SHARED_BYTES_MAX;
        let copy = is_short.then(|| Bytes::copy_from_slice(&self.buffer));
        self.lines.iter().map(move |line| {
            let value = line.value_in(&self.buffer);
            let kept = match &copy {
                Some(copy) => copy.slice(line.value_range()),
                None => Bytes::copy_from_slice(value),
            };
            (line.name_in(&self.buffer), kept)
        })
    }

    /// Every line with its name recognised: for passes that look at several names at once.
    pub fn recognised(&self) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
        self.lines
            .iter()
            .map(|line| (line.known, line.name_in(&self.buffer), line.value_in(&self.buffer)))
    }

    /// The value of the first line of a known name.
    pub fn find(&self, name: Name) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The values of all lines of a known name, in order.
    pub fn all(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let lines = if self.may_have(name) { &self.lines[..] } else { &[] };
        let lines = lines.iter().filter(move |line| line.known == name);
        lines.map(|line| line.value_in(&self.buffer))
    }

    /// Whether one of these names may be among the lines: false is certain, true is not, since a name
    /// is remembered when its lines are removed. It costs a comparison, where looking costs a pass.
    pub fn may_have_any(&self, names: Names) -> bool {
        self.seen.once.meets(names)
    }

    /// Whether more than one line has this known name.
    pub fn has_several(&self, name: Name) -> bool {
        self.seen.again.meets(Names::of(&[name])) && self.all(name).nth(1).is_some()
    }

    fn may_have(&self, name: Name) -> bool {
        self.may_have_any(Names::of(&[name]))
    }

    /// The value of the first line of any name; case does not count.
    pub fn find_named(&self, name: &[u8]) -> Option<&[u8]> {
        let known = Name::of(name);
        if !self.may_have(known) {
            return None;
        }
        let line = self.lines.iter().find(|line| line.is_named(known, name, &self.buffer))?;
        Some(line.value_in(&self.buffer))
    }

    /// Adds a line at the end. Neither part may hold a CR, LF or NUL; the value has no outer blanks.
    pub fn append(&mut self, name: &[u8], value: &[u8]) {
        let line = self.store_line(Name::of(name), name, value);
        self.push(line);
    }

    /// Puts a line in the place of the first of that name and removes the others; appends it when
    /// there is none.
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        let known = Name::of(name);
        let new = self.store_line(known, name, value);
        if !self.may_have(known) {
            return self.push(new);
        }
        let buffer = &self.buffer;
        let mut lines = self.lines.iter();
        let Some(first) = lines.position(|line| line.is_named(known, name, buffer)) else {
            return self.push(new);
        };
        let mut indices = 0..;
        self.lines
            .retain(|line| indices.next() <= Some(first) || !line.is_named(known, name, buffer));
        self.lines[first] = new;
    }

    /// Removes every line of that name; case does not count.
    pub fn remove(&mut self, name: &[u8]) {
        let known = Name::of(name);
        if !self.may_have(known) {
            return;
        }
        let buffer = &self.buffer;
        self.lines.retain(|line| !line.is_named(known, name, buffer));
    }

    /// Keeps the lines for which `keep(recognised name, name, value)` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(Name, &[u8], &[u8]) -> bool) {
        let buffer = &self.buffer;
        self.lines.retain(|line| keep(line.known, line.name_in(buffer), line.value_in(buffer)));
    }

    /// Writes `METHOD target HTTP/1.1`, the lines and the empty line.
    pub fn write_request(&self, out: &mut Vec<u8>) {
        out.reserve(self.buffer.len() + START_LINE_EXTRA);
        out.extend_from_slice(self.method());
        out.push(b' ');
        out.extend_from_slice(self.target());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        self.write_lines(out);
    }

    /// Writes `HTTP/1.1 status reason`, the lines and the empty line.
    pub fn write_response(&self, out: &mut Vec<u8>) {
        out.reserve(self.buffer.len() + START_LINE_EXTRA);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(self.status()).as_bytes());
        out.push(b' '); // present even when the reason is empty (RFC 9112, section 4)
        out.extend_from_slice(self.reason());
        out.extend_from_slice(b"\r\n");
        self.write_lines(out);
    }

    /// Adds the lines of `text`, of which they are parts. The text is copied as a whole, and a line
    /// that stands in it as it is to be written is used where it stands.
    pub(super) fn adopt<'a>(
        &mut self,
        text: &'a [u8],
        lines: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) {
        let Self { buffer, seen, .. } = self;
        let base = buffer.len();
        buffer.extend_from_slice(text);
        self.lines.extend(lines.map(|(name, value)| {
            let known = Name::of(name);
            seen.note(known);
            match Line::position_as_written(text, name, value) {
                Some(at) => Line::at(base + at, known, name, value),
                None => Line::write(buffer, known, name, value),
            }
        }));
    }

    fn push(&mut self, line: Line) {
        self.seen.note(line.known);
        self.lines.push(line);
    }

    fn write_lines(&self, out: &mut Vec<u8>) {
        let mut run = 0..0;
        for line in &self.lines {
            let written = line.range();
            if written.start == run.end {
                run.end = written.end;
            } else {
                out.extend_from_slice(&self.buffer[run]);
                run = written;
            }
        }
        out.extend_from_slice(&self.buffer[run]);
        out.extend_from_slice(b"\r\n");
    }

    fn store_line(&mut self, known: Name, name: &[u8], value: &[u8]) -> Line {
        debug_assert!(!breaks_line(name) && !breaks_line(value));
        Line::write(&mut self.buffer, known, name, value)
    }

    fn text(&self, span: Span) -> &[u8] {
        &self.buffer[span.start as usize..][..span.len as usize]
    }
}

/// More than any start line adds to its method and target, or reason, and the empty line.
const START_LINE_EXTRA: usize = 32;

/// The start line and the names; values may be secrets.
impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            StartLine::Request { method, target } => write!(
                f,
                "{} {}",
                self.text(method).escape_ascii(),
                self.text(target).escape_ascii()
            )?,
            StartLine::Response { status, .. } => write!(f, "{status}")?,
        }
        self.lines().try_for_each(|(name, _)| write!(f, ", {}", name.escape_ascii()))
    }
}

fn store(buffer: &mut Vec<u8>, text: &[u8]) -> Span {
    let start = buffer.len() as u32;
    buffer.extend_from_slice(text);
    Span { start, len: text.len() as u32 }
}

fn breaks_line(text: &[u8]) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, text).is_some()
}
