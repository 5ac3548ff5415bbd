//! HTTP/1.1 on one connection of an origin.

use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::answer::{self, Asked, CONTENT, Connection};
use super::state::State;
use crate::wire::{Body, broken, head_end};
use crate::work::WEBSOCKET_ACCEPT;

/// Room for a read: a record of TLS.
const READ: usize = 16 << 10;
/// Gateways add lines of their own to a request.
const HEADERS: usize = 64;

type Stream = TlsStream<TcpStream>;

/// A request whose body is still to come.
struct Request {
    asked: Asked,
    body: Body,
    is_upgrade: bool,
}

/// Answers one request after the other until the client leaves or a path says that this was the last.
pub async fn serve(mut stream: Stream, state: &State) -> io::Result<()> {
    let mut buffer = BytesMut::with_capacity(READ);
    while let Some(request) = request(&mut stream, &mut buffer).await? {
        if request.is_upgrade {
            return echo(stream, buffer).await;
        }
        if reply(request, &mut stream, &mut buffer, state).await? == Connection::Closed {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// The next request's head; `None`: the client has left.
async fn request(stream: &mut Stream, buffer: &mut BytesMut) -> io::Result<Option<Request>> {
    let end = loop {
        if let Some(end) = head_end(buffer) {
            break end;
        }
        if read(stream, buffer).await? == 0 {
            return Ok(None);
        }
    };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    head.parse(&buffer[..end]).map_err(io::Error::other)?;
    let request = Request {
        asked: Asked::by(head.path.unwrap_or_default().as_bytes()),
        body: Body::of(head.headers)?,
        is_upgrade: head.headers.iter().any(|line| line.name.eq_ignore_ascii_case("upgrade")),
    };
    buffer.advance(end);
    Ok(Some(request))
}

async fn reply(
    request: Request,
    stream: &mut Stream,
    buffer: &mut BytesMut,
    state: &State,
) -> io::Result<Connection> {
    match request.asked {
        Asked::Hold => {
            state.hold().await;
            write(stream, &answer::head(0, Connection::Kept)).await?;
        }
        Asked::Count => {
            let mut count = 0;
            body(request.body, stream, buffer, &mut |content| count += content.len()).await?;
            let count = count.to_string();
            let mut reply = answer::head(count.len(), Connection::Kept);
            reply.extend_from_slice(count.as_bytes());
            write(stream, &reply).await?;
        }
        Asked::Size(..) if !request.body.is_over() => {
            let mut sent = Vec::new();
            body(request.body, stream, buffer, &mut |content| sent.extend_from_slice(content))
                .await?;
            let mut reply = answer::head(sent.len(), Connection::Kept);
            reply.extend_from_slice(&sent);
            write(stream, &reply).await?;
        }
        Asked::Size(_, Connection::Closed) => {
            let size = request.asked.size();
            let mut reply = answer::head(size, Connection::Closed);
            reply.extend(CONTENT.iter().cycle().take(size));
            write(stream, &reply).await?;
            return Ok(Connection::Closed);
        }
        Asked::Size(at, Connection::Kept) => {
            let (reply, mut left) = answer::prepared(at);
            stream.write_all(reply).await?;
            while left > 0 {
                let piece = left.min(CONTENT.len());
                stream.write_all(&CONTENT[..piece]).await?;
                left -= piece;
            }
            stream.flush().await?;
        }
    }
    Ok(Connection::Kept)
}

/// Reads a body and hands on its content.
async fn body(
    mut body: Body,
    stream: &mut Stream,
    buffer: &mut BytesMut,
    content: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    loop {
        let taken = body.take(buffer, content)?;
        buffer.advance(taken);
        if body.is_over() {
            return Ok(());
        }
        if read(stream, buffer).await? == 0 {
            return Err(broken("a body without its end"));
        }
    }
}

async fn echo(mut stream: Stream, mut buffer: BytesMut) -> io::Result<()> {
    let switch = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {WEBSOCKET_ACCEPT}\r\n\r\n"
    );
    write(&mut stream, switch.as_bytes()).await?;
    loop {
        if !buffer.is_empty() {
            write(&mut stream, &buffer).await?;
            buffer.clear();
        }
        if read(&mut stream, &mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

async fn read(stream: &mut Stream, buffer: &mut BytesMut) -> io::Result<usize> {
    buffer.reserve(READ);
    stream.read_buf(buffer).await
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
