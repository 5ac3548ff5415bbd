//! The client's side: a connection, what it speaks, and one request of it as two halves.
//!
//! A `Client` is what the request path sees: a request body to read and a reply to write, over an
//! HTTP/1.1 connection or an HTTP/2 stream. Neither knows routes or upstreams.

pub mod h1;
pub mod h2;
pub mod sniff;

use std::net::SocketAddr;
use std::task::{Context, Poll};

use tokio::net::TcpStream;

use crate::transport::{Broken, Buffers, Peer};
use crate::wire::{Framing, Head};

/// Who called, and where it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The client's address.
    pub peer: SocketAddr,
    /// The address it was accepted on.
    pub local: SocketAddr,
    /// The port the configuration speaks of, which `--port-map` may have moved.
    pub port: u16,
}

/// One request's two halves: its body to read, and the reply to write.
#[derive(Debug)]
pub enum Client<'c> {
    /// A request on an HTTP/1.1 connection.
    H1(&'c mut h1::Connection),
    /// A request on an HTTP/2 stream.
    H2(&'c mut h2::Stream),
}

impl Client<'_> {
    /// Who called.
    pub fn ends(&self) -> Ends {
        match self {
            Self::H1(connection) => connection.ends,
            Self::H2(stream) => stream.ends,
        }
    }

    /// Begins the final response. An HTTP/1.1 head waits for the first piece of its body.
    pub fn reply(
        &mut self,
        head: &Head,
        framing: Framing,
        buffers: &Buffers,
    ) -> Result<(), Broken> {
        match self {
            Self::H1(connection) => {
                connection.reply(head, framing, buffers);
                Ok(())
            }
            Self::H2(stream) => stream.reply(head, framing),
        }
    }

    /// Passes on an interim (1xx) response.
    pub fn inform(&mut self, head: &Head, buffers: &Buffers) -> Result<(), Broken> {
        match self {
            Self::H1(connection) => {
                connection.messages.queue(buffers, |out| head.write_response(out));
                Ok(())
            }
            Self::H2(stream) => stream.inform(head),
        }
    }

    /// Looks whether the client has left; ready only when it has.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<()> {
        match self {
            Self::H1(connection) => connection.messages.poll_gone(cx, buffers),
            Self::H2(stream) => stream.poll_gone(cx),
        }
    }

    /// The same while nothing of the request's body is wanted yet.
    pub fn poll_gone_ahead(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<()> {
        match self {
            Self::H1(connection) => connection.messages.poll_gone_ahead(cx, buffers),
            Self::H2(stream) => stream.poll_gone(cx),
        }
    }

    /// The client as the relay sees it.
    pub fn peer(&mut self) -> Peer<'_, TcpStream> {
        match self {
            Self::H1(connection) => Peer::H1(&mut connection.messages),
            Self::H2(stream) => Peer::H2(&mut stream.frames),
        }
    }
}
