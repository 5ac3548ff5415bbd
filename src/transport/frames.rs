//! The two bodies of an HTTP/2 stream: DATA frames in, DATA frames out, trailers last.
//!
//! Flow control is the memory limit: a piece is only acknowledged once the next one is asked for, and
//! a piece is only framed as far as the other side's window reaches. Heads are none of its business.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Broken, Data, Piece};
use crate::wire::Trailers;

/// One HTTP/2 stream's bodies. A half that is missing has ended, or has not begun.
#[derive(Debug, Default)]
pub struct Frames {
    /// The body being received.
    pub recv: Option<RecvStream>,
    /// The body being sent.
    pub send: Option<SendStream<Bytes>>,
    /// Received bytes whose window has not been given back yet.
    unacknowledged: usize,
    /// Bytes that the other side's window has not room for yet.
    waiting: Bytes,
    /// What is to be sent after them.
    end: Option<Trailers>,
}

impl Frames {
    /// The bodies of a stream of which these halves are open.
    pub fn new(recv: Option<RecvStream>, send: Option<SendStream<Bytes>>) -> Self {
        Self { recv, send, ..Self::default() }
    }

    fn acknowledge(&mut self) {
        let count = std::mem::take(&mut self.unacknowledged);
        if let Some(recv) = &mut self.recv
            && count > 0
        {
            // It can only fail for a stream that is gone, which the next poll reports.
            let _ = recv.flow_control().release_capacity(count);
        }
    }

    /// See [`super::Peer::poll_piece`].
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        self.acknowledge();
        let Some(recv) = &mut self.recv else { return Poll::Ready(Ok(Piece::end())) };
        match ready!(recv.poll_data(cx)) {
            Some(Ok(data)) => {
                let end = recv.is_end_stream().then(Trailers::default);
                self.unacknowledged = data.len();
                if end.is_some() {
                    self.acknowledge();
                    self.recv = None;
                }
                Poll::Ready(Ok(Piece { data: Data::Shared(data), end }))
            }
            Some(Err(error)) => Poll::Ready(Err(broken(&error))),
            None => {
                let trailers = ready!(recv.poll_trailers(cx)).map_err(|error| broken(&error))?;
                self.recv = None;
                let end = Some(trailers.map(trailers_of).unwrap_or_default());
                Poll::Ready(Ok(Piece { end, ..Piece::end() }))
            }
        }
    }

    /// See [`super::Peer::push`].
    pub fn push(
        &mut self,
        cx: &mut Context<'_>,
        piece: Piece,
        scratch: &[u8],
    ) -> Result<(), Broken> {
        self.waiting = match piece.data {
            Data::Scratch(range) => Bytes::copy_from_slice(&scratch[range]),
            Data::Shared(bytes) => bytes,
        };
        self.end = piece.end;
        match self.poll_drain(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// See [`super::Peer::poll_drain`].
    pub fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let Some(send) = &mut self.send else { return Poll::Ready(Ok(())) };
        while !self.waiting.is_empty() {
            send.reserve_capacity(self.waiting.len());
            while send.capacity() == 0 {
                match ready!(send.poll_capacity(cx)) {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Poll::Ready(Err(broken(&error))),
                    None => return Poll::Ready(Err(Broken::Closed)),
                }
            }
            let part = self.waiting.split_to(send.capacity().min(self.waiting.len()));
            let last = self.waiting.is_empty() && self.end.as_ref().is_some_and(Trailers::is_empty);
            send.send_data(part, last).map_err(|error| broken(&error))?;
            if last {
                self.end = None;
                self.send = None;
                return Poll::Ready(Ok(()));
            }
        }
        if let Some(trailers) = self.end.take() {
            let sent = if trailers.is_empty() {
                send.send_data(Bytes::new(), true)
            } else {
                send.send_trailers(header_map(&trailers))
            };
            self.send = None;
            sent.map_err(|error| broken(&error))?;
        }
        Poll::Ready(Ok(()))
    }
}

/// What an HTTP/2 error means for the exchange.
pub fn broken(error: &h2::Error) -> Broken {
    let unprocessed = error.is_remote()
        && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM));
    if let Some(error) = error.get_io()
        && error.kind() == std::io::ErrorKind::InvalidData
    {
        return Broken::Tls(error.to_string());
    }
    match error.reason() {
        Some(reason) if error.is_library() => {
            Broken::Violated(format!("it broke the rules of HTTP/2: {reason:?}"))
        }
        Some(reason) if unprocessed => Broken::Unprocessed(format!("{reason:?}")),
        Some(reason) => Broken::Reset(format!("{reason:?}")),
        None => Broken::Closed,
    }
}

fn trailers_of(map: HeaderMap) -> Trailers {
    let mut trailers = Trailers::default();
    for (name, value) in &map {
        trailers.push(name.as_str().as_bytes(), value.as_bytes());
    }
    trailers
}

fn header_map(trailers: &Trailers) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in trailers.iter() {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            map.append(name, value);
        }
    }
    map
}
