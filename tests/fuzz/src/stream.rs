//! A byte stream in memory that is read and written in pieces of chosen sizes, with a pause after each.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More polls than any exchange over a stream in memory needs.
const POLLS_MAX: usize = 1_000_000;

/// A peer that has said all it will ever say, and listens.
#[derive(Debug)]
pub struct Stream {
    input: Vec<u8>,
    read: usize,
    /// What was written to it.
    pub output: Vec<u8>,
    reads: Cuts,
    writes: Cuts,
    begins: Begins,
}

/// When the first byte can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    AtOnce,
    /// Once something was written, as a server does.
    WhenAsked,
}

impl Stream {
    /// A stream that yields `input` and then its end; `steer` says in which pieces, nothing: in one.
    pub fn new(input: &[u8], steer: &[u8], begins: Begins) -> Self {
        let (reads, writes) = (Cuts::new(steer), Cuts::new(steer));
        Self { input: input.to_vec(), read: 0, output: Vec::new(), reads, writes, begins }
    }

    /// Bytes that were not read yet.
    pub fn left(&self) -> usize {
        self.input.len() - self.read
    }

    fn next_read(&mut self, room: usize) -> Poll<&[u8]> {
        if self.begins == Begins::WhenAsked && self.output.is_empty() {
            return Poll::Pending;
        }
        let left = self.left();
        if left == 0 {
            return Poll::Ready(&[]);
        }
        let Poll::Ready(most) = self.reads.next() else { return Poll::Pending };
        let start = self.read;
        self.read += most.min(left).min(room);
        Poll::Ready(&self.input[start..self.read])
    }

    fn write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Poll::Ready(most) = self.writes.next() else { return Poll::Pending };
        let count = most.min(bytes.len());
        self.output.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }
}

/// The sizes of pieces: each steering byte is one, over and over.
#[derive(Debug)]
struct Cuts {
    steer: Vec<u8>,
    turn: usize,
}

impl Cuts {
    fn new(steer: &[u8]) -> Self {
        Self { steer: steer.to_vec(), turn: 0 }
    }

    /// The next piece's size; pending once between two pieces.
    fn next(&mut self) -> Poll<usize> {
        let turn = self.turn;
        self.turn += 1;
        match self.steer.get(turn / 2 % self.steer.len().max(1)) {
            None => Poll::Ready(usize::MAX),
            Some(_) if turn % 2 == 1 => Poll::Pending,
            Some(255) => Poll::Ready(usize::MAX),
            Some(size) => Poll::Ready(usize::from(size % 48) + 1),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        self.next_read(room).map(|bytes| {
            buffer.put_slice(bytes);
            Ok(())
        })
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        self.next_read(room).map(|bytes| {
            buffer.put_slice(bytes);
            Ok(())
        })
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Polls until it is ready: a pause of a stream in memory is over by itself.
pub fn ready<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(value) = poll(&mut cx) {
            return value;
        }
    }
    panic!("still pending after {POLLS_MAX} polls");
}

/// Drives a future that waits for nothing but streams in memory.
pub fn drive<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    ready(|cx| future.as_mut().poll(cx))
}
