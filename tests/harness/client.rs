//! Clients that are stricter than those in the wild: HTTP/1.1 over a bare socket, and HTTP/2 with prior knowledge.
//!
//! The HTTP/1.1 client takes a response apart by its framing alone and keeps what came after it, so that
//! a byte too many or too few shows in the next response.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use http::HeaderMap;

use super::{PATIENCE, runtime, wait};

/// A response as it came.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The status line and the fields, as they came.
    pub head: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// The fields after a chunked body.
    pub trailers: String,
}

impl Response {
    /// The value of a field, by its name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        super::http1::field(&self.head, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The error token of `Proxy-Status` (RFC 9209), or nothing.
    pub fn token(&self) -> &str {
        let status = self.field("proxy-status").unwrap_or_default();
        status.split(';').find_map(|part| part.trim().strip_prefix("error=")).unwrap_or_default()
    }
}

/// One GET on a connection of its own.
pub fn get(address: SocketAddr, host: &str, target: &str) -> Response {
    Client::connect(address).get(host, target)
}

/// An HTTP/1.1 connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Opens a connection.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("the listener accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the connection takes what is sent");
    }

    /// Sends text where the other side may have ended the connection; whether it was taken.
    pub fn try_send(&mut self, text: &str) -> bool {
        self.stream.write_all(text.as_bytes()).is_ok()
    }

    /// Sends a GET and reads its response.
    pub fn get(&mut self, host: &str, target: &str) -> Response {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        self.response()
    }

    /// Sends a POST with a body and reads its response.
    pub fn post(&mut self, host: &str, target: &str, body: &str) -> Response {
        self.send(format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        self.response()
    }

    /// Reads one response, an interim one too, to anything but a HEAD request.
    pub fn response(&mut self) -> Response {
        let mut response = self.head();
        if matches!(response.status, 100..200 | 204 | 304) {
            return response;
        }
        if response.field("transfer-encoding").is_some() {
            assert!(
                response.field("content-length").is_none(),
                "two framings at once: {}",
                response.head
            );
            while let Some(piece) = self.chunk() {
                response.body.extend(piece);
            }
            response.trailers = self.trailers();
        } else if let Some(length) = response.field("content-length") {
            let length = length.parse().expect("a length is a number");
            response.body = self.exactly(length);
        } else {
            response.body = self.rest().expect("a body without length ends with the connection");
        }
        response
    }

    /// Reads the head of a response alone.
    pub fn head(&mut self) -> Response {
        let head = self.through("\r\n\r\n") + "\r\n\r\n";
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        Response {
            status: status.unwrap_or_else(|| panic!("no response head: {head:?}")),
            head,
            body: Vec::new(),
            trailers: String::new(),
        }
    }

    /// Reads one chunk of a chunked body; `None`: it was the last, trailers follow.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.through("\r\n");
        let size =
            usize::from_str_radix(&line, 16).unwrap_or_else(|_| panic!("no chunk size: {line:?}"));
        if size == 0 {
            return None;
        }
        let piece = self.exactly(size);
        assert_eq!(self.exactly(2), b"\r\n", "a chunk ends with a line end");
        Some(piece)
    }

    /// Reads what follows the last chunk.
    pub fn trailers(&mut self) -> String {
        let mut lines = String::new();
        loop {
            let line = self.through("\r\n");
            if line.is_empty() {
                return lines;
            }
            lines = lines + &line + "\n";
        }
    }

    /// Reads so many bytes.
    pub fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            assert!(self.more(), "the connection ended {} bytes short", length - self.buffer.len());
        }
        self.buffer.drain(..length).collect()
    }

    /// Reads to the end of the connection; an error: it was reset.
    pub fn rest(&mut self) -> std::io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.buffer);
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// Whether the other side ends the connection without another byte.
    pub fn is_closed(&mut self) -> bool {
        match self.rest() {
            Ok(rest) => rest.is_empty(),
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// Ends our side alone.
    pub fn finish_sending(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).expect("an open connection");
    }

    fn through(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) =
                self.buffer.windows(mark.len()).position(|window| window == mark.as_bytes())
            {
                let text = String::from_utf8_lossy(&self.buffer[..at]).into_owned();
                self.buffer.drain(..at + mark.len());
                return text;
            }
            assert!(
                self.more(),
                "the connection ended after {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        }
    }

    /// Reads once more; false: the connection has ended.
    fn more(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        let length = match self.stream.read(&mut bytes) {
            Ok(length) => length,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&self.buffer)),
        };
        self.buffer.extend_from_slice(&bytes[..length]);
        length > 0
    }
}

/// An HTTP/2 connection.
pub struct H2Client {
    sender: h2::client::SendRequest<Bytes>,
    driver: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

/// One HTTP/2 stream whose request may still be on its way.
pub struct H2Stream {
    /// The request's body.
    pub send: h2::SendStream<Bytes>,
    response: h2::client::ResponseFuture,
}

/// A whole response over HTTP/2.
#[derive(Debug)]
pub struct H2Response {
    /// The status.
    pub status: u16,
    /// The fields.
    pub fields: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The fields after the body.
    pub trailers: HeaderMap,
}

impl H2Client {
    /// Opens a connection with prior knowledge.
    pub fn connect(address: SocketAddr) -> Self {
        let (sender, connection) = wait(async {
            let stream =
                tokio::net::TcpStream::connect(address).await.expect("the listener accepts");
            h2::client::handshake(stream).await.expect("an HTTP/2 connection")
        });
        Self { sender, driver: runtime().spawn(connection) }
    }

    /// Sends a head and leaves the body open.
    pub fn open(&self, request: http::Request<()>) -> H2Stream {
        let (response, send) = wait(async {
            let mut ready = self.sender.clone().ready().await.expect("room for a stream");
            ready.send_request(request, false).expect("a request that may be sent")
        });
        H2Stream { send, response }
    }

    /// Sends a request with a body and reads the whole response.
    pub fn request(&self, request: http::Request<()>, body: &str) -> H2Response {
        let mut stream = self.open(request);
        // A stream that was answered and ended before the body has left is answered all the same.
        let _ = stream.send.send_data(Bytes::copy_from_slice(body.as_bytes()), true);
        let (mut response, mut incoming) = stream.head();
        wait(async {
            while let Some(piece) = incoming.data().await {
                let piece = piece.expect("a body to its end");
                let _ = incoming.flow_control().release_capacity(piece.len());
                response.body.extend_from_slice(&piece);
            }
            response.trailers =
                incoming.trailers().await.expect("trailers or none").unwrap_or_default();
        });
        response
    }

    /// Waits until the other side has ended the connection.
    pub fn wait_ended(self) {
        drop(self.sender);
        // However it ended, it did; that is all the caller asks.
        let _ = wait(self.driver);
    }
}

impl H2Stream {
    /// Waits for the response's head.
    pub fn head(self) -> (H2Response, h2::RecvStream) {
        head(self.response)
    }

    /// The request's body, still open, and the response to wait for.
    pub fn split(self) -> (h2::SendStream<Bytes>, h2::client::ResponseFuture) {
        (self.send, self.response)
    }
}

/// Waits for a response's head.
pub fn head(response: h2::client::ResponseFuture) -> (H2Response, h2::RecvStream) {
    let (head, body) = wait(response).expect("a response").into_parts();
    let trailers = HeaderMap::new();
    (
        H2Response {
            status: head.status.as_u16(),
            fields: head.headers,
            body: Vec::new(),
            trailers,
        },
        body,
    )
}

/// The head of a request over HTTP/2 as a client of a plain-text proxy writes it.
pub fn h2_request(
    method: &str,
    host: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> http::Request<()> {
    let mut request = http::Request::builder().method(method).uri(format!("http://{host}{path}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a valid request")
}
