//! Bytes on their way: a stream with what waits on either side of it, and the pieces a body moves in.
//!
//! Both the client's side and the origin's side are peers of one exchange, and the relay moves pieces
//! from one to the other without knowing which is which. Nothing here knows HTTP/1.1's rules
//! (`wire` does) or who is spoken to (`downstream` and `upstream` do).

pub mod buffered;
pub mod buffers;
pub mod frames;
pub mod messages;
pub mod meter;
pub mod metered;

use std::ops::Range;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

pub use buffered::Buffered;
pub use buffers::{Buffers, piece_room};
pub use frames::Frames;
pub use messages::{HeadError, Messages};
pub use meter::{Meter, Offence};
pub use metered::Metered;

use crate::wire::{Refusal, Trailers};

/// One step of a body.
#[derive(Debug)]
pub struct Piece {
    /// What came; may be nothing when only the end came.
    pub data: Data,
    /// Set on the last piece: the trailers, mostly none.
    pub end: Option<Trailers>,
}

/// Where the bytes of a piece are.
#[derive(Debug)]
pub enum Data {
    /// A range of the scratch buffer that the piece was read into; gone after this poll.
    Scratch(Range<usize>),
    /// Bytes of their own.
    Shared(Bytes),
}

impl Piece {
    /// The piece that says only that the body has ended.
    pub fn end() -> Self {
        Self { data: Data::Scratch(0..0), end: Some(Trailers::default()) }
    }

    /// The bytes, given the scratch buffer they were read into.
    pub fn bytes<'a>(&'a self, scratch: &'a [u8]) -> &'a [u8] {
        match &self.data {
            Data::Scratch(range) => &scratch[range.clone()],
            Data::Shared(bytes) => bytes,
        }
    }
}

/// How a peer can fail while a body moves.
#[derive(Debug)]
pub enum Broken {
    /// It closed the connection before the body's end.
    Closed,
    /// It reset the stream.
    Reset(String),
    /// It, or the network, broke the connection off.
    Aborted(String),
    /// TLS ended the connection with an error of its own, such as a client certificate that is refused.
    Tls(String),
    /// It says that it did not process this request at all (GOAWAY, REFUSED_STREAM).
    Unprocessed(String),
    /// It sent what is not HTTP.
    Malformed(Refusal),
    /// It broke the rules of HTTP/2, as the code says that it was told (RFC 9113, section 7).
    Violated(String),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::BrokenPipe => Self::Closed,
            // No socket fails so: it is how TLS says that what came is no good.
            std::io::ErrorKind::InvalidData => Self::Tls(error.to_string()),
            _ => Self::Aborted(error.to_string()),
        }
    }
}

/// One side of an exchange as the relay sees it: a body to read and a body to write.
#[derive(Debug)]
pub enum Peer<'p, S> {
    /// An HTTP/1.1 connection.
    H1(&'p mut Messages<S>),
    /// An HTTP/2 stream.
    H2(&'p mut Frames),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<'_, S> {
    /// The next piece of the body it sends. After the piece with an end, pieces that are only an end.
    pub fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        buffers: &Buffers,
    ) -> Poll<Result<Piece, Broken>> {
        match self {
            Self::H1(messages) => messages.poll_piece(cx, scratch, buffers),
            Self::H2(frames) => frames.poll_piece(cx),
        }
    }

    /// Writes a piece of the body it receives: now as far as it can be, the rest when drained.
    /// Call it only when `poll_drain` was ready or nothing but a head is waiting.
    pub fn push(
        &mut self,
        cx: &mut Context<'_>,
        piece: Piece,
        scratch: &mut [u8],
        buffers: &Buffers,
    ) -> Result<(), Broken> {
        match self {
            Self::H1(messages) => messages.push(cx, piece, scratch, buffers),
            Self::H2(frames) => frames.push(cx, piece, scratch),
        }
    }

    /// Writes what waits; ready when nothing does.
    pub fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Broken>> {
        match self {
            Self::H1(messages) => messages.poll_drain(cx, buffers),
            Self::H2(frames) => frames.poll_drain(cx),
        }
    }

    /// Whether what waits is a head that the first piece of the body should travel with.
    pub fn holds_head(&self) -> bool {
        match self {
            Self::H1(messages) => messages.holds_head(),
            Self::H2(_) => false,
        }
    }
}
