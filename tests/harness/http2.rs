//! What an origin answers over HTTP/2.
//!
//! `application/grpc` requests get every message back as soon as it has come, and `grpc-status: 0` after
//! the last; `/hold` waits for the test's `release`; `/reset` resets the stream; `/early` answers without
//! reading a body and refuses it; `/goaway` answers on a connection that takes no further request;
//! `/hints` has a 103 first; `/huge` has 100 MB; `/silent` neither reads a body nor answers; `/trailers` has some; all others get 200 and, as body, what they sent or `politics`.

use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};

use super::http1::{HUGE, HUGE_PIECE, next_of_script, released};
use super::origin::{Io, Request as Seen, Scripted, Shared};

/// Serves one connection until either side ends it.
pub async fn serve(stream: impl Io, connection: usize, shared: &Arc<Shared>) {
    let Ok(mut http2) = h2::server::handshake(stream).await else { return };
    let mut streams = tokio::task::JoinSet::new();
    while let Some(Ok((request, respond))) = http2.accept().await {
        if request.uri().path() == "/goaway" {
            http2.graceful_shutdown();
        }
        let (shared, head) = (shared.clone(), head(&request));
        let index = shared.seen.change(|seen| {
            seen.requests.push(Seen {
                connection,
                head,
                body: Vec::new(),
                trailers: String::new(),
            });
            seen.requests.len() - 1
        });
        streams.spawn(async move {
            // A stream that was reset is what some tests are about; it ends here.
            let _ = answer(request, respond, index, &shared).await;
        });
    }
}

fn head(request: &Request<RecvStream>) -> String {
    let mut head = format!("{} {} HTTP/2\r\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    head + "\r\n"
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    index: usize,
    shared: &Shared,
) -> Result<(), h2::Error> {
    let path = request.uri().path().to_owned();
    let grpc = request
        .headers()
        .get("content-type")
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    let mut body = request.into_body();
    if path == "/reset" {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    }
    if let Some(scripted) = next_of_script(shared, &path) {
        while next(&mut body, index, shared).await?.is_some() {}
        return by_script(scripted, &mut respond);
    }
    if path == "/early" {
        let mut send = respond.send_response(Response::new(()), false)?;
        return send.send_data(Bytes::from_static(b"early"), true); // the dropped body is refused
    }
    if path == "/silent" {
        std::future::pending::<()>().await;
    }
    if path == "/hints" {
        let hints = Response::builder().status(103).header("link", "</style.css>").body(());
        respond.send_informational(hints.expect("a valid head"))?;
    }
    if path == "/huge" {
        return huge(&mut respond.send_response(Response::new(()), false)?).await;
    }
    if path == "/hold" {
        released(shared).await;
    }
    if grpc {
        let head = Response::builder()
            .header("content-type", "application/grpc")
            .body(())
            .expect("a valid head");
        let mut send = respond.send_response(head, false)?;
        while let Some(piece) = next(&mut body, index, shared).await? {
            send.send_data(piece, false)?;
        }
        return send.send_trailers(fields(&[("grpc-status", "0"), ("grpc-message", "fine")]));
    }
    let mut whole = Vec::new();
    while let Some(piece) = next(&mut body, index, shared).await? {
        whole.extend_from_slice(&piece);
    }
    if let Some(trailers) = body.trailers().await? {
        shared.seen.change(|seen| seen.requests[index].trailers = format!("{trailers:?}"));
    }
    if whole.is_empty() {
        whole = b"politics".to_vec();
    }
    let mut send = respond.send_response(Response::new(()), false)?;
    match path.as_str() {
        "/trailers" => {
            send.send_data(whole.into(), false)?;
            send.send_trailers(fields(&[("x-sum", "42")]))
        }
        _ => send.send_data(whole.into(), true),
    }
}

fn by_script(scripted: Scripted, respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    match scripted {
        Scripted::Refused => respond.send_reset(Reason::REFUSED_STREAM),
        Scripted::Grpc(status) => {
            let head = Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", status);
            respond.send_response(head.body(()).expect("a valid head"), true)?;
        }
        _ => respond.send_reset(Reason::INTERNAL_ERROR),
    }
    Ok(())
}

async fn huge(send: &mut SendStream<Bytes>) -> Result<(), h2::Error> {
    for _ in 0..HUGE / HUGE_PIECE {
        send_whole(send, Bytes::from_static(&[b'x'; HUGE_PIECE])).await?;
    }
    send.send_data(Bytes::new(), true)
}

/// Sends as the window lets it, so that nothing waits here.
async fn send_whole(send: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), h2::Error> {
    while !bytes.is_empty() {
        send.reserve_capacity(bytes.len());
        match std::future::poll_fn(|cx| send.poll_capacity(cx)).await.transpose()? {
            Some(room) => send.send_data(bytes.split_to(room.min(bytes.len())), false)?,
            None => return Ok(()), // reset, as the next call says
        }
    }
    Ok(())
}

async fn next(
    body: &mut RecvStream,
    index: usize,
    shared: &Shared,
) -> Result<Option<Bytes>, h2::Error> {
    let Some(piece) = body.data().await.transpose()? else { return Ok(None) };
    body.flow_control().release_capacity(piece.len())?;
    shared.seen.change(|seen| seen.requests[index].body.extend_from_slice(&piece));
    Ok(Some(piece))
}

/// A map of these fields.
pub fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        })
        .collect()
}
