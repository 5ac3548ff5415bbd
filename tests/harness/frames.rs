//! HTTP/2 frame by frame: a client, or an origin, that can send what no library would.
//!
//! Field blocks are written as literals without Huffman's code or any table, so that what is sent is what
//! stands in the test. Of a block that comes, only `:status` is read.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

/// How a client begins (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The payload of the ping whose answer says that all before it was read.
const MARK: &[u8] = b"the mark";

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// Whether it has this flag.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The error code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }

    /// The status of a response's HEADERS.
    pub fn status(&self) -> u16 {
        // The table is made smaller first.
        let from = self.payload.iter().position(|byte| byte & 0xe0 != 0x20).unwrap_or_default();
        match &self.payload[from..] {
            [indexed @ 0x88..=0x8e, ..] => {
                [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)]
            }
            [0x08 | 0x18 | 0x48, length, rest @ ..] => {
                let value = &rest[..usize::from(length & 0x7f)];
                let digits = if length & 0x80 != 0 { huffman(value) } else { value.to_vec() };
                String::from_utf8_lossy(&digits).parse().expect("a status is a number")
            }
            other => panic!("no status at the front of {other:x?}"),
        }
    }
}

/// Digits in Huffman's code (RFC 7541, appendix B).
fn huffman(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let mut digits = Vec::new();
    let mut at = 0;
    while digits.len() < 3 {
        let number = |length: usize| bits[at..at + length].iter().fold(0, |sum, bit| sum * 2 + bit);
        let (digit, length) =
            if number(5) < 3 { (number(5), 5) } else { (number(6) - 0x19 + 3, 6) };
        digits.push(b'0' + digit);
        at += length;
    }
    digits
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A field block.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0); // a literal with its name, for no table
        for text in [name, value] {
            length(text.len(), &mut bytes);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// A number with seven bits in its first byte (RFC 7541, section 5.1).
fn length(mut number: usize, out: &mut Vec<u8>) {
    if number < 127 {
        return out.push(u8::try_from(number).expect("below 127"));
    }
    out.push(127);
    number -= 127;
    while number >= 128 {
        out.push(u8::try_from(number % 128).expect("below 128") | 0x80);
        number /= 128;
    }
    out.push(u8::try_from(number).expect("below 128"));
}

/// HEADERS in one frame; `flags` besides END_HEADERS.
pub fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &block(fields))
}

/// A SETTINGS frame with these.
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (id, value) in values {
        payload.extend(id.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// Opens a window.
pub fn window(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

/// Resets a stream.
pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

/// The ping that `Raw::mark` waits for.
pub fn mark() -> Vec<u8> {
    frame(PING, 0, 0, MARK)
}

/// What came next that says how the other side took what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// GOAWAY with this code.
    GoAway(u32),
    /// RST_STREAM with this code.
    Reset(u32),
    /// A response with this status.
    Answer(u16),
    /// The answer to the mark, and nothing of the above before it.
    Mark,
    /// The end of the connection, without a word.
    Closed,
    /// Nothing.
    Silence,
}

/// Nothing came in time.
struct Silence;

/// An HTTP/2 connection whose every frame is the test's own.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Connects and begins as a client does, with these settings, and without a table for fields that come.
    pub fn connect(address: SocketAddr, values: &[(u16, u32)]) -> Self {
        let mut raw = Self::bare(address);
        let values = [&[(1, 0)], values].concat();
        raw.send([PREFACE, &settings(&values), &frame(SETTINGS, ACK, 0, &[])].concat());
        raw
    }

    /// Connects and says nothing.
    pub fn bare(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, PATIENCE).expect("the listener accepts"))
    }

    /// Takes the next connection as an origin, with these settings.
    pub fn accept(listener: &TcpListener, values: &[(u16, u32)]) -> Self {
        let mut raw = Self::over(listener.accept().expect("a connection").0);
        let mut preface = [0; PREFACE.len()];
        raw.stream.read_exact(&mut preface).expect("a preface");
        assert_eq!(preface, PREFACE);
        raw.send([settings(values), frame(SETTINGS, ACK, 0, &[])].concat());
        raw
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout above zero");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the connection takes what is sent");
    }

    /// Sends bytes; false: the other side has ended the connection.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// The next frame; `None`: the connection has ended.
    pub fn next(&mut self) -> Option<Frame> {
        self.read().unwrap_or_else(|_| panic!("no frame came within the patience of a test"))
    }

    fn read(&mut self) -> Result<Option<Frame>, Silence> {
        let mut header = [0; 9];
        if let Err(error) = self.stream.read_exact(&mut header) {
            return match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(Silence),
                _ => Ok(None),
            };
        }
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("24 bits")];
        if self.stream.read_exact(&mut payload).is_err() {
            return Ok(None);
        }
        let stream = u32::from_be_bytes(header[5..].try_into().expect("four bytes")) & 0x7fff_ffff;
        Ok(Some(Frame { kind: header[3], flags: header[4], stream, payload }))
    }

    /// Reads on to the first frame of this kind.
    pub fn until(&mut self, kind: u8) -> Frame {
        loop {
            match self.next() {
                Some(frame) if frame.kind == kind && !(kind == SETTINGS && frame.has(ACK)) => {
                    return frame;
                }
                Some(_) => {}
                None => panic!("the connection ended before a frame of type {kind}"),
            }
        }
    }

    /// Reads on to what says how the other side took what was sent.
    pub fn came(&mut self) -> Came {
        loop {
            let frame = match self.read() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Came::Closed,
                Err(Silence) => return Came::Silence,
            };
            match frame.kind {
                GOAWAY => return Came::GoAway(frame.code()),
                RST_STREAM => return Came::Reset(frame.code()),
                HEADERS => return Came::Answer(frame.status()),
                PING if frame.has(ACK) && frame.payload == MARK => return Came::Mark,
                _ => {}
            }
        }
    }

    /// Waits until all that was sent has been read.
    pub fn mark(&mut self) {
        self.send(mark());
        assert_eq!(self.came(), Came::Mark);
    }

    /// Reads to the end of the connection.
    pub fn wait_ended(&mut self) {
        while self.next().is_some() {}
    }
}
