//! The bytes of a connection to an origin, in plain text or over TLS.
//!
//! No buffering here: each call is one of the socket or of TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The bytes of a connection to an origin.
#[derive(Debug)]
pub enum Stream {
    /// Plain text.
    Tcp(TcpStream),
    /// Over TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// The socket beneath.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Self::Tls(tls) => {
                // Most reads find nothing: before an answer, and on a connection that rests. The
                // socket says so at a fraction of what it costs to have TLS ask it.
                let (tcp, session) = tls.get_ref();
                if session.wants_read() {
                    ready!(tcp.poll_read_ready(context))?;
                }
                Pin::new(tls).poll_read(context, buffer).map_err(in_our_words)
            }
        }
    }
}

/// Vectored writes are not passed on: TLS has one record either way.
impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(context),
            Self::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(context),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(context),
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
