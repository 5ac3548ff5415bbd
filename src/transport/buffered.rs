//! A byte stream with the bytes that were read too early and those that could not be written yet.
//!
//! Neither side holds memory while it is empty.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Buffers;

/// Up to here, bytes are copied behind what waits and sent with it; above, they are sent by themselves.
const COPY_BYTES_MAX: usize = 8 * 1024;

/// A stream and what waits on either side of it.
#[derive(Debug)]
pub struct Buffered<S> {
    stream: S,
    /// Read, but not consumed.
    unread: Vec<u8>,
    /// To be written, from `sent` on.
    unsent: Vec<u8>,
    sent: usize,
    /// Whether the stream below may hold bytes that a flush would move (TLS records).
    unflushed: Flush,
    /// Whether the stream below has taken any byte since somebody began to ask.
    written: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flush {
    Done,
    Due,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Buffered<S> {
    /// Wraps a stream from which nothing was read yet.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
            unsent: Vec::new(),
            sent: 0,
            unflushed: Flush::Done,
            written: false,
        }
    }

    /// The stream below.
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Parts with the stream and the bytes that were read too early.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.unread)
    }

    /// Bytes that were read but not consumed.
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Consumes bytes that were read too early.
    pub fn consume(&mut self, count: usize, buffers: &Buffers) {
        self.unread.drain(..count);
        if self.unread.is_empty() {
            buffers.give_back(std::mem::take(&mut self.unread));
        }
    }

    /// Keeps bytes for the next reader, in front of nothing else.
    pub fn keep(&mut self, bytes: &[u8], buffers: &Buffers) {
        self.unread.clear();
        if bytes.is_empty() {
            buffers.give_back(std::mem::take(&mut self.unread));
            return;
        }
        if self.unread.capacity() == 0 {
            self.unread = buffers.lend();
        }
        self.unread.extend_from_slice(bytes);
    }

    /// Fills the scratch buffer: with all bytes that were kept, else with fresh ones.
    /// Ready with 0 at the end of the stream.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        buffers: &Buffers,
    ) -> Poll<io::Result<usize>> {
        if self.unread.is_empty() {
            return self.poll_read(cx, scratch);
        }
        // What is left is kept in place of it.
        debug_assert!(self.unread.len() <= scratch.len(), "more was kept than is read at once");
        let count = self.unread.len().min(scratch.len());
        scratch[..count].copy_from_slice(&self.unread[..count]);
        self.consume(count, buffers);
        Poll::Ready(Ok(count))
    }

    /// Fills the scratch buffer with the bytes that were kept *and* fresh ones behind them.
    /// Ready with the count of both; the kept ones stay kept. `UnexpectedEof` at the end of the stream.
    pub fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let kept = self.unread.len().min(scratch.len());
        let fresh = ready!(self.poll_read(cx, &mut scratch[kept..]))?;
        if fresh == 0 {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        scratch[..kept].copy_from_slice(&self.unread[..kept]);
        Poll::Ready(Ok(kept + fresh))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Appends to what waits to be written, without writing.
    pub fn queue(&mut self, buffers: &Buffers) -> &mut Vec<u8> {
        if self.unsent.capacity() == 0 {
            self.unsent = buffers.lend();
        }
        &mut self.unsent
    }

    /// Writes what waits and these parts behind it, as far as the stream takes them now; the rest waits. Where they are
    /// long, each is a write of its own.
    pub fn send(
        &mut self,
        cx: &mut Context<'_>,
        parts: [&[u8]; 3],
        buffers: &Buffers,
    ) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total > COPY_BYTES_MAX && self.poll_drain(cx, buffers)?.is_ready() {
            return parts.into_iter().try_for_each(|part| self.send_alone(cx, part, buffers));
        }
        let unsent = self.queue(buffers);
        parts.iter().for_each(|part| unsent.extend_from_slice(part));
        match self.poll_drain(cx, buffers) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// The same for a piece of lent memory and what goes before and after it, all in one write: what waits and
    /// the framing are put around the piece, if there is room.
    pub fn send_lent(
        &mut self,
        cx: &mut Context<'_>,
        lent: &mut [u8],
        piece: Range<usize>,
        [before, after]: [&[u8]; 2],
        buffers: &Buffers,
    ) -> io::Result<()> {
        let waiting = &self.unsent[self.sent..];
        let (first, end) = (waiting.len() + before.len(), piece.end + after.len());
        if piece.start < first || lent.len() < end {
            return self.send(cx, [before, &lent[piece], after], buffers);
        }
        let start = piece.start - first;
        lent[start..][..waiting.len()].copy_from_slice(waiting);
        lent[start + waiting.len()..piece.start].copy_from_slice(before);
        lent[piece.end..end].copy_from_slice(after);
        if self.unsent.capacity() > 0 {
            self.return_unsent(buffers);
        }
        self.send_alone(cx, &lent[start..end], buffers)
    }

    /// Writes bytes behind which nothing waits but bytes of the same call.
    fn send_alone(
        &mut self,
        cx: &mut Context<'_>,
        mut bytes: &[u8],
        buffers: &Buffers,
    ) -> io::Result<()> {
        while !bytes.is_empty() && self.unsent.is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, bytes) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    bytes = &bytes[count..];
                    self.written = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if !bytes.is_empty() {
            self.queue(buffers).extend_from_slice(bytes);
        }
        self.unflushed = Flush::Due;
        Ok(())
    }

    /// Writes what waits; ready when nothing does and the stream below is flushed.
    pub fn poll_drain(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<io::Result<()>> {
        while self.sent < self.unsent.len() {
            let waiting = &self.unsent[self.sent..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
            self.written = true;
            self.unflushed = Flush::Due;
        }
        if self.unsent.capacity() > 0 {
            self.return_unsent(buffers);
        }
        if self.unflushed == Flush::Due {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = Flush::Done;
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more will be written.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    /// Whether the stream below has taken any byte since the question was last begun.
    pub fn has_written(&self) -> bool {
        self.written
    }

    /// Begins the question anew.
    pub fn forget_written(&mut self) {
        self.written = false;
    }

    /// Whether bytes wait to be written.
    pub fn is_blocked(&self) -> bool {
        !self.unsent.is_empty()
    }

    fn return_unsent(&mut self, buffers: &Buffers) {
        self.sent = 0;
        buffers.give_back(std::mem::take(&mut self.unsent));
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn what_the_stream_did_not_take_was_not_written() {
        let buffers = Buffers::default();
        let mut cx = Context::from_waker(Waker::noop());
        for part in [&b"head"[..], b"longer than the room", &[7; COPY_BYTES_MAX + 1]] {
            let (ours, _theirs) = tokio::io::duplex(16);
            let mut io = Buffered::new(ours);
            io.queue(&buffers).extend_from_slice(b"GET");
            assert!(!io.has_written(), "it waits");
            io.send(&mut cx, [b"", part, b""], &buffers).expect("it is open");
            assert!(io.has_written());
            io.forget_written();
            assert!(!io.has_written());
        }
        for size in [1, COPY_BYTES_MAX + 1] {
            let (ours, theirs) = tokio::io::duplex(16);
            drop(theirs);
            let mut io = Buffered::new(ours);
            io.queue(&buffers).extend_from_slice(b"GET");
            io.send(&mut cx, [b"", &vec![7; size], b""], &buffers).expect_err("it is closed");
            assert!(!io.has_written(), "nobody has got anything of it");
        }
    }
}
