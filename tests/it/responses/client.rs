//! Two clients that note exactly what they get: HTTP/1 over a bare socket, and HTTP/2.
//!
//! They fail no test themselves: what a response lacks is part of what was got.

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::case::{Ask, text};
use crate::harness::client::h2_request;
use crate::harness::{http1, runtime, wait};

/// The host of all requests.
pub const HOST: &str = "api.example.com";

/// How long a client waits for the next byte; a row that fails must not hold up all others.
const PATIENCE: Duration = Duration::from_secs(3);

const FIRST_HALF: &str = "first half, ";
const SECOND_HALF: &str = "second half";

/// What came of a request.
#[derive(Default)]
pub struct Got {
    /// The interim heads.
    pub interims: Vec<String>,
    /// Whether the client's library may forget interim heads that come together with the final one.
    pub forgets_interims: bool,
    /// The final head, line by line as it came, each character a byte; empty: none came.
    pub head: String,
    /// What came of the body.
    pub body: String,
    /// The lines after it.
    pub trailers: String,
    /// What is wrong with its end; empty: it is complete.
    pub broken: String,
}

impl Got {
    /// The status; 0: there is none.
    pub fn status(&self) -> u16 {
        status(&self.head)
    }

    /// The value of a field, by its name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        http1::field(&self.head, name)
    }

    /// The error token of `Proxy-Status` (RFC 9209), or nothing.
    pub fn token(&self) -> &str {
        let status = self.field("proxy-status").unwrap_or_default();
        status.split(';').find_map(|part| part.trim().strip_prefix("error=")).unwrap_or_default()
    }
}

/// In short: some rows are very long.
impl std::fmt::Display for Got {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.body.chars().take(100).collect();
        write!(f, "{} {} with body {body:?}", self.status(), self.token())?;
        if self.broken.is_empty() { Ok(()) } else { write!(f, ", then {:?}", self.broken) }
    }
}

/// The status in a head; 0: there is none.
pub fn status(head: &str) -> u16 {
    head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// An HTTP/1 connection.
pub struct Http1 {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Whether a write has met a reset, which no read then meets again.
    reset: bool,
}

/// Why reading stopped.
type Stop = String;

impl Http1 {
    /// Opens a connection.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the listener accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, buffer: Vec::new(), reset: false }
    }

    /// Asks for a path and reads what comes.
    pub fn ask(&mut self, ask: Ask, path: &str) -> Got {
        let mut got = Got::default();
        self.send(request(ask, path).as_bytes());
        if let Err(stop) = self.read(ask, &mut got) {
            got.broken = stop;
        }
        got
    }

    /// Whether it ends without another byte: how it did not.
    pub fn ends_silently(&mut self) -> Result<(), String> {
        match self.more() {
            Err(stop) if self.buffer.is_empty() && !stop.contains("timed out") => Ok(()),
            Err(stop) => Err(stop),
            Ok(()) => Err(format!("more came: {:?}", text(&self.buffer))),
        }
    }

    /// A send that fails shows in what is read.
    fn send(&mut self, bytes: &[u8]) {
        self.reset = self.stream.write_all(bytes).is_err();
    }

    fn read(&mut self, ask: Ask, got: &mut Got) -> Result<(), Stop> {
        loop {
            let head = self.through(b"\r\n\r\n")? + "\r\n\r\n";
            if !(100..200).contains(&status(&head)) || status(&head) == 101 {
                got.head = head;
                break;
            }
            got.interims.push(head);
        }
        if ask == Ask::Upload {
            self.send(SECOND_HALF.as_bytes());
        }
        if got.status() == 101 {
            return self.rest(&mut got.body);
        }
        if ask == Ask::Head || matches!(got.status(), 204 | 304) {
            return Ok(());
        }
        match (got.field("transfer-encoding"), got.field("content-length")) {
            (Some("chunked"), None) => self.chunks(got),
            (None, Some(length)) => {
                let length = length.parse().map_err(|_| format!("a length of {length:?}"))?;
                self.exactly(length, &mut got.body)
            }
            (None, None) => self.rest(&mut got.body),
            both => Err(format!("two framings or a strange one: {both:?}")),
        }
    }

    fn chunks(&mut self, got: &mut Got) -> Result<(), Stop> {
        loop {
            let line = self.through(b"\r\n")?;
            let size = usize::from_str_radix(&line, 16).map_err(|_| format!("size {line:?}"))?;
            if size == 0 {
                break;
            }
            self.exactly(size, &mut got.body)?;
            let mut end = String::new();
            self.exactly(2, &mut end)?;
            if end != "\r\n" {
                return Err(format!("{end:?} after a chunk"));
            }
        }
        loop {
            let line = self.through(b"\r\n")?;
            if line.is_empty() {
                return Ok(());
            }
            got.trailers += &(line + "\n");
        }
    }

    fn exactly(&mut self, mut length: usize, into: &mut String) -> Result<(), Stop> {
        while length > 0 {
            if self.buffer.is_empty() {
                self.more()?;
            }
            let count = length.min(self.buffer.len());
            *into += &text(&self.buffer[..count]);
            self.buffer.drain(..count);
            length -= count;
        }
        Ok(())
    }

    /// Reads to a proper end of the connection.
    fn rest(&mut self, into: &mut String) -> Result<(), Stop> {
        loop {
            match self.more() {
                Ok(()) => {}
                Err(stop) => {
                    *into += &text(&std::mem::take(&mut self.buffer));
                    return if stop == CLOSED { Ok(()) } else { Err(stop) };
                }
            }
        }
    }

    fn through(&mut self, mark: &[u8]) -> Result<String, Stop> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                let text = text(&self.buffer[..at]);
                self.buffer.drain(..at + mark.len());
                return Ok(text);
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> Result<(), Stop> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) if self.reset => Err("reset".to_owned()),
            Ok(0) => Err(CLOSED.to_owned()),
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Err("reset".to_owned()),
            Err(error) => Err(format!("timed out: {error}")),
        }
    }
}

const CLOSED: &str = "closed";

fn request(ask: Ask, path: &str) -> String {
    let (method, version, more) = match ask {
        Ask::Get => ("GET", "1.1", String::new()),
        Ask::GetTrailers => ("GET", "1.1", "TE: trailers\r\n".into()),
        Ask::Head => ("HEAD", "1.1", String::new()),
        Ask::Old => ("GET", "1.0", String::new()),
        Ask::OldKeepAlive => ("GET", "1.0", "Connection: keep-alive\r\n".into()),
        Ask::WebSocket => (
            "GET",
            "1.1",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n".into(),
        ),
        Ask::Post | Ask::Upload => {
            ("POST", "1.1", format!("Content-Length: {}\r\n", FIRST_HALF.len() + SECOND_HALF.len()))
        }
    };
    let body = match ask {
        Ask::Post => [FIRST_HALF, SECOND_HALF].concat(),
        Ask::Upload => FIRST_HALF.to_owned(),
        _ => String::new(),
    };
    format!("{method} {path} HTTP/{version}\r\nHost: {HOST}\r\n{more}\r\n{body}")
}

/// An HTTP/2 connection.
pub struct Http2 {
    sender: h2::client::SendRequest<Bytes>,
}

impl Http2 {
    /// Opens a connection with prior knowledge.
    pub fn connect(address: SocketAddr) -> Self {
        let (sender, connection) = wait(async {
            let stream =
                tokio::net::TcpStream::connect(address).await.expect("the listener accepts");
            h2::client::handshake(stream).await.expect("an HTTP/2 connection")
        });
        runtime().spawn(connection);
        Self { sender }
    }

    /// Asks for a path and reads what comes.
    pub fn ask(&self, ask: Ask, path: &str) -> Got {
        let mut got = Got::default();
        let exchange = exchange(self.sender.clone(), ask, path, &mut got);
        match wait(async { tokio::time::timeout(PATIENCE, exchange).await }) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => got.broken = error.to_string(),
            Err(_) => got.broken = "timed out".into(),
        }
        got
    }
}

async fn exchange(
    sender: h2::client::SendRequest<Bytes>,
    ask: Ask,
    path: &str,
    got: &mut Got,
) -> Result<(), h2::Error> {
    let method = match ask {
        Ask::Head => "HEAD",
        Ask::Post | Ask::Upload => "POST",
        _ => "GET",
    };
    let fields: &[_] = if ask == Ask::GetTrailers { &[("te", "trailers")] } else { &[] };
    let has_body = matches!(ask, Ask::Post | Ask::Upload);
    let request = h2_request(method, HOST, path, fields);
    let (mut response, mut send) = sender.ready().await?.send_request(request, !has_body)?;
    // Who answers early may have refused the rest by now: what comes back tells.
    let mut upload = |half: &'static str, last| {
        let _ = send.send_data(Bytes::from_static(half.as_bytes()), last);
    };
    if has_body {
        upload(FIRST_HALF, false);
    }
    if ask == Ask::Post {
        upload(SECOND_HALF, true);
    }
    got.forgets_interims = true;
    // The interim responses, then the final one.
    let head = poll_fn(|cx| {
        while let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
            got.interims.push(head_text(&interim?));
        }
        std::pin::Pin::new(&mut response).poll(cx)
    });
    let response = head.await?;
    got.head = head_text(&response);
    if ask == Ask::Upload {
        upload(SECOND_HALF, true);
    }
    let mut body = response.into_body();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        let _ = body.flow_control().release_capacity(piece.len());
        got.body += &text(&piece);
    }
    for (name, value) in &body.trailers().await?.unwrap_or_default() {
        got.trailers += &format!("{name}: {}\n", text(value.as_bytes()));
    }
    Ok(())
}

fn head_text<B>(response: &http::Response<B>) -> String {
    let mut head = format!("HTTP/2.0 {}\r\n", response.status().as_u16());
    for (name, value) in response.headers() {
        head += &format!("{name}: {}\r\n", text(value.as_bytes()));
    }
    head
}
