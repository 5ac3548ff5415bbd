//! The requests of a piece of work, made ready before it begins.

use std::cell::Cell;

use bytes::Bytes;
use http::{HeaderValue, Method};

use crate::wire::chunked;
use crate::work::{Payload, Protocol, WEBSOCKET_KEY, Work};

/// Header lines that a browser's or a mesh's request has, besides the host.
const HEADERS: [(&str, &str); 6] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) bench/1.0"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-language", "en-GB,en;q=0.9"),
    ("x-request-id", "6f1c2e4a-90d2-4c6e-8d0e-0a4d5a3c7b11"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
];

/// The content of a chunk.
const CHUNK: usize = 16 << 10;

/// One request for each host, taken in turn by all connections.
pub struct Requests {
    hosts: Vec<Request>,
    next: Cell<usize>,
}

/// A request in all the forms that it may be sent in.
pub struct Request {
    /// As HTTP/1.1 writes it, with its body; of a WebSocket, the request to upgrade.
    pub bytes: Vec<u8>,
    /// As HTTP/2 takes it.
    pub head: http::Request<()>,
    /// The body that goes with [`head`](Self::head).
    pub body: Bytes,
}

impl Requests {
    /// Makes them.
    pub fn new(work: &Work) -> Self {
        let hosts = (0..work.hosts.max(1))
            .map(|number| Request::new(work, &work.host.replace("{}", &number.to_string())));
        Self { hosts: hosts.collect(), next: Cell::new(0) }
    }

    /// The one whose turn it is.
    pub fn next(&self) -> &Request {
        let at = self.next.get();
        self.next.set(if at + 1 == self.hosts.len() { 0 } else { at + 1 });
        &self.hosts[at]
    }
}

impl Request {
    fn new(work: &Work, host: &str) -> Self {
        let method = if work.payload == Payload::None { Method::GET } else { Method::POST };
        let mut bytes = format!("{method} {} HTTP/1.1\r\nHost: {host}\r\n", work.path);
        for (name, value) in HEADERS {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        if work.protocol == Protocol::WebSocket {
            bytes.push_str(&format!(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: {WEBSOCKET_KEY}\r\n"
            ));
        }
        let (framing, sent, body) = match work.payload {
            Payload::None => (String::new(), Vec::new(), Vec::new()),
            Payload::Length(length) => {
                (format!("Content-Length: {length}\r\n"), vec![b'x'; length], vec![b'x'; length])
            }
            Payload::Chunked(length) => (
                "Transfer-Encoding: chunked\r\n".to_owned(),
                chunked(&vec![b'x'; length], CHUNK),
                vec![b'x'; length],
            ),
        };
        let mut bytes = format!("{bytes}{framing}\r\n").into_bytes();
        bytes.extend_from_slice(&sent);
        let mut head = http::Request::new(());
        *head.method_mut() = method;
        *head.uri_mut() = format!("http://{host}{}", work.path).parse().expect("a URI");
        for (name, value) in HEADERS {
            head.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Self { bytes, head, body: body.into() }
    }
}
