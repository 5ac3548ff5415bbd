//! HTTP/2 on one connection of an origin: many requests at once.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::answer::{Asked, CONTENT, HEADERS};
use super::state::State;

/// Streams that one connection may have at once: the usual limit of servers.
const STREAMS: u32 = 100;
/// How much may be on its way unread, for a stream and for a connection.
const WINDOW: u32 = 1 << 20;

/// Answers requests until the client leaves.
pub async fn serve(stream: TlsStream<TcpStream>, state: &Rc<State>) -> io::Result<()> {
    let mut connection = h2::server::Builder::new()
        .max_concurrent_streams(STREAMS)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request.map_err(io::Error::other)?;
        let state = Rc::clone(state);
        tokio::task::spawn_local(async move {
            let _ = answer(request, respond, &state).await; // the client sees the stream's end
        });
    }
    Ok(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    state: &State,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let asked = Asked::by(head.uri.path().as_bytes());
    let mut sent = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        sent.extend_from_slice(&piece);
    }
    let content = match asked {
        Asked::Hold => {
            state.hold().await;
            Bytes::new()
        }
        Asked::Count => sent.len().to_string().into(),
        Asked::Size(..) if !sent.is_empty() => sent.into(),
        Asked::Size(..) => return respond_with_size(asked.size(), &mut respond).await,
    };
    let mut stream = respond.send_response(response(content.len()), content.is_empty())?;
    if content.is_empty() { Ok(()) } else { send(&mut stream, content, Last::Piece).await }
}

async fn respond_with_size(
    size: usize,
    respond: &mut SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let mut stream = respond.send_response(response(size), size == 0)?;
    let mut left = size;
    while left > 0 {
        let piece = left.min(CONTENT.len());
        left -= piece;
        let last = if left == 0 { Last::Piece } else { Last::NotYet };
        send(&mut stream, Bytes::from_static(&CONTENT[..piece]), last).await?;
    }
    Ok(())
}

/// Whether a piece ends the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Piece,
    NotYet,
}

/// Sends as the client's window allows.
async fn send(
    stream: &mut SendStream<Bytes>,
    mut piece: Bytes,
    last: Last,
) -> Result<(), h2::Error> {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        while stream.capacity() == 0 {
            match std::future::poll_fn(|context| stream.poll_capacity(context)).await {
                Some(capacity) => capacity?,
                None => return Ok(()), // the client gave the stream up
            };
        }
        let now = piece.split_to(piece.len().min(stream.capacity()));
        stream.send_data(now, piece.is_empty() && last == Last::Piece)?;
    }
    Ok(())
}

fn response(length: usize) -> Response<()> {
    let mut response = Response::new(());
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, http::HeaderValue::from_static(value));
    }
    response.headers_mut().insert("content-length", length.into());
    response
}
