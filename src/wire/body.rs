//! A body on the wire: bytes in to payload out, and payload in to bytes out, whatever frames it.
//!
//! Pure: the caller reads and writes.

use std::ops::Range;

use super::Refusal;
use super::chunked::{self, Decoder, Event, Trailers};
use super::framing::Framing;

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
        if let Some(trailers) = end {
            chunked::encode_end(trailers, &mut wrapping.after);
        }
        wrapping
    }
}
