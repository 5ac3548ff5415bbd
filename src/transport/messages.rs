//! HTTP/1.1 messages over a byte stream: heads and bodies in, heads and bodies out.
//!
//! `wire` says what the bytes mean; this says when they are read and written. The client's side and
//! the origin's differ only in which head they parse and which stream they speak over.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Broken, Buffered, Buffers, Data, Piece, piece_room};
use crate::wire::body::{BodyReader, BodyWriter, Taken};
use crate::wire::parse::{HeadLimits, Parsed, is_worth_reading};
use crate::wire::{Framing, Head, HeadMemory, Refusal};

/// Bytes of a body that are held before anybody wants it.
const AHEAD_BYTES_MAX: usize = 16 * 1024;

/// One HTTP/1.1 connection, from either end.
#[derive(Debug)]
pub struct Messages<S> {
    io: Buffered<S>,
    reader: BodyReader,
    writer: BodyWriter,
    held: Held,
    ahead: Ahead,
}

/// What is known of the bytes that were read but not consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ahead {
    /// They were not looked at.
    Unknown,
    /// They are a head that has not come to its end.
    Unfinished,
}

/// Whether what waits to be written is a head alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Head,
    Nothing,
}

/// Why no head came.
#[derive(Debug)]
pub enum HeadError {
    /// The stream ended before the first byte of one.
    Closed,
    /// The stream ended or broke within one.
    Truncated(io::Error),
    /// What came is refused.
    Refused(Refusal),
}

/// Parses a request's or a response's head.
type ParseHead = fn(&[u8], &HeadLimits, &mut HeadMemory) -> Result<Parsed, Refusal>;

impl<S: AsyncRead + AsyncWrite + Unpin> Messages<S> {
    /// Speaks HTTP/1.1 over a stream.
    pub fn new(stream: S) -> Self {
        Self {
            io: Buffered::new(stream),
            reader: BodyReader::Done,
            writer: BodyWriter::Plain,
            held: Held::Nothing,
            ahead: Ahead::Unknown,
        }
    }

    /// The stream below.
    pub fn stream(&self) -> &S {
        self.io.stream()
    }

    /// Parts with the stream and the bytes that were read too early.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        self.io.into_parts()
    }

    /// Bytes that were read but not consumed.
    pub fn unread(&self) -> &[u8] {
        self.io.unread()
    }

    /// Whether the last body was read to its end, and everything written has left.
    pub fn is_clean(&self) -> bool {
        self.reader.is_done() && self.io.unread().is_empty() && !self.io.is_blocked()
    }

    /// The next head.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        parse: ParseHead,
        limits: &HeadLimits,
        buffers: &Buffers,
    ) -> Poll<Result<Head, HeadError>> {
        if self.ahead == Ahead::Unknown && !self.io.unread().is_empty() {
            let parsed = parse_lent(self.io.unread(), parse, limits, buffers)?;
            if let Parsed::Complete { head, consumed } = parsed {
                self.io.consume(consumed, buffers);
                return Poll::Ready(Ok(head));
            }
            self.ahead = Ahead::Unfinished;
        }
        loop {
            let known = self.io.unread().len();
            let mut scratch = buffers.scratch();
            let room = piece_room(&scratch);
            let count = match ready!(self.io.poll_more(cx, &mut scratch[room.clone()])) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && known == 0 => {
                    return Poll::Ready(Err(HeadError::Closed));
                }
                Err(error) => return Poll::Ready(Err(HeadError::Truncated(error))),
            };
            let bytes = &scratch[room][..count];
            if known == 0 || is_worth_reading(bytes, known, limits) {
                let parsed = parse_lent(bytes, parse, limits, buffers)?;
                if let Parsed::Complete { head, consumed } = parsed {
                    self.ahead = Ahead::Unknown;
                    self.io.keep(&bytes[consumed..], buffers);
                    return Poll::Ready(Ok(head));
                }
            }
            self.ahead = Ahead::Unfinished;
            self.io.keep(bytes, buffers);
        }
    }

    /// Reads what follows the head as a body framed like this.
    pub fn expect_body(&mut self, framing: Framing) {
        self.reader = BodyReader::new(framing);
    }

    /// Writes a head, to travel with the first piece of its body, which is framed like this.
    pub fn hold_head(
        &mut self,
        framing: Framing,
        buffers: &Buffers,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        write(self.io.queue(buffers));
        self.io.forget_written();
        self.writer = BodyWriter::new(framing);
        self.held = Held::Head;
    }

    /// Whether any byte has left since the last head was written.
    pub fn has_written(&self) -> bool {
        self.io.has_written()
    }

    /// Leaves the trailers out of the body that is being written.
    pub fn leave_out_trailers(&mut self) {
        self.writer = self.writer.without_trailers();
    }

    /// Writes bytes that nothing should wait for: an interim response, a reply of our own.
    pub fn queue(&mut self, buffers: &Buffers, write: impl FnOnce(&mut Vec<u8>)) {
        write(self.io.queue(buffers));
    }

    /// Says that nothing more will be written.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_shutdown(cx)
    }

    /// Reads and throws away; ready at the end of the stream.
    pub fn poll_discard(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<()> {
        let mut scratch = buffers.scratch();
        loop {
            match ready!(self.io.poll_fill(cx, &mut scratch, buffers)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Reads more without consuming anything of it. Errors: those of the stream; `UnexpectedEof`, it has ended.
    pub fn poll_look(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<io::Result<()>> {
        let mut scratch = buffers.scratch();
        let room = piece_room(&scratch);
        let count = ready!(self.io.poll_more(cx, &mut scratch[room.clone()]))?;
        self.io.keep(&scratch[room][..count], buffers);
        Poll::Ready(Ok(()))
    }

    /// Looks whether the other end has left, without consuming what it may have sent ahead.
    /// Ready only when it has.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<()> {
        if !self.io.unread().is_empty() || !self.reader.is_done() {
            return Poll::Pending;
        }
        let mut scratch = buffers.scratch();
        let room = piece_room(&scratch);
        match ready!(self.io.poll_fill(cx, &mut scratch[room.clone()], buffers)) {
            Ok(0) | Err(_) => Poll::Ready(()),
            Ok(count) => {
                self.io.keep(&scratch[room][..count], buffers);
                Poll::Pending
            }
        }
    }

    /// The same while nothing of its body is wanted yet: reads so far ahead, and no further, to see
    /// whether the end stands behind it.
    pub fn poll_gone_ahead(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<()> {
        let mut scratch = buffers.scratch();
        while self.io.unread().len() < AHEAD_BYTES_MAX {
            match ready!(self.io.poll_more(cx, &mut scratch[..AHEAD_BYTES_MAX])) {
                Ok(count) => self.io.keep(&scratch[..count], buffers),
                Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// See [`super::Peer::poll_piece`].
    pub fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        buffers: &Buffers,
    ) -> Poll<Result<Piece, Broken>> {
        if self.reader.is_done() {
            return Poll::Ready(Ok(Piece::end()));
        }
        let room = piece_room(scratch);
        loop {
            let room = &mut scratch[room.clone()];
            let count = ready!(self.io.poll_fill(cx, room, buffers))?;
            if count == 0 {
                return Poll::Ready(if self.reader.may_end_here() {
                    Ok(Piece::end())
                } else {
                    Err(Broken::Closed)
                });
            }
            let taken = self.reader.take(&mut room[..count]).map_err(Broken::Malformed)?;
            if taken.consumed < count {
                self.io.keep(&room[taken.consumed..count], buffers);
            }
            let Taken { data, end, .. } = taken;
            if !data.is_empty() || end.is_some() {
                let start = piece_room(scratch).start;
                let data = Data::Scratch(start + data.start..start + data.end);
                return Poll::Ready(Ok(Piece { data, end }));
            }
        }
    }

    /// See [`super::Peer::push`].
    pub fn push(
        &mut self,
        cx: &mut Context<'_>,
        piece: Piece,
        scratch: &mut [u8],
        buffers: &Buffers,
    ) -> Result<(), Broken> {
        self.held = Held::Nothing;
        let around = self.writer.wrap(piece.bytes(scratch).len(), piece.end.as_ref());
        let (before, after) = (&around.before, &around.after);
        let sent = match piece.data {
            Data::Scratch(data) => self.io.send_lent(cx, scratch, data, [before, after], buffers),
            Data::Shared(bytes) => {
                let room = piece_room(scratch);
                let alone = before.is_empty() && !self.io.is_blocked();
                if alone || bytes.len() > room.len() {
                    self.io.send(cx, [before, &bytes, after], buffers)
                } else {
                    // Less than a write and a TLS record for each part would cost.
                    let data = room.start..room.start + bytes.len();
                    scratch[data.clone()].copy_from_slice(&bytes);
                    self.io.send_lent(cx, scratch, data, [before, after], buffers)
                }
            }
        };
        Ok(sent?)
    }

    /// See [`super::Peer::poll_drain`].
    pub fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<Result<(), Broken>> {
        self.held = Held::Nothing;
        self.io.poll_drain(cx, buffers).map_err(Broken::from)
    }

    /// See [`super::Peer::holds_head`].
    pub fn holds_head(&self) -> bool {
        self.held == Held::Head
    }
}

/// Parses into memory that the lane lends; a head that is complete keeps it.
fn parse_lent(
    bytes: &[u8],
    parse: ParseHead,
    limits: &HeadLimits,
    buffers: &Buffers,
) -> Result<Parsed, HeadError> {
    let mut memory = buffers.lend_head();
    let parsed = parse(bytes, limits, &mut memory);
    if !matches!(parsed, Ok(Parsed::Complete { .. })) {
        buffers.give_back_head(memory);
    }
    parsed.map_err(HeadError::Refused)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::task::Waker;

    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::wire::parse;

    /// More than is read at once: nothing of it is lost where a body ends in its midst.
    #[tokio::test]
    async fn requests_that_are_sent_ahead_of_their_turn_all_come() {
        let limits = HeadLimits { bytes: 64 * 1024, lines: 100 };
        for (framing, body) in [
            (Framing::Length(10), "0123456789"),
            (Framing::Chunked, "a\r\n0123456789\r\n0\r\n\r\n"),
        ] {
            let mut sent = format!("POST / HTTP/1.1\r\nhost: a\r\n\r\n{body}");
            (0..5_000).for_each(|n| write!(sent, "GET /{n} HTTP/1.1\r\n\r\n").expect("memory"));
            let buffers = Buffers::default();
            let mut cx = Context::from_waker(Waker::noop());
            let (stream, mut client) = tokio::io::duplex(1024 * 1024);
            client.write_all(sent.as_bytes()).await.expect("room");
            let mut messages = Messages::new(stream);
            let mut next = |messages: &mut Messages<_>| match messages.poll_head(
                &mut cx,
                parse::request,
                &limits,
                &buffers,
            ) {
                Poll::Ready(Ok(head)) => String::from_utf8_lossy(head.target()).into_owned(),
                other => panic!("no head: {other:?}"),
            };
            assert_eq!(next(&mut messages), "/");
            messages.expect_body(framing);
            let mut cx = Context::from_waker(Waker::noop());
            let mut scratch = buffers.scratch();
            let Poll::Ready(Ok(piece)) = messages.poll_piece(&mut cx, &mut scratch, &buffers)
            else {
                panic!("no body")
            };
            assert_eq!((piece.bytes(&scratch), piece.end.is_some()), (&b"0123456789"[..], true));
            drop(scratch);
            for n in 0..5_000 {
                assert_eq!(next(&mut messages), format!("/{n}"));
            }
        }
    }

    #[tokio::test]
    async fn what_is_read_ahead_has_a_limit_and_an_end_within_it_is_seen() {
        let buffers = Buffers::default();
        let mut cx = Context::from_waker(Waker::noop());
        for (sent, gone, ahead) in
            [(100, Poll::Ready(()), 100), (40_000, Poll::Pending, AHEAD_BYTES_MAX)]
        {
            let (stream, mut other) = tokio::io::duplex(64 * 1024);
            other.write_all(&vec![b'x'; sent]).await.expect("room");
            drop(other);
            let mut messages = Messages::new(stream);
            messages.expect_body(Framing::Length(50_000));
            assert_eq!(messages.poll_gone_ahead(&mut cx, &buffers), gone);
            assert_eq!(messages.unread().len(), ahead, "kept for whoever wants the body");
        }
    }
}
