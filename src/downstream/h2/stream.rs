//! One stream of a client's HTTP/2 connection: its request as lines, its reply as frames.
//!
//! The h2 crate has judged framing, field names, connection-specific fields, the order and number of
//! pseudo-header fields and the length of the body; what it lets through is judged here. Routes are
//! none of its business.

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri};

use super::Arrival;
use crate::downstream::Ends;
use crate::transport::{Broken, Buffers, Frames, frames};
use crate::wire::{Framing, Head, Refusal, Version};

/// One stream: a request and its reply.
#[derive(Debug)]
pub struct Stream {
    /// Who called.
    pub ends: Ends,
    /// The bodies.
    pub frames: Frames,
    respond: SendResponse<Bytes>,
}

/// Why a request is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It is malformed, which is an error of its stream (RFC 9113, section 8.1.1).
    Malformed(&'static str),
    /// It breaks a rule that an answer can explain.
    Refused(Refusal),
}

impl Stream {
    /// Takes a request over: its head as lines, and the stream for its bodies.
    pub fn new(arrival: Arrival, ends: Ends, buffers: &Buffers) -> (Result<Head, Unfit>, Self) {
        let Arrival { request, respond } = arrival;
        let (parts, recv) = request.into_parts();
        let head = head(&parts, buffers);
        let recv = (!recv.is_end_stream()).then_some(recv);
        let frames = Frames::new(recv, None);
        (head, Self { ends, frames, respond })
    }

    /// Whether the request has a body at all.
    pub fn has_body(&self) -> bool {
        self.frames.recv.is_some()
    }

    /// Begins the final response.
    pub fn reply(&mut self, head: &Head, framing: Framing) -> Result<(), Broken> {
        let last = matches!(framing, Framing::Empty | Framing::Length(0));
        let send = self
            .respond
            .send_response(response(head), last)
            .map_err(|error| frames::broken(&error))?;
        self.frames.send = (!last).then_some(send);
        Ok(())
    }

    /// Passes on an interim response.
    pub fn inform(&mut self, head: &Head) -> Result<(), Broken> {
        self.respond.send_informational(response(head)).map_err(|error| frames::broken(&error))
    }

    /// Ends the stream with an error, so that a body cut short cannot look complete.
    pub fn reset(&mut self) {
        self.reset_for(h2::Reason::INTERNAL_ERROR);
    }

    /// Ends the stream as malformed.
    pub fn reject(&mut self) {
        self.reset_for(h2::Reason::PROTOCOL_ERROR);
    }

    fn reset_for(&mut self, reason: h2::Reason) {
        match &mut self.frames.send {
            Some(send) => send.send_reset(reason),
            None => self.respond.send_reset(reason),
        }
    }

    /// Ready when the client has reset the stream or left.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.frames.send {
            Some(send) => send.poll_reset(cx).map(|_| ()),
            None => self.respond.poll_reset(cx).map(|_| ()),
        }
    }
}

/// A request's head as lines.
fn head(parts: &http::request::Parts, buffers: &Buffers) -> Result<Head, Unfit> {
    let target = target(&parts.method, &parts.uri)?;
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    check_fields(&parts.headers, authority)?;
    let method = parts.method.as_str().as_bytes();
    let mut head = Head::request(buffers.lend_head(), Version::Http2, method, b"/");
    match (parts.uri.scheme_str(), authority) {
        // What was meant to be encrypted is marked as in HTTP/1.1: by an absolute target.
        (Some("https"), Some(authority)) if target.starts_with('/') => {
            head.set_target(format!("https://{authority}{target}").as_bytes());
        }
        _ => head.set_target(target.as_bytes()),
    }
    if let Some(authority) = authority {
        head.append(b"host", authority.as_bytes());
    }
    let mut cookies = Vec::new();
    for (name, value) in &parts.headers {
        match name.as_str() {
            // RFC 9113, section 8.3.1: :authority stands in for Host.
            "host" if authority.is_some() => {}
            // RFC 9113, section 8.2.3: pieces of a cookie are one line again for HTTP/1.1.
            "cookie" => {
                if !cookies.is_empty() {
                    cookies.extend_from_slice(b"; ");
                }
                cookies.extend_from_slice(value.as_bytes());
            }
            name => head.append(name.as_bytes(), value.as_bytes()),
        }
    }
    if !cookies.is_empty() {
        head.append(b"cookie", &cookies);
    }
    Ok(head)
}

/// The target in origin-form, `*`, or an authority for CONNECT (RFC 9113, sections 8.3.1 and 8.5).
fn target<'u>(method: &Method, uri: &'u Uri) -> Result<&'u str, Unfit> {
    if method == Method::CONNECT {
        return match uri.authority() {
            Some(authority) => Ok(authority.as_str()),
            None => Err(Unfit::Malformed("CONNECT without :authority")),
        };
    }
    if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
        return Err(Unfit::Refused(Refusal::BadTarget));
    }
    if uri.path().is_empty() {
        return Err(Unfit::Malformed(":path is missing"));
    }
    match uri.path_and_query().map_or("", |target| target.as_str()) {
        "*" if method == Method::OPTIONS => Ok("*"),
        target if target.starts_with('/') => Ok(target),
        _ => Err(Unfit::Malformed(":path is not a path")),
    }
}

fn check_fields(fields: &HeaderMap, authority: Option<&str>) -> Result<(), Unfit> {
    if let Some(authority) = authority {
        let hosts = fields.get_all(http::header::HOST);
        if hosts.iter().any(|host| !host.as_bytes().eq_ignore_ascii_case(authority.as_bytes())) {
            return Err(Unfit::Refused(Refusal::HostMismatch));
        }
    }
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let at_edge = |value: &[u8]| blank(value.first()) || blank(value.last());
    match fields.values().any(|value| at_edge(value.as_bytes())) {
        true => Err(Unfit::Refused(Refusal::BlankAtEdge)),
        false => Ok(()),
    }
}

/// Lines that HTTP/2 has no place for (RFC 9113, section 8.2.2) are left out; the rest is copied.
fn response(head: &Head) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(head.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().reserve(head.lines().count());
    for (name, value) in head.lines_to_keep() {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_maybe_shared(value))
            && !matches!(
                name.as_str(),
                "connection" | "keep-alive" | "transfer-encoding" | "upgrade"
            )
        {
            response.headers_mut().append(name, value);
        }
    }
    response
}
