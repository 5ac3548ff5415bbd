//! How a client wants to be answered, and the answer's head framed for it.

use super::lane::{Lane, Phase};
use super::request::Next;
use crate::snapshot::cors::Allowed;
use crate::wire::{Framing, Head, Name, Persistence, Version, fields};

/// What a request's head says about how it wants to be answered; noted before the head is edited.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    version: Version,
    persistence: Persistence,
    /// Whether a body is wanted.
    pub body: Body,
    /// How a failure is to be told.
    pub form: Form,
    /// The host that was asked for, once it is known.
    pub host: Option<&'r str>,
    /// The request's `x-request-id`.
    pub request_id: Option<&'r [u8]>,
    /// The page of another site that may read the answer.
    allowed: Option<&'r Allowed<'r>>,
}

/// Whether the answer may have a body at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// It may.
    Wanted,
    /// It was asked for with HEAD.
    HeadOnly,
}

/// How a failure is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a sentence.
    Text,
    /// As an object.
    Json,
    /// As gRPC's status and message.
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
