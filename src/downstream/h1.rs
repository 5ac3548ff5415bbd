//! One client's HTTP/1.1 connection: requests in, in order, and responses out.

use std::task::{Context, Poll};

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Ends;
use crate::transport::{Buffers, HeadError, Messages};
use crate::wire::parse::{self, HeadLimits};
use crate::wire::{Framing, Head, fields};

/// A client's connection that speaks HTTP/1.1.
#[derive(Debug)]
pub struct Connection {
    /// Who called.
    pub ends: Ends,
    /// What is read and written.
    pub messages: Messages<TcpStream>,
    /// When its age ends it; `None`: never.
    pub expires: Option<Instant>,
    /// How many requests it has brought.
    pub requests: u32,
    /// Whether the request that is being answered said `TE: trailers`.
    takes_trailers: bool,
}

impl Connection {
    /// Takes over an accepted stream.
    pub fn new(stream: TcpStream, ends: Ends, expires: Option<Instant>) -> Self {
        Self { ends, messages: Messages::new(stream), expires, requests: 0, takes_trailers: false }
    }

    /// Ready when there is something to read, be it the end. Costs neither memory nor a system call.
    pub fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.messages.unread().is_empty() {
            return Poll::Ready(());
        }
        self.messages.stream().poll_read_ready(cx).map(|_| ())
    }

    /// The next request's head.
    pub fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        buffers: &Buffers,
    ) -> Poll<Result<Head, HeadError>> {
        self.messages.poll_head(cx, parse::request, limits, buffers)
    }

    /// Takes a request's head over: reads the body that it announced, and answers as it asks for.
    pub fn begin_request(&mut self, head: &Head, framing: Framing) {
        self.requests = self.requests.saturating_add(1);
        self.messages.expect_body(framing);
        self.takes_trailers = fields::accepts_trailers(head);
    }

    /// Begins the final response, whose head waits for the first piece of its body.
    pub fn reply(&mut self, head: &Head, framing: Framing, buffers: &Buffers) {
        self.messages.hold_head(framing, buffers, |out| head.write_response(out));
        if !self.takes_trailers {
            self.messages.leave_out_trailers();
        }
    }
}
