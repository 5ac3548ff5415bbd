//! Sends the requests of a row as they stand and tells what became of them.
//!
//! Behind them, in the same write, goes a probe: a well-formed request for the same host. Where the connection
//! stays it is answered; where a request was refused it must not be, for nothing behind that is a request.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::origin::{PROBE, PROBE_MARK, Received, Recorder, find};
use super::table::{Case, Complete, Ends};
use super::wire;
use crate::harness::PATIENCE;

/// How the bytes of a row are given to the socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// All at once.
    AtOnce,
    /// One by one; long ones in pieces that fit no boundary.
    Dribbled,
}

/// What became of a row.
#[derive(Debug)]
pub struct Outcome {
    /// As the table writes it: `200 keep`.
    pub answer: String,
    /// What the origin got.
    pub received: Vec<Received>,
    /// Whether the heads of the responses said what then became of the connection.
    pub announced: Announced,
}

/// Whether `Connection: close` stood in the last response of a connection that was closed, and in no other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Announced {
    Truly,
    Falsely,
}

impl Outcome {
    /// All that the origin got.
    pub fn bytes(&self) -> Vec<u8> {
        self.received.iter().flat_map(|received| received.bytes.clone()).collect()
    }

    /// What came of it to its end.
    pub fn whole(&self) -> Vec<u8> {
        let whole = self.received.iter().filter(|received| received.complete() == Complete::Yes);
        whole.flat_map(|received| received.bytes.clone()).collect()
    }

    /// Whether all that the origin got was whole.
    pub fn complete(&self) -> Complete {
        let whole = self.received.iter().all(|received| received.complete() == Complete::Yes);
        if whole { Complete::Yes } else { Complete::No }
    }
}

/// Plays one row against a gateway, and waits until the origin behind it has what the row says. Who is silent for
/// too long does not answer.
pub fn play(
    case: &Case,
    pace: Pace,
    silence: Duration,
    gateway: SocketAddr,
    origin: &Recorder,
) -> Outcome {
    let stream = TcpStream::connect_timeout(&gateway, PATIENCE).expect("the listener accepts");
    stream.set_read_timeout(Some(silence)).expect("a timeout above zero");
    stream.set_nodelay(true).expect("a TCP socket");
    let mut bytes = case.request.clone();
    if case.ends == Ends::No {
        bytes.extend(format!("GET {PROBE} HTTP/1.1\r\nHost: a.test\r\n\r\n").into_bytes());
    }
    send(&stream, &bytes, pace);
    if case.ends == Ends::Yes {
        let _ = stream.shutdown(Shutdown::Write); // a gateway that has closed already needs no telling
    }
    let (answer, announced) = read(stream);
    let received = match case.complete {
        Complete::Yes => origin.take(),
        Complete::No => origin.take_late(),
    };
    Outcome { answer, received, announced }
}

/// A gateway that has seen enough may close before it has everything: what it answered is still there.
fn send(mut stream: &TcpStream, bytes: &[u8], pace: Pace) {
    let size = match pace {
        Pace::AtOnce => bytes.len(),
        Pace::Dribbled if bytes.len() > 2000 => 977,
        Pace::Dribbled => 1,
    };
    for piece in bytes.chunks(size.max(1)) {
        if stream.write_all(piece).is_err() {
            return;
        }
    }
}

/// Reads responses until the probe was answered or the connection ends.
fn read(mut stream: TcpStream) -> (String, Announced) {
    let (mut words, mut waiting, mut closing) = (Vec::new(), Vec::new(), Vec::new());
    let end = loop {
        while let Some(response) = wire::response(&waiting) {
            if response.fields.contains(PROBE_MARK) {
                let kept = !closing.contains(&true);
                return (
                    finish(words, "keep"),
                    if kept { Announced::Truly } else { Announced::Falsely },
                );
            }
            words.push(response.status.to_string());
            waiting.drain(..response.len);
            if response.status == 101 {
                return (finish(words, tunnel(stream, waiting)), Announced::Truly);
            }
            closing.push(response.fields.contains("\r\nconnection: close\r\n"));
        }
        let mut bytes = [0; 16 * 1024];
        match stream.read(&mut bytes) {
            Ok(0) if waiting.is_empty() => break "close",
            Ok(0) => break "close, in the middle of a response",
            Ok(length) => waiting.extend_from_slice(&bytes[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break "reset",
            Err(_) => break "silence",
        }
    };
    let told = closing.pop().is_none_or(|last| last) && !closing.contains(&true);
    (finish(words, end), if told { Announced::Truly } else { Announced::Falsely })
}

/// After a switch of protocols the probe must come back as it was sent.
fn tunnel(mut stream: TcpStream, mut waiting: Vec<u8>) -> &'static str {
    let mut bytes = [0; 1024];
    while find(&waiting, b"Host: a.test\r\n\r\n").is_none() {
        match stream.read(&mut bytes) {
            Ok(length) if length > 0 => waiting.extend_from_slice(&bytes[..length]),
            _ => return "close",
        }
    }
    "tunnel"
}

fn finish(mut words: Vec<String>, end: &str) -> String {
    words.push(end.to_owned());
    words.join(" ")
}
