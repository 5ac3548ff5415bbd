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

/// What there is to keep of a connection while nothing is under way on it.
#[derive(Debug)]
pub struct Quiet {
    stream: TcpStream,
    ends: Ends,
    /// When its age ends it; `None`: never.
    pub expires: Option<Instant>,
    /// How many requests it has brought; the first shows what it speaks.
    pub requests: u32,
}

impl Quiet {
    /// Takes over an accepted stream.
    pub fn new(stream: TcpStream, ends: Ends, expires: Option<Instant>) -> Self {
        Self { stream, ends, expires, requests: 0 }
    }

    /// Ready when there is something to read, be it the end. Costs neither memory nor a system call.
    pub fn poll_arrival(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_read_ready(cx).map(|_| ())
    }
}

impl Connection {
    /// Goes on with a connection on which something is about to come.
    pub fn new(quiet: Quiet) -> Self {
        let Quiet { stream, ends, expires, requests } = quiet;
        Self { ends, messages: Messages::new(stream), expires, requests, takes_trailers: false }
    }

    /// What remains when the last answer has left and nothing was read ahead.
    pub fn into_quiet(self) -> Quiet {
        let Self { ends, messages, expires, requests, .. } = self;
        let (stream, unread) = messages.into_parts();
        debug_assert!(unread.is_empty(), "a request was lost");
        Quiet { stream, ends, expires, requests }
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
