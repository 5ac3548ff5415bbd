//! An answer of our own: of a failure, or what the configuration says.

mod told;

use std::rc::Rc;
use std::task::Poll;

use super::asked::{Asked, Body, frame};
use super::deadlines::Waits;
use super::headers;
use super::headers::values::{Answer, Source, Values};
use super::lane::Lane;
use super::request::Next;
use crate::downstream::Client;
use crate::model::{Cors, Failure, HeaderEdits, Limit, Redirect, Respond};
use crate::observe::Record;
use crate::snapshot::cors;
use crate::transport::{Broken, Data, Piece};
use crate::wire::{Framing, Head, Trailers, Version};

/// Body bytes of a refused request that are read for the sake of the connection.
const DISCARD_BYTES_MAX: u64 = 64 * 1024;

/// What a route does with the head of an answer, and the request that is answered.
pub type Edited<'r> = ([&'r HeaderEdits; 2], &'r Head);

/// Answers with a reply of our own, edited as its route says (as in Envoy). Only while no head was sent.
pub async fn local(
    client: &mut Client<'_>,
    asked: Asked<'_>,
    failure: &Failure,
    edited: Option<Edited<'_>>,
    record: &mut Record<'_>,
    lane: &Rc<Lane>,
) -> Next {
    record.failed(failure);
    if *failure == Failure::ClientGone {
        return Next::Abort;
    }
    let (head, body) = told::write(failure, asked, edited, record, lane);
    record.status = head.status();
    // After a message that could be read in two ways, nothing more is read from this connection.
    let asked = if matches!(failure, Failure::Refused(_)) { asked.closing() } else { asked };
    send_own(client, asked, head, body, record, lane).await
}

/// An answer that the configuration itself gives.
pub enum Configured<'s> {
    /// Another place to ask at, and its Location for this request.
    Redirect(&'s Redirect, Vec<u8>),
    /// These words.
    Respond(&'s Respond),
    /// To a browser's question, what pages of other sites may do.
    Preflight(&'s Cors),
}

/// Answers with what the configuration says (Envoy's `direct_response`, and `cors_response`).
pub async fn configured(
    client: &mut Client<'_>,
    asked: Asked<'_>,
    answer: Configured<'_>,
    request: &Head,
    record: &mut Record<'_>,
    lane: &Rc<Lane>,
) -> Next {
    let none = HeaderEdits::default();
    let (status, body, edits) = match &answer {
        Configured::Redirect(redirect, _) => (redirect.status, &[][..], &redirect.response),
        Configured::Respond(respond) => (respond.status, &respond.body[..], &respond.response),
        Configured::Preflight(_) => (200, &[][..], &none),
    };
    record.details = "direct_response";
    let mut head = begin(status, lane);
    match &answer {
        Configured::Redirect(_, location) => head.append(b"location", location),
        Configured::Respond(_) => {}
        Configured::Preflight(cors) => {
            record.details = "cors_response";
            cors::answer(cors, &mut head);
        }
    }
    if !body.is_empty() {
        head.append(b"content-type", b"text/plain");
    }
    sign(&mut head, lane);
    edit(&mut head, [edits, &none], request, record, lane);
    if status != 204 && status != 304 {
        head.set(b"content-length", body.len().to_string().as_bytes());
    }
    record.status = status;
    send_own(client, asked, head, body.to_vec(), record, lane).await
}

/// Makes a route's edits, but for how the answer is framed and whether the connection is kept: that is not the
/// route's to say.
fn edit(
    head: &mut Head,
    edits: [&HeaderEdits; 2],
    request: &Head,
    record: &Record<'_>,
    lane: &Lane,
) {
    let values = Values::of(edits, Source { request, answer: Answer::Ours(head), record }, lane);
    headers::edit(head, edits, values.as_deref());
    for name in [&b"content-length"[..], b"transfer-encoding", b"connection"] {
        head.remove(name);
    }
}

/// Sends an answer of our own; what is here of the request's body is read for the connection's sake.
async fn send_own(
    client: &mut Client<'_>,
    asked: Asked<'_>,
    mut head: Head,
    body: Vec<u8>,
    record: &mut Record<'_>,
    lane: &Rc<Lane>,
) -> Next {
    let asked = match discard_body(client, lane).await {
        BodyLeft::Nothing => asked,
        BodyLeft::Some => asked.closing(),
    };
    let framing = match (asked.body, record.status) {
        (Body::HeadOnly, _) | (_, 204 | 304) => Framing::Empty,
        (Body::Wanted, _) => Framing::Length(body.len() as u64),
    };
    record.bytes_out = if framing == Framing::Empty { 0 } else { body.len() as u64 };
    let (framing, next) = frame(&mut head, framing, asked, lane);
    let sent = send(client, &head, framing, body, lane).await;
    lane.buffers.give_back_head(head.into_memory());
    if sent.is_ok() { next } else { Next::Abort }
}

/// The head of an answer of our own.
fn begin(status: u16, lane: &Lane) -> Head {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason());
    let reason = reason.unwrap_or_default().as_bytes();
    Head::response(lane.buffers.lend_head(), Version::Http11, status, reason)
}

/// Says when and by whom an answer was made.
fn sign(head: &mut Head, lane: &Lane) {
    head.set(b"date", lane.date().as_bytes());
    head.set(b"server", lane.headers.server.as_deref().unwrap_or("egret").as_bytes());
}

/// Whether some of the request's body is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyLeft {
    Nothing,
    Some,
}

/// Reads what is already here of a body that nobody wants, so that the connection can go on.
async fn discard_body(client: &mut Client<'_>, lane: &Lane) -> BodyLeft {
    let mut discarded = 0;
    std::future::poll_fn(|cx| {
        let mut scratch = lane.buffers.scratch();
        while discarded < DISCARD_BYTES_MAX {
            match client.peer().poll_piece(cx, &mut scratch, &lane.buffers) {
                Poll::Ready(Ok(piece)) if piece.end.is_some() => {
                    return Poll::Ready(BodyLeft::Nothing);
                }
                Poll::Ready(Ok(piece)) => {
                    discarded += piece.bytes(&scratch).len() as u64;
                }
                _ => break,
            }
        }
        Poll::Ready(BodyLeft::Some)
    })
    .await
}

async fn send(
    client: &mut Client<'_>,
    head: &Head,
    framing: Framing,
    body: Vec<u8>,
    lane: &Lane,
) -> Result<(), Broken> {
    client.reply(head, framing, &lane.buffers)?;
    let mut piece = (framing != Framing::Empty)
        .then(|| Piece { data: Data::Shared(body.into()), end: Some(Trailers::default()) });
    // A client that asks and asks but never reads must not be waited for without end.
    let idle = lane.deadlines.enter();
    idle.arm(lane.limits.stream_idle, Waits::Busy);
    std::future::poll_fn(|cx| {
        if let Some(piece) = piece.take() {
            client.peer().push(cx, piece, &mut [], &lane.buffers)?;
        }
        match client.peer().poll_drain(cx, &lane.buffers) {
            Poll::Pending => idle.poll_over(cx).map(|()| {
                lane.stats.borrow_mut().limit_reached(Limit::StreamIdle);
                Err(Broken::Closed)
            }),
            sent => sent,
        }
    })
    .await
}
