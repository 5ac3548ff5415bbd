//! A client of HTTP/1.1.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::Answer;
use crate::wire::{Body, broken, head_end};

/// Room for a read of a head, and of what is left of a large body.
const READ: usize = 16 << 10;
const READ_BULK: usize = 256 << 10;
/// Gateways add lines of their own.
const HEADERS: usize = 64;

/// A connection that is kept.
pub struct Client {
    stream: TcpStream,
    buffer: BytesMut,
}

/// The head of an answer.
pub struct Head {
    /// Its status.
    pub status: u16,
    body: Body,
    is_last: bool,
}

impl Client {
    /// Opens a connection.
    pub async fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    /// Whether the other side closed the connection while it was idle.
    pub fn is_closed(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Ok(0)) // not a system call while nothing has come
    }

    /// Sends a request and reads its answer to the end.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        let Head { status, mut body, is_last } = self.head().await?;
        let mut bytes = 0;
        loop {
            let taken = body.take(&self.buffer, &mut |content| bytes += content.len() as u64)?;
            self.buffer.advance(taken);
            if body.is_over() {
                return Ok(Answer { status, bytes, is_last });
            }
            self.buffer.reserve(if bytes > READ as u64 { READ_BULK } else { READ });
            self.more("the body").await?;
        }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads bytes as they are, until there are so many.
    pub async fn receive(&mut self, count: usize) -> io::Result<()> {
        while self.buffer.len() < count {
            self.buffer.reserve(READ);
            self.more("a message").await?;
        }
        self.buffer.advance(count);
        Ok(())
    }

    /// Reads an answer's head.
    pub async fn head(&mut self) -> io::Result<Head> {
        let end = loop {
            if let Some(end) = head_end(&self.buffer) {
                break end;
            }
            self.buffer.reserve(READ);
            self.more("the head").await?;
        };
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        head.parse(&self.buffer[..end]).map_err(io::Error::other)?;
        let is_last = head.headers.iter().any(|line| {
            line.name.eq_ignore_ascii_case("connection")
                && line.value.eq_ignore_ascii_case(b"close")
        });
        let status = head.code.unwrap_or_default();
        let head = Head { status, body: Body::of(head.headers)?, is_last };
        self.buffer.advance(end);
        Ok(head)
    }

    /// Reads so many bytes a second, a tenth of them every tenth of a second, until the connection ends.
    pub async fn read_slowly(&mut self, request: &[u8], rate: usize) -> io::Result<()> {
        self.stream.write_all(request).await?;
        let mut piece = vec![0; rate.div_ceil(10)];
        loop {
            if self.stream.read(&mut piece).await? == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn more(&mut self, of: &str) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(broken(&format!("closed before the end of {of}"))),
            _ => Ok(()),
        }
    }
}
