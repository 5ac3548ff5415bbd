//! A connection beneath the h2 crate: a meter beside it, and frames that leave together.
//!
//! The h2 crate writes each DATA frame by itself. Here frames wait until whoever drives the connection has let
//! it move all that it can, and then leave in one write: answers that are ready at the same time share a
//! system call, and a TLS record.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Meter;

/// Bytes of frames that may wait for others. What does not fit is written at once.
const WAITING_BYTES_MAX: usize = 16 * 1024;

/// A connection whose frames are counted and leave together. Clones share it: the h2 crate has one, and whoever
/// drives the connection another, to send what waits.
#[derive(Debug)]
pub struct Metered<S>(Rc<Shared<S>>);

#[derive(Debug)]
struct Shared<S> {
    line: RefCell<Line<S>>,
    meter: Meter,
}

#[derive(Debug)]
struct Line<S> {
    stream: S,
    /// What was read of it before; empty once it was read again.
    first: Vec<u8>,
    /// Frames that wait to be written.
    waiting: Vec<u8>,
    /// Why they cannot be, until the h2 crate was told.
    failed: Option<io::Error>,
}

impl<S> Metered<S> {
    /// A client's connection of which `first` has been read, the preface at its front.
    pub fn to_client(stream: S, first: Vec<u8>) -> Self {
        Self::new(stream, first, Meter::of_client())
    }

    /// A connection to an origin.
    pub fn to_origin(stream: S) -> Self {
        Self::new(stream, Vec::new(), Meter::of_origin())
    }

    fn new(stream: S, first: Vec<u8>, meter: Meter) -> Self {
        let line = Line { stream, first, waiting: Vec::new(), failed: None };
        Self(Rc::new(Shared { line: RefCell::new(line), meter }))
    }

    /// What is counted.
    pub fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Whether frames wait to be sent.
    pub fn is_waiting(&self) -> bool {
        !self.0.line.borrow().waiting.is_empty()
    }

    /// The connection without the counting, from its last holder. What waits is lost.
    pub fn into_inner(self) -> Option<S> {
        Rc::into_inner(self.0).map(|shared| shared.line.into_inner().stream)
    }
}

impl<S> Clone for Metered<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Metered<S> {
    /// Sends what waits, as far as the stream takes it now. To be called whenever the h2 crate has done what it
    /// can; it is told of an error when it flushes next, for which `cx` is woken.
    pub fn send(&self, cx: &mut Context<'_>) {
        let line = &mut *self.0.line.borrow_mut();
        if let Poll::Ready(Err(error)) = line.poll_send(cx) {
            line.failed = Some(error);
            line.waiting = Vec::new();
            cx.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncWrite + Unpin> Line<S> {
    /// Writes what waits; ready when nothing does and the stream below is flushed.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let mut stream = Pin::new(&mut self.stream);
        while !self.waiting.is_empty() {
            match ready!(stream.as_mut().poll_write(cx, &self.waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => drop(self.waiting.drain(..count)),
            }
        }
        self.waiting = Vec::new(); // an idle connection keeps no memory
        stream.poll_flush(cx)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if self.waiting.len() + total > WAITING_BYTES_MAX {
            ready!(self.poll_send(cx))?;
        }
        if total > WAITING_BYTES_MAX {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        }
        slices.iter().for_each(|slice| self.waiting.extend_from_slice(slice));
        Poll::Ready(Ok(total))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    /// Pending for ever after an offence: whoever drives the connection looks for one, and ends it.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Shared { line, meter } = &*self.0;
        if meter.offence().is_some() {
            return Poll::Pending;
        }
        let line = &mut *line.borrow_mut();
        let before = buffer.filled().len();
        if line.first.is_empty() {
            ready!(Pin::new(&mut line.stream).poll_read(cx, buffer))?;
        } else {
            let count = line.first.len().min(buffer.remaining());
            buffer.put_slice(&line.first[..count]);
            line.first.drain(..count);
            if line.first.is_empty() {
                line.first = Vec::new();
            }
        }
        let came = buffer.filled().len() - before;
        let good = meter.read(&buffer.filled()[before..]);
        if came > 0 && good == 0 {
            return Poll::Pending; // nothing read would mean the end
        }
        buffer.set_filled(before + good);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Shared { line, meter } = &*self.0;
        let count = ready!(line.borrow_mut().poll_write(cx, slices))?;
        let mut left = count;
        for slice in slices {
            let part = left.min(slice.len());
            meter.written(&slice[..part]);
            left -= part;
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Ready though frames may wait: they do so for [`Metered::send`].
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.line.borrow_mut().failed.take().map_or(Ok(()), Err))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = &mut *self.0.line.borrow_mut();
        ready!(line.poll_send(cx))?;
        Pin::new(&mut line.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    /// A frame of a size that PING cannot have.
    const BAD_PING: &[u8] = &[0, 0, 7, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[tokio::test]
    async fn bytes_pass_as_they_are_and_stop_after_an_offence() {
        let (mut far, near) = tokio::io::duplex(1024);
        let mut metered = Metered::to_client(near, PREFACE.to_vec());
        let mut read = vec![0; PREFACE.len()];
        metered.read_exact(&mut read).await.expect("what was read before");
        assert_eq!(read, PREFACE);
        let mut read = [0; 64];
        far.write_all(SETTINGS).await.expect("room");
        far.write_all(BAD_PING).await.expect("room");
        assert_eq!(metered.read(&mut read).await.expect("a frame"), 9, "up to the offence");
        let polled = std::future::poll_fn(|cx| {
            Poll::Ready(Pin::new(&mut metered).poll_read(cx, &mut ReadBuf::new(&mut read)))
        });
        assert!(polled.await.is_pending());
        metered.write_all(b"goodbye").await.expect("it may still be told");
        metered.send(&mut Context::from_waker(Waker::noop()));
        let mut goodbye = [0; 7];
        far.read_exact(&mut goodbye).await.expect("what it was told");
        assert_eq!(&goodbye, b"goodbye");
    }

    #[tokio::test]
    async fn what_the_stream_does_not_take_at_once_goes_before_the_end() {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut far, near) = tokio::io::duplex(16);
        let mut metered = Metered::to_origin(near);
        metered.write_all(&[1; 40]).await.expect("it waits");
        metered.send(&mut cx);
        assert!(metered.is_waiting(), "there was room for 16");
        metered.write_all(&[2; 40]).await.expect("it waits behind");
        let mut came = Vec::new();
        let (end, read) = tokio::join!(metered.shutdown(), far.read_to_end(&mut came));
        end.expect("it is open");
        read.expect("an end");
        assert_eq!(came, [[1; 40], [2; 40]].concat());
    }

    #[tokio::test]
    async fn what_is_flushed_waits_for_more_and_leaves_in_the_order_it_came() {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut far, near) = tokio::io::duplex(64 * 1024);
        let mut metered = Metered::to_origin(near);
        let large = vec![b'l'; WAITING_BYTES_MAX + 1];
        for (part, waits) in [(&b"one"[..], true), (b"two", true), (&large, false), (b"end", true)]
        {
            metered.write_all(part).await.expect("it is open");
            metered.flush().await.expect("it is open");
            assert_eq!(metered.is_waiting(), waits);
        }
        metered.send(&mut cx);
        assert!(!metered.is_waiting());
        let mut came = vec![0; 9 + large.len()];
        far.read_exact(&mut came).await.expect("all of it");
        assert_eq!(came, [b"onetwo", &large[..], b"end"].concat());
    }

    #[tokio::test]
    async fn an_error_of_the_stream_is_told_at_the_next_flush() {
        let mut cx = Context::from_waker(Waker::noop());
        let (far, near) = tokio::io::duplex(64);
        let mut metered = Metered::to_origin(near);
        metered.write_all(b"frame").await.expect("it waits");
        drop(far);
        metered.send(&mut cx);
        metered.flush().await.expect_err("nobody reads it");
        assert!(!metered.is_waiting());
    }
}
