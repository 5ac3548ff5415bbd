//! One client's HTTP/2 connection, over the h2 crate and a meter that notices floods.
//!
//! It says what came and what is being waited for; how long that may last and what becomes of an
//! offender is the connection loop's decision.

mod stream;

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::settings::Limits;
use crate::transport::meter::Sending;
use crate::transport::{Metered, Offence};

pub use stream::{Stream, Unfit};

/// A stream's receive window, bytes: what one upload may hold whose origin does not read. Clients are
/// near, so a small one is enough.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
/// A connection's receive window, bytes: what all of its uploads may hold together.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// What may wait of one response while the client's socket is full, bytes.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// A client's connection that speaks HTTP/2.
pub struct Connection<S> {
    inner: server::Connection<Metered<S>, Bytes>,
    stream: Metered<S>,
}

/// A request that has come, not looked at yet.
#[derive(Debug)]
pub struct Arrival {
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
}

/// Why no further request comes.
#[derive(Debug)]
pub enum Stop {
    /// The connection has ended as it should.
    Ended,
    /// It has ended after the client broke a rule, or the network failed.
    Broken(h2::Error),
    /// The client floods, or sends what cannot be a frame. It is not read any further.
    Offence(Offence),
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// The rest of something that the client has begun to say.
    Rest,
    /// The end of a stream, which has limits of its own.
    Stream,
    /// That the client takes what it was told last; no stream is open.
    Taken,
    /// A next request, which may never come.
    Request,
}

/// With which words a connection is ended by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// It was idle for too long, or too slow.
    Enough,
    /// It was misused.
    Accused(Offence),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Begins to speak HTTP/2 over an accepted stream. What is larger or more than `limits` allow never
    /// becomes a request: the h2 crate refuses it.
    pub async fn accept(stream: Metered<S>, limits: &Limits) -> Result<Self, h2::Error> {
        let mut accepting = pin!(
            server::Builder::new()
                .initial_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_send_buffer_size(SEND_BUFFER_BYTES)
                .max_concurrent_streams(limits.streams)
                .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
                .handshake(stream.clone())
        );
        let inner = poll_fn(|cx| {
            let polled = accepting.as_mut().poll(cx);
            stream.send(cx);
            polled
        });
        Ok(Self { inner: inner.await?, stream })
    }

    /// Moves frames both ways until a request has come, or none will any more. To be called again after each
    /// request: what is to be sent then waits until there is no further one.
    pub fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arrival, Stop>> {
        let polled = self.inner.poll_accept(cx);
        if !matches!(polled, Poll::Ready(Some(Ok(_)))) {
            self.stream.send(cx);
        }
        match (polled, self.stream.meter().offence()) {
            (Poll::Ready(Some(Ok((request, respond)))), _) => {
                Poll::Ready(Ok(Arrival { request, respond }))
            }
            (Poll::Ready(Some(Err(error))), _) => Poll::Ready(Err(Stop::Broken(error))),
            (Poll::Ready(None), _) => Poll::Ready(Err(Stop::Ended)),
            (Poll::Pending, Some(offence)) => Poll::Ready(Err(Stop::Offence(offence))),
            (Poll::Pending, None) => Poll::Pending,
        }
    }

    /// What it waits for.
    pub fn waits(&self) -> Waits {
        match self.stream.meter().sending() {
            Sending::Midway => Waits::Rest,
            Sending::Whole if self.inner.has_streams() => Waits::Stream,
            Sending::Whole if self.stream.is_waiting() => Waits::Taken,
            Sending::Whole => Waits::Request,
        }
    }

    /// Whether requests are under way or answers still wait to be taken.
    pub fn has_streams(&self) -> bool {
        self.inner.has_streams() || self.stream.is_waiting()
    }

    /// Takes no further request; those under way are finished. The client is told in two steps, so that
    /// what it had sent before it heard is still answered (RFC 9113, section 6.8).
    pub fn leave(&mut self) {
        self.inner.graceful_shutdown();
    }

    /// Says goodbye and cuts off what is under way. [`Self::poll_request`] sends it.
    pub fn end(&mut self, goodbye: Goodbye) {
        self.inner.abrupt_shutdown(match goodbye {
            Goodbye::Enough => Reason::NO_ERROR,
            Goodbye::Accused(Offence::Flood(_)) => Reason::ENHANCE_YOUR_CALM,
            Goodbye::Accused(Offence::FrameSize(_)) => Reason::FRAME_SIZE_ERROR,
            Goodbye::Accused(Offence::NoSettings | Offence::PseudoInTrailers) => {
                Reason::PROTOCOL_ERROR
            }
        });
    }
}

/// What ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client did more of something than the h2 crate takes.
    Flood,
    /// The client broke a rule.
    Protocol,
    /// The client said so, or the network failed.
    Elsewhere,
}

/// Whose fault an error is.
pub fn fault(error: &h2::Error) -> Fault {
    match error.reason() {
        Some(Reason::ENHANCE_YOUR_CALM) if error.is_library() => Fault::Flood,
        Some(_) if error.is_library() => Fault::Protocol,
        _ => Fault::Elsewhere,
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_client_that_does_not_take_what_it_is_told_is_not_taken_for_idle() {
        let begun = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
        let (mut client, stream) = tokio::io::duplex(16);
        let stream = Metered::to_client(stream, begun.to_vec());
        let accepted = Connection::accept(stream, &Limits::default()).await;
        let mut connection = accepted.expect("a preface and SETTINGS");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(connection.poll_request(&mut cx).is_pending());
        assert_eq!(connection.waits(), Waits::Taken, "our SETTINGS are longer than 16 bytes");
        assert!(connection.has_streams(), "the process must not end before it has them");
        while connection.waits() == Waits::Taken {
            client.read_u8().await.expect("it goes on");
            assert!(connection.poll_request(&mut cx).is_pending());
        }
        assert_eq!(connection.waits(), Waits::Request);
    }
}
