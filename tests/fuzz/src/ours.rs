//! Our reading of a connection, with the gateway's own code, and what it would send on.
//!
//! It does what `proxy::request` and `proxy::relay` do about messages, without routes and sockets.

use std::net::{IpAddr, Ipv4Addr};
use std::task::{Context, Waker};

use egret::model::{Destination, Forward, HeaderPolicy, Host, Protocol, Security, UpstreamKey};
use egret::proxy::headers;
use egret::transport::{Broken, Buffers, HeadError, Messages, Piece};
use egret::wire::upgrade::Upgrade;
use egret::wire::{
    Framing, Head, HeadLimits, Name, Persistence, Refusal, Version, fields, framing, parse, upgrade,
};

use crate::stream::{Begins, Stream, ready};
use crate::{Line, owned};

/// Who asks.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3));

/// Small, so that inputs reach them.
pub const LIMITS: HeadLimits = HeadLimits { bytes: 1024, lines: 24 };

/// A request or a final response, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Of a request.
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    /// Of a response.
    pub status: u16,
    pub version: Version,
    pub lines: Vec<Line>,
    pub framing: Framing,
    pub body: Vec<u8>,
    /// `None` while the body has not ended.
    pub trailers: Option<Vec<Line>>,
    /// What the next hop gets of it.
    pub forwarded: Vec<u8>,
    /// Bytes of the connection that stand behind it.
    pub left: usize,
}

/// Why nothing more is read from a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The peer said all it had to say, perhaps not all it meant to say.
    Stream,
    Refused(Refusal),
    /// One of the two wants the connection closed.
    NotKept,
    /// It speaks something else from here on.
    Switched,
}

/// The requests that a client's connection brings, until the first that is refused.
pub fn requests(wire: &[u8], steer: &[u8], limits: HeadLimits) -> (Vec<Message>, End) {
    let mut connection = Connection::new(wire, steer, Begins::AtOnce, limits);
    let mut messages = Vec::new();
    loop {
        let mut head = match connection.head(parse::request) {
            Ok(head) => head,
            Err(end) => return (messages, end),
        };
        let persistence = fields::keep_alive(&head);
        let mut message = match framing::request(&head) {
            Ok(framing) => Message::of(&head, framing),
            Err(refusal) => return (messages, End::Refused(refusal)),
        };
        // Something else to upgrade to is answered with 403; here it is a request like any other.
        let upgrade = upgrade::upgrade(&head, message.framing).unwrap_or(Upgrade::None);
        if let Err(refusal) = outbound(&mut head, &HeaderPolicy::default(), upgrade) {
            return (messages, End::Refused(refusal));
        }
        if message.framing == Framing::Chunked {
            head.remove(b"content-length");
            head.set(b"transfer-encoding", b"chunked");
        }
        let framing = message.framing;
        let ended = connection.body(&mut message, framing, |out| head.write_request(out));
        let is_whole = message.trailers.is_some();
        messages.push(message);
        match (ended, upgrade, persistence) {
            (Some(end), _, _) => return (messages, end),
            (None, _, _) if !is_whole => return (messages, End::Stream),
            (None, Upgrade::WebSocket, _) => return (messages, End::Switched),
            (None, Upgrade::None, Persistence::Close) => return (messages, End::NotKept),
            (None, Upgrade::None, Persistence::Keep) => {}
        }
    }
}

/// The final response that an origin's connection brings to a request with this method.
pub fn response(
    wire: &[u8],
    steer: &[u8],
    method: &[u8],
    limits: HeadLimits,
) -> (Option<Message>, End) {
    let mut connection = Connection::new(wire, steer, Begins::WhenAsked, limits);
    connection.messages.queue(&connection.buffers, |out| out.push(b'?'));
    let _ = ready(|cx| connection.messages.poll_drain(cx, &connection.buffers));
    loop {
        let mut head = match connection.head(parse::response) {
            Ok(head) => head,
            Err(end) => return (None, end),
        };
        let mut message = match framing::response(&head, method) {
            Ok(Framing::Tunnel) => return (None, End::Switched),
            Ok(_) if head.status() < 200 => continue,
            Ok(framing) => Message::of(&head, framing),
            Err(refusal) => return (None, End::Refused(refusal)),
        };
        headers::interim(&mut head); // what is done to final heads as well adds lines and no more
        let out = match message.framing {
            Framing::UntilClose => Framing::Chunked,
            framing => framing,
        };
        if out == Framing::Chunked {
            head.set(b"transfer-encoding", b"chunked");
        }
        let ended = connection.body(&mut message, out, |out| head.write_response(out));
        return (Some(message), ended.unwrap_or(End::Stream));
    }
}

/// Names of the lines that concern one hop, for comparing what went in with what comes out.
pub const ONE_HOP: [Name; 9] = [
    Name::Connection,
    Name::KeepAlive,
    Name::ProxyConnection,
    Name::TransferEncoding,
    Name::Upgrade,
    Name::ProxyAuthorization,
    Name::ProxyAuthenticate,
    Name::Http2Settings,
    Name::Te,
];

/// Makes a head fit for an upstream in plain text, by a route that changes nothing.
pub fn outbound(head: &mut Head, policy: &HeaderPolicy, upgrade: Upgrade) -> Result<(), Refusal> {
    let forward = Forward::new(Destination::Upstream(0));
    let upstream = UpstreamKey {
        name: "outbound|8443||origin.test".to_owned(),
        host: Host::parse("origin.test").expect("a host"),
        port: 8443,
        security: Security::Plain,
        protocol: Protocol::Negotiate,
        proxy_protocol: None,
    };
    headers::outbound(head, policy, CLIENT, &forward, &forward.to[0], &upstream, upgrade)
}

impl Message {
    fn of(head: &Head, framing: Framing) -> Self {
        Self {
            method: head.method().to_vec(),
            target: head.target().to_vec(),
            status: head.status(),
            version: head.version(),
            lines: owned(head.lines()),
            framing,
            body: Vec::new(),
            trailers: None,
            forwarded: Vec::new(),
            left: 0,
        }
    }

    /// Whether all of it has come.
    pub fn is_whole(&self) -> bool {
        self.trailers.is_some()
    }

    /// The values of the lines of a name.
    pub fn values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        let lines = self.lines.iter().filter(move |(written, _)| Name::of(written) == name);
        lines.map(|(_, value)| value.as_slice())
    }
}

struct Connection {
    messages: Messages<Stream>,
    buffers: Buffers,
    steer: Vec<u8>,
    limits: HeadLimits,
}

type ParseHead =
    fn(&[u8], &HeadLimits, &mut egret::wire::HeadMemory) -> Result<egret::wire::Parsed, Refusal>;

impl Connection {
    fn new(wire: &[u8], steer: &[u8], begins: Begins, limits: HeadLimits) -> Self {
        let buffers = Buffers::default();
        let messages = Messages::new(Stream::new(wire, steer, begins));
        Self { messages, buffers, steer: steer.to_vec(), limits }
    }

    fn head(&mut self, parse: ParseHead) -> Result<Head, End> {
        ready(|cx| self.messages.poll_head(cx, parse, &self.limits, &self.buffers)).map_err(
            |error| match error {
                HeadError::Closed | HeadError::Truncated(_) => End::Stream,
                HeadError::Refused(refusal) => End::Refused(refusal),
            },
        )
    }

    /// Relays a message to the next hop, piece by piece; why it stopped early, if it did.
    fn body(
        &mut self,
        message: &mut Message,
        out: Framing,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Option<End> {
        let onward = Stream::new(&[], &self.steer, Begins::AtOnce);
        let mut onward = Messages::new(onward);
        onward.hold_head(out, &self.buffers, write);
        self.messages.expect_body(message.framing);
        let mut ended = None;
        let mut scratch = self.buffers.scratch();
        while message.trailers.is_none() && ended.is_none() {
            let piece = ready(|cx| self.messages.poll_piece(cx, &mut scratch, &self.buffers));
            match piece {
                Ok(piece) => {
                    message.body.extend_from_slice(piece.bytes(&scratch));
                    message.trailers = piece.end.as_ref().map(|trailers| owned(trailers.iter()));
                    self.send(&mut onward, piece, &mut scratch);
                }
                Err(Broken::Malformed(refusal)) => ended = Some(End::Refused(refusal)),
                Err(_) => ended = Some(End::Stream),
            }
        }
        drop(scratch);
        ready(|cx| onward.poll_drain(cx, &self.buffers)).expect("memory takes everything");
        message.forwarded = onward.into_parts().0.output;
        message.left = self.messages.unread().len() + self.messages.stream().left();
        ended
    }

    fn send(&self, onward: &mut Messages<Stream>, piece: Piece, scratch: &mut [u8]) {
        let mut cx = Context::from_waker(Waker::noop());
        onward.push(&mut cx, piece, scratch, &self.buffers).expect("memory takes everything");
        ready(|cx| onward.poll_drain(cx, &self.buffers)).expect("memory takes everything");
    }
}
