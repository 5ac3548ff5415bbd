//! A TLS session over a socket: plaintext in and out, by rustls's unbuffered interface.
//!
//! Records are decrypted where they were read to, and written from where they were encrypted to, both in
//! memory that the lane lends for the length of a poll. Of its own a connection keeps what could not be used
//! yet: a record without its end, plaintext that nobody has asked for, records that the socket did not take.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::ClientConfig;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::ServerName;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use super::records::{PAYLOAD_BYTES_MAX, Records};

/// Room for what an origin says during the handshake; grows with a longer chain of certificates.
const HANDSHAKE_BYTES: usize = 8 * 1024;
/// A record, or TLS's own message in several, whose end has not come may be so long; as in rustls's own buffer.
const UNFINISHED_BYTES_MAX: usize = 64 * 1024;
/// What is read of the socket at least, however little is asked for.
const READ_BYTES_MIN: usize = 4 * 1024;

/// A TLS session whose handshake is done.
pub struct Session {
    tcp: TcpStream,
    tls: UnbufferedClientConnection,
    records: Rc<Records>,
    /// The beginning of a record whose end has not come.
    unfinished: Vec<u8>,
    /// Plaintext that the reader had no room for.
    ahead: Vec<u8>,
    /// Records that the socket did not take.
    unsent: Vec<u8>,
    peer: Peer,
}

/// What is to be expected of the other side.
#[derive(Debug)]
enum Peer {
    /// It may send more.
    Open,
    /// It has said that it will not (`close_notify`).
    Closed,
    /// What it sent is no good. Told when all that came before is read.
    Broken(Box<rustls::Error>),
}

impl Session {
    /// Shakes hands as a client.
    ///
    /// Errors: those of the socket; `UnexpectedEof`, the other side left; `InvalidData`, with the error of
    /// rustls, it is not to be trusted or does not speak TLS as we do.
    pub async fn begin(
        mut tcp: TcpStream,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        records: Rc<Records>,
    ) -> io::Result<Self> {
        let mut tls = UnbufferedClientConnection::new(config, name).map_err(invalid)?;
        let mut coming = Vec::with_capacity(HANDSHAKE_BYTES);
        let (mut ahead, mut going) = (Vec::new(), Vec::new());
        let mut is_done = false;
        while !is_done {
            let mut wants_more = false;
            let UnbufferedStatus { mut discard, state } = tls.process_tls_records(&mut coming);
            match state {
                Ok(ConnectionState::EncodeTlsData(mut message)) => encode(&mut message, &mut going),
                Ok(ConnectionState::TransmitTlsData(sent)) => {
                    tcp.write_all(&going).await?;
                    going.clear();
                    sent.done();
                }
                Ok(ConnectionState::BlockedHandshake) => wants_more = true,
                // A server may send before it has heard the last of the handshake, as HTTP/2's do.
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(invalid)?;
                        ahead.extend_from_slice(record.payload);
                        discard += record.discard;
                    }
                }
                Ok(ConnectionState::WriteTraffic(_)) => is_done = true,
                Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()), // it has closed
                Err(error) => {
                    say_goodbye(&mut tls, &tcp);
                    return Err(invalid(error));
                }
            }
            coming.drain(..discard);
            if coming.len() > UNFINISHED_BYTES_MAX {
                return Err(invalid(too_long()));
            }
            if wants_more && tcp.read_buf(&mut coming).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let unfinished = if coming.is_empty() { Vec::new() } else { coming };
        let (unsent, peer) = (Vec::new(), Peer::Open);
        Ok(Self { tcp, tls, records, unfinished, ahead, unsent, peer })
    }

    /// The socket beneath.
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// What was agreed on.
    pub fn agreed(&self) -> &UnbufferedClientConnection {
        &self.tls
    }

    /// Reads plaintext; nothing at the end of it.
    ///
    /// Errors: those of the socket; `UnexpectedEof`, the connection was cut; `InvalidData`, with the error of
    /// rustls, what came is no good.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(into.remaining());
            into.put_slice(&self.ahead[..count]);
            drop_front(&mut self.ahead, count);
            return Poll::Ready(Ok(()));
        }
        let records = Rc::clone(&self.records);
        let mut coming = records.coming();
        let before = into.filled().len();
        while into.filled().len() == before {
            self.is_sound()?;
            if let Peer::Closed = self.peer {
                break;
            }
            let kept = self.unfinished.len();
            // More than there is room for would have to be kept.
            let wanted = into.remaining().clamp(READ_BYTES_MIN, coming.len() - kept);
            let mut read = ReadBuf::new(&mut coming[kept..kept + wanted]);
            ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut read))?;
            let fresh = read.filled().len();
            if fresh == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            coming[..kept].copy_from_slice(&self.unfinished);
            self.decrypt(&mut coming[..kept + fresh], into);
            if self.unfinished.len() > UNFINISHED_BYTES_MAX {
                self.peer = Peer::Broken(Box::new(too_long()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Decrypts the whole records among these bytes, and keeps the rest.
    fn decrypt(&mut self, coming: &mut [u8], into: &mut ReadBuf<'_>) {
        let mut done = 0;
        let mut is_whole = true;
        while is_whole && done < coming.len() {
            let UnbufferedStatus { mut discard, state } =
                self.tls.process_tls_records(&mut coming[done..]);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    // That a record is none was said before it is handed out.
                    while let Some(Ok(record)) = traffic.next_record() {
                        let fits = record.payload.len().min(into.remaining());
                        into.put_slice(&record.payload[..fits]);
                        self.ahead.extend_from_slice(&record.payload[fits..]);
                        discard += record.discard;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut message)) => {
                    encode(&mut message, &mut self.unsent);
                }
                Ok(ConnectionState::TransmitTlsData(sent)) => sent.done(), // with what is written next
                Ok(ConnectionState::PeerClosed) => self.peer = Peer::Closed,
                Ok(_) => is_whole = false,
                Err(error) => {
                    say_goodbye(&mut self.tls, &self.tcp);
                    self.peer = Peer::Broken(Box::new(error));
                    is_whole = false;
                }
            }
            done += discard;
        }
        self.unfinished.clear();
        self.unfinished.extend_from_slice(&coming[done..]);
        if self.unfinished.is_empty() {
            self.unfinished = Vec::new();
        }
    }

    /// Encrypts some of these bytes and writes them; what the socket does not take now is written before
    /// anything else.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.is_sound()?;
        ready!(self.poll_flush(cx))?;
        let records = Rc::clone(&self.records);
        let mut going = records.going();
        let bytes = &bytes[..bytes.len().min(PAYLOAD_BYTES_MAX)];
        let sealed = self.encrypt(bytes, &mut going)?;
        let sealed = &going[..sealed];
        let sent = match Pin::new(&mut self.tcp).poll_write(cx, sealed) {
            Poll::Ready(sent) => sent?,
            Poll::Pending => 0,
        };
        self.unsent.extend_from_slice(&sealed[sent..]);
        Poll::Ready(Ok(bytes.len()))
    }

    fn encrypt(&mut self, bytes: &[u8], going: &mut [u8]) -> io::Result<usize> {
        let mut before = 0;
        loop {
            match self.tls.process_tls_records(&mut self.unfinished).state.map_err(invalid)? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let sealed = traffic.encrypt(bytes, &mut going[before..]);
                    return sealed.map(|sealed| before + sealed).map_err(io::Error::other);
                }
                ConnectionState::EncodeTlsData(mut message) => {
                    // Room for such a message is left in any case.
                    before += message.encode(&mut going[before..]).unwrap_or_default();
                }
                ConnectionState::TransmitTlsData(sent) => sent.done(),
                ConnectionState::PeerClosed => self.peer = Peer::Closed,
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }

    /// Whether rustls may still be asked anything.
    fn is_sound(&self) -> io::Result<()> {
        match &self.peer {
            Peer::Open | Peer::Closed => Ok(()),
            Peer::Broken(error) => Err(invalid((**error).clone())),
        }
    }

    /// Writes the records that the socket did not take; ready when there are none.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut self.tcp).poll_write(cx, &self.unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => drop_front(&mut self.unsent, count),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more will be written.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_sound()?;
        ready!(self.poll_flush(cx))?;
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) =
            self.tls.process_tls_records(&mut self.unfinished).state
        {
            let mut going = self.records.going();
            // It is said once; a second time there is nothing to write.
            let sealed = traffic.queue_close_notify(&mut going).unwrap_or_default();
            self.unsent.extend_from_slice(&going[..sealed]);
        }
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Removes what is done with, and the memory with the last of it.
fn drop_front(bytes: &mut Vec<u8>, count: usize) {
    bytes.drain(..count);
    if bytes.is_empty() {
        *bytes = Vec::new();
    }
}

/// Appends a message of TLS's own.
fn encode(message: &mut EncodeTlsData<'_, ClientConnectionData>, going: &mut Vec<u8>) {
    let start = going.len();
    // The size is told by failing: rustls offers no other way to ask.
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
        message.encode(&mut [])
    {
        going.resize(start + required_size, 0);
        let written = message.encode(&mut going[start..]).unwrap_or_default();
        going.truncate(start + written);
    }
}

/// Tells the other side why the connection ends, if the socket takes that at once.
fn say_goodbye(tls: &mut UnbufferedClientConnection, tcp: &TcpStream) {
    let mut alert = Vec::new();
    // Only as long as there is an alert to be had: records must not be looked at again after an error.
    while tls.wants_write() {
        match tls.process_tls_records(&mut []).state {
            Ok(ConnectionState::EncodeTlsData(mut message)) => encode(&mut message, &mut alert),
            _ => break,
        }
    }
    let _ = tcp.try_write(&alert); // it ends all the same
}

fn too_long() -> rustls::Error {
    rustls::Error::General("a message of TLS is too long".into())
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({:?}, {:?})", self.tcp, self.peer)
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
pub(super) mod tests;
