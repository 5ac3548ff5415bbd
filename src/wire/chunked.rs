//! The chunked transfer coding (RFC 9112, section 7.1): a decoder of any split of the bytes, and
//! the pieces an encoder writes.
//!
//! The payload is never copied or held here. Extensions mean nothing to us and are dropped.

use super::{Refusal, Trailers, parse};

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

#[cfg(test)]
mod tests {
    use super::*;

    /// The payload and the trailers of a body that is given whole.
    fn decode(body: &[u8]) -> Result<(Vec<u8>, Trailers), Refusal> {
        let (mut decoder, mut at, mut payload) = (Decoder::new(), 0, Vec::new());
        loop {
            match decoder.next(&body[at..])? {
                Event::Data { skip, len } => {
                    payload.extend_from_slice(&body[at + skip..][..len]);
                    at += skip + len;
                }
                Event::End { trailers, .. } => return Ok((payload, trailers)),
                Event::More { .. } => panic!("the body is not whole"),
            }
        }
    }

    #[test]
    fn payload_is_found_between_the_framing() {
        for (body, payload) in [
            ("0\r\n\r\n", ""),
            ("3\r\nabc\r\n0\r\n\r\n", "abc"),
            ("3\r\nabc\r\nA\r\n0123456789\r\n00\r\n\r\n", "abc0123456789"),
            ("3 \r\nabc\r\n0\t\r\n\r\n", "abc"),
            ("3;a=\"b;c\"\r\nabc\r\n0 ; d\r\n\r\n", "abc"),
            ("0000000000000003\r\nabc\r\n0\r\n\r\n", "abc"),
            ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        ] {
            let (decoded, trailers) = decode(body.as_bytes()).expect(body);
            assert_eq!(decoded, payload.as_bytes(), "{body}");
            assert!(trailers.is_empty());
        }
    }

    #[test]
    fn malformed_framing_is_refused() {
        for body in [
            "\r\n",
            "\n",
            ";a\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1 1\r\n",
            "g\r\n",
            "1\n",
            "1\r1",
            "1;a\n",
            "1;a\rb",
            "1;\0",
            "1;\u{7f}",
            "1\r\nab",
            "1\r\na\n",
            "1\r\na\r1",
            "1\r\na0\r\n",
            "10000000000000000\r\n",
            "00000000000000001\r\n",
        ] {
            let decoded = decode(body.as_bytes());
            assert_eq!(decoded, Err(Refusal::BadChunk), "{body:?}");
        }
    }

    #[test]
    fn the_largest_size_does_not_overflow() {
        let mut decoder = Decoder::new();
        let event = decoder.next(b"ffffffffffffffff\r\nabc").expect("valid");
        assert!(matches!(event, Event::Data { skip: 18, len: 3 }), "{event:?}");
        assert_eq!(decoder.remaining, u64::MAX - 3);
    }

    #[test]
    fn nothing_after_the_end_is_taken() {
        let mut decoder = Decoder::new();
        let event = decoder.next(b"0\r\n\r\nGET /").expect("valid");
        assert!(matches!(event, Event::End { consumed: 5, .. }), "{event:?}");
        let event = decoder.next(b"GET /").expect("valid");
        assert!(matches!(event, Event::End { consumed: 0, .. }), "{event:?}");
    }

    #[test]
    fn trailers_come_with_the_end_and_go_with_it() {
        let body = "0\r\nGrpc-Status: 0\r\nHost: a\r\nX-Checksum:  a b \r\n\r\n";
        let (_, trailers) = decode(body.as_bytes()).expect("valid");
        let mut out = Vec::new();
        encode_end(&trailers, &mut out);
        assert_eq!(out, b"0\r\nGrpc-Status: 0\r\nX-Checksum: a b\r\n\r\n");
    }

    #[test]
    fn malformed_trailers_are_refused() {
        for body in [
            "0\r\nA: b\n\r\n",
            "0\r\n\n",
            "0\r\nA: b\r\n\n",
            "0\r\nA : b\r\n\r\n",
            "0\r\nA: b\r\n c\r\n\r\n",
            "0\r\nA: \0\r\n\r\n",
            "0\r\nA\r\n\r\n",
            "0\r\nA: b\rc\r\n\r\n",
            "0\r\n: b\r\n\r\n",
        ] {
            assert_eq!(decode(body.as_bytes()), Err(Refusal::BadTrailer), "{body:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_have_limits() {
        let extension = |bytes: usize| format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(bytes - 1));
        assert!(decode(extension(EXTENSION_BYTES_MAX).as_bytes()).is_ok());
        let long = decode(extension(EXTENSION_BYTES_MAX + 1).as_bytes());
        assert_eq!(long, Err(Refusal::ExtensionsTooLong));
        let many = "1;x\r\na\r\n".repeat(EXTENSION_BYTES_MAX);
        assert_eq!(decode(many.as_bytes()), Err(Refusal::ExtensionsTooLong), "they add up");

        let lines = |count: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert!(decode(lines(TRAILER_LINES_MAX).as_bytes()).is_ok());
        let many = decode(lines(TRAILER_LINES_MAX + 1).as_bytes());
        assert_eq!(many, Err(Refusal::TrailersTooLarge));
        let long = format!("0\r\nA: {}", "b".repeat(TRAILER_BYTES_MAX));
        assert_eq!(decode(long.as_bytes()), Err(Refusal::TrailersTooLarge));
    }

    #[test]
    fn sizes_are_written_in_hexadecimal() {
        for (len, text) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0xabcdef, "abcdef\r\n")] {
            let mut out = Vec::new();
            encode_chunk_head(len, &mut out);
            assert_eq!(out, text.as_bytes());
        }
    }
}
