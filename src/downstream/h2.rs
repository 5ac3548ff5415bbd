//! One client's HTTP/2 connection and its streams, over the h2 crate.
//!
//! A stream's head becomes a `Head` of lines like any other, so that the request path knows one form.

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Ends;
use crate::transport::{Broken, Buffers, Frames, frames};
use crate::wire::{Framing, Head, Version};

/// A stream's receive window, bytes: what one slow upload may hold.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// A connection's receive window, bytes.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Streams a client may have open at once.
const STREAMS_MAX: u32 = 256;
/// Bytes of one request's header list, as for HTTP/1.1.
const HEADER_LIST_BYTES_MAX: u32 = 60 * 1024;

/// A client's connection that speaks HTTP/2.
pub type Connection<S> = server::Connection<S, Bytes>;

/// Begins to speak HTTP/2 over an accepted stream.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
) -> Result<Connection<S>, h2::Error> {
    server::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .handshake(stream)
        .await
}

/// One stream: a request and its reply.
#[derive(Debug)]
pub struct Stream {
    /// Who called.
    pub ends: Ends,
    /// The bodies.
    pub frames: Frames,
    respond: SendResponse<Bytes>,
}

impl Stream {
    /// Takes a request over: its head as lines, and the stream for its bodies.
    pub fn new(
        request: Request<h2::RecvStream>,
        respond: SendResponse<Bytes>,
        ends: Ends,
        buffers: &Buffers,
    ) -> (Head, Self) {
        let (parts, recv) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut head = Head::request(
            buffers.lend_head(),
            Version::Http2,
            parts.method.as_str().as_bytes(),
            target.as_bytes(),
        );
        if let Some(authority) = parts.uri.authority() {
            head.append(b"host", authority.as_str().as_bytes());
        }
        let mut cookies = Vec::new();
        for (name, value) in &parts.headers {
            match name.as_str() {
                // RFC 9113, section 8.3.1: :authority stands in for Host.
                "host" if parts.uri.authority().is_some() => {}
                // RFC 9113, section 8.2.3: pieces of a cookie are one line again for HTTP/1.1.
                "cookie" => {
                    if !cookies.is_empty() {
                        cookies.extend_from_slice(b"; ");
                    }
                    cookies.extend_from_slice(value.as_bytes());
                }
                name => head.append(name.as_bytes(), value.as_bytes()),
            }
        }
        if !cookies.is_empty() {
            head.append(b"cookie", &cookies);
        }
        let recv = (!recv.is_end_stream()).then_some(recv);
        let frames = Frames::new(recv, None);
        (head, Self { ends, frames, respond })
    }

    /// Whether the request has a body at all.
    pub fn has_body(&self) -> bool {
        self.frames.recv.is_some()
    }

    /// Begins the final response.
    pub fn reply(&mut self, head: &Head, framing: Framing) -> Result<(), Broken> {
        let last = matches!(framing, Framing::Empty | Framing::Length(0));
        let send = self
            .respond
            .send_response(response(head), last)
            .map_err(|error| frames::broken(&error))?;
        self.frames.send = (!last).then_some(send);
        Ok(())
    }

    /// Passes on an interim response.
    pub fn inform(&mut self, head: &Head) -> Result<(), Broken> {
        self.respond.send_informational(response(head)).map_err(|error| frames::broken(&error))
    }

    /// Ends the stream with an error, so that a body cut short cannot look complete.
    pub fn reset(&mut self) {
        match &mut self.frames.send {
            Some(send) => send.send_reset(h2::Reason::INTERNAL_ERROR),
            None => self.respond.send_reset(h2::Reason::INTERNAL_ERROR),
        }
    }

    /// Ready when the client has reset the stream or left.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.frames.send {
            Some(send) => send.poll_reset(cx).map(|_| ()),
            None => self.respond.poll_reset(cx).map(|_| ()),
        }
    }
}

/// Lines that HTTP/2 has no place for (RFC 9113, section 8.2.2) are left out; the rest is copied.
fn response(head: &Head) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in head.lines() {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            && !matches!(
                name.as_str(),
                "connection" | "keep-alive" | "transfer-encoding" | "upgrade"
            )
        {
            response.headers_mut().append(name, value);
        }
    }
    response
}
