//! The head that goes to the client: the origin's, framed for this client, or one of our own.

use std::borrow::Cow;
use std::rc::Rc;
use std::task::Poll;

use super::deadlines::Waits;
use super::headers;
use super::headers::values::{Answer, Source, Values};
use super::lane::{Lane, Phase};
use super::request::Next;
use crate::downstream::Client;
use crate::model::failure::{Failure, Flag, Row};
use crate::model::{Aborted, Cors, HeaderEdits, Limit, Redirect, Respond};
use crate::observe::{Record, escape_json};
use crate::snapshot::cors::{self, Allowed};
use crate::transport::{Broken, Data, Piece};
use crate::wire::{Framing, Head, Name, Persistence, Trailers, Version, fields};

/// Body bytes of a refused request that are read for the sake of the connection.
const DISCARD_BYTES_MAX: u64 = 64 * 1024;

/// What a request's head says about how it wants to be answered; noted before the head is edited.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    version: Version,
    persistence: Persistence,
    body: Body,
    form: Form,
    /// The host that was asked for, once it is known.
    host: Option<&'r str>,
    /// The request's `x-request-id`.
    request_id: Option<&'r [u8]>,
    /// The page of another site that may read the answer.
    allowed: Option<&'r Allowed<'r>>,
}

/// Whether the answer may have a body at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Wanted,
    HeadOnly,
}

/// How a failure is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Grpc,
}

impl Default for Asked<'_> {
    /// Nothing is known of the request.
    fn default() -> Self {
        Self {
            version: Version::Http11,
            persistence: Persistence::Close,
            body: Body::Wanted,
            form: Form::Text,
            host: None,
            request_id: None,
            allowed: None,
        }
    }
}

impl<'r> Asked<'r> {
    /// Reads it off a request's head.
    pub fn of(head: &Head) -> Self {
        let form = if head.find(Name::ContentType).is_some_and(is_grpc) {
            Form::Grpc
        } else if head.find(Name::Accept).is_some_and(wants_json) {
            Form::Json
        } else {
            Form::Text
        };
        Self {
            version: head.version(),
            persistence: fields::keep_alive(head),
            body: if head.method() == b"HEAD" { Body::HeadOnly } else { Body::Wanted },
            form,
            host: None,
            request_id: None,
            allowed: None,
        }
    }

    /// The same, with the page that may read the answer.
    pub fn read_by(self, allowed: Option<&'r Allowed<'r>>) -> Self {
        Self { allowed, ..self }
    }

    /// Tells the browser that a page may read the answer.
    pub fn tell_page(&self, head: &mut Head) {
        if let Some(allowed) = self.allowed {
            allowed.tell(head);
        }
    }

    /// The same, with what a reply in JSON names the request by.
    pub fn naming(self, host: Option<&'r str>, request_id: Option<&'r [u8]>) -> Self {
        Self { host, request_id, ..self }
    }

    /// The same, but as the last request of its connection.
    pub fn closing(self) -> Self {
        Self { persistence: Persistence::Close, ..self }
    }
}

fn is_grpc(content_type: &[u8]) -> bool {
    content_type.starts_with(b"application/grpc")
}

fn wants_json(accept: &[u8]) -> bool {
    const JSON: &[u8] = b"application/json";
    accept.len() >= JSON.len() && fields::tokens(accept).any(|token| token.starts_with(JSON))
}

/// Frames a response for this client: how its body is written, and what becomes of the connection.
pub fn frame(head: &mut Head, framing: Framing, asked: Asked<'_>, lane: &Lane) -> (Framing, Next) {
    asked.tell_page(head);
    if asked.version == Version::Http2 {
        return (framing, Next::Keep);
    }
    let framing = match framing {
        Framing::Chunked | Framing::UntilClose if asked.version == Version::Http11 => {
            head.set(b"transfer-encoding", b"chunked");
            Framing::Chunked
        }
        Framing::Chunked | Framing::UntilClose => Framing::UntilClose,
        Framing::Length(0) if head.find(Name::ContentLength).is_none() => {
            head.set(b"content-length", b"0");
            framing
        }
        framing => framing,
    };
    let keep = asked.persistence == Persistence::Keep
        && framing != Framing::UntilClose
        && lane.phase() == Phase::Serving;
    match (keep, asked.version) {
        (true, Version::Http10) => head.set(b"connection", b"keep-alive"),
        (true, _) => {}
        (false, _) => head.set(b"connection", b"close"),
    }
    (framing, if keep { Next::Keep } else { Next::Close })
}

/// Answers with a reply of our own. Only while no head was sent.
pub async fn local(
    client: &mut Client<'_>,
    asked: Asked<'_>,
    failure: &Failure,
    record: &mut Record<'_>,
    lane: &Rc<Lane>,
) -> Next {
    record.failed(failure);
    if *failure == Failure::ClientGone {
        return Next::Abort;
    }
    let (head, body) = write(failure, asked, record, lane);
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
    if status != 204 && status != 304 {
        head.append(b"content-length", body.len().to_string().as_bytes());
    }
    sign(&mut head, lane);
    let edits = [edits, &none];
    let values = Values::of(edits, Source { request, answer: Answer::Ours(&head), record }, lane);
    headers::edit(&mut head, edits, values.as_deref());
    record.status = status;
    send_own(client, asked, head, body.to_vec(), record, lane).await
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
    head.append(b"date", lane.date().as_bytes());
    head.append(b"server", lane.headers.server.as_deref().unwrap_or("egret").as_bytes());
}

/// The head and body that tell of a failure.
fn write(failure: &Failure, asked: Asked<'_>, record: &Record<'_>, lane: &Lane) -> (Head, Vec<u8>) {
    let row = failure.row();
    let status = if asked.form == Form::Grpc { 200 } else { row.status };
    let mut head = begin(status, lane);
    let message = row.message(record.attempts);
    let (content_type, body) = match asked.form {
        Form::Grpc => {
            head.append(b"grpc-status", grpc_status(failure, row.status).as_bytes());
            if !message.is_empty() {
                // Ours are plain ASCII without a `%`: nothing in them needs percent-encoding.
                head.append(b"grpc-message", message.as_bytes());
            }
            ("application/grpc", Vec::new())
        }
        Form::Json if row.status != 404 => ("application/json", json(&row, asked, record)),
        _ if message.is_empty() => ("", Vec::new()),
        _ => ("text/plain", message.into_owned().into_bytes()),
    };
    if !content_type.is_empty() {
        head.append(b"content-type", content_type.as_bytes());
    }
    // A gRPC status without a message before it is its stream's whole answer, and has no length.
    if asked.form != Form::Grpc && !matches!(status, 204 | 304) {
        head.append(b"content-length", itoa::Buffer::new().format(body.len()).as_bytes());
    }
    sign(&mut head, lane);
    if row.flag == Flag::UpstreamOverflow {
        head.append(b"x-envoy-overloaded", b"true");
    }
    head.append(b"proxy-status", proxy_status(failure, &row).as_bytes());
    (head, body)
}

/// RFC 9209: the token, and the details as the log begins them, without the reason that only the log has.
fn proxy_status(failure: &Failure, row: &Row) -> String {
    let mut status = format!("egret; error={}; details=\"{}\"", row.token, row.details);
    if let Some(received) = failure.received_status() {
        status += &format!("; received-status={received}");
    }
    status
}

/// An object for programs: what failed, and which request that was.
fn json(row: &Row, asked: Asked<'_>, record: &Record<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let route = record.rule.or(record.route);
    for (name, value) in [
        ("{\"error\":", Some(row.token.as_bytes())),
        (",\"host\":", asked.host.map(str::as_bytes)),
        (",\"route\":", route.map(str::as_bytes)),
        (",\"request_id\":", asked.request_id),
    ] {
        out.extend_from_slice(name.as_bytes());
        match value {
            Some(value) => {
                out.push(b'"');
                escape_json(&mut out, value);
                out.push(b'"');
            }
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
    out
}

/// Envoy's mapping of HTTP statuses to gRPC's, unless the failure is one of gRPC itself.
fn grpc_status(failure: &Failure, status: u16) -> Cow<'static, str> {
    if let Failure::Injected(Aborted::Grpc(status)) = failure {
        return status.to_string().into();
    }
    let status = match status {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        429 | 502..=504 => "14",
        _ => "2",
    };
    status.into()
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
            client.peer().push(cx, piece, &[], &lane.buffers)?;
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::time::Instant;

    use super::*;
    use crate::model::Refused;
    use crate::snapshot::Publisher;

    fn told(failure: &Failure, form: Form) -> (Head, Vec<u8>) {
        let lane = Lane::new(
            Publisher::default().subscribe(),
            Default::default(),
            Default::default(),
            Default::default(),
            None,
        );
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        let record = Record::begin(Instant::now(), nobody, nobody);
        write(failure, Asked { form, ..Asked::default() }, &record, &lane)
    }

    #[test]
    fn overload_is_told_to_clients_that_know_envoys_word_for_it() {
        for (failure, expected) in
            [(Failure::Overloaded("a limit".into()), Some(&b"true"[..])), (Failure::Closed, None)]
        {
            for form in [Form::Text, Form::Json, Form::Grpc] {
                let (head, _) = told(&failure, form);
                let named = head.lines().find(|(name, _)| *name == b"x-envoy-overloaded");
                assert_eq!(named.map(|(_, value)| value), expected, "{failure:?} {form:?}");
            }
        }
    }

    #[test]
    fn statuses_become_grpcs_as_in_envoy() {
        let refused = |status| Failure::Refused(Refused { status, details: "" });
        for (failure, expected) in [
            (refused(400), "13"),
            (refused(401), "16"),
            (refused(403), "7"),
            (Failure::NoRoute, "12"),
            (refused(429), "14"),
            (Failure::Malformed(String::new()), "14"),
            (Failure::Closed, "14"),
            (Failure::Timeout, "14"),
            (Failure::RequestIdle, "2"),
            (Failure::BodyTooLarge, "2"),
            (Failure::Looped, "2"),
        ] {
            let (head, body) = told(&failure, Form::Grpc);
            let status = head.lines().find(|(name, _)| *name == b"grpc-status");
            assert_eq!(status.map(|(_, value)| value), Some(expected.as_bytes()), "{failure:?}");
            assert_eq!((head.status(), body.len()), (200, 0));
        }
    }
}
