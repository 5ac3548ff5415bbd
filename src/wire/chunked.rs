//! The chunked transfer coding (RFC 9112, section 7.1): a decoder of any split of the bytes, and
//! the pieces an encoder writes.
//!
//! The payload is never copied or held here. Extensions mean nothing to us and are dropped.

use super::{Name, Refusal, fields, parse};

/// Bytes of chunk extensions, with the blanks before them, in one body.
pub const EXTENSION_BYTES_MAX: usize = 4 * 1024;
/// Bytes of the trailer section of one body.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// Lines of the trailer section of one body.
pub const TRAILER_LINES_MAX: usize = 32;
/// What follows the payload of each chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Hexadecimal digits of a size of 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;

/// Reads one chunked body.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// Of the chunk being read: its size, then what is left of it.
    remaining: u64,
    extension_bytes: usize,
    /// The trailer section so far; empty until the first trailer.
    section: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before or among the digits of a size.
    Size { digits: u8 },
    /// In the blanks after a size.
    Blank,
    /// In an extension.
    Extension,
    /// Before the LF of a size line.
    SizeEnd,
    /// In the payload of a chunk.
    Payload,
    /// Before the CR after a payload.
    PayloadCr,
    /// Before the LF after a payload.
    PayloadLf,
    /// In the trailer section, or before the empty line that stands for it.
    Trailers,
    /// Past the end.
    Done,
}

/// What the front of the input is.
#[derive(Debug)]
pub enum Event {
    /// `skip` bytes of framing, then `len` bytes of payload, at least one.
    Data { skip: usize, len: usize },
    /// Framing alone, all of the input; more must come.
    More { consumed: usize },
    /// The body ends with the first `consumed` bytes of the input.
    End { consumed: usize, trailers: Trailers },
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Before the first chunk.
    pub fn new() -> Self {
        let state = State::Size { digits: 0 };
        Self { state, remaining: 0, extension_bytes: 0, section: Vec::new() }
    }

    /// Reads on; the input starts where the last event ended. After [`Event::End`] it takes nothing.
    pub fn next(&mut self, input: &[u8]) -> Result<Event, Refusal> {
        let mut at = 0;
        while at < input.len() {
            match self.state {
                State::Payload => {
                    let rest = input.len() - at;
                    let len = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(rest);
                    self.remaining -= len as u64;
                    if self.remaining == 0 {
                        self.state = State::PayloadCr;
                    }
                    return Ok(Event::Data { skip: at, len });
                }
                State::Trailers => {
                    let (used, trailers) = self.trailers(&input[at..])?;
                    at += used;
                    if let Some(trailers) = trailers {
                        self.state = State::Done;
                        return Ok(Event::End { consumed: at, trailers });
                    }
                }
                State::Done => break,
                _ => {
                    self.state = self.framing(input[at])?;
                    at += 1;
                }
            }
        }
        match self.state {
            State::Done => Ok(Event::End { consumed: 0, trailers: Trailers::default() }),
            _ => Ok(Event::More { consumed: at }),
        }
    }

    /// The state after one byte of framing.
    fn framing(&mut self, byte: u8) -> Result<State, Refusal> {
        match (self.state, byte) {
            (State::Size { digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(Refusal::BadChunk);
                }
                self.remaining = self.remaining << 4 | u64::from(hex_value(byte));
                Ok(State::Size { digits: digits + 1 })
            }
            (State::Size { digits: 0 }, _) => Err(Refusal::BadChunk),
            (State::Size { .. } | State::Blank | State::Extension, b'\r') => Ok(State::SizeEnd),
            (State::Size { .. } | State::Blank, b' ' | b'\t') => self.count(State::Blank),
            (State::Size { .. } | State::Blank, b';') => self.count(State::Extension),
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => self.count(State::Extension),
            (State::SizeEnd, b'\n') if self.remaining == 0 => Ok(State::Trailers),
            (State::SizeEnd, b'\n') => Ok(State::Payload),
            (State::PayloadCr, b'\r') => Ok(State::PayloadLf),
            (State::PayloadLf, b'\n') => Ok(State::Size { digits: 0 }),
            _ => Err(Refusal::BadChunk), // a bare LF among them
        }
    }

    fn count(&mut self, next: State) -> Result<State, Refusal> {
        self.extension_bytes += 1;
        match self.extension_bytes <= EXTENSION_BYTES_MAX {
            true => Ok(next),
            false => Err(Refusal::ExtensionsTooLong),
        }
    }

    /// Collects one line of the trailer section; the trailers once the empty line is there.
    fn trailers(&mut self, input: &[u8]) -> Result<(usize, Option<Trailers>), Refusal> {
        let used = memchr::memchr(b'\n', input).map_or(input.len(), |line_feed| line_feed + 1);
        if self.section.len() + used > TRAILER_BYTES_MAX {
            return Err(Refusal::TrailersTooLarge);
        }
        self.section.extend_from_slice(&input[..used]);
        if !self.section.ends_with(b"\n") {
            return Ok((used, None));
        }
        if !self.section.ends_with(b"\r\n") {
            return Err(Refusal::BadTrailer);
        }
        if self.section != b"\r\n" && !self.section.ends_with(b"\r\n\r\n") {
            return Ok((used, None));
        }
        let mut trailers = Trailers::default();
        if self.section.len() > CHUNK_END.len() {
            for (name, value) in parse::trailer_lines(&self.section, TRAILER_LINES_MAX)? {
                trailers.push(name, value);
            }
        }
        Ok((used, Some(trailers)))
    }
}

/// Fields after a body, as name and value, in order.
///
/// Names that frame, route, authenticate or describe the message, or concern one hop, cannot get
/// in: they mean something only in a head (RFC 9110, section 6.5.1), and a recipient that merges
/// trailers into the head must not be led astray.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers(Vec<(Vec<u8>, Vec<u8>)>);

impl Trailers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// Adds a field, unless its name belongs in a head. Neither part may hold a CR, LF or NUL.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        if !belongs_in_head(Name::of(name)) {
            self.0.push((name.to_vec(), value.to_vec()));
        }
    }
}

fn belongs_in_head(name: Name) -> bool {
    fields::is_hop_by_hop(name)
        || matches!(
            name,
            Name::Authorization
                | Name::CacheControl
                | Name::ContentEncoding
                | Name::ContentLength
                | Name::ContentRange
                | Name::ContentType
                | Name::Cookie
                | Name::Expect
                | Name::Forwarded
                | Name::Host
                | Name::MaxForwards
                | Name::SetCookie
                | Name::Te
                | Name::Trailer
                | Name::XForwardedClientCert
                | Name::XForwardedFor
                | Name::XForwardedHost
                | Name::XForwardedProto
                | Name::XEnvoy
        )
}

/// Writes what stands before the payload of a chunk of `len` bytes; [`CHUNK_END`] comes after it.
/// There are no empty chunks: they would end the body.
pub fn encode_chunk_head(len: usize, out: &mut Vec<u8>) {
    debug_assert!(len > 0);
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[len >> (place * 4) & 0xf]);
    }
    out.extend_from_slice(CHUNK_END);
}

/// Writes the last chunk, the trailers and the empty line.
pub fn encode_end(trailers: &Trailers, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.iter() {
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}
