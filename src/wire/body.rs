//! A body on the wire: bytes in to payload out, and payload in to bytes out, whatever frames it.
//!
//! Pure: the caller reads and writes.

use std::ops::Range;

use super::chunked::{self, Decoder, Event};
use super::framing::Framing;
use super::{Refusal, Trailers};

/// Reads a body out of the bytes that carry it.
#[derive(Debug)]
pub enum BodyReader {
    /// Nothing, or nothing more.
    Done,
    /// This many bytes are still to come.
    Length(u64),
    /// Chunks are still to come.
    Chunked(Box<Decoder>),
    /// Everything until the stream ends.
    UntilClose,
}

/// What was taken out of some bytes.
#[derive(Debug)]
pub struct Taken {
    /// Where the payload now is, among the bytes given.
    pub data: Range<usize>,
    /// How many of the bytes given belonged to this body, framing included.
    pub consumed: usize,
    /// Set when the body has ended.
    pub end: Option<Trailers>,
}

impl BodyReader {
    /// A reader for a body framed like this.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Empty | Framing::Length(0) | Framing::Tunnel => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Box::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Whether the body has been read to its end.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Takes what belongs to this body out of `bytes`. The payload of several chunks is moved
    /// together, so that a read makes one piece.
    pub fn take(&mut self, bytes: &mut [u8]) -> Result<Taken, Refusal> {
        match self {
            Self::Done => Ok(Taken { data: 0..0, consumed: 0, end: Some(Trailers::default()) }),
            Self::UntilClose => {
                Ok(Taken { data: 0..bytes.len(), consumed: bytes.len(), end: None })
            }
            Self::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                let end = (*left == 0).then(Trailers::default);
                if end.is_some() {
                    *self = Self::Done;
                }
                Ok(Taken { data: 0..count, consumed: count, end })
            }
            Self::Chunked(decoder) => {
                let taken = take_chunks(decoder, bytes)?;
                if taken.end.is_some() {
                    *self = Self::Done;
                }
                Ok(taken)
            }
        }
    }

    /// The stream has ended: whether that is a proper end of this body.
    pub fn may_end_here(&mut self) -> bool {
        let proper = matches!(self, Self::Done | Self::UntilClose);
        *self = Self::Done;
        proper
    }
}

fn take_chunks(decoder: &mut Decoder, bytes: &mut [u8]) -> Result<Taken, Refusal> {
    let (mut consumed, mut data) = (0, 0..0);
    loop {
        match decoder.next(&bytes[consumed..])? {
            Event::Data { skip, len } => {
                let start = consumed + skip;
                consumed = start + len;
                if data.is_empty() {
                    data = start..consumed;
                } else {
                    bytes.copy_within(start..consumed, data.end);
                    data.end += len;
                }
            }
            Event::More { consumed: more } => {
                consumed += more;
                return Ok(Taken { data, consumed, end: None });
            }
            Event::End { consumed: more, trailers } => {
                consumed += more;
                return Ok(Taken { data, consumed, end: Some(trailers) });
            }
        }
    }
}

/// How a body is framed for the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyWriter {
    /// As it is: by length, until close, or nothing at all.
    Plain,
    /// In chunks.
    Chunked,
    /// In chunks, for somebody who takes no trailers (RFC 9110, section 6.5.1).
    ChunkedAlone,
}

/// What goes before and after a piece of payload.
#[derive(Debug, Default)]
pub struct Wrapping {
    /// Before the payload.
    pub before: Vec<u8>,
    /// After it.
    pub after: Vec<u8>,
}

impl BodyWriter {
    /// A writer for a body framed like this.
    pub fn new(framing: Framing) -> Self {
        if framing == Framing::Chunked { Self::Chunked } else { Self::Plain }
    }

    /// The same, but trailers are left out.
    pub fn without_trailers(self) -> Self {
        if self == Self::Chunked { Self::ChunkedAlone } else { self }
    }

    /// What goes around `payload` bytes, and around the end. Trailers only travel with chunks.
    pub fn wrap(self, payload: usize, end: Option<&Trailers>) -> Wrapping {
        let mut wrapping = Wrapping::default();
        if self == Self::Plain {
            return wrapping;
        }
        if payload > 0 {
            chunked::encode_chunk_head(payload, &mut wrapping.before);
            wrapping.after.extend_from_slice(b"\r\n");
        }
        match end {
            Some(trailers) if self == Self::Chunked => {
                chunked::encode_end(trailers, &mut wrapping.after);
            }
            Some(_) => chunked::encode_end(&Trailers::default(), &mut wrapping.after),
            None => {}
        }
        wrapping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body out of `wire`, given in parts of this size; the payload, and whether it ended.
    fn read(framing: Framing, wire: &[u8], part: usize) -> (Vec<u8>, Option<Trailers>) {
        let mut reader = BodyReader::new(framing);
        let (mut waiting, mut payload) = (Vec::new(), Vec::new());
        for bytes in wire.chunks(part) {
            waiting.extend_from_slice(bytes);
            let taken = reader.take(&mut waiting).expect("well-formed");
            payload.extend_from_slice(&waiting[taken.data.clone()]);
            waiting.drain(..taken.consumed);
            if taken.end.is_some() {
                return (payload, taken.end);
            }
        }
        (payload, None)
    }

    #[test]
    fn a_body_is_the_same_however_it_arrives() {
        let chunked = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nx-sum: 5\r\n\r\nGET /";
        for part in 1..=chunked.len() {
            let (payload, end) = read(Framing::Chunked, chunked, part);
            assert_eq!(payload, b"abcde", "{part}");
            let trailers = end.expect("an end");
            assert_eq!(trailers.iter().collect::<Vec<_>>(), [(&b"x-sum"[..], &b"5"[..])]);
            let (payload, end) = read(Framing::Length(5), b"abcdeGET /", part);
            assert!(payload == b"abcde" && end.is_some(), "{part}");
            let (payload, end) = read(Framing::UntilClose, b"abcde", part);
            assert!(payload == b"abcde" && end.is_none(), "{part}");
        }
    }

    #[test]
    fn only_a_body_without_a_frame_may_end_with_the_stream() {
        for (framing, proper) in [
            (Framing::Empty, true),
            (Framing::UntilClose, true),
            (Framing::Length(1), false),
            (Framing::Chunked, false),
        ] {
            assert_eq!(BodyReader::new(framing).may_end_here(), proper, "{framing:?}");
        }
    }

    #[test]
    fn trailers_travel_with_chunks_to_who_takes_them() {
        let mut trailers = Trailers::default();
        trailers.push(b"x-sum", b"5");
        let after = |writer: BodyWriter| writer.wrap(2, Some(&trailers)).after;
        let chunked = BodyWriter::new(Framing::Chunked);
        assert_eq!(after(chunked), b"\r\n0\r\nx-sum: 5\r\n\r\n");
        assert_eq!(after(chunked.without_trailers()), b"\r\n0\r\n\r\n");
        assert_eq!(after(BodyWriter::new(Framing::Length(2))), b"");
    }
}
