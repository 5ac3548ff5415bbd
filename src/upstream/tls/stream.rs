//! The bytes of a connection to an origin, in plain text or over TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::session::Session;

/// The bytes of a connection to an origin.
#[derive(Debug)]
pub enum Stream {
    /// Plain text.
    Tcp(TcpStream),
    /// Over TLS.
    Tls(Box<Session>),
}

impl Stream {
    /// The socket beneath.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(session) => session.tcp(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, into),
            Self::Tls(session) => session.poll_read(cx, into).map_err(in_our_words),
        }
    }
}

/// Vectored writes are not passed on: TLS has one record either way.
impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(session) => session.poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(session) => session.poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(session) => session.poll_shutdown(cx),
        }
    }
}

/// An error of TLS itself keeps its kind, `InvalidData`, and says what happened as the log calls it: TLS 1.3
/// refuses a client certificate only after the handshake, when the first answer is waited for.
fn in_our_words(error: io::Error) -> io::Error {
    match super::tls_error(&error) {
        Some(tls) => io::Error::new(io::ErrorKind::InvalidData, super::words::handshake_text(tls)),
        None => error,
    }
}
