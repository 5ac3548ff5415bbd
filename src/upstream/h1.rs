//! One HTTP/1.1 connection to an origin, owned by one request at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::connect::{Connected, Open};
use super::endpoints::Endpoint;
use super::pool::Home;
use super::tls::Stream;
use crate::transport::{Buffers, HeadError, Messages};
use crate::wire::parse::{self, HeadLimits};
use crate::wire::{Framing, Head, Persistence, fields};

/// A connection to an origin that speaks HTTP/1.1.
#[derive(Debug)]
pub struct Connection {
    /// Where it leads.
    pub endpoint: Arc<Endpoint>,
    /// The pool it belongs to.
    pub home: Home,
    /// The gateway's own address of it.
    pub local: SocketAddr,
    /// What is read and written.
    pub messages: Messages<Stream>,
    /// Requests it has been used for.
    pub served: u32,
    /// What the origin said of keeping it (`Keep-Alive: timeout`); `None`: nothing.
    pub kept_for: Option<Duration>,
    /// When it takes no further request; `None`: its age does not matter.
    pub expires: Option<Instant>,
    persistence: Persistence,
    _open: Open,
}

impl Connection {
    /// Takes over a fresh connection.
    pub fn new(connected: Connected, home: Home) -> Self {
        Self {
            endpoint: connected.endpoint,
            home,
            local: connected.local,
            messages: Messages::new(connected.stream),
            served: 0,
            kept_for: None,
            expires: connected.expires,
            persistence: Persistence::Keep,
            _open: connected.open,
        }
    }

    /// Whether an unused connection is still open and silent, as far as the last turn of the reactor saw.
    pub fn is_alive(&mut self, buffers: &Buffers) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.messages.is_clean() && self.messages.poll_gone(&mut cx, buffers).is_pending()
            // bytes that nobody asked for are the end of it as well
            && self.messages.unread().is_empty()
    }

    /// Writes a request's head, to travel with the first piece of its body.
    pub fn request(&mut self, head: &Head, framing: Framing, buffers: &Buffers) {
        self.served += 1;
        self.messages.hold_head(framing, buffers, |out| head.write_request(out));
    }

    /// The next response head, interim ones included.
    pub fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        limits: &HeadLimits,
        buffers: &Buffers,
    ) -> Poll<Result<Head, HeadError>> {
        self.messages.poll_head(cx, parse::response, limits, buffers)
    }

    /// Reads the body that a final response head announced.
    pub fn expect_body(&mut self, head: &Head, framing: Framing) {
        self.messages.expect_body(framing);
        self.kept_for = fields::keep_alive_timeout(head);
        self.persistence = match framing {
            Framing::UntilClose | Framing::Tunnel => Persistence::Close,
            _ => fields::keep_alive(head),
        };
    }

    /// Whether the connection may be used again: both bodies done, and the origin said it may.
    pub fn is_reusable(&self) -> bool {
        self.persistence == Persistence::Keep && self.messages.is_clean()
    }
}
